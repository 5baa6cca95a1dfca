/* sink_feed against a redis-server of the test's own: every record once and in order, whatever happens to the server or the connection meanwhile.
 * What arrived is read with redis-cli. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/base/clock.h"
#include "detect/sinks/sinks.h"
#include "tests/unit/tell.h"

static char dir[] = "/tmp/leaktap-feed.XXXXXX", sock[64], url[80];
static pid_t server;

static bool have_redis(void)
{
	return !system("command -v redis-server >/dev/null 2>&1 && command -v redis-cli >/dev/null 2>&1");
}

/* Lines that a command of redis-cli prints; the caller frees. */
static char *cli(const char *command)
{
	char line[512], out[96];
	size_t n;
	snprintf(out, sizeof out, "%s/out", dir);
	snprintf(line, sizeof line, "timeout 20 redis-cli -s %s --raw %s >%s 2>/dev/null", sock, command, out);
	int status = system(line);
	char *text = status ? NULL : tell_read(out, &n);
	unlink(out);
	return text;
}

static long cli_number(const char *command)
{
	char *text = cli(command);
	long n = text ? strtol(text, NULL, 10) : -1;
	free(text);
	return n;
}

static void start_server(void)
{
	server = fork();
	assert_true(server >= 0);
	if (!server) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 1);
		dup2(null, 2);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", sock, "--save", "", "--appendonly", "no", "--dir", dir, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 3000; i++, usleep(20000)) {
		char *pong = cli("PING");
		bool up = pong && !strncmp(pong, "PONG", 4);
		free(pong);
		if (up)
			return;
	}
	fail_msg("redis-server does not answer");
}

static void stop_server(void)
{
	if (server <= 0)
		return;
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	server = 0;
}

static int setup(void **state)
{
	(void)state;
	if (!have_redis() || !mkdtemp(dir))
		return 0;
	snprintf(sock, sizeof sock, "%s/s", dir);
	snprintf(url, sizeof url, "unix://%s", sock);
	start_server();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	stop_server();
	unlink(sock);
	rmdir(dir);
	return 0;
}

#define NEED_REDIS()                                                                                           \
	do {                                                                                                   \
		if (!server) {                                                                                 \
			print_message("SKIPPED: no redis-server and redis-cli\n");                             \
			skip();                                                                                \
		}                                                                                              \
	} while (0)

static struct sink *opened(bool live, const char *list, const char *channel, uint64_t maxlen)
{
	struct sink_conf conf = {.target = url, .format = "cef", .records = SINK_ALL, .sensor = "tap1", .feed_list = list, .feed_channel = channel,
				 .feed_maxlen = maxlen, .live = live};
	struct sink *s = NULL;
	struct err err = {0};
	int r = sink_feed.open(&s, &conf, &err);
	if (r)
		print_message("%s\n", err.text);
	assert_int_equal(r, 0);
	return s;
}

static void tell_flow(struct sink *s, uint64_t id)
{
	struct flow_facts f = tell_facts(id);
	struct verdict v = tell_verdict(&f);
	assert_int_equal(sink_feed.flow(s, &v), 0);
}

static void wait_written(struct sink *s, uint64_t n)
{
	uint64_t written, lost, waiting;
	for (int i = 0; i < 6000; i++, usleep(10000)) {
		sink_feed.counters(s, &written, &lost, &waiting);
		if (written >= n)
			return;
	}
	fail_msg("%llu of %llu records written", (unsigned long long)written, (unsigned long long)n);
}

static void close_clean(struct sink *s, uint64_t n)
{
	uint64_t written, lost, waiting;
	struct err err = {0};
	wait_written(s, n);
	sink_feed.counters(s, &written, &lost, &waiting);
	assert_int_equal(written, n);
	assert_int_equal(lost, 0);
	assert_int_equal(waiting, 0);
	assert_int_equal(sink_feed.close(s, &err), 0);
}

/* flow ids of the feed's lines in their order; -1 where a line is none. */
static size_t ids_of(char *text, bool stream, uint64_t *ids, size_t max)
{
	size_t n = 0, at = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), at++) {
		if (stream && at % 3 == 1)
			assert_string_equal(line, "json");
		if (stream && at % 3 != 2)
			continue;
		char *id = strstr(line, "\"flow_id\":");
		assert_memory_equal(line, "{\"timestamp\":", 13);
		assert_true(n < max && id && line[strlen(line) - 1] == '}');
		ids[n++] = strtoull(id + 10, NULL, 10);
	}
	return n;
}

