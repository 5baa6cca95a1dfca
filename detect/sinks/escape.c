#include "detect/sinks/escape.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *p;
	size_t size, n;
	bool full; /* sticky, so that nothing after a gap is written */
};

static void put(struct out *o, const char *s, size_t n)
{
	o->full |= n > o->size - o->n;
	if (o->full)
		return;
	memcpy(o->p + o->n, s, n);
	o->n += n;
}

/* A run may be cut anywhere. */
static void put_run(struct out *o, const char *s, size_t n)
{
	size_t room = o->size - o->n;
	put(o, s, n < room ? n : room);
	o->full |= n > room;
}

__attribute__((format(printf, 2, 3))) static void putf(struct out *o, const char *fmt, ...)
{
	char text[24];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put(o, text, (size_t)n);
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629: no overlongs, no surrogates, at most U+10FFFF), 0 if there is none. */
static size_t utf8(const uint8_t *p, size_t n, uint32_t *ret_point)
{
	if (p[0] < 0x80) {
		*ret_point = p[0];
		return 1;
	}
	size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
		return 0;
	uint32_t c = p[0] & (0x7fu >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret_point = c;
	return len;
}

/* Characters that change how their neighbours look or that cannot be seen: controls, line separators, bidi marks, overrides and isolates,
 * zero-width and filler characters, variation selectors, interlinear marks, tags. Sorted. */
static const struct {
	uint32_t first, last;
} deceptive[] = {
	{0x0, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f},
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0x3164, 0x3164}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0},
	{0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
};

static bool deceives(uint32_t c)
{
	if (c >= 0x20 && c < 0x7f)
		return false;
	for (size_t i = 0; i < sizeof deceptive / sizeof *deceptive; i++)
		if (c <= deceptive[i].last)
			return c >= deceptive[i].first;
	return false;
}

static void json_point(struct out *o, uint32_t c)
{
	if (c >= 0x10000)
		putf(o, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
	else
		putf(o, "\\u%04x", c);
}

/* The run of printable ASCII at the start of p that JSON takes as it is. */
static size_t plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;
	while (i < n && p[i] >= 0x20 && p[i] < 0x7f && p[i] != '"' && p[i] != '\\')
		i++;
	return i;
}

size_t escape_json(char *out, size_t size, const char *text, size_t n)
{
	struct out o = {.p = out, .size = size};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n && !o.full;) {
		size_t run = plain_run(p + i, n - i);
		put_run(&o, text + i, run);
		i += run;
		if (i == n)
			break;
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		if (!len)
			putf(&o, "\\\\x%02x", p[i]);
		else if (c == '"' || c == '\\')
			putf(&o, "\\%c", (char)c);
		else if (deceives(c))
			json_point(&o, c);
		else
			put(&o, text + i, len);
		i += len ? len : 1;
	}
	return o.n;
}

static bool is_hex(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* The text itself says \xNN, which would read like an escaped byte. */
static bool looks_escaped(const uint8_t *p, size_t n)
{
	return n >= 4 && p[0] == '\\' && p[1] == 'x' && is_hex(p[2]) && is_hex(p[3]);
}

size_t escape_terminal(char *out, size_t size, const char *text, size_t n)
{
	struct out o = {.p = out, .size = size};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n && !o.full; i++) {
		if (p[i] >= 0x20 && p[i] < 0x7f && !looks_escaped(p + i, n - i))
			put(&o, text + i, 1);
		else
			putf(&o, "\\x%02x", p[i]);
	}
	return o.n;
}

static const char *entity(uint32_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	case '`':
		return "&#96;";
	}
	return NULL;
}

size_t escape_html(char *out, size_t size, const char *text, size_t n)
{
	struct out o = {.p = out, .size = size};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n && !o.full;) {
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		const char *e = len ? entity(c) : NULL;
		if (!len)
			putf(&o, "\\x%02x", p[i]);
		else if (e)
			put(&o, e, strlen(e));
		else if (deceives(c))
			putf(&o, "\\u{%x}", c);
		else
			put(&o, text + i, len);
		i += len ? len : 1;
	}
	return o.n;
}

static void cef_bytes(struct out *o, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		putf(o, "\\\\x%02x", p[i]);
}

size_t escape_cef(char *out, size_t size, const char *text, size_t n, bool header)
{
	struct out o = {.p = out, .size = size};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n && !o.full;) {
		uint32_t c;
		size_t len = utf8(p + i, n - i, &c);
		if (!len)
			cef_bytes(&o, p + i, 1);
		else if (c == '\\' || c == (header ? '|' : '='))
			putf(&o, "\\%c", (char)c);
		else if (c == '\n' || c == '\r')
			put(&o, c == '\n' ? "\\n" : "\\r", 2);
		else if (deceives(c))
			cef_bytes(&o, p + i, len);
		else
			put(&o, text + i, len);
		i += len ? len : 1;
	}
	return o.n;
}
