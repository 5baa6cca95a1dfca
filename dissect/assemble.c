#include "dissect/assemble.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256, BITMAP_BYTES = ASSEMBLE_MAX_BYTES / 8 };

void assemble_init(struct assemble *a)
{
	*a = (struct assemble){0};
}

static bool reserve(struct assemble_budget *budget, size_t n)
{
	if (n > budget->max_bytes || budget->used_bytes > budget->max_bytes - n) {
		budget->refused++;
		return false;
	}
	budget->used_bytes += n;
	return true;
}

static uint32_t size_for(uint32_t end)
{
	uint32_t size = FIRST_BYTES;
	while (size < end)
		size *= 2;
	return size;
}

static bool grow(struct assemble *a, struct assemble_budget *budget, uint32_t end)
{
	if (end <= a->size)
		return true;
	uint32_t size = size_for(end);
	if (!reserve(budget, size - a->size))
		return false;
	uint8_t *bytes = realloc(a->bytes, size);
	if (!bytes) {
		budget->used_bytes -= size - a->size;
		budget->refused++;
		return false;
	}
	a->bytes = bytes;
	a->size = size;
	return true;
}

static bool make_bitmap(struct assemble *a, struct assemble_budget *budget)
{
	if (a->have)
		return true;
	if (!reserve(budget, BITMAP_BYTES))
		return false;
	a->have = calloc(1, BITMAP_BYTES);
	if (!a->have) {
		budget->used_bytes -= BITMAP_BYTES;
		budget->refused++;
		return false;
	}
	return true;
}

static bool has(const struct assemble *a, uint32_t at)
{
	return a->have[at / 64] >> (at % 64) & 1;
}

/* [pos, pos+n) lies at or above ready: keep what is new, compare what is not. */
static void put_ahead(struct assemble *a, uint32_t pos, const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = pos + i;
		if (has(a, at)) {
			a->differs |= a->bytes[at] != p[i];
			continue;
		}
		a->bytes[at] = p[i];
		a->have[at / 64] |= 1ull << (at % 64);
	}
}

static void advance(struct assemble *a)
{
	while (a->ready < a->high && has(a, a->ready))
		a->ready++;
}

bool assemble_add(struct assemble *a, struct assemble_budget *budget, uint32_t pos, const uint8_t *p,
		  size_t n)
{
	if (pos >= ASSEMBLE_MAX_BYTES || n > ASSEMBLE_MAX_BYTES - pos) {
		a->full = true;
		if (pos >= ASSEMBLE_MAX_BYTES)
			return false;
		n = ASSEMBLE_MAX_BYTES - pos;
	}
	uint32_t count = (uint32_t)n, was_ready = a->ready;
	if (pos < a->ready) {
		uint32_t old = count < a->ready - pos ? count : a->ready - pos;
		a->differs |= memcmp(a->bytes + pos, p, old) != 0;
		pos += old;
		p += old;
		count -= old;
	}
	if (!count)
		return false;
	bool in_order = pos == a->ready && a->high == a->ready;
	if (!grow(a, budget, pos + count) || (!in_order && !make_bitmap(a, budget))) {
		a->full = true;
		return false;
	}
	uint32_t end = pos + count;
	if (in_order) {
		memcpy(a->bytes + pos, p, count);
		a->ready = a->high = end;
		return true;
	}
	put_ahead(a, pos, p, count);
	a->high = end > a->high ? end : a->high;
	advance(a);
	return a->ready > was_ready;
}

bool assemble_conflicts(const struct assemble *a, uint32_t pos, const uint8_t *p, size_t n)
{
	if (pos >= a->high)
		return false;
	uint32_t count = n < a->high - pos ? (uint32_t)n : a->high - pos, i = 0;
	if (pos < a->ready) {
		i = count < a->ready - pos ? count : a->ready - pos;
		if (memcmp(a->bytes + pos, p, i) != 0)
			return true;
	}
	for (; i < count; i++)
		if (has(a, pos + i) && a->bytes[pos + i] != p[i])
			return true;
	return false;
}

size_t assemble_memory_bytes(const struct assemble *a)
{
	return a->size + (a->have ? BITMAP_BYTES : 0);
}

void assemble_done(struct assemble *a, struct assemble_budget *budget)
{
	budget->used_bytes -= assemble_memory_bytes(a);
	free(a->bytes);
	free(a->have);
	assemble_init(a);
}
