#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "detect/attrib/clock_skew.h"

#define S INT64_C(1000000)
#define T0 (INT64_C(1770000000) * S)
#define GOOD (CLOCK_SKEW_UNIQUE | CLOCK_SKEW_SYN)

static void at__fewer_than_three__not_calibrated(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	assert_false(clock_skew_at(cs, T0).calibrated);
	clock_skew_add(cs, T0 + 5 * S, T0, GOOD);
	clock_skew_add(cs, T0 + 6 * S, T0 + S, GOOD);
	struct clock_skew_state s = clock_skew_at(cs, T0);
	assert_false(s.calibrated);
	assert_int_equal(s.offset_us, 0);
	clock_skew_add(cs, T0 + 7 * S, T0 + 2 * S, GOOD);
	s = clock_skew_at(cs, T0);
	assert_true(s.calibrated);
	assert_int_equal(s.offset_us, 5 * S);
	assert_int_equal(s.samples, 3);
	clock_skew_free(cs);
}

/* 0 small, half hours, a lost PM of -19 h, and -134.2 h that five agree on; the vote must find each beside some noise. */
static void at__gross_errors__found(void **state)
{
	(void)state;
	static const int64_t offsets[] = {-61 * S, 4 * 3600 * S, -19800 * S - 3 * S, -19 * 3600 * S, -483275 * S};
	for (size_t k = 0; k < sizeof offsets / sizeof offsets[0]; k++) {
		struct clock_skew *cs = clock_skew_new(1000);
		for (int64_t i = 0; i < 6; i++)
			clock_skew_add(cs, T0 + i * 20 * S + offsets[k] + i * 1000, T0 + i * 20 * S, GOOD);
		clock_skew_add(cs, T0 + 100000 * S, T0, GOOD); /* another run's */
		struct clock_skew_state s = clock_skew_at(cs, T0 + offsets[k]);
		assert_true(s.calibrated);
		assert_in_range(s.offset_us - offsets[k], 0, 6000);
		clock_skew_free(cs);
	}
}

static void at__far_and_only_four_agree__not_believed(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 4; i++)
		clock_skew_add(cs, T0 + i * S + 40320 * S, T0 + i * S, GOOD); /* 11.2 h: no time zone */
	assert_int_equal(clock_skew_at(cs, T0 + 40320 * S).offset_us, 0);
	clock_skew_add(cs, T0 + 4 * S + 40320 * S, T0 + 4 * S, GOOD);
	assert_int_equal(clock_skew_at(cs, T0 + 40320 * S).offset_us, 40320 * S);
	clock_skew_free(cs);
}

static void at__recurring_tuple_not_unique__cannot_vote_far(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 10; i++)
		clock_skew_add(cs, T0 + i * 60 * S + 40320 * S, T0 + i * 60 * S, CLOCK_SKEW_SYN);
	assert_int_equal(clock_skew_at(cs, T0 + 40320 * S).offset_us, 0);
	clock_skew_free(cs);
}

static void at__no_syn__votes_but_never_calibrates(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 6; i++)
		clock_skew_add(cs, T0 + i * S - 121260 * S, T0 + i * S, CLOCK_SKEW_UNIQUE);
	struct clock_skew_state s = clock_skew_at(cs, T0 - 121260 * S);
	assert_false(s.calibrated);
	assert_int_equal(s.offset_us, -121260 * S);
	clock_skew_free(cs);
}

static void at__clock_set_by_40_s__each_side_its_own_offset(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 8; i++)
		clock_skew_add(cs, T0 + i * 10 * S + 2 * S, T0 + i * 10 * S, GOOD);
	for (int64_t i = 8; i < 16; i++)
		clock_skew_add(cs, T0 + i * 10 * S - 38 * S, T0 + i * 10 * S, GOOD);
	assert_int_equal(clock_skew_at(cs, T0 + 20 * S).offset_us, 2 * S);
	assert_int_equal(clock_skew_at(cs, T0 + 130 * S - 38 * S).offset_us, -38 * S);
	assert_true(clock_skew_at(cs, T0 + 130 * S - 38 * S).calibrated);
	clock_skew_free(cs);
}

