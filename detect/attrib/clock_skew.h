/* clock_skew: how far an endpoint's clock is from the sensor's, per (device, clock domain), as a function of time.
 *
 * Fed with pairs: an event and the first packet of a flow with the same 5-tuple; delta = event - packet. A coarse vote over all pairs
 * finds the neighbourhood (small skews, time zones, a lost PM, or anything five unambiguous pairs agree on to 100 ms); in it the
 * pairs with a SYN that are unambiguous on both sides give a running median that follows steps and slides. Events are corrected,
 * flows never.
 * One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_CLOCK_SKEW_H
#define LEAKTAP_DETECT_ATTRIB_CLOCK_SKEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct clock_skew;

/* One clock; when max_pairs (>= 16) are held the older half goes. NULL when out of memory. */
struct clock_skew *clock_skew_new(uint32_t max_pairs);
void clock_skew_free(struct clock_skew *cs);

enum clock_skew_flag {
	CLOCK_SKEW_UNIQUE = 1,  /* no other event of this clock and no other flow could be meant */
	CLOCK_SKEW_SYN = 2,     /* the packet is a SYN; else it only votes */
	CLOCK_SKEW_FLOORED = 4, /* the source cuts times to seconds: the median includes it, a wider spread is allowed */
};

/* Any order; the same set gives the same answers. */
void clock_skew_add(struct clock_skew *cs, int64_t event_us, int64_t packet_us, unsigned flags);

struct clock_skew_state {
	bool calibrated;
	int64_t offset_us; /* subtract it from an event's time; 0 when nothing is known */
	int64_t spread_us; /* median absolute deviation */
	uint32_t samples;
};

/* At an event's own (uncorrected) time. Not calibrated: fewer than 3 pairs within 30 minutes, or too wide a spread; the offset is
 * then the coarse one where a vote was won by 3 pairs, else 0. */
struct clock_skew_state clock_skew_at(struct clock_skew *cs, int64_t event_us);

uint32_t clock_skew_pairs(const struct clock_skew *cs);
int64_t clock_skew_last(const struct clock_skew *cs); /* time of its newest event, 0 none */

#endif
