#include "detect/app/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/filelist.h"
#include "capture/source.h"
#include "detect/app/intake.h"
#include "detect/app/log.h"
#include "detect/app/run.h"
#include "detect/app/waiting.h"
#include "dissect/track.h"

struct replay {
	struct run run;
	struct filelist files;
	struct source *source;
	struct track *track;
	struct intake *intake;
	struct waiting *waiting; /* with endpoint events, or a Redis that may have them: flows wait for their owners */
	struct progress progress;
	bool bad_files;          /* some capture among several could not be read; run_open comes after the first look */
	struct err waiting_err;
	struct verdict verdict; /* of the flow being told: too large for a stack frame */
};

static struct source *breakable; /* for the signal handler */

static void on_stop(void)
{
	if (breakable)
		source_break(breakable);
}

/* Without endpoint events a flow is told as it ends; with them it waits until both sides are complete. */
static void on_facts(void *ctx, const struct flow_facts *facts)
{
	struct replay *rp = ctx;
	struct verdict *v = &rp->verdict;
	bool joined = run_classify(&rp->run, facts, v);
	if (!rp->run.attrib) {
		run_no_owner(&rp->run, v);
		run_deliver(&rp->run, v);
		return;
	}
	if (run_join(&rp->run, facts, joined) < 0)
		rp->run.failed = true;
	if (!rp->waiting_err.code)
		waiting_add(rp->waiting, facts, joined, &rp->waiting_err);
}

static bool wants_label(void *ctx, const char *name)
{
	const struct replay *rp = ctx;
	struct catalogue_match m;
	return catalogue_find(rp->run.catalogue, name, &m);
}

static void on_bad_file(void *ctx, uint16_t input, const char *path, const struct err *err)
{
	struct replay *rp = ctx;
	(void)input;
	(void)path;
	log_warn("%s", err->text);
	rp->bad_files = true;
}

static int open_source(struct replay *rp, const struct cli *cli, struct err *err)
{
	int r = filelist_expand(&rp->files, cli->captures, cli->n_captures, err);
	if (r)
		return r;
	struct source_conf sc = {.paths = (const char *const *)rp->files.paths, .n_paths = rp->files.n, .filter = cli->filter,
				 .failed = on_bad_file, .failed_ctx = rp};
	r = source_open(&rp->source, &sc, err);
	if (!r) {
		breakable = rp->source;
		run_signals(on_stop);
	}
	return r;
}

static int open_track(struct replay *rp, struct err *err)
{
	const struct config *cf = &rp->run.config;
	struct track_conf tc = {.publish = on_facts, .publish_ctx = rp, .wants_label = wants_label, .wants_label_ctx = rp,
				.zone = (uint8_t)cf->zone, .verify_checksums = rp->run.cli->verify_checksums,
				.vlan_in_key = cf->vlan_in_key, .mdns = cf->mdns, .max_flows = cf->max_flows,
				.idle_tcp_ns = cf->idle_tcp_s * CLOCK_NS_PER_S, .idle_udp_ns = cf->idle_udp_s * CLOCK_NS_PER_S};
	return track_new(&rp->track, &tc, err);
}

static int open_all(struct replay *rp, const struct cli *cli, struct err *err)
{
	int r = open_source(rp, cli, err);
	if (r)
		return r;
	bool with_events = cli->n_endpoints != 0;
	r = run_open(&rp->run, cli, with_events || cli->redis, false, err);
	if (r)
		return r;
	if (rp->run.attrib && (r = waiting_new(&rp->waiting, err)))
		return r;
	if (with_events) {
		struct intake_conf ic = {.paths = cli->endpoints, .n_paths = cli->n_endpoints, .attrib = rp->run.attrib,
					 .zone = cli->zone ? cli->zone : rp->run.config.timezone};
		r = intake_open(&rp->intake, &ic, err);
		if (r)
			return r;
	}
	return open_track(rp, err);
}

static int read_events(struct replay *rp, struct err *err)
{
	progress_begin(&rp->progress, rp->run.progress, "reading endpoint events ", clock_monotonic_ns());
	int r;
	while ((r = intake_step(rp->intake, err)) > 0 && !run_stop) {
		uint64_t now = clock_monotonic_ns();
		if (!progress_due(&rp->progress, now) && !run_tell)
			continue;
		struct evsource_stats es;
		struct evparse_stats ps;
		intake_stats(rp->intake, &es, &ps);
		char detail[64];
		snprintf(detail, sizeof detail, "%" PRIu64 " rows", ps.rows);
		progress_tell(&rp->progress, now, es.offset_bytes, es.size_bytes, detail, run_tell);
		run_tell = 0;
	}
	progress_end(&rp->progress);
	return r < 0 ? r : 0;
}

static void tell_packets(struct replay *rp, uint64_t now)
{
	struct source_stats ss;
	struct track_stats ts;
	source_stats(rp->source, &ss);
	track_stats(rp->track, &ts);
	char detail[96];
	snprintf(detail, sizeof detail, "%" PRIu64 " flows, %" PRIu64 " findings", ts.flows_new, rp->run.findings);
	progress_tell(&rp->progress, now, ss.offset_bytes, ss.size_bytes, detail, run_tell);
	run_tell = 0;
}

