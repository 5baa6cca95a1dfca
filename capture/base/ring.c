#include "capture/base/ring.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* A record is an 8-byte header holding its length, then its bytes, padded to 8. A length of SKIP sends the reader to the start of the
 * buffer: records never wrap. Positions only grow; head - tail <= size. */
enum { HEADER = 8, LINE = 64 };
#define SKIP UINT64_MAX

struct ring {
	_Alignas(LINE) _Atomic uint64_t head; /* producer's */
	uint64_t reserved;
	uint64_t seen_tail;
	_Alignas(LINE) _Atomic uint64_t tail; /* consumer's */
	uint64_t seen_head;
	_Alignas(LINE) uint64_t size;
	uint8_t *bytes;
};
static_assert(sizeof(struct ring) == 3 * LINE, "each side writes its own cache line");

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

struct ring *ring_new(size_t size_bytes)
{
	uint64_t size = 65536;
	while (size < size_bytes)
		size *= 2;
	struct ring *r = aligned_alloc(LINE, sizeof *r);
	if (!r)
		return NULL;
	memset(r, 0, sizeof *r);
	r->size = size;
	r->bytes = aligned_alloc(LINE, size);
	if (!r->bytes) {
		free(r);
		return NULL;
	}
	return r;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	free(r->bytes);
	free(r);
}

size_t ring_max_record_bytes(const struct ring *r)
{
	return (size_t)r->size / 2 - HEADER;
}

static bool fits(struct ring *r, uint64_t head, uint64_t need)
{
	if (head + need - r->seen_tail <= r->size)
		return true;
	r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head + need - r->seen_tail <= r->size;
}

void *ring_reserve(struct ring *r, size_t n)
{
	uint64_t need = HEADER + padded(n);
	if (n > ring_max_record_bytes(r))
		return NULL;
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t at = head & (r->size - 1);
	if (at + need > r->size) {
		uint64_t rest = r->size - at;
		if (!fits(r, head, rest + need))
			return NULL;
		uint64_t skip = SKIP;
		memcpy(r->bytes + at, &skip, HEADER);
		head += rest;
		at = 0;
	} else if (!fits(r, head, need)) {
		return NULL;
	}
	r->reserved = head;
	return r->bytes + at + HEADER;
}

void ring_commit(struct ring *r, size_t n)
{
	uint64_t length = n;
	memcpy(r->bytes + (r->reserved & (r->size - 1)), &length, HEADER);
	atomic_store_explicit(&r->head, r->reserved + HEADER + padded(n), memory_order_release);
}

const void *ring_peek(struct ring *r, size_t *ret_n)
{
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	for (;;) {
		if (tail == r->seen_head) {
			r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
			if (tail == r->seen_head)
				return NULL;
		}
		uint64_t length, at = tail & (r->size - 1);
		memcpy(&length, r->bytes + at, HEADER);
		if (length != SKIP) {
			*ret_n = (size_t)length;
			return r->bytes + at + HEADER;
		}
		tail += r->size - at;
		atomic_store_explicit(&r->tail, tail, memory_order_release);
	}
}

void ring_pop(struct ring *r)
{
	uint64_t length, tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	memcpy(&length, r->bytes + (tail & (r->size - 1)), HEADER);
	atomic_store_explicit(&r->tail, tail + HEADER + padded((size_t)length), memory_order_release);
}
