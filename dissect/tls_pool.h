/* tls_pool: pieces of TLS streams that wait for the bytes before them; behind struct tls_app_pool.
 * Room-internal.
 *
 * A fixed number of pieces of fixed size, grown in slabs up to the limit, keyed by (flow, direction); when
 * all are in use the piece next in turn is thrown out, so that flows which never finish cannot lock the
 * others out. One thread. */
#ifndef LEAKTAP_DISSECT_TLS_POOL_H
#define LEAKTAP_DISSECT_TLS_POOL_H

#include "dissect/tls_app.h"

enum {
	TLS_POOL_PIECE_BYTES = 2016,
	TLS_POOL_MAX_PIECES_PER_DIR = 64, /* about 128 KiB; then what is missing is taken for lost */
};

/* bytes[0..n) captured from position on; wire_n >= n when the capture cut the segment. */
struct tls_piece {
	uint64_t flow;
	uint32_t next; /* in the bucket or free list: index + 1 */
	uint32_t position;
	uint32_t wire_n;
	uint16_t n;
	uint8_t dir, used;
	uint8_t bytes[TLS_POOL_PIECE_BYTES];
};

/* Copies the segment. false: no memory. */
bool tls_pool_hold(struct tls_app_pool *pool, const struct tls_app_segment *seg);
/* Pieces held of this direction that begin behind position. */
unsigned tls_pool_count(const struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position);
/* The piece with the lowest position, or NULL. Borrowed until the next call that changes the pool. */
const struct tls_piece *tls_pool_first(const struct tls_app_pool *pool, uint64_t flow, unsigned dir);
/* Copies what is held contiguously from position on, at most max bytes. *ret_cut: the bytes behind were sent
 * but not captured. */
size_t tls_pool_gather(const struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position,
		       uint8_t *to, size_t max, bool *ret_cut);
/* Drops pieces that end at or before position. */
void tls_pool_drop(struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position);
void tls_pool_shift(struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t by);

#endif
