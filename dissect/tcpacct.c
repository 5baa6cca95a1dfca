#include "dissect/tcpacct.h"

#include "dissect/facts.h"
#include "dissect/tcpacct_parts.h"

int tcpacct_init(struct tcpacct *ta, uint32_t max_exts)
{
	*ta = (struct tcpacct){0};
	int r = arena_init(&ta->exts, sizeof(struct flow_ext), max_exts, false);
	if (r == 0)
		r = arena_init(&ta->few, TCPACCT_FEW_RANGES * sizeof(struct flow_range), max_exts, false);
	if (r == 0)
		r = arena_init(&ta->many, TCPACCT_MAX_RANGES * sizeof(struct flow_range), max_exts / 4 + 1,
			       false);
	if (r < 0)
		tcpacct_done(ta);
	return r;
}

void tcpacct_done(struct tcpacct *ta)
{
	arena_done(&ta->many);
	arena_done(&ta->few);
	arena_done(&ta->exts);
}

void tcpacct_clear(struct tcpacct *ta)
{
	arena_clear(&ta->exts);
	arena_clear(&ta->few);
	arena_clear(&ta->many);
}

struct flow_ext *tcpacct_ext(struct tcpacct *ta, struct flow *f)
{
	if (!f->ext)
		f->ext = arena_get(&ta->exts);
	f->state &= ~(uint32_t)FLOW_SLOT_ONLY;
	return tcpacct_ext_of(ta, f);
}

/* Moves positions down before they could pass 2^31. */
static bool keep_small(struct tcpacct *ta, struct flow *f, struct tcpacct_segment *ret)
{
	for (unsigned dir = 0; dir < 2; dir++)
		if ((f->dir[dir].low | f->dir[dir].acked) >= TCPACCT_HORIZON)
			if (!tcpacct_rebase(ta, f, dir, &ret->rebased[dir]))
				return false;
	return true;
}

static void note_open(struct flow *f, unsigned dir, const struct segment *seg)
{
	if (seg->payload_bytes)
		f->state |= FLOW_PAYLOAD;
	if (dir == 1 && !(seg->tcp_flags & SEGMENT_RST))
		f->state |= FLOW_ANSWERED;
	if (flow_has(f, FLOW_ANSWERED) && dir == 0 && (seg->tcp_flags & SEGMENT_ACK))
		f->state |= FLOW_TCP_OPEN;
	if (seg->tcp_flags & SEGMENT_URG)
		f->flags |= FACTS_URGENT;
}

/* Midstream, and S is seen for the first time after R acknowledged something of it: S's own number is the
 * better start, unless so much was acknowledged since that it should not be given up. A handshake's numbers
 * are better still. */
static bool rests_on_ack(const struct flow *f, unsigned dir, uint32_t seq)
{
	const struct flow_dir *d = &f->dir[dir];
	if (d->packets || d->low || f->ext || d->acked > TCPACCT_SLACK_BYTES)
		return false;
	uint32_t away = seq - d->base + TCPACCT_SLACK_BYTES;
	return away <= 2 * TCPACCT_SLACK_BYTES &&
	       !flow_has(f, FLOW_DIR(FLOW_SYN_0, 0) | FLOW_DIR(FLOW_SYN_0, 1));
}

static uint32_t ahead(uint32_t number, uint32_t of)
{
	return (int32_t)(number - of) > 0 ? number - of : 0;
}

static void begin_at(struct flow *f, unsigned dir, uint32_t seq)
{
	struct flow_dir *d = &f->dir[dir];
	if (flow_has(f, FLOW_DIR(FLOW_BASE_0, dir))) {
		d->acked = ahead(d->base + d->acked, seq);
		d->edge = ahead(d->base + d->edge, seq);
	}
	d->base = seq;
	f->state |= FLOW_DIR(FLOW_BASE_0, dir);
}

/* R acknowledges; at: up to where. false: not a regular acknowledgement. */
static bool ack_regular(struct flow *f, unsigned sender, uint32_t at, uint32_t window)
{
	struct flow_dir *d = &f->dir[sender];
	bool bound = flow_has(f, FLOW_DIR(FLOW_EDGE_0, sender)), fin = flow_has(f, FLOW_DIR(FLOW_FIN_0, sender));
	bool of_fin = fin && at == d->low + 1;
	if (at < d->acked || (at > d->acked && (!bound || at > d->edge + of_fin)) || (at == 1 && !d->low) ||
	    (fin && at > d->low + 1))
		return false;
	uint32_t edge = at + window, acked = at - of_fin;
	uint32_t state = f->state | FLOW_DIR(FLOW_SEEN_ACK_0 | FLOW_EDGE_0, sender);
	state |= of_fin ? FLOW_DIR(FLOW_FIN_ACKED_0, sender) : 0;
	if (acked > d->acked) {
		state &= ~FLOW_DIR(FLOW_STEP_ONE_0, sender);
		state |= acked - d->acked == 1 ? FLOW_DIR(FLOW_STEP_ONE_0, sender) : 0;
		d->acked = acked;
	}
	d->edge = !bound || edge > d->edge ? edge : d->edge;
	f->state = state;
	return true;
}

