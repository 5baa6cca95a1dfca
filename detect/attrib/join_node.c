/* One server's side of the join: what is under way to it, and what its answers mean. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/base/hash.h"
#include "detect/attrib/join_check.h"
#include "detect/attrib/join_parts.h"

enum {
	FIXED_ARGS = 9,
	MAX_BACKOFF_MS = 5000,
	DENIED_BACKOFF_MS = 30000, /* a login or a permission: somebody has to mend it */
	MIN_BACKOFF_MS = 20,
	SOURCE_TTL_S = 172800, /* as in cell.lua */
};
#define CHECK_NS   (5 * CLOCK_NS_PER_S)
#define REFRESH_NS (SOURCE_TTL_S / 4 * CLOCK_NS_PER_S)

static_assert((int)CELL_TAGS == (int)REDIS_ROUTER_TAGS, "a lane per tag");

/* ---- servers ---- */

static int load_script(struct join *jn, struct redis *r, struct err *err)
{
	struct redis_arg argv[] = {{"SCRIPT", 6}, {"LOAD", 4}, {cell_script, cell_script_bytes}};
	struct redis_reply *rr;
	int rc = redis_command(r, &rr, err, 3, argv);
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

static uint64_t first_unanswered(const struct lane *l)
{
	for (const struct batch *b = l->head; b; b = b->next)
		if (!b->acked_ns)
			return b->seq;
	return l->seq + 1;
}

/* What was under way on a dead connection goes again. */
void join_node_take_back(struct node *nd)
{
	for (; nd->n; nd->n--) {
		struct flight *f = &nd->sent[nd->first++ % JOIN_WINDOW];
		f->lane->under_way--;
		if (f->batch)
			lane_go_back(f->lane, first_unanswered(f->lane));
	}
	nd->script_lost = false;
}

int join_node_connect(struct join *jn, size_t node, struct err *err)
{
	join_node_take_back(&jn->nodes[node]);
	int rc = redis_router_connect(jn->router, node, err);
	if (rc == 0)
		rc = join_check(redis_router_at(jn->router, node), jn->remark, sizeof jn->remark, err);
	if (rc == 0)
		rc = load_script(jn, redis_router_at(jn->router, node), err);
	if (rc < 0)
		redis_router_drop(jn->router, node);
	return rc;
}

/* ---- sending ---- */

static struct redis_arg text_arg(const char *text)
{
	return (struct redis_arg){text, strlen(text)};
}

static int send_batch(struct join *jn, struct redis *r, const struct lane *l, const struct batch *b, struct err *err)
{
	char key[128], seq[24], letters[4], ttl[24], rollup[24], cap[16];
	struct redis_arg argv[FIXED_ARGS + LANE_BATCH_RECORDS];
	size_t argc = FIXED_ARGS, at = 0;
	snprintf(key, sizeof key, "leaktap:{%03u}:hw:%s", l->tag, l->source);
	snprintf(seq, sizeof seq, "%" PRIu64, b->seq);
	snprintf(letters, sizeof letters, "%s%s", b->forced ? "f" : "", b->again || jn->conf.tell_all ? "t" : "");
	snprintf(ttl, sizeof ttl, "%" PRIu64, jn->conf.cell_ttl_s);
	snprintf(rollup, sizeof rollup, "%" PRIu64, jn->conf.rollup_ttl_s);
	snprintf(cap, sizeof cap, "%u", jn->conf.stream_cap);
	const char *const fixed[FIXED_ARGS] = {"EVALSHA", jn->sha, "1", key, seq, letters, ttl, rollup, cap};
	for (size_t i = 0; i < FIXED_ARGS; i++)
		argv[i] = text_arg(fixed[i]);
	for (size_t i = 0; i < b->n; i++) {
		argv[argc++] = (struct redis_arg){b->records + at, b->ends[i] - at};
		at = b->ends[i];
	}
	int rc = redis_append(r, argc, argv, err);
	if (rc == 0) {
		jn->stats.batches++;
		jn->stats.bytes_shipped += b->bytes;
	}
	return rc;
}

/* Asks for the lane's high water, and lets it live on. */
static int send_check(struct redis *r, const struct lane *l, struct err *err)
{
	char key[128], ttl[16];
	snprintf(key, sizeof key, "leaktap:{%03u}:hw:%s", l->tag, l->source);
	snprintf(ttl, sizeof ttl, "%u", SOURCE_TTL_S);
	struct redis_arg argv[] = {text_arg("GETEX"), text_arg(key), text_arg("EX"), text_arg(ttl)};
	return redis_append(r, 4, argv, err);
}

static void note_sent(struct node *nd, struct lane *l, struct batch *b)
{
	nd->sent[(nd->first + nd->n++) % JOIN_WINDOW] = (struct flight){l, b};
}

static int send_lane(struct join *jn, size_t node, struct lane *l, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	struct batch *b;
	while (nd->n < JOIN_WINDOW && (b = lane_take(l, &jn->totals))) {
		note_sent(nd, l, b);
		int rc = send_batch(jn, redis_router_at(jn->router, node), l, b, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static bool is_due(const struct join *jn, const struct lane *l, bool now, uint64_t now_ns)
{
	if (!l->head && l->seq && !l->under_way && now_ns - l->checked_ns > REFRESH_NS && !now)
		return true;
	if (jn->spool.disk)
		return join_spool_is_due(jn, l, now_ns);
	return lane_idle(l) && now_ns - l->checked_ns >= (now ? 1 : CHECK_NS) && jn->conf.keep_ns;
}

static int check_lane(struct join *jn, size_t node, struct lane *l, bool now, uint64_t now_ns, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	if (nd->n == JOIN_WINDOW || !is_due(jn, l, now, now_ns))
		return 0;
	l->checked_ns = now_ns;
	l->under_way++;
	note_sent(nd, l, NULL);
	return send_check(redis_router_at(jn->router, node), l, err);
}

static int send_lanes(struct join *jn, size_t node, struct lane *lanes, uint64_t checks, uint64_t now_ns, struct err *err)
{
	const struct node *nd = &jn->nodes[node];
	int rc = 0;
	for (unsigned i = 0; i < CELL_TAGS && rc == 0 && nd->n < JOIN_WINDOW; i++) {
		struct lane *l = &lanes[(jn->turn + i) % CELL_TAGS];
		if (redis_router_node_of(jn->router, l->tag) != node)
			continue;
		rc = send_lane(jn, node, l, err);
		if (rc == 0)
			rc = check_lane(jn, node, l, checks, now_ns, err);
	}
	return rc;
}

/* What the server may have now. checks: 0 as they fall due, else the time up to which each lane must have been checked. */
static int send_ready(struct join *jn, size_t node, uint64_t checks, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	int rc = 0;
	if ((nd->script_lost && nd->n) || jn->spool.seeking)
		return 0;
	if (nd->script_lost && (rc = load_script(jn, redis_router_at(jn->router, node), err)) < 0)
		return rc;
	nd->script_lost = false;
	uint64_t now_ns = checks ? checks : clock_monotonic_ns();
	for (struct epoch *e = jn->epochs; e && rc == 0; e = e->next)
		rc = send_lanes(jn, node, e->lanes, checks, now_ns, err);
	jn->turn++;
	return rc;
}

/* ---- answers ---- */

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

static void accept_batch(struct join *jn, struct lane *l, struct batch *b)
{
	uint64_t now = clock_monotonic_ns();
	l->acked = b->seq;
	l->acked_ns = now;
	lane_ack(l, &jn->totals, b, now);
	if (jn->spool.disk) { /* it is kept there */
		lane_trim(l, &jn->totals, now);
		return;
	}
	lane_trim(l, &jn->totals, now > jn->conf.keep_ns ? now - jn->conf.keep_ns : jn->conf.keep_ns ? 0 : now);
	while (jn->totals.kept_bytes > jn->conf.keep_bytes)
		lane_drop_oldest(jn->lanes, CELL_TAGS, &jn->totals);
}

static void server_forgot(struct join *jn, struct lane *l, uint64_t high)
{
	if (jn->spool.disk) {
		join_spool_gap(jn, l, high);
		return;
	}
	jn->stats.gaps++;
	lane_go_back(l, high + 1);
}

/* What an error means; all of them are waited out, some need more than that. */
static int judge_error(struct join *jn, size_t node, const char *text, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	if (strncmp(text, "NOSCRIPT", 8) == 0) {
		nd->script_lost = true;
		return 0;
	}
	if (redis_router_moved(jn->router, text, node) == 0) {
		jn->stats.moved++;
		jn->map_is_old = true;
		return 0;
	}
	jn->stats.errors++;
	static const char *const elsewhere[] = {"READONLY", "MASTERDOWN", "CLUSTERDOWN"};
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
		if (strncmp(text, elsewhere[i], strlen(elsewhere[i])) == 0) {
			jn->map_is_old = true;
			redis_router_drop(jn->router, node); /* the name may lead to another server by now */
		}
	static const char *const denied[] = {"NOAUTH", "WRONGPASS", "NOPERM"};
	for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
		if (strncmp(text, denied[i], strlen(denied[i])) == 0)
			nd->backoff_ms = DENIED_BACKOFF_MS;
	return err_set(err, LT_EREDIS, "Redis at %s: %s", redis_router_name(jn->router, node), text);
}

static int judge_batch(struct join *jn, size_t node, const struct flight *f, const struct redis_reply *rr, struct err *err)
{
	if (redis_reply_type(rr) == REDIS_REPLY_ARRAY_ && redis_reply_count(rr) >= 2) {
		const char *word = redis_reply_string(redis_reply_at(rr, 0), NULL);
		if (strcmp(word, "GAP") == 0) {
			server_forgot(jn, f->lane, (uint64_t)redis_reply_integer(redis_reply_at(rr, 1)));
			return 0;
		}
		jn->stats.duplicates += strcmp(word, "DUP") == 0;
		if (redis_reply_count(rr) >= 4)
			read_changes(jn, rr);
		accept_batch(jn, f->lane, f->batch);
		jn->nodes[node].backoff_ms = 0;
		return 0;
	}
	lane_go_back(f->lane, f->batch->seq);
	return judge_error(jn, node, redis_reply_type(rr) == REDIS_REPLY_ERROR_ ? redis_reply_string(rr, NULL) : "an unknown answer", err);
}

static int judge_check(struct join *jn, size_t node, const struct flight *f, const struct redis_reply *rr, struct err *err)
{
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_) {
		f->lane->checked_ns = 0;
		return judge_error(jn, node, redis_reply_string(rr, NULL), err);
	}
	uint64_t high = strtoull(redis_reply_string(rr, NULL), NULL, 10);
	if (jn->spool.disk)
		join_spool_answer(jn, f->lane, high, clock_monotonic_ns());
	else if (high < f->lane->seq && f->lane->head && lane_idle(f->lane))
		server_forgot(jn, f->lane, high);
	return 0;
}

/* The reply to the oldest command under way. */
static int take_answer(struct join *jn, size_t node, struct redis_reply *rr, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	if (nd->n == 0) {
		redis_reply_free(rr);
		return err_set(err, LT_EREDIS, "Redis: an answer nobody asked for");
	}
	struct flight f = nd->sent[nd->first++ % JOIN_WINDOW];
	nd->n--;
	f.lane->under_way--;
	int rc = f.batch ? judge_batch(jn, node, &f, rr, err) : judge_check(jn, node, &f, rr, err);
	redis_reply_free(rr);
	jn->answers += rc == 0;
	return rc;
}

static void set_back(struct join *jn, size_t node, uint64_t now_ns)
{
	struct node *nd = &jn->nodes[node];
	if (nd->backoff_ms < DENIED_BACKOFF_MS) {
		nd->backoff_ms = nd->backoff_ms ? nd->backoff_ms * 2 : MIN_BACKOFF_MS;
		if (nd->backoff_ms > MAX_BACKOFF_MS)
			nd->backoff_ms = MAX_BACKOFF_MS;
	}
	/* spread over half the time, so that many sensors do not come back at once */
	uint64_t jitter = hash_bytes(HASH_KEY_FIXED, jn->epochs->source, strlen(jn->epochs->source)) ^ now_ns;
	nd->retry_ns = now_ns + nd->backoff_ms * CLOCK_NS_PER_MS / 2 * (100 + jitter % 100) / 100;
	if (nd->backoff_ms == DENIED_BACKOFF_MS)
		nd->backoff_ms = MAX_BACKOFF_MS;
}

/* Takes the answers that are there, and sends more as long as none is a refusal: then what else is under way is only waited for. */
static int take_answers(struct join *jn, size_t node, uint64_t checks, bool may_send, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	int failed = 0;
	while (nd->n && redis_alive(redis_router_at(jn->router, node))) {
		struct redis_reply *rr;
		int rc = redis_poll(redis_router_at(jn->router, node), &rr, err);
		if (rc == 0)
			break;
		if (rc == 1)
			rc = take_answer(jn, node, rr, err);
		if (rc == 0 && failed == 0 && may_send)
			rc = send_ready(jn, node, checks, err);
		failed = rc < 0 ? rc : failed;
	}
	return failed;
}

int join_node_pump(struct join *jn, size_t node, uint64_t checks, struct err *err)
{
	struct node *nd = &jn->nodes[node];
	uint64_t now_ns = clock_monotonic_ns();
	bool waits = now_ns < nd->retry_ns;
	int rc = 0;
	if (waits && nd->n == 0)
		return 0;
	if (!waits && !redis_alive(redis_router_at(jn->router, node))) {
		jn->stats.reconnects++;
		rc = join_node_connect(jn, node, err);
	}
	if (rc == 0 && !waits)
		rc = send_ready(jn, node, checks, err);
	if (rc == 0)
		rc = take_answers(jn, node, checks, !waits, err);
	if (rc < 0) {
		bool alive = redis_alive(redis_router_at(jn->router, node));
		if (!waits || !alive) /* all refusals of what was under way are one */
			set_back(jn, node, now_ns);
		if (!alive)
			join_node_take_back(nd);
		jn->map_is_old |= !alive;
	}
	return rc;
}
