#include "dissect/tcpacct_parts.h"

#include "dissect/facts.h"

static uint32_t max32(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

void tcpacct_store_ranges(struct tcpacct *ta, struct flow_ext_dir *xd, const struct ranges *r)
{
	xd->n_ranges = (uint16_t)r->n;
	if (r->n || !xd->ranges)
		return;
	arena_put(xd->max_ranges == TCPACCT_FEW_RANGES ? &ta->few : &ta->many, xd->ranges);
	xd->ranges = 0;
	xd->max_ranges = 0;
}

/* More room for ranges: a first block, or the large one for the small one. */
static bool widen(struct tcpacct *ta, struct flow_ext_dir *xd)
{
	if (xd->max_ranges == TCPACCT_MAX_RANGES)
		return false;
	bool few = xd->max_ranges == 0;
	uint32_t id = arena_get(few ? &ta->few : &ta->many);
	if (!id)
		return false;
	if (!few) {
		struct flow_range *to = arena_at(&ta->many, id);
		const struct flow_range *from = arena_at(&ta->few, xd->ranges);
		for (uint32_t i = 0; i < xd->n_ranges; i++)
			to[i] = from[i];
		arena_put(&ta->few, xd->ranges);
	}
	xd->ranges = id;
	xd->max_ranges = few ? TCPACCT_FEW_RANGES : TCPACCT_MAX_RANGES;
	return true;
}

static void set_full(struct tcpacct *ta, struct flow *f)
{
	if (!(f->flags & FACTS_INTERVALS_FULL))
		ta->stats.intervals_full++;
	f->flags |= FACTS_INTERVALS_FULL;
}

uint32_t tcpacct_fin_position(const struct tcpacct *ta, const struct flow *f, unsigned dir)
{
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	return x && x->dir[dir].fin_valid ? x->dir[dir].fin : f->dir[dir].low;
}

uint32_t tcpacct_high(const struct tcpacct *ta, const struct flow *f, unsigned dir)
{
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x || !x->dir[dir].n_ranges)
		return f->dir[dir].low;
	struct ranges r = tcpacct_ranges(ta, &x->dir[dir]);
	return r.at[r.n - 1].to;
}

uint32_t tcpacct_limit(const struct flow *f, unsigned dir)
{
	const struct flow_dir *x = &f->dir[dir];
	uint32_t ref = max32(x->low, x->acked);
	if (!flow_has(f, FLOW_DIR(FLOW_EDGE_0, dir)))
		return ref + TCPACCT_HORIZON;
	uint32_t window = x->edge > x->acked ? x->edge - x->acked : 0;
	uint64_t limit = (uint64_t)max32(x->edge, ref) + window + TCPACCT_SLACK_BYTES;
	uint64_t horizon = (uint64_t)x->acked + TCPACCT_HORIZON;
	return (uint32_t)(limit < horizon ? limit : horizon);
}

bool tcpacct_continues(const struct flow *f, unsigned dir, const struct segment *seg)
{
	if (!flow_has(f, FLOW_DIR(FLOW_BASE_0, dir)))
		return true;
	int64_t at = tcpacct_position(&f->dir[dir], seg->tcp_seq), limit = tcpacct_limit(f, dir);
	return at <= limit && at + TCPACCT_SLACK_BYTES >= (int64_t)f->dir[dir].acked;
}

/* Gives up the lowest hole, or its part below limit: low moves over it. */
static void write_off(struct tcpacct *ta, struct flow *f, unsigned dir, struct flow_ext_dir *xd,
		      uint32_t limit)
{
	struct flow_dir *d = &f->dir[dir];
	struct ranges r = tcpacct_ranges(ta, xd);
	uint32_t end = r.n && r.at[0].from < limit ? r.at[0].from : limit;
	if (flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)) && !xd->fin_valid) {
		xd->fin = d->low;
		xd->fin_valid = true;
	}
	if (end > d->acked)
		set_full(ta, f); /* nobody has acknowledged it: it may still come */
	xd->missing_bytes += end - d->low;
	xd->written_off = end;
	d->low = ranges_join(&r, end);
	tcpacct_store_ranges(ta, xd, &r);
}

