#include <string.h>

#include "dissect/track_parts.h"

enum { PORT_WELL_KNOWN = 1024 };

/* State bits that have a twin for direction 1. */
static const uint32_t paired_bits = FLOW_BASE_0 | FLOW_SYN_0 | FLOW_EDGE_0 | FLOW_FIN_0 | FLOW_FIN_ACKED_0 |
				    FLOW_SEEN_ACK_0 | FLOW_STEP_ONE_0;

static const uint32_t closing_bits = FLOW_RST | FLOW_FIN_0 | FLOW_FIN_0 << 1;
/* Nothing is to come that could be read. */
static const uint32_t all_said = FLOW_FIN_ACKED_0 | FLOW_FIN_ACKED_0 << 1;

/* Who began: the sender of a SYN, the receiver of a SYN-ACK; without either the sender of the first packet,
 * unless it speaks from a well-known port to one that is not. */
static bool sender_began(const struct segment *seg)
{
	if (seg->proto == 6 && (seg->tcp_flags & SEGMENT_SYN))
		return !(seg->tcp_flags & SEGMENT_ACK);
	return !(seg->sport < PORT_WELL_KNOWN && seg->dport >= PORT_WELL_KNOWN);
}

static uint32_t open_flow(struct track *tr, const struct segment *seg, const struct flowkey *key,
			  uint32_t hash, unsigned initiator_side)
{
	uint16_t vantage = vantage_id(tr->vantages, seg);
	uint32_t id = flowtab_add(&tr->flows, key, hash, vantage);
	if (!id && track_evict(tr))
		id = flowtab_add(&tr->flows, key, hash, vantage);
	if (!id) {
		tr->stats.flows_refused++;
		return 0;
	}
	struct flow *f = flowtab_at(&tr->flows, id);
	f->start_ns = f->last_ns = seg->ts_ns;
	f->birth = tr->births++;
	f->state |= initiator_side ? FLOW_SWAPPED : 0;
	uint64_t at_ns = seg->ts_ns < tr->clock.now_ns ? seg->ts_ns : tr->clock.now_ns;
	flowtab_set_due(&tr->flows, id, track_due_s(tr, at_ns + track_timeout_ns(tr, f)));
	tr->stats.flows_new++;
	return id;
}

/* A handshake shows that the guess about the initiator was wrong; nothing was told yet. */
static void turn_round(struct track *tr, uint32_t id)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	track_close_inspection(tr, id);
	label_unref(tr->labels, f->label);
	f->label = 0;
	tls_app_end(&f->tls, tr->tls_pool, id);
	f->tls = (struct tls_app){0};
	struct flow_dir d = f->dir[0];
	f->dir[0] = f->dir[1];
	f->dir[1] = d;
	f->wscale = (uint8_t)(f->wscale << 4 | f->wscale >> 4);
	uint32_t pairs = (f->state & paired_bits) << 1 | (f->state >> 1 & paired_bits);
	f->state = (f->state & ~(paired_bits | paired_bits << 1)) | pairs;
	f->state &= ~(uint32_t)(FLOW_INSPECTING | FLOW_INSPECTED | FLOW_ANSWERED);
	f->state |= f->dir[1].packets ? FLOW_ANSWERED : 0;
	f->state ^= FLOW_SWAPPED;
	struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
	if (x) {
		struct flow_ext_dir xd = x->dir[0];
		x->dir[0] = x->dir[1];
		x->dir[1] = xd;
		x->syn.dir = !x->syn.dir;
	}
}

static bool is_turned(const struct flow *f, unsigned dir, const struct segment *seg)
{
	if (!(seg->tcp_flags & SEGMENT_SYN) || flow_has(f, FLOW_SYN_0 | FLOW_SYN_0 << 1 | FLOW_PUBLISHED) ||
	    f->minutes)
		return false;
	return dir == (seg->tcp_flags & SEGMENT_ACK ? 0 : 1);
}

void track_note(struct flow *f, const struct segment *seg)
{
	static const struct {
		uint16_t segment;
		uint32_t facts;
	} map[] = {
	    {SEGMENT_SLICED, FACTS_SLICED},
	    {SEGMENT_OVERLONG, FACTS_OVERLONG},
	    {SEGMENT_TUNNEL, FACTS_TUNNEL},
	    {SEGMENT_DEFRAGMENTED, FACTS_FRAGMENTED},
	    {SEGMENT_BAD_CSUM, FACTS_BAD_CHECKSUM},
	    {SEGMENT_SUPER, FACTS_SUPER_PACKET},
	    {SEGMENT_PARTIAL_CSUM, FACTS_CSUM_OFFLOAD},
	};
	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (seg->flags & map[i].segment)
			f->flags |= map[i].facts;
}

static bool count_high(struct track *tr, struct flow *f, unsigned dir, uint64_t wire, uint64_t packets)
{
	struct flow_ext *x = tcpacct_ext(&tr->tcp, f);
	if (!x)
		return false;
	x->dir[dir].wire_high += wire >> 32 << 32;
	x->dir[dir].packets_high += packets >> 32 << 32;
	return true;
}

