#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/scratch.h"

static void take__small_and_large__stay_until_reset(void **state)
{
	struct scratch sc = {NULL};
	char *p[40];
	(void)state;
	for (int i = 0; i < 40; i++) {
		size_t n = i == 20 ? 100000 : 1000;
		p[i] = scratch_take(&sc, n);
		assert_non_null(p[i]);
		memset(p[i], i, n);
	}
	for (int i = 0; i < 40; i++)
		for (size_t k = 0; k < 1000; k++)
			assert_int_equal(p[i][k], i);
	scratch_reset(&sc);
	char *again = scratch_take(&sc, 16384);
	assert_ptr_equal(again, p[0]);
	scratch_free(&sc);
	assert_null(sc.blocks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(take__small_and_large__stay_until_reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
