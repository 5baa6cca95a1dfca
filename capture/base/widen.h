/* widen: a 32-bit counter that wraps, as a 64-bit one that does not. It must be looked at once per 2^32
 * counts. */
#ifndef LEAKTAP_CAPTURE_BASE_WIDEN_H
#define LEAKTAP_CAPTURE_BASE_WIDEN_H

#include <stdint.h>

/* {0} starts at a counter that started at 0. */
struct widen {
	uint64_t total;
	uint32_t seen; /* the counter when last looked at */
};

static inline void widen_look(struct widen *w, uint32_t counter)
{
	w->total += (uint32_t)(counter - w->seen);
	w->seen = counter;
}

#endif