/* false: a 32-bit counter is full and there is no extension left for its upper half. */
static inline bool count(struct track *tr, struct flow *f, unsigned dir, uint64_t wire_bytes, uint32_t packets)
{
	struct flow_dir *d = &f->dir[dir];
	uint64_t wire = d->wire_bytes + wire_bytes, n = (uint64_t)d->packets + packets;
	if ((wire | n) >> 32 && !count_high(tr, f, dir, wire, n))
		return false;
	d->wire_bytes = (uint32_t)wire;
	d->packets = (uint32_t)n;
	return true;
}

static void see(struct track *tr, struct flow *f, uint64_t ts_ns)
{
	if (ts_ns > f->last_ns || (f->last_ns > tr->clock.now_ns && ts_ns >= f->start_ns))
		f->last_ns = ts_ns; /* also back from a stamp that the clock did not believe */
}

/* A translator changes the address of one end. */
static bool shares_one_end(const struct track *tr, uint32_t a, uint32_t b)
{
	struct facts_addr src[2], dst[2];
	track_endpoints(tr, a, &src[0], &dst[0]);
	track_endpoints(tr, b, &src[1], &dst[1]);
	if (src[0].family != src[1].family)
		return false;
	bool same_src = memcmp(src[0].ip, src[1].ip, sizeof src[0].ip) == 0;
	bool same_dst = memcmp(dst[0].ip, dst[1].ip, sizeof dst[0].ip) == 0;
	return same_src != same_dst;
}

void track_seek_pair(struct track *tr, uint32_t id, const struct segment *seg)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	struct natpair_flow other =
	    natpair_look(tr->natpair, seg, (struct natpair_flow){id, f->birth});
	if (!other.id || other.id == id || !flowtab_live(&tr->flows, other.id))
		return;
	struct flow *o = flowtab_at(&tr->flows, other.id);
	if (o->birth != other.birth || o->proto != f->proto || !shares_one_end(tr, id, other.id))
		return;
	f->flags |= FACTS_NAT_PAIR;
	f->state |= flow_has(o, FLOW_NAT_SECOND) ? 0 : FLOW_NAT_SECOND;
	o->flags |= FACTS_NAT_PAIR;
	tr->stats.nat_pairs++;
}

static void close_soon(struct track *tr, uint32_t id)
{
	const struct flow *f = flowtab_at(&tr->flows, id);
	uint64_t at_ns = f->last_ns < tr->clock.now_ns ? f->last_ns : tr->clock.now_ns;
	flowtab_set_due(&tr->flows, id, track_due_s(tr, at_ns + track_timeout_ns(tr, f)));
}

/* The old flow ends; the SYN that was booked on it moves to the new one. */
static uint32_t reopen(struct track *tr, uint32_t id, const struct segment *seg, const struct flowkey *key,
		       uint32_t hash, unsigned side)
{
	struct flow *old = flowtab_at(&tr->flows, id);
	struct flow_ext *x = tcpacct_ext_of(&tr->tcp, old);
	struct flow_syn syn = x ? x->syn : (struct flow_syn){.valid = false};
	bool swapped = flow_has(old, FLOW_SWAPPED);
	if (syn.valid) {
		struct flow_dir *d = &old->dir[syn.dir];
		struct flow_ext_dir *xd = &x->dir[syn.dir];
		xd->wire_high -= d->wire_bytes < syn.wire_bytes ? UINT64_C(1) << 32 : 0;
		d->wire_bytes -= syn.wire_bytes;
		xd->packets_high -= d->packets < syn.packets ? UINT64_C(1) << 32 : 0;
		d->packets -= syn.packets;
		if (old->last_ns > syn.before_ns)
			old->last_ns = syn.before_ns;
	}
	track_end(tr, id, FACTS_REASON_REUSED);
	unsigned initiator_side = sender_began(seg) ? side : !side;
	if (syn.valid)
		initiator_side = syn.dir ^ swapped;
	id = open_flow(tr, seg, key, hash, initiator_side);
	if (!id || !syn.valid)
		return id;
	struct flow *f = flowtab_at(&tr->flows, id);
	f->start_ns = syn.first_ns;
	tcpacct_adopt(&tr->tcp, f, 0, &syn);
	count(tr, f, 0, syn.wire_bytes, syn.packets);
	return id;
}

static void tls_moves(struct track *tr, uint32_t id, const struct tcpacct_segment *placed)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	for (unsigned dir = 0; dir < 2; dir++) {
		if (!placed->rebased[dir])
			continue;
		struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
		x->dir[dir].app_bytes += tls_app_take(&f->tls, dir);
		tls_app_rebase(&f->tls, tr->tls_pool, id, dir, placed->rebased[dir]);
	}
}

