/* The join's batches on disk, against a real private server: Redis away, forgetful, ourselves killed, the cap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "detect/attrib/courier.h"
#include "detect/attrib/join.h"
#include "detect/attrib/lane.h"
#include "detect/attrib/server.h"

#define T_US   UINT64_C(1770000000000000)
#define KEEP_S 600

enum { BYTES_EACH = 10 };

static struct server *server;
static char directory[] = "/tmp/leaktap-join-XXXXXX";
static char spool[128];
static unsigned told;

static void count(void *ctx, const struct cell_change *c)
{
	(void)ctx;
	(void)c;
	told++;
}

static struct join_conf conf_of(const struct redis_url *url, uint64_t cap)
{
	return (struct join_conf){.url = url, .source = "t", .cell_ttl_s = 7200, .rollup_ttl_s = 1000, .stream_cap = 100,
				  .keep_ns = KEEP_S * CLOCK_NS_PER_S, .spool = spool, .spool_cap_bytes = cap, .fn = count};
}

static struct join *open_join(const struct redis_url *url, uint64_t cap)
{
	struct err err = {0};
	struct join *jn;
	struct join_conf conf = conf_of(url, cap);
	if (join_open(&jn, &conf, &err))
		fail_msg("%s", err.text);
	return jn;
}

static size_t make_flow(uint8_t *buf, unsigned i, uint32_t *tag)
{
	struct cell_ledger ledger = {(uint32_t)(T_US / 300000000), BYTES_EACH, 0};
	struct cell_flow f = {.tuple = {.local = {.ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .family = 4, .port = 40000},
					.remote = {.ip = {20, 0, 0, 1}, .family = 4, .port = 443}, .proto = 6},
			      .flow_id = i + 1, .start_us = T_US, .last_us = T_US, .source = 3, .ledger = &ledger, .n_ledger = 1};
	*tag = cell_tag(0, &f.tuple.local);
	return cell_pack_flow(buf, &f);
}

static void offer(struct join *jn, unsigned from, unsigned to)
{
	static uint8_t buf[CELL_MAX_FLOW];
	uint32_t tag;
	for (unsigned i = from; i < to; i++) {
		size_t n = make_flow(buf, i, &tag);
		assert_true(join_offer(jn, tag, buf, n));
	}
}

/* Until nothing is queued, or the time is over. */
static bool pump(struct join *jn, unsigned most_ms)
{
	uint64_t until_ns = clock_monotonic_ns() + most_ms * CLOCK_NS_PER_MS;
	struct join_stats st;
	do {
		join_pump(jn, clock_monotonic_ns(), NULL);
		join_stats(jn, &st);
		usleep(200);
	} while (st.queued_bytes && clock_monotonic_ns() < until_ns);
	return !st.queued_bytes;
}

static struct redis_reply *ask(const char *a, const char *b, const char *c)
{
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, server_url(server), 1000, NULL), 0);
	assert_int_equal(redis_do(r, &rr, NULL, a, b, c, (char *)NULL), 0);
	redis_close(r);
	return rr;
}

static void command(const char *a, const char *b)
{
	redis_reply_free(ask(a, b, NULL));
}

/* What all rollups add up to. */
static uint64_t bytes_in_redis(void)
{
	struct redis_reply *keys = ask("KEYS", "leaktap:{*}:r:*", NULL);
	uint64_t sum = 0;
	for (size_t i = 0; i < redis_reply_count(keys); i++) {
		struct redis_reply *row = ask("HVALS", redis_reply_string(redis_reply_at(keys, i), NULL), NULL);
		for (size_t k = 0; k < redis_reply_count(row); k++)
			sum += strtoull(redis_reply_string(redis_reply_at(row, k), NULL), NULL, 10);
		redis_reply_free(row);
	}
	redis_reply_free(keys);
	return sum;
}

static struct redis_url nowhere(void)
{
	struct redis_url url;
	assert_int_equal(redis_url_parse(&url, "unix:///tmp/leaktap-there-is-no-such-socket", NULL), 0);
	return url;
}

static void open__redis_away__a_later_run_delivers(void **state)
{
	(void)state;
	struct redis_url url = nowhere();
	struct join *jn = open_join(&url, 0);
	struct join_stats st;
	offer(jn, 0, 3000);
	assert_false(pump(jn, 300));
	join_stats(jn, &st);
	assert_true(st.queued_bytes > 3000 * 20);
	assert_true(st.spool_bytes > 3000 * 20);
	join_close(jn);
	jn = open_join(server_url(server), 0);
	offer(jn, 3000, 3100);
	assert_true(pump(jn, 10000));
	assert_int_equal(bytes_in_redis(), 3100 * BYTES_EACH);
	join_stats(jn, &st);
	assert_int_equal(st.gaps, 0);
	assert_int_equal(st.forced, 0);
	join_close(jn);
}

static void open__batches_acknowledged_in_an_earlier_run__asked_for_not_sent(void **state)
{
	(void)state;
	struct join *jn = open_join(server_url(server), 0);
	struct join_stats st;
	offer(jn, 0, 3000);
	assert_true(pump(jn, 10000));
	join_close(jn);
	jn = open_join(server_url(server), 0);
	assert_true(pump(jn, 10000));
	join_stats(jn, &st);
	assert_int_equal(st.batches, 0);
	join_close(jn);
	command("FLUSHALL", NULL); /* and when it has forgotten, they are sent */
	jn = open_join(server_url(server), 0);
	assert_true(pump(jn, 10000));
	join_stats(jn, &st);
	assert_true(st.batches >= 3000 / LANE_BATCH_RECORDS);
	assert_int_equal(st.forced, 0);
	assert_int_equal(bytes_in_redis(), 3000 * BYTES_EACH);
	join_close(jn);
}

