/* sink_feed: flow, alert and attribution records into Redis: a stream always, a list and a channel on request. Kind "feed".
 *
 * The judging thread pushes lines into a ring; a thread of the sink's own ships them in batches, each by one script call that is refused a
 * second time: a batch whose reply was lost is sent again without doubling a record. A ring that fills while Redis is away loses lines in a live
 * run, counted; a replay waits, but gives the feed up when Redis stays away for half a minute. With a spool every line goes through it:
 * an outage, a restart of ours or a crash loses nothing below its cap, and what Redis forgets (restarted from an older snapshot, a
 * replica that lagged) is sent again as far as the spool still holds it. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/base/clock.h"
#include "capture/base/redis.h"
#include "capture/base/ring.h"
#include "capture/base/spool.h"
#include "detect/sinks/record.h"
#include "detect/sinks/sinks.h"

enum { RING_BYTES = 64 << 20, SPOOL_LINES = 1024, BATCH_MAX = 128, BATCH_BYTES = 1 << 20, TIMEOUT_MS = 1000,
       BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000, POSITION_S = 86400, SPOOLED_POSITION_S = 30 * 86400, CLOSE_WAIT_MS = 10000, REPLAY_WAIT_MS = 30000 };

/* KEYS: stream, position of this source, list. ARGV: number of the first line, maxlen, channel, number of the line before, seconds the
 * position lives, line... Lines up to the position are already there; the position outlives any retry, then goes. One batch is under way at a
 * time, so a position that lies further back than the line before means that the server forgot it (restarted from an older snapshot,
 * flushed): the answer is then -1 - position, and nothing is taken. 0 as the line before: there is nothing to send again, what comes is
 * taken. */
static const char script[] =
	"local n,maxlen,channel=tonumber(ARGV[1]),ARGV[2],ARGV[3] "
	"local hw=tonumber(redis.call('HGET',KEYS[2],'n') or '0') "
	"if hw<tonumber(ARGV[4]) then return -1-hw end "
	"local last=n+#ARGV-6 "
	"for i=math.max(6,6+hw-n+1),#ARGV do "
	"redis.call('XADD',KEYS[1],'MAXLEN','~',maxlen,'*','json',ARGV[i]) "
	"if KEYS[3] then redis.call('RPUSH',KEYS[3],ARGV[i]) end "
	"if channel~='' then redis.call('PUBLISH',channel,ARGV[i]) end end "
	"if last>hw then redis.call('HSET',KEYS[2],'n',last) redis.call('EXPIRE',KEYS[2],ARGV[5]) hw=last end "
	"return hw";

struct sink {
	struct jsonout line;
	struct record_conf conf;
	unsigned records;
	bool live;
	struct redis_url url;
	char stream[256], list[256], channel[256], position[400], maxlen[24], sha[64];
	struct ring *ring;
	pthread_t thread;
	struct spool *spool; /* the shipping thread's from its start; NULL none */
	_Atomic uint64_t pushed, written, lost, waiting;
	_Atomic bool closing, stopped;
	struct err err; /* the shipping thread's last; read after it has stopped */
	/* the shipping thread's */
	struct redis *redis;
	uint64_t next; /* number of the next line to be shipped, from 1 */
	uint64_t before; /* of the line before it; 0: the server's position is not asked */
};

static void nap_ms(unsigned ms)
{
	const struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};
	nanosleep(&ts, NULL);
}

static struct redis_arg arg(const char *text)
{
	return (struct redis_arg){text, strlen(text)};
}

/* The ring gives one record at a time, so a batch is copied out: as many lines as fit, but always one. */
struct batch {
	char *bytes;
	size_t size, n_bytes, n;
	size_t ends[BATCH_MAX];
};

static bool has_room(struct batch *b, size_t n)
{
	if (b->n_bytes + n <= b->size)
		return true;
	char *grown = b->n ? NULL : realloc(b->bytes, n);
	if (!grown)
		return false;
	b->bytes = grown;
	b->size = n;
	return true;
}

static void fill_batch(struct sink *s, struct batch *b)
{
	size_t n;
	const void *line;
	while (b->n < BATCH_MAX && (line = ring_peek(s->ring, &n)) && has_room(b, n)) {
		memcpy(b->bytes + b->n_bytes, line, n);
		b->n_bytes += n;
		b->ends[b->n++] = b->n_bytes;
		ring_pop(s->ring);
	}
}

