#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dissect/evzone.h"

static void fixed__every_spelling__its_offset(void **state)
{
	static const struct {
		const char *text;
		int32_t offset_s;
	} good[] = {{"UTC", 0},    {"Z", 0},          {"+02:00", 7200}, {"-0400", -14400},
		    {"+02", 7200}, {"+05:30", 19800}, {"-0930", -34200}};
	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct err err;
		struct evzone *ez = evzone_new(good[i].text, NULL, 0, &err);
		assert_non_null(ez);
		bool twice = true;
		assert_int_equal(evzone_offset_at(ez, 1781622840), good[i].offset_s);
		assert_int_equal(evzone_to_utc(ez, 1781622840, &twice), 1781622840 - good[i].offset_s);
		assert_false(twice);
		evzone_free(ez);
	}
}

static void fixed__nonsense__refused_with_a_word(void **state)
{
	static const char *const bad[] = {"",      "Europe/Berlin", "+2",    "+24:00", "+02:60", "02:00",
					  "+02:0", "+0200x",        "UTC+2", "+::",    "+020"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err err = {0};
		if (evzone_new(bad[i], NULL, 0, &err))
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, LT_ECONF);
	}
}

/* A TZif file of version 2 with one type and no transition; the footer does the work. */
static size_t slim(uint8_t *to, const char *footer)
{
	uint8_t head[44] = "TZif2";
	head[39] = 1; /* one type */
	head[43] = 4; /* "UTC\0" */
	const uint8_t type_and_name[10] = {0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0};
	size_t n = 0;
	for (int block = 0; block < 2; block++) {
		memcpy(to + n, head, sizeof head);
		memcpy(to + n + sizeof head, type_and_name, sizeof type_and_name);
		n += sizeof head + sizeof type_and_name;
	}
	return n + (size_t)sprintf((char *)to + n, "\n%s\n", footer);
}

static struct evzone *of_footer(const char *footer)
{
	uint8_t bytes[256];
	struct err err = {0};
	return evzone_new("Test/Zone", bytes, slim(bytes, footer), &err);
}

static void tail__berlin__gap_and_overlap(void **state)
{
	(void)state;
	struct evzone *ez = of_footer("CET-1CEST,M3.5.0,M10.5.0/3");
	bool twice;
	assert_non_null(ez);
	/* 2026: forward on 29 March 01:00 UTC (1774746000), back on 25 October 01:00 UTC (1792890000) */
	assert_int_equal(evzone_offset_at(ez, 1774745999), 3600);
	assert_int_equal(evzone_offset_at(ez, 1774746000), 7200);
	assert_int_equal(evzone_offset_at(ez, 1792889999), 7200);
	assert_int_equal(evzone_offset_at(ez, 1792890000), 3600);
	/* 02:30 on 29 March does not exist: offset before, so 01:30 UTC */
	assert_int_equal(evzone_to_utc(ez, 1774751400, &twice), 1774747800);
	assert_false(twice);
	/* 02:30 on 25 October twice: first is 00:30 UTC */
	assert_int_equal(evzone_to_utc(ez, 1792895400, &twice), 1792888200);
	assert_true(twice);
	/* 03:00 on 25 October once: 02:00 UTC */
	assert_int_equal(evzone_to_utc(ez, 1792897200, &twice), 1792893600);
	assert_false(twice);
	evzone_free(ez);
}

static void tail__broken__refused(void **state)
{
	static const char *const bad[] = {"C-1",
					  "CET",
					  "CET-1CEST",
					  "CET-1CEST,M3.5.0",
					  "CET-1CEST,M13.5.0,M10.5.0",
					  "CET-1CEST,M3.6.0,M10.5.0",
					  "CET-1CEST,J0,J300",
					  "CET-1CEST,366,10",
					  "<CET-1",
					  "CET-1x",
					  "CET-200",
					  "CET-1CEST,M3.5.0,M10.5.0/3x"};
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (of_footer(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void tail__other_forms__as_posix_says(void **state)
{
	(void)state;
	struct evzone *ez = of_footer("<+0330>-3:30<+0430>,J79/24,J263/24");
	assert_non_null(ez);
	/* J79 is 20 March, /24 its end: 2023-03-20T20:30:00Z; J263 is 20 September: 2023-09-20T19:30:00Z */
	assert_int_equal(evzone_offset_at(ez, 1679344199), 12600);
	assert_int_equal(evzone_offset_at(ez, 1679344200), 16200);
	assert_int_equal(evzone_offset_at(ez, 1695238199), 16200);
	assert_int_equal(evzone_offset_at(ez, 1695238200), 12600);
	evzone_free(ez);
	ez = of_footer("EST5");
	assert_non_null(ez);
	assert_int_equal(evzone_offset_at(ez, 1695238200), -18000);
	evzone_free(ez);
}

static void tzif__cut_anywhere__refused(void **state)
{
	uint8_t bytes[256];
	(void)state;
	size_t n = slim(bytes, "CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t i = 0; i < n; i++) {
		uint8_t *copy = malloc(i + 1);
		assert_non_null(copy);
		memcpy(copy, bytes, i);
		struct err err;
		struct evzone *ez = evzone_new("x", copy, i, &err);
		assert_null(ez);
		free(copy);
	}
	memset(bytes + 54 + 32, 0xff, 4); /* transitions: 2^32 - 1 */
	struct err err;
	assert_null(evzone_new("x", bytes, n, &err));
}

static size_t load(const char *name, uint8_t *to, size_t size)
{
	char path[128];
	snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	size_t n = fread(to, 1, size, f);
	fclose(f);
	return n;
}

/* libc reads the same files: every offset it finds, at 3-hour steps over 140 years, must be ours; and local
 * time must come back. */
static void tzif__real_zones__equal_libc(void **state)
{
	static const char *const names[] = {"Europe/Berlin",     "America/New_York",
					    "Asia/Kolkata",      "Australia/Lord_Howe",
					    "Africa/Casablanca", "America/Santiago",
					    "Pacific/Apia",      "Asia/Tehran",
					    "Europe/Dublin",     "UTC"};
	static uint8_t bytes[65536];
	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		size_t n = load(names[i], bytes, sizeof bytes);
		if (!n) {
			print_message("SKIPPED: no /usr/share/zoneinfo/%s\n", names[i]);
			skip();
		}
		struct err err;
		struct evzone *ez = evzone_new(names[i], bytes, n, &err);
		assert_non_null(ez);
		setenv("TZ", names[i], 1);
		tzset();
		for (time_t s = 86400; s < (time_t)4417891200; s += 10800 + 7) {
			struct tm tm;
			bool twice;
			localtime_r(&s, &tm);
			if (evzone_offset_at(ez, s) != tm.tm_gmtoff)
				fail_msg("%s at %lld: %d, libc %ld", names[i], (long long)s,
					 evzone_offset_at(ez, s), tm.tm_gmtoff);
			int64_t back = evzone_to_utc(ez, s + tm.tm_gmtoff, &twice);
			if (back != s && !(twice && back < s && back >= s - 7200))
				fail_msg("%s: %lld came back as %lld", names[i], (long long)s,
					 (long long)back);
		}
		evzone_free(ez);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fixed__every_spelling__its_offset),
	    cmocka_unit_test(fixed__nonsense__refused_with_a_word),
	    cmocka_unit_test(tail__berlin__gap_and_overlap),
	    cmocka_unit_test(tail__broken__refused),
	    cmocka_unit_test(tail__other_forms__as_posix_says),
	    cmocka_unit_test(tzif__cut_anywhere__refused),
	    cmocka_unit_test(tzif__real_zones__equal_libc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
