/* A Redis list or stream as an evinlet. What was taken stays on the server until it is confirmed: of a list in a second list of the
 * consumer's own, of a stream in the group's list of pending entries. After a restart that is read first. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/evinlet.h"

enum {
	BATCH = 512,
	MAX_UNDER_WAY = 64 * BATCH, /* items taken and not confirmed: no more are taken */
	TIMEOUT_MS = 2000,
	ID_BYTES = 44,
	MIN_BACKOFF_MS = 100, MAX_BACKOFF_MS = 5000,
	STRAY_MS = 300000, /* a reader that has not confirmed for so long is gone: its entries are taken over */
};
#define STRAY_NS (60 * CLOCK_NS_PER_S)
#define GROUP    "leaktap"

struct item {
	uint64_t number;
	char id[ID_BYTES]; /* stream */
};

struct evredis {
	struct evinlet inlet; /* first */
	const struct redis_url *url;
	bool stream;
	char *key, *taken, *origin; /* taken: the list of what this consumer has under way */
	char consumer[128];
	struct redis *redis;
	uint64_t retry_ns, backoff_ms, stray_ns;
	bool ready;            /* the group exists; what an earlier run left has been read */
	char from[ID_BYTES];   /* stream: own pending entries are read after this id, "" once that is done */
	size_t left_over;      /* list: items of an earlier run not read yet */
	struct item *items;    /* ring of MAX_UNDER_WAY, oldest at head */
	size_t head, n_items;
	char *text;
	size_t n_text, size_text;
	struct redis_arg argv[3 + BATCH]; /* too large for the stack */
	struct evsource_stats stats;
};

static void lose(struct evredis *er)
{
	redis_close(er->redis);
	er->redis = NULL;
	er->ready = false;
	er->backoff_ms = er->backoff_ms ? er->backoff_ms * 2 : MIN_BACKOFF_MS;
	er->backoff_ms = er->backoff_ms < MAX_BACKOFF_MS ? er->backoff_ms : MAX_BACKOFF_MS;
	er->retry_ns = clock_monotonic_ns() + er->backoff_ms * CLOCK_NS_PER_MS;
}

/* The reply to one command; an error reply is an error. NULL: err says why, the connection is closed. */
static struct redis_reply *ask(struct evredis *er, size_t argc, const struct redis_arg *argv, struct err *err)
{
	struct redis_reply *rr = NULL;
	if (redis_command(er->redis, &rr, err, argc, argv)) {
		lose(er);
		return NULL;
	}
	if (redis_reply_type(rr) != REDIS_REPLY_ERROR_)
		return rr;
	err_set(err, LT_EREDIS, "%s: %s", er->origin, redis_reply_string(rr, NULL));
	redis_reply_free(rr);
	lose(er);
	return NULL;
}

static struct redis_arg arg(const char *text)
{
	return (struct redis_arg){text, strlen(text)};
}

static int make_group(struct evredis *er, struct err *err)
{
	struct redis_reply *rr;
	int rc = redis_do(er->redis, &rr, err, "XGROUP", "CREATE", er->key, GROUP, "0", "MKSTREAM", (char *)NULL);
	if (rc)
		return rc;
	const char *text = redis_reply_string(rr, NULL);
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_ && strncmp(text, "BUSYGROUP", 9) != 0)
		rc = err_set(err, LT_EREDIS, "%s: %s", er->origin, text);
	redis_reply_free(rr);
	return rc;
}

/* What an earlier run took and did not confirm; items of this run that are under way are among it and are left out. */
static int find_left_over(struct evredis *er, struct err *err)
{
	if (er->stream) {
		snprintf(er->from, sizeof er->from, "%s", er->n_items ? er->items[(er->head + er->n_items - 1) % MAX_UNDER_WAY].id : "0-0");
		return make_group(er, err);
	}
	struct redis_reply *rr = ask(er, 2, (struct redis_arg[]){arg("LLEN"), arg(er->taken)}, err);
	if (!rr)
		return LT_EREDIS;
	uint64_t n = (uint64_t)redis_reply_integer(rr);
	redis_reply_free(rr);
	er->left_over = n > er->n_items ? (size_t)(n - er->n_items) : 0;
	return 0;
}

