/* jsonout: what it writes, jansson reads; numbers to their limits, times against libc's calendar. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <jansson.h>

#include "detect/sinks/jsonout.h"
#include "tests/unit/tell.h"

static json_t *parsed(const struct jsonout *j)
{
	json_error_t e;
	json_t *doc = json_loadb(j->text, j->n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!doc)
		print_message("%s at %d in %.*s\n", e.text, e.position, (int)j->n, j->text);
	assert_non_null(doc);
	return doc;
}

static void jsonout__nested_record__reads_back_member_by_member(void **state)
{
	(void)state;
	struct jsonout j = {0};
	jsonout_open(&j, NULL);
	jsonout_open(&j, "empty");
	jsonout_close(&j);
	jsonout_open_array(&j, "none");
	jsonout_close_array(&j);
	jsonout_open_array(&j, "list");
	jsonout_u64(&j, NULL, 1);
	jsonout_open(&j, NULL);
	jsonout_bool(&j, "yes", true);
	jsonout_bool(&j, "no", false);
	jsonout_close(&j);
	jsonout_open_array(&j, NULL);
	jsonout_string(&j, NULL, "x");
	jsonout_string(&j, NULL, "y");
	jsonout_close_array(&j);
	jsonout_close_array(&j);
	jsonout_string(&j, "after", "z");
	jsonout_close(&j);
	jsonout_newline(&j);
	assert_int_equal(j.text[j.n - 1], '\n');
	assert_memory_equal(j.text, "{\"empty\":{},\"none\":[],\"list\":[1,{\"yes\":true,\"no\":false},[\"x\",\"y\"]],\"after\":\"z\"}\n", j.n);
	json_decref(parsed(&j));
	jsonout_done(&j);
}

static void jsonout_string__unknown__writes_nothing(void **state)
{
	(void)state;
	struct jsonout j = {0};
	jsonout_open(&j, NULL);
	jsonout_string(&j, "a", NULL);
	jsonout_string(&j, "b", "");
	jsonout_u64(&j, "c", 0);
	jsonout_close(&j);
	assert_int_equal(j.n, 7);
	assert_memory_equal(j.text, "{\"c\":0}", 7);
	jsonout_done(&j);
}

static void jsonout_string__hostile__one_line_that_parses(void **state)
{
	(void)state;
	struct jsonout j = {0};
	jsonout_open(&j, NULL);
	jsonout_string(&j, "text", TELL_HOSTILE);
	jsonout_close(&j);
	jsonout_raw(&j, "", 0);
	assert_null(memchr(j.text, '\n', j.n));
	json_t *doc = parsed(&j);
	const char *text = json_string_value(json_object_get(doc, "text"));
	assert_non_null(strstr(text, "a\x1b[2J\x07\r\n\xc2\x9b" "31m\xe2\x80\xae"));
	assert_non_null(strstr(text, "\\xff\\xc0\\xaf</script><img src=x onerror=alert(1)>\"'`&|=1+1\\%n%s"));
	json_decref(doc);
	jsonout_done(&j);
}

/* Larger than the first buffer many times over, every byte of the dearest kind. */
static void jsonout_string__a_megabyte_of_controls__grows(void **state)
{
	(void)state;
	enum { N = 1 << 20 };
	char *text = malloc(N + 1);
	assert_non_null(text);
	memset(text, 1, N);
	text[N] = '\0';
	struct jsonout j = {0};
	jsonout_open_array(&j, NULL);
	jsonout_string(&j, NULL, text);
	jsonout_close_array(&j);
	assert_false(j.failed);
	assert_int_equal(j.n, 4 + 6 * N);
	json_t *doc = parsed(&j);
	assert_int_equal(json_string_length(json_array_get(doc, 0)), N);
	assert_memory_equal(json_string_value(json_array_get(doc, 0)), text, N);
	json_decref(doc);
	jsonout_done(&j);
	free(text);
}

static void jsonout__limits__digits_as_printf(void **state)
{
	(void)state;
	static const uint64_t u[] = {0, 9, 10, 9007199254740991, UINT64_MAX};
	static const int64_t s[] = {0, -1, 1, INT64_MAX, INT64_MIN};
	for (size_t i = 0; i < 5; i++) {
		struct jsonout j = {0};
		char text[64];
		jsonout_open_array(&j, NULL);
		jsonout_u64(&j, NULL, u[i]);
		jsonout_i64(&j, NULL, s[i]);
		jsonout_close_array(&j);
		int n = snprintf(text, sizeof text, "[%" PRIu64 ",%" PRId64 "]", u[i], s[i]);
		assert_int_equal(j.n, n);
		assert_memory_equal(j.text, text, j.n);
		jsonout_done(&j);
	}
}

