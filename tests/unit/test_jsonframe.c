#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/jsonframe.h"

/* Rows as "line:text" or "line!reason", joined by |. */
struct heard {
	char text[2048];
	size_t n;
};

static int on_row(void *ctx, const struct rowbuf_row *row)
{
	struct heard *h = ctx;
	const char *bar = h->n ? "|" : "";
	if (row->why == EVPARSE_REASON_COUNT)
		h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s%u:%.*s", bar,
					 (unsigned)row->line, (int)row->text.n, (const char *)row->text.p);
	else
		h->n += (size_t)snprintf(h->text + h->n, sizeof h->text - h->n, "%s%u!%s", bar,
					 (unsigned)row->line, evparse_reason_names[row->why]);
	return 0;
}

static void frame(const char *text, size_t n, size_t chunk, size_t max, struct heard *h)
{
	struct jsonframe jf = {0};
	*h = (struct heard){.n = 0};
	jsonframe_begin(&jf, max, 1);
	for (size_t at = 0; at < n; at += chunk) {
		size_t piece = n - at < chunk ? n - at : chunk;
		char *copy = malloc(piece);
		assert_non_null(copy);
		memcpy(copy, text + at, piece);
		assert_int_equal(jsonframe_feed(&jf, copy, piece, on_row, h), 0);
		free(copy);
	}
	assert_int_equal(jsonframe_end(&jf, on_row, h), 0);
	jsonframe_free(&jf);
}

/* Whatever the chunks, the same rows. */
static void check_max(const char *text, size_t max, const char *want)
{
	static const size_t chunks[] = {1 << 20, 1, 2, 3, 7, 16};
	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		struct heard h;
		frame(text, strlen(text), chunks[i], max, &h);
		if (strcmp(h.text, want) != 0)
			fail_msg("chunk %zu of %s\n got %s\nwant %s", chunks[i], text, h.text, want);
	}
}

static void check(const char *text, const char *want)
{
	check_max(text, 1000, want);
}

static void ndjson__plain__a_row_a_line(void **state)
{
	(void)state;
	check("{\"a\":1}\n{\"b\":\"}{\"}\n", "1:{\"a\":1}|2:{\"b\":\"}{\"}");
	check("{\"a\":1}\r\n\r\n  {\"b\":[1,{}]}\r\n", "1:{\"a\":1}|3:{\"b\":[1,{}]}");
	check("{\"a\":1}\n{\"b\":2}", "1:{\"a\":1}|2:{\"b\":2}");
	check("{\"a\":1}{\"b\":2}\n", "1:{\"a\":1}|1:{\"b\":2}");
	check("{\"a\":\"\\\"}\\\\\"}\n{}", "1:{\"a\":\"\\\"}\\\\\"}|2:{}");
	check("", "");
	check("\n\n", "");
}

static void ndjson__broken_line__costs_itself(void **state)
{
	(void)state;
	check("{\"a\":1}\n{\"b\":\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n{\"b\":[{\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n{\"b\":\"x\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n{\"b\":\"x\\\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n{\"b\":1]}\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n{\"b\" {}}}\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\n}\n{\"c\":3}\n", "1:{\"a\":1}|2!syntax|3:{\"c\":3}");
	check("{\"a\":1}\nnonsense, more\n{\"c\":3}\n", "1:{\"a\":1}|2:nonsense, more|3:{\"c\":3}");
	check("{\"a\":1}\n17\n{\"c\":3}\n", "1:{\"a\":1}|2:17|3:{\"c\":3}");
	check("{\"a\":1} x\n{\"c\":3}\n", "1:{\"a\":1}|1:x|2:{\"c\":3}");
}

