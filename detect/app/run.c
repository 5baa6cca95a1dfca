#include "detect/app/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "detect/app/hunt.h"
#include "detect/app/intake.h"
#include "detect/app/log.h"
#include "detect/app/state.h"
#include "detect/app/summary.h"

volatile int run_stop, run_tell;
static void (*run_on_stop)(void);

static void stop_on(int sig)
{
	(void)sig;
	run_stop = 1;
	if (run_on_stop)
		run_on_stop();
}

static void tell_on(int sig)
{
	(void)sig;
	run_tell = 1;
}

void run_signals(void (*on_stop)(void))
{
	run_on_stop = on_stop;
	struct sigaction stop = {.sa_handler = stop_on, .sa_flags = SA_RESTART};
	struct sigaction tell = {.sa_handler = tell_on, .sa_flags = SA_RESTART};
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGUSR1, &tell, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void on_finding(void *ctx, const struct finding *f)
{
	struct run *run = ctx;
	if (f->version == 1)
		run->findings++;
	if (!run->gravest || f->severity < run->gravest)
		run->gravest = f->severity;
	outlets_finding(&run->outlets, f);
}

static struct sink_conf sink_conf_of(const struct run *run)
{
	const struct cli *cli = run->cli;
	return (struct sink_conf){.format = cli->format, .records = cli->records, .sensor = run->config.sensor,
				  .zone = (uint8_t)run->config.zone, .inputs = run->inputs, .n_inputs = run->n_inputs, .live = run->live,
				  .nat_one_side = run->config.nat_one_side,
				  .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR")};
}

/* Records go where -o says; without it to standard output when no terminal reads it. The table is for people: on a terminal, or beside -o FILE. */
static int open_records(struct run *run, struct err *err)
{
	const struct cli *cli = run->cli;
	struct sink_conf sc = sink_conf_of(run);
	if (cli->command == CLI_HUNT) {
		sc.hunt_device = cli->device;
		int r = hunt_window(cli, &sc.hunt_from_ns, &sc.hunt_to_ns, err);
		return r ? r : outlets_add(&run->outlets, "hunt", &sc, err);
	}
	bool to_file = cli->output && strcmp(cli->output, "-") != 0;
	bool table = to_file ? !cli->quiet : !cli->output && isatty(STDOUT_FILENO);
	if (table) {
		sc.target = "-";
		int r = outlets_add(&run->outlets, "table", &sc, err);
		if (r)
			return r;
	}
	if (table && !to_file)
		return 0;
	sc.target = to_file ? cli->output : "-";
	return outlets_add(&run->outlets, "eve", &sc, err);
}

/* An output must not be one of the inputs: opening it would destroy what is about to be read. */
static int check_target(const struct run *run, const char *target, struct err *err)
{
	struct stat out, in;
	if (!target || !strcmp(target, "-") || stat(target, &out))
		return 0;
	for (size_t i = 0; i < run->n_inputs; i++)
		if (!stat(run->inputs[i], &in) && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
			return err_set(err, LT_EUSAGE, "%s is also an input; it would be overwritten", target);
	return 0;
}

/* Two names, one file: the second to open it would empty it under the first. */
static int check_apart(const char *a, const char *b, struct err *err)
{
	struct stat x, y;
	if (!a || !b || !strcmp(a, "-"))
		return 0;
	bool exist = !stat(a, &x) && !stat(b, &y), device = exist && S_ISCHR(x.st_mode);
	if (!strcmp(a, b) || (exist && !device && x.st_dev == y.st_dev && x.st_ino == y.st_ino))
		return err_set(err, LT_EUSAGE, "records and report cannot both go to %s", b);
	return 0;
}

static int open_outlets(struct run *run, struct err *err)
{
	const struct cli *cli = run->cli;
	int bad = check_target(run, cli->output, err);
	if (!bad)
		bad = check_target(run, cli->report, err);
	if (!bad)
		bad = check_apart(cli->output, cli->report, err);
	if (bad)
		return bad;
	int r = open_records(run, err);
	if (!r && cli->report) {
		struct sink_conf sc = sink_conf_of(run);
		sc.target = cli->report;
		r = outlets_add(&run->outlets, "html", &sc, err);
	}
	if (!r && cli->redis) {
		struct sink_conf sc = sink_conf_of(run);
		sc.target = cli->redis;
		sc.feed_stream = run->config.feed_stream;
		sc.feed_list = run->config.feed_list;
		sc.feed_channel = run->config.feed_channel;
		sc.feed_maxlen = run->config.feed_maxlen;
		char spool[1024];
		if (run->live && state_given() && !(r = state_path(spool, sizeof spool, "feed", run->config.sensor, err)))
			sc.feed_spool = spool;
		r = r ? r : outlets_add(&run->outlets, "feed", &sc, err);
	}
	return r;
}

static int open_attrib(struct run *run, bool live, struct err *err)
{
	struct redis_url url;
	if (run->cli->redis) {
		int r = redis_url_parse(&url, run->cli->redis, err);
		if (r)
			return r;
	}
	struct attrib_conf ac = {.redis = run->cli->redis ? &url : NULL, .live = live,
				 .grace_ns = run->config.grace_s * CLOCK_NS_PER_S, .cell_ttl_s = run->config.cell_ttl_s,
				 .zone = (uint8_t)run->config.zone, .sensor = run->config.sensor};
	if (run->config.pools.n) {
		ac.is_pool = config_is_pool;
		ac.is_pool_ctx = &run->config;
	}
	char spool[1024];
	if (live && run->cli->redis && state_given()) {
		int r = state_path(spool, sizeof spool, "join", run->config.sensor, err);
		if (r)
			return r;
		ac.spool = spool;
	}
	int r = attrib_new(&run->attrib, &ac, err);
	if (!r && *attrib_remark(run->attrib))
		log_info("%s", attrib_remark(run->attrib));
	return r;
}

static void list_inputs(struct run *run)
{
	const struct cli *cli = run->cli;
	run->inputs = calloc(cli->n_captures + cli->n_ifaces + cli->n_endpoints + 1, sizeof *run->inputs);
	if (!run->inputs)
		return;
	for (size_t i = 0; i < cli->n_captures; i++)
		run->inputs[run->n_inputs++] = cli->captures[i];
	for (size_t i = 0; i < cli->n_ifaces; i++)
		run->inputs[run->n_inputs++] = cli->ifaces[i];
	for (size_t i = 0; i < cli->n_endpoints; i++)
		run->inputs[run->n_inputs++] = cli->endpoints[i];
}

static enum progress_mode progress_mode_of(const struct cli *cli)
{
	if (cli->quiet || cli->no_progress)
		return PROGRESS_OFF;
	return isatty(STDERR_FILENO) ? PROGRESS_TERMINAL : PROGRESS_LINES;
}

static int open_lists(struct run *run, const struct cli *cli, struct err *err)
{
	*run = (struct run){.cli = cli, .progress = progress_mode_of(cli)};
	int r = config_load(&run->config, cli->config, err);
	if (r)
		return r;
	struct catalogue_conf cc = {.enable_known = run->config.catalogue_known, .files = run->config.catalogue_files,
				    .n_files = run->config.n_catalogue_files, .sanctioned = run->config.sanctioned,
				    .n_sanctioned = run->config.n_sanctioned};
	r = catalogue_new(&run->catalogue, &cc, err);
	if (r == 0 || r == -ENOMEM)
		return r;
	return err->code = LT_ECONF; /* a list that cannot be read was named by the configuration */
}

/* A zone nobody knows is a mistake also where no export needs it yet. */
static int check_zone(const struct run *run, struct err *err)
{
	struct intake *in;
	struct intake_conf ic = {.zone = run->cli->zone ? run->cli->zone : run->config.timezone};
	if (!ic.zone)
		return 0;
	int r = intake_open(&in, &ic, err);
	if (!r)
		intake_close(in);
	return r;
}

int run_test(const struct cli *cli)
{
	struct run run;
	struct err err = {0};
	int r = open_lists(&run, cli, &err);
	if (!r)
		r = check_zone(&run, &err);
	if (r)
		log_error("%s", err.text);
	else
		printf("configuration good: %zu catalogue rows\n", catalogue_rows(run.catalogue));
	run_close(&run, false);
	return r ? run_exit_of(r) : RUN_OK;
}

int run_open(struct run *run, const struct cli *cli, bool with_attrib, bool live, struct err *err)
{
	int r = open_lists(run, cli, err);
	if (!r)
		r = check_zone(run, err);
	if (r)
		return r;
	run->live = live;
	list_inputs(run);
	if (with_attrib && (r = open_attrib(run, live, err)))
		return r;
	struct judge_conf jc = {.catalogue = run->catalogue, .attrib = run->attrib, .limits = &run->config.limits,
				.revise = live, .on_finding = on_finding, .ctx = run};
	r = judge_new(&run->judge, &jc, err);
	return r ? r : open_outlets(run, err);
}

/* An address of a private range: in replay, where no device is known before the end, it may be a device of ours. */
static bool is_inside(const struct facts_addr *a)
{
	if (a->family == 6)
		return (a->ip[0] & 0xfe) == 0xfc || (a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80);
	return a->ip[0] == 10 || (a->ip[0] == 172 && (a->ip[1] & 0xf0) == 16) || (a->ip[0] == 192 && a->ip[1] == 168);
}

bool run_classify(struct run *run, const struct flow_facts *facts, struct verdict *ret_verdict)
{
	judge_classify(run->judge, facts, ret_verdict);
	if (facts->end_ns > run->clock_ns)
		run->clock_ns = facts->end_ns;
	if (!run->attrib)
		return false;
	if (run->cli->join_all || run->cli->command == CLI_HUNT || ret_verdict->has_destination)
		return true;
	if (facts->up.bytes >= run->config.join_floor_bytes)
		return true;
	/* What leaves a device that answered goes down. */
	return facts->down.bytes >= run->config.join_floor_bytes &&
	       (is_inside(&facts->dst) || attrib_device(run->attrib, &facts->dst, facts->start_ns));
}

int run_join(struct run *run, const struct flow_facts *facts, bool joined)
{
	/* A connect that was seen measures clocks, whether its flow is joined or not. */
	if (!joined && (!facts->saw_syn || facts->proto != 6))
		return 0;
	struct attrib_flow af = {.flow_id = facts->flow_id, .src = facts->src, .dst = facts->dst, .proto = facts->proto,
				 .midstream = !facts->saw_syn && facts->proto == 6, .start_ns = facts->start_ns,
				 .end_ns = facts->end_ns, .up_bytes = facts->up.bytes, .down_bytes = facts->down.bytes,
				 .minutes = facts->minutes, .n_minutes = facts->n_minutes, .bystander = !joined};
	return attrib_flow(run->attrib, &af);
}

void run_no_owner(const struct run *run, struct verdict *v)
{
	owner_none(&v->initiator, run->attrib ? OWNER_CAUSE_NOT_JOINED : OWNER_CAUSE_NO_ENDPOINT_INPUT);
	v->has_responder = false;
}

void run_deliver(struct run *run, struct verdict *v)
{
	judge_verdict(run->judge, v);
	outlets_flow(&run->outlets, v);
}

static void warn(uint64_t now, uint64_t *said, const char *text)
{
	if (now > *said)
		log_warn("%s", text);
	*said = now;
}

void run_note_quality(struct run *run)
{
	const struct quality_alarms *now = &run->stats.track.alarms;
	warn(now->possible_split_routing, &run->alarms.possible_split_routing,
	     "possible split routing: of more than 20 % of the TCP flows within 5 minutes only one side was captured");
	warn(now->capture_loss, &run->alarms.capture_loss,
	     "capture loss: 10 % or more of the bytes delivered within 5 minutes were never captured");
	warn(now->duplicates, &run->alarms.duplicates,
	     "duplicates: more than 30 % of the packets with payload within 5 minutes were copies made by the tap");
}

static void last_stats(struct run *run)
{
	struct sink_stats *st = &run->stats;
	if (run->attrib)
		attrib_stats(run->attrib, &st->attrib);
	judge_stats(run->judge, &st->judge);
	run_note_quality(run);
	st->time_ns = run->clock_ns;
	st->last = true;
	st->partial = run->partial;
	outlets_stats(&run->outlets, st);
}

int run_close(struct run *run, bool ran)
{
	if (!run->cli)
		return RUN_OK;
	if (ran)
		last_stats(run);
	outlets_close(&run->outlets);
	if (ran && !run->cli->quiet)
		summary_print(&run->stats, run->findings);
	judge_free(run->judge);
	attrib_free(run->attrib);
	catalogue_free(run->catalogue);
	config_done(&run->config);
	free(run->inputs);
	if (run->failed || run->outlets.failures)
		return RUN_ERROR;
	if (run->cli->fail_on && run->gravest && run->gravest <= run->cli->fail_on)
		return RUN_FINDING; /* found is found, also in half an input */
	return run->partial ? RUN_PARTIAL : RUN_OK;
}

int run_exit_of(int code)
{
	switch (code) {
	case LT_EUSAGE:
	case LT_ECONF:
	case LT_EFORMAT:
	case LT_EZONE:
	case LT_EFILTER:
		return RUN_USAGE;
	case LT_EGONE:
		return RUN_RESTART;
	}
	return RUN_ERROR;
}
