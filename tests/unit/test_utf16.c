#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/utf16.h"
#include "dissect/utf8.h"

static void check(const char *in, size_t n, bool big, const char *want, bool valid)
{
	for (size_t chunk = 1; chunk <= n; chunk++) {
		struct utf16 u = {.big = big};
		char out[256];
		size_t at = 0;
		for (size_t i = 0; i < n; i += chunk)
			at += utf16_decode(&u, in + i, n - i < chunk ? n - i : chunk, out + at);
		at += utf16_end(&u, out + at);
		assert_int_equal(at, strlen(want));
		assert_memory_equal(out, want, at);
		assert_int_equal(utf8_is_valid((struct slice){(uint8_t *)out, at}), valid);
	}
}

static void decode__every_length__rfc3629(void **state)
{
	(void)state;
	check("A\0\xe9\0\xac\x20\x3d\xd8\x00\xde", 10, false, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true);
	check("\0A\0\xe9\x20\xac\xd8\x3d\xde\x00", 10, true, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true);
	check("\xff\xdb\xff\xdf", 4, false, "\xf4\x8f\xbf\xbf", true);
}

static void decode__lone_surrogates_and_odd_bytes__not_utf8(void **state)
{
	(void)state;
	check("\x3d\xd8"
	      "A\0",
	      4, false,
	      "\xed\xa0\xbd"
	      "A",
	      false);
	check("\x00\xde"
	      "A\0",
	      4, false,
	      "\xed\xb8\x80"
	      "A",
	      false);
	check("\x3d\xd8\x3d\xd8\x00\xde", 6, false, "\xed\xa0\xbd\xf0\x9f\x98\x80", false);
	check("\x3d\xd8", 2, false, "\xed\xa0\xbd", false);
	check("A\0B", 3, false, "A\xff", false);
	check("\x3d\xd8"
	      "B",
	      3, false, "\xed\xa0\xbd\xff", false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decode__every_length__rfc3629),
	    cmocka_unit_test(decode__lone_surrogates_and_odd_bytes__not_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
