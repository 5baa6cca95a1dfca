#include "detect/attrib/attrib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/attrib_state.h"

enum {
	DEFAULT_TTL_S = 7200,
	MAX_TTL_S = 86400,
	ROLLUP_TTL_S = 48 * 3600,
	STREAM_CAP = 4096,
	DEFAULT_PROCESSES = 1 << 20,
	DEFAULT_DEVICES = 1 << 17,
	VISIBILITY_PAGES = 1 << 18,
	PAIRS_REPLAY = 1 << 20,
	PAIRS_LIVE = 256,
};
#define GAP_WINDOW_NS    (600 * UINT64_C(1000000000))
#define DEFAULT_GRACE_NS (900 * UINT64_C(1000000000))

static int make_tables(struct attrib *at, const struct attrib_conf *conf)
{
	at->identity = identity_new(conf->max_devices ? conf->max_devices : DEFAULT_DEVICES);
	at->processes = proctab_new(conf->max_processes ? conf->max_processes : DEFAULT_PROCESSES);
	at->clocks = clocks_new(conf->live ? PAIRS_LIVE : PAIRS_REPLAY);
	at->visibility = visibility_new(VISIBILITY_PAGES);
	at->flow = malloc(sizeof *at->flow);
	if (!at->flow || !at->identity || !at->processes || !at->clocks || !at->visibility)
		return -ENOMEM;
	return conf->live ? attrib_live_init(at, conf) : attrib_replay_init(at, conf);
}

static void take_change(void *ctx, const struct cell_change *change)
{
	struct attrib *at = ctx;
	if (change->source != at->source_id)
		return;
	if (at->live)
		attrib_live_change(at, change);
	else
		verdicts_set(at->verdicts, change);
}

static int open_join(struct attrib *at, const struct attrib_conf *conf, struct err *err)
{
	int rc = 0;
	if (conf->redis)
		at->url = *conf->redis;
	else
		rc = server_start(&at->server, err);
	if (rc < 0)
		return rc;
	uint64_t ttl = conf->cell_ttl_s ? conf->cell_ttl_s : DEFAULT_TTL_S;
	struct join_conf jc = {
		.url = at->server ? server_url(at->server) : &at->url,
		.source = conf->sensor,
		.cell_ttl_s = ttl < MAX_TTL_S ? ttl : MAX_TTL_S,
		.rollup_ttl_s = ROLLUP_TTL_S,
		.stream_cap = at->server ? 0 : STREAM_CAP, /* nobody can read a private server's */
		.tell_all = !conf->live,
		.keep_ns = at->server ? 0 : GAP_WINDOW_NS, /* a private server forgets only with us */
		.spool = conf->live && conf->redis ? conf->spool : NULL,
		.fn = take_change,
		.ctx = at,
	};
	rc = conf->live ? courier_open(&at->courier, &jc, err) : join_open(&at->join, &jc, err);
	if (rc == 0 && conf->redis && !at->url.nodes[0] && attrib_share_init(at))
		rc = err_set(err, -ENOMEM, "out of memory");
	return rc;
}

int attrib_new(struct attrib **ret_at, const struct attrib_conf *conf, struct err *err)
{
	struct attrib *at = calloc(1, sizeof *at);
	if (!at)
		return err_set(err, -ENOMEM, "out of memory");
	const char *sensor = conf->sensor ? conf->sensor : "leaktap";
	at->live = conf->live;
	at->zone = conf->zone;
	at->is_pool = conf->is_pool;
	at->is_pool_ctx = conf->is_pool_ctx;
	at->grace_ns = conf->grace_ns ? conf->grace_ns : DEFAULT_GRACE_NS;
	at->source_id = (uint16_t)hash_bytes(HASH_KEY_FIXED, sensor, strlen(sensor));
	int rc = make_tables(at, conf);
	rc = rc < 0 ? err_set(err, rc, "out of memory") : open_join(at, conf, err);
	if (rc < 0) {
		attrib_free(at);
		return rc;
	}
	*ret_at = at;
	return 0;
}

