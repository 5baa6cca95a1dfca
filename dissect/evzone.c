#include "dissect/evzone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/bytes.h"
#include "dissect/evtime.h"

enum { MAX_TRANSITIONS = 4096, DAY_S = 86400, WEEK_HOURS = 167 };

/* One end of daylight time as a POSIX TZ string gives it (RFC 9636 section 3.3). */
struct rule {
	char form; /* 'M' week of month, 'J' day without leap day, 'D' day of year from 0 */
	unsigned month, week, day;
	int32_t time_s;
};

/* What holds after the last transition. */
struct tail {
	bool has, has_dst;
	int32_t std_s, dst_s;
	struct rule start, end;
};

struct transition {
	int64_t utc_s;
	int32_t offset_s;
};

struct evzone {
	int32_t first_s; /* before the first transition; the only offset of a fixed zone */
	struct tail tail;
	size_t n;
	struct transition at[];
};

static unsigned number(struct bytes *b)
{
	unsigned v = 0;
	size_t n = 0;
	for (; n < 4 && bytes_left(b) && *b->at >= '0' && *b->at <= '9'; n++)
		v = v * 10 + (unsigned)(bytes_u8(b) - '0');
	if (!n)
		b->failed = true;
	return v;
}

static bool next_is(struct bytes *b, char c)
{
	if (!bytes_left(b) || *b->at != (uint8_t)c)
		return false;
	b->at++;
	return true;
}

/* [+-]hh[:mm[:ss]], seconds. */
static int32_t clock_s(struct bytes *b)
{
	bool minus = next_is(b, '-');
	if (!minus)
		next_is(b, '+');
	unsigned h = number(b), m = 0, s = 0;
	if (next_is(b, ':'))
		m = number(b);
	if (next_is(b, ':'))
		s = number(b);
	if (h > WEEK_HOURS || m > 59 || s > 59)
		b->failed = true;
	int32_t v = (int32_t)(h * 3600 + m * 60 + s);
	return minus ? -v : v;
}

static void skip_name(struct bytes *b)
{
	size_t n = 0;
	if (next_is(b, '<')) {
		while (bytes_left(b) && !next_is(b, '>'))
			b->at++;
		return;
	}
	for (; bytes_left(b) && ((*b->at | 0x20) >= 'a' && (*b->at | 0x20) <= 'z'); n++)
		b->at++;
	if (n < 3)
		b->failed = true;
}

static struct rule read_rule(struct bytes *b)
{
	struct rule r = {.form = 'D', .time_s = 7200};
	if (next_is(b, 'M')) {
		r.form = 'M';
		r.month = number(b);
		if (!next_is(b, '.'))
			b->failed = true;
		r.week = number(b);
		if (!next_is(b, '.'))
			b->failed = true;
		r.day = number(b);
		if (r.month < 1 || r.month > 12 || r.week < 1 || r.week > 5 || r.day > 6)
			b->failed = true;
	} else {
		if (next_is(b, 'J'))
			r.form = 'J';
		r.day = number(b);
		if (r.day > 365 || (r.form == 'J' && r.day < 1))
			b->failed = true;
	}
	if (next_is(b, '/'))
		r.time_s = clock_s(b);
	return r;
}

static int read_tail(struct bytes *b, struct tail *ret)
{
	struct tail t = {.has = true};
	skip_name(b);
	t.std_s = -clock_s(b);
	if (!b->failed && bytes_left(b)) {
		t.has_dst = true;
		skip_name(b);
		t.dst_s = t.std_s + 3600;
		if (bytes_left(b) && *b->at != ',')
			t.dst_s = -clock_s(b);
		if (!next_is(b, ','))
			b->failed = true;
		t.start = read_rule(b);
		if (!next_is(b, ','))
			b->failed = true;
		t.end = read_rule(b);
	}
	if (b->failed || bytes_left(b))
		return LT_ECONF;
	*ret = t;
	return 0;
}