static void assert_run(const char *command, bool stream, uint64_t first, size_t n)
{
	uint64_t *ids = malloc((n + 1000) * sizeof *ids);
	char *text = cli(command);
	assert_true(ids && text);
	size_t got = ids_of(text, stream, ids, n + 1000);
	if (got != n)
		print_message("%s: %zu records, %zu expected\n", command, got, n);
	assert_int_equal(got, n);
	for (size_t i = 0; i < n; i++)
		if (ids[i] != first + i)
			fail_msg("%s: record %zu has flow id %llu", command, i, (unsigned long long)ids[i]);
	free(text);
	free(ids);
}

static void feed__replay__stream_and_list_hold_every_record_in_order(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 5000 };
	free(cli("FLUSHALL"));
	struct sink *s = opened(false, "leaktap:list", NULL, 100000);
	for (uint64_t i = 1; i <= N; i++)
		tell_flow(s, i);
	close_clean(s, N);
	assert_run("XRANGE leaktap:feed - +", true, 1, N);
	assert_run("LRANGE leaktap:list 0 -1", false, 1, N);
	char *first = cli("LPOP leaktap:list");
	assert_non_null(strstr(first, "\"flow_id\":1,"));
	free(first);
}

/* The feed's line is the file's line, whatever format the file has. */
static void feed__records_of_all_kinds__as_in_an_eve_file(void **state)
{
	(void)state;
	NEED_REDIS();
	char path[96];
	struct err err;
	size_t n;
	free(cli("FLUSHALL"));
	snprintf(path, sizeof path, "%s/eve", dir);
	struct sink_conf conf = {.target = path, .format = "eve", .records = SINK_FLOW | SINK_ALERT | SINK_ATTRIBUTION, .sensor = "tap1"};
	struct sink *file, *s = opened(false, "leaktap:list", NULL, 100000);
	assert_int_equal(sink_records.open(&file, &conf, &err), 0);
	struct flow_facts f = tell_facts(1);
	tell_hostile_facts(&f);
	struct verdict v = tell_verdict(&f);
	tell_hostile_verdict(&v);
	struct finding fi = tell_finding(&v);
	struct sink_attribution a = {.time_ns = f.end_ns, .verdict = &v};
	struct sink_stats st = {.time_ns = 1};
	const struct sink_ops *ops[] = {&sink_records, &sink_feed};
	struct sink *sinks[] = {file, s};
	for (int i = 0; i < 2; i++) {
		ops[i]->flow(sinks[i], &v);
		ops[i]->finding(sinks[i], &fi);
		ops[i]->attribution(sinks[i], &a);
		if (ops[i]->stats)
			ops[i]->stats(sinks[i], &st);
	}
	assert_int_equal(sink_records.close(file, &err), 0);
	close_clean(s, 3);
	char *from_file = tell_read(path, &n), *from_list = cli("LRANGE leaktap:list 0 -1");
	unlink(path);
	assert_string_equal(from_file, from_list);
	free(from_file);
	free(from_list);
}

static void feed__channel__subscriber_hears_every_record(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 50 };
	char line[256], path[96];
	size_t n;
	snprintf(path, sizeof path, "%s/heard", dir);
	snprintf(line, sizeof line, "exec redis-cli -s %s --raw SUBSCRIBE leaktap:channel >%s", sock, path);
	pid_t listener = fork();
	if (!listener) {
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < 3000 && cli_number("PUBSUB NUMSUB leaktap:channel | tail -1") < 1; i++)
		usleep(20000);
	struct sink *s = opened(false, NULL, "leaktap:channel", 100000);
	for (uint64_t i = 1; i <= N; i++)
		tell_flow(s, i);
	close_clean(s, N);
	char *text = tell_read(path, &n);
	for (int i = 0; i < 3000 && !strstr(text, "\"flow_id\":50,"); i++, usleep(20000)) {
		free(text);
		text = tell_read(path, &n);
	}
	kill(listener, SIGKILL);
	waitpid(listener, NULL, 0);
	char *at = text;
	unlink(path);
	for (uint64_t i = 1; i <= N; i++) {
		char want[32];
		snprintf(want, sizeof want, "\"flow_id\":%llu,", (unsigned long long)i);
		at = strstr(at, want);
		assert_non_null(at);
	}
	free(text);
}