void attrib_free(struct attrib *at)
{
	if (!at)
		return;
	attrib_share_done(at);
	join_close(at->join);
	courier_close(at->courier);
	server_stop(at->server);
	attrib_live_done(at);
	attrib_replay_done(at);
	identity_free(at->identity);
	proctab_free(at->processes);
	clocks_free(at->clocks);
	visibility_free(at->visibility);
	free(at->flow);
	free(at);
}

int attrib_event(struct attrib *at, const struct procevent *ev)
{
	uint32_t device = identity_see(at->identity, ev->device_id, ev->device_name);
	at->stats.events++;
	if (!device)
		return 0;
	visibility_mark(at->visibility, identity_device(at->identity, device), ev->clock, ev->time_ns / 1000);
	bool joinable = evlog_joinable(ev), connection = ev->kind == PROCEVENT_CONNECT || ev->kind == PROCEVENT_ACCEPT ||
							  ev->kind == PROCEVENT_FOUND || ev->kind == PROCEVENT_AGGREGATED;
	at->stats.events_joinable += joinable;
	at->stats.events_unjoinable += connection && !joinable;
	return at->live ? attrib_live_event(at, ev, device) : evlog_add(&at->log, ev, device);
}

int attrib_flow(struct attrib *at, const struct attrib_flow *flow)
{
	at->stats.flows += !flow->bystander;
	if (at->live)
		return attrib_live_flow(at, flow);
	attrib_spread(at->flow, flow, at->zone);
	return spill_add(at->spill, at->flow);
}

void attrib_spread(struct spill_flow *ret, const struct attrib_flow *flow, uint8_t zone)
{
	uint64_t up = flow->up_bytes, down = flow->down_bytes;
	ret->flow_id = flow->flow_id;
	ret->start_us = flow->start_ns / 1000;
	ret->end_us = flow->end_ns > flow->start_ns ? flow->end_ns / 1000 : ret->start_us;
	ret->src = flow->src;
	ret->dst = flow->dst;
	ret->proto = flow->proto;
	ret->zone = zone;
	ret->service = flow->service;
	ret->midstream = flow->midstream;
	ret->bystander = flow->bystander;
	ret->n_ledger = 0;
	for (size_t i = 0; i < flow->n_minutes; i++) { /* back to what was known before this delta */
		up -= flow->minutes[i].up_bytes < up ? flow->minutes[i].up_bytes : up;
		down -= flow->minutes[i].down_bytes < down ? flow->minutes[i].down_bytes : down;
	}
	uint32_t first = (uint32_t)(ret->start_us / (CELL_LEDGER_S * UINT64_C(1000000)));
	for (size_t i = 0; i < flow->n_minutes; i++) {
		uint32_t bucket = (uint32_t)(flow->minutes[i].start_s / CELL_LEDGER_S);
		bucket = bucket > first ? bucket : first;
		up += flow->minutes[i].up_bytes;
		down += flow->minutes[i].down_bytes;
		if (ret->n_ledger && ret->ledger[ret->n_ledger - 1].at >= bucket) {
			ret->ledger[ret->n_ledger - 1].up = up;
			ret->ledger[ret->n_ledger - 1].down = down;
		} else if (ret->n_ledger < CELL_MAX_LEDGER) {
			ret->ledger[ret->n_ledger++] = (struct cell_ledger){bucket, up, down};
		}
	}
	if (ret->n_ledger == 0)
		ret->ledger[ret->n_ledger++] = (struct cell_ledger){(uint32_t)(ret->end_us / (CELL_LEDGER_S * UINT64_C(1000000))), 0, 0};
	/* the totals are what counts, whatever the minutes said */
	ret->ledger[ret->n_ledger - 1].up = flow->up_bytes;
	ret->ledger[ret->n_ledger - 1].down = flow->down_bytes;
}

struct cell_tuple attrib_tuple(const struct spill_flow *flow, enum attrib_side side)
{
	bool initiator = side == ATTRIB_INITIATOR;
	return (struct cell_tuple){.local = initiator ? flow->src : flow->dst, .remote = initiator ? flow->dst : flow->src,
				   .proto = flow->proto, .zone = flow->zone};
}

