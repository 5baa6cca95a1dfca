/* ring: single-producer single-consumer queue of records of varying size between two threads. Bounded; never blocks.
 *
 * Producer calls ring_push, consumer ring_peek and ring_pop; free when both threads are gone. */
#ifndef LEAKTAP_CAPTURE_BASE_RING_H
#define LEAKTAP_CAPTURE_BASE_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring;

struct ring *ring_new(size_t size_bytes); /* rounded up to a power of two, at least 64 KiB; NULL: no memory */
void ring_free(struct ring *r);
size_t ring_max_record_bytes(const struct ring *r);
/* Space for n bytes, 8-byte aligned, or NULL when full (the caller counts). ring_commit makes what was written there visible, with at most n bytes. */
void *ring_reserve(struct ring *r, size_t n);
void ring_commit(struct ring *r, size_t n);
/* Oldest record, borrowed until ring_pop; NULL when empty. */
const void *ring_peek(struct ring *r, size_t *ret_n);
void ring_pop(struct ring *r);

#endif
