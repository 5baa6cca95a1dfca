#include "detect/attrib/join.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "capture/base/clock.h"
#include "capture/base/hash.h"

enum {
	BATCH_RECORDS = 48, /* page "join": the knee of throughput is at 32-64 */
	BATCH_BYTES = 64 << 10,
	WINDOW = 8,         /* batches under way */
	FIXED_ARGS = 10,
	TIMEOUT_MS = 5000,
	LIVE_TIMEOUT_MS = 1000,
	MAX_PATIENCE_MS = 30000, /* replay: how long a server may refuse */
	MAX_BACKOFF_MS = 5000,
};
#define FLUSH_AGE_NS (200 * CLOCK_NS_PER_MS)

/* Records of one tag; bytes hold them one after the other. */
struct batch {
	struct batch *next;
	uint32_t tag;
	uint64_t seq; /* 0 until first sent */
	bool again;   /* sent before, the answer never came */
	uint64_t before; /* records taken before its first */
	uint64_t opened_ns;
	size_t n, bytes, size;
	uint32_t ends[BATCH_RECORDS];
	uint8_t *records;
};

/* *tail points at the last next; head is NULL when empty. */
struct queue {
	struct batch *head, **tail;
	size_t n;
};

struct join {
	struct join_conf conf;
	struct redis *redis;
	char source[96], sha[64];
	struct batch *open[CELL_TAGS];
	uint64_t seq[CELL_TAGS];
	struct queue ready, sent;
	size_t open_n;
	bool script_lost; /* nothing is sent until all answers are in and it is loaded again */
	uint64_t retry_ns, backoff_ms;
	struct join_stats stats;
};

static void queue_reset(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
	q->n = 0;
}

static void queue_push(struct queue *q, struct batch *b)
{
	b->next = NULL;
	*q->tail = b;
	q->tail = &b->next;
	q->n++;
}

static struct batch *queue_pop(struct queue *q)
{
	struct batch *b = q->head;
	if (!b)
		return NULL;
	q->head = b->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return b;
}

static void batch_free(struct join *jn, struct batch *b)
{
	if (!b)
		return;
	jn->stats.queued_bytes -= b->bytes;
	free(b->records);
	free(b);
}

/* Both queues in order of sequence: what was sent comes before what was not. */
static void take_back(struct join *jn)
{
	struct queue all;
	struct batch *b;
	queue_reset(&all);
	while ((b = queue_pop(&jn->sent))) {
		b->again = true;
		queue_push(&all, b);
	}
	while ((b = queue_pop(&jn->ready)))
		queue_push(&all, b);
	queue_reset(&jn->ready);
	while ((b = queue_pop(&all)))
		queue_push(&jn->ready, b);
}

static int load_script(struct join *jn, struct err *err)
{
	struct redis_arg argv[] = {{"SCRIPT", 6}, {"LOAD", 4}, {cell_script, cell_script_bytes}};
	struct redis_reply *rr;
	int rc = redis_command(jn->redis, &rr, err, 3, argv);
	if (rc < 0)
		return rc;
	size_t n;
	const char *text = redis_reply_string(rr, &n);
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_ || n >= sizeof jn->sha)
		rc = err_set(err, LT_EREDIS, "Redis does not take the join script: %s", text);
	else
		memcpy(jn->sha, text, n + 1);
	redis_reply_free(rr);
	return rc;
}

static int connect_redis(struct join *jn, struct err *err)
{
	int rc = redis_open(&jn->redis, jn->conf.url, jn->conf.tell_all ? TIMEOUT_MS : LIVE_TIMEOUT_MS, err);
	if (rc < 0) {
		jn->redis = NULL;
		return rc;
	}
	rc = load_script(jn, err);
	if (rc < 0) {
		redis_close(jn->redis);
		jn->redis = NULL;
	}
	return rc;
}