static void at__clock_slides__median_follows(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 200; i++) /* 1 ms per 1 s */
		clock_skew_add(cs, T0 + i * S + i * 1000, T0 + i * S, GOOD);
	for (int64_t i = 20; i < 180; i += 40) {
		struct clock_skew_state s = clock_skew_at(cs, T0 + i * S + i * 1000);
		assert_true(s.calibrated);
		assert_true(s.offset_us >= i * 1000 - 1500 && s.offset_us <= i * 1000 + 1500);
	}
	clock_skew_free(cs);
}

static void at__one_outlier__ignored(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 9; i++)
		clock_skew_add(cs, T0 + i * S + (i == 4 ? 49 * S : S), T0 + i * S, GOOD);
	struct clock_skew_state s = clock_skew_at(cs, T0 + 5 * S);
	assert_true(s.calibrated);
	assert_int_equal(s.offset_us, S);
	clock_skew_free(cs);
}

static void at__floored_source__wider_spread_allowed(void **state)
{
	(void)state;
	struct clock_skew *exact = clock_skew_new(1000), *floored = clock_skew_new(1000);
	for (int64_t i = 0; i < 12; i++) {
		int64_t syn = T0 + i * 10 * S + i * 83333, ev = syn / S * S;
		clock_skew_add(exact, ev, syn, GOOD);
		clock_skew_add(floored, ev, syn, GOOD | CLOCK_SKEW_FLOORED);
	}
	assert_false(clock_skew_at(exact, T0 + 50 * S).calibrated);
	struct clock_skew_state s = clock_skew_at(floored, T0 + 50 * S);
	assert_true(s.calibrated);
	assert_true(s.offset_us > -700000 && s.offset_us < -300000);
	clock_skew_free(exact);
	clock_skew_free(floored);
}

static void at__31_min_later__expired(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(1000);
	for (int64_t i = 0; i < 5; i++)
		clock_skew_add(cs, T0 + i * S + 3 * S, T0 + i * S, GOOD);
	assert_true(clock_skew_at(cs, T0 + 29 * 60 * S).calibrated);
	struct clock_skew_state s = clock_skew_at(cs, T0 + 31 * 60 * S);
	assert_false(s.calibrated);
	assert_int_equal(s.offset_us, 3 * S); /* still the best guess */
	clock_skew_free(cs);
}

static void at__any_order__same_answer(void **state)
{
	(void)state;
	struct clock_skew *a = clock_skew_new(1000), *b = clock_skew_new(1000);
	for (int64_t i = 0; i < 40; i++) {
		int64_t j = i * 17 % 40;
		clock_skew_add(a, T0 + i * 7 * S + i * i * 10, T0 + i * 7 * S, GOOD);
		clock_skew_add(b, T0 + j * 7 * S + j * j * 10, T0 + j * 7 * S, GOOD);
	}
	for (int64_t i = 0; i < 300; i += 13) {
		struct clock_skew_state p = clock_skew_at(a, T0 + i * S), q = clock_skew_at(b, T0 + i * S);
		assert_memory_equal(&p.offset_us, &q.offset_us, sizeof p.offset_us);
	}
	clock_skew_free(a);
	clock_skew_free(b);
}

static void add__full__older_half_goes(void **state)
{
	(void)state;
	struct clock_skew *cs = clock_skew_new(16);
	for (int64_t i = 0; i < 17; i++)
		clock_skew_add(cs, T0 + i * S, T0 + i * S, GOOD);
	assert_int_equal(clock_skew_pairs(cs), 9);
	assert_int_equal(clock_skew_last(cs), T0 + 16 * S);
	clock_skew_free(cs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at__fewer_than_three__not_calibrated),
		cmocka_unit_test(at__gross_errors__found),
		cmocka_unit_test(at__far_and_only_four_agree__not_believed),
		cmocka_unit_test(at__recurring_tuple_not_unique__cannot_vote_far),
		cmocka_unit_test(at__no_syn__votes_but_never_calibrates),
		cmocka_unit_test(at__clock_set_by_40_s__each_side_its_own_offset),
		cmocka_unit_test(at__clock_slides__median_follows),
		cmocka_unit_test(at__one_outlier__ignored),
		cmocka_unit_test(at__floored_source__wider_spread_allowed),
		cmocka_unit_test(at__31_min_later__expired),
		cmocka_unit_test(at__any_order__same_answer),
		cmocka_unit_test(add__full__older_half_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
