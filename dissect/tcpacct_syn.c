#include "dissect/tcpacct_parts.h"

#include "dissect/facts.h"

enum { LATE_SYN_MAX_BYTES = 1 << 20 };

static uint32_t first_base(const struct tcpacct *ta, const struct flow *f, unsigned dir)
{
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	return f->dir[dir].base - (x ? (uint32_t)x->dir[dir].offset_bytes : 0);
}

static bool untouched(const struct tcpacct *ta, const struct flow *f, unsigned dir)
{
	const struct flow_dir *d = &f->dir[dir];
	return d->low == 0 && d->acked == 0 && tcpacct_high(ta, f, dir) == 0;
}

static bool closed(const struct flow *f)
{
	uint32_t fins = f->state & FLOW_DIR(FLOW_FIN_0, 0) ? 1 : 0;
	fins += f->state & FLOW_DIR(FLOW_FIN_0, 1) ? 1 : 0;
	return flow_has(f, FLOW_RST) || fins == 2;
}

static void set_conflict(struct tcpacct *ta, struct flow *f)
{
	if (!(f->flags & FACTS_ISN_CONFLICT))
		ta->stats.isn_conflicts++;
	f->flags |= FACTS_ISN_CONFLICT;
}

/* Scaling is on only when both SYNs carry the option. */
static void set_scale(struct flow *f, unsigned dir, int8_t wscale)
{
	if (wscale >= 0 && flow_wscale(f, dir) == FLOW_WSCALE_UNKNOWN) {
		flow_set_wscale(f, dir, wscale > 14 ? 14 : (unsigned)wscale);
	} else if (wscale < 0) {
		flow_set_wscale(f, 0, 0);
		flow_set_wscale(f, 1, 0);
	}
}

static void anchor(struct flow *f, unsigned dir, uint32_t base, int8_t wscale)
{
	f->dir[dir].base = base;
	f->state |= FLOW_DIR(FLOW_BASE_0 | FLOW_SYN_0, dir);
	set_scale(f, dir, wscale);
}

/* Another SYN than the one the direction rests on: remembered until an answer tells which one counts. */
static void remember(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (!x)
		return;
	struct flow_syn *s = &x->syn;
	if (s->valid && s->dir == dir && s->isn == seg->tcp_seq) {
		s->packets++;
		s->wire_bytes += seg->frame_bytes;
		return;
	}
	*s = (struct flow_syn){
	    .first_ns = seg->ts_ns,
	    .before_ns = f->last_ns,
	    .isn = seg->tcp_seq,
	    .payload_bytes = seg->payload_bytes,
	    .wire_bytes = seg->frame_bytes,
	    .window = seg->tcp_window,
	    .packets = 1,
	    .wscale = seg->tcp_wscale,
	    .dir = (uint8_t)dir,
	    .valid = true,
	};
}

/* The SYN came after data that followed it: position 0 moves back to the SYN's. */
static bool came_late(struct tcpacct *ta, struct flow *f, unsigned dir, uint32_t base)
{
	if (flow_has(f, FLOW_DIR(FLOW_SYN_0, dir)))
		return false;
	if (untouched(ta, f, dir) && f->dir[dir].edge == 0)
		return true; /* the guess rested on nothing but a number in a header */
	uint32_t by = first_base(ta, f, dir) - base;
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (by > LATE_SYN_MAX_BYTES || (x && x->dir[dir].offset_bytes))
		return false;
	if (by)
		tcpacct_shift(ta, f, dir, by);
	return true;
}

void tcpacct_syn(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg,
		 bool *ret_ignore)
{
	uint32_t base = seg->tcp_seq + 1;
	*ret_ignore = false;
	if (!flow_has(f, FLOW_DIR(FLOW_BASE_0, dir)) || came_late(ta, f, dir, base)) {
		anchor(f, dir, base, seg->tcp_wscale);
		return;
	}
	if (first_base(ta, f, dir) == base) { /* once more: its sender's, or the tap's */
		f->state |= FLOW_SUSPECT;
		return;
	}
	*ret_ignore = true;
	if (!closed(f))
		set_conflict(ta, f);
	if (!(seg->tcp_flags & SEGMENT_ACK)) {
		remember(ta, f, dir, seg);
		return;
	}
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (x) {
		x->dir[dir].base_again = base;
		x->dir[dir].base_again_valid = true;
	}
}

