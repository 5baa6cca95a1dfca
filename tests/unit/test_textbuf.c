/* textbuf: text that grows, escaped where it is not ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "detect/sinks/textbuf.h"
#include "tests/unit/tell.h"

static void textbuf__parts_of_all_kinds__one_terminated_text(void **state)
{
	(void)state;
	struct textbuf b = {0};
	textbuf_put(&b, "<p>");
	textbuf_html(&b, "<&>", 99);
	textbuf_html(&b, NULL, 99);
	textbuf_html(&b, "", 99);
	textbuf_f(&b, " %d ", 7);
	textbuf_grouped(&b, 0);
	textbuf_put(&b, " ");
	textbuf_grouped(&b, 999);
	textbuf_put(&b, " ");
	textbuf_grouped(&b, 52428800);
	textbuf_put(&b, " ");
	textbuf_grouped(&b, UINT64_MAX);
	textbuf_put(&b, " ");
	textbuf_time(&b, tell_t0_ns);
	textbuf_put(&b, " ");
	textbuf_second(&b, tell_t0_ns);
	assert_string_equal(b.text, "<p>&lt;&amp;&gt; 7 0 999 52,428,800 18,446,744,073,709,551,615 2026-03-02 09:14:22.226Z 2026-03-02 09:14:22Z");
	assert_int_equal(b.n, strlen(b.text));
	textbuf_clear(&b);
	assert_string_equal(b.text, "");
	textbuf_terminal(&b, "\x1b]0;");
	textbuf_cef(&b, "a=b|", false);
	textbuf_cef(&b, "a=b|", true);
	assert_string_equal(b.text, "\\x1b]0;a\\=b|a=b\\|");
	textbuf_done(&b);
	assert_null(b.text);
}

/* Grows at every size, the terminator always in place: what the sanitizer would see is a byte too few. */
static void textbuf__every_length__holds_it(void **state)
{
	(void)state;
	enum { N = 40000 };
	char *text = malloc(N + 1);
	assert_non_null(text);
	memset(text, '\'', N);
	for (size_t n = 0; n <= N; n += n < 64 || n > 2700 ? 1 + n / 64 : 1) {
		struct textbuf b = {0};
		text[n] = '\0';
		textbuf_put(&b, "x");
		textbuf_html(&b, text, N);
		assert_false(b.failed);
		assert_int_equal(b.n, 1 + 5 * n);
		assert_int_equal(strlen(b.text), b.n);
		textbuf_done(&b);
		text[n] = '\'';
	}
	free(text);
}

static void textbuf_html__hostile__no_markup_and_no_controls(void **state)
{
	(void)state;
	struct textbuf b = {0};
	textbuf_html(&b, TELL_HOSTILE, 1000);
	assert_null(strpbrk(b.text, "<>\"'`"));
	assert_true(tell_is_tame(b.text, b.n));
	assert_non_null(strstr(b.text, "a\\u{1b}[2J\\u{7}\\u{d}\\u{a}\\u{9b}31m\\u{202e}exe.\\u{200b}\\xff\\xc0\\xaf&lt;/script&gt;"));
	textbuf_done(&b);
}

static void textbuf_html__too_long__cut_between_characters_and_said(void **state)
{
	(void)state;
	static const struct {
		size_t max;
		const char *want;
	} rows[] = {{0, "\xe2\x80\xa6 (7 more bytes)"}, {1, "a\xe2\x80\xa6 (6 more bytes)"}, {3, "a\xe2\x80\xa6 (6 more bytes)"},
		    {5, "a\xf0\x9f\x98\x80\xe2\x80\xa6 (2 more bytes)"}, {6, "a\xf0\x9f\x98\x80" "b\xe2\x80\xa6 (1 more bytes)"},
		    {7, "a\xf0\x9f\x98\x80" "bc"}, {99, "a\xf0\x9f\x98\x80" "bc"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct textbuf b = {0};
		textbuf_html(&b, "a\xf0\x9f\x98\x80" "bc", rows[i].max);
		assert_string_equal(b.text, rows[i].want);
		textbuf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(textbuf__parts_of_all_kinds__one_terminated_text),
		cmocka_unit_test(textbuf__every_length__holds_it),
		cmocka_unit_test(textbuf_html__too_long__cut_between_characters_and_said),
		cmocka_unit_test(textbuf_html__hostile__no_markup_and_no_controls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
