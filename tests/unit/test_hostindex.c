#include "detect/hostindex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct find_case {
	const char *name;
	int value; /* -1: nothing */
	const char *open;
};

static const char *const patterns[] = {
    ".core.test",      /* 0 */
    "a.core.test",     /* 1 */
    "*.core.test",     /* 2 */
    "x*.core.test",    /* 3 */
    "s3.*.aws.test",   /* 4 */
    "*.s3.*.aws.test", /* 5 */
    ".e2*.com",        /* 6 */
    "m*z.*.zone.test", /* 7 */
    ".test",           /* 8 */
    "single",          /* 9 */
    ".deep.core.test", /* 10 */
};

static struct hostindex *build(const char *const *list, size_t n)
{
	struct hostindex *hi = hostindex_new();
	assert_non_null(hi);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(hostindex_check(list[i]), 0);
		assert_int_equal(hostindex_add(hi, list[i], (uint32_t)i, (unsigned)i), 0);
	}
	assert_int_equal(hostindex_seal(hi), 0);
	return hi;
}

static void find__each_form__by_the_written_rules(void **state)
{
	(void)state;
	static const struct find_case cases[] = {
	    {"a.core.test", 1, ""},            /* exact beats pattern beats suffix */
	    {"b.core.test", 2, "b"},           /* pattern beats suffix */
	    {"q.deep.core.test", 2, "q.deep"}, /* also than a longer suffix */
	    {"c.b.core.test", 2, "c.b"},       /* "*." is one or more labels */
	    {"core.test", 0, ""},              /* a suffix is the name itself too */
	    {"xy.core.test", 3, "y"},          /* more literals */
	    {"x.core.test", 3, ""},            /* a star in a label may be nothing */
	    {"q.xy.core.test", 2, "q.xy"},     /* but not a dot */
	    {"s3.eu.aws.test", 4, "eu"},
	    {"s3..aws.test", 8, "s3..aws"}, /* a whole label is not nothing */
	    {"b.s3.eu.aws.test", 5, "b"},
	    {"b.c.s3.eu.aws.test", 5, "b.c"},
	    {"s3.eu.x.aws.test", 8, "s3.eu.x.aws"},
	    {"e2.com", 6, ""},
	    {"u.v.e2x.com", 6, "u.v"},
	    {"xe2.com", -1, ""},
	    {"mz.a.zone.test", 7, ""},
	    {"m-z.a.zone.test", 7, "-"},
	    {"m.a.zone.test", 8, "m.a.zone"},
	    {"z.core.testing", -1, ""},
	    {"core.test.evil", -1, ""},
	    {"xcore.test", 8, "xcore"},
	    {"single", 9, ""},
	    {"a.single", -1, ""},
	    {"", -1, ""},
	    {".", -1, ""},
	    {"..test", 8, "."},
	    {"test", 8, ""},
	};
	struct hostindex *hi = build(patterns, sizeof patterns / sizeof *patterns);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct hostindex_hit hit = {0};
		bool found = hostindex_find(hi, cases[i].name, UINT32_MAX, &hit);
		if (found != (cases[i].value >= 0) || (found && (int)hit.value != cases[i].value))
			fail_msg("%s: %d, want %d", cases[i].name, found ? (int)hit.value : -1,
				 cases[i].value);
		if (found && (hit.open_len != strlen(cases[i].open) ||
			      (hit.open_len && memcmp(hit.open, cases[i].open, hit.open_len))))
			fail_msg("%s: open \"%.*s\"", cases[i].name, (int)hit.open_len, hit.open);
	}
	hostindex_free(hi);
}

static void find__masked__next_best(void **state)
{
	(void)state;
	struct hostindex *hi = build(patterns, sizeof patterns / sizeof *patterns);
	struct hostindex_hit hit;
	assert_true(hostindex_find(hi, "a.core.test", ~(1u << 1), &hit));
	assert_int_equal(hit.value, 2);
	assert_true(hostindex_find(hi, "a.core.test", 1u << 8, &hit));
	assert_int_equal(hit.value, 8);
	assert_false(hostindex_find(hi, "a.core.test", 1u << 9, &hit));
	hostindex_free(hi);
}

static void find__equal_patterns__smaller_value(void **state)
{
	(void)state;
	static const char *const twice[] = {".a.b", "x.y", ".a.b"};
	struct hostindex *hi = build(twice, 3);
	struct hostindex_hit hit;
	assert_true(hostindex_find(hi, "q.a.b", UINT32_MAX, &hit));
	assert_int_equal(hit.value, 0);
	hostindex_free(hi);
}

static void find__empty_index__nothing(void **state)
{
	(void)state;
	struct hostindex *hi = build(NULL, 0);
	struct hostindex_hit hit;
	assert_false(hostindex_find(hi, "a.b", UINT32_MAX, &hit));
	hostindex_free(hi);
}

static void check__bad_patterns__column(void **state)
{
	(void)state;
	static const struct {
		const char *pattern;
		size_t column;
	} cases[] = {
	    {"a.b", 0},  {".a", 0},  {"*.a", 0}, {"a*.b", 0},  {"", 1},           {".", 1},    {"*", 1},
	    {"a..b", 3}, {"a.", 2},  {"A.b", 1}, {"a b", 2},   {"a*b*.c", 4},     {"a.b*", 4}, {"a.*", 3},
	    {"..a", 2},  {"a/b", 2}, {"a_b", 0}, {"*.*.a", 0}, {"\xc3\xa9.a", 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (hostindex_check(cases[i].pattern) != cases[i].column)
			fail_msg("\"%s\": %zu, want %zu", cases[i].pattern, hostindex_check(cases[i].pattern),
				 cases[i].column);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(find__each_form__by_the_written_rules),
	    cmocka_unit_test(find__masked__next_best),
	    cmocka_unit_test(find__equal_patterns__smaller_value),
	    cmocka_unit_test(find__empty_index__nothing),
	    cmocka_unit_test(check__bad_patterns__column),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
