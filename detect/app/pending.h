/* pending: live, the last record of each flow whose owner may still change, so that an attribution can be told in full. Bounded by count and
 * bytes; oldest out first, counted. One thread. */
#ifndef LEAKTAP_DETECT_APP_PENDING_H
#define LEAKTAP_DETECT_APP_PENDING_H

#include "detect/finding.h"

struct pending_flow {
	uint64_t flow_id;
	uint64_t until_ns;           /* dropped after this */
	uint32_t version;            /* of the last record told */
	struct owner owners[2];      /* last known, [0] initiator */
	bool has_responder;
	size_t n_facts;
	uint64_t facts[];            /* packed */
};

struct pending;

struct pending *pending_new(size_t max_flows); /* NULL: no memory */
void pending_free(struct pending *p);
/* Keeps or replaces the facts of a flow and returns its entry; owners and version survive a replacement. NULL: no memory. */
struct pending_flow *pending_put(struct pending *p, const struct flow_facts *facts, uint64_t until_ns);
struct pending_flow *pending_find(struct pending *p, uint64_t flow_id); /* NULL if not kept; borrowed until the next put */
void pending_expire(struct pending *p, uint64_t now_ns);
uint64_t pending_evicted(const struct pending *p);

#endif
