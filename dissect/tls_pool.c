#include "dissect/tls_pool.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096, SLAB_PIECES = 64, GATHER_ROUNDS = TLS_POOL_MAX_PIECES_PER_DIR + 1 };

struct tls_app_pool {
	struct tls_piece **slabs;
	uint32_t n_pieces, max_pieces; /* allocated, limit */
	uint32_t free_list;            /* index + 1 */
	uint32_t hand;                 /* next to be thrown out */
	uint64_t evicted;
	uint32_t buckets[BUCKETS]; /* index + 1 */
};

static struct tls_piece *piece_at(const struct tls_app_pool *pool, uint32_t link)
{
	uint32_t i = link - 1;
	return &pool->slabs[i / SLAB_PIECES][i % SLAB_PIECES];
}

/* flow is the owner's own number, not a sender's: mixing is enough. */
static uint32_t bucket_of(uint64_t flow, unsigned dir)
{
	uint64_t x = (flow ^ (uint64_t)dir << 63) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(x >> 52) % BUCKETS;
}

struct tls_app_pool *tls_app_pool_new(size_t max_bytes)
{
	struct tls_app_pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	size_t slabs = (max_bytes ? max_bytes : (size_t)16 << 20) / (SLAB_PIECES * sizeof(struct tls_piece));
	slabs = slabs ? slabs : 1;
	pool->max_pieces = (uint32_t)slabs * SLAB_PIECES;
	pool->slabs = calloc(slabs, sizeof *pool->slabs);
	if (!pool->slabs) {
		free(pool);
		return NULL;
	}
	return pool;
}

void tls_app_pool_free(struct tls_app_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->n_pieces; i += SLAB_PIECES)
		free(pool->slabs[i / SLAB_PIECES]);
	free(pool->slabs);
	free(pool);
}

size_t tls_app_pool_memory_bytes(const struct tls_app_pool *pool)
{
	return sizeof *pool + pool->max_pieces / SLAB_PIECES * sizeof *pool->slabs +
	       pool->n_pieces * sizeof(struct tls_piece);
}

uint64_t tls_app_pool_evicted(const struct tls_app_pool *pool)
{
	return pool->evicted;
}

static void piece_release(struct tls_app_pool *pool, uint32_t *link)
{
	uint32_t self = *link;
	struct tls_piece *piece = piece_at(pool, self);
	*link = piece->next;
	piece->used = 0;
	piece->next = pool->free_list;
	pool->free_list = self;
}

static bool pool_grow(struct tls_app_pool *pool)
{
	if (pool->n_pieces == pool->max_pieces)
		return false;
	struct tls_piece *slab = malloc(SLAB_PIECES * sizeof *slab);
	if (!slab)
		return false;
	pool->slabs[pool->n_pieces / SLAB_PIECES] = slab;
	for (uint32_t i = 0; i < SLAB_PIECES; i++) {
		slab[i].used = 0;
		slab[i].next = pool->free_list;
		pool->free_list = ++pool->n_pieces;
	}
	return true;
}

static void pool_evict(struct tls_app_pool *pool)
{
	if (!pool->n_pieces)
		return;
	pool->hand = pool->hand % pool->n_pieces + 1;
	struct tls_piece *victim = piece_at(pool, pool->hand);
	uint32_t *link = &pool->buckets[bucket_of(victim->flow, victim->dir)];
	while (*link != pool->hand)
		link = &piece_at(pool, *link)->next;
	piece_release(pool, link);
	pool->evicted++;
}

static struct tls_piece *piece_take(struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	if (!pool->free_list && !pool_grow(pool))
		pool_evict(pool);
	uint32_t self = pool->free_list;
	if (!self)
		return NULL;
	struct tls_piece *piece = piece_at(pool, self);
	pool->free_list = piece->next;
	uint32_t *bucket = &pool->buckets[bucket_of(flow, dir)];
	piece->flow = flow;
	piece->dir = (uint8_t)dir;
	piece->used = 1;
	piece->next = *bucket;
	*bucket = self;
	return piece;
}

static bool piece_is(const struct tls_piece *piece, uint64_t flow, unsigned dir)
{
	return piece->flow == flow && piece->dir == dir;
}

