#include "detect/sinks/escape.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct out {
	char *p;
	size_t size, n;
};

static void put(struct out *o, const char *s, size_t n)
{
	if (o->n + n <= o->size)
		memcpy(o->p + o->n, s, n);
	o->n += n;
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

/* Characters that change how their neighbours look: controls, line separators, bidi overrides and isolates, zero-width. */
static bool deceives(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

static void json_point(struct out *o, uint32_t c)
{
	if (c >= 0x10000)
		putf(o, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
	else
		putf(o, "\\u%04x", c);
}

/* The run of plain printable ASCII at the start of text that no sink has to change. */
static size_t plain_run(const uint8_t *p, size_t n, const char *special)
{
	size_t i = 0;
	while (i < n && p[i] >= 0x20 && p[i] < 0x7f && !strchr(special, p[i]))
		i++;
	return i;
}

size_t escape_json(char *out, size_t size, const char *text, size_t n)
{
	struct out o = {out, size, 0};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n;) {
		size_t run = plain_run(p + i, n - i, "\"\\");
		put(&o, text + i, run);
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

size_t escape_terminal(char *out, size_t size, const char *text, size_t n)
{
	struct out o = {out, size, 0};
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];
		if (c >= 0x20 && c < 0x7f)
			put(&o, text + i, 1);
		else
			putf(&o, "\\x%02x", c);
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
	struct out o = {out, size, 0};
	const uint8_t *p = (const uint8_t *)text;
	for (size_t i = 0; i < n;) {
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

size_t escape_cef(char *out, size_t size, const char *text, size_t n, int header)
{
	struct out o = {out, size, 0};
	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)text[i];
		if (c == '\\' || (c == '=' && !header) || (c == '|' && header))
			putf(&o, "\\%c", c);
		else if (c == '\n' || c == '\r')
			put(&o, c == '\n' ? "\\n" : "\\r", 2);
		else if (c < 0x20 || c == 0x7f)
			putf(&o, "\\\\x%02x", c);
		else
			put(&o, text + i, 1);
	}
	return o.n;
}
