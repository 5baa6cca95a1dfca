#include "dissect/tls_app.h"

#include <string.h>

#include "dissect/tls_pool.h"
#include "dissect/tls_records.h"

enum {
	LOST_AFTER_PIECES = 3, /* as many as make a TCP sender believe in a loss */
	FAR_AHEAD = 16 << 20,
	MIN_DATA_RECORD = 17,
};

/* The record that ends at next is complete. */
static void commit(struct tls_app_dir *d)
{
	if (tls_records_mode(d) != MODE_SYNC)
		return;
	d->app_bytes += d->state;
	d->state = 0;
}

/* Whether a header at p[i] is to be believed: application data (or anything at the very start of a segment),
 * and then another header or the segment's end where the record ends. */
static bool lost_header_at(const uint8_t *p, uint32_t n, uint32_t i, bool segment_start)
{
	if (n - i < TLS_RECORDS_HEADER_BYTES || !tls_records_is_header(p + i) ||
	    (p[i] != TLS_RECORDS_TYPE_DATA && !segment_start) || p[i + 2] == 0)
		return false;
	uint32_t length = (uint32_t)p[i + 3] << 8 | p[i + 4], rest = n - i - TLS_RECORDS_HEADER_BYTES;
	if (p[i] == TLS_RECORDS_TYPE_DATA && length < MIN_DATA_RECORD)
		return false;
	if (length >= rest || rest - length < TLS_RECORDS_HEADER_BYTES)
		return true;
	return tls_records_is_header(p + i + TLS_RECORDS_HEADER_BYTES + length);
}

/* Looks for a header in the segment; on success next stands on it. Linear. */
static void lost_walk(struct tls_app *ta, const struct tls_app_segment *seg)
{
	struct tls_app_dir *d = &ta->dir[seg->dir];
	const uint32_t end = seg->position + seg->bytes;
	if (end <= d->next)
		return;
	if (seg->position > d->next)
		tls_records_lost(ta, seg->dir, seg->position - d->next);
	const uint32_t from = d->next - seg->position, n = seg->captured_bytes;
	for (uint32_t i = from; i < n; i++) {
		if (i && seg->payload[i] != TLS_RECORDS_TYPE_DATA) {
			const uint8_t *hit = memchr(seg->payload + i, TLS_RECORDS_TYPE_DATA, n - i);
			if (!hit)
				break;
			i = (uint32_t)(hit - seg->payload);
		}
		if (!lost_header_at(seg->payload, n, i, i == 0))
			continue;
		if (i > from)
			tls_records_lost(ta, seg->dir, i - from);
		tls_records_mode_set(d, MODE_SYNC);
		return;
	}
	tls_records_lost(ta, seg->dir, end - d->next);
}

/* No header can be read at next. */
static void lose(struct tls_app *ta, struct tls_app_dir *d)
{
	const bool never_tls =
	    tls_records_mode(d) == MODE_START && tls_records_kind(ta) == TLS_CIPHER_UNKNOWN;
	tls_records_mode_set(d, never_tls ? MODE_OFF : MODE_LOST);
}

/* Walks a segment that covers next or lies before it. Returns true when it ends inside a header whose rest
 * may still come. */
static bool segment_walk(struct tls_app *ta, const struct tls_app_segment *seg)
{
	struct tls_app_dir *d = &ta->dir[seg->dir];
	const uint32_t end = seg->position + seg->bytes;
	const bool cut = seg->captured_bytes < seg->bytes;
	for (;;) {
		if (tls_records_mode(d) == MODE_LOST) {
			lost_walk(ta, seg);
			if (tls_records_mode(d) == MODE_LOST)
				return false;
		}
		if (tls_records_mode(d) == MODE_OFF)
			return false;
		if (d->next <= end)
			commit(d);
		if (d->next >= end)
			return false;
		const uint32_t at = d->next - seg->position;
		const uint32_t n = at < seg->captured_bytes ? seg->captured_bytes - at : 0;
		if (n && tls_records_step(ta, seg->dir, seg->payload + at, n, cut) == 0)
			continue;
		if (!cut)
			return true;
		lose(ta, d);
	}
}

