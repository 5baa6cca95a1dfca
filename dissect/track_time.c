#include "dissect/track_parts.h"

/* Every due time is looked at once in this time. */
#define TRACK_ROUND_NS UINT64_C(2000000000)

enum { TRACK_JUMP_PACKETS = 100, TRACK_UPDATE_STEPS = 512 };
enum { TRACK_SAMPLE = 16, TRACK_SAMPLE_SMALL = 64, TRACK_SAMPLE_MAX = 256 };
enum { TRACK_SMALL_BYTES = 1 << 20 };

void track_see_odd_time(struct track *tr, uint64_t ts_ns)
{
	struct track_clock *c = &tr->clock;
	if (c->now_ns == 0 && c->epoch_ns == 0) {
		c->now_ns = ts_ns;
		c->epoch_ns = ts_ns;
		tr->sweep_ns = tr->round_ns = ts_ns;
	}
	if (ts_ns < c->now_ns)
		tr->stats.time_backwards++;
	if (ts_ns <= c->now_ns || ts_ns - c->now_ns <= TRACK_JUMP_NS) {
		c->jump_packets = 0;
		c->now_ns = ts_ns > c->now_ns ? ts_ns : c->now_ns;
		return;
	}
	if (c->jump_packets == 0)
		tr->stats.time_jumps++;
	if (++c->jump_packets <= TRACK_JUMP_PACKETS)
		return;
	c->jump_packets = 0;
	c->now_ns = ts_ns;
}

uint32_t track_due_s(const struct track *tr, uint64_t at_ns)
{
	if (at_ns <= tr->clock.epoch_ns)
		return 0;
	uint64_t s = (at_ns - tr->clock.epoch_ns) / track_ns_per_s + 1;
	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX - 1;
}

bool track_closed(const struct flow *f)
{
	uint32_t fins = f->state & (FLOW_DIR(FLOW_FIN_0, 0) | FLOW_DIR(FLOW_FIN_0, 1));
	if (flow_has(f, FLOW_RST) || fins == (FLOW_DIR(FLOW_FIN_0, 0) | FLOW_DIR(FLOW_FIN_0, 1)))
		return true;
	/* the other side is never seen, nor will its FIN be */
	return (flow_has(f, FLOW_DIR(FLOW_FIN_0, 0)) && !f->dir[1].packets) ||
	       (flow_has(f, FLOW_DIR(FLOW_FIN_0, 1)) && !f->dir[0].packets);
}

uint64_t track_timeout_ns(const struct track *tr, const struct flow *f)
{
	if (f->proto != 6)
		return tr->conf.idle_udp_ns;
	if (track_closed(f))
		return tr->conf.closed_ns;
	if (flow_has(f, FLOW_TCP_OPEN | FLOW_PAYLOAD) || tr->conf.idle_tcp_ns < TRACK_HALF_OPEN_NS)
		return tr->conf.idle_tcp_ns;
	return TRACK_HALF_OPEN_NS;
}

bool track_is_idle(const struct track *tr, const struct flow *f, uint64_t now_ns)
{
	return now_ns > f->last_ns && now_ns - f->last_ns >= track_timeout_ns(tr, f);
}

enum facts_reason track_idle_reason(const struct flow *f)
{
	if (f->proto != 6 || !track_closed(f))
		return FACTS_REASON_IDLE;
	return flow_has(f, FLOW_RST) ? FACTS_REASON_RST : FACTS_REASON_FIN;
}

static void settle_due(struct track *tr, uint32_t id)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	if (!flowtab_live(&tr->flows, id))
		return; /* ended with another of the batch */
	if (flow_has(f, FLOW_LAGGING)) { /* was active since this was last asked */
		f->state &= ~(uint32_t)FLOW_LAGGING;
		uint64_t again_ns = tr->clock.now_ns + track_timeout_ns(tr, f);
		flowtab_set_due(&tr->flows, id, track_due_s(tr, again_ns));
		return;
	}
	if (track_is_idle(tr, f, tr->clock.now_ns)) {
		track_end(tr, id, track_idle_reason(f));
		return;
	}
	/* a stamp from the future must not keep a flow for ever */
	uint64_t last_ns = f->last_ns < tr->clock.now_ns ? f->last_ns : tr->clock.now_ns;
	flowtab_set_due(&tr->flows, id, track_due_s(tr, last_ns + track_timeout_ns(tr, f)));
}

/* In batches, like packets: nothing of a flow that was idle is in any cache. */
static void sweep_due(struct track *tr, uint32_t steps)
{
	uint32_t ids[TRACK_BURST], now_s = track_due_s(tr, tr->clock.now_ns);
	while (steps) {
		size_t n = 0;
		for (uint32_t id; n < TRACK_BURST && (id = flowtab_sweep(&tr->flows, now_s, &steps)) != 0; n++) {
			ids[n] = id;
			flowtab_prefetch(&tr->flows, id);
		}
		for (size_t i = 0; i < n; i++)
			track_prefetch_end(tr, ids[i]);
		for (size_t i = 0; i < n; i++)
			flowtab_prefetch_remove(&tr->flows, ids[i]);
		for (size_t i = 0; i < n; i++)
			settle_due(tr, ids[i]);
	}
}