/* What nearly every segment is: payload that comes next or none, and an acknowledgement that neither goes back nor
 * beyond what R advertised, in a flow to which nothing out of the order has happened. Then all of the rules below
 * come down to this. */
static bool add_regular(struct flow *f, unsigned dir, const struct segment *seg, struct tcpacct_segment *ret)
{
	enum { ODD = SEGMENT_SYN | SEGMENT_RST | SEGMENT_URG | SEGMENT_ACK };
	static const uint32_t known = FLOW_BASE_0 | FLOW_BASE_0 << 1;
	struct flow_dir *s = &f->dir[dir], *r = &f->dir[!dir];
	uint32_t position = seg->tcp_seq - s->base, n = seg->payload_bytes, end = s->low + n;
	if ((seg->tcp_flags & ODD) != SEGMENT_ACK || (f->ext && !flow_has(f, FLOW_SLOT_ONLY)) ||
	    (f->state & (known | FLOW_RST)) != known)
		return false;
	/* packets: where S began is no guess any more */
	if (!s->packets || n >= TCPACCT_HORIZON || (s->low | s->acked | r->low | r->acked) >= TCPACCT_HORIZON)
		return false;
	bool fin = seg->tcp_flags & SEGMENT_FIN;
	if ((n || fin) && (position != s->low || flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)) ||
			   end > s->acked + TCPACCT_HORIZON || (fin && s->acked > end)))
		return false;
	if (!ack_regular(f, !dir, seg->tcp_ack - r->base, tcpacct_window_bytes(f, dir, seg)))
		return false;
	if (n)
		*ret = (struct tcpacct_segment){.position = position, .new_bytes = n, .placed = true};
	s->low = end;
	uint32_t state = f->state;
	state |= n ? FLOW_PAYLOAD : 0;
	state |= fin ? FLOW_DIR(FLOW_FIN_0, dir) : 0;
	state |= dir == 1 ? FLOW_ANSWERED : state & FLOW_ANSWERED ? FLOW_TCP_OPEN : 0;
	f->state = state;
	return true;
}

enum tcpacct_verdict tcpacct_add(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg,
				 struct tcpacct_segment *ret)
{
	*ret = (struct tcpacct_segment){0};
	if (add_regular(f, dir, seg, ret))
		return TCPACCT_COUNTED;
	uint8_t bits = seg->tcp_flags;
	if (((bits & SEGMENT_SYN) || f->ext) && tcpacct_takes_over(ta, f, dir, seg))
		return TCPACCT_REUSED;
	if (!keep_small(ta, f, ret))
		return TCPACCT_NO_ROOM;
	bool ignore = false;
	if (bits & SEGMENT_SYN)
		tcpacct_syn(ta, f, dir, seg, &ignore);
	if (ignore)
		return TCPACCT_COUNTED;
	if (bits & SEGMENT_RST) {
		/* neither its acknowledgement nor its payload (RFC 9293 3.5.2) is the stream's */
		f->state |= FLOW_RST;
		return TCPACCT_COUNTED;
	}
	struct flow_dir *d = &f->dir[dir];
	if (!flow_has(f, FLOW_DIR(FLOW_BASE_0, dir)) || rests_on_ack(f, dir, seg->tcp_seq))
		begin_at(f, dir, seg->tcp_seq);
	note_open(f, dir, seg);
	int64_t position = tcpacct_position(d, seg->tcp_seq + (bits & SEGMENT_SYN ? 1 : 0));
	int64_t end = position + seg->payload_bytes;
	if (f->ext) {
		if (bits & SEGMENT_ACK)
			tcpacct_second_base(ta, f, !dir, seg);
		tcpacct_sent(ta, f, dir, end);
	}
	if (seg->payload_bytes) {
		bool placed = tcpacct_data(ta, f, dir, position, seg->payload_bytes, &ret->new_bytes);
		ret->placed = placed && position >= 0;
		ret->position = position >= 0 ? (uint32_t)position : 0;
	}
	if (bits & SEGMENT_FIN)
		tcpacct_fin(ta, f, dir, end);
	if (bits & SEGMENT_ACK)
		tcpacct_ack(ta, f, !dir, seg);
	return TCPACCT_COUNTED;
}

