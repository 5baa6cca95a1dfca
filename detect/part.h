/* part: one side of one flow, what left the device in it. The struct is in detect/ledger.h. */
#ifndef LEAKTAP_DETECT_PART_H
#define LEAKTAP_DETECT_PART_H

#include "detect/attrib/attrib.h"
#include "detect/ledger.h"

/* The application bytes are worth more than the payload: known, and not the mere beginning of a stream that
 * was lost from sight (sliced packets, a gap): TLS does not hide half of a large payload in framing. */
bool part_app_known(const struct flow_facts *f);
/* upload: up >= 2 x down and up >= 1,000; download: the reverse; idle: both below 256; application bytes,
 * payload where unknown. device_answered: seen from the responder. */
enum verdict_direction part_direction(const struct flow_facts *f, bool device_answered);
/* Takes v over unless p has something newer; flow id and side are set before. false: out of memory, p is as
 * before. */
bool part_fill(struct part *p, const struct verdict *v);
const struct keep_owner *part_owner(const struct part *p); /* of the side */
bool part_up_twice_down(const struct part *p);
/* Where an upload begins within the flow: with it, or in a later minute after a pause. The minute does not tell the second. */
struct part_burst {
	uint64_t from_ns, to_ns; /* began at or after from and no later than to */
};
/* The next one from *at (0 at first, moved on); a flow has at least one. */
bool part_burst(const struct part *p, uint32_t *at, struct part_burst *ret);
void part_free(struct part *p);

#endif