static void jsonout_ms__doubles__at_most_three_decimals(void **state)
{
	(void)state;
	static const struct {
		double in;
		const char *out;
	} rows[] = {{0, "[0.0]"}, {388, "[388.0]"}, {0.1, "[0.1]"}, {-0.75, "[-0.75]"}, {1.2345, "[1.235]"}, {-1.2345, "[-1.235]"}, {0.0004, "[0.0]"},
		    {-0.0004, "[0.0]"}, {0.0005, "[0.001]"}, {999.9996, "[1000.0]"}, {3600000, "[3600000.0]"}, {-7200000.125, "[-7200000.125]"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jsonout j = {0};
		jsonout_open_array(&j, NULL);
		jsonout_ms(&j, NULL, rows[i].in);
		jsonout_close_array(&j);
		assert_int_equal(j.n, strlen(rows[i].out));
		assert_memory_equal(j.text, rows[i].out, j.n);
		jsonout_done(&j);
	}
}

static void jsonout_ms__no_number__still_json(void **state)
{
	(void)state;
	static const double rows[] = {1e300, -1e300, __builtin_inf(), -__builtin_inf(), __builtin_nan("")};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct jsonout j = {0};
		jsonout_open_array(&j, NULL);
		jsonout_ms(&j, NULL, rows[i]);
		jsonout_close_array(&j);
		json_decref(parsed(&j));
		jsonout_done(&j);
	}
}

static void jsonout_time__known_moments__as_the_calendar_says(void **state)
{
	(void)state;
	static const struct {
		uint64_t t_ns;
		const char *text;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000000+00:00"},
		{999, "1970-01-01T00:00:00.000000+00:00"},
		{1772442862226787901, "2026-03-02T09:14:22.226787+00:00"},
		{UINT64_C(951782400) * 1000000000, "2000-02-29T00:00:00.000000+00:00"},  /* a leap century */
		{UINT64_C(1709251199) * 1000000000 + 999999999, "2024-02-29T23:59:59.999999+00:00"},
		{UINT64_C(1740787199) * 1000000000, "2025-02-28T23:59:59.000000+00:00"},
		{UINT64_C(1740787200) * 1000000000, "2025-03-01T00:00:00.000000+00:00"},
		{UINT64_C(2147483648) * 1000000000, "2038-01-19T03:14:08.000000+00:00"},
		{UINT64_C(4107542399) * 1000000000, "2100-02-28T23:59:59.000000+00:00"}, /* no leap century */
		{UINT64_C(4107542400) * 1000000000, "2100-03-01T00:00:00.000000+00:00"},
		{UINT64_C(4294967295) * 1000000000, "2106-02-07T06:28:15.000000+00:00"}, /* the last second of a pcap */
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[33];
		jsonout_time_text(text, rows[i].t_ns);
		assert_string_equal(text, rows[i].text);
	}
}

static void jsonout_time__every_day_until_2554__as_libc_says(void **state)
{
	(void)state;
	for (uint64_t day = 0; day < UINT64_MAX / 1000000000 / 86400; day++) {
		uint64_t t_s = day * 86400 + day * 7919 % 86400;
		time_t t = (time_t)t_s;
		struct tm tm;
		char want[40], got[33];
		assert_non_null(gmtime_r(&t, &tm));
		strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%S.123456+00:00", &tm);
		jsonout_time_text(got, t_s * 1000000000 + 123456789);
		assert_string_equal(got, want);
	}
}

static void jsonout_time__as_members__quoted(void **state)
{
	(void)state;
	struct jsonout j = {0};
	jsonout_open(&j, NULL);
	jsonout_time(&j, "t", 0);
	jsonout_second(&j, "s", 1772442840);
	jsonout_close(&j);
	static const char want[] = "{\"t\":\"1970-01-01T00:00:00.000000+00:00\",\"s\":\"2026-03-02T09:14:00Z\"}";
	assert_int_equal(j.n, sizeof want - 1);
	assert_memory_equal(j.text, want, j.n);
	jsonout_done(&j);
}

static void jsonout_clear__after_a_record__next_begins_clean(void **state)
{
	(void)state;
	struct jsonout j = {0};
	jsonout_open(&j, NULL);
	jsonout_u64(&j, "a", 1);
	jsonout_clear(&j);
	jsonout_open(&j, NULL);
	jsonout_u64(&j, "b", 2);
	jsonout_close(&j);
	assert_int_equal(j.n, 7);
	assert_memory_equal(j.text, "{\"b\":2}", 7);
	jsonout_done(&j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jsonout__nested_record__reads_back_member_by_member),
		cmocka_unit_test(jsonout_string__unknown__writes_nothing),
		cmocka_unit_test(jsonout_string__hostile__one_line_that_parses),
		cmocka_unit_test(jsonout_string__a_megabyte_of_controls__grows),
		cmocka_unit_test(jsonout__limits__digits_as_printf),
		cmocka_unit_test(jsonout_ms__doubles__at_most_three_decimals),
		cmocka_unit_test(jsonout_ms__no_number__still_json),
		cmocka_unit_test(jsonout_time__known_moments__as_the_calendar_says),
		cmocka_unit_test(jsonout_time__every_day_until_2554__as_libc_says),
		cmocka_unit_test(jsonout_time__as_members__quoted),
		cmocka_unit_test(jsonout_clear__after_a_record__next_begins_clean),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
