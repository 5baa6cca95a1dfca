#include "detect/sinks/textbuf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/sinks/escape.h"
#include "detect/sinks/jsonout.h"

static bool room(struct textbuf *b, size_t n)
{
	if (b->failed)
		return false;
	if (b->size - b->n > n)
		return true;
	size_t size = b->size ? b->size * 2 : 16384;
	while (size - b->n <= n)
		size *= 2;
	char *grown = realloc(b->text, size);
	if (!grown) {
		b->failed = true;
		return false;
	}
	b->text = grown;
	b->size = size;
	return true;
}

static void put(struct textbuf *b, const char *text, size_t n)
{
	if (!room(b, n))
		return;
	memcpy(b->text + b->n, text, n);
	b->n += n;
	b->text[b->n] = '\0';
}

void textbuf_done(struct textbuf *b)
{
	free(b->text);
	*b = (struct textbuf){0};
}

void textbuf_clear(struct textbuf *b)
{
	b->n = 0;
	if (b->text)
		b->text[0] = '\0';
}

void textbuf_put(struct textbuf *b, const char *text)
{
	put(b, text, strlen(text));
}

/* The start of text that is at most max bytes long and cuts no character. */
static size_t cut_at(const char *text, size_t n, size_t max)
{
	if (n <= max)
		return n;
	size_t cut = max;
	while (cut && max - cut < 3 && ((unsigned char)text[cut] & 0xc0) == 0x80)
		cut--;
	return cut;
}

void textbuf_html(struct textbuf *b, const char *text, size_t max_bytes)
{
	size_t n = text ? strlen(text) : 0, kept = cut_at(text, n, max_bytes);
	if (!n || !room(b, ESCAPE_GROWTH * kept))
		return;
	b->n += escape_html(b->text + b->n, b->size - b->n - 1, text, kept);
	b->text[b->n] = '\0';
	if (kept < n)
		textbuf_f(b, "\xe2\x80\xa6 (%zu more bytes)", n - kept);
}

void textbuf_terminal(struct textbuf *b, const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (!n || !room(b, ESCAPE_GROWTH * n))
		return;
	b->n += escape_terminal(b->text + b->n, b->size - b->n - 1, text, n);
	b->text[b->n] = '\0';
}

void textbuf_cef(struct textbuf *b, const char *text, bool header)
{
	size_t n = text ? strlen(text) : 0;
	if (!n || !room(b, ESCAPE_GROWTH * n))
		return;
	b->n += escape_cef(b->text + b->n, b->size - b->n - 1, text, n, header);
	b->text[b->n] = '\0';
}

void textbuf_f(struct textbuf *b, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n > 0)
		put(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void textbuf_grouped(struct textbuf *b, uint64_t v)
{
	char plain[24];
	int n = snprintf(plain, sizeof plain, "%" PRIu64, v);
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			put(b, ",", 1);
		put(b, plain + i, 1);
	}
}

void textbuf_time(struct textbuf *b, uint64_t t_ns)
{
	char text[33];
	jsonout_time_text(text, t_ns);
	text[10] = ' ';
	text[23] = 'Z';
	put(b, text, 24);
}

void textbuf_second(struct textbuf *b, uint64_t t_ns)
{
	char text[33];
	jsonout_time_text(text, t_ns);
	text[10] = ' ';
	text[19] = 'Z';
	put(b, text, 20);
}