/* Data above a hole. */
static uint32_t add_above(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t from, uint32_t to)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (!x) {
		set_full(ta, f);
		return 0;
	}
	struct flow_ext_dir *xd = &x->dir[dir];
	struct flow_dir *d = &f->dir[dir];
	uint32_t new_bytes = 0;
	for (;;) {
		struct ranges r = tcpacct_ranges(ta, xd);
		if (from > d->low && ranges_add(&r, from, to, &new_bytes)) {
			tcpacct_store_ranges(ta, xd, &r);
			return new_bytes;
		}
		if (from <= d->low) { /* holes were written off up to here */
			uint32_t had = ranges_within(&r, d->low, to);
			new_bytes = to > d->low ? to - d->low - had : 0;
			d->low = ranges_join(&r, max32(d->low, to));
			tcpacct_store_ranges(ta, xd, &r);
			return new_bytes;
		}
		if (widen(ta, xd))
			continue;
		if (!r.n) { /* no block left at all */
			set_full(ta, f);
			return 0;
		}
		write_off(ta, f, dir, xd, from);
	}
}

/* Data at or below low, with something known above it or behind it. */
static uint32_t add_low(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t from, uint32_t to)
{
	struct flow_dir *d = &f->dir[dir];
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	uint32_t new_bytes = to > d->low ? to - d->low : 0;
	if (!x) {
		d->low = max32(d->low, to);
		return new_bytes;
	}
	struct flow_ext_dir *xd = &x->dir[dir];
	if (from < xd->written_off)
		set_full(ta, f); /* whether it fills what was written off cannot be told any more */
	if (!new_bytes)
		return 0;
	struct ranges r = tcpacct_ranges(ta, xd);
	new_bytes -= ranges_within(&r, d->low, to);
	d->low = ranges_join(&r, to);
	tcpacct_store_ranges(ta, xd, &r);
	return new_bytes;
}

static void count_oow(struct tcpacct *ta, struct flow *f, unsigned dir, uint64_t n)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	ta->stats.segments_oow++;
	if (x)
		x->dir[dir].oow_bytes += n;
}

static void count_dup(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t n)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	ta->stats.segments_dup++;
	f->state |= FLOW_SUSPECT;
	if (x)
		x->dir[dir].dup_bytes += n;
}

/* Left of position 0: a keep-alive repeats one byte, anything else never was part of the stream. */
static void count_left(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position, uint32_t n)
{
	if (position == -1 && n == 1)
		count_dup(ta, f, dir, n);
	else
		count_oow(ta, f, dir, n);
}

static bool pin_fin(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t at)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (!x)
		return false;
	if (!x->dir[dir].fin_valid) {
		x->dir[dir].fin = at;
		x->dir[dir].fin_valid = true;
	}
	return true;
}

bool tcpacct_data(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position, uint32_t n,
		  uint32_t *ret_new)
{
	struct flow_dir *d = &f->dir[dir];
	int64_t end = position + n;
	*ret_new = 0;
	if (end <= 0 || position < 0) {
		uint32_t left = end <= 0 ? n : (uint32_t)-position;
		count_left(ta, f, dir, position, left);
		if (end <= 0)
			return false;
		position = 0;
	}
	bool in_order = position <= d->low;
	uint64_t horizon = (uint64_t)d->acked + TCPACCT_HORIZON + TCPACCT_SLACK_BYTES;
	bool bound = flow_has(f, FLOW_DIR(FLOW_EDGE_0, dir));
	if ((!in_order && position >= tcpacct_limit(f, dir)) || (bound && (uint64_t)end > horizon)) {
		count_oow(ta, f, dir, n);
		return false;
	}
	uint32_t from = (uint32_t)position, to = (uint32_t)end;
	if (to > d->low && flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)) && !pin_fin(ta, f, dir, d->low))
		return false; /* where the FIN stood must be kept before data goes past it */
	*ret_new = in_order ? add_low(ta, f, dir, from, to) : add_above(ta, f, dir, from, to);
	if (*ret_new < to - from)
		count_dup(ta, f, dir, to - from - *ret_new);
	return true;
}

