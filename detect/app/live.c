#include "detect/app/live.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "capture/base/clock.h"
#include "detect/app/feeder.h"
#include "detect/app/intake.h"
#include "detect/app/log.h"
#include "detect/app/run.h"
#include "detect/app/teller.h"
#include "detect/app/worker.h"

enum { MAX_INLETS = 64, RECORDS_PER_TURN = 1024, CHUNKS_PER_TURN = 2, IDLE_MS = 10 };

/* After the last packet: how long events and the join's answers are waited for, and how long a silent source
 * is. */
static const uint64_t drain_ns = 3 * CLOCK_NS_PER_S, quiet_ns = 300 * CLOCK_NS_PER_MS;

/* One --endpoint: read on a thread of its own, parsed on ours. */
struct inlet {
	const char *path;
	struct intake *intake;
	struct feeder *feeder;
	bool over;
};

struct live {
	struct run run;
	struct teller *teller;
	struct worker *workers[CLI_MAX_IFACES];
	bool ended[CLI_MAX_IFACES];
	size_t n_workers, n_ended;
	struct inlet inlets[MAX_INLETS];
	size_t n_inlets;
	uint64_t began_ns, stats_ns;
	uint64_t records_lost, join_lost; /* told of in the log */
	bool stopping;
	bool join_ails; /* Redis does not answer; said once */
	bool restart;   /* an interface is gone: exit 75 */
};

static struct live live;

static bool wants_label(void *ctx, const char *name)
{
	struct catalogue_match m;
	return catalogue_find(ctx, name, &m);
}

static int start_worker(size_t i, struct err *err)
{
	const struct config *cf = &live.run.config;
	const struct cli *cli = live.run.cli;
	struct worker_conf wc = {.iface = cli->ifaces[i],
				 .filter = cli->filter,
				 .ring_bytes = cf->ring_mib << 20,
				 .input = (uint16_t)i,
				 .track = {.wants_label = wants_label,
					   .wants_label_ctx = live.run.catalogue,
					   .zone = (uint8_t)cf->zone,
					   .verify_checksums = cli->verify_checksums,
					   .vlan_in_key = cf->vlan_in_key,
					   .mdns = cf->mdns,
					   .max_flows = cf->max_flows,
					   .update_ns = cf->update_s * CLOCK_NS_PER_S,
					   .idle_tcp_ns = cf->idle_tcp_s * CLOCK_NS_PER_S,
					   .idle_udp_ns = cf->idle_udp_s * CLOCK_NS_PER_S,
					   .closed_ns = cf->closed_s ? cf->closed_s * CLOCK_NS_PER_S : 1 /* 0 is the default there */}};
	int r = worker_start(&live.workers[i], &wc, err);
	if (!r)
		live.n_workers = i + 1;
	return r;
}

static int open_inlets(const struct cli *cli, struct err *err)
{
	if (cli->n_endpoints > MAX_INLETS)
		return err_set(err, LT_EUSAGE, "more than %d endpoint sources; name a directory instead",
			       MAX_INLETS);
	struct intake_conf ic = {.attrib = live.run.attrib,
				 .zone = cli->zone ? cli->zone : live.run.config.timezone};
	for (size_t i = 0; i < cli->n_endpoints; i++) {
		struct inlet *in = &live.inlets[i];
		in->path = cli->endpoints[i];
		int r = intake_open(&in->intake, &ic, err);
		live.n_inlets = i + 1;
		if (!r)
			r = feeder_start(&in->feeder, in->path, err);
		if (r)
			return r;
	}
	return 0;
}

static int open_all(const struct cli *cli, struct err *err)
{
	run_signals(NULL);
	int r = run_open(&live.run, cli, cli->n_endpoints || cli->redis, true, err);
	struct teller_conf tc = {.run = &live.run};
	if (!r)
		r = teller_new(&live.teller, &tc, err);
	/* The interfaces first: an error there is told before a FIFO is emptied. */
	for (size_t i = 0; !r && i < cli->n_ifaces; i++)
		r = start_worker(i, err);
	return r ? r : open_inlets(cli, err);
}