/* Joins small neighbours, so that a stream of one-byte segments in any order needs few pieces. */
static bool piece_join(struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position,
		       const uint8_t *p, uint32_t n)
{
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		struct tls_piece *piece = piece_at(pool, link);
		if (!piece_is(piece, flow, dir) || piece->wire_n != piece->n ||
		    piece->n + n > sizeof piece->bytes)
			continue;
		if (piece->position + piece->n == position) {
			memcpy(piece->bytes + piece->n, p, n);
		} else if (position + n == piece->position) {
			memmove(piece->bytes + n, piece->bytes, piece->n);
			memcpy(piece->bytes, p, n);
			piece->position = position;
		} else {
			continue;
		}
		piece->n = (uint16_t)(piece->n + n);
		piece->wire_n = piece->n;
		return true;
	}
	return false;
}

unsigned tls_pool_count(const struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position)
{
	unsigned n = 0;
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		const struct tls_piece *piece = piece_at(pool, link);
		n += piece_is(piece, flow, dir) && piece->position > position;
	}
	return n;
}

bool tls_pool_hold(struct tls_app_pool *pool, const struct tls_app_segment *seg)
{
	const bool whole = seg->captured_bytes == seg->bytes;
	if (whole && seg->captured_bytes < TLS_POOL_PIECE_BYTES / 4 &&
	    piece_join(pool, seg->flow, seg->dir, seg->position, seg->payload, seg->captured_bytes))
		return true;
	uint32_t at = 0;
	do {
		struct tls_piece *piece = piece_take(pool, seg->flow, seg->dir);
		if (!piece)
			return false;
		uint32_t n = seg->captured_bytes - at;
		n = n < TLS_POOL_PIECE_BYTES ? n : TLS_POOL_PIECE_BYTES;
		piece->position = seg->position + at;
		piece->n = (uint16_t)n;
		if (n)
			memcpy(piece->bytes, seg->payload + at, n);
		at += n;
		piece->wire_n = at == seg->captured_bytes ? n + (seg->bytes - at) : n;
	} while (at < seg->captured_bytes);
	return true;
}

const struct tls_piece *tls_pool_first(const struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	const struct tls_piece *first = NULL;
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		const struct tls_piece *piece = piece_at(pool, link);
		if (piece_is(piece, flow, dir) && (!first || piece->position < first->position))
			first = piece;
	}
	return first;
}

/* The piece that has the byte at position; of several the one that tls_pool_first would give, so that where
 * copies differ everybody reads the same one. */
static const struct tls_piece *piece_over(const struct tls_app_pool *pool, uint64_t flow, unsigned dir,
					  uint32_t position)
{
	const struct tls_piece *best = NULL;
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		const struct tls_piece *piece = piece_at(pool, link);
		if (!piece_is(piece, flow, dir) || piece->position > position ||
		    piece->position + piece->n <= position)
			continue;
		if (!best || piece->position < best->position)
			best = piece;
	}
	return best;
}

/* Whether a piece covers position on the wire without having its byte. */
static bool piece_cut_at(const struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position)
{
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		const struct tls_piece *piece = piece_at(pool, link);
		if (piece_is(piece, flow, dir) && piece->position <= position &&
		    piece->position + piece->wire_n > position)
			return true;
	}
	return false;
}

size_t tls_pool_gather(const struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position,
		       uint8_t *to, size_t max, bool *ret_cut)
{
	size_t got = 0;
	for (int round = 0; round < GATHER_ROUNDS && got < max; round++) {
		const struct tls_piece *piece = piece_over(pool, flow, dir, position);
		if (!piece)
			break;
		uint32_t skip = position - piece->position, n = piece->n - skip;
		n = n < max - got ? n : (uint32_t)(max - got);
		memcpy(to + got, piece->bytes + skip, n);
		got += n;
		position += n;
	}
	*ret_cut = got < max && piece_cut_at(pool, flow, dir, position);
	return got;
}

void tls_pool_drop(struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t position)
{
	uint32_t *link = &pool->buckets[bucket_of(flow, dir)];
	while (*link) {
		struct tls_piece *piece = piece_at(pool, *link);
		if (piece_is(piece, flow, dir) && piece->position + piece->wire_n <= position)
			piece_release(pool, link);
		else
			link = &piece->next;
	}
}

void tls_pool_shift(struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t by)
{
	for (uint32_t link = pool->buckets[bucket_of(flow, dir)]; link; link = piece_at(pool, link)->next) {
		struct tls_piece *piece = piece_at(pool, link);
		if (piece_is(piece, flow, dir))
			piece->position = piece->position > by ? piece->position - by : 0;
	}
}
