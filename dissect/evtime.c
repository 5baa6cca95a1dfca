#include "dissect/evtime.h"

#include <errno.h>
#include <string.h>

enum { MAX_YEAR = 2553 };

static const uint64_t pow10_9[] = {1000000000, 100000000, 10000000, 1000000, 100000, 10000, 1000, 100, 10, 1};

struct civil {
	unsigned year, month, day, hour, minute, second;
	uint64_t fraction_ns;
	unsigned digits;
	bool zoned;
	int64_t offset_s;
};

int64_t evtime_days(int64_t year, unsigned month, unsigned day)
{
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month == 2 && leap ? 29 : days[month - 1];
}

static int peek(const struct bytes *b)
{
	return bytes_left(b) ? *b->at : -1;
}

static bool next_is(struct bytes *b, const char *text)
{
	size_t n = strlen(text);
	if (bytes_left(b) < n || memcmp(b->at, text, n) != 0)
		return false;
	b->at += n;
	return true;
}

/* Plain and no-break spaces: browsers' locale formats write U+202F before AM. */
static bool skip_spaces(struct bytes *b)
{
	const uint8_t *was = b->at;
	while (next_is(b, " ") || next_is(b, "\xe2\x80\xaf") || next_is(b, "\xc2\xa0"))
		;
	return b->at != was;
}

/* min..max digits; fails b otherwise. */
static unsigned digits(struct bytes *b, unsigned min, unsigned max)
{
	unsigned v = 0, n = 0;
	for (; n < max && peek(b) >= '0' && peek(b) <= '9'; n++)
		v = v * 10 + (unsigned)(bytes_u8(b) - '0');
	if (n < min)
		b->failed = true;
	return v;
}

static void expect(struct bytes *b, const char *text)
{
	if (!next_is(b, text))
		b->failed = true;
}

static void read_fraction(struct bytes *b, struct civil *t)
{
	if (!next_is(b, "."))
		return;
	uint64_t v = 0;
	while (t->digits < 9 && peek(b) >= '0' && peek(b) <= '9') {
		v = v * 10 + (uint64_t)(bytes_u8(b) - '0');
		t->digits++;
	}
	if (!t->digits)
		b->failed = true;
	t->fraction_ns = v * pow10_9[t->digits];
}

static void read_clock(struct bytes *b, struct civil *t, unsigned min_hour_digits)
{
	t->hour = digits(b, min_hour_digits, 2);
	expect(b, ":");
	t->minute = digits(b, 2, 2);
	expect(b, ":");
	t->second = digits(b, 2, 2);
	read_fraction(b, t);
}

/* True if AM or PM was there. */
static bool read_half(struct bytes *b, struct civil *t)
{
	bool pm = next_is(b, "PM");
	if (!pm && !next_is(b, "AM"))
		return false;
	if (t->hour < 1 || t->hour > 12)
		b->failed = true;
	t->hour = t->hour % 12 + (pm ? 12 : 0);
	return true;
}

static void read_offset(struct bytes *b, struct civil *t)
{
	skip_spaces(b);
	if (next_is(b, "Z") || next_is(b, "z") || next_is(b, "UTC")) {
		t->zoned = true;
		return;
	}
	int sign = peek(b);
	if (sign != '+' && sign != '-')
		return;
	bytes_u8(b);
	unsigned hours = digits(b, 2, 2), minutes = 0;
	bool colon = next_is(b, ":");
	if (colon || (peek(b) >= '0' && peek(b) <= '9'))
		minutes = digits(b, 2, 2);
	if (hours > 23 || minutes > 59)
		b->failed = true;
	int64_t s = (int64_t)hours * 3600 + (int64_t)minutes * 60;
	t->offset_s = sign == '-' ? -s : s;
	t->zoned = true;
}

static void read_iso(struct bytes *b, struct civil *t)
{
	t->year = digits(b, 4, 4);
	expect(b, "-");
	t->month = digits(b, 2, 2);
	expect(b, "-");
	t->day = digits(b, 2, 2);
	if (!next_is(b, "T") && !next_is(b, "t"))
		expect(b, " ");
	read_clock(b, t, 2);
	read_offset(b, t);
}

static unsigned read_month(struct bytes *b)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const uint8_t *name = bytes_take(b, 3);
	for (unsigned i = 0; name && i < 12; i++)
		if (!memcmp(months + 3 * (size_t)i, name, 3))
			return i + 1;
	b->failed = true;
	return 1;
}

static void read_named_month(struct bytes *b, struct civil *t)
{
	t->month = read_month(b);
	expect(b, " ");
	t->day = digits(b, 1, 2);
	expect(b, ", ");
	t->year = digits(b, 4, 4);
	next_is(b, ",");
	skip_spaces(b);
	if (next_is(b, "@"))
		skip_spaces(b);
	read_clock(b, t, 1);
	skip_spaces(b);
	read_half(b, t);
}

