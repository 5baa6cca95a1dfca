/* quality: how good the view is. Three figures over all flows of a worker, and the five-minute windows in which one of them
 * was bad: most likely the tap is at fault, and what every flow says is weaker than it looks.
 *
 * - possible_split_routing: of the TCP flows in which both ends are known to have spoken, more than 20 % showed only one
 *   side. Told of at least QUALITY_MIN_FLOWS flows.
 * - capture_loss: of the bytes that receivers acknowledged, both sides in sight, 10 % or more were never captured. Uniform
 *   loss of packets takes the same share of both. Told of at least QUALITY_MIN_BYTES.
 * - duplicates: of the packets with payload, more than 30 % were copies made by the tap. Told of at least
 *   QUALITY_MIN_PACKETS.
 *
 * A flow belongs to the window in which it ended, by the packets' clock. One thread. */
#ifndef LEAKTAP_DISSECT_QUALITY_H
#define LEAKTAP_DISSECT_QUALITY_H

#include "dissect/facts.h"

#define QUALITY_WINDOW_NS UINT64_C(300000000000)
enum { QUALITY_MIN_FLOWS = 10, QUALITY_MIN_PACKETS = 100, QUALITY_MIN_BYTES = 64 << 10 };

/* Only grow. */
struct quality_counts {
	uint64_t judged_flows, one_sided_flows;
	uint64_t delivered_bytes, gap_bytes; /* of directions whose data and acknowledgements were in sight */
	uint64_t payload_packets, copied_packets;
};

/* Windows in which it was so; only grow. */
struct quality_alarms {
	uint64_t possible_split_routing, capture_loss, duplicates;
};

struct quality { /* zeroed at first */
	struct quality_counts counts;
	struct quality_alarms alarms;
	struct quality_counts before; /* when the window began */
	uint64_t window_ns;           /* it began here; 0: no packet yet */
};

/* The last record of a flow. */
void quality_flow(struct quality *q, const struct flow_facts *facts);

static inline void quality_payload(struct quality *q, bool copy)
{
	q->counts.payload_packets++;
	q->counts.copied_packets += copy;
}

/* Time is now_ns: judges a window that is over. */
void quality_tick(struct quality *q, uint64_t now_ns);
/* The capture is over: judges the window that is open. */
void quality_finish(struct quality *q);

#endif