static int get_ready(struct evredis *er, struct err *err)
{
	if (er->redis && er->ready)
		return 1;
	if (clock_monotonic_ns() < er->retry_ns)
		return 0;
	int rc = er->redis ? 0 : redis_open(&er->redis, er->url, TIMEOUT_MS, err);
	if (rc)
		er->redis = NULL;
	else
		rc = find_left_over(er, err);
	if (rc) {
		lose(er);
		return rc;
	}
	er->ready = true;
	er->backoff_ms = 0;
	return 1;
}

static int add_text(struct evredis *er, const char *p, size_t n)
{
	if (er->n_text + n + 1 > er->size_text) {
		size_t size = er->size_text ? er->size_text * 2 : 65536;
		while (size < er->n_text + n + 1)
			size *= 2;
		char *grown = realloc(er->text, size);
		if (!grown)
			return -ENOMEM;
		er->text = grown;
		er->size_text = size;
	}
	memcpy(er->text + er->n_text, p, n);
	er->n_text += n;
	if (!n || p[n - 1] != '\n')
		er->text[er->n_text++] = '\n';
	return 0;
}

static void add_item(struct evredis *er, uint64_t number, const char *id)
{
	struct item *it = &er->items[(er->head + er->n_items++) % MAX_UNDER_WAY];
	it->number = number;
	snprintf(it->id, sizeof it->id, "%s", id);
}

/* ---- list ---- */

static int take_reply_items(struct evredis *er, const struct redis_reply *rr, uint64_t number)
{
	for (size_t i = 0; i < redis_reply_count(rr); i++) {
		size_t n;
		const char *p = redis_reply_string(redis_reply_at(rr, i), &n);
		if (add_text(er, p, n))
			return -ENOMEM;
		add_item(er, number, "");
	}
	return 0;
}

/* Items that lie in the consumer's own list but are not under way. */
static int read_left_over(struct evredis *er, uint64_t number, struct err *err)
{
	char from[24], to[24];
	size_t n = er->left_over < BATCH ? er->left_over : BATCH;
	snprintf(from, sizeof from, "%zu", er->n_items);
	snprintf(to, sizeof to, "%zu", er->n_items + n - 1);
	struct redis_reply *rr = ask(er, 4, (struct redis_arg[]){arg("LRANGE"), arg(er->taken), arg(from), arg(to)}, err);
	if (!rr)
		return LT_EREDIS;
	int rc = take_reply_items(er, rr, number);
	er->left_over -= redis_reply_count(rr) < er->left_over ? redis_reply_count(rr) : er->left_over;
	if (!redis_reply_count(rr))
		er->left_over = 0;
	redis_reply_free(rr);
	return rc;
}

/* LMOVE from the head of the key to the end of the consumer's list: no moment at which an item is in neither. */
static int move_items(struct evredis *er, uint64_t number, struct err *err)
{
	struct redis_arg argv[] = {arg("LMOVE"), arg(er->key), arg(er->taken), arg("LEFT"), arg("RIGHT")};
	for (size_t i = 0; i < BATCH; i++)
		if (redis_append(er->redis, 5, argv, err)) {
			lose(er);
			return LT_EREDIS;
		}
	int rc = 0;
	for (size_t i = 0; i < BATCH && er->redis; i++) {
		struct redis_reply *rr;
		if (redis_get(er->redis, &rr, err)) {
			lose(er); /* what was moved meanwhile is found as left over */
			return er->n_text ? 0 : LT_EREDIS;
		}
		size_t n;
		const char *p = redis_reply_string(rr, &n);
		if (redis_reply_type(rr) == REDIS_REPLY_ERROR_)
			rc = err_set(err, LT_EREDIS, "%s: %s", er->origin, p);
		else if (redis_reply_type(rr) == REDIS_REPLY_STRING_ && !rc) {
			rc = add_text(er, p, n);
			if (!rc)
				add_item(er, number, "");
		}
		redis_reply_free(rr);
	}
	if (rc)
		lose(er);
	return rc;
}