static int send_batch(struct sink *s, const struct batch *b, struct redis_reply **ret_rr)
{
	struct redis_arg argv[BATCH_MAX + 16];
	char number[24], before[24], lives[16];
	size_t argc = 0, at = 0;
	snprintf(number, sizeof number, "%llu", (unsigned long long)s->next);
	snprintf(before, sizeof before, "%llu", (unsigned long long)s->before);
	snprintf(lives, sizeof lives, "%d", s->spool ? SPOOLED_POSITION_S : POSITION_S);
	argv[argc++] = arg("EVALSHA");
	argv[argc++] = arg(s->sha);
	argv[argc++] = arg(*s->list ? "3" : "2");
	argv[argc++] = arg(s->stream);
	argv[argc++] = arg(s->position);
	if (*s->list)
		argv[argc++] = arg(s->list);
	argv[argc++] = arg(number);
	argv[argc++] = arg(s->maxlen);
	argv[argc++] = arg(s->channel);
	argv[argc++] = arg(before);
	argv[argc++] = arg(lives);
	for (size_t i = 0; i < b->n; at = b->ends[i++])
		argv[argc++] = (struct redis_arg){b->bytes + at, b->ends[i] - at};
	return redis_command(s->redis, ret_rr, &s->err, argc, argv);
}

/* A server that was restarted has forgotten the script, so each connection loads it. */
static int connect_feed(struct sink *s, struct err *err)
{
	int r = redis_open(&s->redis, &s->url, TIMEOUT_MS, err);
	if (r)
		return r;
	struct redis_reply *rr = NULL;
	r = redis_do(s->redis, &rr, err, "SCRIPT", "LOAD", script, NULL);
	if (!r && redis_reply_type(rr) == REDIS_REPLY_STRING_)
		snprintf(s->sha, sizeof s->sha, "%s", redis_reply_string(rr, NULL));
	else if (!r)
		r = err_set(err, LT_EREDIS, "feed: %s", redis_reply_string(rr, NULL));
	redis_reply_free(rr);
	if (r) {
		redis_close(s->redis);
		s->redis = NULL;
	}
	return r;
}

/* The server knows less than it did: what the spool still holds is sent again. */
static void rewind_to(struct sink *s, uint64_t position)
{
	spool_rewind(s->spool, position + 1);
	s->before = 0;
}

/* True when Redis has the whole batch. */
static bool ship(struct sink *s, const struct batch *b, bool *ret_gap)
{
	*ret_gap = false;
	struct redis_reply *rr = NULL;
	if (!s->redis && connect_feed(s, &s->err))
		return false;
	bool done = false;
	if (!send_batch(s, b, &rr)) {
		int64_t position = redis_reply_integer(rr);
		*ret_gap = redis_reply_type(rr) == REDIS_REPLY_INTEGER_ && position < 0;
		if (*ret_gap)
			rewind_to(s, (uint64_t)(-1 - position));
		else if (redis_reply_type(rr) == REDIS_REPLY_INTEGER_)
			done = (uint64_t)position >= s->next + b->n - 1;
		else
			err_set(&s->err, LT_EREDIS, "feed: %s", redis_reply_string(rr, NULL));
		redis_reply_free(rr);
	}
	if (!done && !*ret_gap) {
		redis_close(s->redis);
		s->redis = NULL;
	}
	return done;
}

/* Redis may be away for as long as a live sensor runs; a replay ends sometime, and so does a run that is closing. */
static bool gives_up(const struct sink *s, uint64_t *closing_ns, uint64_t failing_ns, uint64_t now_ns)
{
	if (!*closing_ns && atomic_load(&s->closing))
		*closing_ns = now_ns;
	if (*closing_ns && now_ns - *closing_ns >= CLOSE_WAIT_MS * CLOCK_NS_PER_MS)
		return true;
	return !s->live && now_ns - failing_ns >= REPLAY_WAIT_MS * CLOCK_NS_PER_MS;
}

static bool ship_until_done(struct sink *s, const struct batch *b)
{
	uint64_t closing_ns = 0, failing_ns = clock_monotonic_ns();
	bool gap; /* never: no line before is named */
	for (unsigned wait_ms = BACKOFF_MIN_MS; !ship(s, b, &gap); wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS) {
		if (gives_up(s, &closing_ns, failing_ns, clock_monotonic_ns()))
			return false;
		nap_ms(wait_ms);
	}
	return true;
}

/* ---- with a spool ---- */