/* Each worker in its turn, so that a busy one starves no other. */
static size_t take_records(void)
{
	size_t taken = 0;
	for (size_t i = 0; i < live.n_workers; i++) {
		struct ring *ring = worker_ring(live.workers[i]);
		const void *record;
		size_t n;
		for (size_t k = 0; k < RECORDS_PER_TURN && (record = ring_peek(ring, &n)); k++, taken++) {
			struct flow_facts facts;
			if (!facts_unpack(&facts, record, n))
				teller_record(live.teller, &facts);
			ring_pop(ring);
		}
	}
	return taken;
}

static void end_inlet(struct inlet *in)
{
	in->over = true;
	log_info("%s: no more endpoint events", in->path);
}

/* True when it gave something. */
static bool take_chunk(struct inlet *in)
{
	struct evchunk chunk;
	struct err err = {0};
	int r = feeder_take(in->feeder, &chunk, &err);
	if (r == -ENODATA)
		end_inlet(in);
	if (r == 0 || r == -ENODATA)
		return false;
	if (r < 0)
		intake_note_unreadable(in->intake, &err);
	else if (intake_chunk(in->intake, &chunk, &err) < 0) {
		log_error("%s", err.text); /* packets go on */
		live.run.failed = true;
	}
	return true;
}

static size_t take_events(void)
{
	size_t taken = 0;
	for (size_t i = 0; i < live.n_inlets; i++)
		for (int k = 0; k < CHUNKS_PER_TURN && !live.inlets[i].over && take_chunk(&live.inlets[i]);
		     k++)
			taken++;
	return taken;
}

static void gather_capture(struct sink_stats *st)
{
	memset(&st->source, 0, sizeof st->source);
	memset(&st->track, 0, sizeof st->track);
	st->records_lost = 0;
	for (size_t i = 0; i < live.n_workers; i++) {
		struct worker_snapshot ws;
		worker_look(live.workers[i], &ws);
		sink_stats_add(st, &ws.source, &ws.track);
		st->records_lost += ws.records_lost;
		if (ws.clock_ns > live.run.clock_ns)
			live.run.clock_ns = ws.clock_ns;
	}
}

static void gather_events(struct evparse_stats *st)
{
	memset(st, 0, sizeof *st);
	for (size_t i = 0; i < live.n_inlets; i++) {
		const struct evparse_stats *one = intake_parsed(live.inlets[i].intake);
		st->rows += one->rows;
		for (int k = 0; k < PROCEVENT_KIND_COUNT; k++)
			st->accepted[k] += one->accepted[k];
		for (int k = 0; k < EVPARSE_REASON_COUNT; k++)
			st->rejected[k] += one->rejected[k];
	}
}

static void gather_stats(void)
{
	struct sink_stats *st = &live.run.stats;
	gather_capture(st);
	gather_events(&st->events);
	if (live.run.attrib)
		attrib_stats(live.run.attrib, &st->attrib);
	judge_stats(live.run.judge, &st->judge);
	outlets_feed(&live.run.outlets, st);
	st->elapsed_ns = clock_monotonic_ns() - live.began_ns;
	if (st->records_lost > live.records_lost)
		log_warn("%llu flow records were lost: judging does not keep up",
			 (unsigned long long)st->records_lost);
	live.records_lost = st->records_lost;
	uint64_t join_lost = st->attrib.spool_dropped + st->attrib.batches_forced;
	if (join_lost > live.join_lost)
		log_warn("join: %llu batches were lost to it: Redis was away, or had forgotten, for longer than the spool holds",
			 (unsigned long long)join_lost);
	live.join_lost = join_lost;
	run_note_quality(&live.run);
}

static bool join_is_even(void)
{
	struct attrib_stats st;
	attrib_stats(live.run.attrib, &st);
	return !st.unacknowledged_bytes;
}

/* Redis may be away for hours and is asked again all the time: its trouble is told when it begins and when
 * all is made up for. */
static void note_join(int r, const struct err *err)
{
	if (r < 0 && !live.join_ails) {
		log_warn("join: %s; trying again, flows and events wait", err->text);
		live.join_ails = true;
	} else if (r >= 0 && live.join_ails && join_is_even()) {
		log_info("join: Redis answers again, nothing waits");
		live.join_ails = false;
	}
}

