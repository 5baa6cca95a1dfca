#include "capture/base/widen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void look__counter_wraps__total_goes_on(void **state)
{
	(void)state;
	struct widen w = {0};
	widen_look(&w, 5);
	widen_look(&w, 5);
	assert_int_equal(w.total, 5);
	widen_look(&w, UINT32_MAX);
	assert_int_equal(w.total, UINT32_MAX);
	widen_look(&w, 3); /* four counts later */
	assert_int_equal(w.total, UINT64_C(0x100000003));
	for (int i = 0; i < 3; i++)
		widen_look(&w, w.seen + UINT32_MAX);
	assert_int_equal(w.total, UINT64_C(0x100000003) + 3 * (uint64_t)UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(look__counter_wraps__total_goes_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