static void ndjson__first_line_broken__the_others_live(void **state)
{
	(void)state;
	check("{\"a\":\n{\"b\":2}\n{\"c\":3}\n", "1!syntax|2:{\"b\":2}|3:{\"c\":3}");
	check("{\"a\":1,\n{\"b\":2}\n{\"c\":3}\n", "1!syntax|2:{\"b\":2}|3:{\"c\":3}");
	check("{\"a\":[\n{\"b\":2}\n{\"c\":3}\n", "1!syntax|2:{\"b\":2}|3:{\"c\":3}");
	check("{\"a\":\"x\n{\"b\":2}\n{\"c\":3}\n", "1!syntax|2:{\"b\":2}|3:{\"c\":3}");
	check("{\"a\":\n{\"b\":2}\n", "1!cut_short|2:{\"b\":2}");
	check("{\"a\":\n{\"b\":2}\n{\"c\":\n{\"d\":4}\n{\"e\":5}",
	      "1!syntax|2:{\"b\":2}|3!syntax|4:{\"d\":4}|5:{\"e\":5}");
	check("}\n{\"b\":2}\n{\"c\":3}\n", "1!syntax|2:{\"b\":2}|3:{\"c\":3}");
}

static void last_row__no_newline__whole_or_cut(void **state)
{
	(void)state;
	check("{\"a\":1}\n{\"b\":", "1:{\"a\":1}|2!cut_short");
	check("{\"a\":1}\n{\"b\":\"", "1:{\"a\":1}|2!cut_short");
	check("{\"a\":1", "1!cut_short");
	check("{\n\"a\":1,\n\"b\":", "1!cut_short");
	check("{\"Results\":[{\"a\":1},\n{\"b\":2}", "1:{\"a\":1}|2:{\"b\":2}|1!cut_short");
}

static void document__pretty_row__one_row(void **state)
{
	(void)state;
	check("{\n  \"a\": 1,\n  \"b\": {\n    \"c\": []\n  }\n}\n{\n  \"d\": 2\n}\n",
	      "1:{\n  \"a\": 1,\n  \"b\": {\n    \"c\": []\n  }\n}|7:{\n  \"d\": 2\n}");
}

static void document__arrays_and_envelopes__rows_leave_one_by_one(void **state)
{
	(void)state;
	check("[{\"a\":1},{\"b\":2}]", "1:{\"a\":1}|1:{\"b\":2}");
	check("[\r\n  {\"a\":1},\r\n  {\r\n\"b\":2}\r\n]\r\n", "2:{\"a\":1}|3:{\r\n\"b\":2}");
	check("{\"records\":[{\"a\":1},{\"b\":[2]}]}\n{\"records\":[{\"c\":3}]}\n",
	      "1:{\"a\":1}|1:{\"b\":[2]}|2:{\"c\":3}");
	check("{\"Stats\":{\"x\":1},\"Schema\":[{\"Name\":\"a\"}],\"Results\":[{\"a\":1}]}", "1:{\"a\":1}");
	check("{\n \"schema\": [\n  {\"name\": \"a\"}\n ],\n \"results\": [\n  {\n   \"a\": 1\n  },\n  "
	      "{\"b\": 2}\n ]\n}",
	      "6:{\n   \"a\": 1\n  }|9:{\"b\": 2}");
	check("[{\"records\":[{\"a\":1}]},{\"records\":[{\"b\":2}],\"x\":1}]", "1:{\"a\":1}|1:{\"b\":2}");
	check("{\"@odata.context\":\"x\",\"value\":[{\"a\":1}]}", "1:{\"a\":1}");
	check("{\"records\":[]}\n{\"Results\":[ ]}\n{\"a\":1}\n", "3:{\"a\":1}");
	check("{\"value\":[1,2],\"a\":1}\n{\"records\":\"x\"}\n{\"x\":{\"records\":[{}]}}",
	      "1:{\"value\":[1,2],\"a\":1}|2:{\"records\":\"x\"}|3:{\"x\":{\"records\":[{}]}}");
	check("[1,\"two\",[3],{\"a\":1},null]", "1:1|1:\"two\"|1:[3]|1:{\"a\":1}|1:null");
}

