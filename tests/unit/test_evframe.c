#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/evframe.h"

struct heard {
	char text[2048];
	size_t n;
};

static void say(struct heard *h, const char *what, const struct rowbuf_row *row)
{
	const char *bar = h->n ? "|" : "";
	if (row->why == EVPARSE_REASON_COUNT)
		h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s%s%u:%.*s", bar, what,
					 (unsigned)row->line, (int)row->text.n, (const char *)row->text.p);
	else
		h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s%s%u!%s", bar, what,
					 (unsigned)row->line, evparse_reason_names[row->why]);
}

static int on_json(void *ctx, const struct rowbuf_row *row)
{
	say(ctx, "j", row);
	return 0;
}

static int on_csv(void *ctx, const struct rowbuf_row *row)
{
	say(ctx, "c", row);
	return 0;
}

/* Headers of this test start with H; HX stops. */
static int on_header(void *ctx, struct slice line, uint64_t number, char *ret_delimiter)
{
	if (!line.n || line.p[0] != 'H')
		return 0;
	say(ctx, "h", &(struct rowbuf_row){.text = line, .line = number, .why = EVPARSE_REASON_COUNT});
	*ret_delimiter = ',';
	return line.n > 1 && line.p[1] == 'X' ? -1006 : 1;
}

static int frame(const char *text, size_t n, size_t chunk, size_t max, struct heard *h)
{
	struct evframe ef = {0};
	const struct evframe_ops ops = {on_header, on_json, on_csv, h};
	int r = 0;
	*h = (struct heard){.n = 0};
	evframe_begin(&ef, max, &ops);
	for (size_t at = 0; at < n && !r; at += chunk) {
		size_t piece = n - at < chunk ? n - at : chunk;
		char *copy = malloc(piece);
		assert_non_null(copy);
		memcpy(copy, text + at, piece);
		r = evframe_feed(&ef, copy, piece);
		free(copy);
	}
	if (!r)
		r = evframe_end(&ef);
	evframe_free(&ef);
	return r;
}

static void check_bytes(const char *text, size_t n, size_t max, const char *want, int result)
{
	static const size_t chunks[] = {1 << 20, 1, 2, 3, 5};
	static struct heard h;
	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		assert_int_equal(frame(text, n, chunks[i], max, &h), result);
		if (strcmp(h.text, want) != 0)
			fail_msg("chunk %zu of %s\n got %s\nwant %s", chunks[i], text, h.text, want);
	}
}

static void check(const char *text, const char *want)
{
	check_bytes(text, strlen(text), 1000, want, 0);
}

static void form__json_or_csv__by_the_first_line(void **state)
{
	(void)state;
	check("{\"a\":1}\nH,x\n", "j1:{\"a\":1}|j2:H,x");
	check(" \r\n\n[{\"a\":1}]", "j3:{\"a\":1}");
	check("H,x\r\n1,2\r\n{3},4\r\n", "h1:H,x|c2:1,2|c3:{3},4");
	check("H,x\n1,2", "h1:H,x|c2:1,2");
	check("H,x", "h1:H,x");
	check("#TYPE System.Object\r\nH,x\r\n1,2\r\n", "h2:H,x|c3:1,2");
	check("sep=,\nH,x\n1,2\n", "h2:H,x|c3:1,2");
	check("", "");
	check(" \n\r\n", "");
}

static void preamble__tail_of_a_rotated_line__refused_and_the_rest_read(void **state)
{
	(void)state;
	check("indows\\\\x.exe\"}\n{\"a\":1}\n", "c1!syntax|j2:{\"a\":1}");
	check_bytes("a\nb\nc\nd\ne\nf\ng\n{\"a\":1}\n", 22, 1000,
		    "c1!syntax|c2!syntax|c3!syntax|c4!syntax|c5!syntax|c6!syntax|c7!syntax|j8:{\"a\":1}", 0);
	check_bytes("a\nb\nc\nd\ne\nf\ng\nh\n{\"a\":1}\n", 24, 1000,
		    "c1!syntax|c2!syntax|c3!syntax|c4!syntax|c5!syntax|c6!syntax|c7!syntax|c8!syntax",
		    LT_EFORMAT);
	check_bytes("a\nb\n", 4, 1000, "c1!syntax|c2!syntax", LT_EFORMAT);
	check_bytes("abc", 3, 1000, "c1!syntax", LT_EFORMAT);
	check_bytes("aaaaaaaaaaaaaaaaaaaaa\n{\"a\":1}\n", 30, 10, "c1!oversize|j2:{\"a\":1}", 0);
}

