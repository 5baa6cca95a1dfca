#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "detect/attrib/visibility.h"

#define MINUTE_US UINT64_C(60000000)
#define T0 (UINT64_C(1770000000) * 1000000)

static void any__minutes__both_ends_count(void **state)
{
	(void)state;
	struct visibility *v = visibility_new(10);
	visibility_mark(v, 1, 0, T0);
	assert_true(visibility_any(v, 1, 0, T0, T0));
	assert_true(visibility_any(v, 1, 0, T0 - 15 * MINUTE_US, T0 + 1));
	assert_false(visibility_any(v, 1, 0, T0 - 15 * MINUTE_US, T0 - MINUTE_US));
	assert_false(visibility_any(v, 1, 0, T0 + MINUTE_US, T0 + 15 * MINUTE_US));
	assert_false(visibility_any(v, 1, 1, T0, T0));
	assert_false(visibility_any(v, 2, 0, T0, T0));
	visibility_free(v);
}

static void any__across_midnight__both_pages_read(void **state)
{
	(void)state;
	struct visibility *v = visibility_new(10);
	uint64_t midnight = T0 / (1440 * MINUTE_US) * (1440 * MINUTE_US);
	visibility_mark(v, 1, 0, midnight);
	assert_true(visibility_any(v, 1, 0, midnight - 5 * MINUTE_US, midnight + 5 * MINUTE_US));
	assert_false(visibility_any(v, 1, 0, midnight - 5 * MINUTE_US, midnight - MINUTE_US));
	visibility_free(v);
}

static void mark__full__oldest_page_goes(void **state)
{
	(void)state;
	struct visibility *v = visibility_new(3);
	for (uint32_t device = 1; device <= 5; device++)
		visibility_mark(v, device, 0, T0);
	assert_int_equal(visibility_evicted(v), 2);
	assert_false(visibility_any(v, 1, 0, T0, T0));
	assert_false(visibility_any(v, 2, 0, T0, T0));
	for (uint32_t device = 3; device <= 5; device++)
		assert_true(visibility_any(v, device, 0, T0, T0));
	visibility_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any__minutes__both_ends_count),
		cmocka_unit_test(any__across_midnight__both_pages_read),
		cmocka_unit_test(mark__full__oldest_page_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