/* The server stops answering for three seconds in the middle: replies are lost, connections given up and made anew, the batch sent again; when the
 * server wakes up it finds the same batch on every one of them. */
static void feed__server_frozen_for_3_s__nothing_doubled_nothing_lost(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 3000 };
	free(cli("FLUSHALL"));
	struct sink *s = opened(true, "leaktap:list", NULL, 100000);
	for (uint64_t i = 1; i <= N; i++) {
		if (i == N / 2)
			kill(server, SIGSTOP);
		tell_flow(s, i);
		if (i % 100 == 0)
			usleep(1000);
	}
	usleep(3000000);
	kill(server, SIGCONT);
	close_clean(s, N);
	usleep(200000); /* what still waits on the connections that were given up */
	assert_run("XRANGE leaktap:feed - +", true, 1, N);
	assert_run("LRANGE leaktap:list 0 -1", false, 1, N);
}

static void feed__clients_killed_and_script_forgotten__nothing_doubled_nothing_lost(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 4000 };
	free(cli("FLUSHALL"));
	struct sink *s = opened(true, NULL, NULL, 100000);
	for (uint64_t i = 1; i <= N; i++) {
		tell_flow(s, i);
		if (i % 500 == 0)
			free(cli(i % 1000 ? "CLIENT KILL TYPE normal" : "SCRIPT FLUSH"));
	}
	close_clean(s, N);
	assert_run("XRANGE leaktap:feed - +", true, 1, N);
}

/* A server that came back without what it held: what was there is gone, but the feed goes on, in order. */
static void feed__server_restarted_empty__goes_on(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 1000 };
	free(cli("FLUSHALL"));
	struct sink *s = opened(true, NULL, NULL, 100000);
	for (uint64_t i = 1; i <= N; i++)
		tell_flow(s, i);
	wait_written(s, N);
	stop_server();
	for (uint64_t i = N + 1; i <= 2 * N; i++)
		tell_flow(s, i);
	start_server();
	close_clean(s, 2 * N);
	assert_run("XRANGE leaktap:feed - +", true, N + 1, N);
}

/* Back from an older snapshot: it remembers a position that lies behind. */
static void feed__server_back_in_time__goes_on(void **state)
{
	(void)state;
	NEED_REDIS();
	free(cli("FLUSHALL"));
	struct sink *s = opened(true, NULL, NULL, 100000);
	for (uint64_t i = 1; i <= 500; i++)
		tell_flow(s, i);
	wait_written(s, 500);
	char *key = cli("KEYS '*position*'"), command[256];
	assert_non_null(key);
	snprintf(command, sizeof command, "HSET '%.*s' n 7", (int)strcspn(key, "\n"), key);
	assert_int_equal(cli_number(command), 0); /* no new member: it was that one */
	free(key);
	for (uint64_t i = 501; i <= 1000; i++)
		tell_flow(s, i);
	close_clean(s, 1000);
	assert_run("XRANGE leaktap:feed - +", true, 1, 1000);
}

static void feed__stream_cap__holds(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 3000, CAP = 500, NODE = 100 };
	free(cli("FLUSHALL"));
	struct sink *s = opened(false, "leaktap:list", NULL, CAP);
	for (uint64_t i = 1; i <= N; i++)
		tell_flow(s, i);
	close_clean(s, N);
	long n = cli_number("XLEN leaktap:feed");
	assert_true(n >= CAP && n <= CAP + 2 * NODE);
	assert_run("XREVRANGE leaktap:feed + - COUNT 1", true, N, 1);
	assert_int_equal(cli_number("LLEN leaktap:list"), N); /* a list is its reader's to empty */
}

