/* join against a real private server: batches, lost script, lost connection, a full queue. What the script decides is tested in
 * tests/redis. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "detect/attrib/join.h"
#include "detect/attrib/server.h"

#define T_US UINT64_C(1770000000000000)

static struct server *server;
static unsigned told, attributed;

static void count(void *ctx, const struct cell_change *c)
{
	(void)ctx;
	told++;
	attributed += c->grade == 'A';
}

static struct join *open_join(bool tell_all, size_t queue_bytes)
{
	struct err err = {0};
	struct join *jn;
	struct join_conf conf = {.url = server_url(server), .source = "t", .cell_ttl_s = 7200, .rollup_ttl_s = 100, .stream_cap = 100,
				 .queue_bytes = queue_bytes, .tell_all = tell_all, .fn = count};
	told = attributed = 0;
	if (join_open(&jn, &conf, &err))
		fail_msg("%s", err.text);
	return jn;
}

static void command(const char *a, const char *b)
{
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, server_url(server), 1000, NULL), 0);
	assert_int_equal(redis_do(r, &rr, NULL, a, b, (char *)NULL), 0);
	redis_reply_free(rr);
	redis_close(r);
}

static void configure(const char *name, const char *value)
{
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, server_url(server), 1000, NULL), 0);
	assert_int_equal(redis_do(r, &rr, NULL, "CONFIG", "SET", name, value, (char *)NULL), 0);
	assert_int_not_equal(redis_reply_type(rr), REDIS_REPLY_ERROR_);
	redis_reply_free(rr);
	redis_close(r);
}

static struct cell_tuple tuple(unsigned i)
{
	return (struct cell_tuple){.local = {.ip = {10, 0, 0, (uint8_t)(i % 7)}, .family = 4, .port = (uint16_t)(40000 + i)},
				   .remote = {.ip = {20, 0, 0, 1}, .family = 4, .port = 443}, .proto = 6};
}

static size_t make_event(uint8_t *buf, unsigned i, uint32_t *tag)
{
	struct cell_event e = {.tuple = tuple(i), .t_us = T_US, .principal = 5, .ref = i + 1, .calibrated = true};
	*tag = cell_tag(0, &e.tuple.local);
	return cell_pack_event(buf, &e);
}

static size_t make_flow(uint8_t *buf, unsigned i, uint32_t *tag)
{
	struct cell_ledger ledger = {(uint32_t)(T_US / 300000000), 10, 20};
	struct cell_flow f = {.tuple = tuple(i), .flow_id = i + 1, .start_us = T_US, .last_us = T_US, .source = 3, .ledger = &ledger, .n_ledger = 1};
	*tag = cell_tag(0, &f.tuple.local);
	return cell_pack_flow(buf, &f);
}

static void put(struct join *jn, unsigned n, size_t (*make)(uint8_t *, unsigned, uint32_t *))
{
	static uint8_t buf[CELL_MAX_FLOW];
	uint32_t tag;
	for (unsigned i = 0; i < n; i++) {
		size_t bytes = make(buf, i, &tag);
		assert_int_equal(join_put(jn, tag, buf, bytes, NULL), 0);
	}
	assert_int_equal(join_flush(jn, NULL), 0);
}

static void put__both_sides__each_flow_told_once(void **state)
{
	(void)state;
	struct join *jn = open_join(false, 0);
	struct join_stats stats;
	put(jn, 1000, make_event);
	assert_int_equal(told, 0);
	put(jn, 1000, make_flow);
	assert_int_equal(told, 1000);
	assert_int_equal(attributed, 1000);
	put(jn, 1000, make_flow); /* again: no news */
	assert_int_equal(told, 1000);
	join_stats(jn, &stats);
	assert_int_equal(stats.records, 3000);
	assert_int_equal(stats.queued_bytes, 0);
	assert_in_range(stats.batches, 94, 110);
	join_close(jn);
}

static void put__state_of_an_earlier_run__tell_all_tells(void **state)
{
	(void)state;
	struct join *first = open_join(true, 0);
	put(first, 10, make_event);
	put(first, 10, make_flow);
	join_close(first);
	struct join *second = open_join(true, 0);
	put(second, 10, make_event);
	put(second, 10, make_flow);
	assert_int_equal(attributed, 10);
	join_close(second);
}

