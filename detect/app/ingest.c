#include "detect/app/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "detect/app/intake.h"
#include "detect/app/log.h"
#include "detect/app/progress.h"
#include "detect/app/run.h"
#include "detect/app/state.h"

enum {
	MARKS = 4096,                /* chunks read and not yet in Redis */
	QUEUE_MAX_BYTES = 16 << 20,  /* reading waits until less is queued */
	NAP_MS = 5,
	START_RETRY_MS = 2000,
	STALLED_MS = 30000,          /* at the end: nothing got through for so long */
	STOP_WAIT_MS = 4000,         /* after a signal */
};

struct mark {
	uint64_t number;
	struct attrib_mark mark;
};

struct ingest {
	const struct cli *cli;
	struct config config;
	struct redis_url url;
	struct attrib *attrib;
	struct evsource *source;
	struct intake *intake;
	struct progress progress;
	struct mark marks[MARKS]; /* ring, oldest at head */
	size_t head, n_marks;
	uint64_t unreadable;
	char checkpoint[1024];
	bool lasts, failed, redis_ails;
};

static struct ingest ingest;

static void on_stop(void)
{
	if (ingest.source)
		evsource_break(ingest.source);
}

static void nap_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&ts, NULL);
}

/* ---- opening ---- */

/* NDJSON: a line is a record. CSV: a line is a record below the first. Anything else is one document. */
static enum evsource_form form_of(const char *head, size_t n)
{
	size_t at = n >= 3 && memcmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	if (n >= 2 && ((unsigned char)head[0] >= 0xfe))
		return EVSOURCE_WHOLE; /* UTF-16: its newline is two bytes */
	while (at < n && strchr(" \t\r\n", head[at]) && head[at])
		at++;
	while (n > at && (head[n - 1] == '\n' || head[n - 1] == '\r' || head[n - 1] == ' '))
		n--;
	if (at >= n)
		return EVSOURCE_LINES;
	if (head[at] == '{')
		return head[n - 1] == '}' ? EVSOURCE_LINES : EVSOURCE_WHOLE;
	return head[at] == '[' || head[at] == '<' ? EVSOURCE_WHOLE : EVSOURCE_HEADED;
}

static int follow(struct ingest *in, struct err *err)
{
	int r = state_path(in->checkpoint, sizeof in->checkpoint, "ingest", in->config.sensor, err);
	if (r)
		return r;
	struct evsource_conf sc = {.sources = in->cli->endpoints, .n_sources = in->cli->n_endpoints, .checkpoint = in->checkpoint,
				   .consumer = in->config.sensor, .redis = &in->url, .form = form_of};
	return evsource_follow(&in->source, &sc, err);
}

static int open_source(struct ingest *in, struct err *err)
{
	for (size_t i = 0; i < in->cli->n_endpoints; i++)
		in->lasts |= evsource_lasts(in->cli->endpoints[i]);
	int r = in->lasts ? follow(in, err) : evsource_open(&in->source, in->cli->endpoints, in->cli->n_endpoints, err);
	struct intake_conf ic = {.attrib = in->attrib, .zone = in->cli->zone ? in->cli->zone : in->config.timezone};
	return r ? r : intake_open(&in->intake, &ic, err);
}

/* A service may be up before its Redis is. */
static int open_attrib(struct ingest *in, struct err *err)
{
	struct attrib_conf ac = {.redis = &in->url, .live = true, .grace_ns = in->config.grace_s * CLOCK_NS_PER_S,
				 .cell_ttl_s = in->config.cell_ttl_s, .zone = (uint8_t)in->config.zone, .sensor = in->config.sensor};
	bool lasts = false;
	for (size_t i = 0; i < in->cli->n_endpoints; i++)
		lasts |= evsource_lasts(in->cli->endpoints[i]);
	int r;
	for (bool told = false; (r = attrib_new(&in->attrib, &ac, err)); told = true) {
		if (!lasts || run_stop || (r != -ECONNREFUSED && r != -ENOENT && r != -ETIMEDOUT && r != LT_EGONE))
			return r;
		if (!told)
			log_warn("%s; trying again", err->text);
		nap_ms(START_RETRY_MS);
	}
	return 0;
}

static int open_all(struct ingest *in, const struct cli *cli, struct err *err)
{
	in->cli = cli;
	int r = config_load(&in->config, cli->config, err);
	r = r ? r : redis_url_parse(&in->url, cli->redis, err);
	run_signals(on_stop);
	r = r ? r : open_attrib(in, err);
	return r ? r : open_source(in, err);
}

/* ---- running ---- */

static void ignore_owner(void *ctx, uint64_t flow_id, enum attrib_side side, uint32_t version, const struct owner *owner)
{
	(void)ctx;
	(void)flow_id;
	(void)side;
	(void)version;
	(void)owner;
}

/* Sends and receives; what Redis has is confirmed to the source. Returns whether something got through. */
static bool pump(struct ingest *in)
{
	struct err err = {0};
	int r = attrib_poll(in->attrib, clock_wall_ns(), ignore_owner, NULL, &err);
	if (r < 0 && !in->redis_ails)
		log_warn("%s; events wait", err.text);
	in->redis_ails = r < 0;
	uint64_t stored = 0;
	while (in->n_marks && attrib_stored(in->attrib, in->marks[in->head].mark)) {
		stored = in->marks[in->head].number;
		in->head = (in->head + 1) % MARKS;
		in->n_marks--;
	}
	if (stored)
		evsource_confirm(in->source, stored);
	return stored != 0;
}