uint64_t tcpacct_headline(const struct tcpacct *ta, const struct flow *f, unsigned dir)
{
	const struct flow_dir *d = &f->dir[dir];
	bool step = flow_has(f, FLOW_DIR(FLOW_STEP_ONE_0, dir)) && flow_has(f, FLOW_DIR(FLOW_FIN_0, !dir));
	if (!f->ext && !step && flow_has(f, FLOW_DIR(FLOW_SEEN_ACK_0, dir)))
		return d->acked;
	struct tcpacct_totals t;
	tcpacct_totals(ta, f, dir, &t);
	if (!f->dir[!dir].packets)
		return t.unique;
	return t.acked - t.step_one;
}

static bool captured(const struct flow_dir *d, const struct ranges *r, uint32_t position)
{
	return position < d->low || ranges_within(r, position, position + 1);
}

/* What the byte below acked looks like when the FIN was not captured. */
static void guess_close(const struct flow *f, unsigned dir, const struct ranges *r,
			struct tcpacct_totals *ret)
{
	const struct flow_dir *d = &f->dir[dir];
	if (!d->acked || flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)) || captured(d, r, d->acked - 1))
		return;
	if (!d->packets && !flow_has(f, FLOW_DIR(FLOW_FIN_0, !dir) | FLOW_RST))
		return; /* nothing of S is ever captured, and nothing hints at an end */
	ret->close_unseen = true;
	ret->step_one =
	    flow_has(f, FLOW_DIR(FLOW_STEP_ONE_0, dir)) && flow_has(f, FLOW_DIR(FLOW_FIN_0, !dir));
}

void tcpacct_totals(const struct tcpacct *ta, const struct flow *f, unsigned dir, struct tcpacct_totals *ret)
{
	const struct flow_dir *d = &f->dir[dir];
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	static const struct flow_ext_dir none;
	const struct flow_ext_dir *xd = x ? &x->dir[dir] : &none;
	struct ranges r = tcpacct_ranges(ta, xd);
	uint32_t low = d->low, limit = UINT32_MAX;
	uint32_t high = tcpacct_high(ta, f, dir);
	*ret = (struct tcpacct_totals){
	    .acked = xd->offset_bytes + d->acked, .dup = xd->dup_bytes, .oow = xd->oow_bytes};
	if (flow_has(f, FLOW_DIR(FLOW_EDGE_0, dir)))
		limit = d->edge > low ? d->edge : low;
	ret->oow += high > limit ? ranges_within(&r, limit, high) : 0;
	if (flow_has(f, FLOW_DIR(FLOW_FIN_0, dir))) {
		uint32_t fin = tcpacct_fin_position(ta, f, dir);
		ret->after_fin = high > fin;
		limit = fin < limit ? fin : limit;
	}
	low = low < limit ? low : limit;
	uint64_t missing = xd->missing_bytes;
	uint64_t below = xd->offset_bytes + (low < d->acked ? low : d->acked) +
			 ranges_within(&r, 0, d->acked < limit ? d->acked : limit);
	uint64_t all = xd->offset_bytes + low + ranges_within(&r, 0, limit);
	ret->confirmed = below > missing ? below - missing : 0;
	ret->unique = all > missing ? all - missing : 0;
	ret->gap = ret->acked - ret->confirmed;
	ret->unacked = ret->unique - ret->confirmed;
	guess_close(f, dir, &r, ret);
}

void tcpacct_settle(struct tcpacct *ta, struct flow *f)
{
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x)
		return;
	for (unsigned dir = 0; dir < 2; dir++) {
		if (!x->dir[dir].held.valid)
			continue;
		x->dir[dir].held.valid = 0;
		ta->stats.ack_beyond_window++;
		f->flags |= FACTS_ACK_BEYOND;
	}
}

void tcpacct_release(struct tcpacct *ta, struct flow *f)
{
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x)
		return;
	for (unsigned dir = 0; dir < 2; dir++) {
		struct ranges empty = {0};
		tcpacct_store_ranges(ta, &x->dir[dir], &empty);
	}
	arena_put(&ta->exts, f->ext);
	f->ext = 0;
	f->state &= ~(uint32_t)FLOW_SLOT_ONLY;
}
