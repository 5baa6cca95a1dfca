/* outcomes: which row of the closed list of outcomes the bytes of every flow are in; a flow whose owner is
 * revised moves, all of it.
 *
 * Flows that may still be told again are remembered, at most max_flows of them; of a flow that was forgotten
 * only the new bytes count. */
#ifndef LEAKTAP_DETECT_OUTCOMES_H
#define LEAKTAP_DETECT_OUTCOMES_H

#include "detect/finding.h"
#include "detect/hmap.h"
#include "detect/judge.h"

struct outcome_flow;

struct outcomes { /* zero, then outcomes_begin */
	struct hmap flows;
	struct outcome_flow *newest, *oldest;
	size_t max_flows;
	bool revise; /* a flow may be told again after its last record */
};

void outcomes_begin(struct outcomes *o, size_t max_flows, bool revise);
void outcomes_free(struct outcomes *o);
/* Books v in st: flows, bytes and, if suppressed, that. */
void outcomes_book(struct outcomes *o, struct judge_stats *st, const struct verdict *v, bool suppressed);
void outcomes_forget(struct outcomes *o, uint64_t before_ns); /* flows not told since */

#endif
