/* hello_build: makes ClientHellos and TLS records for tests, byte by byte. */
#ifndef LEAKTAP_TESTS_UNIT_HELLO_BUILD_H
#define LEAKTAP_TESTS_UNIT_HELLO_BUILD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BUILD_MAX = 140000 };

struct build {
	size_t n;
	uint8_t at[BUILD_MAX];
};

static inline void build_put(struct build *b, const void *p, size_t n)
{
	assert(b->n + n <= sizeof b->at);
	if (n)
		memcpy(b->at + b->n, p, n);
	b->n += n;
}

static inline void build_u8(struct build *b, unsigned v)
{
	build_put(b, &(uint8_t){(uint8_t)v}, 1);
}

static inline void build_u16(struct build *b, unsigned v)
{
	build_u8(b, v >> 8);
	build_u8(b, v);
}

static inline void build_text(struct build *b, const char *s)
{
	build_put(b, s, strlen(s));
}

/* Leaves room for a length of size bytes; build_close writes what came since. */
static inline size_t build_open(struct build *b, size_t size)
{
	for (size_t i = 0; i < size; i++)
		build_u8(b, 0);
	return b->n;
}

static inline void build_close(struct build *b, size_t mark, size_t size)
{
	size_t n = b->n - mark;
	for (size_t i = 0; i < size; i++)
		b->at[mark - 1 - i] = (uint8_t)(n >> (8 * i));
}

static inline void build_zeros(struct build *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		build_u8(b, 0);
}

/* Up to the extensions: version 1.2, a random, a session id, four suites of which one is GREASE. */
static inline void build_hello_head(struct build *b)
{
	build_u16(b, 0x0303);
	for (unsigned i = 0; i < 32; i++)
		build_u8(b, i * 7);
	build_u8(b, 32);
	for (unsigned i = 0; i < 32; i++)
		build_u8(b, i);
	build_u16(b, 8);
	build_u16(b, 0x3a3a);
	build_u16(b, 0x1301);
	build_u16(b, 0xc02b);
	build_u16(b, 0x002f);
	build_u8(b, 1);
	build_u8(b, 0);
}

static inline void build_sni(struct build *b, const void *name, size_t n)
{
	build_u16(b, 0);
	size_t ext = build_open(b, 2), list = build_open(b, 2);
	build_u8(b, 0);
	size_t host = build_open(b, 2);
	build_put(b, name, n);
	build_close(b, host, 2);
	build_close(b, list, 2);
	build_close(b, ext, 2);
}

static inline void build_extension(struct build *b, unsigned type, const void *body, size_t n)
{
	build_u16(b, type);
	build_u16(b, (unsigned)n);
	build_put(b, body, n);
}

/* The usual rest: ALPN h2 and http/1.1, versions GREASE, 1.3, 1.2, two signature algorithms, padding of n_pad
 * bytes. */
static inline void build_usual_extensions(struct build *b, size_t n_pad)
{
	build_extension(b, 16, "\0\x0c\x02h2\x08http/1.1", 14);
	build_extension(b, 43, "\x06\x9a\x9a\x03\x04\x03\x03", 7);
	build_extension(b, 13, "\0\x04\x04\x03\x08\x04", 6);
	build_u16(b, 21);
	size_t pad = build_open(b, 2);
	build_zeros(b, n_pad);
	build_close(b, pad, 2);
}

/* A whole body for one name; name NULL: none. */
static inline void build_hello(struct build *b, const char *name, size_t n_pad)
{
	build_hello_head(b);
	size_t block = build_open(b, 2);
	if (name)
		build_sni(b, name, strlen(name));
	build_usual_extensions(b, n_pad);
	build_close(b, block, 2);
}

/* Handshake header and body. */
static inline void build_message(struct build *b, unsigned type, const struct build *body)
{
	build_u8(b, type);
	size_t mark = build_open(b, 3);
	build_put(b, body->at, body->n);
	build_close(b, mark, 3);
}

/* In records of at most step bytes. */
static inline void build_records(struct build *b, const struct build *messages, size_t step)
{
	for (size_t at = 0; at < messages->n; at += step) {
		size_t n = messages->n - at < step ? messages->n - at : step;
		build_u8(b, 22);
		build_u16(b, 0x0301);
		build_u16(b, (unsigned)n);
		build_put(b, messages->at + at, n);
	}
}

/* A hello as it stands on the wire, in one record or in records of step bytes. */
static inline void build_client_stream(struct build *b, const char *name, size_t n_pad, size_t step)
{
	static struct build body, message;
	body.n = message.n = 0;
	build_hello(&body, name, n_pad);
	build_message(&message, 1, &body);
	build_records(b, &message, step);
}

#endif
