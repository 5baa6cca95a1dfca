#include "detect/app/live.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "capture/base/clock.h"
#include "detect/app/feeder.h"
#include "detect/app/intake.h"
#include "detect/app/log.h"
#include "detect/app/pending.h"
#include "detect/app/run.h"
#include "detect/app/worker.h"

enum { PENDING_FLOWS = 65536, RECORDS_PER_TURN = 1024, CHUNKS_PER_TURN = 2, IDLE_MS = 10 };

struct live {
	struct run run;
	struct worker *workers[CLI_MAX_IFACES];
	bool ended[CLI_MAX_IFACES];
	size_t n_workers;
	struct intake *intake;
	struct feeder *feeder;
	struct pending *pending;
	uint64_t stats_ns;
	bool restart;     /* an interface is gone: exit 75 */
};

static struct live live;

static void on_stop(void)
{
	for (size_t i = 0; i < live.n_workers; i++)
		worker_stop(live.workers[i]);
}

static bool wants_label(void *ctx, const char *name)
{
	struct catalogue_match m;
	return catalogue_find(ctx, name, &m);
}

static int start_worker(size_t i, struct err *err)
{
	const struct config *cf = &live.run.config;
	const struct cli *cli = live.run.cli;
	struct worker_conf wc = {
		.iface = cli->ifaces[i], .filter = cli->filter, .ring_bytes = cf->ring_mib << 20, .input = (uint16_t)i,
		.track = {.wants_label = wants_label, .wants_label_ctx = live.run.catalogue, .zone = (uint8_t)cf->zone,
			  .verify_checksums = cli->verify_checksums, .vlan_in_key = cf->vlan_in_key, .mdns = cf->mdns,
			  .max_flows = cf->max_flows, .update_ns = cf->update_s * CLOCK_NS_PER_S,
			  .idle_tcp_ns = cf->idle_tcp_s * CLOCK_NS_PER_S, .idle_udp_ns = cf->idle_udp_s * CLOCK_NS_PER_S,
			  .closed_ns = cf->closed_s * CLOCK_NS_PER_S}};
	int r = worker_start(&live.workers[i], &wc, err);
	if (!r)
		live.n_workers = i + 1;
	return r;
}

static int open_events(const struct cli *cli, struct err *err)
{
	if (!cli->n_endpoints)
		return 0;
	struct intake_conf ic = {.paths = cli->endpoints, .n_paths = cli->n_endpoints, .attrib = live.run.attrib,
				 .zone = cli->zone ? cli->zone : live.run.config.timezone};
	int r = intake_open(&live.intake, &ic, err);
	return r ? r : feeder_start(&live.feeder, intake_source(live.intake), err);
}

static int open_all(const struct cli *cli, struct err *err)
{
	int r = run_open(&live.run, cli, cli->n_endpoints || cli->redis, true, err);
	if (r)
		return r;
	live.pending = pending_new(PENDING_FLOWS);
	if (!live.pending)
		return err_set(err, -ENOMEM, "no memory for waiting flows");
	r = open_events(cli, err);
	run_signals(on_stop);
	for (size_t i = 0; !r && i < cli->n_ifaces; i++)
		r = start_worker(i, err);
	return r;
}

/* What the join has said so far; until it has, the evidence may still come. */
static void set_owners(struct verdict *v, struct pending_flow *pf, bool joined)
{
	run_no_owner(&live.run, v);
	if (!joined)
		return;
	v->initiator.cause = OWNER_CAUSE_LATE;
	if (!pf)
		return;
	if (pf->version)
		v->initiator = pf->owners[ATTRIB_INITIATOR];
	v->has_responder = pf->has_responder;
	v->responder = pf->owners[ATTRIB_RESPONDER];
}

static void on_record(const struct flow_facts *facts)
{
	struct verdict v;
	bool joined = run_classify(&live.run, facts, &v);
	struct pending_flow *pf = NULL;
	if (joined) {
		if (run_join(&live.run, facts, &v) < 0)
			live.run.stats.attrib.redis_errors++;
		uint64_t keep_ns = (live.run.config.grace_s + live.run.config.cell_ttl_s) * CLOCK_NS_PER_S;
		pf = pending_put(live.pending, facts, facts->end_ns + keep_ns);
	}
	set_owners(&v, pf, joined);
	v.version = pf ? pf->version + 1 : 1;
	run_deliver(&live.run, &v);
}

static void on_owner(void *ctx, uint64_t flow_id, enum attrib_side side, uint32_t version, const struct owner *owner)
{
	(void)ctx;
	(void)version;
	struct pending_flow *pf = pending_find(live.pending, flow_id);
	if (!pf)
		return;
	pf->version++;
	pf->owners[side] = *owner;
	pf->has_responder |= side == ATTRIB_RESPONDER;
	struct flow_facts facts;
	if (facts_unpack(&facts, pf->facts, pf->n_facts))
		return;
	struct verdict v;
	judge_classify(live.run.judge, &facts, &v);
	set_owners(&v, pf, true);
	v.version = pf->version + 1;
	judge_verdict(live.run.judge, &v);
	struct sink_attribution change = {.time_ns = live.run.clock_ns, .verdict = &v};
	outlets_attribution(&live.run.outlets, &change);
}

