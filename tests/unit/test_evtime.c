#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dissect/evtime.h"

static struct slice text(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

/* date -u -d ... +%s gave the seconds */
static void check(const char *s, uint64_t seconds, uint64_t fraction_ns, bool zoned, bool floored)
{
	struct evtime t;
	int r = evtime_parse(text(s), &t);
	if (r)
		print_message("%s: %d\n", s, r);
	assert_int_equal(r, 0);
	assert_int_equal(t.ns, seconds * EVTIME_NS + fraction_ns);
	assert_int_equal(t.zoned, zoned);
	assert_int_equal(t.floored, floored);
}

static void parse__rfc3339__every_number_of_digits(void **state)
{
	(void)state;
	check("2026-06-16T15:14:00Z", 1781622840, 0, true, true);
	check("2026-06-16T15:14:00.5Z", 1781622840, 500000000, true, false);
	check("2026-07-18T13:58:42.666487Z", 1784383122, 666487000, true, false);
	check("2026-07-18T13:59:00.0890446Z", 1784383140, 89044600, true, false);
	check("2022-05-11T18:10:20.399931000Z", 1652292620, 399931000, true, false);
	check("2026-06-16T15:14:00.123456789Z", 1781622840, 123456789, true, false);
}

static void parse__offsets__are_taken_off(void **state)
{
	(void)state;
	check("2026-06-16T11:14:00.5-04:00", 1781622840, 500000000, true, false);
	check("2026-06-16T11:14:00-0400", 1781622840, 0, true, true);
	check("2026-06-16 17:14:00 +02", 1781622840, 0, true, true);
	check("2026-06-16T20:44:00+05:30", 1781622840, 0, true, true);
	check("2026-06-16 15:14:00.000 UTC", 1781622840, 0, true, false);
}

static void parse__without_zone__says_so(void **state)
{
	(void)state;
	check("2020-09-22 18:53:05.769", 1600800785, 769000000, false, false);
	check("2020-09-22 14:53:05", 1600786385, 0, false, true);
	check("2026-06-16T15:14:00.250", 1781622840, 250000000, false, false);
}

static void parse__portal_forms__twelve_hours(void **state)
{
	(void)state;
	check("Jun 16, 2026 11:14:00 AM", 1781608440, 0, false, true);
	check("Jun 16, 2026 12:14:00 AM", 1781568840, 0, false, true);
	check("Jun 16, 2026 12:14:00 PM", 1781612040, 0, false, true);
	check("Jun 16, 2026 @ 11:14:00.250", 1781608440, 250000000, false, false);
	check("9/28/2026, 10:40:01.512 AM", 1790592001, 512000000, false, false);
	check("9/28/2026, 10:40:01.512 PM", 1790635201, 512000000, false, false);
	check("9/28/2026, 10:40:01.512\xe2\x80\xaf"
	      "AM",
	      1790592001, 512000000, false, false);
}

static void parse__numbers__told_apart_by_size(void **state)
{
	(void)state;
	check("/Date(1592306040000)/", 1592306040, 0, true, false);
	check("/Date(1592306040123+0200)/", 1592306040, 123000000, true, false);
	check("1592306040", 1592306040, 0, true, true);
	check("1592306040123", 1592306040, 123000000, true, false);
	check("1592306040123456", 1592306040, 123456000, true, false);
	check("1592306040123456789", 1592306040, 123456789, true, false);
	check("132367796401234567", 1592306040, 123456700, true,
	      false); /* FILETIME: (unix + 11644473600) * 10^7 */
}

static void parse__leap_second__is_the_next_minute(void **state)
{
	(void)state;
	check("2016-12-31T23:59:60Z", 1483228800, 0, true, true);
	check("2016-12-31T23:59:60.75Z", 1483228800, 0, true, false);
	struct evtime t;
	assert_int_equal(evtime_parse(text("2016-12-31T23:58:60Z"), &t), -EINVAL);
}

static void parse__out_of_range__erange(void **state)
{
	static const char *const bad[] = {"1970-01-01T00:00:00Z",
					  "1969-12-31T23:59:59Z",
					  "0001-01-01T00:00:00Z",
					  "9999-12-31T23:59:59Z",
					  "1601-01-01T00:00:00.000Z",
					  "/Date(0)/",
					  "116444736000000000",
					  "099999999",
					  "000000001"};
	struct evtime t;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(evtime_parse(text(bad[i]), &t), -ERANGE);
	check("1970-01-01T00:00:00.000000001Z", 0, 1, true, false);
	check("2553-12-31T23:59:59Z", 18429292799, 0, true, true);
}

static void parse__not_a_time__einval(void **state)
{
	static const char *const bad[] = {"",
					  "-",
					  "yesterday",
					  "2026-06-16",
					  "2026-02-29T00:00:00Z",
					  "2026-13-01T00:00:00Z",
					  "2026-06-16T24:00:00Z",
					  "2026-06-16T15:14:00,5Z",
					  "2026-06-16T15:14:00.Z",
					  "2026-06-16T15:14:00.1234567891Z",
					  "2026-06-16T15:14Z",
					  "2026-06-16T15:14:00+24:00",
					  "2026-06-16T15:14:00Zx",
					  "28/09/2026, 10:40:01",
					  "9/28/2026, 22:40:01",
					  "9/28/2026, 13:40:01 PM",
					  "28/9/2026, 10:40:01 AM",
					  "Juni 16, 2026 11:14:00 AM",
					  "99999999999999999999",
					  "/Date(x)/",
					  "/Date(5",
					  "12345678",
					  "2026-06-16T15:61:00Z"};
	struct evtime t = {.ns = 77};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (evtime_parse(text(bad[i]), &t) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(t.ns, 77);
	}
}

static void days__whole_range__equals_libc(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 213300; day += 13) {
		time_t s = day * 86400;
		struct tm tm;
		gmtime_r(&s, &tm);
		assert_int_equal(
		    evtime_days(tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday), day);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__rfc3339__every_number_of_digits),
	    cmocka_unit_test(parse__offsets__are_taken_off),
	    cmocka_unit_test(parse__without_zone__says_so),
	    cmocka_unit_test(parse__portal_forms__twelve_hours),
	    cmocka_unit_test(parse__numbers__told_apart_by_size),
	    cmocka_unit_test(parse__leap_second__is_the_next_minute),
	    cmocka_unit_test(parse__out_of_range__erange),
	    cmocka_unit_test(parse__not_a_time__einval),
	    cmocka_unit_test(days__whole_range__equals_libc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
