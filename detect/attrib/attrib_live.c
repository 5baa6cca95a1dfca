/* Live: each event and flow goes to Redis as it comes; what comes back is told once per change. Every table here is bounded; what an
 * old entry's loss costs is said where the table is declared. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/attrib_state.h"

enum {
	EVIDENCE = 1 << 17,  /* events that can be quoted by id; an older one's quote is left out */
	RECENT = 1 << 16,    /* SYNs and connects that can still be paired for the clocks */
	SENT = 1 << 16,      /* destinations already told of; a repeat costs a record */
	SETS = 1 << 15, WAYS = 4, /* flows whose owner may change; of an older one only an owner that is found is told */
	ARCHIVES = 4096,
	SCAN_SETS = 512,     /* looked at per poll for grace that ended */
	ID_TEXT = 48, FILE_TEXT = 128,
};

struct evidence {
	uint64_t time_us, corrected_us;
	uint32_t ref;
	uint8_t source;
	char text[ID_TEXT];
};

struct syn {
	uint64_t tuple;
	int64_t start_us;
	bool twice; /* two flows want this place: no calibration from either */
};

struct connect {
	uint64_t tuple;
	int64_t time_us;
	uint32_t device;
	unsigned flags;
	uint8_t clock;
	bool twice;
};

/* A destination's evidence that Redis has been given. */
struct sent {
	uint64_t key, time_us;
};

struct archive {
	uint64_t time_us, handle;
	uint8_t source;
	char file[FILE_TEXT], id[ID_TEXT];
};

struct flow {
	struct attrib_flow last; /* minutes not kept */
	uint64_t due_ns;         /* grace ends; 0: it has */
	uint32_t version[ATTRIB_SIDES], told[ATTRIB_SIDES]; /* the script's, and ours where the script has lost count */
	uint64_t recalls[ATTRIB_SIDES]; /* how often Redis had forgotten something by then */
	char grade[ATTRIB_SIDES];  /* 0: nothing told yet */
	uint64_t digest[ATTRIB_SIDES]; /* of what was told */
};

struct attrib_live {
	struct evidence *evidence;
	struct syn *syns;
	struct connect *connects;
	struct sent *sent;
	struct flow *flows;
	struct archive *archives;
	size_t n_archives, at_archive;
	uint32_t scan;
	uint64_t now_ns;
	size_t devices_unified;
	attrib_fn *fn;
	void *ctx;
	uint8_t buf[CELL_MAX_FLOW];
};

int attrib_live_init(struct attrib *at, const struct attrib_conf *conf)
{
	(void)conf;
	struct attrib_live *lv = at->on_line = calloc(1, sizeof *lv);
	if (!lv)
		return -ENOMEM;
	lv->evidence = calloc(EVIDENCE, sizeof *lv->evidence);
	lv->syns = calloc(RECENT, sizeof *lv->syns);
	lv->connects = calloc(RECENT, sizeof *lv->connects);
	lv->sent = calloc(SENT, sizeof *lv->sent);
	lv->flows = calloc(SETS * WAYS, sizeof *lv->flows);
	lv->archives = calloc(ARCHIVES, sizeof *lv->archives);
	return lv->evidence && lv->syns && lv->connects && lv->sent && lv->flows && lv->archives ? 0 : -ENOMEM;
}

void attrib_live_done(struct attrib *at)
{
	struct attrib_live *lv = at->on_line;
	if (!lv)
		return;
	free(lv->evidence);
	free(lv->syns);
	free(lv->connects);
	free(lv->sent);
	free(lv->flows);
	free(lv->archives);
	free(lv);
}

static void copy_text(char *dst, size_t size, struct slice s)
{
	size_t n = s.n < size - 1 ? s.n : size - 1;
	if (n)
		memcpy(dst, s.p, n);
	dst[n] = 0;
}

/* ---- events ---- */

static uint64_t see_process(struct attrib *at, const struct procevent *ev, uint32_t device)
{
	struct proctab_sighting s;
	if (!evlog_sighting(ev, device, &s))
		return 0;
	s.device_hash = attrib_device_hash(at, device);
	return proctab_see(at->processes, &s);
}