static void take_chunk(struct ingest *in, const struct evchunk *chunk)
{
	struct err err = {0};
	if (intake_chunk(in->intake, chunk, &err) < 0) {
		log_error("%s", err.text);
		in->failed = true;
	}
	in->marks[(in->head + in->n_marks++) % MARKS] = (struct mark){chunk->number, attrib_mark(in->attrib)};
}

/* A server that is away comes back; a file that cannot be read is input lost. */
static void note_trouble(struct ingest *in, int code, const struct err *err)
{
	if (code == LT_EREDIS || code == LT_EGONE || code == -ETIMEDOUT || code == -ECONNREFUSED || code == -ENOENT)
		log_warn("%s", err->text);
	else
		intake_note_unreadable(in->intake, err);
}

static uint64_t events_read(const struct ingest *in)
{
	const struct evparse_stats *st = intake_parsed(in->intake);
	uint64_t n = 0;
	for (size_t k = 0; k < PROCEVENT_KIND_COUNT; k++)
		n += st->accepted[k];
	return n;
}

static void tell_progress(struct ingest *in, bool force)
{
	uint64_t now = clock_monotonic_ns();
	if (!force && !run_tell && !progress_due(&in->progress, now))
		return;
	struct evsource_stats es;
	char detail[96];
	evsource_stats(in->source, &es);
	snprintf(detail, sizeof detail, "%" PRIu64 " events, %zu chunks wait for Redis", events_read(in), in->n_marks);
	progress_tell(&in->progress, now, es.size_bytes ? es.offset_bytes : es.bytes, es.size_bytes, detail, force || run_tell);
	run_tell = 0;
}

static void run_all(struct ingest *in)
{
	for (;;) {
		struct evchunk chunk;
		struct err err = {0};
		pump(in);
		tell_progress(in, false);
		if (run_stop)
			return;
		if (in->n_marks == MARKS || attrib_queued_bytes(in->attrib) > QUEUE_MAX_BYTES) {
			nap_ms(NAP_MS);
			continue;
		}
		int r = evsource_poll(in->source, &chunk, &err);
		if (r == -ENODATA)
			return;
		if (r == 1)
			take_chunk(in, &chunk);
		else if (r < 0)
			note_trouble(in, r, &err);
		if (in->failed && !in->lasts)
			return;
	}
}

/* Until Redis has all, or does not take any more. What it has not got stays unconfirmed: a follower reads it again next time. */
static void drain(struct ingest *in)
{
	uint64_t since = clock_monotonic_ns();
	while (in->n_marks) {
		uint64_t wait_ms = run_stop ? STOP_WAIT_MS : STALLED_MS;
		if (pump(in))
			since = run_stop ? since : clock_monotonic_ns();
		if (!in->n_marks || clock_monotonic_ns() - since > wait_ms * CLOCK_NS_PER_MS)
			break;
		nap_ms(NAP_MS);
	}
	if (in->n_marks && !in->lasts) {
		log_error("Redis has not taken all events: %zu chunks are left", in->n_marks);
		in->failed = true;
	} else if (in->n_marks) {
		log_warn("%zu chunks are not in Redis yet; they are read again at the next start", in->n_marks);
	}
}

static void print_summary(struct ingest *in)
{
	const struct evparse_stats *st = intake_parsed(in->intake);
	struct attrib_stats as;
	attrib_stats(in->attrib, &as);
	fprintf(stderr, "events    %" PRIu64 " read, %" PRIu64 " of connections", events_read(in), as.events_joinable);
	if (as.events_unjoinable)
		fprintf(stderr, ", %" PRIu64 " without a local address and port: nothing to join them by", as.events_unjoinable);
	for (size_t r = 0; r < EVPARSE_REASON_COUNT; r++)
		if (st->rejected[r])
			fprintf(stderr, ", %" PRIu64 " refused: %s", st->rejected[r], evparse_reason_names[r]);
	fprintf(stderr, "\nredis     %" PRIu64 " batches, %" PRIu64 " bytes", as.batches, as.bytes_shipped);
	if (as.reconnects || as.redis_errors)
		fprintf(stderr, ", %" PRIu64 " reconnects, %" PRIu64 " errors", as.reconnects, as.redis_errors);
	fputc('\n', stderr);
}

static int close_all(struct ingest *in, bool ran)
{
	int code = RUN_OK;
	if (ran && !in->cli->quiet)
		print_summary(in);
	if (in->failed)
		code = RUN_ERROR;
	else if (ran && !in->lasts && intake_damaged(in->intake))
		code = RUN_PARTIAL;
	intake_close(in->intake);
	struct evsource *source = in->source;
	in->source = NULL; /* a signal must not find it half closed */
	evsource_close(source);
	attrib_free(in->attrib);
	config_done(&in->config);
	return code;
}

int ingest_main(const struct cli *cli)
{
	struct ingest *in = &ingest;
	struct err err = {0};
	int r = open_all(in, cli, &err);
	if (r) {
		bool stopped = run_stop;
		if (!stopped)
			log_error("%s", err.text);
		close_all(in, false);
		return stopped ? RUN_OK : r == -EBUSY ? RUN_RESTART : run_exit_of(r);
	}
	if (in->lasts)
		log_info("following %zu source%s; SIGINT or SIGTERM ends it", cli->n_endpoints, cli->n_endpoints == 1 ? "" : "s");
	enum progress_mode mode = cli->quiet || cli->no_progress || in->lasts ? PROGRESS_OFF : PROGRESS_TERMINAL;
	if (mode == PROGRESS_TERMINAL && !isatty(STDERR_FILENO))
		mode = PROGRESS_LINES;
	progress_begin(&in->progress, mode, "events", clock_monotonic_ns());
	run_all(in);
	drain(in);
	tell_progress(in, true);
	progress_end(&in->progress);
	return close_all(in, true);
}
