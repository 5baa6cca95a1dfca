#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/assemble.h"

static struct assemble_budget budget;

static int fresh_budget(void **state)
{
	(void)state;
	budget = (struct assemble_budget){.max_bytes = 1 << 20};
	return 0;
}

static void add__in_order__ready_follows(void **state)
{
	(void)state;
	struct assemble a;
	assemble_init(&a);
	assert_true(assemble_add(&a, &budget, 0, (const uint8_t *)"abc", 3));
	assert_true(assemble_add(&a, &budget, 3, (const uint8_t *)"def", 3));
	assert_int_equal(a.ready, 6);
	assert_memory_equal(a.bytes, "abcdef", 6);
	assert_null(a.have);
	assemble_done(&a, &budget);
	assert_int_equal(budget.used_bytes, 0);
}

static void add__reversed_single_bytes__one_stream(void **state)
{
	(void)state;
	struct assemble a;
	assemble_init(&a);
	for (uint32_t i = 5000; i-- > 0;) {
		uint8_t byte = (uint8_t)(i * 31);
		assert_int_equal(assemble_add(&a, &budget, i, &byte, 1), i == 0);
	}
	assert_int_equal(a.ready, 5000);
	for (uint32_t i = 0; i < 5000; i++)
		assert_int_equal(a.bytes[i], (uint8_t)(i * 31));
	assert_false(a.differs);
	assemble_done(&a, &budget);
}

static void add__overlap_of_the_same__not_differs(void **state)
{
	(void)state;
	struct assemble a;
	assemble_init(&a);
	assemble_add(&a, &budget, 4, (const uint8_t *)"efgh", 4);
	assemble_add(&a, &budget, 0, (const uint8_t *)"abcdef", 6);
	assert_int_equal(a.ready, 8);
	assert_memory_equal(a.bytes, "abcdefgh", 8);
	assert_false(assemble_add(&a, &budget, 2, (const uint8_t *)"cd", 2));
	assert_false(a.differs);
	assemble_done(&a, &budget);
}

static void add__overlap_that_differs__first_copy_wins(void **state)
{
	(void)state;
	struct assemble a;
	assemble_init(&a);
	assemble_add(&a, &budget, 4, (const uint8_t *)"efgh", 4);
	assemble_add(&a, &budget, 0, (const uint8_t *)"abcdXX", 6);
	assert_memory_equal(a.bytes, "abcdefgh", 8);
	assert_true(a.differs);
	assemble_done(&a, &budget);
	assemble_add(&a, &budget, 0, (const uint8_t *)"abcd", 4);
	assemble_add(&a, &budget, 2, (const uint8_t *)"XYef", 4);
	assert_memory_equal(a.bytes, "abcdef", 6);
	assert_true(a.differs);
	assemble_done(&a, &budget);
}

static void add__beyond_the_cap__keeps_what_fits(void **state)
{
	(void)state;
	struct assemble a;
	static uint8_t block[ASSEMBLE_MAX_BYTES + 10];
	assemble_init(&a);
	assert_true(assemble_add(&a, &budget, 0, block, ASSEMBLE_MAX_BYTES));
	assert_false(a.full);
	assert_false(assemble_add(&a, &budget, ASSEMBLE_MAX_BYTES, block, 1));
	assert_true(a.full);
	assemble_done(&a, &budget);
	assert_true(assemble_add(&a, &budget, 0, block, sizeof block));
	assert_true(a.full);
	assert_int_equal(a.ready, ASSEMBLE_MAX_BYTES);
	assert_false(assemble_add(&a, &budget, UINT32_MAX, block, 5));
	assemble_done(&a, &budget);
	assert_int_equal(budget.used_bytes, 0);
}

static void add__budget_used_up__refused_and_counted(void **state)
{
	(void)state;
	struct assemble a, b;
	uint8_t byte = 1;
	budget.max_bytes = 4096;
	assemble_init(&a);
	assemble_init(&b);
	static const uint8_t block[2000] = {1};
	assert_true(assemble_add(&a, &budget, 0, block, sizeof block));
	assert_true(assemble_add(&b, &budget, 0, block, sizeof block));
	assert_int_equal(budget.used_bytes, 4096);
	assert_false(assemble_add(&b, &budget, 3000, &byte, 1));
	assert_true(b.full);
	assert_int_equal(budget.refused, 1);
	assert_false(assemble_add(&a, &budget, 2040, &byte, 1)); /* no room for the bitmap */
	assert_true(a.full);
	assert_int_equal(budget.refused, 2);
	assemble_done(&a, &budget);
	assemble_done(&b, &budget);
	assert_int_equal(budget.used_bytes, 0);
}

/* Random pieces with overlaps against a plain array, first copy wins. */
static void add__random_pieces__equal_to_oracle(void **state)
{
	(void)state;
	enum { SIZE = 3000 };
	srand(42);
	for (int round = 0; round < 300; round++) {
		struct assemble a;
		static uint8_t want[SIZE], piece[SIZE];
		static bool have[SIZE];
		bool differs = false;
		memset(have, 0, sizeof have);
		assemble_init(&a);
		for (int i = 0; i < 60; i++) {
			uint32_t pos = (uint32_t)(rand() % SIZE), n = (uint32_t)(rand() % 200);
			n = n > SIZE - pos ? SIZE - pos : n;
			bool conflicts = false;
			for (uint32_t k = 0; k < n; k++) {
				piece[k] = (uint8_t)((pos + k) * 7 + (rand() % 400 == 0));
				if (have[pos + k])
					conflicts |= want[pos + k] != piece[k];
				else
					want[pos + k] = piece[k];
				have[pos + k] = true;
			}
			differs |= conflicts;
			assert_int_equal(assemble_conflicts(&a, pos, piece, n), conflicts);
			assemble_add(&a, &budget, pos, piece, n);
			uint32_t ready = 0;
			while (ready < SIZE && have[ready])
				ready++;
			assert_int_equal(a.ready, ready);
			if (ready)
				assert_memory_equal(a.bytes, want, ready);
			assert_int_equal(a.differs, differs);
		}
		assemble_done(&a, &budget);
	}
	assert_int_equal(budget.used_bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(add__in_order__ready_follows, fresh_budget),
	    cmocka_unit_test_setup(add__reversed_single_bytes__one_stream, fresh_budget),
	    cmocka_unit_test_setup(add__overlap_of_the_same__not_differs, fresh_budget),
	    cmocka_unit_test_setup(add__overlap_that_differs__first_copy_wins, fresh_budget),
	    cmocka_unit_test_setup(add__beyond_the_cap__keeps_what_fits, fresh_budget),
	    cmocka_unit_test_setup(add__budget_used_up__refused_and_counted, fresh_budget),
	    cmocka_unit_test_setup(add__random_pieces__equal_to_oracle, fresh_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
