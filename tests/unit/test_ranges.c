#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/ranges.h"

enum { SPACE = 256 };

static void well_formed(const struct ranges *r, const bool *map)
{
	uint32_t total = 0;
	for (uint32_t i = 0; i < r->n; i++) {
		assert_true(r->at[i].from < r->at[i].to);
		assert_true(i == 0 || r->at[i - 1].to < r->at[i].from);
		for (uint32_t p = r->at[i].from; p < r->at[i].to; p++)
			assert_true(map[p]);
		total += r->at[i].to - r->at[i].from;
	}
	uint32_t mapped = 0;
	for (uint32_t p = 0; p < SPACE; p++)
		mapped += map[p];
	assert_int_equal(total, mapped);
}

static void add_join__random__equals_bitmap(void **state)
{
	(void)state;
	uint32_t dice = 99;
	for (int round = 0; round < 3000; round++) {
		struct flow_range at[9] = {[8] = {0xdead, 0xbeef}};
		struct ranges r = {at, 0, 8};
		bool map[SPACE] = {false};
		for (int i = 0; i < 40; i++) {
			dice = dice * 1664525 + 1013904223;
			uint32_t from = 1 + (dice >> 8) % (SPACE - 41), to = from + 1 + (dice >> 20) % 40,
				 fresh = 0, want = 0, got;
			for (uint32_t p = from; p < to; p++)
				want += !map[p];
			uint32_t within = ranges_within(&r, from, to);
			assert_int_equal(within, to - from - want);
			struct ranges before = r;
			if (ranges_add(&r, from, to, &fresh)) {
				assert_int_equal(fresh, want);
				memset(map + from, true, to - from);
			} else {
				assert_int_equal(before.n, 8);
				assert_int_equal(r.n, 8);
			}
			well_formed(&r, map);
			if (dice >> 28)
				continue;
			uint32_t low = r.n ? r.at[0].from : 5, end = low;
			while (end < SPACE && map[end])
				end++;
			got = ranges_join(&r, low);
			assert_int_equal(got, end);
			memset(map, false, end);
			well_formed(&r, map);
		}
		assert_int_equal(at[8].from, 0xdead);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(add_join__random__equals_bitmap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