/* What is missing at next, or behind the first bytes of a header there, is not going to be seen. */
static void gap(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	struct tls_app_dir *d = &ta->dir[dir];
	if (tls_records_mode(d) == MODE_START) {
		const struct tls_piece *first = tls_pool_first(pool, flow, dir);
		const bool begins =
		    first && first->n > TLS_RECORDS_HEADER_BYTES && tls_records_begin(ta, dir, first->bytes);
		if (!begins) {
			lose(ta, d);
			return;
		}
		d->next = first->position;
	}
	uint8_t bytes[TLS_RECORDS_MAX_NEED];
	bool cut;
	uint32_t n = (uint32_t)tls_pool_gather(pool, flow, dir, d->next, bytes, sizeof bytes, &cut);
	commit(d);
	if (n < TLS_RECORDS_HEADER_BYTES || tls_records_step(ta, dir, bytes, n, true) != 0)
		tls_records_mode_set(d, MODE_LOST);
	d->flags |= FLAG_ESTIMATED;
}

/* Walks held pieces in the lost state until a header is found. */
static void lost_drain(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	struct tls_app_dir *d = &ta->dir[dir];
	while (tls_records_mode(d) == MODE_LOST) {
		const struct tls_piece *piece = tls_pool_first(pool, flow, dir);
		if (!piece)
			return;
		struct tls_app_segment seg = {.flow = flow,
					      .dir = dir,
					      .position = piece->position,
					      .payload = piece->bytes,
					      .captured_bytes = piece->n,
					      .bytes = piece->wire_n};
		lost_walk(ta, &seg);
		tls_pool_drop(pool, flow, dir, d->next);
	}
}

/* One header out of what the pool holds at next; false when it has to wait for more. */
static bool held_step(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	struct tls_app_dir *d = &ta->dir[dir];
	uint8_t bytes[TLS_RECORDS_MAX_NEED];
	bool cut;
	uint32_t n = (uint32_t)tls_pool_gather(pool, flow, dir, d->next, bytes, sizeof bytes, &cut);
	if (n && tls_records_step(ta, dir, bytes, n, cut) == 0)
		return true;
	if (cut)
		lose(ta, d);
	return cut;
}

/* Goes on over what the pool holds. Each round drops a piece, steps over a record or ends. */
static void drain(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir)
{
	struct tls_app_dir *d = &ta->dir[dir];
	for (;;) {
		if (tls_records_mode(d) == MODE_LOST)
			lost_drain(ta, pool, flow, dir);
		const struct tls_piece *first = tls_pool_first(pool, flow, dir);
		if (!first || tls_records_mode(d) == MODE_OFF) {
			tls_pool_drop(pool, flow, dir, UINT32_MAX);
			d->flags &= (uint8_t)~FLAG_HELD;
			return;
		}
		if (first->position > d->next)
			return;
		const uint32_t end = first->position + first->wire_n;
		if (end >= d->next)
			commit(d);
		if (end <= d->next)
			tls_pool_drop(pool, flow, dir, d->next);
		else if (held_step(ta, pool, flow, dir))
			tls_pool_drop(pool, flow, dir,
				      d->next -
					  1); /* a piece that ends at next says that the record is complete */
		else
			return;
	}
}

/* Is what lies at next lost? The far end has it and three more pieces came, or too much waits for it. */
static bool is_gap(const struct tls_app_dir *d, const struct tls_app_pool *pool,
		   const struct tls_app_segment *seg)
{
	unsigned behind = tls_pool_count(pool, seg->flow, seg->dir, d->next);
	return behind >= TLS_POOL_MAX_PIECES_PER_DIR || (behind >= LOST_AFTER_PIECES && seg->acked > d->next);
}

