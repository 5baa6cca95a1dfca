#include "dissect/tcpacct_parts.h"

#include "dissect/facts.h"

/* More than one later acknowledgement short of it, and a held one was a forgery. */
enum { HOLD_MAX_BELOW = 1, HOLD_MIN_ABOVE = 2 };

static void raise_edge(struct flow *f, unsigned sender, int64_t position, uint32_t window)
{
	struct flow_dir *d = &f->dir[sender];
	int64_t edge = position + window;
	if (edge < 0)
		edge = 0;
	if (!flow_has(f, FLOW_DIR(FLOW_EDGE_0, sender)) || edge > d->edge)
		d->edge = (uint32_t)edge;
	f->state |= FLOW_DIR(FLOW_EDGE_0, sender);
}

/* An acknowledgement past the byte after a FIN shows that the FIN was none of R's. */
static uint32_t without_fin(struct tcpacct *ta, struct flow *f, unsigned sender, uint32_t at)
{
	while (flow_has(f, FLOW_DIR(FLOW_FIN_0, sender))) {
		uint32_t fin = tcpacct_fin_position(ta, f, sender);
		if (at <= fin)
			return at;
		if (at == fin + 1) {
			f->state |= FLOW_DIR(FLOW_FIN_ACKED_0, sender);
			return fin;
		}
		struct flow_ext *x = tcpacct_ext_of(ta, f);
		f->state &= ~FLOW_DIR(FLOW_FIN_0 | FLOW_FIN_ACKED_0, sender);
		if (!x)
			return at;
		struct flow_ext_dir *xd = &x->dir[sender];
		xd->fin_valid = xd->fin_again_valid;
		xd->fin = xd->fin_again;
		xd->fin_again_valid = false;
		if (xd->fin_valid)
			f->state |= FLOW_DIR(FLOW_FIN_0, sender);
	}
	return at;
}

static void accept(struct tcpacct *ta, struct flow *f, unsigned sender, uint32_t at)
{
	struct flow_dir *d = &f->dir[sender];
	uint32_t acked = without_fin(ta, f, sender, at);
	if (acked <= d->acked)
		return;
	f->state &= ~FLOW_DIR(FLOW_STEP_ONE_0, sender);
	if (acked - d->acked == 1)
		f->state |= FLOW_DIR(FLOW_STEP_ONE_0, sender);
	d->acked = acked;
	f->state &=
	    ~(uint32_t)FLOW_RST; /* data goes on and is acknowledged: whoever sent the reset was not heard */
}

static void forget_held(struct tcpacct *ta, struct flow *f, struct flow_held *h)
{
	h->valid = 0;
	ta->stats.ack_beyond_window++;
	f->flags |= FACTS_ACK_BEYOND;
}

static void believe(struct tcpacct *ta, struct flow *f, unsigned sender, struct flow_held *h)
{
	h->valid = 0;
	f->flags |= FACTS_UNCERTAIN;
	accept(ta, f, sender, h->position);
	raise_edge(f, sender, h->position, 0);
}

static void hold(struct tcpacct *ta, struct flow *f, unsigned sender, uint32_t at, uint64_t now_ns)
{
	struct flow_ext *x = tcpacct_ext(ta, f);
	if (!x) {
		ta->stats.ack_beyond_window++;
		f->flags |= FACTS_ACK_BEYOND;
		return;
	}
	struct flow_held *h = &x->dir[sender].held;
	if (!h->valid) {
		*h = (struct flow_held){.since_ns = now_ns, .position = at, .valid = 1};
		return;
	}
	if (at > h->position)
		h->position = at;
	if (h->above < UINT8_MAX)
		h->above++;
	/* with a second sequence number space in the flow, the other space's acknowledgements look just like
	 * this */
	if (f->flags & FACTS_ISN_CONFLICT)
		return;
	if (h->above >= HOLD_MIN_ABOVE && !h->below && now_ns > h->since_ns + TCPACCT_HOLD_NS)
		believe(ta, f, sender, h);
}

static void contradict_held(struct tcpacct *ta, struct flow *f, unsigned sender, int64_t at)
{
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x)
		return;
	struct flow_held *h = &x->dir[sender].held;
	if (h->valid && at < h->position && ++h->below > HOLD_MAX_BELOW)
		forget_held(ta, f, h);
}

/* Midstream, and all S was seen to send was a keep-alive: its number is one below the stream's next byte. */
static bool rests_on_keep_alive(const struct tcpacct *ta, const struct flow *f, unsigned sender)
{
	const struct flow_dir *d = &f->dir[sender];
	return d->packets && !d->low && !d->acked && !tcpacct_high(ta, f, sender) &&
	       !flow_has(f, FLOW_DIR(FLOW_SYN_0 | FLOW_FIN_0, sender));
}

void tcpacct_ack(struct tcpacct *ta, struct flow *f, unsigned sender, const struct segment *seg)
{
	struct flow_dir *d = &f->dir[sender];
	uint32_t window = tcpacct_window_bytes(f, !sender, seg);
	f->state |= FLOW_DIR(FLOW_SEEN_ACK_0, sender);
	if (!flow_has(f, FLOW_DIR(FLOW_BASE_0, sender))) {
		d->base = seg->tcp_ack;
		f->state |= FLOW_DIR(FLOW_BASE_0, sender);
	}
	int64_t at = tcpacct_position(d, seg->tcp_ack);
	if (at == 1 && rests_on_keep_alive(ta, f, sender)) {
		d->base++;
		d->edge -= d->edge ? 1 : 0;
		at = 0;
	}
	bool bound = flow_has(f, FLOW_DIR(FLOW_EDGE_0, sender));
	if (at <= d->acked) {
		if (at > (int64_t)d->acked - TCPACCT_HORIZON)
			raise_edge(f, sender, at, window);
		contradict_held(ta, f, sender, at);
		return;
	}
	uint32_t high = tcpacct_high(ta, f, sender);
	uint32_t fin = flow_has(f, FLOW_DIR(FLOW_FIN_0, sender)) ? 1 : 0;
	uint32_t proven = bound && d->edge > d->acked ? d->edge : d->acked;
	bool sent = at <= (int64_t)high + fin && at <= (int64_t)tcpacct_limit(f, sender) + 1;
	if (at > (int64_t)proven + fin && !sent) {
		if (!(seg->tcp_flags & SEGMENT_SYN))
			hold(ta, f, sender, (uint32_t)at, seg->ts_ns);
		return;
	}
	if (bound && at > (int64_t)proven + fin)
		f->flags |= FACTS_UNCERTAIN; /* R's newest edge was not captured, but S had sent that far */
	contradict_held(ta, f, sender, at);
	accept(ta, f, sender, (uint32_t)at);
	raise_edge(f, sender, at, window);
}

void tcpacct_sent(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position)
{
	struct flow_ext *x = tcpacct_ext_of(ta, f);
	if (!x || !x->dir[dir].held.valid)
		return;
	struct flow_held *h = &x->dir[dir].held;
	if (position < h->position || h->below)
		return;
	/* Far outside what was advertised one forged pair could agree as well; R repeating itself, after a
	 * gap in the capture, is better evidence. */
	bool far = position > tcpacct_limit(f, dir);
	if (far && (h->above < HOLD_MIN_ABOVE || (f->flags & FACTS_ISN_CONFLICT)))
		return;
	believe(ta, f, dir, h);
}