static void pump__redis_forgot_all__read_from_disk_again(void **state)
{
	(void)state;
	struct join *jn = open_join(server_url(server), 0);
	struct join_stats st;
	offer(jn, 0, 2000);
	assert_true(pump(jn, 10000));
	command("FLUSHALL", NULL);
	offer(jn, 2000, 4000);
	assert_true(pump(jn, 10000));
	join_stats(jn, &st);
	assert_true(st.gaps > 0);
	assert_int_equal(st.forced, 0);
	assert_int_equal(bytes_in_redis(), 4000 * BYTES_EACH);
	command("FLUSHALL", NULL); /* with nothing to send: the question finds it out */
	for (int i = 0; i < 100 && bytes_in_redis() < 4000 * BYTES_EACH; i++)
		pump(jn, 100), usleep(100000);
	assert_int_equal(bytes_in_redis(), 4000 * BYTES_EACH);
	join_close(jn);
}

static void pump__at_the_cap__oldest_dropped_counted_rest_arrives(void **state)
{
	(void)state;
	struct redis_url url = nowhere();
	struct join *jn = open_join(&url, 64 << 10);
	struct join_stats st;
	for (unsigned i = 0; i < 20; i++) { /* more than memory and disk take */
		offer(jn, i * 1000, (i + 1) * 1000);
		pump(jn, 1);
	}
	usleep(210000);
	pump(jn, 1);
	join_stats(jn, &st);
	assert_true(st.spool_dropped > 0);
	assert_in_range(st.spool_bytes, 1, 64 << 10);
	join_close(jn);
	jn = open_join(server_url(server), 64 << 10);
	assert_true(pump(jn, 10000));
	join_stats(jn, &st);
	assert_true(st.forced > 0);
	uint64_t sum = bytes_in_redis();
	assert_in_range(sum, 100 * BYTES_EACH, 20000 * BYTES_EACH - 1);
	join_close(jn);
}

static void offer__killed_again_and_again__nothing_lost_nothing_twice(void **state)
{
	(void)state;
	for (unsigned run = 0; run < 8; run++) {
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			struct redis_url url = nowhere();
			struct join *jn = open_join(run % 2 ? &url : server_url(server), 0);
			offer(jn, run * 500, (run + 1) * 500);
			pump(jn, 3000); /* all is on disk after a second; a busy machine gets three */
			kill(getpid(), SIGKILL);
		}
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	}
	struct join *jn = open_join(server_url(server), 0);
	assert_true(pump(jn, 10000));
	assert_int_equal(bytes_in_redis(), 4000 * BYTES_EACH);
	join_close(jn);
}

static void courier__redis_away_then_there__all_arrives(void **state)
{
	(void)state;
	struct redis_url url = nowhere();
	struct join_conf conf = conf_of(&url, 0);
	struct courier *co;
	struct join_stats st;
	static uint8_t buf[CELL_MAX_FLOW];
	uint32_t tag;
	struct err err = {0};
	assert_int_equal(courier_open(&co, &conf, &err), 0);
	int rc = 0;
	for (unsigned i = 0; i < 5000; i++) {
		size_t n = make_flow(buf, i, &tag);
		assert_true(courier_offer(co, tag, buf, n));
		int r = courier_poll(co, &err);
		rc = r < 0 ? r : rc;
		usleep(50);
	}
	assert_true(rc < 0);
	assert_non_null(strstr(err.text, "cannot connect"));
	courier_stats(co, &st);
	assert_true(st.queued_bytes > 0);
	courier_close(co);
	conf.url = server_url(server);
	assert_int_equal(courier_open(&co, &conf, &err), 0);
	for (int i = 0; i < 1000 && bytes_in_redis() < 5000 * BYTES_EACH; i++) {
		courier_poll(co, &err);
		usleep(10000);
	}
	assert_int_equal(bytes_in_redis(), 5000 * BYTES_EACH);
	courier_close(co);
}

static int setup(void **state)
{
	(void)state;
	if (access("/usr/bin/redis-server", X_OK) != 0)
		return 0;
	return server_start(&server, NULL) || !mkdtemp(directory);
}

static int teardown(void **state)
{
	(void)state;
	char text[256];
	server_stop(server);
	snprintf(text, sizeof text, "rm -rf %s", directory);
	return server ? system(text) : 0;
}

static int fresh(void **state)
{
	(void)state;
	static unsigned n;
	if (!server) {
		print_message("SKIPPED: redis-server is not installed\n");
		skip();
	}
	snprintf(spool, sizeof spool, "%s/%u", directory, n++);
	command("FLUSHALL", NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(open__redis_away__a_later_run_delivers, fresh),
		cmocka_unit_test_setup(open__batches_acknowledged_in_an_earlier_run__asked_for_not_sent, fresh),
		cmocka_unit_test_setup(pump__redis_forgot_all__read_from_disk_again, fresh),
		cmocka_unit_test_setup(pump__at_the_cap__oldest_dropped_counted_rest_arrives, fresh),
		cmocka_unit_test_setup(offer__killed_again_and_again__nothing_lost_nothing_twice, fresh),
		cmocka_unit_test_setup(courier__redis_away_then_there__all_arrives, fresh),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