static bool is_leap(int64_t year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Local seconds since 1970 at which the rule strikes. */
static int64_t rule_s(const struct rule *r, int64_t year)
{
	int64_t day;
	if (r->form == 'M') {
		int64_t first = evtime_days(year, r->month, 1);
		int64_t next =
		    r->month == 12 ? evtime_days(year + 1, 1, 1) : evtime_days(year, r->month + 1, 1);
		int64_t weekday = ((first + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
		day = first + ((int64_t)r->day - weekday + 7) % 7 + ((int64_t)r->week - 1) * 7;
		if (day >= next)
			day -= 7;
	} else if (r->form == 'J') {
		day = evtime_days(year, 1, 1) + r->day - 1 + (is_leap(year) && r->day >= 60);
	} else {
		day = evtime_days(year, 1, 1) + r->day;
	}
	return day * DAY_S + r->time_s;
}

static int64_t year_of(int64_t s)
{
	int64_t year = 1970 + s / 31556952;
	while (evtime_days(year, 1, 1) * DAY_S > s)
		year--;
	while (evtime_days(year + 1, 1, 1) * DAY_S <= s)
		year++;
	return year;
}

static int32_t tail_offset(const struct tail *t, int64_t utc_s)
{
	if (!t->has_dst)
		return t->std_s;
	int64_t year = year_of(utc_s + t->std_s);
	int64_t start = rule_s(&t->start, year) - t->std_s;
	int64_t end = rule_s(&t->end, year) - t->dst_s;
	bool dst = start < end ? utc_s >= start && utc_s < end : utc_s >= start || utc_s < end;
	return dst ? t->dst_s : t->std_s;
}

int32_t evzone_offset_at(const struct evzone *ez, int64_t utc_s)
{
	if (!ez->n || utc_s < ez->at[0].utc_s)
		return ez->n || !ez->tail.has ? ez->first_s : tail_offset(&ez->tail, utc_s);
	if (utc_s >= ez->at[ez->n - 1].utc_s && ez->tail.has)
		return tail_offset(&ez->tail, utc_s);
	size_t low = 0, high = ez->n;
	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;
		if (ez->at[mid].utc_s <= utc_s)
			low = mid;
		else
			high = mid;
	}
	return ez->at[low].offset_s;
}

int64_t evzone_to_utc(const struct evzone *ez, int64_t local_s, bool *ret_twice)
{
	int32_t before = evzone_offset_at(ez, local_s - DAY_S);
	int32_t after = evzone_offset_at(ez, local_s + DAY_S);
	*ret_twice = false;
	if (before == after)
		return local_s - before;
	bool fits_before = evzone_offset_at(ez, local_s - before) == before;
	bool fits_after = evzone_offset_at(ez, local_s - after) == after;
	*ret_twice = fits_before && fits_after;
	return fits_after && !fits_before ? local_s - after : local_s - before;
}

/* Counts of one TZif header. */
struct counts {
	uint32_t isut, isstd, leap, time, type, chars;
	uint8_t version;
};

static int read_header(struct bytes *b, struct counts *c)
{
	const uint8_t *magic = bytes_take(b, 4);
	if (!magic || memcmp(magic, "TZif", 4) != 0)
		return LT_ECONF;
	c->version = bytes_u8(b);
	bytes_skip(b, 15);
	c->isut = bytes_u32(b);
	c->isstd = bytes_u32(b);
	c->leap = bytes_u32(b);
	c->time = bytes_u32(b);
	c->type = bytes_u32(b);
	c->chars = bytes_u32(b);
	return b->failed || c->time > MAX_TRANSITIONS || !c->type || c->type > 256 ? LT_ECONF : 0;
}

static size_t body_bytes(const struct counts *c, size_t time_bytes)
{
	return (size_t)c->time * (time_bytes + 1) + (size_t)c->type * 6 + c->chars +
	       (size_t)c->leap * (time_bytes + 4) + c->isstd + c->isut;
}

static struct evzone *read_body(struct bytes *b, const struct counts *c)
{
	struct evzone *ez = calloc(1, sizeof *ez + c->time * sizeof ez->at[0]);
	if (!ez)
		return NULL;
	int32_t offsets[256] = {0};
	for (uint32_t i = 0; i < c->time; i++)
		ez->at[i].utc_s = (int64_t)bytes_u64(b);
	const uint8_t *types = bytes_take(b, c->time);
	for (uint32_t i = 0; i < c->type; i++) {
		offsets[i] = (int32_t)bytes_u32(b);
		bytes_skip(b, 2);
	}
	bytes_skip(b, (size_t)c->chars + (size_t)c->leap * 12 + c->isstd + c->isut);
	ez->n = c->time;
	ez->first_s = offsets[0];
	for (uint32_t i = 0; !b->failed && i < c->time; i++) {
		ez->at[i].offset_s = offsets[types[i]];
		b->failed = types[i] >= c->type || (i && ez->at[i].utc_s <= ez->at[i - 1].utc_s);
	}
	return ez;
}

static struct evzone *of_tzif(struct bytes *b)
{
	struct counts c;
	if (read_header(b, &c) || c.version < '2' || !bytes_skip(b, body_bytes(&c, 4)) || read_header(b, &c))
		return NULL;
	struct evzone *ez = read_body(b, &c);
	if (!ez)
		return NULL;
	if (!next_is(b, '\n'))
		b->failed = true;
	const uint8_t *nl = b->failed ? NULL : memchr(b->at, '\n', bytes_left(b));
	struct bytes footer = bytes_of(b->at, nl ? (size_t)(nl - b->at) : 0);
	if (!nl || (bytes_left(&footer) && read_tail(&footer, &ez->tail))) {
		free(ez);
		return NULL;
	}
	return ez;
}

/* +hh, +hhmm, +hh:mm, Z, UTC */
static bool fixed_offset(const char *text, int32_t *ret_s)
{
	*ret_s = 0;
	if (!strcmp(text, "Z") || !strcmp(text, "UTC"))
		return true;
	if ((*text != '+' && *text != '-') || strspn(text + 1, "0123456789:") != strlen(text + 1))
		return false;
	unsigned h, m = 0;
	size_t n = strlen(text);
	struct bytes b = bytes_of(text + 1, n - 1);
	if (n == 5) {
		struct bytes hours = bytes_block(&b, 2);
		h = number(&hours);
		m = number(&b);
	} else {
		h = number(&b);
		if (n == 6 && next_is(&b, ':'))
			m = number(&b);
	}
	if ((n != 3 && n != 5 && n != 6) || b.failed || bytes_left(&b) || h > 23 || m > 59)
		return false;
	int32_t s = (int32_t)(h * 3600 + m * 60);
	*ret_s = *text == '-' ? -s : s;
	return true;
}

struct evzone *evzone_new(const char *text, const void *tzif, size_t tzif_bytes, struct err *err)
{
	struct evzone *ez;
	int32_t offset_s;
	if (tzif) {
		struct bytes b = bytes_of(tzif, tzif_bytes);
		ez = of_tzif(&b);
		if (!ez)
			err_set(err, LT_ECONF, "time zone %s: not a time zone file of version 2 or later",
				text ? text : "");
		return ez;
	}
	if (!text || !fixed_offset(text, &offset_s)) {
		err_set(err, LT_ECONF, "time zone %s: neither a known zone nor an offset such as +02:00",
			text ? text : "");
		return NULL;
	}
	ez = calloc(1, sizeof *ez);
	if (!ez) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	ez->first_s = offset_s;
	return ez;
}

void evzone_free(struct evzone *ez)
{
	free(ez);
}