int join_open(struct join **ret_jn, const struct join_conf *conf, struct err *err)
{
	struct join *jn = calloc(1, sizeof *jn);
	uint64_t epoch;
	if (!jn || getrandom(&epoch, sizeof epoch, 0) != sizeof epoch) {
		free(jn);
		return err_set(err, -ENOMEM, "out of memory");
	}
	jn->conf = *conf;
	if (!jn->conf.queue_bytes)
		jn->conf.queue_bytes = 64u << 20;
	snprintf(jn->source, sizeof jn->source, "%.64s:%016" PRIx64, conf->source ? conf->source : "leaktap", epoch);
	queue_reset(&jn->ready);
	queue_reset(&jn->sent);
	int rc = connect_redis(jn, err);
	if (rc < 0) {
		free(jn);
		return rc;
	}
	*ret_jn = jn;
	return 0;
}

void join_close(struct join *jn)
{
	if (!jn)
		return;
	for (size_t i = 0; i < CELL_TAGS; i++)
		batch_free(jn, jn->open[i]);
	struct batch *b;
	while ((b = queue_pop(&jn->ready)) || (b = queue_pop(&jn->sent)))
		batch_free(jn, b);
	redis_close(jn->redis);
	free(jn);
}

void join_stats(const struct join *jn, struct join_stats *ret)
{
	*ret = jn->stats;
}

uint64_t join_records(const struct join *jn)
{
	return jn->stats.records;
}

uint64_t join_stored(const struct join *jn)
{
	uint64_t least = jn->stats.records;
	for (size_t i = 0; i < CELL_TAGS; i++)
		if (jn->open[i] && jn->open[i]->before < least)
			least = jn->open[i]->before;
	for (const struct batch *b = jn->ready.head; b; b = b->next)
		least = b->before < least ? b->before : least;
	for (const struct batch *b = jn->sent.head; b; b = b->next)
		least = b->before < least ? b->before : least;
	return least;
}

static void close_batch(struct join *jn, uint32_t tag)
{
	if (!jn->open[tag])
		return;
	queue_push(&jn->ready, jn->open[tag]);
	jn->open[tag] = NULL;
	jn->open_n--;
}

static bool append_record(struct join *jn, uint32_t tag, const uint8_t *record, size_t n)
{
	struct batch *b = jn->open[tag];
	if (b && (b->n == BATCH_RECORDS || b->bytes + n > BATCH_BYTES)) {
		close_batch(jn, tag);
		b = NULL;
	}
	if (!b) {
		b = calloc(1, sizeof *b);
		if (!b)
			return false;
		b->tag = tag;
		b->before = jn->stats.records;
		jn->open[tag] = b;
		jn->open_n++;
	}
	if (b->bytes + n > b->size) {
		size_t size = b->size ? b->size * 2 : 1024;
		while (size < b->bytes + n)
			size *= 2;
		uint8_t *grown = realloc(b->records, size);
		if (!grown)
			return false;
		b->records = grown;
		b->size = size;
	}
	memcpy(b->records + b->bytes, record, n);
	b->bytes += n;
	b->ends[b->n++] = (uint32_t)b->bytes;
	jn->stats.queued_bytes += n;
	jn->stats.records++;
	return true;
}