static void document__broken_row__resumes_at_a_line_with_a_brace(void **state)
{
	(void)state;
	check("[\n{\"a\":1,\n{\"b\":2},\n{\"c\":3}\n]\n", "2!syntax|3:{\"b\":2}|4:{\"c\":3}");
	check("[\n{\n \"a\": \"x\n},\n{\n \"b\": 2\n}\n]\n", "2!syntax|5:{\n \"b\": 2\n}");
	check("{\"Results\":[\n{\"a\":1]},\n{\"b\":2}\n]}\n", "2!syntax|3:{\"b\":2}");
	check("{\n \"a\": 1,\n{\n \"b\": 2\n}\n", "1!syntax|3:{\n \"b\": 2\n}");
}

static void oversize__at_the_cap__dropped_and_the_next_taken(void **state)
{
	(void)state;
	check_max("{\"a\":12}\n{\"a\":123}\n{\"b\":1}\n", 8, "1:{\"a\":12}|2!oversize|3:{\"b\":1}");
	check_max("{\"a\":123456789}\n{\"b\":1}\n", 8, "1!oversize|2:{\"b\":1}");
	check_max("{\"a\":\"1234567890\n{\"b\":1}\n", 8, "1!oversize|2:{\"b\":1}");
	check_max("{\"Results\":[{\"a\":123456},{\"b\":1}]}", 8, "1!oversize|1:{\"b\":1}");
	check_max("{\"Stats\":\"longer than a row\",\"Results\":[{\"b\":1}]}", 8, "1:{\"b\":1}");
	check_max("{\"a\":1}\n{\"a\":123456", 8, "1:{\"a\":1}|2!oversize");
}

static void nesting__33__refused_and_32_taken(void **state)
{
	char deep[256] = "", want[512];
	(void)state;
	for (unsigned depth = 32; depth <= 33; depth++) {
		char *to = deep;
		to += sprintf(to, "{\"a\":");
		for (unsigned i = 1; i < depth; i++)
			*to++ = '[';
		for (unsigned i = 1; i < depth; i++)
			*to++ = ']';
		strcpy(to, "}\n{\"b\":1}\n");
		if (depth == 32)
			snprintf(want, sizeof want, "1:%.*s|2:{\"b\":1}", (int)(to + 1 - deep), deep);
		check(deep, depth == 32 ? want : "1!nesting|2:{\"b\":1}");
	}
}

static void nesting__hundred_thousand__no_stack_no_row(void **state)
{
	enum { DEPTH = 100000 };
	char *text = malloc(DEPTH * 6 + 64);
	(void)state;
	assert_non_null(text);
	for (int form = 0; form < 2; form++) {
		char *to = text;
		for (int i = 0; i < DEPTH; i++) {
			strcpy(to, form ? "{\"a\":" : "[");
			to += strlen(to);
		}
		strcpy(to, "\n{\"b\":1}\n{\"c\":2}\n");
		struct heard h;
		frame(text, strlen(text), 4096, 1 << 20, &h);
		assert_string_equal(h.text, "1!nesting|2:{\"b\":1}|3:{\"c\":2}");
	}
	free(text);
}

static void memory__hundred_megabytes__no_more_than_the_cap(void **state)
{
	struct jsonframe jf = {0};
	struct heard h = {.n = 0};
	static char block[65536];
	(void)state;
	memset(block, 'A', sizeof block);
	jsonframe_begin(&jf, 1 << 20, 1);
	assert_int_equal(jsonframe_feed(&jf, "{\"a\":\"", 6, on_row, &h), 0);
	for (int i = 0; i < 1600; i++)
		assert_int_equal(jsonframe_feed(&jf, block, sizeof block, on_row, &h), 0);
	assert_int_equal(jsonframe_feed(&jf, "\"}\n{\"b\":1}\n", 11, on_row, &h), 0);
	assert_true(jf.row.size <= 1 << 20);
	assert_int_equal(jsonframe_end(&jf, on_row, &h), 0);
	assert_string_equal(h.text, "1!oversize|2:{\"b\":1}");
	jsonframe_free(&jf);
}

/* What is left of a row once its cuts are out. */
struct rest {
	char text[256];
	size_t n_cuts;
};

