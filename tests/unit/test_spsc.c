#include "capture/base/spsc.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct record {
	uint64_t number, check;
	uint8_t rest[24];
};

static void init__bad_sizes__refused(void **state)
{
	(void)state;
	struct spsc q;
	assert_int_equal(spsc_init(&q, 8, 0), -EINVAL);
	assert_int_equal(spsc_init(&q, 8, 3), -EINVAL);
	assert_int_equal(spsc_init(&q, 0, 4), -EINVAL);
	assert_int_equal(spsc_init(&q, SIZE_MAX / 2, 4), -EINVAL);
}

static void push__full__false_and_nothing_stored(void **state)
{
	(void)state;
	struct spsc q;
	assert_int_equal(spsc_init(&q, sizeof(int), 4), 0);
	for (int i = 0; i < 4; i++)
		assert_true(spsc_push(&q, &i));
	assert_false(spsc_push(&q, &(int){99}));
	assert_int_equal(spsc_used(&q), 4);
	int got[8];
	assert_int_equal(spsc_pop(&q, got, 1), 1);
	assert_int_equal(got[0], 0);
	assert_true(spsc_push(&q, &(int){4}));
	assert_false(spsc_push(&q, &(int){99}));
	assert_int_equal(spsc_pop(&q, got, 8), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(got[i], i + 1);
	assert_int_equal(spsc_pop(&q, got, 8), 0);
	assert_int_equal(spsc_used(&q), 0);
	spsc_done(&q);
}

static void push__capacity_one__alternates(void **state)
{
	(void)state;
	struct spsc q;
	int got;
	assert_int_equal(spsc_init(&q, sizeof(int), 1), 0);
	for (int i = 0; i < 10; i++) {
		assert_true(spsc_push(&q, &i));
		assert_false(spsc_push(&q, &i));
		assert_int_equal(spsc_pop(&q, &got, 5), 1);
		assert_int_equal(got, i);
	}
	spsc_done(&q);
}

enum { TRANSFERS = 300000 };

static void *push_all(void *arg)
{
	struct spsc *q = arg;
	for (uint64_t i = 0; i < TRANSFERS;) {
		struct record r = {.number = i, .check = i * 0x9e3779b97f4a7c15u};
		if (spsc_push(q, &r))
			i++;
		else
			sched_yield();
	}
	return NULL;
}

static void transfer__two_threads__every_record_once_in_order(void **state)
{
	(void)state;
	struct spsc q;
	pthread_t t;
	assert_int_equal(spsc_init(&q, sizeof(struct record), 64), 0);
	assert_int_equal(pthread_create(&t, NULL, push_all, &q), 0);
	for (uint64_t expected = 0; expected < TRANSFERS;) {
		struct record r[17];
		size_t n = spsc_pop(&q, r, 17);
		assert_true(spsc_used(&q) <= 64);
		for (size_t i = 0; i < n; i++, expected++) {
			assert_int_equal(r[i].number, expected);
			assert_int_equal(r[i].check, expected * 0x9e3779b97f4a7c15u);
		}
		if (n == 0)
			sched_yield();
	}
	pthread_join(t, NULL);
	assert_int_equal(spsc_used(&q), 0);
	spsc_done(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(init__bad_sizes__refused),
	    cmocka_unit_test(push__full__false_and_nothing_stored),
	    cmocka_unit_test(push__capacity_one__alternates),
	    cmocka_unit_test(transfer__two_threads__every_record_once_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