static void tick(uint64_t now_ns)
{
	struct err err = {0};
	int r = teller_tick(live.teller, now_ns, &err);
	note_join(r, &err);
	judge_tick(live.run.judge, now_ns);
	outlets_tick(&live.run.outlets, now_ns);
	if (!live.stats_ns || now_ns < live.stats_ns)
		live.stats_ns = now_ns;
	if (now_ns - live.stats_ns < live.run.config.update_s * CLOCK_NS_PER_S && !run_tell)
		return;
	run_tell = 0;
	live.stats_ns = now_ns;
	gather_stats();
	live.run.stats.time_ns = now_ns;
	outlets_stats(&live.run.outlets, &live.run.stats);
}

static void note_end(int code, const struct err *err)
{
	if (code)
		log_error("%s", err->text);
	live.restart |= code == LT_EGONE;
	live.run.failed |= code && code != LT_EGONE;
}

static bool all_ended(void)
{
	for (size_t i = 0; i < live.n_workers; i++) {
		int code;
		struct err err;
		if (live.ended[i] || !worker_ended(live.workers[i], &code, &err))
			continue;
		note_end(code, &err);
		live.ended[i] = true;
		live.n_ended++;
	}
	return live.n_ended == live.n_workers;
}

/* A signal, or the first interface that ends: half a sensor that looks whole is worse than one that is
 * started again. */
static void stop_if_due(void)
{
	if (live.stopping || !(run_stop || live.n_ended))
		return;
	live.stopping = true;
	for (size_t i = 0; i < live.n_workers; i++)
		worker_stop(live.workers[i]);
}

static void nap(void)
{
	const struct timespec idle = {0, IDLE_MS * 1000000};
	nanosleep(&idle, NULL);
}

static void watch(void)
{
	for (;;) {
		bool over = all_ended(); /* before the records are taken: what it told before its end is in
					    the ring then */
		stop_if_due();
		size_t taken = take_records();
		take_events();
		tick(clock_wall_ns());
		if (over && !taken)
			return;
		if (!taken)
			nap();
	}
}

/* The capture is over: evidence that is on its way still counts. */
static void drain(void)
{
	if (!live.run.attrib)
		return;
	uint64_t now_ns = clock_monotonic_ns(), until_ns = now_ns + drain_ns, event_ns = now_ns;
	for (; now_ns < until_ns; now_ns = clock_monotonic_ns()) {
		bool waiting = false;
		if (take_events())
			event_ns = now_ns;
		for (size_t i = 0; i < live.n_inlets; i++)
			waiting |= !live.inlets[i].over;
		tick(clock_wall_ns());
		if (join_is_even() && (!waiting || now_ns - event_ns > quiet_ns))
			break;
		nap();
	}
	if (!join_is_even())
		log_warn("join: Redis has not answered for all flows; their owners may be missing");
}

static void close_inlets(void)
{
	for (size_t i = 0; i < live.n_inlets; i++) {
		feeder_stop(live.inlets[i].feeder);
		live.run.partial |= live.inlets[i].intake && intake_damaged(live.inlets[i].intake);
		intake_close(live.inlets[i].intake);
	}
	live.n_inlets = 0;
}

static int close_all(bool ran)
{
	if (ran) {
		drain();
		teller_finish(live.teller);
		judge_finish(live.run.judge);
		gather_stats();
	}
	for (size_t i = 0; i < live.n_workers; i++) {
		worker_stop(live.workers[i]);
		worker_join(live.workers[i]);
	}
	live.n_workers = 0;
	close_inlets();
	teller_free(live.teller);
	int code = run_close(&live.run, ran);
	return live.restart ? RUN_RESTART : code;
}

int live_main(const struct cli *cli)
{
	struct err err = {0};
	live.began_ns = clock_monotonic_ns();
	int r = open_all(cli, &err);
	if (r) {
		log_error("%s", err.text);
		close_all(false);
		return run_exit_of(r);
	}
	log_info("capturing on %zu interface%s; SIGINT or SIGTERM ends it", live.n_workers,
		 live.n_workers == 1 ? "" : "s");
	watch();
	return close_all(true);
}
