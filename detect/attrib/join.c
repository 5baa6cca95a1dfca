#include "detect/attrib/join.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "capture/base/clock.h"
#include "detect/attrib/join_parts.h"

enum {
	TIMEOUT_MS = 5000,
	LIVE_TIMEOUT_MS = 2000,
	MAX_PATIENCE_MS = 60000, /* replay: how long a server may refuse */
	WAIT_MS = 20,
	BACKLOG_BYTES = 256 << 10,
};
#define FLUSH_AGE_NS (200 * CLOCK_NS_PER_MS)
#define LATE_AGE_NS  CLOCK_NS_PER_S /* with a backlog: nothing is gained by going early, and full batches are worked off faster */
#define LEARN_NS     (100 * CLOCK_NS_PER_MS)

struct epoch *join_epoch(struct join *jn, uint64_t number)
{
	for (struct epoch *e = jn->epochs; e; e = e->next)
		if (e->number == number)
			return e;
	struct epoch *e = calloc(1, sizeof *e);
	if (!e)
		return NULL;
	e->number = number;
	snprintf(e->source, sizeof e->source, "%.64s:%016" PRIx64, jn->conf.source ? jn->conf.source : "leaktap", number);
	for (uint32_t i = 0; i < CELL_TAGS; i++) {
		e->lanes[i].source = e->source;
		e->lanes[i].tag = i;
		e->lanes[i].unsure = jn->epochs; /* an earlier run's */
	}
	if (jn->epochs) {
		e->next = jn->epochs->next;
		jn->epochs->next = e;
	} else {
		jn->epochs = e;
		jn->lanes = e->lanes;
	}
	return e;
}

static bool is_used(const struct join *jn, size_t node)
{
	for (uint32_t tag = 0; tag < CELL_TAGS; tag++)
		if (redis_router_node_of(jn->router, tag) == node)
			return true;
	return jn->nodes[node].n;
}

static int connect_all(struct join *jn, struct err *err)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < redis_router_nodes(jn->router); i++)
		if (is_used(jn, i))
			rc = join_node_connect(jn, i, err);
	if (rc < 0 && rc > LT_EFORMAT && jn->conf.spool) { /* not there yet; one that is there and unfit is an error */
		rc = 0;
		if (err)
			*err = (struct err){0};
	}
	return rc;
}

int join_open(struct join **ret_jn, const struct join_conf *conf, struct err *err)
{
	struct join *jn = calloc(1, sizeof *jn);
	uint64_t epoch;
	if (jn)
		jn->conf = *conf;
	if (!jn || getrandom(&epoch, sizeof epoch, 0) != sizeof epoch || !join_epoch(jn, epoch)) {
		free(jn);
		return err_set(err, -ENOMEM, "out of memory");
	}
	if (!jn->conf.queue_bytes)
		jn->conf.queue_bytes = 64u << 20;
	if (!jn->conf.keep_bytes)
		jn->conf.keep_bytes = 64u << 20;
	int rc = redis_router_new(&jn->router, conf->url, conf->tell_all ? TIMEOUT_MS : LIVE_TIMEOUT_MS, err);
	if (rc == 0)
		rc = connect_all(jn, err);
	if (rc == 0 && conf->spool)
		rc = join_spool_open(jn, err);
	if (rc < 0) {
		join_close(jn);
		return rc;
	}
	*ret_jn = jn;
	return 0;
}

void join_close(struct join *jn)
{
	if (!jn)
		return;
	join_spool_close(jn);
	for (struct epoch *e = jn->epochs, *next; e; e = next) {
		next = e->next;
		for (size_t i = 0; i < CELL_TAGS; i++)
			lane_free(&e->lanes[i]);
		free(e);
	}
	redis_router_free(jn->router);
	free(jn);
}

void join_stats(const struct join *jn, struct join_stats *ret)
{
	*ret = jn->stats;
	ret->queued_bytes = jn->totals.waiting_bytes;
	if (jn->spool.disk) {
		struct spool_stats st;
		spool_stats(jn->spool.disk, &st);
		ret->queued_bytes += jn->spool.at_end ? 0 : jn->spool.unread_bytes + 1;
		ret->spool_bytes = st.bytes;
		ret->spool_dropped = st.dropped + st.corrupt + jn->spool.refused;
	}
	ret->kept_bytes = jn->totals.kept_bytes;
	ret->forced = jn->totals.forced;
}

uint64_t join_records(const struct join *jn)
{
	return jn->stats.records;
}

uint64_t join_stored(const struct join *jn)
{
	uint64_t least = jn->stats.records;
	if (jn->spool.disk && (!jn->spool.at_end || jn->totals.waiting || jn->totals.open))
		return 0; /* which records a batch on disk has is not known any more */
	for (size_t i = 0; i < CELL_TAGS; i++)
		least = lane_stored(&jn->lanes[i], least);
	return least;
}

const char *join_remark(const struct join *jn)
{
	return jn->remark;
}

static void close_lane(struct join *jn, struct lane *l)
{
	if (jn->spool.disk)
		join_spool_write(jn, l);
	else
		lane_close(l, &jn->totals);
}

