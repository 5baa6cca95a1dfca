#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/dnscache.h"

static const uint64_t T0 = UINT64_C(1700000000000000000);
static const uint64_t SECOND = UINT64_C(1000000000);
static const uint64_t GRACE = UINT64_C(60000000000);

static struct dnscache *dc;
static struct dns_message msg;
static const char *names[16];

static int setup(void **state)
{
	(void)state;
	dc = dnscache_new(64, GRACE);
	return dc ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	dnscache_free(dc);
	return 0;
}

static struct facts_addr addr(uint32_t n)
{
	struct facts_addr a = {.family = 4};
	for (int i = 0; i < 4; i++)
		a.ip[i] = (uint8_t)(n >> (24 - 8 * i));
	return a;
}

static struct dnscache_stats stats(void)
{
	struct dnscache_stats st;
	dnscache_stats(dc, &st);
	return st;
}

static void store(uint32_t client, const char *name, uint32_t server, uint32_t ttl_s, uint64_t now_ns)
{
	msg = (struct dns_message){.response = true, .n_answers = 1};
	snprintf(msg.query, sizeof msg.query, "%s", name);
	msg.answers[0] = (struct dns_answer){addr(server), ttl_s};
	struct facts_addr c = addr(client);
	dnscache_store(dc, 0, &c, &msg, now_ns);
}

static size_t find(uint32_t client, uint32_t server, uint64_t now_ns)
{
	struct facts_addr c = addr(client), s = addr(server);
	c.port = 40000;
	s.port = 443;
	return dnscache_find(dc, 0, &c, &s, now_ns, names, 16);
}

static void find__stored__name_of_that_client_only(void **state)
{
	(void)state;
	store(1, "a.example", 100, 10, T0);
	assert_int_equal(find(1, 100, T0), 1);
	assert_string_equal(names[0], "a.example");
	assert_int_equal(find(2, 100, T0), 0);
	assert_int_equal(find(1, 101, T0), 0);
	struct facts_addr c = addr(1), s = addr(100);
	assert_int_equal(dnscache_find(dc, 1, &c, &s, T0, names, 16), 0); /* other zone */
	s.family = 6;
	assert_int_equal(dnscache_find(dc, 0, &c, &s, T0, names, 16), 0); /* same bytes, other family */
	assert_int_equal(stats().hits, 1);
	assert_int_equal(stats().misses, 4);
}

static void find__time__from_the_answer_to_ttl_and_grace(void **state)
{
	(void)state;
	store(1, "a.example", 100, 10, T0);
	assert_int_equal(find(1, 100, T0 - SECOND), 0);
	assert_int_equal(find(1, 100, T0 - SECOND / 10), 1); /* queues may swap the two */
	assert_int_equal(find(1, 100, T0 + 10 * SECOND + GRACE), 1);
	assert_int_equal(find(1, 100, T0 + 10 * SECOND + GRACE + 1), 0);
}

static void find__huge_ttl__a_week_at_most(void **state)
{
	(void)state;
	store(1, "a.example", 100, 0x7fffffff, T0);
	assert_int_equal(find(1, 100, T0 + 7 * 86400 * SECOND + GRACE), 1);
	assert_int_equal(find(1, 100, T0 + 7 * 86400 * SECOND + GRACE + 1), 0);
}

static void find__refreshed__valid_from_the_first_answer(void **state)
{
	(void)state;
	store(1, "a.example", 100, 10, T0);
	store(1, "a.example", 100, 10, T0 + 50 * SECOND);
	assert_int_equal(stats().entries, 1);
	assert_int_equal(find(1, 100, T0 + SECOND), 1);
	assert_int_equal(find(1, 100, T0 + 60 * SECOND + GRACE), 1);
	/* Out of date between: the first period is forgotten. */
	store(1, "a.example", 100, 10, T0 + 500 * SECOND);
	assert_int_equal(find(1, 100, T0 + SECOND), 0);
	assert_int_equal(find(1, 100, T0 + 500 * SECOND), 1);
	/* A shorter TTL does not take back what was promised. */
	store(1, "a.example", 100, 1, T0 + 500 * SECOND);
	assert_int_equal(find(1, 100, T0 + 510 * SECOND + GRACE), 1);
}

static void find__several_names__newest_first_8_kept(void **state)
{
	(void)state;
	char text[32];
	for (int i = 0; i < 10; i++) {
		snprintf(text, sizeof text, "n%d.example", i);
		store(1, text, 100, 10, T0 + (uint64_t)i);
	}
	store(1, "n4.example", 100, 10, T0 + 20);
	assert_int_equal(find(1, 100, T0 + 20), 8);
	static const char *const expected[] = {"n4", "n9", "n8", "n7", "n6", "n5", "n3", "n2"};
	for (int i = 0; i < 8; i++) {
		snprintf(text, sizeof text, "%s.example", expected[i]);
		assert_string_equal(names[i], text);
	}
	struct facts_addr c = addr(1), s = addr(100);
	assert_int_equal(dnscache_find(dc, 0, &c, &s, T0 + 20, names, 3), 3);
	assert_int_equal(stats().evicted, 2);
}

static void store__several_answers__one_name_each_address(void **state)
{
	(void)state;
	msg = (struct dns_message){.response = true, .n_answers = 64, .query = "a.example"};
	for (uint32_t i = 0; i < 64; i++)
		msg.answers[i] = (struct dns_answer){addr(100 + i), 10};
	struct facts_addr c = addr(1);
	dnscache_store(dc, 0, &c, &msg, T0);
	assert_int_equal(stats().entries, 64);
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(find(1, 100 + i, T0), 1);
}

