/* escape: what each sink's text may hold. Expected strings by hand; all code points against jansson, which shares no code with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "detect/sinks/escape.h"

enum kind { JSON, TERMINAL, HTML, CEF_VALUE, CEF_HEADER, KINDS };

static size_t escape(enum kind kind, char *out, size_t size, const char *text, size_t n)
{
	switch (kind) {
	case JSON:
		return escape_json(out, size, text, n);
	case TERMINAL:
		return escape_terminal(out, size, text, n);
	case HTML:
		return escape_html(out, size, text, n);
	default:
		return escape_cef(out, size, text, n, kind == CEF_HEADER);
	}
}

struct row {
	const char *in, *out[KINDS];
};

/* clang-format off */
static const struct row rows[] = {
	/*  in                 json                    terminal                html                  cef value               cef header */
	{"plain text",        {"plain text",           "plain text",           "plain text",         "plain text",           "plain text"}},
	{"",                  {"",                     "",                     "",                   "",                     ""}},
	{"a\"b",              {"a\\\"b",               "a\"b",                 "a&quot;b",           "a\"b",                 "a\"b"}},
	{"c:\\dir",           {"c:\\\\dir",            "c:\\dir",              "c:\\dir",            "c:\\\\dir",            "c:\\\\dir"}},
	{"\x1b[2J",           {"\\u001b[2J",           "\\x1b[2J",             "\\u{1b}[2J",         "\\\\x1b[2J",           "\\\\x1b[2J"}},
	{"\\x1b",             {"\\\\x1b",              "\\x5cx1b",             "\\x1b",              "\\\\x1b",              "\\\\x1b"}},
	{"\\xampp",           {"\\\\xampp",            "\\xampp",              "\\xampp",            "\\\\xampp",            "\\\\xampp"}},
	{"a\nb\rc",           {"a\\u000ab\\u000dc",    "a\\x0ab\\x0dc",        "a\\u{a}b\\u{d}c",    "a\\nb\\rc",            "a\\nb\\rc"}},
	{"\x7f",              {"\\u007f",              "\\x7f",                "\\u{7f}",            "\\\\x7f",              "\\\\x7f"}},
	{"\xc2\x9b",          {"\\u009b",              "\\xc2\\x9b",           "\\u{9b}",            "\\\\xc2\\\\x9b",       "\\\\xc2\\\\x9b"}},
	{"\xe2\x80\xae",      {"\\u202e",              "\\xe2\\x80\\xae",      "\\u{202e}",          "\\\\xe2\\\\x80\\\\xae", "\\\\xe2\\\\x80\\\\xae"}},
	{"\xe2\x80\x8b",      {"\\u200b",              "\\xe2\\x80\\x8b",      "\\u{200b}",          "\\\\xe2\\\\x80\\\\x8b", "\\\\xe2\\\\x80\\\\x8b"}},
	{"\xe2\x80\xa8",      {"\\u2028",              "\\xe2\\x80\\xa8",      "\\u{2028}",          "\\\\xe2\\\\x80\\\\xa8", "\\\\xe2\\\\x80\\\\xa8"}},
	{"\xf3\xa0\x80\x81",  {"\\udb40\\udc01",       "\\xf3\\xa0\\x80\\x81", "\\u{e0001}",         "\\\\xf3\\\\xa0\\\\x80\\\\x81", "\\\\xf3\\\\xa0\\\\x80\\\\x81"}},
	{"M\xc3\xbcller",     {"M\xc3\xbcller",        "M\\xc3\\xbcller",      "M\xc3\xbcller",      "M\xc3\xbcller",        "M\xc3\xbcller"}},
	{"\xf0\x9f\x98\x80",  {"\xf0\x9f\x98\x80",     "\\xf0\\x9f\\x98\\x80", "\xf0\x9f\x98\x80",   "\xf0\x9f\x98\x80",     "\xf0\x9f\x98\x80"}},
	/* not UTF-8: a lone continuation, a cut sequence, overlong forms, a surrogate, above U+10FFFF, bytes that never occur */
	{"\x80z",             {"\\\\x80z",             "\\x80z",               "\\x80z",             "\\\\x80z",             "\\\\x80z"}},
	{"\xe2\x80",          {"\\\\xe2\\\\x80",       "\\xe2\\x80",           "\\xe2\\x80",         "\\\\xe2\\\\x80",       "\\\\xe2\\\\x80"}},
	{"\xc0\xaf",          {"\\\\xc0\\\\xaf",       "\\xc0\\xaf",           "\\xc0\\xaf",         "\\\\xc0\\\\xaf",       "\\\\xc0\\\\xaf"}},
	{"\xe0\x80\xbc",      {"\\\\xe0\\\\x80\\\\xbc", "\\xe0\\x80\\xbc",     "\\xe0\\x80\\xbc",    "\\\\xe0\\\\x80\\\\xbc", "\\\\xe0\\\\x80\\\\xbc"}},
	{"\xed\xa0\x80",      {"\\\\xed\\\\xa0\\\\x80", "\\xed\\xa0\\x80",     "\\xed\\xa0\\x80",    "\\\\xed\\\\xa0\\\\x80", "\\\\xed\\\\xa0\\\\x80"}},
	{"\xf4\x90\x80\x80",  {"\\\\xf4\\\\x90\\\\x80\\\\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80", "\\\\xf4\\\\x90\\\\x80\\\\x80"}},
	{"\xff\xfe",          {"\\\\xff\\\\xfe",       "\\xff\\xfe",           "\\xff\\xfe",         "\\\\xff\\\\xfe",       "\\\\xff\\\\xfe"}},
	/* markup, formula, separators */
	{"</script><a b='c'>", {"</script><a b='c'>",  "</script><a b='c'>",   "&lt;/script&gt;&lt;a b=&#39;c&#39;&gt;", "</script><a b\\='c'>", "</script><a b='c'>"}},
	{"&amp;`",            {"&amp;`",               "&amp;`",               "&amp;amp;&#96;",     "&amp;`",               "&amp;`"}},
	{"=cmd|' /C calc'!A0", {"=cmd|' /C calc'!A0",  "=cmd|' /C calc'!A0",   "=cmd|&#39; /C calc&#39;!A0", "\\=cmd|' /C calc'!A0", "=cmd\\|' /C calc'!A0"}},
	{"%n%s",              {"%n%s",                 "%n%s",                 "%n%s",               "%n%s",                 "%n%s"}},
};
/* clang-format on */