static void header__that_stops__its_code_comes_back(void **state)
{
	(void)state;
	check_bytes("HX,y\n1,2\n", 9, 1000, "h1:HX,y", -1006);
}

static void csv__newlines_in_quotes__one_row_with_its_first_line(void **state)
{
	(void)state;
	check("H,x\n1,\"a\nb\"\n\"c \"\"d\"\"\r\ne\" ,2\n3,4\n",
	      "h1:H,x|c2:1,\"a\nb\"|c4:\"c \"\"d\"\"\r\ne\" ,2|c6:3,4");
	check("H,x\n1,a\"b\n2,3\n", "h1:H,x|c2:1,a\"b|c3:2,3");
	check("H,x\n1, \"a\nb\"\n\n\r\n2,3\n", "h1:H,x|c2:1, \"a\nb\"|c6:2,3");
	check("H,x\n1,\"a\"b\n\",2\n", "h1:H,x|c2:1,\"a\"b\n\",2");
}

static void csv__open_quote__cut_or_dropped_at_the_cap(void **state)
{
	(void)state;
	check("H,x\n1,2\n3,\"4\n5", "h1:H,x|c2:1,2|c3!cut_short");
	check_bytes("H,x\n1,\"aaaaaaaaaaaaa\n2,3\n", 25, 8, "h1:H,x|c2!oversize|c3:2,3", 0);
	check_bytes("H,x\naaaaaaaaaaaaaaaaa\n2,3\n", 26, 8, "h1:H,x|c2!oversize|c3:2,3", 0);
	check_bytes("H,x\n12345678\n123456789\n", 23, 8, "h1:H,x|c2:12345678|c3!oversize", 0);
}

static void mark__of_utf8__taken_off_once(void **state)
{
	(void)state;
	check("\xef\xbb\xbf{\"a\":1}\n", "j1:{\"a\":1}");
	check("\xef\xbb\xbfH,x\n1,2\n", "h1:H,x|c2:1,2");
	check("\xef\xbb\xbf\xef\xbb\xbf{\"a\":1}\n{}\n", "c1!syntax|j2:{}");
	check_bytes("\xef\xbb", 2, 1000, "c1!syntax", LT_EFORMAT);
}

static void mark__of_utf16__text_is_turned_to_utf8(void **state)
{
	/* {"a":"e-acute, U+1F600"} CR LF {} */
	static const char little[] =
	    "\xff\xfe{\0\"\0a\0\"\0:\0\"\0\xe9\0\x3d\xd8\x00\xde\"\0}\0\r\0\n\0{\0}\0";
	static const char big[] = "\xfe\xff\0{\0}\0\n\0[\0{\0}\0]";
	(void)state;
	check_bytes(little, sizeof little - 1, 1000, "j1:{\"a\":\"\xc3\xa9\xf0\x9f\x98\x80\"}|j2:{}", 0);
	check_bytes(big, sizeof big - 1, 1000, "j1:{}|j2:{}", 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(form__json_or_csv__by_the_first_line),
	    cmocka_unit_test(preamble__tail_of_a_rotated_line__refused_and_the_rest_read),
	    cmocka_unit_test(header__that_stops__its_code_comes_back),
	    cmocka_unit_test(csv__newlines_in_quotes__one_row_with_its_first_line),
	    cmocka_unit_test(csv__open_quote__cut_or_dropped_at_the_cap),
	    cmocka_unit_test(mark__of_utf8__taken_off_once),
	    cmocka_unit_test(mark__of_utf16__text_is_turned_to_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