static void hold(struct tls_app *ta, struct tls_app_pool *pool, const struct tls_app_segment *seg)
{
	struct tls_app_dir *d = &ta->dir[seg->dir];
	bool stored = tls_pool_hold(pool, seg);
	d->flags |= FLAG_HELD;
	drain(ta, pool, seg->flow, seg->dir);
	if (!(d->flags & FLAG_HELD) || (stored && !is_gap(d, pool, seg)))
		return;
	gap(ta, pool, seg->flow, seg->dir);
	drain(ta, pool, seg->flow, seg->dir);
}

void tls_app_add(struct tls_app *ta, struct tls_app_pool *pool, const struct tls_app_segment *seg)
{
	struct tls_app_dir *d = &ta->dir[seg->dir];
	if (tls_records_mode(d) == MODE_OFF || !seg->bytes)
		return;
	const uint32_t known = d->next > seg->acked ? d->next : seg->acked;
	if (seg->acked && seg->position > known && seg->position - known > FAR_AHEAD)
		return;
	const bool ahead = seg->position > d->next && tls_records_mode(d) != MODE_LOST;
	if (d->flags & FLAG_HELD || ahead) {
		hold(ta, pool, seg);
		return;
	}
	if (!segment_walk(ta, seg))
		return;
	/* The segment ends inside a header: keep that much. */
	const uint32_t skip = d->next - seg->position;
	struct tls_app_segment rest = *seg;
	rest.position += skip;
	rest.payload += skip;
	rest.bytes -= skip;
	rest.captured_bytes -= skip;
	hold(ta, pool, &rest);
}

void tls_app_start(struct tls_app *ta, unsigned dir, uint32_t position)
{
	ta->dir[dir] = (struct tls_app_dir){.next = position, .flags = ta->dir[dir].flags & FLAG_HELD};
}

bool tls_app_known(const struct tls_app *ta)
{
	return tls_records_mode(&ta->dir[0]) != MODE_OFF && tls_records_mode(&ta->dir[1]) != MODE_OFF &&
	       tls_records_kind(ta) != TLS_CIPHER_UNKNOWN;
}

bool tls_app_estimated(const struct tls_app *ta)
{
	const bool one_sided =
	    tls_records_mode(&ta->dir[0]) == MODE_START || tls_records_mode(&ta->dir[1]) == MODE_START;
	return one_sided || (ta->dir[0].flags | ta->dir[1].flags) & FLAG_ESTIMATED ||
	       !tls_records_kind_is_seen(ta) || tls_cipher_is_13(tls_records_kind(ta)) ||
	       tls_cipher_is_average(tls_records_kind(ta));
}

bool tls_app_early_data(const struct tls_app *ta)
{
	return ta->dir[0].flags & FLAG0_EARLY_SEEN;
}

uint32_t tls_app_take(struct tls_app *ta, unsigned dir)
{
	uint32_t n = ta->dir[dir].app_bytes;
	ta->dir[dir].app_bytes = 0;
	return n;
}

void tls_app_rebase(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow, unsigned dir, uint32_t by)
{
	struct tls_app_dir *d = &ta->dir[dir];
	d->next = d->next > by ? d->next - by : 0;
	if (d->flags & FLAG_HELD)
		tls_pool_shift(pool, flow, dir, by);
}

void tls_app_end(struct tls_app *ta, struct tls_app_pool *pool, uint64_t flow)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		/* Every gap that is closed drops at least one piece. */
		while (ta->dir[dir].flags & FLAG_HELD) {
			gap(ta, pool, flow, dir);
			drain(ta, pool, flow, dir);
		}
	}
}

void tls_app_tail(struct tls_app *ta, unsigned dir, uint32_t acked)
{
	struct tls_app_dir *d = &ta->dir[dir];
	const enum tls_records_mode mode = tls_records_mode(d);
	if (mode == MODE_OFF || mode == MODE_START || acked < d->next)
		return;
	commit(d);
	if (acked == d->next)
		return;
	if (mode == MODE_SYNC)
		tls_records_mode_set(d, MODE_LOST);
	tls_records_lost(ta, dir, acked - d->next);
}
