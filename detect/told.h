/* told: live, which findings were told and how, so that a revision keeps its id and comes neither too often
 * nor for nothing. */
#ifndef LEAKTAP_DETECT_TOLD_H
#define LEAKTAP_DETECT_TOLD_H

#include "detect/episode.h"

struct told {
	struct hmap_link link; /* hash: the id */
	struct told *next;     /* oldest first */
	uint64_t id, holder;   /* holder: hash of the ledger's key */
	uint64_t bytes, signature, told_ns;
	uint32_t version;
	bool released; /* a flow left its ledger: another may take the id over */
};

struct tolds { /* zero = empty */
	struct hmap by_id;
	struct told *oldest, **newest_at;
	size_t max; /* the oldest go */
};

void tolds_free(struct tolds *ts);
void tolds_release(struct tolds *ts, uint64_t id);
/* Gives d and its parts their id. The version to tell it with, 0: nothing to tell now. It waits for revise_ns
 * after the last telling
 * (*ret_wait is set then) unless that is 0 or rules, owner or grade changed. */
uint32_t tolds_version(struct tolds *ts, struct draft *d, uint64_t now_ns, uint64_t revise_ns,
		       bool *ret_wait);

#endif
