#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>

#include "dissect/evrow.h"

static struct scratch scratch;
static struct json_t *root;

static struct evrow open_json(const char *text)
{
	struct jsondoc_fault fault;
	jsondoc_free(root);
	root = jsondoc_parse((struct slice){(const uint8_t *)text, strlen(text)}, 0, 0, &fault);
	assert_non_null(root);
	struct evrow row = {.scratch = &scratch, .fault = {.why = EVPARSE_REASON_COUNT, .field = ""}};
	evrow_add_object(&row, root);
	return row;
}

static int teardown(void **state)
{
	(void)state;
	jsondoc_free(root);
	scratch_free(&scratch);
	return 0;
}

/* The reason why one read of x fails. */
static enum evparse_reason fault_of(const char *json, char reader)
{
	struct evrow row = open_json(json);
	uint64_t ns;
	uint16_t flags = 0;
	switch (reader) {
	case 'n':
		evrow_number(&row, "x", NULL, UINT32_MAX);
		break;
	case 'p':
		evrow_port(&row, "x", NULL);
		break;
	case 'a':
		evrow_address(&row, "x", NULL);
		break;
	case 'k':
		evrow_key(&row, "x", NULL);
		break;
	case 't':
		evrow_time(&row, "x", NULL, &ns, &flags);
		break;
	}
	return row.fault.why;
}

static void numbers__typed__no_saturation(void **state)
{
	static const struct {
		const char *json;
		char reader;
		enum evparse_reason why;
	} bad[] = {
	    {"{\"x\":1.5}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\"abc\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":true}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":-1}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":4294967296}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\"4294967296\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":{}}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\"0x\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\"99999999999999999999\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\"0xg\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":\" 1\"}", 'n', EVPARSE_BAD_NUMBER},
	    {"{\"x\":70000}", 'p', EVPARSE_BAD_PORT},
	    {"{\"x\":\"70000\"}", 'p', EVPARSE_BAD_PORT},
	    {"{\"x\":true}", 'p', EVPARSE_BAD_PORT},
	    {"{\"x\":80.0}", 'p', EVPARSE_BAD_PORT},
	    {"{\"x\":-80}", 'p', EVPARSE_BAD_PORT},
	    {"{\"x\":\"1.2.3\"}", 'a', EVPARSE_BAD_ADDRESS},
	    {"{\"x\":1}", 'a', EVPARSE_BAD_ADDRESS},
	    {"{\"x\":\"1.2.3.4\\u0000\"}", 'a', EVPARSE_NUL_IN_KEY},
	    {"{\"x\":\"a\\u0000b\"}", 'k', EVPARSE_NUL_IN_KEY},
	    {"{\"x\":\"today\"}", 't', EVPARSE_BAD_TIME},
	    {"{\"x\":true}", 't', EVPARSE_BAD_TIME},
	    {"{\"x\":\"9999-12-31T00:00:00Z\"}", 't', EVPARSE_BAD_TIME},
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (fault_of(bad[i].json, bad[i].reader) != bad[i].why)
			fail_msg("%s read as %c", bad[i].json, bad[i].reader);
	struct evrow row = open_json(
	    "{\"a\":4294967295,\"b\":\"0x1B30\",\"c\":\"17\",\"d\":-0,\"e\":\"-\",\"f\":null,\"g\":\"\"}");
	assert_int_equal(evrow_number(&row, "a", NULL, UINT32_MAX), UINT32_MAX);
	assert_int_equal(evrow_number(&row, "b", NULL, UINT32_MAX), 0x1b30);
	assert_int_equal(evrow_port(&row, "c", NULL), 17);
	assert_int_equal(evrow_port(&row, "d", NULL), 0);
	assert_int_equal(evrow_port(&row, "e", NULL), -1);
	assert_int_equal(evrow_port(&row, "f", NULL), -1);
	assert_int_equal(evrow_port(&row, "g", NULL), -1);
	assert_int_equal(evrow_port(&row, "h", NULL), -1);
	assert_false(evrow_failed(&row));
}

static void fault__the_first__stays(void **state)
{
	(void)state;
	struct evrow row = open_json("{\"a\":1.5,\"b\":70000}");
	evrow_number(&row, "a", NULL, 9);
	evrow_port(&row, "b", NULL);
	assert_int_equal(row.fault.why, EVPARSE_BAD_NUMBER);
	assert_string_equal(row.fault.field, "a");
}