static void see_archive(struct attrib *at, const struct procevent *ev, uint32_t device, uint64_t handle)
{
	struct attrib_live *lv = at->on_line;
	struct slice file;
	if (!handle || !evlog_archive_of(ev, &file))
		return;
	struct archive *a = &lv->archives[lv->at_archive++ % ARCHIVES];
	lv->n_archives += lv->n_archives < ARCHIVES;
	int64_t t = (int64_t)(ev->time_ns / 1000);
	a->time_us = (uint64_t)(t - clocks_offset_us(at->clocks, device, ev->clock, t));
	a->handle = handle;
	a->source = ev->source;
	copy_text(a->file, sizeof a->file, file);
	copy_text(a->id, sizeof a->id, ev->event_id);
}

static void pair_event(struct attrib *at, const struct procevent *ev, uint32_t device, uint64_t tuple)
{
	struct attrib_live *lv = at->on_line;
	int64_t t = (int64_t)(ev->time_ns / 1000);
	if (ev->kind == PROCEVENT_FOUND || ev->kind == PROCEVENT_AGGREGATED || !ev->remote.family)
		return;
	unsigned flags = (ev->flags & PROCEVENT_FLOORED ? CLOCK_SKEW_FLOORED : 0u) | (ev->proto == 6 ? CLOCK_SKEW_SYN : 0u);
	const struct syn *syn = &lv->syns[tuple % RECENT];
	if (syn->tuple == tuple)
		clocks_add(at->clocks, device, ev->clock, t, syn->start_us, flags | (syn->twice ? 0u : CLOCK_SKEW_UNIQUE));
	uint64_t key = tuple + ev->clock;
	struct connect *c = &lv->connects[key % RECENT];
	bool twice = c->tuple == key && t - c->time_us > ATTRIB_REPEAT_US;
	*c = (struct connect){key, t, device, flags, ev->clock, twice};
}

static void keep_evidence(struct attrib_live *lv, const struct procevent *ev, const struct cell_event *ce)
{
	struct evidence *e = &lv->evidence[ce->ref % EVIDENCE];
	e->ref = ce->ref;
	e->corrected_us = ce->t_us;
	e->time_us = ev->time_ns / 1000;
	e->source = ev->source;
	copy_text(e->text, sizeof e->text, ev->event_id);
}

static void offer(struct attrib *at, const struct cell_event *e, bool destination)
{
	struct attrib_live *lv = at->on_line;
	uint8_t buf[CELL_MAX_EVENT];
	if (destination && !e->last_us) { /* one connect an hour speaks for a destination as well as a thousand */
		uint64_t key[3] = {cell_destination_hash(&e->tuple), e->principal, e->t_us / (CELL_BUCKET_S * UINT64_C(1000000))};
		uint64_t h = hash_bytes(HASH_KEY_FIXED, key, sizeof key);
		struct sent *s = &lv->sent[h % SENT];
		if (s->key == h && s->time_us <= e->t_us)
			return; /* the earliest is the one that Redis keeps, in whatever order they come */
		*s = (struct sent){h, e->t_us};
	}
	size_t n = destination ? cell_pack_destination(buf, e) : cell_pack_event(buf, e);
	courier_offer(at->courier, cell_tag(at->zone, &e->tuple.local), buf, n);
}

/* When its process ended: told in the device's own time, which another clock than the event's may measure. */
static uint64_t stop_of(struct attrib *at, uint32_t device, uint64_t handle, int64_t offset_us)
{
	int64_t end = (int64_t)proctab_end_us(at->processes, handle), own = clocks_offset_us(at->clocks, device, PROCEVENT_CLOCK_MDE, end);
	end -= end ? own ? own : offset_us : 0;
	return end > 0 ? (uint64_t)end : 0;
}

