/* join_rate [pairs [URL]]: what the join script costs: records per second and bytes per event, waiting flow and pair, in a private
 * redis-server or the one given (it is emptied). 5,000 addresses, times uniform over an hour, one 5-minute bucket a flow: the worst locality. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "detect/attrib/join.h"
#include "detect/attrib/server.h"

enum { ADDRESSES = 5000 };
#define BASE_US UINT64_C(1700000000000000)

static uint64_t changes;

static void count(void *ctx, const struct cell_change *change)
{
	(void)ctx;
	changes += change->grade == 'A';
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static struct cell_tuple tuple_of(uint64_t i)
{
	uint64_t r = mix(i + 1);
	uint32_t host = (uint32_t)(r % ADDRESSES);
	struct cell_tuple t = {.proto = 6};
	t.local = (struct facts_addr){.ip = {10, 1, (uint8_t)(host >> 8), (uint8_t)host}, .family = 4};
	t.local.port = (uint16_t)(20000 + r / ADDRESSES % 45000);
	t.remote = (struct facts_addr){.ip = {20, (uint8_t)(r >> 40), (uint8_t)(r >> 48), (uint8_t)(r >> 56)}, .port = 443, .family = 4};
	return t;
}

static uint64_t start_of(uint64_t i)
{
	return BASE_US + mix(i ^ 0x5555) % UINT64_C(3600000000);
}

static int put_event(struct join *jn, uint64_t i, struct err *err)
{
	uint8_t buf[CELL_MAX_EVENT];
	struct cell_event e = {.tuple = tuple_of(i), .t_us = start_of(i) + 1000, .principal = mix(i % 20) | 1, .ref = (uint32_t)mix(i * 3 + 7),
			       .calibrated = true};
	return join_put(jn, cell_tag(0, &e.tuple.local), buf, cell_pack_event(buf, &e), err);
}

static int put_flow(struct join *jn, uint64_t i, struct err *err)
{
	static uint8_t buf[CELL_MAX_FLOW];
	struct cell_ledger ledger = {(uint32_t)(start_of(i) / 300000000), 1000 + i % 5000, 3000};
	struct cell_flow f = {.tuple = tuple_of(i), .flow_id = i + 1, .start_us = start_of(i), .last_us = start_of(i) + 5000000,
			      .source = 1, .service = (uint16_t)(i % 20), .ledger = &ledger, .n_ledger = 1};
	return join_put(jn, cell_tag(0, &f.tuple.local), buf, cell_pack_flow(buf, &f), err);
}

/* A number of INFO. */
static double info(const struct redis_url *url, const char *section, const char *name)
{
	struct redis *r;
	struct redis_reply *rr;
	double value = 0;
	if (redis_open(&r, url, 5000, NULL) < 0)
		return 0;
	if (redis_do(r, &rr, NULL, "INFO", section, (char *)NULL) == 0) {
		const char *at = strstr(redis_reply_string(rr, NULL), name);
		value = at ? strtod(at + strlen(name), NULL) : 0;
		redis_reply_free(rr);
	}
	redis_close(r);
	return value;
}

static double cpu(const struct redis_url *url)
{
	return info(url, "cpu", "used_cpu_user:") + info(url, "cpu", "used_cpu_sys:");
}

static void empty_server(const struct redis_url *url)
{
	struct redis *r;
	struct redis_reply *rr;
	if (redis_open(&r, url, 60000, NULL) < 0)
		return;
	if (redis_do(r, &rr, NULL, "FLUSHALL", (char *)NULL) == 0)
		redis_reply_free(rr);
	redis_close(r);
}

static void phase(struct join *jn, const struct redis_url *url, const char *name, uint64_t n,
		  int (*put)(struct join *, uint64_t, struct err *))
{
	struct err err = {0};
	double busy = cpu(url);
	uint64_t began = clock_monotonic_ns();
	int rc = 0;
	for (uint64_t i = 0; i < n && rc == 0; i++)
		rc = put(jn, i, &err);
	if (rc == 0)
		rc = join_flush(jn, &err);
	double s = (double)(clock_monotonic_ns() - began) / 1e9;
	busy = cpu(url) - busy;
	printf("%-28s %9" PRIu64 " records %7.1f s wall, %6.1f s of Redis: %9.0f records/s and core %s\n", name, n, s, busy,
	       (double)n / busy, rc ? err.text : "");
}

static int measure(const struct redis_url *s, uint64_t n, bool flows_first)
{
	struct err err = {0};
	struct join *jn;
	empty_server(s);
	struct join_conf jc = {.url = s, .source = "bench", .cell_ttl_s = 7200, .rollup_ttl_s = 172800, .fn = count};
	if (join_open(&jn, &jc, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	double empty = info(s, "memory", "used_memory:");
	phase(jn, s, flows_first ? "flows, waiting" : "events, waiting", n, flows_first ? put_flow : put_event);
	double one = info(s, "memory", "used_memory:");
	phase(jn, s, flows_first ? "events, joining" : "flows, joining", n, flows_first ? put_event : put_flow);
	double both = info(s, "memory", "used_memory:");
	printf("%-28s %.1f bytes; pair %.1f bytes; joined %" PRIu64 "\n", flows_first ? "waiting flow" : "waiting event",
	       (one - empty) / (double)n, (both - empty) / (double)n, changes);
	changes = 0;
	phase(jn, s, "flows again", n, put_flow);
	join_close(jn);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;
	struct server *own = NULL;
	struct redis_url url;
	struct err err = {0};
	int rc = argc > 2 ? redis_url_parse(&url, argv[2], &err) : server_start(&own, &err);
	if (rc < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	if (own)
		url = *server_url(own);
	rc = measure(&url, n, false) || measure(&url, n, true);
	server_stop(own);
	return rc;
}