static bool append_record(struct join *jn, uint32_t tag, const uint8_t *record, size_t n)
{
	struct lane *l = &jn->lanes[tag];
	if (l->open && l->open->bytes + n > LANE_BATCH_BYTES)
		close_lane(jn, l);
	if (!lane_add(l, &jn->totals, record, n, jn->stats.records))
		return false;
	if (l->open->n == LANE_BATCH_RECORDS)
		close_lane(jn, l);
	jn->stats.records++;
	return true;
}

/* ---- servers ---- */

static void learn_map(struct join *jn, uint64_t now_ns)
{
	if (!jn->map_is_old || now_ns - jn->learned_ns < LEARN_NS)
		return;
	jn->learned_ns = now_ns;
	if (redis_router_learn(jn->router, NULL) == 0)
		jn->map_is_old = false;
}

static int pump_all(struct join *jn, uint64_t checks, struct err *err)
{
	int rc = 0;
	learn_map(jn, clock_monotonic_ns());
	for (size_t i = 0; i < redis_router_nodes(jn->router); i++) {
		int r = is_used(jn, i) ? join_node_pump(jn, i, checks, err) : 0;
		rc = r < 0 ? r : rc;
	}
	return rc;
}

/* ---- replay: waiting ---- */

unsigned join_under_way(const struct join *jn)
{
	unsigned n = 0;
	for (size_t i = 0; i < redis_router_nodes(jn->router); i++)
		n += jn->nodes[i].n;
	return n;
}

static bool is_done(const struct join *jn, size_t waiting, uint64_t checks)
{
	if (jn->totals.waiting > waiting)
		return false;
	for (size_t i = 0; checks && i < CELL_TAGS; i++)
		if (jn->lanes[i].again_from || jn->lanes[i].under_way || (jn->conf.keep_ns && lane_idle(&jn->lanes[i]) &&
									 jn->lanes[i].checked_ns < checks))
			return false;
	return true;
}

void join_wait(struct join *jn)
{
	struct redis *one = redis_router_nodes(jn->router) == 1 ? redis_router_at(jn->router, 0) : NULL;
	if (redis_alive(one) && join_under_way(jn))
		redis_wait(one, WAIT_MS);
	else
		nanosleep(&(struct timespec){0, join_under_way(jn) ? 100000 : 2000000}, NULL);
}

/* Works until at most `waiting` batches are unacknowledged; with checks, until every server has said after that time that it still has
 * all. A refusal (LOADING, OOM, a server that is away) is waited out for MAX_PATIENCE_MS without any progress. */
static int work_off(struct join *jn, size_t waiting, uint64_t checks, struct err *err)
{
	uint64_t since_ns = clock_monotonic_ns(), answers = jn->answers;
	struct err why = {0};
	while (!is_done(jn, waiting, checks)) {
		int rc = pump_all(jn, checks, &why);
		uint64_t now_ns = clock_monotonic_ns();
		if (jn->answers != answers)
			since_ns = now_ns;
		answers = jn->answers;
		if (rc < 0 && now_ns - since_ns > MAX_PATIENCE_MS * CLOCK_NS_PER_MS)
			return err_set(err, rc, "%s", why.text);
		if (!is_done(jn, waiting, checks))
			join_wait(jn);
	}
	return 0;
}

int join_put(struct join *jn, uint32_t tag, const uint8_t *record, size_t n, struct err *err)
{
	if (!append_record(jn, tag, record, n))
		return err_set(err, -ENOMEM, "out of memory");
	return jn->totals.waiting > JOIN_WINDOW ? work_off(jn, JOIN_WINDOW, 0, err) : 0;
}

static void close_all(struct join *jn)
{
	for (uint32_t i = 0; i < CELL_TAGS; i++)
		close_lane(jn, &jn->lanes[i]);
}

int join_flush(struct join *jn, struct err *err)
{
	close_all(jn);
	int rc = work_off(jn, 0, 0, err);
	return rc < 0 ? rc : work_off(jn, 0, clock_monotonic_ns(), err);
}

/* ---- live: never waiting ---- */

bool join_offer(struct join *jn, uint32_t tag, const uint8_t *record, size_t n)
{
	if (jn->totals.waiting_bytes + n <= jn->conf.queue_bytes && append_record(jn, tag, record, n))
		return true;
	jn->stats.refused++;
	return false;
}

static void close_aged(struct join *jn, uint64_t now_ns)
{
	bool late = jn->totals.waiting_bytes + jn->spool.unread_bytes > BACKLOG_BYTES;
	for (uint32_t i = 0; i < CELL_TAGS && jn->totals.open; i++) {
		struct batch *b = jn->lanes[i].open;
		if (!b)
			continue;
		if (!b->opened_ns)
			b->opened_ns = now_ns;
		if (now_ns - b->opened_ns >= (late ? LATE_AGE_NS : FLUSH_AGE_NS))
			close_lane(jn, &jn->lanes[i]);
	}
}

int join_pump(struct join *jn, uint64_t now_ns, struct err *err)
{
	close_aged(jn, now_ns);
	int rc = jn->spool.disk ? join_spool_tend(jn, clock_monotonic_ns(), err) : 0;
	int pumped = pump_all(jn, 0, rc < 0 ? NULL : err);
	return rc < 0 ? rc : pumped;
}
