#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/flowtab.h"

static const struct hash_key fixed = {1, 2};

/* Number n as a key: every seventh is IPv6, with the same raw words. */
static struct flowkey numbered(uint32_t n)
{
	struct flowkey k = {.port = {443, (uint16_t)(n % 50000)}, .proto = 6, .family = n % 7 ? 4 : 6};
	uint32_t ip = n / 50000;
	memcpy(k.ip[0], &ip, 4);
	memcpy(k.ip[1], "\xc0\x00\x02\x01", 4);
	return k;
}

static uint32_t find(const struct flowtab *ft, uint32_t n)
{
	struct flowkey k = numbered(n);
	return flowtab_find(ft, &k, flowtab_hash(ft, &k));
}

static uint32_t add(struct flowtab *ft, uint32_t n)
{
	struct flowkey k = numbered(n);
	return flowtab_add(ft, &k, flowtab_hash(ft, &k), 0);
}

static void add_remove__random__equals_plain_array(void **state)
{
	(void)state;
	enum { N = 40000 };
	static uint32_t ids[N];
	struct flowtab ft;
	uint32_t dice = 1, live = 0;
	memset(ids, 0, sizeof ids);
	assert_int_equal(flowtab_init(&ft, N, fixed), 0);
	for (uint32_t i = 0; i < 400000; i++) {
		dice = dice * 1664525 + 1013904223;
		uint32_t n = (dice >> 8) % N;
		assert_int_equal(find(&ft, n), ids[n]);
		/* grows first, shrinks later */
		if (!ids[n] && i < 200000) {
			ids[n] = add(&ft, n);
			assert_true(ids[n] != 0);
			live++;
		} else if (ids[n] && i >= 200000) {
			flowtab_remove(&ft, ids[n]);
			ids[n] = 0;
			live--;
		}
		assert_int_equal(ft.used, live);
	}
	for (uint32_t n = 0; n < N; n++) {
		assert_int_equal(find(&ft, n), ids[n]);
		struct flowkey k, want = numbered(n);
		if (!ids[n])
			continue;
		flowtab_key_of(&ft, ids[n], &k);
		assert_memory_equal(&k, &want, sizeof k);
	}
	flowtab_done(&ft);
}

static void add__full__refused_and_counted(void **state)
{
	(void)state;
	struct flowtab ft;
	assert_int_equal(flowtab_init(&ft, 1000, fixed), 0);
	for (uint32_t n = 0; n < 1000; n++)
		assert_true(add(&ft, n) != 0);
	assert_int_equal(add(&ft, 1000), 0);
	assert_int_equal(ft.flows.refused, 1);
	flowtab_remove(&ft, find(&ft, 500));
	assert_true(add(&ft, 1000) != 0);
	assert_int_equal(find(&ft, 500), 0);
	flowtab_done(&ft);
}

/* Row A35. */
static void find__same_words_other_family__two_flows(void **state)
{
	(void)state;
	struct flowtab ft;
	struct flowkey four = {.port = {1, 2}, .proto = 17, .family = 4}, six = four;
	six.family = 6;
	assert_int_equal(flowtab_init(&ft, 10, fixed), 0);
	/* even with equal hashes */
	uint32_t a = flowtab_add(&ft, &four, 77, 0), b = flowtab_add(&ft, &six, 77, 0);
	assert_int_equal(flowtab_find(&ft, &four, 77), a);
	assert_int_equal(flowtab_find(&ft, &six, 77), b);
	assert_true(a != b);
	flowtab_done(&ft);
}

/* What was said of a place holds no longer once the flow there is gone, or another one has moved in. */
static void find_at__stale_place__still_right(void **state)
{
	(void)state;
	struct flowtab ft;
	struct flowkey keys[3];
	uint32_t ids[3];
	assert_int_equal(flowtab_init(&ft, 100, fixed), 0);
	for (uint32_t n = 0; n < 3; n++) {
		keys[n] = numbered(n + 1);
		ids[n] = flowtab_add(&ft, &keys[n], 1000, 0);
	}
	uint32_t where = flowtab_prefetch_flow(&ft, 1000);
	assert_int_equal(flowtab_id_at(&ft, where), ids[0]);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(flowtab_find_at(&ft, &keys[n], 1000, where), ids[n]);
	struct flowkey k = numbered(5);
	uint32_t hash = flowtab_hash(&ft, &k), id = flowtab_add(&ft, &k, hash, 0);
	where = flowtab_prefetch_flow(&ft, hash);
	assert_int_equal(flowtab_find_at(&ft, &k, hash, where), id);
	flowtab_remove(&ft, id);
	assert_int_equal(flowtab_id_at(&ft, where), 0);
	assert_int_equal(flowtab_find_at(&ft, &k, hash, where), 0);
	flowtab_done(&ft);
}

