#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/jsondoc.h"

static struct json_t *parse(const char *s, size_t n, struct jsondoc_fault *fault)
{
	return jsondoc_parse((struct slice){(const uint8_t *)s, n}, NULL, 0, fault);
}

static void parse__broken__each_by_its_reason(void **state)
{
	static const struct {
		const char *text;
		enum evparse_reason why;
	} bad[] = {
	    {"{\"pid\":1,\"pid\":2}", EVPARSE_DUP_KEY},
	    {"{\"a\":{\"b\":1,\"b\":1}}", EVPARSE_DUP_KEY},
	    {"{\"a\":\"\xff\"}", EVPARSE_ENCODING},
	    {"{\"a\":\"\xc0\xaf\"}", EVPARSE_ENCODING},
	    {"{\"a\":\"\\ud800\"}", EVPARSE_ENCODING},
	    {"{\"a\":\"\\udc00x\"}", EVPARSE_ENCODING},
	    {"{\"a\":\"\\ud800\\u0041\"}", EVPARSE_ENCODING},
	    {"{\"a\\u0000\":1}", EVPARSE_NUL_IN_KEY},
	    {"{\"a\":1e400}", EVPARSE_BAD_NUMBER},
	    {"{\"a\":99999999999999999999}", EVPARSE_BAD_NUMBER},
	    {"{\"a\":9223372036854775808}", EVPARSE_BAD_NUMBER},
	    {"{\"a\":01}", EVPARSE_SYNTAX},
	    {"{\"a\":\"\x1b\"}", EVPARSE_SYNTAX},
	    {"{\"a\":1}x", EVPARSE_SYNTAX},
	    {"{\"a\":}", EVPARSE_SYNTAX},
	    {"{'a':1}", EVPARSE_SYNTAX},
	    {"", EVPARSE_SYNTAX},
	};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct jsondoc_fault fault = {.why = EVPARSE_REASON_COUNT};
		assert_null(parse(bad[i].text, strlen(bad[i].text), &fault));
		if (fault.why != bad[i].why)
			fail_msg("%s: %d (%s)", bad[i].text, fault.why, fault.text);
	}
	struct jsondoc_fault fault;
	assert_null(parse("{\"a\":\"x\0y\"}", 11, &fault));
	assert_int_equal(fault.why, EVPARSE_NUL_IN_KEY);
}

static void read__every_type__exact(void **state)
{
	static const char text[] = "{\"min\":-9223372036854775808,\"max\":9223372036854775807,\"zero\":-0,"
				   "\"t\":\"a\\u0000b\\ud83d\\ude00\\u2028\","
				   "\"yes\":true,\"no\":false,\"nil\":null,\"r\":1.5,\"o\":{\"k\":[1,2]}}";
	struct jsondoc_fault fault;
	(void)state;
	struct json_t *root = parse(text, sizeof text - 1, &fault);
	assert_non_null(root);
	assert_true(jsondoc_int(jsondoc_get(root, "min")) == INT64_MIN);
	assert_true(jsondoc_int(jsondoc_get(root, "max")) == INT64_MAX);
	assert_int_equal(jsondoc_type(jsondoc_get(root, "zero")), JSONDOC_INT);
	struct slice t = jsondoc_text(jsondoc_get(root, "t"));
	assert_int_equal(t.n, 10);
	assert_memory_equal(t.p, "a\0b\xf0\x9f\x98\x80\xe2\x80\xa8", 10);
	assert_true(jsondoc_is_true(jsondoc_get(root, "yes")));
	assert_false(jsondoc_is_true(jsondoc_get(root, "no")));
	assert_int_equal(jsondoc_type(jsondoc_get(root, "nil")), JSONDOC_NULL);
	assert_int_equal(jsondoc_type(jsondoc_get(root, "r")), JSONDOC_REAL);
	assert_int_equal(jsondoc_type(jsondoc_get(root, "none")), JSONDOC_ABSENT);
	const struct json_t *list = jsondoc_get(jsondoc_get(root, "o"), "k");
	assert_int_equal(jsondoc_size(list), 2);
	assert_int_equal(jsondoc_int(jsondoc_at(list, 1)), 2);
	assert_null(jsondoc_at(list, 2));
	assert_null(jsondoc_get(list, "x"));
	assert_int_equal(jsondoc_size(NULL), 0);
	assert_int_equal(jsondoc_text(NULL).n, 0);
	jsondoc_free(root);
}

static void parse__with_cuts__what_is_out_is_never_read(void **state)
{
	static char text[4096];
	struct jsondoc_fault fault;
	(void)state;
	/* Long enough to cross the pieces jansson asks for. */
	size_t n = (size_t)sprintf(text, "{\"x\":\"%01500d\",", 7);
	size_t first = n;
	n += (size_t)sprintf(text + n, "\"Message\":\"\xff broken \\x\",");
	size_t first_n = n - first;
	n += (size_t)sprintf(text + n, "\"b\":2,");
	size_t second = n;
	n += (size_t)sprintf(text + n, "\"Task\":1e999,");
	const struct rowbuf_cut cuts[] = {{first, first_n}, {second, n - second}};
	n += (size_t)sprintf(text + n, "\"c\":3}");
	struct json_t *root = jsondoc_parse((struct slice){(const uint8_t *)text, n}, cuts, 2, &fault);
	assert_non_null(root);
	assert_int_equal(jsondoc_text(jsondoc_get(root, "x")).n, 1500);
	assert_int_equal(jsondoc_int(jsondoc_get(root, "b")), 2);
	assert_int_equal(jsondoc_int(jsondoc_get(root, "c")), 3);
	assert_null(jsondoc_get(root, "Message"));
	assert_null(jsondoc_get(root, "Task"));
	jsondoc_free(root);
}

static void depth__brackets_outside_strings__counted(void **state)
{
	(void)state;
	assert_int_equal(jsondoc_depth((struct slice){(const uint8_t *)"{\"[[[\\\"[\":[[]]}", 15}), 3);
	assert_int_equal(jsondoc_depth((struct slice){(const uint8_t *)"]]}1", 4}), 0);
	assert_int_equal(jsondoc_depth((struct slice){(const uint8_t *)"\"\\", 2}), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__broken__each_by_its_reason),
	    cmocka_unit_test(read__every_type__exact),
	    cmocka_unit_test(parse__with_cuts__what_is_out_is_never_read),
	    cmocka_unit_test(depth__brackets_outside_strings__counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
