/* sink_feed: flow, alert and attribution records into Redis: a stream always, a list and a channel on request. Kind "feed".
 *
 * The judging thread pushes lines into a ring; a thread of the sink's own ships them in batches, each by one script call that is refused a
 * second time: a batch whose reply was lost is sent again without doubling a record. A ring that fills while Redis is away loses lines in a live
 * run, counted; a replay waits, but gives the feed up when Redis stays away for half a minute. */
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
#include "detect/sinks/record.h"
#include "detect/sinks/sinks.h"

enum { RING_BYTES = 64 << 20, BATCH_MAX = 128, BATCH_BYTES = 1 << 20, TIMEOUT_MS = 1000,
       BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 5000, CLOSE_WAIT_MS = 10000, REPLAY_WAIT_MS = 30000 };

/* KEYS: stream, position of this source, list. ARGV: number of the first line, maxlen, channel, line... Lines up to the position are already
 * there; the position outlives any retry, then goes. One batch is under way at a time, so a position that lies further back than the batch before
 * means that the server forgot it (restarted from an older snapshot, flushed): what it forgot is gone, what comes is taken. */
static const char script[] =
	"local n,maxlen,channel=tonumber(ARGV[1]),ARGV[2],ARGV[3] "
	"local hw=tonumber(redis.call('HGET',KEYS[2],'n') or '0') "
	"local last=n+#ARGV-4 "
	"for i=math.max(4,4+hw-n+1),#ARGV do "
	"redis.call('XADD',KEYS[1],'MAXLEN','~',maxlen,'*','json',ARGV[i]) "
	"if KEYS[3] then redis.call('RPUSH',KEYS[3],ARGV[i]) end "
	"if channel~='' then redis.call('PUBLISH',channel,ARGV[i]) end end "
	"if last>hw then redis.call('HSET',KEYS[2],'n',last) redis.call('EXPIRE',KEYS[2],86400) hw=last end "
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
	_Atomic uint64_t pushed, written, lost;
	_Atomic bool closing, stopped;
	struct err err; /* the shipping thread's last; read after it has stopped */
	/* the shipping thread's */
	struct redis *redis;
	uint64_t next; /* number of the next line to be shipped, from 1 */
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
	char number[24];
	size_t argc = 0, at = 0;
	snprintf(number, sizeof number, "%llu", (unsigned long long)s->next);
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

/* True when Redis has the whole batch. */
static bool ship(struct sink *s, const struct batch *b)
{
	struct redis_reply *rr = NULL;
	if (!s->redis && connect_feed(s, &s->err))
		return false;
	bool done = false;
	if (!send_batch(s, b, &rr)) {
		if (redis_reply_type(rr) == REDIS_REPLY_INTEGER_)
			done = (uint64_t)redis_reply_integer(rr) >= s->next + b->n - 1;
		else
			err_set(&s->err, LT_EREDIS, "feed: %s", redis_reply_string(rr, NULL));
		redis_reply_free(rr);
	}
	if (!done) {
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
	for (unsigned wait_ms = BACKOFF_MIN_MS; !ship(s, b); wait_ms = wait_ms < BACKOFF_MAX_MS ? wait_ms * 2 : BACKOFF_MAX_MS) {
		if (gives_up(s, &closing_ns, failing_ns, clock_monotonic_ns()))
			return false;
		nap_ms(wait_ms);
	}
	return true;
}

static void *ship_all(void *arg_s)
{
	struct sink *s = arg_s;
	struct batch b = {.bytes = malloc(BATCH_BYTES), .size = BATCH_BYTES};
	while (b.bytes) {
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
	/* The braces put it into the stream's slot of a cluster. A run is a source of its own: its numbers start at 1. */
	snprintf(s->position, sizeof s->position, "{%s}:position:%.64s-%llx", s->stream, conf->sensor,
		 (unsigned long long)clock_wall_ns());
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
	name_keys(s, conf);
	int r = redis_url_parse(&s->url, conf->target, err);
	if (r)
		goto undo_sink;
	r = connect_feed(s, err);
	if (r && !s->live)
		goto undo_sink;
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
	uint64_t lost = atomic_load(&s->lost) + atomic_load(&s->pushed) - atomic_load(&s->written);
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
	*ret_waiting = atomic_load(&s->pushed) - *ret_written;
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
