/* keep: a verdict with everything it borrows, in one block, for as long as a finding may need it. Smaller than a
 * verdict: candidates and evidence take the room they need. */
#ifndef LEAKTAP_DETECT_KEEP_H
#define LEAKTAP_DETECT_KEEP_H

#include "detect/finding.h"

struct keep_owner { /* struct owner, its arrays elsewhere in the block */
	uint8_t outcome, cause;
	char grade;
	uint16_t rivals;
	struct owner_process process;
	const struct owner_process *candidates;
	const struct owner_evidence *evidence;
	size_t n_candidates, n_evidence;
};

struct keep {
	size_t bytes;            /* of the block */
	struct flow_facts facts; /* without minutes */
	struct catalogue_match destination;
	const char *explanation;
	uint32_t version;
	bool has_destination, by_address, has_responder;
	uint8_t direction;
	struct keep_owner sides[]; /* the initiator's; the responder's if has_responder */
};

/* One malloc, one free. NULL: out of memory. */
struct keep *keep_new(const struct verdict *v);
/* The verdict again; it borrows from k. */
void keep_verdict(const struct keep *k, struct verdict *ret);

#endif
