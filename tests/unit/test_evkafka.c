/* The Kafka inlet against librdkafka's mock cluster: a broker on loopback, no Java. */
#include "capture/evsource.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { LINES = 3000 };
static rd_kafka_t *producer;
static rd_kafka_mock_cluster_t *cluster;
static char source[256], options[] = "/tmp/leaktap-kafka-XXXXXX";
static unsigned times[LINES];

static int begin(void **state)
{
	(void)state;
	char why[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "client.id", "test", why, sizeof why);
	producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	cluster = producer ? rd_kafka_mock_cluster_new(producer, 1) : NULL;
	if (!cluster)
		return -1;
	rd_kafka_mock_topic_create(cluster, "events", 3, 1);
	int fd = mkstemp(options); /* the mock broker knows of a member's end by its silence only */
	if (fd < 0 || dprintf(fd, "# options\nsession.timeout.ms=3000\nheartbeat.interval.ms=500\n") < 0)
		return -1;
	close(fd);
	snprintf(source, sizeof source, "kafka://%s/events?config=%s", rd_kafka_mock_cluster_bootstraps(cluster), options);
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
	rd_kafka_t *p = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	for (unsigned i = 0; i < LINES; i++) {
		char line[32];
		int n = snprintf(line, sizeof line, "%u%s", i, i % 2 ? "\n" : "");
		rd_kafka_producev(p, RD_KAFKA_V_TOPIC("events"), RD_KAFKA_V_PARTITION((int32_t)(i % 3)), RD_KAFKA_V_VALUE(line, (size_t)n),
				  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	}
	int left = (int)rd_kafka_flush(p, 20000);
	rd_kafka_destroy(p);
	return left;
}

static int end(void **state)
{
	(void)state;
	unlink(options);
	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(producer);
	return 0;
}

static struct evsource *follow(void)
{
	struct evsource *es = NULL;
	struct err err = {0};
	const char *sources[] = {source};
	struct evsource_conf conf = {.sources = sources, .n_sources = 1, .consumer = "test"};
	if (evsource_follow(&es, &conf, &err))
		fail_msg("%s", err.text);
	return es;
}

static void count(const char *p, size_t n)
{
	const char *stop = p + n;
	while (p < stop) {
		char *after;
		unsigned long i = strtoul(p, &after, 10);
		assert_true(after > p && *after == '\n' && i < LINES);
		times[i]++;
		p = after + 1;
	}
}

/* Reads until so many lines have come or nothing for 20 s; confirms the chunks that began before line confirm_below. */
static unsigned read_lines(struct evsource *es, unsigned wanted, unsigned confirm_below)
{
	unsigned lines = 0;
	time_t last = time(NULL);
	while (lines < wanted && time(NULL) - last < 20) {
		struct evchunk c;
		struct err err;
		if (evsource_poll(es, &c, &err) != 1)
			continue;
		assert_true(c.begins && c.ends);
		count(c.bytes, c.n);
		if (lines < confirm_below)
			evsource_confirm(es, c.number);
		for (size_t i = 0; i < c.n; i++)
			lines += c.bytes[i] == '\n';
		last = time(NULL);
	}
	return lines;
}

static void produce_seven(void)
{
	char why[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(cluster), why, sizeof why);
	rd_kafka_t *p = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
	rd_kafka_producev(p, RD_KAFKA_V_TOPIC("events"), RD_KAFKA_V_PARTITION(1), RD_KAFKA_V_VALUE((void *)(uintptr_t)"7", 1),
			  RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
	assert_int_equal(rd_kafka_flush(p, 20000), 0);
	rd_kafka_destroy(p);
}

static void expect_times(unsigned of_seven)
{
	for (unsigned i = 0; i < LINES; i++)
		assert_int_equal(times[i], i == 7 ? of_seven : 1);
}

/* One consumer after the other: what was confirmed does not come again, what was not does. */
static void poll__all_partitions__each_line_until_it_is_confirmed(void **state)
{
	(void)state;
	struct evsource *es = follow();
	struct evchunk c;
	assert_int_equal(read_lines(es, LINES, LINES), LINES);
	expect_times(1);
	for (time_t t = time(NULL); time(NULL) - t < 2;)
		assert_int_equal(evsource_poll(es, &c, NULL), 0); /* also sends the commits */
	evsource_close(es);
	produce_seven();
	es = follow();
	assert_int_equal(read_lines(es, 1, 0), 1);
	expect_times(2);
	evsource_close(es);
	es = follow();
	assert_int_equal(read_lines(es, 1, 1), 1);
	expect_times(3);
	evsource_close(es);
}

static void open__bad_targets__refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"kafka://", "kafka:///t", "kafka://b", "kafka://b/", "kafka://b/t/u", "kafka://b/t?x=1", "kafka://b/t?config="};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct evsource *es;
		struct err err;
		struct evsource_conf conf = {.sources = &bad[i], .n_sources = 1};
		assert_int_equal(evsource_follow(&es, &conf, &err), LT_EUSAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(poll__all_partitions__each_line_until_it_is_confirmed),
		cmocka_unit_test(open__bad_targets__refused),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