/* Returns the flow the segment went to at last; 0 none. */
static uint32_t tcp(struct track *tr, uint32_t id, const struct segment *seg, const struct flowkey *key,
		    uint32_t hash, unsigned side, struct tcpacct_segment *ret_placed)
{
	for (unsigned tries = 0; id && tries < 3; tries++) {
		struct flow *f = flowtab_at(&tr->flows, id);
		unsigned dir = side ^ flow_has(f, FLOW_SWAPPED);
		if (is_turned(f, dir, seg)) {
			turn_round(tr, id);
			dir = !dir;
		}
		uint32_t before = f->state;
		enum tcpacct_verdict v = tcpacct_add(&tr->tcp, f, dir, seg, ret_placed);
		if (v == TCPACCT_COUNTED) {
			see(tr, f, seg->ts_ns);
			if ((f->state ^ before) & closing_bits)
				close_soon(tr, id);
			if (ret_placed->rebased[0] | ret_placed->rebased[1])
				tls_moves(tr, id, ret_placed);
			if ((f->state & all_said) == all_said && flow_has(f, FLOW_INSPECTING) && !seg->payload_bytes)
				track_close_inspection(tr, id);
			return id;
		}
		if (v == TCPACCT_REUSED) {
			id = reopen(tr, id, seg, key, hash, side);
			continue;
		}
		bool swapped = flow_has(f, FLOW_SWAPPED);
		track_end(tr, id, FACTS_REASON_EVICTED);
		id = open_flow(tr, seg, key, hash, swapped);
	}
	return id;
}

static void seek_copy(struct track *tr, struct flow *f, uint32_t id, const struct segment *seg, unsigned dir)
{
	bool copy = flow_has(f, FLOW_SUSPECT) && copies_seen(tr->copies, id, dir, seg, COPIES_TCP);
	quality_payload(&tr->quality, copy);
	if (!copy)
		return;
	tr->stats.span_duplicates++;
	f->flags |= FACTS_DUPLICATED;
}

/* The clock waits for a hundred packets before it believes a long silence; a flow whose own packet comes after
 * a silence that would have ended it need not. A stamp more than a day ahead is no silence, and TCP that goes
 * on where it was is the same connection. */
static bool was_left(const struct track *tr, const struct flow *f, const struct segment *seg, unsigned side)
{
	if (seg->ts_ns <= tr->clock.now_ns || seg->ts_ns - tr->clock.now_ns > TRACK_SILENCE_NS ||
	    !track_is_idle(tr, f, seg->ts_ns))
		return false;
	return seg->proto != 6 || !tcpacct_continues(f, side ^ flow_has(f, FLOW_SWAPPED), seg);
}

void track_segment(struct track *tr, const struct segment *seg, const struct track_place *at, uint64_t wire_bytes,
		   uint32_t packets)
{
	const struct flowkey *key = &at->key;
	const uint32_t hash = at->hash;
	const unsigned side = at->side;
	track_see_time(tr, seg->ts_ns);
	uint32_t id = flowtab_find_at(&tr->flows, key, hash, at->where);
	if (id && (track_is_over(tr, flowtab_at(&tr->flows, id), seg->ts_ns) ||
		   was_left(tr, flowtab_at(&tr->flows, id), seg, side))) {
		track_end(tr, id, track_idle_reason(flowtab_at(&tr->flows, id)));
		id = 0;
	}
	if (id)
		track_roll_minute(tr, flowtab_at(&tr->flows, id), seg->ts_ns);
	else
		id = open_flow(tr, seg, key, hash, sender_began(seg) ? side : !side);
	struct tcpacct_segment placed = {0};
	if (id && seg->proto == 6)
		id = tcp(tr, id, seg, key, hash, side, &placed);
	if (!id)
		return;
	struct flow *f = flowtab_at(&tr->flows, id);
	unsigned dir = side ^ flow_has(f, FLOW_SWAPPED);
	if (!count(tr, f, dir, wire_bytes, packets)) {
		track_end(tr, id, FACTS_REASON_EVICTED);
		id = open_flow(tr, seg, key, hash, side ^ dir);
		if (!id)
			return;
		f = flowtab_at(&tr->flows, id);
		count(tr, f, dir, wire_bytes, packets);
		placed.placed = false;
	}
	if (seg->flags)
		track_note(f, seg);
	track_note_lag(tr, f, seg->ts_ns);
	if (seg->proto != 6) {
		see(tr, f, seg->ts_ns);
		track_udp(tr, id, seg, dir);
	} else if (placed.placed && seg->payload_captured_bytes) {
		if (dir == 0 && placed.position == 0 && placed.new_bytes)
			track_seek_pair(tr, id, seg);
		if (placed.new_bytes || flow_has(f, FLOW_INSPECTING))
			track_inspect(tr, id, seg, dir, placed.position);
	}
	if (seg->proto == 6 && seg->payload_captured_bytes)
		seek_copy(tr, f, id, seg, dir);
}
