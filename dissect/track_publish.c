#include "dissect/track_parts.h"

#include <string.h>

enum { MINUTE_LAST = (1 << 20) - 1 };

/* Bytes of both directions that were credited up to some time. */
struct credit {
	uint64_t up, down;
};

static uint64_t counter(uint32_t low, uint64_t high)
{
	return high + low;
}

uint64_t track_headline(const struct track *tr, const struct flow *f, unsigned dir)
{
	if (f->proto == 6)
		return tcpacct_headline(&tr->tcp, f, dir);
	return counter(f->dir[dir].low, (uint64_t)f->dir[dir].acked << 32);
}

static struct flow_minute *node_at(const struct track *tr, uint32_t id)
{
	return id ? arena_at(&tr->minutes, id) : NULL;
}

static struct credit credit_of(const struct track *tr, const struct flow_minute *n)
{
	if (!n)
		return (struct credit){0, 0};
	struct credit c = {n->up, n->down};
	if (n->wide) {
		const struct flow_minute *high = node_at(tr, n->next);
		c.up |= (uint64_t)high->up << 32;
		c.down |= (uint64_t)high->down << 32;
	}
	return c;
}

static uint32_t older(const struct track *tr, const struct flow_minute *n)
{
	return n->wide ? node_at(tr, n->next)->next : n->next;
}

/* Rewrites what a node says; values only shrink here, so a narrow node stays narrow. */
static void set_credit(const struct track *tr, struct flow_minute *n, struct credit c)
{
	n->up = (uint32_t)c.up;
	n->down = (uint32_t)c.down;
	if (n->wide) {
		struct flow_minute *high = node_at(tr, n->next);
		high->up = (uint32_t)(c.up >> 32);
		high->down = (uint32_t)(c.down >> 32);
	}
}

static bool push(struct track *tr, struct flow *f, uint32_t minute, uint32_t depth, struct credit c)
{
	bool wide = (c.up | c.down) >> 32;
	uint32_t id = arena_get(&tr->minutes);
	uint32_t high = wide && id ? arena_get(&tr->minutes) : 0;
	if (!id || (wide && !high)) {
		arena_put(&tr->minutes, id);
		return false;
	}
	struct flow_minute *n = node_at(tr, id);
	*n = (struct flow_minute){.next = f->minutes, .depth = depth & 0x7ff, .wide = wide};
	n->minute = (minute < MINUTE_LAST ? minute : MINUTE_LAST) & 0xfffff;
	if (wide) {
		n->next = high;
		node_at(tr, high)->next = f->minutes;
	}
	set_credit(tr, n, c);
	f->minutes = id;
	return true;
}

static void pop(struct track *tr, struct flow *f)
{
	const struct flow_minute *n = node_at(tr, f->minutes);
	uint32_t next = older(tr, n);
	if (n->wide)
		arena_put(&tr->minutes, n->next);
	arena_put(&tr->minutes, f->minutes);
	f->minutes = next;
}