/* From the ring to the disk. Returns how many lines. */
static size_t spool_lines(struct sink *s)
{
	size_t n, lines = 0;
	const void *line;
	uint64_t number;
	for (; lines < SPOOL_LINES && (line = ring_peek(s->ring, &n)); lines++) {
		int r = spool_append(s->spool, line, n, &number);
		if (r) { /* no room on the disk, or worse: told once it ends */
			err_set(&s->err, r, "the feed's spool: %s", lt_strerror(r));
			atomic_fetch_add(&s->lost, 1);
		}
		ring_pop(s->ring);
	}
	return lines;
}

/* Lines with successive numbers; the one that is not, or does not fit, is the next batch's first. */
static void fill_from_spool(struct sink *s, struct batch *b)
{
	uint64_t number;
	const void *line;
	size_t n;
	b->n = b->n_bytes = 0;
	while (b->n < BATCH_MAX && spool_next(s->spool, &number, &line, &n) == 1) {
		if ((b->n && number != s->next + b->n) || !has_room(b, n)) {
			spool_rewind(s->spool, number);
			return;
		}
		if (!b->n)
			s->next = number;
		memcpy(b->bytes + b->n_bytes, line, n);
		b->n_bytes += n;
		b->ends[b->n++] = b->n_bytes;
	}
}

/* One batch. 1 shipped, 0 nothing to ship, -1 not shipped. */
static int ship_spooled(struct sink *s, struct batch *b)
{
	bool gap;
	fill_from_spool(s, b);
	if (!b->n)
		return 0;
	if (!ship(s, b, &gap)) {
		if (!gap)
			spool_rewind(s->spool, s->next);
		return gap ? 1 : -1;
	}
	s->before = s->next + b->n - 1;
	uint64_t fresh = s->before - spool_acked(s->spool);
	if (s->before > spool_acked(s->spool))
		atomic_fetch_add(&s->written, fresh < b->n ? fresh : b->n);
	spool_ack(s->spool, s->before);
	return 1;
}

static void tend_spool(struct sink *s, uint64_t now_ns, uint64_t *synced_ns, uint64_t *told_lost)
{
	struct spool_stats st;
	if (now_ns - *synced_ns < CLOCK_NS_PER_S)
		return;
	*synced_ns = now_ns;
	spool_sync(s->spool);
	spool_stats(s->spool, &st);
	atomic_store(&s->waiting, st.waiting);
	atomic_fetch_add(&s->lost, st.dropped + st.corrupt - *told_lost);
	*told_lost = st.dropped + st.corrupt;
}

/* At the end what Redis does not take stays on the disk for the next run. */
static void ship_through_spool(struct sink *s, struct batch *b)
{
	uint64_t retry_ns = 0, synced_ns = 0, told_lost = 0;
	unsigned wait_ms = BACKOFF_MIN_MS;
	s->before = spool_acked(s->spool);
	for (;;) {
		bool closing = atomic_load(&s->closing);
		size_t moved = spool_lines(s);
		uint64_t now_ns = clock_monotonic_ns();
		int shipped = closing || now_ns >= retry_ns ? ship_spooled(s, b) : 0;
		if (shipped < 0) {
			retry_ns = clock_monotonic_ns() + wait_ms * CLOCK_NS_PER_MS;
			wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS;
		} else if (shipped) {
			wait_ms = BACKOFF_MIN_MS;
		}
		tend_spool(s, now_ns, &synced_ns, &told_lost);
		if (closing && !moved && shipped <= 0)
			break;
		if (!moved && shipped <= 0)
			nap_ms(5);
	}
	spool_close(s->spool);
}

static void *ship_all(void *arg_s)
{
	struct sink *s = arg_s;
	struct batch b = {.bytes = malloc(BATCH_BYTES), .size = BATCH_BYTES};
	if (b.bytes && s->spool)
		ship_through_spool(s, &b);
	while (b.bytes && !s->spool) {
		bool closing = atomic_load(&s->closing);
		b.n = b.n_bytes = 0;
		fill_batch(s, &b);
		if (!b.n && closing)
			break;
		if (!b.n) {
			nap_ms(5);
			continue;
		}
		if (!ship_until_done(s, &b))
			break;
		s->next += b.n;
		atomic_fetch_add(&s->written, b.n);
	}
	free(b.bytes);
	redis_close(s->redis);
	atomic_store(&s->stopped, true);
	return NULL;
}