static void put__script_flushed__loaded_again(void **state)
{
	(void)state;
	struct join *jn = open_join(false, 0);
	put(jn, 100, make_event);
	command("SCRIPT", "FLUSH");
	put(jn, 100, make_flow);
	assert_int_equal(attributed, 100);
	join_close(jn);
}

static void put__connection_killed__sent_again_and_told(void **state)
{
	(void)state;
	struct join *jn = open_join(false, 0);
	struct join_stats stats;
	put(jn, 100, make_event);
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, server_url(server), 1000, NULL), 0);
	assert_int_equal(redis_do(r, &rr, NULL, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", (char *)NULL), 0);
	redis_reply_free(rr);
	redis_close(r);
	put(jn, 100, make_flow);
	assert_int_equal(attributed, 100);
	join_stats(jn, &stats);
	assert_int_equal(stats.reconnects, 1);
	join_close(jn);
}

static void offer__queue_full__refused_and_counted(void **state)
{
	(void)state;
	struct join *jn = open_join(false, 1000);
	uint8_t buf[CELL_MAX_EVENT];
	struct join_stats stats;
	uint32_t tag;
	unsigned taken = 0;
	for (unsigned i = 0; i < 100; i++) {
		size_t n = make_event(buf, i, &tag);
		taken += join_offer(jn, tag, buf, n);
	}
	join_stats(jn, &stats);
	assert_in_range(taken, 15, 30);
	assert_int_equal(stats.refused, 100 - taken);
	uint64_t now = 1;
	for (int i = 0; i < 500; i++) {
		assert_int_equal(join_pump(jn, now, NULL), 0);
		now += 10000000;
		usleep(500);
		join_stats(jn, &stats);
		if (!stats.queued_bytes)
			break;
	}
	assert_int_equal(stats.queued_bytes, 0);
	join_close(jn);
}

static void pump__server_was_full__all_refusals_are_one(void **state)
{
	(void)state;
	struct join *jn = open_join(false, 0);
	uint8_t buf[CELL_MAX_EVENT];
	struct join_stats stats;
	uint32_t tag;
	configure("maxmemory", "1");
	for (unsigned i = 0; i < 4000; i++) {
		size_t n = make_event(buf, i, &tag);
		assert_true(join_offer(jn, tag, buf, n));
	}
	uint64_t now = 1;
	for (int i = 0; i < 600; i++) {
		join_pump(jn, now += 1000000, NULL);
		usleep(1000);
	}
	configure("maxmemory", "0");
	join_stats(jn, &stats);
	assert_true(stats.errors > 0);
	assert_true(stats.queued_bytes > 0);
	for (int i = 0; i < 3000 && stats.queued_bytes; i++) { /* the next try is less than two seconds away */
		join_pump(jn, now += 1000000, NULL);
		usleep(1000);
		join_stats(jn, &stats);
	}
	assert_int_equal(stats.queued_bytes, 0);
	join_close(jn);
}

static int setup(void **state)
{
	(void)state;
	if (access("/usr/bin/redis-server", X_OK) != 0)
		return 0;
	return server_start(&server, NULL);
}

static int teardown(void **state)
{
	(void)state;
	server_stop(server);
	return 0;
}

static int fresh(void **state)
{
	(void)state;
	if (!server) {
		print_message("SKIPPED: redis-server is not installed\n");
		skip();
	}
	command("FLUSHALL", NULL);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(put__both_sides__each_flow_told_once, fresh),
		cmocka_unit_test_setup(put__state_of_an_earlier_run__tell_all_tells, fresh),
		cmocka_unit_test_setup(put__script_flushed__loaded_again, fresh),
		cmocka_unit_test_setup(put__connection_killed__sent_again_and_told, fresh),
		cmocka_unit_test_setup(offer__queue_full__refused_and_counted, fresh),
		cmocka_unit_test_setup(pump__server_was_full__all_refusals_are_one, fresh),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
