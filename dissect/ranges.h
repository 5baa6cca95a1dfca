/* ranges: a short sorted list of disjoint, not touching ranges in an array of fixed size. Linear in the
 * array's size. */
#ifndef LEAKTAP_DISSECT_RANGES_H
#define LEAKTAP_DISSECT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/flow.h"

/* A view; at belongs to the caller. n <= max. */
struct ranges {
	struct flow_range *at;
	uint32_t n, max;
};

/* Adds [from, to), from < to, and merges. true: *ret_new is the number of bytes that were not there yet.
 * false: no room for one more range; nothing was changed. */
bool ranges_add(struct ranges *r, uint32_t from, uint32_t to, uint32_t *ret_new);
/* Bytes of the list within [from, to). */
uint32_t ranges_within(const struct ranges *r, uint32_t from, uint32_t to);
/* Takes out every range that begins at or below low and returns the end reached, at least low. */
uint32_t ranges_join(struct ranges *r, uint32_t low);
void ranges_drop_first(struct ranges *r);

#endif