static int send_batch(struct join *jn, struct batch *b, struct err *err)
{
	char key[32], seq[24], ttl[24], rollup[24], cap[16];
	struct redis_arg argv[FIXED_ARGS + BATCH_RECORDS];
	size_t argc = FIXED_ARGS, at = 0;
	if (!b->seq)
		b->seq = ++jn->seq[b->tag];
#define TEXT(buf, ...) ((struct redis_arg){buf, (size_t)snprintf(buf, sizeof buf, __VA_ARGS__)})
	argv[0] = (struct redis_arg){"EVALSHA", 7};
	argv[1] = (struct redis_arg){jn->sha, strlen(jn->sha)};
	argv[2] = (struct redis_arg){"1", 1};
	argv[3] = TEXT(key, "leaktap:{%03u}:hw", b->tag);
	argv[4] = (struct redis_arg){jn->source, strlen(jn->source)};
	argv[5] = TEXT(seq, "%" PRIu64, b->seq);
	argv[6] = (struct redis_arg){"t", b->again || jn->conf.tell_all};
	argv[7] = TEXT(ttl, "%" PRIu64, jn->conf.cell_ttl_s);
	argv[8] = TEXT(rollup, "%" PRIu64, jn->conf.rollup_ttl_s);
	argv[9] = TEXT(cap, "%u", jn->conf.stream_cap);
#undef TEXT
	for (size_t i = 0; i < b->n; i++) {
		argv[argc++] = (struct redis_arg){b->records + at, b->ends[i] - at};
		at = b->ends[i];
	}
	int rc = redis_append(jn->redis, argc, argv, err);
	if (rc == 0) {
		jn->stats.batches++;
		jn->stats.bytes_shipped += b->bytes;
	}
	return rc;
}

static void read_changes(struct join *jn, const struct redis_reply *rr)
{
	size_t n;
	const uint8_t *at = (const uint8_t *)redis_reply_string(redis_reply_at(rr, 2), &n), *end = at + n;
	struct cell_change change;
	while (at < end && cell_unpack_change(&change, &at, end))
		jn->conf.fn(jn->conf.ctx, &change);
	if (at != end)
		jn->stats.errors++;
	jn->stats.overflow += (uint64_t)redis_reply_integer(redis_reply_at(rr, 3));
}

/* 1 acknowledged, 0 to be sent again, negative: refused for a reason that sending again does not cure by itself. */
static int judge_reply(struct join *jn, const struct redis_reply *rr, struct err *err)
{
	size_t n;
	const char *text = redis_reply_string(redis_reply_type(rr) == REDIS_REPLY_ARRAY_ && redis_reply_count(rr) >= 2
						      ? redis_reply_at(rr, 0)
						      : rr, &n);
	if (strcmp(text, "OK") == 0 && redis_reply_count(rr) == 4) {
		read_changes(jn, rr);
		return 1;
	}
	if (strcmp(text, "DUP") == 0) {
		jn->stats.duplicates++;
		return 1;
	}
	if (strcmp(text, "GAP") == 0) {
		jn->stats.gaps++;
		return 0;
	}
	jn->stats.errors++;
	return err_set(err, LT_EREDIS, "Redis: %s", n ? text : "an answer the join does not know");
}

/* One reply for the oldest batch under way. Batches of one tag that fail come back in order, so that they are sent in order. */
static int take_answer(struct join *jn, struct redis_reply *rr, struct err *err)
{
	struct err why = {0};
	struct batch *b = queue_pop(&jn->sent);
	int rc = b ? judge_reply(jn, rr, &why) : 1;
	redis_reply_free(rr);
	if (rc == 1) {
		jn->backoff_ms = 0;
		batch_free(jn, b);
		return 0;
	}
	queue_push(&jn->ready, b);
	if (rc == 0)
		return 0;
	if (strstr(why.text, "NOSCRIPT")) {
		jn->script_lost = true;
		return 0;
	}
	return err_set(err, rc, "%s", why.text);
}

static void set_back(struct join *jn, uint64_t now_ns)
{
	jn->backoff_ms = jn->backoff_ms ? jn->backoff_ms * 2 : 100;
	if (jn->backoff_ms > MAX_BACKOFF_MS)
		jn->backoff_ms = MAX_BACKOFF_MS;
	/* spread over half the time, so that many sensors do not come back at once */
	uint64_t jitter = hash_bytes(HASH_KEY_FIXED, jn->source, strlen(jn->source)) ^ now_ns;
	jn->retry_ns = now_ns + jn->backoff_ms * CLOCK_NS_PER_MS / 2 * (100 + jitter % 100) / 100;
}

static int reconnect(struct join *jn, struct err *err)
{
	redis_close(jn->redis);
	jn->redis = NULL;
	take_back(jn);
	jn->script_lost = false;
	jn->stats.reconnects++;
	return connect_redis(jn, err);
}

