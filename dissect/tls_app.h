/* tls_app: application bytes of a TLS-over-TCP connection, each way, by walking record headers in sequence
 * space. RFC 8446 5.1-5.2, RFC 5246 6.2. TLS 1.2 is exact (record overhead by cipher suite); TLS 1.3 an
 * estimate whose method tls_app.c states.
 *
 * struct tls_app lives inside the flow entry for the whole life of the flow, so it is small. Positions are
 * 32-bit, relative to the direction's base, which the owner moves (tls_app_rebase) before they reach 2^31.
 * Segments that arrive ahead of a record header wait in a bounded pool. One thread. */
#ifndef LEAKTAP_DISSECT_TLS_APP_H
#define LEAKTAP_DISSECT_TLS_APP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_app_dir {
	uint32_t next;      /* position of the next record header */
	uint32_t app_bytes; /* since the last tls_app_take */
	uint16_t state;     /* see tls_app.c */
	uint8_t phase, flags;
};
struct tls_app {
	struct tls_app_dir dir[2]; /* 0: initiator sends, 1: responder sends */
};
static_assert(sizeof(struct tls_app) == 24, "inside every flow entry");

struct tls_app_pool;                                     /* per worker: segments held back, keyed by flow */
struct tls_app_pool *tls_app_pool_new(size_t max_bytes); /* 0 = 16 MiB */
void tls_app_pool_free(struct tls_app_pool *pool);
size_t tls_app_pool_memory_bytes(const struct tls_app_pool *pool);
uint64_t
tls_app_pool_evicted(const struct tls_app_pool *pool); /* pieces thrown out because the pool was full */

struct tls_app_segment {
	uint64_t flow;     /* key of the flow in the pool: unique among living flows */
	unsigned dir;      /* 0 or 1 */
	uint32_t position; /* of payload[0] */
	uint32_t acked; /* position below which the far end has everything: what was not captured by then is a
			   gap */
	const uint8_t *payload;
	uint32_t captured_bytes, bytes; /* captured <= bytes (sliced captures) */
};

/* A zeroed tls_app is ready for a stream that starts with TLS at position 0; anything else turns it off by
 * itself. A stream picked up in the middle counts (as an estimate) when its first segment begins with a
 * record header. */
void tls_app_start(struct tls_app *ta, unsigned dir,
		   uint32_t position); /* TLS starts here (STARTTLS, CONNECT, ...) */
void tls_app_add(struct tls_app *ta, struct tls_app_pool *pool, const struct tls_app_segment *seg);
/* What a reader of whole hellos knows better than the walker: the client offered early data; the
 * ServerHello's choice, for a ServerHello spread over several records. Both may be left out. */
void tls_app_offers_early_data(struct tls_app *ta);
void tls_app_server_hello(struct tls_app *ta, uint16_t version, uint16_t cipher);
/* The version is known or was inferred and no direction turned out not to be TLS: application bytes mean
 * something, 0 included. */
bool tls_app_known(const struct tls_app *ta);
bool tls_app_estimated(
    const struct tls_app *ta); /* 1.3 with handshake parts guessed, lost headers, CBC padding, ... */
bool tls_app_early_data(
    const struct tls_app *ta); /* application records were sent before the handshake ended */
uint32_t tls_app_take(struct tls_app *ta, unsigned dir); /* bytes since the last take */
void tls_app_rebase(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t by);
/* Counts what is held as far as it can be, then drops it: call it before the last tls_app_take. */
void tls_app_end(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow);
/* After tls_app_end: the far end had acknowledged everything below acked (the FIN not counted); what was not
 * captured of it counts too. */
void tls_app_tail(struct tls_app *ta, unsigned dir, uint32_t acked);

#endif
