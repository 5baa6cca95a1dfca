#include "detect/sinks/jsonout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detect/sinks/escape.h"

static bool grow(struct jsonout *j, size_t n)
{
	if (j->failed)
		return false;
	size_t size = j->size ? j->size * 2 : 8192;
	while (size - j->n < n)
		size *= 2;
	char *grown = realloc(j->text, size);
	if (!grown) {
		j->failed = true;
		return false;
	}
	j->text = grown;
	j->size = size;
	return true;
}

static inline bool room(struct jsonout *j, size_t n)
{
	return j->size - j->n >= n || grow(j, n);
}

static void put(struct jsonout *j, const char *s, size_t n)
{
	if (!room(j, n))
		return;
	memcpy(j->text + j->n, s, n);
	j->n += n;
}

static inline void put_c(struct jsonout *j, char c)
{
	if (room(j, 1))
		j->text[j->n++] = c;
}

/* Asks for room once: a record has some sixty members. */
static inline void lead(struct jsonout *j, const char *key)
{
	size_t n = key ? strlen(key) : 0;
	if (!room(j, n + 4))
		return;
	char *at = j->text + j->n;
	if (j->comma)
		*at++ = ',';
	j->comma = true;
	if (key) {
		*at++ = '"';
		memcpy(at, key, n);
		at += n;
		*at++ = '"';
		*at++ = ':';
	}
	j->n = (size_t)(at - j->text);
}

void jsonout_done(struct jsonout *j)
{
	free(j->text);
	*j = (struct jsonout){0};
}

void jsonout_clear(struct jsonout *j)
{
	j->n = 0;
	j->comma = false;
	j->failed = false;
}

static void open_with(struct jsonout *j, const char *key, char c)
{
	lead(j, key);
	put_c(j, c);
	j->comma = false;
}

static void close_with(struct jsonout *j, char c)
{
	put_c(j, c);
	j->comma = true;
}

void jsonout_open(struct jsonout *j, const char *key)
{
	open_with(j, key, '{');
}

void jsonout_open_array(struct jsonout *j, const char *key)
{
	open_with(j, key, '[');
}

void jsonout_close(struct jsonout *j)
{
	close_with(j, '}');
}

void jsonout_close_array(struct jsonout *j)
{
	close_with(j, ']');
}

void jsonout_string(struct jsonout *j, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	lead(j, key);
	put_c(j, '"');
	size_t n = strlen(value);
	if (room(j, ESCAPE_GROWTH * n))
		j->n += escape_json(j->text + j->n, j->size - j->n, value, n);
	put_c(j, '"');
}

static inline size_t digits(char out[20], uint64_t v)
{
	char rev[20];
	size_t n = 0;
	if (v < 10) {
		out[0] = (char)('0' + v);
		return 1;
	}
	do {
		rev[n++] = (char)('0' + v % 10);
	} while (v /= 10);
	for (size_t i = 0; i < n; i++)
		out[i] = rev[n - 1 - i];
	return n;
}

void jsonout_u64(struct jsonout *j, const char *key, uint64_t value)
{
	lead(j, key);
	if (room(j, 20))
		j->n += digits(j->text + j->n, value);
}

void jsonout_i64(struct jsonout *j, const char *key, int64_t value)
{
	char text[20];
	lead(j, key);
	if (value < 0)
		put_c(j, '-');
	put(j, text, digits(text, value < 0 ? 0 - (uint64_t)value : (uint64_t)value));
}

void jsonout_bool(struct jsonout *j, const char *key, bool value)
{
	lead(j, key);
	put(j, value ? "true" : "false", value ? 4 : 5);
}

void jsonout_ms(struct jsonout *j, const char *key, double value_ms)
{
	char text[20];
	double us = round(fabs(value_ms) * 1000.0);
	if (!(us < 9e18))
		us = 9e18;
	uint64_t v = (uint64_t)us;
	lead(j, key);
	if (value_ms < 0 && v)
		put_c(j, '-');
	put(j, text, digits(text, v / 1000));
	char frac[4] = {'.', (char)('0' + v / 100 % 10), (char)('0' + v / 10 % 10), (char)('0' + v % 10)};
	size_t n = 4;
	while (n > 2 && frac[n - 1] == '0')
		n--;
	put(j, frac, n);
}

static void two(char *out, unsigned v)
{
	out[0] = (char)('0' + v / 10 % 10);
	out[1] = (char)('0' + v % 10);
}

/* Days since 1970-01-01 to a civil date in the proleptic Gregorian calendar, by 400-year eras that begin on 1 March. */
static void civil(uint64_t days, unsigned *y, unsigned *m, unsigned *d)
{
	uint64_t z = days + 719468, era = z / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (unsigned)(yoe + era * 400) + (*m <= 2);
}

/* Records that follow one another are of the same day. */
static void day_text(char out[10], uint64_t days)
{
	static _Thread_local struct {
		uint64_t days;
		char text[10];
	} last = {.text = "1970-01-01"};
	if (days != last.days) {
		unsigned y, m, d;
		civil(days, &y, &m, &d);
		two(last.text, y / 100);
		two(last.text + 2, y % 100);
		two(last.text + 5, m);
		two(last.text + 8, d);
		last.days = days;
	}
	memcpy(out, last.text, sizeof last.text);
}

static void date_text(char out[19], uint64_t t_s)
{
	unsigned s = (unsigned)(t_s % 86400);
	day_text(out, t_s / 86400);
	out[10] = 'T';
	two(out + 11, s / 3600);
	out[13] = out[16] = ':';
	two(out + 14, s / 60 % 60);
	two(out + 17, s % 60);
}

void jsonout_time_text(char out[33], uint64_t t_ns)
{
	date_text(out, t_ns / 1000000000);
	unsigned us = (unsigned)(t_ns / 1000 % 1000000);
	out[19] = '.';
	two(out + 20, us / 10000);
	two(out + 22, us / 100 % 100);
	two(out + 24, us % 100);
	memcpy(out + 26, "+00:00", 7);
}

void jsonout_time(struct jsonout *j, const char *key, uint64_t t_ns)
{
	char text[35];
	lead(j, key);
	text[0] = '"';
	jsonout_time_text(text + 1, t_ns);
	text[33] = '"';
	put(j, text, 34);
}

void jsonout_second(struct jsonout *j, const char *key, uint64_t t_s)
{
	char text[22] = "\"";
	lead(j, key);
	date_text(text + 1, t_s);
	text[20] = 'Z';
	text[21] = '"';
	put(j, text, 22);
}

void jsonout_newline(struct jsonout *j)
{
	put_c(j, '\n');
	j->comma = false;
}

void jsonout_raw(struct jsonout *j, const char *text, size_t n)
{
	put(j, text, n);
	j->comma = false;
}