static size_t take_records(void)
{
	size_t taken = 0;
	for (size_t i = 0; i < live.n_workers; i++) {
		struct ring *ring = worker_ring(live.workers[i]);
		const void *record;
		for (size_t n; taken < RECORDS_PER_TURN && (record = ring_peek(ring, &n)); taken++) {
			struct flow_facts facts;
			if (!facts_unpack(&facts, record, n))
				on_record(&facts);
			ring_pop(ring);
		}
	}
	return taken;
}

static void take_events(void)
{
	struct evchunk chunk;
	struct err err = {0};
	for (int i = 0; live.feeder && i < CHUNKS_PER_TURN; i++) {
		int r = feeder_take(live.feeder, &chunk, &err);
		if (r == 0 || r == -ENODATA)
			return;
		if (r < 0)
			intake_note_unreadable(live.intake, &err);
		else if ((r = intake_chunk(live.intake, &chunk, &err)) < 0)
			log_error("%s", err.text);
		live.run.failed |= r < 0;
	}
}

static void gather_stats(void)
{
	struct sink_stats *st = &live.run.stats;
	struct worker_snapshot ws;
	memset(&st->source, 0, sizeof st->source);
	memset(&st->track, 0, sizeof st->track);
	for (size_t i = 0; i < live.n_workers; i++) {
		worker_look(live.workers[i], &ws);
		sink_stats_add(st, &ws.source, &ws.track);
		st->records_lost = i ? st->records_lost + ws.records_lost : ws.records_lost;
		if (ws.clock_ns > live.run.clock_ns)
			live.run.clock_ns = ws.clock_ns;
	}
	if (live.intake) {
		struct evsource_stats es;
		intake_stats(live.intake, &es, &st->events);
	}
	if (live.run.attrib)
		attrib_stats(live.run.attrib, &st->attrib);
	judge_stats(live.run.judge, &st->judge);
}

static void tick(uint64_t now_ns)
{
	struct err err = {0};
	if (live.run.attrib && attrib_poll(live.run.attrib, now_ns, on_owner, NULL, &err) < 0)
		log_warn("%s", err.text);
	judge_tick(live.run.judge, now_ns);
	outlets_tick(&live.run.outlets, now_ns);
	pending_expire(live.pending, now_ns);
	if (!live.stats_ns)
		live.stats_ns = now_ns;
	if (now_ns - live.stats_ns < live.run.config.update_s * CLOCK_NS_PER_S && !run_tell)
		return;
	run_tell = 0;
	live.stats_ns = now_ns;
	gather_stats();
	live.run.stats.time_ns = now_ns;
	outlets_stats(&live.run.outlets, &live.run.stats);
}

static bool all_ended(void)
{
	size_t over = 0;
	for (size_t i = 0; i < live.n_workers; i++) {
		int code;
		struct err err;
		bool is_over = worker_ended(live.workers[i], &code, &err);
		over += is_over;
		if (!is_over || live.ended[i])
			continue;
		live.ended[i] = true;
		if (code)
			log_error("%s", err.text);
		live.restart |= code == LT_EGONE;
		live.run.failed |= code && code != LT_EGONE;
	}
	return over == live.n_workers;
}

static void watch(void)
{
	const struct timespec idle = {0, IDLE_MS * 1000000};
	for (;;) {
		bool over = all_ended();
		size_t taken = take_records();
		take_events();
		tick(clock_wall_ns());
		if (over && !taken)
			break;
		if (!taken)
			nanosleep(&idle, NULL);
	}
}

static int close_all(bool ran)
{
	if (ran)
		gather_stats();
	feeder_stop(live.feeder);
	if (!ran)
		on_stop();
	for (size_t i = 0; i < live.n_workers; i++)
		worker_join(live.workers[i]);
	live.n_workers = 0;
	if (ran)
		judge_finish(live.run.judge);
	intake_close(live.intake);
	pending_free(live.pending);
	int code = run_close(&live.run, ran);
	return live.restart ? RUN_RESTART : code;
}

int live_main(const struct cli *cli)
{
	struct err err = {0};
	int r = open_all(cli, &err);
	if (r) {
		log_error("%s", err.text);
		close_all(false);
		return run_exit_of(r);
	}
	log_info("capturing on %zu interface%s; SIGINT or SIGTERM ends it", live.n_workers, live.n_workers == 1 ? "" : "s");
	watch();
	return close_all(true);
}