static int on_cut_row(void *ctx, const struct rowbuf_row *row)
{
	struct rest *rest = ctx;
	size_t at = 0, n = 0;
	for (size_t i = 0; i < row->n_cuts; i++) {
		assert_true(row->cuts[i].at >= at && row->cuts[i].n <= row->text.n - row->cuts[i].at);
		memcpy(rest->text + n, row->text.p + at, row->cuts[i].at - at);
		n += row->cuts[i].at - at;
		at = row->cuts[i].at + row->cuts[i].n;
	}
	memcpy(rest->text + n, row->text.p + at, row->text.n - at);
	rest->text[n + row->text.n - at] = '\0';
	rest->n_cuts = row->n_cuts;
	return 0;
}

static void check_rest(const char *text, const char *want)
{
	size_t n = strlen(text);
	for (size_t chunk = 1; chunk <= n; chunk++) {
		struct jsonframe jf = {0};
		struct rest rest = {.n_cuts = 0};
		jsonframe_begin(&jf, 4000, 1);
		for (size_t at = 0; at < n; at += chunk)
			assert_int_equal(jsonframe_feed(&jf, text + at, n - at < chunk ? n - at : chunk,
							on_cut_row, &rest),
					 0);
		assert_string_equal(rest.text, want);
		jsonframe_free(&jf);
	}
}

static void cuts__members_nobody_reads__told_with_their_commas(void **state)
{
	(void)state;
	check_rest("{\"a\":1,\"Message\":\"he, said \\\"}x\\\"\",\"b\":2}\n", "{\"a\":1,\"b\":2}");
	check_rest("{\"Task\":{\"x\":[1,2],\"Task\":3},\"tags\":[1,{\"a\":2}] , \"b\":2}\n", "{ \"b\":2}");
	check_rest("{\"b\":{\"SHA1\":1,\"c\":2},\"Task\":3}\n", "{\"b\":{\"c\":2},\"Task\":3}");
	check_rest("{\"b\":{\"SHA1\":1},\"c\":\"Task\",\"Tas\\u006b\":1,\"d\":[\"Task\",2]}\n",
		   "{\"b\":{\"SHA1\":1},\"c\":\"Task\",\"Tas\\u006b\":1,\"d\":[\"Task\",2]}");
	check_rest("[{\"Task\":1,\"a\":1}]\n", "{\"a\":1}");
}

static void cuts__more_than_there_is_room_for__the_rest_stay(void **state)
{
	static char text[1024];
	struct jsonframe jf = {0};
	struct rest rest = {.n_cuts = 0};
	(void)state;
	size_t n = (size_t)sprintf(text, "{");
	for (int i = 0; i < JSONFRAME_MAX_CUTS + 5; i++)
		n += (size_t)sprintf(text + n, "\"Task\":%d,", i);
	n += (size_t)sprintf(text + n, "\"a\":1}\n");
	jsonframe_begin(&jf, 4000, 1);
	assert_int_equal(jsonframe_feed(&jf, text, n, on_cut_row, &rest), 0);
	assert_int_equal(rest.n_cuts, JSONFRAME_MAX_CUTS - 1);
	assert_non_null(strstr(rest.text, "{\"Task\":47,"));
	jsonframe_free(&jf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ndjson__plain__a_row_a_line),
	    cmocka_unit_test(ndjson__broken_line__costs_itself),
	    cmocka_unit_test(ndjson__first_line_broken__the_others_live),
	    cmocka_unit_test(last_row__no_newline__whole_or_cut),
	    cmocka_unit_test(document__pretty_row__one_row),
	    cmocka_unit_test(document__arrays_and_envelopes__rows_leave_one_by_one),
	    cmocka_unit_test(document__broken_row__resumes_at_a_line_with_a_brace),
	    cmocka_unit_test(oversize__at_the_cap__dropped_and_the_next_taken),
	    cmocka_unit_test(nesting__33__refused_and_32_taken),
	    cmocka_unit_test(nesting__hundred_thousand__no_stack_no_row),
	    cmocka_unit_test(memory__hundred_megabytes__no_more_than_the_cap),
	    cmocka_unit_test(cuts__members_nobody_reads__told_with_their_commas),
	    cmocka_unit_test(cuts__more_than_there_is_room_for__the_rest_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
