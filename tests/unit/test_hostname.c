#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/hostname.h"

static char name[HOSTNAME_SIZE];

/* From an exact-size copy: a read past the end is caught. */
static enum hostname_verdict normalise(const char *p, size_t n)
{
	char *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, p, n);
	enum hostname_verdict v = hostname_normalise(copy, n, name);
	free(copy);
	return v;
}

static void normalise__names__lower_case_one_dot_less(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"Example.COM", "example.com"},
		{"example.com.", "example.com"},
		{"example.com..", "example.com."},
		{"xn--BCHER-kva.Example", "xn--bcher-kva.example"},
		{"_dmarc.example", "_dmarc.example"},
		{"a", "a"},
		{"1.2.3", "1.2.3"},
		{"1.2.3.4.5", "1.2.3.4.5"},
		{"256.1.1.1", "256.1.1.1"},
		{"[example]", "[example]"},
		{"..", "."},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(normalise(cases[i].in, strlen(cases[i].in)), HOSTNAME_OK);
		assert_string_equal(name, cases[i].out);
	}
}

static void normalise__empty__verdict(void **state)
{
	(void)state;
	assert_int_equal(normalise("", 0), HOSTNAME_EMPTY);
	assert_int_equal(normalise(".", 1), HOSTNAME_EMPTY);
	assert_int_equal(hostname_normalise(NULL, 0, name), HOSTNAME_EMPTY);
}

static void normalise__each_byte__only_printable_ascii(void **state)
{
	(void)state;
	for (int c = 0; c < 256; c++) {
		char text[3] = {'a', (char)c, 'b'};
		assert_int_equal(normalise(text, 3), c > 0x20 && c < 0x7f ? HOSTNAME_OK : HOSTNAME_BAD_BYTE);
	}
	assert_int_equal(normalise("a\0", 2), HOSTNAME_BAD_BYTE);
}

static void normalise__length__253_and_a_dot(void **state)
{
	(void)state;
	static char text[65535];
	memset(text, 'A', sizeof text);
	assert_int_equal(normalise(text, 253), HOSTNAME_OK);
	assert_int_equal(strlen(name), 253);
	assert_int_equal(name[252], 'a');
	assert_int_equal(normalise(text, 254), HOSTNAME_TOO_LONG);
	assert_int_equal(normalise(text, 255), HOSTNAME_TOO_LONG);
	assert_int_equal(normalise(text, 65535), HOSTNAME_TOO_LONG);
	text[253] = '.';
	assert_int_equal(normalise(text, 254), HOSTNAME_OK);
}

static void normalise__addresses__verdict_and_name_untouched(void **state)
{
	(void)state;
	static const char *const cases[] = {"192.0.2.1", "192.0.2.1.", "::1", "[::1]", "2001:DB8::1", "::ffff:192.0.2.1",
					    "fe80::1%eth0", "[fe80::1%25eth0]"};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		strcpy(name, "kept");
		assert_int_equal(normalise(cases[i], strlen(cases[i])), HOSTNAME_ADDRESS);
		assert_string_equal(name, "kept");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalise__names__lower_case_one_dot_less),
		cmocka_unit_test(normalise__empty__verdict),
		cmocka_unit_test(normalise__each_byte__only_printable_ascii),
		cmocka_unit_test(normalise__length__253_and_a_dot),
		cmocka_unit_test(normalise__addresses__verdict_and_name_untouched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