/* R acknowledges exactly the start of a second SYN-ACK, and nothing of the first was used: that one counts.
 */
bool tcpacct_second_base(struct tcpacct *ta, struct flow *f, unsigned sender, const struct segment *seg)
{
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x || !x->dir[sender].base_again_valid || x->dir[sender].base_again != seg->tcp_ack)
		return false;
	if (!untouched(ta, f, sender) || flow_has(f, FLOW_DIR(FLOW_EDGE_0, sender)))
		return false;
	f->dir[sender].base = seg->tcp_ack;
	x->dir[sender].base_again_valid = false;
	return true;
}

/* A SYN on a flow whose other side was never captured: it cannot be answered within sight, so the end seen
 * has to do. */
static bool closed_one_sided(const struct flow *f, unsigned dir)
{
	return f->dir[!dir].packets == 0 && (flow_has(f, FLOW_RST) || flow_has(f, FLOW_DIR(FLOW_FIN_0, dir)));
}

/* A SYN-ACK of another connection on a closed flow, whose SYN was not captured. */
static bool lost_its_syn(const struct tcpacct *ta, const struct flow *f, unsigned dir,
			 const struct segment *seg)
{
	const struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!(seg->tcp_flags & SEGMENT_ACK) || !closed(f) || !flow_has(f, FLOW_DIR(FLOW_SYN_0, dir)) ||
	    (x && x->syn.valid))
		return false;
	int64_t at = tcpacct_position(&f->dir[!dir], seg->tcp_ack);
	return first_base(ta, f, dir) != seg->tcp_seq + 1 && (at < 0 || at > (int64_t)f->dir[!dir].acked + 1);
}

static bool answers(const struct flow_syn *s, const struct segment *seg)
{
	return (seg->tcp_flags & SEGMENT_SYN) && seg->tcp_ack - (s->isn + 1) <= s->payload_bytes;
}

/* The first SYN was never answered: the flow stays, resting on the second. */
static void take_second_syn(struct flow *f, unsigned dir, struct flow_syn *s)
{
	struct flow_dir *d = &f->dir[dir];
	*d = (struct flow_dir){
	    .packets = d->packets, .wire_bytes = d->wire_bytes, .base = s->isn + 1, .low = s->payload_bytes};
	flow_set_wscale(f, 0, FLOW_WSCALE_UNKNOWN);
	flow_set_wscale(f, 1, FLOW_WSCALE_UNKNOWN);
	set_scale(f, dir, s->wscale);
	s->valid = false;
}

bool tcpacct_takes_over(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg)
{
	bool is_syn = (seg->tcp_flags & (SEGMENT_SYN | SEGMENT_ACK)) == SEGMENT_SYN;
	if (is_syn && closed_one_sided(f, dir) && first_base(ta, f, dir) != seg->tcp_seq + 1) {
		struct flow_ext *x = tcpacct_ext(ta, f);
		if (x)
			x->syn.valid = false;
		return true;
	}
	if ((seg->tcp_flags & SEGMENT_SYN) && lost_its_syn(ta, f, dir, seg))
		return true;
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x || !x->syn.valid || !(seg->tcp_flags & SEGMENT_ACK) || (seg->tcp_flags & SEGMENT_RST))
		return false;
	struct flow_syn *s = &x->syn;
	if (s->dir == dir) /* the answer was not captured, but the client goes on with the handshake */
		return closed(f) && !is_syn &&
		       seg->tcp_seq - (s->isn + 1) <= s->payload_bytes + TCPACCT_SLACK_BYTES;
	/* with the server's number unchanged it is the same connection, seen again behind something that
	 * rewrites the client's */
	if (!answers(s, seg) ||
	    (flow_has(f, FLOW_DIR(FLOW_SYN_0, dir)) && first_base(ta, f, dir) == seg->tcp_seq + 1))
		return false;
	if (!flow_has(f, FLOW_ANSWERED)) {
		take_second_syn(f, s->dir, s);
		return false;
	}
	return true;
}

void tcpacct_adopt(struct tcpacct *ta, struct flow *f, unsigned dir, const struct flow_syn *syn)
{
	uint32_t ignored;
	anchor(f, dir, syn->isn + 1, syn->wscale);
	if (syn->payload_bytes)
		tcpacct_data(ta, f, dir, 0, syn->payload_bytes, &ignored);
}