static void find__all_tags_equal__still_right(void **state)
{
	(void)state;
	struct flowtab ft;
	uint32_t ids[300];
	assert_int_equal(flowtab_init(&ft, 400, fixed), 0);
	for (uint32_t n = 0; n < 300; n++) {
		struct flowkey k = numbered(n);
		ids[n] = flowtab_add(&ft, &k, UINT32_MAX, 0); /* last bucket: runs over the end */
	}
	for (uint32_t n = 0; n < 300; n++) {
		struct flowkey k = numbered(n);
		assert_int_equal(flowtab_find(&ft, &k, UINT32_MAX), ids[n]);
	}
	flowtab_done(&ft);
}

static void index__a_million__under_16_bytes_a_flow(void **state)
{
	(void)state;
	struct flowtab ft;
	assert_int_equal(flowtab_init(&ft, 1 << 20, fixed), 0);
	for (uint32_t n = 0; n < 1 << 20; n++) {
		struct flowkey k = numbered(n);
		k.family = 4;
		assert_true(flowtab_add(&ft, &k, flowtab_hash(&ft, &k), 0) != 0);
		if (n > 100000)
			assert_true(ft.mapped_bytes / ft.used < 16);
	}
	assert_true(flowtab_memory_bytes(&ft) / ft.used < 148);
	flowtab_done(&ft);
}

static void sweep__due__each_once_per_round(void **state)
{
	(void)state;
	struct flowtab ft;
	assert_int_equal(flowtab_init(&ft, 100, fixed), 0);
	for (uint32_t n = 0; n < 100; n++)
		flowtab_set_due(&ft, add(&ft, n), n);
	uint32_t budget = 100, seen = 0;
	for (uint32_t id; (id = flowtab_sweep(&ft, 49, &budget)) != 0; seen++)
		flowtab_remove(&ft, id);
	assert_int_equal(seen, 50);
	assert_int_equal(budget, 0);
	assert_int_equal(ft.used, 50);
	flowtab_done(&ft);
}

static void order__removed_and_added__by_start_then_birth(void **state)
{
	(void)state;
	struct flowtab ft;
	enum { N = 5000 };
	assert_int_equal(flowtab_init(&ft, N, fixed), 0);
	for (uint32_t n = 0; n < N; n++) {
		struct flow *f = flowtab_at(&ft, add(&ft, n));
		f->start_ns = n * 2654435761u % 100;
		f->birth = UINT32_MAX - 2000 + n; /* wraps on the way */
	}
	for (uint32_t n = 0; n < N; n += 3)
		flowtab_remove(&ft, find(&ft, n));
	size_t n_ids;
	const uint32_t *ids = flowtab_order(&ft, &n_ids);
	assert_int_equal(n_ids, N - (N + 2) / 3);
	for (size_t i = 1; i < n_ids; i++) {
		const struct flow *a = flowtab_at(&ft, ids[i - 1]), *b = flowtab_at(&ft, ids[i]);
		assert_true(a->start_ns < b->start_ns ||
			    (a->start_ns == b->start_ns && (int32_t)(a->birth - b->birth) < 0));
	}
	flowtab_clear(&ft);
	assert_int_equal(find(&ft, 1), 0);
	assert_true(add(&ft, 1) != 0);
	flowtab_done(&ft);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(add_remove__random__equals_plain_array),
	    cmocka_unit_test(add__full__refused_and_counted),
	    cmocka_unit_test(find__same_words_other_family__two_flows),
	    cmocka_unit_test(find_at__stale_place__still_right),
	    cmocka_unit_test(find__all_tags_equal__still_right),
	    cmocka_unit_test(index__a_million__under_16_bytes_a_flow),
	    cmocka_unit_test(sweep__due__each_once_per_round),
	    cmocka_unit_test(order__removed_and_added__by_start_then_birth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
