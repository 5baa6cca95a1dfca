#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "detect/attrib/verdicts.h"

static void owner__set_twice__last_told(void **state)
{
	(void)state;
	struct verdicts *v = verdicts_new();
	struct cell_change c = {.flow_id = 7, .side = 1, .grade = 'A', .key = 1, .n_owners = 1, .owners = {9}, .n_evidence = 1,
				.evidence = {{5, -1200}}}, got;
	verdicts_set(v, &c); /* nobody asked about it */
	assert_null(verdicts_get(v, 7));
	for (uint64_t i = 0; i < 5000; i++)
		assert_non_null(verdicts_put(v, i * 3 + 1));
	assert_int_equal(verdicts_get(v, 7)->words[1], 0);
	verdicts_set(v, &c);
	verdicts_owner(v, verdicts_get(v, 7), 1, &got);
	assert_int_equal(got.grade, 'A');
	assert_int_equal(got.owners[0], 9);
	assert_int_equal(got.evidence[0].ref, 5);
	assert_true(got.evidence[0].delta_us == -1200);
	verdicts_owner(v, verdicts_get(v, 7), 0, &got);
	assert_int_equal(got.grade, 'U');
	c = (struct cell_change){.flow_id = 7, .side = 1, .grade = 'D', .cause = 13, .rivals = 7, .n_owners = 8, .n_evidence = 4};
	for (size_t i = 0; i < 8; i++)
		c.owners[i] = UINT64_MAX - i;
	verdicts_set(v, &c);
	verdicts_owner(v, verdicts_get(v, 7), 1, &got);
	assert_int_equal(got.grade, 'D');
	assert_int_equal(got.rivals, 7);
	assert_int_equal(got.n_owners, 8);
	assert_int_equal(got.owners[7], UINT64_MAX - 7);
	assert_null(verdicts_nth(v, 5000));
	assert_int_equal(verdicts_nth(v, 4999)->flow_id, 4999 * 3 + 1);
	verdicts_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner__set_twice__last_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
