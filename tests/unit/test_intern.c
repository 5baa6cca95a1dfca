#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/attrib/intern.h"

static void add__same_text__same_number(void **state)
{
	(void)state;
	struct intern *in = intern_new(16 << 20);
	size_t n;
	uint32_t a = intern_add(in, "abc", 3), b = intern_add(in, "ab", 2), c = intern_append(in, "abc", 3);
	assert_int_equal(intern_add(in, "abc", 3), a);
	assert_true(a && b && c && a != b && c != a);
	assert_string_equal(intern_text(in, a, &n), "abc");
	assert_int_equal(n, 3);
	assert_string_equal(intern_text(in, c, NULL), "abc");
	assert_int_equal(intern_add(in, "x\0y", 3) == intern_add(in, "x\0z", 3), 0);
	assert_int_equal(intern_add(in, "", 0), 0);
	assert_string_equal(intern_text(in, 0, &n), "");
	assert_int_equal(n, 0);
	intern_free(in);
}

static void add__100000_texts__all_kept(void **state)
{
	(void)state;
	struct intern *in = intern_new(64 << 20);
	uint32_t *numbers = calloc(100000, sizeof *numbers);
	char text[32];
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 100000; i++) {
			int n = snprintf(text, sizeof text, "text number %d", i);
			uint32_t number = intern_add(in, text, (size_t)n);
			assert_true(number && (round == 0 || number == numbers[i]));
			numbers[i] = number;
			assert_string_equal(intern_text(in, number, NULL), text);
		}
	free(numbers);
	intern_free(in);
}

static void add__cap_reached__refused_and_counted(void **state)
{
	(void)state;
	struct intern *in = intern_new((1 << 20) + (64 << 10));
	char text[1000];
	unsigned kept = 0;
	memset(text, 'x', sizeof text);
	for (int i = 0; i < 3000; i++) {
		snprintf(text, sizeof text, "%d", i);
		kept += intern_add(in, text, sizeof text) != 0;
	}
	assert_in_range(kept, 1000, 1048);
	assert_int_equal(intern_refused(in), 3000 - kept);
	assert_true(intern_bytes(in) <= (1 << 20) + (64 << 10));
	intern_free(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(add__same_text__same_number),
		cmocka_unit_test(add__100000_texts__all_kept),
		cmocka_unit_test(add__cap_reached__refused_and_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
