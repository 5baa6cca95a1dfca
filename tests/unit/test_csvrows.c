#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/base/err.h"
#include "dissect/csvrows.h"

static struct csvrows *cr;

static int setup(void **state)
{
	(void)state;
	cr = csvrows_new();
	return cr ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	csvrows_free(cr);
	return 0;
}

static void check(const char *row, char delimiter, size_t n, const char *const *want)
{
	const struct slice *fields;
	size_t got;
	assert_int_equal(
	    csvrows_split(cr, (struct slice){(const uint8_t *)row, strlen(row)}, delimiter, &fields, &got),
	    0);
	assert_int_equal(got, n);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(fields[i].n, strlen(want[i]));
		assert_memory_equal(fields[i].p, want[i], fields[i].n);
	}
}

static void split__rfc4180__quotes_newlines_and_empty_fields(void **state)
{
	(void)state;
	check("a,b,c", ',', 3, (const char *[]){"a", "b", "c"});
	check("a,,", ',', 3, (const char *[]){"a", "", ""});
	check("\"x, \"\"y\"\"\r\nz\",2", ',', 2, (const char *[]){"x, \"y\"\r\nz", "2"});
	check("a;\"b;c\";d,e", ';', 3, (const char *[]){"a", "b;c", "d,e"});
	check("a\tb", '\t', 2, (const char *[]){"a", "b"});
	check("\"a\",", ',', 2, (const char *[]){"a", ""});
}

static void split__not_one_row__refused_and_the_next_taken(void **state)
{
	(void)state;
	const struct slice *fields;
	size_t n;
	static const char *const bad[] = {"a\nb", "a\rb", "", "\n"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(csvrows_split(cr, (struct slice){(const uint8_t *)bad[i], strlen(bad[i])},
					       ',', &fields, &n),
				 LT_EFORMAT);
		check("a,b", ',', 2, (const char *[]){"a", "b"});
	}
}

static void split__at_the_cap_of_fields__256_and_no_more(void **state)
{
	(void)state;
	char row[CSVROWS_MAX_FIELDS + 1];
	const struct slice *fields;
	size_t n;
	memset(row, ',', sizeof row);
	assert_int_equal(
	    csvrows_split(cr, (struct slice){(uint8_t *)row, CSVROWS_MAX_FIELDS - 1}, ',', &fields, &n), 0);
	assert_int_equal(n, CSVROWS_MAX_FIELDS);
	assert_int_equal(
	    csvrows_split(cr, (struct slice){(uint8_t *)row, CSVROWS_MAX_FIELDS}, ',', &fields, &n),
	    LT_EFORMAT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(split__rfc4180__quotes_newlines_and_empty_fields),
	    cmocka_unit_test(split__not_one_row__refused_and_the_next_taken),
	    cmocka_unit_test(split__at_the_cap_of_fields__256_and_no_more),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
