#include "detect/attrib/outread.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"

enum { TIMEOUT_MS = 1000, MAX_BACKOFF_MS = 5000, COUNT = 32, ID_BYTES = 44, KEY_BYTES = 20 };
#define EVERY_NS (200 * CLOCK_NS_PER_MS)
#define BACK_NS  (60 * CLOCK_NS_PER_S) /* clocks of the hosts differ; a change told twice does no harm */

struct outread {
	const struct redis_url *url;
	join_fn *fn;
	void *ctx;
	struct redis *redis;
	bool asked;
	uint64_t next_ns, backoff_ms;
	struct redis_arg argv[4 + 2 * CELL_TAGS]; /* too large for the stack */
	char keys[CELL_TAGS][KEY_BYTES], ids[CELL_TAGS][ID_BYTES];
};

struct outread *outread_new(const struct redis_url *url, join_fn *fn, void *ctx, uint64_t now_ns)
{
	struct outread *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->url = url;
	r->fn = fn;
	r->ctx = ctx;
	uint64_t from_ms = (now_ns > BACK_NS ? now_ns - BACK_NS : 0) / CLOCK_NS_PER_MS;
	for (unsigned i = 0; i < CELL_TAGS; i++) {
		snprintf(r->keys[i], KEY_BYTES, "leaktap:{%03u}:out", i);
		snprintf(r->ids[i], ID_BYTES, "%" PRIu64 "-0", from_ms);
	}
	return r;
}

void outread_free(struct outread *r)
{
	if (!r)
		return;
	redis_close(r->redis);
	free(r);
}

static int ask(struct outread *r, struct err *err)
{
	char count[8];
	struct redis_arg *argv = r->argv;
	argv[0] = (struct redis_arg){"XREAD", 5};
	argv[1] = (struct redis_arg){"COUNT", 5};
	argv[2] = (struct redis_arg){count, (size_t)snprintf(count, sizeof count, "%d", COUNT)};
	argv[3] = (struct redis_arg){"STREAMS", 7};
	for (size_t i = 0; i < CELL_TAGS; i++) {
		argv[4 + i] = (struct redis_arg){r->keys[i], strlen(r->keys[i])};
		argv[4 + CELL_TAGS + i] = (struct redis_arg){r->ids[i], strlen(r->ids[i])};
	}
	r->asked = true;
	return redis_append(r->redis, 4 + 2 * CELL_TAGS, argv, err);
}

static void read_entry(struct outread *r, const struct redis_reply *fields)
{
	for (size_t i = 0; i + 1 < redis_reply_count(fields); i += 2) {
		size_t n;
		const uint8_t *at = (const uint8_t *)redis_reply_string(redis_reply_at(fields, i + 1), &n), *end = at + n;
		struct cell_change change;
		if (strcmp(redis_reply_string(redis_reply_at(fields, i), NULL), "b") == 0)
			while (at < end && cell_unpack_change(&change, &at, end))
				r->fn(r->ctx, &change);
	}
}

/* [key, [[id, [field, value...]]...]] */
static bool read_stream(struct outread *r, const struct redis_reply *stream)
{
	if (redis_reply_type(stream) != REDIS_REPLY_ARRAY_ || redis_reply_count(stream) != 2)
		return false;
	const char *key = redis_reply_string(redis_reply_at(stream, 0), NULL);
	const struct redis_reply *entries = redis_reply_at(stream, 1);
	size_t n = redis_reply_count(entries);
	unsigned tag;
	if (sscanf(key, "leaktap:{%3u}:out", &tag) != 1 || tag >= CELL_TAGS)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct redis_reply *entry = redis_reply_at(entries, i);
		if (redis_reply_type(entry) != REDIS_REPLY_ARRAY_ || redis_reply_count(entry) != 2)
			continue;
		read_entry(r, redis_reply_at(entry, 1));
		snprintf(r->ids[tag], ID_BYTES, "%s", redis_reply_string(redis_reply_at(entry, 0), NULL));
	}
	return n >= COUNT;
}

static int take_reply(struct outread *r, const struct redis_reply *rr, uint64_t now_ns, struct err *err)
{
	bool more = false;
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_)
		return err_set(err, LT_EREDIS, "Redis: %s", redis_reply_string(rr, NULL));
	if (redis_reply_type(rr) == REDIS_REPLY_ARRAY_)
		for (size_t i = 0; i < redis_reply_count(rr); i++)
			more |= read_stream(r, redis_reply_at(rr, i));
	r->asked = false;
	r->backoff_ms = 0;
	r->next_ns = more ? now_ns : now_ns + EVERY_NS;
	return 0;
}

static void lose(struct outread *r, uint64_t now_ns)
{
	redis_close(r->redis);
	r->redis = NULL;
	r->asked = false;
	r->backoff_ms = r->backoff_ms ? r->backoff_ms * 2 : 100;
	r->backoff_ms = r->backoff_ms < MAX_BACKOFF_MS ? r->backoff_ms : MAX_BACKOFF_MS;
	r->next_ns = now_ns + r->backoff_ms * CLOCK_NS_PER_MS;
}

int outread_poll(struct outread *r, uint64_t now_ns, struct err *err)
{
	if (!r->asked && now_ns < r->next_ns)
		return 0;
	int rc = r->redis ? 0 : redis_open(&r->redis, r->url, TIMEOUT_MS, err);
	if (rc)
		r->redis = NULL;
	if (rc == 0 && !r->asked)
		rc = ask(r, err);
	struct redis_reply *rr;
	if (rc == 0)
		rc = redis_poll(r->redis, &rr, err);
	if (rc == 1) {
		rc = take_reply(r, rr, now_ns, err);
		redis_reply_free(rr);
	}
	if (rc < 0)
		lose(r, now_ns);
	return rc;
}