static void escape__every_row__as_written_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		for (enum kind k = 0; k < KINDS; k++) {
			char out[128];
			size_t n = escape(k, out, sizeof out, rows[i].in, strlen(rows[i].in));
			out[n] = '\0';
			assert_string_equal(out, rows[i].out[k]);
		}
}

/* The encoder of RFC 3629, written for the test. */
static size_t encode(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	for (size_t i = len - 1; i; i--, c >>= 6)
		out[i] = (char)(0x80 | (c & 0x3f));
	out[0] = (char)(lead[len] | c);
	return len;
}

static void escape_json__every_code_point__jansson_reads_the_same_back(void **state)
{
	(void)state;
	for (uint32_t c = 1; c <= 0x10ffff; c++) {
		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		char in[4], out[4 * ESCAPE_GROWTH + 3] = "\"";
		size_t n = encode(in, c), m = escape_json(out + 1, 4 * ESCAPE_GROWTH, in, n);
		assert_true(m <= ESCAPE_GROWTH * n);
		out[m + 1] = '"';
		json_t *back = json_loadb(out, m + 2, JSON_DECODE_ANY, NULL);
		assert_non_null(back);
		assert_int_equal(json_string_length(back), n);
		assert_memory_equal(json_string_value(back), in, n);
		json_decref(back);
	}
}

static void escape__every_pair_of_bytes__stays_within_the_growth(void **state)
{
	(void)state;
	for (unsigned v = 0; v < 65536; v++) {
		char in[2] = {(char)(v >> 8), (char)v}, out[64];
		for (enum kind k = 0; k < KINDS; k++)
			assert_true(escape(k, out, sizeof out, in, 2) <= 2 * ESCAPE_GROWTH);
	}
}

static void escape_terminal__every_byte__prints_ascii_only(void **state)
{
	(void)state;
	char in[256], out[256 * ESCAPE_GROWTH];
	for (int i = 0; i < 256; i++)
		in[i] = (char)i;
	size_t n = escape_terminal(out, sizeof out, in, sizeof in);
	for (size_t i = 0; i < n; i++)
		assert_true(out[i] >= 0x20 && out[i] < 0x7f);
	assert_int_equal(n, 95 + 161 * 4);
}

static void escape_html__every_code_point__no_markup_left(void **state)
{
	(void)state;
	for (uint32_t c = 1; c <= 0xffff; c++) {
		char in[4], out[64];
		size_t n = escape_html(out, sizeof out, in, encode(in, c));
		for (size_t i = 0; i < n; i++) {
			assert_null(memchr("<>\"'`", out[i], 5));
			assert_true(out[i] != '&' || out[n - 1] == ';');
		}
	}
}

/* A buffer that is too small holds whole pieces from the start, and what the call says is what it wrote. */
static void escape__no_room__stops_between_pieces(void **state)
{
	(void)state;
	static const char in[] = "ab\x1b\xe2\x80\xae<\"\\\xff=|c";
	for (enum kind k = 0; k < KINDS; k++) {
		char full[128], part[128];
		size_t n = escape(k, full, sizeof full, in, sizeof in - 1), before = 0;
		for (size_t size = 0; size <= n; size++) {
			memset(part, '#', sizeof part);
			size_t m = escape(k, part, size, in, sizeof in - 1);
			assert_true(m <= size && m >= before);
			assert_memory_equal(part, full, m);
			assert_int_equal(part[m], '#');
			before = m;
		}
		assert_int_equal(before, n);
		assert_true(escape(k, part, 4, in, sizeof in - 1) <= 4);
	}
	char part[8];
	assert_int_equal(escape_json(part, 7, in, sizeof in - 1), 2); /* \u001b has six */
	assert_int_equal(escape_json(part, 8, in, sizeof in - 1), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escape__every_row__as_written_by_hand),
		cmocka_unit_test(escape_json__every_code_point__jansson_reads_the_same_back),
		cmocka_unit_test(escape__every_pair_of_bytes__stays_within_the_growth),
		cmocka_unit_test(escape_terminal__every_byte__prints_ascii_only),
		cmocka_unit_test(escape_html__every_code_point__no_markup_left),
		cmocka_unit_test(escape__no_room__stops_between_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
