#include "detect/attrib/intern.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"

enum { CHUNK_BYTES = 1 << 20, MAX_CHUNKS = 4096 };

/* A string's number is its place: chunk and offset / 8, so that no table of pointers is needed. Each starts with its length. */
struct intern {
	char *chunks[MAX_CHUNKS];
	uint32_t n_chunks;
	size_t used, bytes, max_bytes;
	uint32_t *slots; /* open addressing */
	size_t n_slots, n_used;
	uint64_t refused;
};

enum { UNIT = 8, UNITS_PER_CHUNK = CHUNK_BYTES / UNIT };

struct intern *intern_new(size_t max_bytes)
{
	struct intern *in = calloc(1, sizeof *in);
	if (in)
		in->max_bytes = max_bytes;
	return in;
}

void intern_free(struct intern *in)
{
	if (!in)
		return;
	for (uint32_t i = 0; i < in->n_chunks; i++)
		free(in->chunks[i]);
	free(in->slots);
	free(in);
}

const char *intern_text(const struct intern *in, uint32_t number, size_t *ret_n)
{
	uint32_t n = 0;
	const char *text = "";
	if (number) {
		const char *at = in->chunks[number / UNITS_PER_CHUNK] + (size_t)(number % UNITS_PER_CHUNK) * UNIT;
		memcpy(&n, at, sizeof n);
		text = at + sizeof n;
	}
	if (ret_n)
		*ret_n = n;
	return text;
}

static uint32_t store(struct intern *in, const void *p, size_t n)
{
	size_t need = (sizeof(uint32_t) + n + 1 + UNIT - 1) / UNIT * UNIT;
	if (need > CHUNK_BYTES - UNIT)
		return 0;
	if (in->n_chunks == 0 || in->used + need > CHUNK_BYTES) {
		if (in->n_chunks == MAX_CHUNKS || in->bytes + CHUNK_BYTES > in->max_bytes)
			return 0;
		char *chunk = malloc(CHUNK_BYTES);
		if (!chunk)
			return 0;
		in->chunks[in->n_chunks++] = chunk;
		in->bytes += CHUNK_BYTES;
		in->used = in->n_chunks == 1 ? UNIT : 0; /* number 0 means none */
	}
	char *at = in->chunks[in->n_chunks - 1] + in->used;
	uint32_t n32 = (uint32_t)n;
	memcpy(at, &n32, sizeof n32);
	memcpy(at + sizeof n32, p, n);
	at[sizeof n32 + n] = 0;
	uint32_t number = (in->n_chunks - 1) * UNITS_PER_CHUNK + (uint32_t)(in->used / UNIT);
	in->used += need;
	return number;
}

static uint64_t hash_text(const void *p, size_t n)
{
	return hash_bytes(HASH_KEY_FIXED, p, n);
}

static bool grow(struct intern *in)
{
	size_t n_slots = in->n_slots ? in->n_slots * 2 : 1024;
	uint32_t *slots = calloc(n_slots, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < in->n_slots; i++) {
		if (!in->slots[i])
			continue;
		size_t n;
		const char *text = intern_text(in, in->slots[i], &n);
		size_t at = hash_text(text, n) & (n_slots - 1);
		while (slots[at])
			at = (at + 1) & (n_slots - 1);
		slots[at] = in->slots[i];
	}
	in->bytes += (n_slots - in->n_slots) * sizeof *slots;
	free(in->slots);
	in->slots = slots;
	in->n_slots = n_slots;
	return true;
}

uint32_t intern_append(struct intern *in, const void *p, size_t n)
{
	if (n == 0)
		return 0;
	uint32_t number = store(in, p, n);
	in->refused += number == 0;
	return number;
}

uint32_t intern_add(struct intern *in, const void *p, size_t n)
{
	if (n == 0)
		return 0;
	if (in->n_used * 4 >= in->n_slots * 3 && !grow(in)) {
		in->refused++;
		return 0;
	}
	size_t at = hash_text(p, n) & (in->n_slots - 1);
	for (; in->slots[at]; at = (at + 1) & (in->n_slots - 1)) {
		size_t have;
		const char *text = intern_text(in, in->slots[at], &have);
		if (have == n && memcmp(text, p, n) == 0)
			return in->slots[at];
	}
	uint32_t number = intern_append(in, p, n);
	if (number) {
		in->slots[at] = number;
		in->n_used++;
	}
	return number;
}

size_t intern_bytes(const struct intern *in)
{
	return in->bytes;
}

uint64_t intern_refused(const struct intern *in)
{
	return in->refused;
}
