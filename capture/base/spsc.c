#include "capture/base/spsc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int spsc_init(struct spsc *q, size_t record_bytes, size_t capacity)
{
	size_t bytes;
	if (record_bytes == 0 || capacity == 0 || (capacity & (capacity - 1)) ||
	    __builtin_mul_overflow(record_bytes, capacity, &bytes))
		return -EINVAL;
	uint8_t *records = malloc(bytes);
	if (!records)
		return -ENOMEM;
	*q = (struct spsc){.records = records, .mask = capacity - 1, .record_bytes = record_bytes};
	return 0;
}

void spsc_done(struct spsc *q)
{
	free(q->records);
	q->records = NULL;
}

static uint8_t *slot(const struct spsc *q, uint64_t at)
{
	return q->records + (size_t)(at & q->mask) * q->record_bytes;
}

bool spsc_push(struct spsc *q, const void *record)
{
	uint64_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
	if (tail - q->head_seen > q->mask) {
		/* Acquire: what the popping thread read out of the slot must lie before what is written into
		 * it. */
		q->head_seen = atomic_load_explicit(&q->head, memory_order_acquire);
		if (tail - q->head_seen > q->mask)
			return false;
	}
	memcpy(slot(q, tail), record, q->record_bytes);
	atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
	return true;
}

size_t spsc_pop(struct spsc *q, void *ret_records, size_t max)
{
	uint64_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
	if (q->tail_seen - head < max)
		q->tail_seen = atomic_load_explicit(&q->tail, memory_order_acquire);
	uint64_t waiting = q->tail_seen - head;
	size_t n = waiting < max ? (size_t)waiting : max;
	for (size_t i = 0; i < n; i++)
		memcpy((uint8_t *)ret_records + i * q->record_bytes, slot(q, head + i), q->record_bytes);
	atomic_store_explicit(&q->head, head + n, memory_order_release);
	return n;
}

size_t spsc_used(const struct spsc *q)
{
	/* head first: it never passes tail, so the difference cannot be negative. */
	uint64_t head = atomic_load_explicit(&q->head, memory_order_acquire);
	uint64_t used = atomic_load_explicit(&q->tail, memory_order_acquire) - head;
	return (size_t)(used > q->mask ? q->mask + 1 : used);
}