/* Every flow comes by once per update interval. */
static void sweep_updates(struct track *tr, uint32_t max_steps)
{
	uint64_t every = tr->conf.update_ns, now_ns = tr->clock.now_ns;
	uint32_t made = tr->flows.flows.made;
	uint64_t into = now_ns - tr->round_ns;
	uint32_t target = into >= every ? made : (uint32_t)((double)made * (double)into / (double)every);
	for (; tr->update_hand < target && max_steps; max_steps--) {
		uint32_t id = ++tr->update_hand;
		if (flowtab_live(&tr->flows, id) && track_grew(tr, flowtab_at(&tr->flows, id)))
			track_publish(tr, id, FACTS_REASON_UPDATE, false);
	}
	if (into >= every && tr->update_hand >= made) {
		tr->update_hand = 0;
		tr->round_ns = into < 2 * every ? tr->round_ns + every : now_ns;
	}
}

void track_sweep(struct track *tr, uint32_t max_steps)
{
	uint64_t now_ns = tr->clock.now_ns;
	quality_tick(&tr->quality, now_ns);
	uint64_t passed = now_ns > tr->sweep_ns ? now_ns - tr->sweep_ns : 0;
	uint64_t steps =
	    passed >= TRACK_ROUND_NS ? tr->flows.flows.made : passed * tr->flows.flows.made / TRACK_ROUND_NS;
	if (steps) {
		tr->sweep_ns = now_ns;
		sweep_due(tr, steps < max_steps ? (uint32_t)steps : max_steps);
	}
	if (tr->conf.update_ns)
		sweep_updates(tr, max_steps < TRACK_UPDATE_STEPS ? max_steps : TRACK_UPDATE_STEPS);
}

/* The class that is kept to the last. */
enum { WORTH_HALF_OPEN, WORTH_CLOSED, WORTH_UNANSWERED, WORTH_SMALL, WORTH_DEAR };

static bool is_small(const struct track *tr, const struct flow *f)
{
	if ((uint64_t)f->dir[0].wire_bytes + f->dir[1].wire_bytes >= TRACK_SMALL_BYTES)
		return false;
	const struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
	return !x || !(x->dir[0].wire_high | x->dir[1].wire_high);
}

static unsigned worth(const struct track *tr, const struct flow *f)
{
	if (f->proto == 6 && !flow_has(f, FLOW_TCP_OPEN | FLOW_PAYLOAD))
		return WORTH_HALF_OPEN;
	if (f->proto == 6 && track_closed(f))
		return WORTH_CLOSED;
	if (is_small(tr, f))
		return flow_has(f, FLOW_ANSWERED) ? WORTH_SMALL : WORTH_UNANSWERED;
	return WORTH_DEAR;
}

/* The least missed of some flows behind the hand; 0 none. */
static uint32_t sample(struct track *tr, unsigned *ret_worth)
{
	uint32_t made = tr->flows.flows.made, best = 0;
	unsigned best_worth = UINT32_MAX;
	for (uint32_t seen = 0, i = 0; i < made && i < TRACK_SAMPLE_MAX; i++) {
		tr->evict_hand = tr->evict_hand >= made ? 1 : tr->evict_hand + 1;
		tr->evict_dear++;
		if (!flowtab_live(&tr->flows, tr->evict_hand))
			continue;
		const struct flow *f = flowtab_at(&tr->flows, tr->evict_hand);
		unsigned w = worth(tr, f);
		if (!best || w < best_worth ||
		    (w == best_worth && f->last_ns < flowtab_at(&tr->flows, best)->last_ns)) {
			best = tr->evict_hand;
			best_worth = w;
		}
		/* the better the best candidate is to keep, the further it is looked for another */
		seen++;
		if ((seen >= TRACK_SAMPLE && best_worth < WORTH_SMALL) ||
		    (seen >= TRACK_SAMPLE_SMALL && best_worth == WORTH_SMALL))
			break;
	}
	*ret_worth = best_worth;
	return best;
}

/* A dear flow goes only when the hand has come round without finding any other: until then it is the newcomer
 * that has to wait for its next packet. So a flood cannot push out what it did not pay for, and no call looks
 * at many flows. */
bool track_evict(struct track *tr)
{
	unsigned w;
	uint32_t id = sample(tr, &w);
	if (!id || (w == WORTH_DEAR && tr->evict_dear < tr->flows.flows.made))
		return false;
	tr->evict_dear = 0;
	tr->stats.flows_half_open_evicted += w == WORTH_HALF_OPEN;
	track_end(tr, id, FACTS_REASON_EVICTED);
	return true;
}
