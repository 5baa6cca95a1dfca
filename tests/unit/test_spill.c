#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "detect/attrib/spill.h"

static struct spill_flow flow, back;

static void next__beyond_memory__file_continues_in_order(void **state)
{
	(void)state;
	struct spill *s = spill_new(64 << 10);
	for (uint64_t i = 0; i < 2000; i++) {
		flow.flow_id = i;
		flow.n_ledger = (uint16_t)(1 + i % 7);
		flow.ledger[flow.n_ledger - 1] = (struct cell_ledger){(uint32_t)i, i * 2, i * 3};
		assert_int_equal(spill_add(s, &flow), 0);
	}
	assert_int_equal(spill_count(s), 2000);
	assert_true(spill_bytes(s) <= 128 << 10);
	for (int pass = 0; pass < 2; pass++) {
		assert_int_equal(spill_rewind(s), 0);
		for (uint64_t i = 0; i < 2000; i++) {
			assert_int_equal(spill_next(s, &back), 1);
			assert_int_equal(back.flow_id, i);
			assert_int_equal(back.ledger[back.n_ledger - 1].down, i * 3);
		}
		assert_int_equal(spill_next(s, &back), 0);
	}
	spill_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(next__beyond_memory__file_continues_in_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
