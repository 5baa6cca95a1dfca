#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/utf8.h"

static bool valid(const char *s, size_t n)
{
	uint8_t *copy = malloc(n + !n);
	assert_non_null(copy);
	memcpy(copy, s, n);
	bool r = utf8_is_valid((struct slice){copy, n});
	free(copy);
	return r;
}

static void put__every_code_point__valid_and_of_its_length(void **state)
{
	(void)state;
	for (uint32_t c = 0; c <= 0x10ffff; c++) {
		char text[4];
		size_t n = (size_t)(utf8_put(text, c) - text);
		assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
		bool surrogate = c >= 0xd800 && c < 0xe000;
		assert_int_equal(utf8_is_valid((struct slice){(uint8_t *)text, n}), !surrogate);
	}
}

static void is_valid__broken_forms__refused(void **state)
{
	static const char *const bad[] = {
	    "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xc3",         "\xc3(",
	    "\xe0\x80\x80", "\xe2\x82",         "\xe2\x82(",        "\xed\xa0\x80", "\xf0\x80\x80\x80",
	    "\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",         "ok\xfe"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(valid(bad[i], strlen(bad[i])));
	assert_true(valid("", 0));
	assert_true(valid("a\0b", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put__every_code_point__valid_and_of_its_length),
	    cmocka_unit_test(is_valid__broken_forms__refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