enum { BURSTS_PER_LOOK = 256 }; /* the clock is asked once for so many bursts */

static int read_packets(struct replay *rp, struct err *err)
{
	struct packet pkts[SOURCE_BURST];
	unsigned bursts = 0;
	int n;
	progress_begin(&rp->progress, rp->run.progress, "reading packets ", clock_monotonic_ns());
	while ((n = source_poll(rp->source, pkts, err)) >= 0) {
		if (n)
			track_packets(rp->track, pkts, (size_t)n);
		if (++bursts % BURSTS_PER_LOOK == 0 || run_tell) {
			uint64_t now = clock_monotonic_ns();
			if (progress_due(&rp->progress, now) || run_tell)
				tell_packets(rp, now);
		}
	}
	track_finish(rp->track, run_stop ? FACTS_REASON_SHUTDOWN : FACTS_REASON_EOF);
	progress_end(&rp->progress);
	return n == -ENODATA ? 0 : n;
}

static void on_settle(void *ctx, uint64_t done, uint64_t total)
{
	struct replay *rp = ctx;
	uint64_t now = clock_monotonic_ns();
	if (progress_due(&rp->progress, now))
		progress_tell(&rp->progress, now, done, total, "joining", false);
}

static void set_owners(struct replay *rp, const struct flow_facts *facts, bool joined, struct verdict *v)
{
	struct attrib *at = rp->run.attrib;
	run_no_owner(&rp->run, v);
	if (!joined)
		return;
	if (!attrib_owner(at, facts->flow_id, ATTRIB_INITIATOR, &v->initiator))
		v->initiator.cause = OWNER_CAUSE_NO_EVENT;
	v->has_responder = attrib_owner(at, facts->flow_id, ATTRIB_RESPONDER, &v->responder);
}

static int tell_joined(struct replay *rp, struct err *err)
{
	progress_begin(&rp->progress, rp->run.progress, "joining ", clock_monotonic_ns());
	int r = attrib_settle(rp->run.attrib, on_settle, rp, err);
	progress_end(&rp->progress);
	if (r)
		return r;
	r = waiting_rewind(rp->waiting, err);
	if (r)
		return r;
	struct flow_facts facts;
	bool joined;
	while ((r = waiting_next(rp->waiting, &facts, &joined, err)) > 0) {
		judge_classify(rp->run.judge, &facts, &rp->verdict);
		set_owners(rp, &facts, joined, &rp->verdict);
		run_deliver(&rp->run, &rp->verdict);
	}
	return r;
}

static int work(struct replay *rp, struct err *err)
{
	int r = rp->intake ? read_events(rp, err) : 0;
	if (r < 0)
		return r;
	r = read_packets(rp, err);
	if (r == LT_ETRUNCATED || r == -EBADMSG) {
		log_warn("%s", err->text);
		rp->run.partial = true;
		r = 0;
	}
	if (r < 0)
		rp->run.partial = true; /* tell what was read before */
	if (rp->waiting_err.code)
		return err_set(err, rp->waiting_err.code, "%s", rp->waiting_err.text);
	struct err join_err = {0};
	if (rp->waiting) {
		int j = tell_joined(rp, &join_err);
		if (j < 0)
			return err_set(err, j, "%s", join_err.text);
	}
	judge_finish(rp->run.judge);
	return r;
}

static void collect_stats(struct replay *rp)
{
	struct sink_stats *st = &rp->run.stats;
	source_stats(rp->source, &st->source);
	track_stats(rp->track, &st->track);
	rp->run.partial |= rp->bad_files;
	if (rp->intake) {
		struct evsource_stats es;
		intake_stats(rp->intake, &es, &st->events);
		rp->run.partial |= intake_damaged(rp->intake);
	}
}

static int close_all(struct replay *rp, bool ran)
{
	breakable = NULL;
	track_free(rp->track);
	intake_close(rp->intake);
	waiting_free(rp->waiting);
	int code = run_close(&rp->run, ran);
	source_close(rp->source);
	filelist_done(&rp->files);
	return code;
}

int replay_main(const struct cli *cli)
{
	static struct replay rp;
	struct err err = {0};
	uint64_t began_ns = clock_monotonic_ns();
	int r = open_all(&rp, cli, &err);
	if (r) {
		log_error("%s", err.text);
		close_all(&rp, false);
		return run_exit_of(r);
	}
	r = work(&rp, &err);
	if (r < 0) {
		log_error("%s", err.text);
		rp.run.failed = true;
	}
	collect_stats(&rp);
	rp.run.stats.elapsed_ns = clock_monotonic_ns() - began_ns;
	/* The packet filter, the format and the zone are found out on the way: wrong ones leave nothing to tell. */
	bool refused = r < 0 && run_exit_of(r) == RUN_USAGE;
	int code = close_all(&rp, !refused);
	return refused ? RUN_USAGE : code;
}