static bool is_told(const struct flow *f, const struct flow_minute *n)
{
	return flow_has(f, FLOW_PUBLISHED) && n->depth == 0;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What may be said now: the headline, but never less than was told. Minutes not told yet give back what
 * turned out to be too much (a FIN that was taken for a byte, the other side appearing late). */
static struct credit settle(struct track *tr, struct flow *f)
{
	struct credit now = {track_headline(tr, f, 0), track_headline(tr, f, 1)};
	struct credit head = credit_of(tr, node_at(tr, f->minutes));
	if (head.up <= now.up && head.down <= now.down)
		return now;
	struct flow_minute *n = node_at(tr, f->minutes);
	for (; n && !is_told(f, n); n = node_at(tr, older(tr, n))) {
		struct credit c = credit_of(tr, n);
		set_credit(tr, n, (struct credit){min64(c.up, now.up), min64(c.down, now.down)});
	}
	struct credit told = credit_of(tr, n);
	for (n = node_at(tr, f->minutes); n && !is_told(f, n); n = node_at(tr, older(tr, n))) {
		struct credit c = credit_of(tr, n);
		set_credit(tr, n, (struct credit){max64(c.up, told.up), max64(c.down, told.down)});
	}
	return (struct credit){max64(now.up, told.up), max64(now.down, told.down)};
}

static uint32_t minute_of(const struct flow *f, uint64_t ts_ns)
{
	uint64_t m = ts_ns / TRACK_MINUTE_NS, first = f->start_ns / TRACK_MINUTE_NS;
	return m > first ? (uint32_t)min64(m - first, MINUTE_LAST) : 0;
}

/* The minute that bytes credited now belong to. When time runs backwards, the newest that is not told yet. */
static uint32_t minute_now(const struct track *tr, const struct flow *f)
{
	const struct flow_minute *head = node_at(tr, f->minutes);
	uint32_t m = minute_of(f, f->last_ns);
	return head && !is_told(f, head) && head->minute > m ? head->minute : m;
}

void track_close_minute(struct track *tr, struct flow *f)
{
	struct credit now = settle(tr, f);
	const struct flow_minute *head = node_at(tr, f->minutes);
	struct credit had = credit_of(tr, head);
	if (now.up == had.up && now.down == had.down)
		return;
	uint32_t depth = head ? head->depth : 0, minute = minute_now(tr, f);
	if (head && !is_told(f, head) && head->minute == minute) {
		pop(tr, f);
		depth--;
	}
	if (depth >= FACTS_MAX_MINUTES - 1 || !push(tr, f, minute, depth + 1, now))
		f->flags |= FACTS_MINUTES_MERGED; /* the bytes go to the next minute that finds room */
}

bool track_grew(const struct track *tr, const struct flow *f)
{
	const struct flow_minute *n = node_at(tr, f->minutes);
	if (n && !is_told(f, n))
		return true;
	struct credit told = credit_of(tr, n);
	return track_headline(tr, f, 0) > told.up || track_headline(tr, f, 1) > told.down;
}

/* Newest node first in the chain, oldest minute first in the record. */
static void fill_minutes(struct track *tr, const struct flow *f, struct credit now, struct flow_facts *facts,
			 struct credit *ret_told)
{
	uint64_t first = f->start_ns / TRACK_MINUTE_NS;
	const struct flow_minute *n = node_at(tr, f->minutes);
	size_t at = FACTS_MAX_MINUTES;
	struct credit upper = now;
	uint32_t minute = minute_now(tr, f);
	for (;; n = node_at(tr, older(tr, n))) {
		struct credit lower = credit_of(tr, n);
		bool oldest = !n || is_told(f, n);
		*ret_told = lower;
		if (!oldest && n->minute == minute)
			continue; /* these bytes are of the same minute */
		if (upper.up != lower.up || upper.down != lower.down)
			tr->minute_buf[--at] = (struct facts_minute){
			    (first + minute) * 60, upper.up - lower.up, upper.down - lower.down};
		if (oldest)
			break;
		upper = lower;
		minute = n->minute;
	}
	facts->minutes = tr->minute_buf + at;
	facts->n_minutes = FACTS_MAX_MINUTES - at;
}

static const struct flow_minute *told_node(const struct track *tr, const struct flow *f)
{
	const struct flow_minute *n = node_at(tr, f->minutes);
	while (n && !is_told(f, n))
		n = node_at(tr, older(tr, n));
	return n;
}

static void fill_tcp(const struct track *tr, const struct flow *f, unsigned dir, struct facts_dir *ret,
		     uint32_t *flags)
{
	struct tcpacct_totals t;
	tcpacct_totals(&tr->tcp, f, dir, &t);
	ret->dup_bytes = t.dup;
	ret->oow_bytes = t.oow;
	*flags |= t.after_fin ? FACTS_AFTER_FIN : 0;
	if (!f->dir[!dir].packets) {
		ret->basis = FACTS_BASIS_SEQ_ONLY;
		ret->bytes_min = ret->bytes_max = t.unique;
		return;
	}
	ret->basis = f->dir[dir].packets ? FACTS_BASIS_ACK : FACTS_BASIS_ACK_ONLY;
	ret->bytes_min = t.acked - t.close_unseen;
	ret->bytes_max = t.acked + t.unacked;
	ret->gap_bytes = t.gap - t.step_one; /* that byte was none */
	ret->unacked_bytes = t.unacked;
	*flags |= t.close_unseen ? FACTS_CLOSE_UNSEEN : 0;
}

static void fill_dir(const struct track *tr, const struct flow *f, unsigned dir, uint64_t bytes,
		     uint64_t told, struct facts_dir *ret, uint32_t *flags)
{
	const struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
	const struct flow_dir *d = &f->dir[dir];
	*ret = (struct facts_dir){.bytes = bytes, .delta_bytes = bytes - told};
	ret->packets = counter(d->packets, x ? x->dir[dir].packets_high : 0);
	ret->wire_bytes = counter(d->wire_bytes, x ? x->dir[dir].wire_high : 0);
	if (f->proto == 6) {
		fill_tcp(tr, f, dir, ret, flags);
		ret->app_bytes = f->tls.dir[dir].app_bytes + (x ? x->dir[dir].app_bytes : 0);
	} else {
		ret->basis = FACTS_BASIS_UDP_PAYLOAD;
		ret->bytes_min = ret->bytes_max = bytes;
		ret->dup_bytes = x ? x->dir[dir].dup_bytes : 0;
	}
	if (ret->bytes_min > bytes)
		ret->bytes_min = bytes;
	if (ret->bytes_max < bytes)
		ret->bytes_max = bytes;
}

static uint32_t tcp_flags_of(const struct flow *f, bool last, enum facts_reason reason)
{
	uint32_t flags = 0;
	bool other_spoke_of = flow_has(f, FLOW_DIR(FLOW_BASE_0, 0)) && flow_has(f, FLOW_DIR(FLOW_BASE_0, 1));
	if (!flow_has(f, FLOW_DIR(FLOW_SYN_0, 0) | FLOW_DIR(FLOW_SYN_0, 1)))
		flags |= FACTS_MIDSTREAM;
	if (other_spoke_of && (!f->dir[0].packets || !f->dir[1].packets))
		flags |= FACTS_ONE_SIDED;
	if (last && !track_closed(f) && reason != FACTS_REASON_REUSED)
		flags |= FACTS_NO_CLOSE;
	if (tls_app_known(&f->tls)) {
		flags |= tls_app_estimated(&f->tls) ? FACTS_APP_ESTIMATED : 0;
		flags |= tls_app_early_data(&f->tls) ? FACTS_EARLY_DATA : 0;
	}
	return flags;
}

static uint64_t flow_id(const struct track *tr, uint32_t id)
{
	struct {
		struct flowkey key;
		uint64_t start_ns, zone;
	} x = {.start_ns = flowtab_at(&tr->flows, id)->start_ns, .zone = tr->conf.zone};
	flowtab_key_of(&tr->flows, id, &x.key);
	/* the tags count as part of the key only by their text, and ids of them depend on order */
	x.key.vlan = 0;
	if (tr->flows.vlan_of) {
		const struct vantage *v = vantage_get(tr->vantages, flowtab_at(&tr->flows, id)->vantage);
		x.key.vlan = (uint16_t)hash_bytes(HASH_KEY_FIXED, v->vlan, sizeof v->vlan);
	}
	uint64_t h = hash_bytes(HASH_KEY_FIXED, &x, sizeof x) >> 11;
	return h ? h : 1;
}

static enum facts_state state_of(const struct flow *f, bool last, enum facts_reason reason)
{
	bool ended = last && (reason == FACTS_REASON_FIN || reason == FACTS_REASON_RST ||
			      reason == FACTS_REASON_REUSED);
	if (f->proto == 6 && (ended || track_closed(f)))
		return FACTS_STATE_CLOSED;
	bool open = f->proto == 6 ? flow_has(f, FLOW_TCP_OPEN | FLOW_PAYLOAD) : flow_has(f, FLOW_ANSWERED);
	return open ? FACTS_STATE_ESTABLISHED : FACTS_STATE_NEW;
}

static void fill_label(const struct label *l, struct flow_facts *facts)
{
	facts->flags |= l->flags;
	facts->name_source = l->name_source;
	facts->name = l->name;
	memcpy(facts->name_candidates, l->candidates, sizeof facts->name_candidates);
	facts->n_name_candidates = l->n_candidates;
	facts->sni = l->sni;
	facts->connect_host = l->connect_host;
	facts->http_host = l->http_host;
	facts->tls_version = l->tls_version;
	facts->ja3 = l->ja3;
	facts->ja4 = l->ja4;
	facts->alpn = l->alpn;
	facts->app_proto = l->app_proto;
	facts->ndpi_protocol = l->ndpi_protocol;
	facts->ndpi_name = l->ndpi_name;
}

static void fill(struct track *tr, uint32_t id, enum facts_reason reason, bool last, struct credit now,
		 struct flow_facts *facts)
{
	const struct flow *f = flowtab_at(&tr->flows, id);
	const struct vantage *v = vantage_get(tr->vantages, f->vantage);
	*facts = (struct flow_facts){
	    .flow_id = flow_id(tr, id), .proto = f->proto, .zone = tr->conf.zone, .last = last};
	track_endpoints(tr, id, &facts->src, &facts->dst);
	facts->n_vlan = (uint8_t)v->n_vlan;
	memcpy(facts->vlan, v->vlan, sizeof facts->vlan);
	facts->input = v->input;
	facts->state = (uint8_t)state_of(f, last, reason);
	facts->reason = (uint8_t)reason;
	facts->saw_syn = f->proto == 6 && flow_has(f, FLOW_DIR(FLOW_SYN_0, 0));
	facts->nat_second = flow_has(f, FLOW_NAT_SECOND);
	facts->app_known = f->proto == 6 && tls_app_known(&f->tls);
	facts->start_ns = f->start_ns;
	facts->end_ns = max64(f->start_ns, f->last_ns); /* time may run backwards */
	const struct flow_minute *told = told_node(tr, f);
	facts->seq = told ? told->minute + 1 : 1;
	struct credit before;
	fill_minutes(tr, f, now, facts, &before);
	facts->flags = f->flags;
	fill_dir(tr, f, 0, now.up, before.up, &facts->up, &facts->flags);
	fill_dir(tr, f, 1, now.down, before.down, &facts->down, &facts->flags);
	if (f->proto == 6)
		facts->flags |= tcp_flags_of(f, last, reason);
	if (reason == FACTS_REASON_EVICTED)
		facts->flags |= FACTS_EVICTED;
}

/* Replaces the minutes told by one node that holds the totals. */
static bool remember_told(struct track *tr, struct flow *f, uint32_t seq, struct credit now)
{
	while (f->minutes)
		pop(tr, f);
	if (!push(tr, f, seq, 0, now))
		return false;
	f->state |= FLOW_PUBLISHED;
	return true;
}

bool track_publish(struct track *tr, uint32_t id, enum facts_reason reason, bool last)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	struct credit now = settle(tr, f);
	/* what was told must be kept: without room for it nothing is told until the end */
	if (!last && tr->minutes.max - tr->minutes.in_use < 2)
		return false;
	struct flow_facts facts;
	struct label label;
	fill(tr, id, reason, last, now, &facts);
	label_get(tr->labels, f->label, &label);
	fill_label(&label, &facts);
	if (last) {
		tr->stats.names[facts.name_source]++;
		quality_flow(&tr->quality, &facts);
		tr->stats.overlap_diff += facts.flags & FACTS_OVERLAP_DIFF ? 1 : 0;
	}
	tr->conf.publish(tr->conf.publish_ctx, &facts);
	return last || remember_told(tr, f, facts.seq, now);
}

/* What was acknowledged behind the last captured byte are records too. */
static void end_tls(struct track *tr, struct flow *f, uint32_t id)
{
	tls_app_end(&f->tls, tr->tls_pool, id);
	for (unsigned dir = 0; dir < 2; dir++)
		tls_app_tail(&f->tls, dir, f->dir[dir].acked);
}

void track_end(struct track *tr, uint32_t id, enum facts_reason reason)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	if (f->proto == 6)
		tcpacct_settle(&tr->tcp, f);
	track_close_inspection(tr, id);
	if (f->proto == 6)
		end_tls(tr, f, id);
	track_publish(tr, id, reason, true);
	while (f->minutes)
		pop(tr, f);
	label_unref(tr->labels, f->label);
	tcpacct_release(&tr->tcp, f);
	tr->stats.flows_ended++;
	tr->stats.flows_evicted += reason == FACTS_REASON_EVICTED;
	tr->stats.flows_timed_out += reason == FACTS_REASON_IDLE;
	tr->stats.flows_reused += reason == FACTS_REASON_REUSED;
	flowtab_remove(&tr->flows, id);
}