/* One record larger than a batch. */
static void feed__giant_record__arrives(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { BIG = 3 << 20 };
	char *text = malloc(BIG + 1);
	assert_non_null(text);
	memset(text, 'x', BIG);
	text[BIG] = '\0';
	free(cli("FLUSHALL"));
	struct sink *s = opened(false, NULL, NULL, 100000);
	struct flow_facts f = tell_facts(2);
	struct verdict v = tell_verdict(&f);
	v.initiator.process.command_line = text;
	tell_flow(s, 1);
	assert_int_equal(sink_feed.flow(s, &v), 0);
	tell_flow(s, 3);
	close_clean(s, 3);
	assert_run("XRANGE leaktap:feed - +", true, 1, 3);
	free(text);
}

static void feed__two_sources__neither_in_the_others_way(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { N = 500 };
	free(cli("FLUSHALL"));
	struct sink *a = opened(false, NULL, NULL, 100000), *b = opened(false, NULL, NULL, 100000);
	for (uint64_t i = 1; i <= N; i++) {
		tell_flow(a, i);
		tell_flow(b, i);
	}
	close_clean(a, N);
	close_clean(b, N);
	assert_int_equal(cli_number("XLEN leaktap:feed"), 2 * N);
}

/* Live, Redis away for good: capture goes on, what the ring cannot hold is counted, and so is what is left at the end. */
static void feed__server_gone__counts_what_is_lost(void **state)
{
	(void)state;
	NEED_REDIS();
	enum { TEXT = 60000, N = 1500 }; /* 90 MB against a ring of 64 MiB */
	static char text[TEXT + 1];
	memset(text, 'y', TEXT);
	struct sink *s = opened(true, NULL, NULL, 100000);
	tell_flow(s, 1);
	wait_written(s, 1);
	stop_server();
	uint64_t began = clock_monotonic_ns();
	struct flow_facts f = tell_facts(2);
	struct verdict v = tell_verdict(&f);
	v.initiator.process.command_line = text;
	for (int i = 0; i < N; i++)
		assert_int_equal(sink_feed.flow(s, &v), 0);
	assert_true(clock_monotonic_ns() - began < 60 * CLOCK_NS_PER_S); /* nobody waited for Redis */
	uint64_t written, lost, waiting;
	sink_feed.counters(s, &written, &lost, &waiting);
	assert_int_equal(written, 1);
	assert_true(lost > 0 && lost < N);
	assert_int_equal(lost + waiting, N);
	struct err err = {0};
	char want[40];
	began = clock_monotonic_ns();
	assert_int_equal(sink_feed.close(s, &err), LT_EREDIS);
	assert_true(clock_monotonic_ns() - began < 60 * CLOCK_NS_PER_S);
	snprintf(want, sizeof want, "%d records did not reach the feed", N);
	assert_memory_equal(err.text, want, strlen(want));
	start_server();
}

static void feed_open__no_server__replay_refuses_live_waits(void **state)
{
	(void)state;
	NEED_REDIS();
	char nowhere[96];
	snprintf(nowhere, sizeof nowhere, "unix://%s/none", dir);
	struct sink_conf conf = {.target = nowhere, .format = "eve", .records = SINK_ALL, .sensor = "t", .feed_maxlen = 10};
	struct sink *s = NULL;
	struct err err = {0};
	assert_true(sink_feed.open(&s, &conf, &err) < 0);
	conf.live = true;
	assert_int_equal(sink_feed.open(&s, &conf, &err), 0);
	assert_int_equal(sink_feed.close(s, &err), 0); /* nothing was told, nothing is lost */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(feed__replay__stream_and_list_hold_every_record_in_order),
		cmocka_unit_test(feed__records_of_all_kinds__as_in_an_eve_file),
		cmocka_unit_test(feed__channel__subscriber_hears_every_record),
		cmocka_unit_test(feed__server_frozen_for_3_s__nothing_doubled_nothing_lost),
		cmocka_unit_test(feed__clients_killed_and_script_forgotten__nothing_doubled_nothing_lost),
		cmocka_unit_test(feed__server_restarted_empty__goes_on),
		cmocka_unit_test(feed__server_back_in_time__goes_on),
		cmocka_unit_test(feed__stream_cap__holds),
		cmocka_unit_test(feed__giant_record__arrives),
		cmocka_unit_test(feed__two_sources__neither_in_the_others_way),
		cmocka_unit_test(feed__server_gone__counts_what_is_lost),
		cmocka_unit_test(feed_open__no_server__replay_refuses_live_waits),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
