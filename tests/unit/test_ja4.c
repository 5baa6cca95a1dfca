/* Expected values are those of FoxIO's description of JA4, or SHA-256 values taken with coreutils' sha256sum
 * of the strings it describes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/ja4.h"
#include "tests/unit/hello_build.h"

static struct build ciphers, extensions, signatures;

static void put_list(struct build *b, const char *text)
{
	for (b->n = 0; *text; text += text[4] ? 5 : 4)
		build_u16(b, (unsigned)strtoul((char[]){text[0], text[1], text[2], text[3], 0}, NULL, 16));
}

static void put_extensions(const char *text)
{
	static struct build types;
	put_list(&types, text);
	extensions.n = 0;
	for (size_t i = 0; i < types.n; i += 2) {
		build_put(&extensions, types.at + i, 2);
		build_u16(&extensions, 0);
	}
}

static struct slice view(const struct build *b)
{
	return (struct slice){b->at, b->n};
}

static struct ja4 documented(void)
{
	put_list(&ciphers, "1a1a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035");
	put_extensions(
	    "8a8a,001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015,fafa");
	put_list(&signatures, "0403,0804,0401,0503,0805,0501,0806,0601");
	return (struct ja4){.transport = 't',
			    .has_sni = true,
			    .version = 0x0304,
			    .ciphers = view(&ciphers),
			    .extensions = view(&extensions),
			    .alpn = {(const uint8_t *)"h2", 2},
			    .signatures = view(&signatures)};
}

static void print__documented_example__documented_value(void **state)
{
	(void)state;
	char text[JA4_SIZE];
	struct ja4 in = documented();
	ja4_print(&in, text);
	assert_string_equal(text, "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

/* Digests of lists seen before are kept; neither so many others nor a longer list may change the value. */
static void print__thousand_lists_between__same_value(void **state)
{
	(void)state;
	char first[JA4_SIZE], other[JA4_SIZE], before[JA4_SIZE] = "";
	for (unsigned round = 0; round < 3; round++) {
		struct ja4 in = documented();
		ja4_print(&in, first);
		assert_string_equal(first, "t13d1516h2_8daaf6152771_e5627efa2ab1");
		for (unsigned n = 1; n < 1000; n++) {
			ciphers.n = 0;
			for (unsigned i = 0; i <= n % 90; i++)
				build_u16(&ciphers, 0xc000 + n);
			in.ciphers = view(&ciphers);
			ja4_print(&in, other);
			assert_string_not_equal(other, before);
			memcpy(before, other, sizeof before);
		}
	}
}

static void print__no_signatures__hash_without_underscore(void **state)
{
	(void)state;
	char text[JA4_SIZE];
	struct ja4 in = documented();
	in.signatures.n = 0;
	ja4_print(&in, text);
	assert_string_equal(text, "t13d1516h2_8daaf6152771_6d807ffa2a79");
}

static void print__nothing_offered__zeros(void **state)
{
	(void)state;
	char text[JA4_SIZE];
	struct ja4 in = {.transport = 'q', .version = 0x1234};
	ja4_print(&in, text);
	assert_string_equal(text, "q00i000000_000000000000_000000000000");
}

static void print__odd_alpn__hexadecimal(void **state)
{
	(void)state;
	static const struct {
		const char *alpn, *text;
	} cases[] = {{"\xab", "ab"},
		     {"\xab\xcd", "ad"},
		     {"0\xab", "3b"},
		     {"01\xab\xcd", "3d"},
		     {"0\xab\xcd"
		      "1",
		      "01"},
		     {"x", "xx"},
		     {"http/1.1", "h1"},
		     {"", "00"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[JA4_SIZE];
		struct ja4 in = documented();
		in.alpn = (struct slice){(const uint8_t *)cases[i].alpn, strlen(cases[i].alpn)};
		ja4_print(&in, text);
		assert_memory_equal(text + 8, cases[i].text, 2);
	}
}

static void print__each_version__its_two_characters(void **state)
{
	(void)state;
	static const struct {
		uint16_t version;
		const char *text;
	} cases[] = {{0x0304, "13"}, {0x0303, "12"}, {0x0302, "11"}, {0x0301, "10"}, {0x0300, "s3"},
		     {0x0002, "s2"}, {0xfeff, "d1"}, {0xfefd, "d2"}, {0xfefc, "d3"}, {0x7f17, "00"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[JA4_SIZE];
		struct ja4 in = documented();
		in.version = cases[i].version;
		ja4_print(&in, text);
		assert_memory_equal(text + 1, cases[i].text, 2);
	}
}

static void print__at_and_beyond_the_cap__99_then_nothing(void **state)
{
	(void)state;
	char text[JA4_SIZE];
	struct ja4 in = documented();
	ciphers.n = 0;
	for (unsigned i = 0; i < JA4_MAX_VALUES; i++)
		build_u16(&ciphers, 0xc000 + (i * 37 % JA4_MAX_VALUES) * 2 + 1);
	in.ciphers = view(&ciphers);
	ja4_print(&in, text);
	assert_string_equal(text, "t13d9916h2_b484374bc6df_e5627efa2ab1");
	build_u16(&ciphers, 0x1301);
	in.ciphers = view(&ciphers);
	ja4_print(&in, text);
	assert_string_equal(text, "");
}

static void print__any_order_of_ciphers__same_value(void **state)
{
	(void)state;
	char first[JA4_SIZE], text[JA4_SIZE];
	struct ja4 in = documented();
	ja4_print(&in, first);
	srand(7);
	for (int round = 0; round < 200; round++) {
		for (size_t i = ciphers.n / 2 - 1; i > 0; i--) {
			size_t k = (size_t)rand() % (i + 1);
			uint8_t keep[2];
			memcpy(keep, ciphers.at + 2 * i, 2);
			memcpy(ciphers.at + 2 * i, ciphers.at + 2 * k, 2);
			memcpy(ciphers.at + 2 * k, keep, 2);
		}
		ja4_print(&in, text);
		assert_string_equal(text, first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(print__documented_example__documented_value),
	    cmocka_unit_test(print__thousand_lists_between__same_value),
	    cmocka_unit_test(print__no_signatures__hash_without_underscore),
	    cmocka_unit_test(print__nothing_offered__zeros),
	    cmocka_unit_test(print__odd_alpn__hexadecimal),
	    cmocka_unit_test(print__each_version__its_two_characters),
	    cmocka_unit_test(print__at_and_beyond_the_cap__99_then_nothing),
	    cmocka_unit_test(print__any_order_of_ciphers__same_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
