/* spsc: a ring of fixed-size records between exactly one pushing and one popping thread. Records are copied
 * in and out and carry no pointers to what either thread owns. Nothing blocks. */
#ifndef LEAKTAP_CAPTURE_BASE_SPSC_H
#define LEAKTAP_CAPTURE_BASE_SPSC_H

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SPSC_LINE_BYTES = 64 };

/* Invariant: head <= tail <= head + capacity; both count records ever popped and pushed, modulo 2^64. */
struct spsc {
	/* the pushing thread's line: its own index and the last it saw of the other's */
	alignas(SPSC_LINE_BYTES) atomic_uint_fast64_t tail;
	uint64_t head_seen;
	/* the popping thread's line */
	alignas(SPSC_LINE_BYTES) atomic_uint_fast64_t head;
	uint64_t tail_seen;
	/* read by both, written by neither */
	alignas(SPSC_LINE_BYTES) uint8_t *records;
	uint64_t mask; /* capacity - 1 */
	size_t record_bytes;
};
static_assert(sizeof(struct spsc) == 3 * SPSC_LINE_BYTES,
	      "a line for each thread, so that neither steals the other's");

/* capacity: a power of two. 0, -EINVAL or -ENOMEM. Before either thread starts; done after both ended. */
int spsc_init(struct spsc *q, size_t record_bytes, size_t capacity);
void spsc_done(struct spsc *q);

/* Pushing thread. false: full, nothing was stored; the caller counts it. */
bool spsc_push(struct spsc *q, const void *record);
/* Popping thread. Copies up to max records, oldest first; returns how many. */
size_t spsc_pop(struct spsc *q, void *ret_records, size_t max);

/* Either thread, and any other as a gauge: how many wait. */
size_t spsc_used(const struct spsc *q);

#endif