static void name_keys(struct sink *s, const struct sink_conf *conf)
{
	snprintf(s->stream, sizeof s->stream, "%s", conf->feed_stream ? conf->feed_stream : "leaktap:feed");
	snprintf(s->list, sizeof s->list, "%s", conf->feed_list ? conf->feed_list : "");
	snprintf(s->channel, sizeof s->channel, "%s", conf->feed_channel ? conf->feed_channel : "");
	/* The braces put it into the stream's slot of a cluster. A run is a source of its own, its numbers start at 1; or a spool is, over many runs. */
	unsigned long long source = s->spool ? spool_epoch(s->spool) : clock_wall_ns();
	snprintf(s->position, sizeof s->position, "{%s}:position:%.64s-%llx", s->stream, conf->sensor, source);
	snprintf(s->maxlen, sizeof s->maxlen, "%llu", (unsigned long long)conf->feed_maxlen);
}

static int feed_open(struct sink **ret_s, const struct sink_conf *conf, struct err *err)
{
	struct sink *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, -ENOMEM, "no memory for the feed");
	s->conf = (struct record_conf){.sensor = conf->sensor, .zone = conf->zone};
	s->records = conf->records & (SINK_FLOW | SINK_ALERT | SINK_ATTRIBUTION);
	s->live = conf->live;
	s->next = 1;
	int r = redis_url_parse(&s->url, conf->target, err);
	struct spool_conf sc = {.directory = conf->feed_spool};
	if (!r && conf->live && conf->feed_spool)
		r = spool_open(&s->spool, &sc, err);
	if (r)
		goto undo_sink;
	name_keys(s, conf);
	r = connect_feed(s, err);
	if (r && !s->live)
		goto undo_spool;
	s->ring = ring_new(RING_BYTES);
	if (!s->ring) {
		r = err_set(err, -ENOMEM, "no memory for the feed");
		goto undo_redis;
	}
	r = pthread_create(&s->thread, NULL, ship_all, s);
	if (r) {
		r = err_set(err, -r, "cannot start a thread for the feed: %s", lt_strerror(-r));
		goto undo_ring;
	}
	*ret_s = s;
	return 0;
undo_ring:
	ring_free(s->ring);
undo_redis:
	redis_close(s->redis);
undo_spool:
	spool_close(s->spool);
undo_sink:
	free(s);
	return r;
}

/* The line just encoded, without its newline, goes to the shipping thread. */
static int push_line(struct sink *s)
{
	size_t n = s->line.n ? s->line.n - 1 : 0;
	void *room = s->line.failed ? NULL : ring_reserve(s->ring, n);
	while (!room && !s->live && !s->line.failed && !atomic_load(&s->stopped) && n <= ring_max_record_bytes(s->ring)) {
		nap_ms(1);
		room = ring_reserve(s->ring, n);
	}
	if (room) {
		memcpy(room, s->line.text, n);
		ring_commit(s->ring, n);
		atomic_fetch_add(&s->pushed, 1);
	} else {
		atomic_fetch_add(&s->lost, 1);
	}
	jsonout_clear(&s->line);
	return 0;
}

static int feed_flow(struct sink *s, const struct verdict *v)
{
	if (!(s->records & SINK_FLOW))
		return 0;
	record_eve.flow(&s->line, &s->conf, v);
	return push_line(s);
}

static int feed_finding(struct sink *s, const struct finding *f)
{
	if (!(s->records & SINK_ALERT))
		return 0;
	record_eve.finding(&s->line, &s->conf, f);
	return push_line(s);
}

static int feed_attribution(struct sink *s, const struct sink_attribution *a)
{
	if (!(s->records & SINK_ATTRIBUTION))
		return 0;
	record_eve.attribution(&s->line, &s->conf, a);
	return push_line(s);
}

static int feed_close(struct sink *s, struct err *err)
{
	atomic_store(&s->closing, true);
	pthread_join(s->thread, NULL);
	uint64_t lost = atomic_load(&s->lost);
	if (!s->spool)
		lost += atomic_load(&s->pushed) - atomic_load(&s->written);
	int r = 0;
	if (lost)
		r = err_set(err, LT_EREDIS, "%llu records did not reach the feed: %s", (unsigned long long)lost,
			    s->err.code ? s->err.text : "its queue was full");
	ring_free(s->ring);
	jsonout_done(&s->line);
	free(s);
	return r;
}

static void feed_counters(struct sink *s, uint64_t *ret_written, uint64_t *ret_lost, uint64_t *ret_waiting)
{
	*ret_written = atomic_load(&s->written);
	*ret_lost = atomic_load(&s->lost);
	*ret_waiting = s->spool ? atomic_load(&s->waiting) : atomic_load(&s->pushed) - *ret_written;
}

const struct sink_ops sink_feed = {
	.kind = "feed",
	.open = feed_open,
	.flow = feed_flow,
	.finding = feed_finding,
	.attribution = feed_attribution,
	.counters = feed_counters,
	.close = feed_close,
};