static void ship_event(struct attrib *at, const struct procevent *ev, uint32_t device, uint64_t handle)
{
	int64_t t = (int64_t)(ev->time_ns / 1000);
	struct clock_skew_state skew = clocks_at(at->clocks, device, ev->clock, t);
	struct cell_event e = {
		.tuple = {.local = ev->local, .remote = ev->remote, .proto = ev->proto ? ev->proto : 6, .zone = at->zone},
		.t_us = t > skew.offset_us ? (uint64_t)(t - skew.offset_us) : 0,
		.stop_us = stop_of(at, device, handle, skew.offset_us),
		.principal = proctab_principal(at->processes, handle),
		.ref = (uint32_t)evlog_id(ev),
		.calibrated = skew.calibrated,
		.found = ev->kind == PROCEVENT_FOUND,
	};
	if (ev->kind == PROCEVENT_AGGREGATED)
		e.last_us = e.t_us + (ev->time_end_ns > ev->time_ns ? (ev->time_end_ns - ev->time_ns) / 1000 : 0);
	if (!e.principal || ev->kind == PROCEVENT_INSPECT)
		return;
	attrib_share_tell(at, e.principal);
	keep_evidence(at->on_line, ev, &e);
	if (ev->kind != PROCEVENT_AGGREGATED)
		offer(at, &e, false);
	if (ev->kind == PROCEVENT_AGGREGATED || (ev->source == PROCEVENT_SOURCE_MDE && ev->remote.family))
		offer(at, &e, true);
}

int attrib_live_event(struct attrib *at, const struct procevent *ev, uint32_t number)
{
	uint32_t device = identity_device(at->identity, number);
	uint64_t handle = see_process(at, ev, device);
	see_archive(at, ev, device, handle);
	if (!evlog_joinable(ev))
		return 0;
	struct procevent turned = *ev;
	bool trusted = attrib_trusted(ev->source, ev->proto, ev->flags);
	if (!trusted && identity_score(at->identity, device, &ev->remote) > identity_score(at->identity, device, &ev->local)) {
		turned.local = ev->remote;
		turned.remote = ev->local;
	}
	if (ev->kind != PROCEVENT_INSPECT)
		identity_claim(at->identity, device, &turned.local, ev->time_ns / 1000, !trusted);
	pair_event(at, &turned, device, attrib_tuple_hash(&turned.local, &turned.remote, ev->proto));
	ship_event(at, &turned, device, handle);
	return 0;
}

/* ---- flows ---- */

static struct flow *find_flow(struct attrib_live *lv, uint64_t flow_id, bool make)
{
	struct flow *set = &lv->flows[hash_bytes(HASH_KEY_FIXED, &flow_id, sizeof flow_id) % SETS * WAYS], *oldest = set;
	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].last.flow_id == flow_id)
			return &set[i];
		if (set[i].last.end_ns < oldest->last.end_ns)
			oldest = &set[i];
	}
	if (!make)
		return NULL;
	*oldest = (struct flow){.due_ns = 0};
	return oldest;
}

static void pair_flow(struct attrib *at, const struct spill_flow *f)
{
	struct attrib_live *lv = at->on_line;
	for (unsigned side = 0; side < ATTRIB_SIDES && !f->midstream; side++) {
		struct cell_tuple t = attrib_tuple(f, side);
		uint64_t tuple = attrib_tuple_hash(&t.local, &t.remote, f->proto);
		struct syn *syn = &lv->syns[tuple % RECENT];
		int64_t start = (int64_t)f->start_us;
		if (syn->tuple == tuple && syn->start_us == start)
			continue; /* an update of the same flow */
		*syn = (struct syn){tuple, start, syn->tuple == tuple};
		for (uint8_t clock = 0; clock < PROCEVENT_CLOCK_COUNT; clock++) {
			const struct connect *c = &lv->connects[(tuple + clock) % RECENT];
			if (c->tuple == tuple + clock && c->clock == clock)
				clocks_add(at->clocks, c->device, clock, c->time_us, start,
					   c->flags | (syn->twice || c->twice ? 0u : CLOCK_SKEW_UNIQUE));
		}
	}
}

static void ship_flow(struct attrib *at, const struct spill_flow *f, enum attrib_side side, bool seek)
{
	struct cell_flow cf = {
		.tuple = attrib_tuple(f, side),
		.flow_id = f->flow_id,
		.start_us = f->start_us,
		.last_us = f->end_us,
		.source = at->source_id,
		.service = f->service,
		.midstream = f->midstream,
		.seek = seek,
		.responder = side == ATTRIB_RESPONDER,
		.ledger = f->ledger,
		.n_ledger = f->n_ledger,
	};
	uint8_t *buf = at->on_line->buf;
	courier_offer(at->courier, cell_tag(at->zone, &cf.tuple.local), buf, cell_pack_flow(buf, &cf));
}