uint64_t attrib_tuple_hash(const struct facts_addr *local, const struct facts_addr *remote, uint8_t proto)
{
	uint8_t key[39] = {proto, local->family, remote->family};
	memcpy(key + 3, local->ip, local->family == 4 ? 4 : 16);
	memcpy(key + 19, remote->ip, remote->family == 4 ? 4 : 16);
	memcpy(key + 35, &local->port, 2);
	memcpy(key + 37, &remote->port, 2);
	return hash_bytes(HASH_KEY_FIXED, key, sizeof key);
}

bool attrib_trusted(uint8_t source, uint8_t proto, uint16_t flags)
{
	if (flags & PROCEVENT_EITHER_WAY)
		return false;
	return source != PROCEVENT_SOURCE_SYSMON || proto == 6;
}

bool attrib_inside(const struct facts_addr *a)
{
	if (a->family == 4)
		return a->ip[0] == 10 || a->ip[0] == 127 || (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16) ||
		       (a->ip[0] == 192 && a->ip[1] == 168) || (a->ip[0] == 169 && a->ip[1] == 254);
	return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
}

uint64_t attrib_device_hash(const struct attrib *at, uint32_t device)
{
	const char *name = identity_name(at->identity, device);
	return name ? hash_bytes(HASH_KEY_FIXED, name, strlen(name)) : 0;
}

/* Did the device tell anything near the flow? Each of its clocks is asked in its own time. */
static bool heard(struct attrib *at, uint32_t device, uint64_t start_us, uint64_t end_us)
{
	for (uint8_t clock = 0; clock < PROCEVENT_CLOCK_COUNT; clock++) {
		int64_t offset = clocks_at(at->clocks, device, clock, (int64_t)start_us).offset_us;
		int64_t from = (int64_t)start_us + offset - ATTRIB_NEAR_US, to = (int64_t)end_us + offset + ATTRIB_NEAR_US;
		if (to > 0 && visibility_any(at->visibility, device, clock, from > 0 ? (uint64_t)from : 0, (uint64_t)to))
			return true;
	}
	return false;
}

uint8_t attrib_cause(struct attrib *at, uint32_t device, uint64_t start_us, uint64_t end_us, bool midstream)
{
	if (midstream)
		return OWNER_CAUSE_CONNECT_BEFORE_CAPTURE;
	return heard(at, device, start_us, end_us) ? OWNER_CAUSE_NO_EVENT : OWNER_CAUSE_ENDPOINT_SILENT;
}

unsigned attrib_pools(const struct attrib *at, const struct facts_addr *own, const struct facts_addr *peer)
{
	if (!at->is_pool)
		return 0;
	return (at->is_pool(at->is_pool_ctx, own) ? ATTRIB_POOL_OWN : 0u) | (at->is_pool(at->is_pool_ctx, peer) ? ATTRIB_POOL_PEER : 0u);
}

void attrib_cap(unsigned pools, struct owner *o)
{
	if (o->outcome != OWNER_ATTRIBUTED || !(pools & ATTRIB_POOL_OWN) || o->grade > 'B')
		return;
	o->grade = 'C';
	o->cause = OWNER_CAUSE_NAT_OR_PROXY;
}

static void fill_process(struct attrib *at, uint64_t principal, struct owner_process *ret)
{
	uint64_t handle = proctab_by_principal(at->processes, principal);
	const char *device = identity_name(at->identity, proctab_device(at->processes, handle));
	if (!proctab_owner(at->processes, handle, device, ret) && !attrib_share_find(at, principal, ret))
		*ret = (struct owner_process){.principal = principal};
}

void attrib_owner_of(struct attrib *at, const struct cell_change *c, struct owner *ret)
{
	*ret = (struct owner){.grade = c->grade, .cause = c->cause, .rivals = c->rivals};
	if (c->grade == 'U') {
		ret->outcome = OWNER_UNATTRIBUTED;
	} else if (c->grade == 'D') {
		ret->outcome = OWNER_AMBIGUOUS;
		ret->n_candidates = c->n_owners;
		for (size_t i = 0; i < c->n_owners; i++)
			fill_process(at, c->owners[i], &ret->candidates[i]);
	} else {
		ret->outcome = OWNER_ATTRIBUTED;
		fill_process(at, c->owners[0], &ret->process);
	}
}

