#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "capture/base/ring.h"

static void pop__empty__null(void **state)
{
	(void)state;
	struct ring *r = ring_new(1);
	size_t n;
	assert_null(ring_peek(r, &n));
	ring_free(r);
}

static void reserve__full__refused_until_popped(void **state)
{
	(void)state;
	struct ring *r = ring_new(65536);
	unsigned pushed = 0;
	for (void *p; (p = ring_reserve(r, 1000)); pushed++) {
		memset(p, (int)pushed, 1000);
		ring_commit(r, 1000);
	}
	/* 65536 / (8 + 1000) = 65.01 */
	assert_int_equal(pushed, 65);
	size_t n;
	const uint8_t *first = ring_peek(r, &n);
	assert_int_equal(n, 1000);
	assert_int_equal(first[999], 0);
	ring_pop(r);
	/* The free bytes lie at the front, the write position near the end: one more pop makes room behind the skip. */
	ring_pop(r);
	assert_non_null(ring_reserve(r, 1000));
	ring_free(r);
}

static void reserve__larger_than_half__refused(void **state)
{
	(void)state;
	struct ring *r = ring_new(65536);
	assert_null(ring_reserve(r, 32768));
	assert_non_null(ring_reserve(r, ring_max_record_bytes(r)));
	ring_free(r);
}

enum { RECORDS = 200000 };

static size_t size_of(uint32_t i)
{
	return 4 + (i * 2654435761u >> 20) % 700;
}

static void *produce(void *arg)
{
	struct ring *r = arg;
	for (uint32_t i = 0; i < RECORDS;) {
		uint8_t *p = ring_reserve(r, size_of(i));
		if (!p)
			continue;
		memset(p, (int)(i & 0xff), size_of(i));
		memcpy(p, &i, sizeof i);
		ring_commit(r, size_of(i));
		i++;
	}
	return NULL;
}

static void two_threads__every_record_arrives_in_order_and_whole(void **state)
{
	(void)state;
	struct ring *r = ring_new(65536);
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, produce, r), 0);
	for (uint32_t i = 0; i < RECORDS;) {
		size_t n;
		const uint8_t *p = ring_peek(r, &n);
		if (!p)
			continue;
		uint32_t number;
		memcpy(&number, p, sizeof number);
		assert_int_equal(number, i);
		assert_int_equal(n, size_of(i));
		for (size_t k = sizeof number; k < n; k++)
			assert_int_equal(p[k], i & 0xff);
		ring_pop(r);
		i++;
	}
	pthread_join(t, NULL);
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pop__empty__null),
		cmocka_unit_test(reserve__full__refused_until_popped),
		cmocka_unit_test(reserve__larger_than_half__refused),
		cmocka_unit_test(two_threads__every_record_arrives_in_order_and_whole),
	};
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