int attrib_live_flow(struct attrib *at, const struct attrib_flow *flow)
{
	struct attrib_live *lv = at->on_line;
	if (flow->bystander) {
		attrib_spread(at->flow, flow, at->zone);
		pair_flow(at, at->flow);
		return 0;
	}
	struct flow *known = find_flow(lv, flow->flow_id, true);
	bool fresh = known->last.flow_id != flow->flow_id;
	known->last = *flow;
	known->last.minutes = NULL;
	known->last.n_minutes = 0;
	if (fresh) /* before the first poll the packets' clock has to do */
		known->due_ns = (lv->now_ns ? lv->now_ns : flow->end_ns) + at->grace_ns;
	attrib_spread(at->flow, flow, at->zone);
	pair_flow(at, at->flow);
	ship_flow(at, at->flow, ATTRIB_INITIATOR, false);
	if (attrib_inside(&flow->dst) || identity_at(at->identity, &flow->dst, flow->start_ns / 1000))
		ship_flow(at, at->flow, ATTRIB_RESPONDER, false);
	return 0;
}

/* ---- results ---- */

static void quote(struct attrib_live *lv, const struct cell_change *c, struct owner *owner)
{
	for (size_t i = 0; i < c->n_evidence; i++) {
		const struct evidence *e = &lv->evidence[c->evidence[i].ref % EVIDENCE];
		if (e->ref != c->evidence[i].ref || e->corrected_us != c->start_us + (uint64_t)c->evidence[i].delta_us)
			continue;
		owner->evidence[owner->n_evidence++] = (struct owner_evidence){
			.source = procevent_source_names[e->source],
			.id = e->text,
			.key = cell_key_names[c->key],
			.delta_ms = (double)((int64_t)e->time_us - (int64_t)c->start_us) / 1000.0,
			.corrected_ms = (double)c->evidence[i].delta_us / 1000.0,
		};
	}
}

/* Versions told are twice the script's, to leave room for the one that says that grace is over. */
static void tell(struct attrib *at, const struct flow *f, const struct cell_change *c, bool over)
{
	struct attrib_live *lv = at->on_line;
	struct owner owner;
	const struct facts_addr *own = f ? c->side == ATTRIB_INITIATOR ? &f->last.src : &f->last.dst : NULL;
	uint32_t device = own ? identity_at(at->identity, own, f->last.start_ns / 1000) : 0;
	unsigned pools = f ? attrib_pools(at, own, c->side == ATTRIB_INITIATOR ? &f->last.dst : &f->last.src) : 0;
	attrib_owner_of(at, c, &owner);
	attrib_cap(pools, &owner);
	if (own)
		attrib_check_device(at, device, identity_shared(at->identity, own, f->last.start_ns / 1000), c->key, &owner);
	if (owner.outcome != OWNER_UNATTRIBUTED) {
		quote(lv, c, &owner);
	} else {
		over |= c->grade != 'U'; /* taken back: waiting brings nothing */
		if (!device && (c->side == ATTRIB_RESPONDER || !(pools & ATTRIB_POOL_OWN)))
			return;
		owner.cause = !over   ? OWNER_CAUSE_LATE
			      : pools ? OWNER_CAUSE_NAT_OR_PROXY
				      : attrib_cause(at, device, f->last.start_ns / 1000, f->last.end_ns / 1000, f->last.midstream);
	}
	static const char grades[] = "ABCDU";
	at->stats.sides[owner.outcome][strchr(grades, owner.grade) - grades]++;
	if (lv->fn)
		lv->fn(lv->ctx, c->flow_id, c->side, c->version * 2 + over, &owner);
}

static uint64_t digest_of(const struct cell_change *c)
{
	uint64_t words[CELL_MAX_OWNERS + 1] = {(uint64_t)(uint8_t)c->grade | (uint64_t)c->key << 8 | (uint64_t)c->cause << 16 |
					       (uint64_t)c->rivals << 24};
	memcpy(words + 1, c->owners, c->n_owners * sizeof *words);
	return hash_bytes(HASH_KEY_FIXED, words, (1 + c->n_owners) * sizeof *words);
}

