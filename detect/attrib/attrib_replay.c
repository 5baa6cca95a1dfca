/* Replay: everything is known before anything is decided, so each step works over the whole input in an order of its own making;
 * the order of arrival never matters. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/attrib_state.h"
#include "detect/attrib/settle.h"

enum { SPILL_BYTES = 64 << 20, MAX_NOTES = 1 << 21 };

int attrib_replay_init(struct attrib *at, const struct attrib_conf *conf)
{
	size_t notes = conf->max_processes ? conf->max_processes * 2 : MAX_NOTES;
	at->spill = spill_new(SPILL_BYTES);
	at->verdicts = verdicts_new();
	return at->spill && at->verdicts ? evlog_init(&at->log, notes) : -ENOMEM;
}

void attrib_replay_done(struct attrib *at)
{
	evlog_done(&at->log);
	spill_free(at->spill);
	verdicts_free(at->verdicts);
	free(at->row_by_id);
}

/* ---- shipping ---- */

/* What Redis need hear of: the keys of cells (or destinations) that hold a flow, sorted. */
struct keys {
	uint64_t *all;
	size_t n, size;
};

static int keys_add(struct keys *k, uint64_t key)
{
	if (k->n == k->size) {
		size_t size = k->size ? k->size * 2 : 1024;
		uint64_t *grown = realloc(k->all, size * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		k->all = grown;
		k->size = size;
	}
	k->all[k->n++] = key;
	return 0;
}

static int by_key(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;
	return a < b ? -1 : a > b;
}

static void keys_sort(struct keys *k)
{
	if (k->n)
		qsort(k->all, k->n, sizeof *k->all, by_key);
}

static bool keys_have(const struct keys *k, uint64_t key)
{
	return k->n && bsearch(&key, k->all, k->n, sizeof *k->all, by_key);
}

static struct cell_event event_of(const struct attrib *at, const struct evlog_row *row)
{
	const struct evlog *log = &at->log;
	struct cell_event e = {
		.tuple = {.local = log->addrs[row->local - 1], .proto = row->proto ? row->proto : 6, .zone = at->zone},
		.t_us = (uint64_t)row->corrected_us,
		.principal = row->principal,
		.ref = (uint32_t)row->id,
		.calibrated = row->bits & EVLOG_CALIBRATED,
		.found = row->kind == PROCEVENT_FOUND,
	};
	e.tuple.local.port = row->local_port;
	if (row->remote) {
		e.tuple.remote = log->addrs[row->remote - 1];
		e.tuple.remote.port = row->remote_port;
	}
	if (row->kind == PROCEVENT_AGGREGATED)
		e.last_us = e.t_us + row->span_s * UINT64_C(1000000);
	e.stop_us = settle_stop_us(at, row);
	return e;
}

/* wanted: with a Redis of our own the world is closed, and an event whose cell holds no flow can change no row, so it is not sent. NULL:
 * others' flows may be waiting for it. */
static int ship_events(struct attrib *at, const struct keys *wanted, bool destinations, struct err *err)
{
	uint8_t buf[CELL_MAX_EVENT];
	for (size_t i = 0; i < at->log.n_rows; i++) {
		const struct evlog_row *row = &at->log.rows[i];
		bool report = row->kind == PROCEVENT_AGGREGATED;
		if (!row->principal || !row->local || row->kind == PROCEVENT_INSPECT)
			continue;
		if (report && !destinations)
			continue;
		/* Defender tells of a destination once a day: its other connections speak for the silent ones. Sources that tell of
		 * each connection do not: their silence means something. */
		if (destinations && (!row->remote || (!report && row->source != PROCEVENT_SOURCE_MDE)))
			continue;
		struct cell_event e = event_of(at, row);
		if (wanted && !keys_have(wanted, destinations ? cell_destination_hash(&e.tuple) : cell_hash(&e.tuple)))
			continue;
		attrib_share_tell(at, e.principal);
		size_t n = destinations ? cell_pack_destination(buf, &e) : cell_pack_event(buf, &e);
		int rc = join_put(at->join, cell_tag(at->zone, &e.tuple.local), buf, n, err);
		if (rc < 0)
			return rc;
	}
	return join_flush(at->join, err);
}

static bool seeks(const struct attrib *at, const struct verdict *v, unsigned side)
{
	struct cell_change c;
	if (!v || !v->device[side] || v->shared[side] || v->midstream || v->pools[side] & ATTRIB_POOL_OWN)
		return false; /* of a shared address no device's other connections speak */
	verdicts_owner(at->verdicts, v, side, &c);
	return c.grade == 'U';
}

static int ship_flow(struct attrib *at, const struct spill_flow *f, enum attrib_side side, bool seek, struct err *err)
{
	static uint8_t buf[CELL_MAX_FLOW]; /* one thread; too large for the stack */
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
	return join_put(at->join, cell_tag(at->zone, &cf.tuple.local), buf, cell_pack_flow(buf, &cf), err);
}

/* Does this side take part? Every initiator's does (bytes nobody owns are rows too), a responder's where its device is known, or may be
 * to others. */
static bool goes(const struct attrib *at, const struct spill_flow *f, const struct verdict *v, unsigned side)
{
	return side == ATTRIB_INITIATOR || (v && v->device[side]) || (!at->server && attrib_inside(&f->dst));
}

/* With a Redis of others too the evidence that comes later may take an owner away: every flow asks for its destination's at once, so
 * that the order does not matter. */
static bool asks_at_once(const struct attrib *at, const struct spill_flow *f)
{
	return !at->server && !f->midstream;
}

static int ship_flows(struct attrib *at, bool seeking, struct err *err)
{
	struct spill_flow *f = at->flow;
	int rc = spill_rewind(at->spill), more = 0;
	while (rc == 0 && (more = spill_next(at->spill, f)) > 0) {
		if (f->bystander)
			continue;
		const struct verdict *v = verdicts_get(at->verdicts, f->flow_id);
		for (unsigned side = 0; side < ATTRIB_SIDES && rc == 0; side++) {
			bool go = seeking ? seeks(at, v, side) : goes(at, f, v, side);
			if (go)
				rc = ship_flow(at, f, side, seeking || asks_at_once(at, f), err);
		}
	}
	if (rc == 0 && more < 0)
		rc = err_set(err, more, "reading the spilled flows: %s", strerror(-more));
	return rc < 0 ? rc : join_flush(at->join, err);
}

static int note_flow(struct attrib *at, const struct spill_flow *f, struct keys *wanted)
{
	if (f->bystander)
		return 0;
	struct verdict *v = verdicts_put(at->verdicts, f->flow_id);
	if (!v)
		return -ENOMEM;
	v->start_us = f->start_us;
	v->end_us = f->end_us > v->end_us ? f->end_us : v->end_us;
	v->midstream = f->midstream;
	int rc = 0;
	for (unsigned side = 0; side < ATTRIB_SIDES && rc == 0; side++) {
		struct cell_tuple t = attrib_tuple(f, side);
		v->device[side] = identity_at(at->identity, &t.local, f->start_us);
		v->pools[side] = (uint8_t)attrib_pools(at, &t.local, &t.remote);
		v->shared[side] = identity_shared(at->identity, &t.local, f->start_us);
		if (v->device[side])
			rc = keys_add(wanted, cell_hash(&t));
		struct cell_tuple any = {.local = t.local, .proto = t.proto, .zone = t.zone};
		if (v->device[side] && rc == 0)
			rc = keys_add(wanted, cell_hash(&any)); /* events without a remote */
	}
	return rc;
}

static int note_flows(struct attrib *at, struct keys *wanted)
{
	struct spill_flow *f = at->flow;
	int rc = spill_rewind(at->spill), more = 0;
	while (rc == 0 && (more = spill_next(at->spill, f)) > 0)
		rc = note_flow(at, f, wanted);
	keys_sort(wanted);
	return rc ? rc : more;
}

static int note_seekers(struct attrib *at, struct keys *wanted)
{
	struct spill_flow *f = at->flow;
	int rc = spill_rewind(at->spill), more = 0;
	while (rc == 0 && (more = spill_next(at->spill, f)) > 0)
		for (unsigned side = 0; side < ATTRIB_SIDES && rc == 0 && !f->bystander; side++) {
			struct cell_tuple t = attrib_tuple(f, side);
			if (seeks(at, verdicts_get(at->verdicts, f->flow_id), side))
				rc = keys_add(wanted, cell_destination_hash(&t));
		}
	keys_sort(wanted);
	return rc ? rc : more;
}

static void count_sides(struct attrib *at)
{
	static const char grades[] = "ABCDU";
	struct owner owner;
	for (size_t i = 0; verdicts_nth(at->verdicts, i); i++) {
		uint64_t id = verdicts_nth(at->verdicts, i)->flow_id;
		for (unsigned side = 0; side < ATTRIB_SIDES; side++)
			if (attrib_owner(at, id, side, &owner))
				at->stats.sides[owner.outcome][strchr(grades, owner.grade) - grades]++;
	}
}

/* The names of owners that others' events brought. */
static int name_owners(struct attrib *at, struct err *err)
{
	struct keys owners = {0};
	int rc = 0;
	for (size_t i = 0; rc == 0 && at->share && verdicts_nth(at->verdicts, i); i++)
		for (unsigned side = 0; side < ATTRIB_SIDES; side++) {
			struct cell_change c;
			verdicts_owner(at->verdicts, verdicts_nth(at->verdicts, i), side, &c);
			for (size_t k = 0; k < c.n_owners && rc == 0; k++)
				rc = keys_add(&owners, c.owners[k]);
		}
	rc = rc < 0 ? err_set(err, rc, "out of memory") : attrib_share_settle(at, owners.all, owners.n, err);
	free(owners.all);
	return rc;
}

static int join_all(struct attrib *at, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *err)
{
	struct keys cells = {0}, destinations = {0};
	int rc = note_flows(at, &cells);
	if (rc < 0)
		err_set(err, rc, "reading the spilled flows: %s", strerror(-rc));
	if (rc == 0)
		rc = ship_events(at, at->server ? &cells : NULL, false, err);
	if (rc == 0 && !at->server)
		rc = ship_events(at, NULL, true, err);
	if (progress)
		progress(ctx, 3, 6);
	if (rc == 0)
		rc = ship_flows(at, false, err);
	if (progress)
		progress(ctx, 4, 6);
	if (rc == 0 && at->server && (rc = note_seekers(at, &destinations)) < 0)
		err_set(err, rc, "reading the spilled flows: %s", strerror(-rc));
	if (rc == 0 && destinations.n) {
		rc = ship_events(at, &destinations, true, err);
		if (rc == 0)
			rc = ship_flows(at, true, err);
	}
	free(cells.all);
	free(destinations.all);
	return rc < 0 ? rc : name_owners(at, err);
}

int attrib_settle(struct attrib *at, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *err)
{
	if (at->live || at->settled)
		return err_set(err, -EINVAL, "nothing to settle");
	at->settled = true;
	int rc = settle_identity(at);
	if (rc == 0)
		rc = settle_clocks(at);
	if (progress)
		progress(ctx, 1, 6);
	if (rc == 0)
		rc = settle_processes(at);
	if (rc < 0)
		return err_set(err, rc, "settling the endpoint events: %s", strerror(-rc));
	if (progress)
		progress(ctx, 2, 6);
	rc = join_all(at, progress, ctx, err);
	if (rc < 0)
		return rc;
	if (progress)
		progress(ctx, 5, 6);
	count_sides(at);
	if (progress)
		progress(ctx, 6, 6);
	return 0;
}

/* ---- asking ---- */

static void fill_evidence(const struct attrib *at, const struct cell_change *c, struct owner *ret)
{
	for (size_t i = 0; i < c->n_evidence; i++) {
		const struct evlog_row *row = settle_row(at, c->evidence[i].ref, (int64_t)c->start_us + c->evidence[i].delta_us);
		if (!row)
			continue;
		ret->evidence[ret->n_evidence++] = (struct owner_evidence){
			.source = procevent_source_names[row->source],
			.id = intern_text(at->log.ids, row->id_text, NULL),
			.key = cell_key_names[c->key],
			.delta_ms = (double)((int64_t)row->time_us - (int64_t)c->start_us) / 1000.0,
			.corrected_ms = (double)c->evidence[i].delta_us / 1000.0,
		};
	}
}

bool attrib_owner(struct attrib *at, uint64_t flow_id, enum attrib_side side, struct owner *ret)
{
	const struct verdict *v = at->verdicts && at->settled ? verdicts_get(at->verdicts, flow_id) : NULL;
	struct cell_change c;
	if (!v)
		return false;
	verdicts_owner(at->verdicts, v, side, &c);
	if (!v->device[side] && c.grade == 'U') { /* no device of ours, and none that others told of */
		if (side != ATTRIB_INITIATOR || !(v->pools[side] & ATTRIB_POOL_OWN))
			return false;
		owner_none(ret, OWNER_CAUSE_NAT_OR_PROXY); /* nobody reports from a pool's own address, and that is why */
		return true;
	}
	attrib_owner_of(at, &c, ret);
	attrib_check_device(at, v->device[side], v->shared[side], c.key, ret);
	if (ret->outcome != OWNER_UNATTRIBUTED)
		fill_evidence(at, &c, ret);
	attrib_cap(v->pools[side], ret);
	if (ret->outcome == OWNER_UNATTRIBUTED)
		ret->cause = v->pools[side] ? OWNER_CAUSE_NAT_OR_PROXY : attrib_cause(at, v->device[side], v->start_us, v->end_us, v->midstream);
	return true;
}

size_t attrib_replay_archives(struct attrib *at, uint64_t handle, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret,
			      size_t max)
{
	const struct evlog *log = &at->log;
	size_t n = 0, end = 0;
	for (size_t high = log->n_archives; end < high;) { /* sorted by time: the first one after to_ns */
		size_t mid = end + (high - end) / 2;
		if (log->archives[mid].time_us * 1000 > to_ns)
			high = mid;
		else
			end = mid + 1;
	}
	for (size_t i = end; i-- > 0 && n < max && log->archives[i].time_us * 1000 >= from_ns;) {
		const struct evlog_archive *a = &log->archives[i];
		int relation = proctab_relation(at->processes, handle, a->handle);
		struct owner_process maker;
		if (relation < 0 || !proctab_owner(at->processes, a->handle, NULL, &maker))
			continue;
		ret[n++] = (struct attrib_archive){
			.time_ns = a->time_us * 1000,
			.principal = maker.principal,
			.process = maker.name,
			.file = a->file ? intern_text(log->text, a->file, NULL) : NULL,
			.source = procevent_source_names[a->source],
			.id = intern_text(log->ids, a->id_text, NULL),
			.relation = (uint8_t)relation,
		};
	}
	return n;
}