static void address__every_spelling__binary(void **state)
{
	static const struct {
		const char *text, *ip;
		int family;
	} good[] = {{"10.0.0.7", "10.0.0.7", 4},
		    {"::ffff:10.0.0.7", "10.0.0.7", 4},
		    {"0:0:0:0:0:ffff:a00:7", "10.0.0.7", 4},
		    {"fe80:0:0:0:3b31:a8fa:5adc:7b9e", "fe80::3b31:a8fa:5adc:7b9e", 6},
		    {"fe80::1%12", "fe80::1", 6},
		    {"0:0:0:0:0:0:0:1", "::1", 6}};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		const struct evrow_field f = {slice_of("x"), slice_of(good[i].text), false};
		struct evrow row = {.scratch = &scratch, .fault = {.why = EVPARSE_REASON_COUNT}};
		evrow_add_table(&row, &f, 1);
		struct facts_addr a = evrow_address(&row, "x", NULL);
		uint8_t want[16];
		assert_int_equal(a.family, good[i].family);
		assert_int_equal(inet_pton(good[i].family == 4 ? AF_INET : AF_INET6, good[i].ip, want), 1);
		assert_memory_equal(a.ip, want, good[i].family == 4 ? 4 : 16);
	}
}

static void find__layers__in_order_and_by_path(void **state)
{
	(void)state;
	struct evrow row = open_json(
	    "{\"a\":\"outer\",\"p\":{\"q\":{\"r\":\"nested\"}},\"s.t\":\"flat\",\"u\":{\"v.w\":\"mixed\"}}");
	const struct evrow_field fields[] = {{slice_of("a"), slice_of("-"), false},
					     {slice_of("b"), slice_of("table"), false}};
	evrow_add_table(&row, fields, 2);
	row.ecs = root;
	assert_true(slice_is(evrow_text(&row, "a", NULL), "outer"));
	assert_true(slice_is(evrow_text(&row, "b", NULL), "table"));
	assert_true(slice_is(evrow_text(&row, "none", "p.q.r"), "nested"));
	assert_true(slice_is(evrow_text(&row, NULL, "s.t"), "flat"));
	assert_true(slice_is(evrow_text(&row, NULL, "u.v.w"), "mixed"));
	assert_false(evrow_has(&row, NULL, "p.q.x"));
	assert_false(evrow_has(&row, NULL, "a.b"));
	assert_false(evrow_has(&row, NULL, "1.2.3.4.5.6.7.8.9.10.11"));
}

static void add__more_layers_than_room__a_fault(void **state)
{
	(void)state;
	struct evrow row = open_json("{}");
	evrow_add_object(&row, root);
	evrow_add_object(&row, root);
	assert_false(evrow_failed(&row));
	evrow_add_object(&row, root);
	assert_int_equal(row.fault.why, EVPARSE_NESTING);
}

static void time__without_zone__given_or_missing(void **state)
{
	uint64_t ns = 0;
	uint16_t flags = 0;
	struct err err;
	(void)state;
	struct evrow row = open_json("{\"x\":\"2026-06-16 11:14:00\",\"y\":\"2026-06-16T15:14:00.5Z\"}");
	assert_true(evrow_time(&row, "x", NULL, &ns, &flags));
	assert_true(row.zone_missing);
	assert_int_equal(flags, PROCEVENT_FLOORED);
	assert_int_equal(evrow_time_maybe(&row, "x", NULL), 0);
	assert_int_equal(evrow_time_maybe(&row, "y", NULL), UINT64_C(1781622840500000000));
	struct evzone *zone = evzone_new("-04:00", NULL, 0, &err);
	row.zone = zone;
	row.zone_missing = false;
	assert_true(evrow_time(&row, "x", NULL, &ns, &flags));
	assert_false(row.zone_missing);
	assert_int_equal(ns, UINT64_C(1781622840000000000));
	assert_int_equal(evrow_time_maybe(&row, "x", NULL), ns);
	assert_false(evrow_time(&row, "none", NULL, &ns, &flags));
	evzone_free(zone);
}

static void embed__inner_json__bounded_and_once(void **state)
{
	char deep[80];
	(void)state;
	struct evrow row = open_json("{}");
	const struct json_t *in = evrow_embed(&row, "f", slice_of("{\"a\":1}"));
	assert_int_equal(jsondoc_int(jsondoc_get(in, "a")), 1);
	evrow_close(&row);
	assert_null(evrow_embed(&row, "f", slice_of("{\"a\":")));
	assert_int_equal(row.fault.why, EVPARSE_SYNTAX);
	row = open_json("{}");
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	deep[66] = '\0';
	assert_null(evrow_embed(&row, "f", slice_of(deep)));
	assert_int_equal(row.fault.why, EVPARSE_NESTING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers__typed__no_saturation),
	    cmocka_unit_test(fault__the_first__stays),
	    cmocka_unit_test(address__every_spelling__binary),
	    cmocka_unit_test(find__layers__in_order_and_by_path),
	    cmocka_unit_test(add__more_layers_than_room__a_fault),
	    cmocka_unit_test(time__without_zone__given_or_missing),
	    cmocka_unit_test(embed__inner_json__bounded_and_once),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