void attrib_live_change(void *ctx, const struct cell_change *c)
{
	struct attrib *at = ctx;
	struct flow *f = find_flow(at->on_line, c->flow_id, false);
	uint64_t gaps = courier_gaps(at->courier);
	bool forgot = f && f->recalls[c->side] != gaps; /* then the script may count versions anew; those told only grow */
	if (f && f->grade[c->side] && !forgot && c->version <= f->version[c->side])
		return; /* told already: an answer to a batch sent twice */
	uint64_t digest = digest_of(c);
	if (f && f->grade[c->side] && forgot && f->digest[c->side] == digest)
		return;
	if (attrib_share_defer(at, c))
		return;
	struct cell_change now = *c;
	if (f) {
		if (f->grade[c->side] && now.version <= f->told[c->side])
			now.version = f->told[c->side] + 1;
		f->version[c->side] = c->version;
		f->told[c->side] = now.version;
		f->recalls[c->side] = gaps;
		f->grade[c->side] = c->grade;
		f->digest[c->side] = digest;
	}
	if (f || c->grade != 'U')
		tell(at, f, &now, f && !f->due_ns);
}

/* Grace is over: what is still nobody's is said so, and evidence about the destination is asked for. */
static void end_grace(struct attrib *at, struct flow *f)
{
	f->due_ns = 0;
	for (unsigned side = 0; side < ATTRIB_SIDES; side++) {
		const struct facts_addr *own = side == ATTRIB_INITIATOR ? &f->last.src : &f->last.dst;
		bool pool = attrib_pools(at, own, own), reports = identity_at(at->identity, own, f->last.start_ns / 1000);
		if (f->grade[side] != 'U' || (!reports && (!pool || side == ATTRIB_RESPONDER)))
			continue;
		struct cell_change c = {.flow_id = f->last.flow_id, .start_us = f->last.start_ns / 1000, .version = f->told[side],
					.side = (uint8_t)side, .grade = 'U'};
		tell(at, f, &c, true);
		if (f->last.midstream || pool || identity_shared(at->identity, own, f->last.start_ns / 1000))
			continue;
		attrib_spread(at->flow, &f->last, at->zone);
		ship_flow(at, at->flow, side, true);
	}
}

int attrib_poll(struct attrib *at, uint64_t now_ns, attrib_fn *fn, void *ctx, struct err *err)
{
	struct attrib_live *lv = at->on_line;
	if (!lv)
		return err_set(err, -EINVAL, "polling is for live use");
	lv->now_ns = at->now_ns = now_ns;
	lv->fn = fn;
	lv->ctx = ctx;
	if (lv->devices_unified != identity_count(at->identity) && (lv->scan & 63) == 0) {
		attrib_unify(at);
		lv->devices_unified = identity_count(at->identity);
	}
	int rc = courier_poll(at->courier, err);
	int shared = attrib_share_poll(at, rc ? NULL : err);
	rc = rc ? rc : shared;
	for (unsigned i = 0; i < SCAN_SETS * WAYS; i++) {
		struct flow *f = &lv->flows[(lv->scan * SCAN_SETS % SETS) * WAYS + i];
		if (f->due_ns && now_ns >= f->due_ns)
			end_grace(at, f);
	}
	lv->scan++;
	lv->fn = NULL;
	return rc;
}

size_t attrib_live_archives(struct attrib *at, uint64_t handle, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret,
			    size_t max)
{
	struct attrib_live *lv = at->on_line;
	size_t n = 0;
	for (size_t i = 0; i < lv->n_archives && n < max; i++) {
		const struct archive *a = &lv->archives[(lv->at_archive - 1 - i) % ARCHIVES];
		struct owner_process maker;
		int relation = proctab_relation(at->processes, handle, a->handle);
		if (a->time_us * 1000 < from_ns || a->time_us * 1000 > to_ns || relation < 0 ||
		    !proctab_owner(at->processes, a->handle, NULL, &maker))
			continue;
		ret[n++] = (struct attrib_archive){a->time_us * 1000, maker.principal, maker.name, a->file[0] ? a->file : NULL,
						   procevent_source_names[a->source], a->id, (uint8_t)relation};
	}
	return n;
}
