/* clocks: the skew of every (device, clock domain). One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_CLOCKS_H
#define LEAKTAP_DETECT_ATTRIB_CLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/clock_skew.h"
#include "dissect/procevent.h"

struct clocks;

struct clocks *clocks_new(uint32_t max_pairs_each); /* NULL: out of memory */
void clocks_free(struct clocks *cl);

void clocks_add(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us, int64_t packet_us, unsigned flags);
/* At the event's own time. */
struct clock_skew_state clocks_at(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us);
/* Offset of a clock that no connection measures (process starts and ends, files): its own where that is calibrated, else that of the
 * device's other clocks, those of the wall first; where none is calibrated its own estimate. */
int64_t clocks_offset_us(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us);
/* The n-th clock that has pairs, from 0: its device and domain, its latest state; false: no more. */
bool clocks_nth(struct clocks *cl, size_t n, uint32_t *ret_device, uint8_t *ret_clock, struct clock_skew_state *ret);

extern const char *const clocks_domain_names[PROCEVENT_CLOCK_COUNT];
extern const uint8_t clocks_sources[PROCEVENT_CLOCK_COUNT]; /* enum procevent_source a domain belongs to */

#endif
