/* episode: one owner's flows to one destination, cut where there is a long pause, and what the rules make of
 * them. */
#ifndef LEAKTAP_DETECT_EPISODE_H
#define LEAKTAP_DETECT_EPISODE_H

#include "detect/rule.h"

/* A finding before it is put into words. */
struct draft {
	struct rule_hit hits[FINDING_MAX_RULES]; /* gravest first */
	size_t n_hits;
	struct ledger *ledger; /* of its first part */
	struct part **parts;   /* its flows, by start; owned */
	size_t n_parts;
	uint64_t first_ns, last_ns;
	uint64_t id;      /* from the key and the first flow; never 0 */
	uint8_t severity; /* of hits[0]; 3 where only the address is known */
	bool of_device;
};

void draft_free(struct draft *d); /* what it owns, not d itself */

/* Judges everything in view->group (its other fields filled by this call, apart from limits, attrib, peers
 * and begin_ns): found gets every draft and owns its parts. 0 or -ENOMEM. */
int episode_judge(struct rule_view *view, void (*found)(void *ctx, struct draft *d), void *ctx);

#endif