static void store__full__oldest_out(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		store(1, "a.example", i, 1000, T0 + i);
	assert_int_equal(stats().entries, 64);
	assert_int_equal(stats().evicted, 0);
	store(1, "a.example", 0, 1000, T0 + 64); /* refreshed: no longer the oldest */
	store(1, "a.example", 200, 1000, T0 + 65);
	assert_int_equal(stats().entries, 64);
	assert_int_equal(stats().max_entries, 64);
	assert_int_equal(stats().evicted, 1);
	assert_int_equal(find(1, 1, T0 + 65), 0);
	assert_int_equal(find(1, 0, T0 + 65), 1);
	size_t memory = stats().memory_bytes;
	for (uint32_t i = 0; i < 10000; i++)
		store(i, "a.example", i, 1000, T0 + 100);
	assert_int_equal(stats().entries, 64);
	assert_true(stats().memory_bytes <= memory + 64 * 32);
}

static void store__out_of_date__dropped_as_expired(void **state)
{
	(void)state;
	store(1, "a.example", 100, 10, T0);
	store(1, "b.example", 100, 10, T0 + 1000 * SECOND);
	assert_int_equal(stats().entries, 1);
	assert_int_equal(stats().expired, 1);
	assert_int_equal(stats().evicted, 0);
}

static void store__nothing_to_learn__ignored(void **state)
{
	(void)state;
	struct facts_addr c = addr(1);
	for (int i = 0; i < 4; i++) {
		msg = (struct dns_message){.response = i != 0, .rcode = i == 1 ? 3 : 0, .n_answers = i == 2 ? 0 : 1, .query = "a.example"};
		if (i == 3)
			msg.query[0] = '\0';
		msg.answers[0] = (struct dns_answer){addr(9), 10};
		dnscache_store(dc, 0, &c, &msg, T0);
	}
	assert_int_equal(stats().stored, 0);
	assert_int_equal(stats().entries, 0);
}

/* Against a plain list: the same answers whatever the hash key, under random stores, refreshes and evictions. */
struct plain {
	uint32_t client, server;
	char name[16];
	uint64_t since, until, stored;
};

static void store_and_find__random__as_a_plain_list(void **state)
{
	(void)state;
	static struct plain list[64];
	size_t n = 0;
	srand(11);
	for (uint64_t t = 1; t < 20000; t++) {
		uint64_t now = T0 + t * SECOND;
		uint32_t client = (uint32_t)rand() % 3, server = (uint32_t)rand() % 30, ttl_s = (uint32_t)rand() % 300;
		struct plain p = {client, server, "", now, now + ttl_s * SECOND + GRACE, t};
		snprintf(p.name, sizeof p.name, "%d.example", rand() % 5);
		store(client, p.name, server, ttl_s, now);
		size_t same = n, oldest = 0;
		for (size_t i = 0; i < n;) {
			bool key = list[i].client == client && list[i].server == server;
			if (key && !strcmp(list[i].name, p.name))
				same = i;
			else if (key && list[i].until < now) {
				list[i] = list[--n];
				if (same == n)
					same = i;
				else if (same > n)
					same = n;
				continue;
			}
			i++;
		}
		if (same < n) {
			if (list[same].until >= now)
				p.since = list[same].since;
			if (list[same].until > p.until)
				p.until = list[same].until;
			list[same] = p;
		} else {
			for (size_t i = 1; i < n; i++)
				if (list[i].stored < list[oldest].stored)
					oldest = i;
			list[n < 64 ? n++ : oldest] = p;
		}
		client = (uint32_t)rand() % 3;
		server = (uint32_t)rand() % 30;
		uint64_t at = now - (uint64_t)(rand() % 100) * SECOND;
		size_t found = find(client, server, at), expected = 0;
		for (size_t i = 0; i < n; i++) {
			if (list[i].client != client || list[i].server != server || list[i].since > at + SECOND / 10 ||
			    list[i].until < at)
				continue;
			size_t newer = 0;
			for (size_t j = 0; j < n; j++)
				newer += list[j].client == client && list[j].server == server &&
					 list[j].stored > list[i].stored && list[j].since <= at + SECOND / 10 && list[j].until >= at;
			assert_true(newer < found);
			assert_string_equal(names[newer], list[i].name);
			expected++;
		}
		assert_int_equal(found, expected);
	}
	assert_true(stats().evicted > 100 && stats().expired > 100 && stats().hits > 100);
}

static void new__defaults__65536_entries(void **state)
{
	(void)state;
	struct dnscache *d = dnscache_new(0, 0);
	assert_non_null(d);
	struct dnscache_stats st;
	dnscache_stats(d, &st);
	assert_int_equal(st.max_entries, 65536);
	struct facts_addr c = addr(1), s = addr(9);
	msg = (struct dns_message){.response = true, .n_answers = 1, .query = "a.example"};
	msg.answers[0] = (struct dns_answer){s, 10};
	dnscache_store(d, 0, &c, &msg, T0);
	assert_int_equal(dnscache_find(d, 0, &c, &s, T0 + 7210 * SECOND, names, 16), 1);
	assert_int_equal(dnscache_find(d, 0, &c, &s, T0 + 7211 * SECOND, names, 16), 0);
	dnscache_free(d);
	dnscache_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(find__stored__name_of_that_client_only),
		TEST(find__time__from_the_answer_to_ttl_and_grace),
		TEST(find__huge_ttl__a_week_at_most),
		TEST(find__refreshed__valid_from_the_first_answer),
		TEST(find__several_names__newest_first_8_kept),
		TEST(store__several_answers__one_name_each_address),
		TEST(store__full__oldest_out),
		TEST(store__out_of_date__dropped_as_expired),
		TEST(store__nothing_to_learn__ignored),
		TEST(store_and_find__random__as_a_plain_list),
		TEST(new__defaults__65536_entries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