static int trim_list(struct evredis *er, size_t n, struct err *err)
{
	char from[24];
	snprintf(from, sizeof from, "%zu", n);
	struct redis_reply *rr = ask(er, 4, (struct redis_arg[]){arg("LTRIM"), arg(er->taken), arg(from), arg("-1")}, err);
	redis_reply_free(rr);
	return rr ? 0 : LT_EREDIS;
}

/* ---- stream ---- */

/* The entry's text: field json, message or data; else its only value. */
static const char *entry_text(const struct redis_reply *fields, size_t *ret_n)
{
	static const char *const names[] = {"json", "message", "data"};
	size_t n = redis_reply_count(fields);
	for (size_t k = 0; k < sizeof names / sizeof *names; k++)
		for (size_t i = 0; i + 1 < n; i += 2)
			if (strcmp(redis_reply_string(redis_reply_at(fields, i), NULL), names[k]) == 0)
				return redis_reply_string(redis_reply_at(fields, i + 1), ret_n);
	return n == 2 ? redis_reply_string(redis_reply_at(fields, 1), ret_n) : NULL;
}

static int take_entries(struct evredis *er, const struct redis_reply *entries, uint64_t number, const char **ret_last)
{
	for (size_t i = 0; i < redis_reply_count(entries); i++) {
		const struct redis_reply *e = redis_reply_at(entries, i);
		if (redis_reply_type(e) != REDIS_REPLY_ARRAY_ || redis_reply_count(e) != 2)
			continue;
		const char *id = redis_reply_string(redis_reply_at(e, 0), NULL);
		const struct redis_reply *fields = redis_reply_at(e, 1);
		size_t n = 0;
		const char *text = redis_reply_type(fields) == REDIS_REPLY_ARRAY_ ? entry_text(fields, &n) : NULL;
		if (text && add_text(er, text, n))
			return -ENOMEM;
		er->stats.unreadable += !text; /* trimmed meanwhile, or nothing we know */
		add_item(er, number, id);
		*ret_last = id;
	}
	return 0;
}

static int read_stream(struct evredis *er, uint64_t number, struct err *err)
{
	char count[16];
	bool own = er->from[0] != 0;
	snprintf(count, sizeof count, "%d", BATCH);
	struct redis_reply *rr = ask(er, 9, (struct redis_arg[]){arg("XREADGROUP"), arg("GROUP"), arg(GROUP), arg(er->consumer),
				     arg("COUNT"), arg(count), arg("STREAMS"), arg(er->key), arg(own ? er->from : ">")}, err);
	if (!rr)
		return LT_EREDIS;
	const struct redis_reply *one = redis_reply_type(rr) == REDIS_REPLY_ARRAY_ && redis_reply_count(rr) ? redis_reply_at(rr, 0) : NULL;
	const char *last = "";
	int rc = one && redis_reply_count(one) == 2 ? take_entries(er, redis_reply_at(one, 1), number, &last) : 0;
	if (own)
		snprintf(er->from, sizeof er->from, "%s", last);
	redis_reply_free(rr);
	return rc;
}

/* Entries of readers that have gone for good. */
static int take_strays(struct evredis *er, uint64_t number, struct err *err)
{
	char idle[16], count[16];
	snprintf(idle, sizeof idle, "%d", STRAY_MS);
	snprintf(count, sizeof count, "%d", BATCH);
	er->stray_ns = clock_monotonic_ns() + STRAY_NS;
	if (er->n_items)
		return 0; /* our own could be among them */
	struct redis_reply *rr = ask(er, 8, (struct redis_arg[]){arg("XAUTOCLAIM"), arg(er->key), arg(GROUP), arg(er->consumer), arg(idle),
				     arg("0-0"), arg("COUNT"), arg(count)}, err);
	if (!rr)
		return LT_EREDIS;
	const char *last;
	int rc = redis_reply_count(rr) >= 2 ? take_entries(er, redis_reply_at(rr, 1), number, &last) : 0;
	redis_reply_free(rr);
	return rc;
}