static int send_ready(struct join *jn, struct err *err)
{
	if (jn->script_lost && jn->sent.n)
		return 0;
	if (jn->script_lost) {
		int rc = load_script(jn, err);
		if (rc < 0)
			return rc;
		jn->script_lost = false;
	}
	while (jn->ready.head && jn->sent.n < WINDOW) {
		int rc = send_batch(jn, jn->ready.head, err);
		if (rc < 0)
			return rc;
		queue_push(&jn->sent, queue_pop(&jn->ready));
	}
	return 0;
}

/* Waits out a refusal (LOADING, OOM, BUSY...): at most MAX_PATIENCE_MS in a row. */
static int be_patient(struct join *jn, uint64_t *waited_ms, int rc)
{
	if (*waited_ms >= MAX_PATIENCE_MS)
		return rc;
	set_back(jn, 0);
	*waited_ms += jn->backoff_ms;
	nanosleep(&(struct timespec){(time_t)(jn->backoff_ms / 1000), (long)(jn->backoff_ms % 1000 * CLOCK_NS_PER_MS)}, NULL);
	return 0;
}

/* Works until at most `under_way` batches are unacknowledged and none is ready. */
static int work_off(struct join *jn, size_t under_way, struct err *err)
{
	uint64_t waited_ms = 0;
	while (jn->ready.head || jn->sent.n > under_way) {
		struct redis_reply *rr;
		int rc = redis_alive(jn->redis) ? 0 : reconnect(jn, err);
		if (rc == 0)
			rc = send_ready(jn, err);
		if (rc == 0 && (jn->ready.head || jn->sent.n > under_way) && jn->sent.head) {
			rc = redis_get(jn->redis, &rr, err);
			if (rc == 0)
				rc = take_answer(jn, rr, err);
			if (rc == 0)
				waited_ms = 0;
		}
		if (rc < 0)
			rc = be_patient(jn, &waited_ms, rc);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int join_put(struct join *jn, uint32_t tag, const uint8_t *record, size_t n, struct err *err)
{
	if (!append_record(jn, tag, record, n))
		return err_set(err, -ENOMEM, "out of memory");
	return jn->ready.head ? work_off(jn, WINDOW - 1, err) : 0;
}

int join_flush(struct join *jn, struct err *err)
{
	for (uint32_t i = 0; i < CELL_TAGS; i++)
		close_batch(jn, i);
	return work_off(jn, 0, err);
}

bool join_offer(struct join *jn, uint32_t tag, const uint8_t *record, size_t n)
{
	if (jn->stats.queued_bytes + n <= jn->conf.queue_bytes && append_record(jn, tag, record, n))
		return true;
	jn->stats.refused++;
	return false;
}

static void close_aged(struct join *jn, uint64_t now_ns)
{
	for (uint32_t i = 0; i < CELL_TAGS && jn->open_n; i++) {
		struct batch *b = jn->open[i];
		if (!b)
			continue;
		if (!b->opened_ns)
			b->opened_ns = now_ns;
		if (now_ns - b->opened_ns >= FLUSH_AGE_NS)
			close_batch(jn, i);
	}
}

int join_pump(struct join *jn, uint64_t now_ns, struct err *err)
{
	close_aged(jn, now_ns);
	if (now_ns < jn->retry_ns)
		return 0;
	int rc = 0;
	if (!redis_alive(jn->redis))
		rc = reconnect(jn, err);
	if (rc == 0)
		rc = send_ready(jn, err);
	while (rc == 0 && jn->sent.head) {
		struct redis_reply *rr;
		rc = redis_poll(jn->redis, &rr, err);
		if (rc == 0)
			return 0;
		if (rc == 1)
			rc = take_answer(jn, rr, err);
		if (rc == 0)
			rc = send_ready(jn, err);
	}
	if (rc < 0)
		set_back(jn, now_ns);
	return rc;
}