size_t attrib_archives(struct attrib *at, uint64_t principal, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret, size_t max)
{
	uint64_t handle = proctab_by_principal(at->processes, principal);
	if (!handle)
		return 0;
	return at->live ? attrib_live_archives(at, handle, from_ns, to_ns, ret, max)
			: attrib_replay_archives(at, handle, from_ns, to_ns, ret, max);
}

static uint32_t root_of(const void *ctx, uint32_t device)
{
	return identity_device(ctx, device);
}

void attrib_unify(struct attrib *at)
{
	identity_unify(at->identity);
	visibility_unify(at->visibility, root_of, at->identity);
}

/* An address that another device had by then (a new lease) makes the event somebody else's: nobody is charged. Of an address that
 * several devices use in turns only the whole 5-tuple says whose flow it is; a port alone leaves the other device possible. */
void attrib_check_device(const struct attrib *at, uint32_t device, bool shared, uint8_t key, struct owner *o)
{
	const char *here = identity_name(at->identity, device);
	if (o->outcome != OWNER_ATTRIBUTED || (shared && key == CELL_KEY_5TUPLE))
		return;
	if (shared) {
		struct owner_process candidate = o->process;
		*o = (struct owner){.outcome = OWNER_AMBIGUOUS, .grade = 'D', .cause = OWNER_CAUSE_RIVALS, .n_candidates = 1};
		o->candidates[0] = candidate;
	} else if (here && o->process.device && strcmp(here, o->process.device) != 0) {
		*o = (struct owner){.outcome = OWNER_UNATTRIBUTED, .grade = 'U'};
	}
}

const char *attrib_device(struct attrib *at, const struct facts_addr *addr, uint64_t at_ns)
{
	if (identity_shared(at->identity, addr, at_ns / 1000))
		return NULL;
	return identity_name(at->identity, identity_at(at->identity, addr, at_ns / 1000));
}

size_t attrib_clocks(struct attrib *at, struct attrib_clock *ret, size_t max)
{
	uint32_t device;
	uint8_t clock;
	struct clock_skew_state state;
	size_t n = 0;
	for (; n < max && clocks_nth(at->clocks, n, &device, &clock, &state); n++)
		ret[n] = (struct attrib_clock){
			.device = identity_name(at->identity, device),
			.source = procevent_source_names[clocks_sources[clock]],
			.domain = clocks_domain_names[clock],
			.calibrated = state.calibrated,
			.offset_ms = (double)state.offset_us / 1000.0,
			.spread_ms = (double)state.spread_us / 1000.0,
			.samples = state.samples,
		};
	return n;
}

void attrib_stats(const struct attrib *at, struct attrib_stats *ret)
{
	struct join_stats js;
	if (at->live)
		courier_stats(at->courier, &js);
	else
		join_stats(at->join, &js);
	*ret = at->stats;
	ret->batches = js.batches;
	ret->bytes_shipped = js.bytes_shipped;
	ret->cell_overflow = js.overflow + js.refused;
	ret->redis_errors = js.errors;
	ret->reconnects = js.reconnects;
	ret->unacknowledged_bytes = js.queued_bytes;
	ret->batches_forced = js.forced;
	ret->batches_recalled = js.gaps;
	ret->spool_bytes = js.spool_bytes;
	ret->spool_dropped = js.spool_dropped;
	ret->processes_evicted = proctab_evicted(at->processes) + at->log.notes_refused;
	ret->devices_evicted = identity_refused(at->identity);
	ret->memory_bytes = proctab_bytes(at->processes) + identity_bytes(at->identity) + js.queued_bytes + js.kept_bytes;
	if (!at->live)
		ret->memory_bytes += evlog_bytes(&at->log) + verdicts_bytes(at->verdicts) + spill_bytes(at->spill) +
				     at->n_row_slots * sizeof *at->row_by_id;
}

const char *attrib_remark(const struct attrib *at)
{
	return at->server ? "" : at->live ? courier_remark(at->courier) : join_remark(at->join);
}