static int acknowledge(struct evredis *er, size_t n, struct err *err)
{
	struct redis_arg *argv = er->argv;
	argv[0] = arg("XACK");
	argv[1] = arg(er->key);
	argv[2] = arg(GROUP);
	for (size_t i = 0; i < n; i++)
		argv[3 + i] = arg(er->items[(er->head + i) % MAX_UNDER_WAY].id);
	struct redis_reply *rr = ask(er, 3 + n, argv, err);
	redis_reply_free(rr);
	return rr ? 0 : LT_EREDIS;
}

/* ---- inlet ---- */

static int fetch(struct evredis *er, uint64_t number, struct err *err)
{
	if (!er->stream)
		return er->left_over ? read_left_over(er, number, err) : move_items(er, number, err);
	if (!er->from[0] && clock_monotonic_ns() >= er->stray_ns) {
		int rc = take_strays(er, number, err);
		if (rc || er->n_text)
			return rc;
	}
	return read_stream(er, number, err);
}

static int poll_queue(struct evinlet *in, uint64_t number, struct evchunk *ret, struct err *err)
{
	struct evredis *er = (struct evredis *)in;
	er->n_text = 0;
	if (er->n_items + BATCH > MAX_UNDER_WAY)
		return 0;
	int rc = get_ready(er, err);
	if (rc <= 0)
		return rc;
	rc = fetch(er, number, err);
	if (rc)
		return rc;
	if (!er->n_text)
		return 0;
	er->stats.bytes += er->n_text;
	*ret = (struct evchunk){.bytes = er->text, .n = er->n_text, .origin = er->origin, .begins = true, .ends = true, .number = number};
	return 1;
}

static int confirm_queue(struct evinlet *in, uint64_t number, struct err *err)
{
	struct evredis *er = (struct evredis *)in;
	while (er->redis && er->n_items) {
		size_t n = 0;
		while (n < er->n_items && n < BATCH && er->items[(er->head + n) % MAX_UNDER_WAY].number <= number)
			n++;
		if (!n)
			return 0;
		int rc = er->stream ? acknowledge(er, n, err) : trim_list(er, n, err);
		if (rc)
			return rc;
		er->head = (er->head + n) % MAX_UNDER_WAY;
		er->n_items -= n;
	}
	return 0;
}

static void add_stats(const struct evinlet *in, struct evsource_stats *st)
{
	const struct evredis *er = (const struct evredis *)in;
	st->bytes += er->stats.bytes;
	st->unreadable += er->stats.unreadable;
}

static void close_queue(struct evinlet *in)
{
	struct evredis *er = (struct evredis *)in;
	redis_close(er->redis);
	free(er->items);
	free(er->key);
	free(er->taken);
	free(er->origin);
	free(er->text);
	free(er);
}

static const struct evinlet_ops queue_ops = {.poll = poll_queue, .confirm = confirm_queue, .stats = add_stats, .close = close_queue};

int evredis_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *key, bool stream, struct err *err)
{
	const char *kind = stream ? "redis-stream" : "redis-list";
	if (!*key)
		return err_set(err, LT_EUSAGE, "%s: needs a key", kind);
	if (!conf->redis)
		return err_set(err, LT_EUSAGE, "%s:%s: needs --redis URL", kind, key);
	struct evredis *er = calloc(1, sizeof *er);
	if (!er)
		return err_set(err, -ENOMEM, "out of memory");
	er->inlet.ops = &queue_ops;
	er->url = conf->redis;
	er->stream = stream;
	snprintf(er->consumer, sizeof er->consumer, "%s", conf->consumer ? conf->consumer : "leaktap");
	er->items = calloc(MAX_UNDER_WAY, sizeof *er->items);
	er->key = strdup(key);
	if (asprintf(&er->taken, "%s:leaktap:%s", key, er->consumer) < 0)
		er->taken = NULL;
	if (asprintf(&er->origin, "%s:%s", kind, key) < 0)
		er->origin = NULL;
	if (!er->items || !er->key || !er->taken || !er->origin) {
		close_queue(&er->inlet);
		return err_set(err, -ENOMEM, "out of memory");
	}
	*ret_in = &er->inlet;
	return 0;
}