static void read_month_first(struct bytes *b, struct civil *t)
{
	t->month = digits(b, 1, 2);
	expect(b, "/");
	t->day = digits(b, 1, 2);
	expect(b, "/");
	t->year = digits(b, 4, 4);
	next_is(b, ",");
	skip_spaces(b);
	read_clock(b, t, 1);
	skip_spaces(b);
	if (!read_half(b, t))
		b->failed = true;
}

static int of_civil(const struct civil *t, struct evtime *ret)
{
	bool leap_second = t->second == 60 && t->minute == 59;
	if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > days_in(t->year, t->month) ||
	    t->hour > 23 || t->minute > 59 || (t->second > 59 && !leap_second))
		return -EINVAL;
	int64_t s = evtime_days(t->year, t->month, t->day) * 86400 + (int64_t)t->hour * 3600 +
		    (int64_t)t->minute * 60 + t->second - t->offset_s;
	uint64_t fraction_ns = leap_second ? 0 : t->fraction_ns;
	if (t->year > MAX_YEAR || s < 0 || (s == 0 && !fraction_ns))
		return -ERANGE;
	*ret = (struct evtime){(uint64_t)s * EVTIME_NS + fraction_ns, t->zoned, !t->digits};
	return 0;
}

static int of_units(uint64_t n, uint64_t per_s, struct evtime *ret)
{
	if (!n || n / per_s > UINT64_C(18000000000))
		return -ERANGE;
	*ret = (struct evtime){n / per_s * EVTIME_NS + n % per_s * (EVTIME_NS / per_s), true, per_s == 1};
	return 0;
}

int evtime_of_filetime(uint64_t filetime, struct evtime *ret)
{
	const uint64_t to_1970 = UINT64_C(116444736000000000);
	return filetime <= to_1970 ? -ERANGE : of_units(filetime - to_1970, 10000000, ret);
}

int evtime_of_number(int64_t n, struct evtime *ret)
{
	const int64_t march_1973 = 100000000; /* seconds; below it a number is a count, not a time */
	if (n < march_1973)
		return -ERANGE;
	uint64_t u = (uint64_t)n;
	if (u < UINT64_C(100000000000))
		return of_units(u, 1, ret);
	if (u < UINT64_C(100000000000000))
		return of_units(u, 1000, ret);
	if (u < UINT64_C(100000000000000000))
		return of_units(u, 1000000, ret);
	if (u < UINT64_C(1000000000000000000))
		return evtime_of_filetime(u, ret);
	return of_units(u, EVTIME_NS, ret);
}

static int read_number(struct bytes *b, int64_t *ret)
{
	int64_t v = 0;
	const uint8_t *was = b->at;
	while (peek(b) >= '0' && peek(b) <= '9')
		if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, bytes_u8(b) - '0', &v))
			return -EINVAL;
	*ret = v;
	return b->at == was ? -EINVAL : 0;
}

/* The offset that may follow the number only says how to show it. */
static int read_dotnet(struct bytes *b, struct evtime *ret)
{
	int64_t ms;
	struct civil ignored = {0};
	int r = read_number(b, &ms);
	if (r)
		return r;
	read_offset(b, &ignored);
	expect(b, ")/");
	if (b->failed || bytes_left(b))
		return -EINVAL;
	return ms <= 0 ? -ERANGE : of_units((uint64_t)ms, 1000, ret);
}

static bool all_digits(const struct bytes *b)
{
	for (const uint8_t *p = b->at; p < b->end; p++)
		if (*p < '0' || *p > '9')
			return false;
	return bytes_left(b) > 0;
}

int evtime_parse(struct slice text, struct evtime *ret)
{
	struct bytes b = bytes_of(text.p, text.n);
	struct civil t = {0};
	skip_spaces(&b);
	if (next_is(&b, "/Date("))
		return read_dotnet(&b, ret);
	if (all_digits(&b)) {
		int64_t n;
		int r = bytes_left(&b) < 9 || bytes_left(&b) > 19 ? -EINVAL : read_number(&b, &n);
		return r ? r : evtime_of_number(n, ret);
	}
	if (bytes_left(&b) > 4 && b.at[4] == '-')
		read_iso(&b, &t);
	else if (peek(&b) >= 'A' && peek(&b) <= 'Z')
		read_named_month(&b, &t);
	else
		read_month_first(&b, &t);
	skip_spaces(&b);
	if (b.failed || bytes_left(&b))
		return -EINVAL;
	return of_civil(&t, ret);
}