void tcpacct_fin(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position)
{
	struct flow_dir *d = &f->dir[dir];
	if (position < 0 || (position > d->low && position > tcpacct_limit(f, dir)))
		return;
	uint32_t at = (uint32_t)position;
	if (flow_has(f, FLOW_DIR(FLOW_FIN_0, dir))) {
		struct flow_ext *x;
		if (at > tcpacct_fin_position(ta, f, dir) && (x = tcpacct_ext(ta, f)) != NULL) {
			x->dir[dir].fin_again = at;
			x->dir[dir].fin_again_valid = true;
		}
		return;
	}
	if (at + UINT32_C(1) < d->acked)
		return; /* more than it was acknowledged already: a forgery */
	if (at != tcpacct_high(ta, f, dir) || at != d->low)
		if (!pin_fin(ta, f, dir, at))
			return;
	f->state |= FLOW_DIR(FLOW_FIN_0, dir);
	if (d->acked == at + UINT32_C(1)) { /* its acknowledgement was captured first */
		d->acked = at;
		f->state |= FLOW_DIR(FLOW_FIN_ACKED_0, dir);
	}
}

void tcpacct_shift(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t by)
{
	struct flow_dir *d = &f->dir[dir];
	uint32_t captured = d->low;
	d->base -= by;
	d->acked = d->acked || flow_has(f, FLOW_DIR(FLOW_SEEN_ACK_0, dir)) ? d->acked + by : 0;
	d->edge += by;
	d->low = 0;
	f->state &= ~(uint32_t)FLOW_SLOT_ONLY;
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (x) {
		struct flow_ext_dir *xd = &x->dir[dir];
		struct ranges r = tcpacct_ranges(ta, xd);
		for (uint32_t i = 0; i < r.n; i++)
			r.at[i] = (struct flow_range){r.at[i].from + by, r.at[i].to + by};
		xd->fin += by;
		xd->fin_again += by;
		xd->written_off += by;
		xd->held.position += by;
	}
	if (captured)
		add_above(ta, f, dir, by, by + captured);
}

static uint32_t down(uint32_t value, uint32_t by)
{
	return value > by ? value - by : 0;
}

/* Old holes keep low back; half a horizon behind the acknowledgement nothing can fill them. */
static void free_low(struct tcpacct *ta, struct flow *f, unsigned dir, struct flow_ext_dir *xd)
{
	struct flow_dir *d = &f->dir[dir];
	uint32_t behind = down(d->acked, TCPACCT_HORIZON / 4);
	while (d->low < behind)
		write_off(ta, f, dir, xd, behind);
}

bool tcpacct_rebase(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t *ret_by)
{
	struct flow_dir *d = &f->dir[dir];
	bool visible = flow_has(f, FLOW_DIR(FLOW_SEEN_ACK_0, dir));
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (!x)
		return false;
	struct flow_ext_dir *xd = &x->dir[dir];
	if (flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)))
		pin_fin(ta, f, dir, d->low);
	if (visible)
		free_low(ta, f, dir, xd);
	uint32_t by = visible && d->acked < d->low ? d->acked : d->low;
	if (by < TCPACCT_HORIZON / 4)
		return true; /* a quarter of a horizon is unacknowledged: the horizon bounds it */
	struct ranges r = tcpacct_ranges(ta, xd);
	for (uint32_t i = 0; i < r.n; i++)
		r.at[i] = (struct flow_range){r.at[i].from - by, r.at[i].to - by};
	xd->offset_bytes += by;
	xd->fin = down(xd->fin, by);
	xd->fin_again = down(xd->fin_again, by);
	xd->written_off = down(xd->written_off, by);
	xd->held.position = down(xd->held.position, by);
	d->base += by;
	d->low -= by;
	d->acked = down(d->acked, by);
	d->edge = down(d->edge, by);
	*ret_by = by;
	return true;
}
