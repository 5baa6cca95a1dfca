/* bytes: a read cursor over borrowed memory with sticky failure. A read past the end yields zeros, consumes nothing
 * and sets failed; the caller checks once at the end. Big-endian unless the name says le. */
#ifndef LEAKTAP_DISSECT_BYTES_H
#define LEAKTAP_DISSECT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed, not terminated. */
struct slice {
	const uint8_t *p;
	size_t n;
};

/* at <= end */
struct bytes {
	const uint8_t *at, *end;
	bool failed;
};

static inline struct bytes bytes_of(const void *p, size_t n)
{
	const uint8_t *b = p;
	return (struct bytes){b, b ? b + n : b, false};
}

static inline size_t bytes_left(const struct bytes *b)
{
	return (size_t)(b->end - b->at);
}

/* The next n bytes, or NULL and failed. n may be 0. */
static inline const uint8_t *bytes_take(struct bytes *b, size_t n)
{
	if (b->failed || bytes_left(b) < n) {
		b->failed = true;
		return NULL;
	}
	const uint8_t *p = b->at;
	b->at += n;
	return p;
}

static inline uint8_t bytes_u8(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 1);
	return p ? p[0] : 0;
}

static inline uint16_t bytes_u16(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 2);
	return (uint16_t)(p ? p[0] << 8 | p[1] : 0);
}

static inline uint32_t bytes_u24(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 3);
	return p ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static inline uint32_t bytes_u32(struct bytes *b)
{
	const uint8_t *p = bytes_take(b, 4);
	return p ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

static inline uint64_t bytes_u64(struct bytes *b)
{
	uint64_t hi = bytes_u32(b);
	return hi << 32 | bytes_u32(b);
}

static inline bool bytes_skip(struct bytes *b, size_t n)
{
	return bytes_take(b, n) != NULL;
}

/* A sub-cursor over the next n bytes; on shortage an empty failed one, and b fails too. */
static inline struct bytes bytes_block(struct bytes *b, size_t n)
{
	const uint8_t *p = bytes_take(b, n);
	if (!p)
		return (struct bytes){b->at, b->at, true};
	return (struct bytes){p, p + n, false};
}

static inline struct slice bytes_slice(struct bytes *b, size_t n)
{
	const uint8_t *p = bytes_take(b, n);
	return p ? (struct slice){p, n} : (struct slice){NULL, 0};
}

#endif
