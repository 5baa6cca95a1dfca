/* pending: live, the last record of each joined flow and what the join has said of it, because more may be
 * said later. Bounded by count and bytes: the caller makes room. One thread. */
#ifndef LEAKTAP_DETECT_APP_PENDING_H
#define LEAKTAP_DETECT_APP_PENDING_H

#include <sys/queue.h>

#include "detect/finding.h"
#include "detect/hmap.h"
#include "detect/keep.h"

struct pending_flow {
	struct hmap_link link;
	TAILQ_ENTRY(pending_flow) by_age;  /* pending's own: order of the last put */
	TAILQ_ENTRY(pending_flow) by_hold; /* the caller's */
	uint64_t flow_id;
	uint64_t until_ns;      /* the caller's: may be dropped after this */
	uint64_t hold_until_ns; /* the caller's: not told before this; 0: it is told */
	uint32_t version;       /* the caller's: of the last record told, 0 none */
	bool has_initiator;     /* the join has spoken of the initiator */
	struct keep *owners;    /* what it said, with copies of all strings; NULL: nothing yet */
	size_t bytes;           /* of this entry */
	size_t n_facts;
	uint64_t *facts; /* packed */
};

struct pending;

struct pending *pending_new(size_t max_flows, size_t max_bytes); /* NULL: no memory */
void pending_free(struct pending *p);

/* Keeps a flow's facts, or replaces them: the entry is the youngest then. NULL: no memory, an older record
 * stays. Full is full only for the caller who asks. */
struct pending_flow *pending_put(struct pending *p, const struct flow_facts *facts);
/* Keeps v's owners. 0 or -ENOMEM: the entry is as it was. */
int pending_own(struct pending *p, struct pending_flow *pf, const struct verdict *v);
struct pending_flow *pending_find(const struct pending *p, uint64_t flow_id); /* NULL: not kept */
struct pending_flow *pending_oldest(const struct pending *p);                 /* NULL: empty */
bool pending_full(const struct pending *p);
void pending_drop(struct pending *p, struct pending_flow *pf);

#endif
