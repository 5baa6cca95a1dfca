#include "dissect/winxml.h"

#include <string.h>

#include "dissect/utf8.h"

static const uint8_t *find(const uint8_t *p, const uint8_t *end, const char *text)
{
	return memmem(p, (size_t)(end - p), text, strlen(text));
}

/* &#10; &#x1F600; : the code point, or 0 if it is none. */
static uint32_t code_point(const uint8_t *p, size_t n)
{
	bool hex = n && (*p | 0x20) == 'x';
	uint32_t v = 0;
	for (size_t i = hex; i < n; i++) {
		uint32_t c = p[i] | 0x20u, d = 99;
		if (p[i] >= '0' && p[i] <= '9')
			d = p[i] - (uint32_t)'0';
		else if (hex && c >= 'a' && c <= 'f')
			d = c - 'a' + 10;
		if (d == 99 || v > 0x10ffff)
			return 0;
		v = v * (hex ? 16 : 10) + d;
	}
	return v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : v;
}

/* One entity at p (its &). Returns the bytes it takes, 0 if it is none. */
static size_t entity(const uint8_t *p, size_t n, char **out)
{
	static const struct {
		const char *name;
		char c;
	} names[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
	struct slice rest = {p, n};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (slice_starts(rest, names[i].name)) {
			*(*out)++ = names[i].c;
			return strlen(names[i].name);
		}
	const uint8_t *end = n > 2 && p[1] == '#' ? memchr(p, ';', n < 12 ? n : 12) : NULL;
	uint32_t c = end ? code_point(p + 2, (size_t)(end - p) - 2) : 0;
	if (!c)
		return 0;
	*out = utf8_put(*out, c);
	return (size_t)(end - p) + 1;
}

struct slice winxml_unescape(struct slice text, struct scratch *scratch)
{
	if (!text.n || !memchr(text.p, '&', text.n))
		return text;
	char *start = scratch_take(scratch, text.n);
	char *out = start;
	if (!out)
		return text;
	for (size_t i = 0; i < text.n;) {
		size_t n = text.p[i] == '&' ? entity(text.p + i, text.n - i, &out) : 0;
		if (!n)
			*out++ = (char)text.p[i];
		i += n ? n : 1;
	}
	return (struct slice){(const uint8_t *)start, (size_t)(out - start)};
}

struct reader {
	struct scratch *scratch;
	struct evrow_field *fields;
	size_t n;
	enum evparse_reason why;
};

static void add(struct reader *rd, struct slice name, struct slice text)
{
	for (size_t i = 0; i < rd->n; i++)
		if (rd->fields[i].name.n == name.n && !memcmp(rd->fields[i].name.p, name.p, name.n)) {
			rd->why = EVPARSE_DUP_KEY;
			return;
		}
	if (rd->n == WINXML_MAX_FIELDS) {
		rd->why = EVPARSE_BAD_COLUMNS;
		return;
	}
	rd->fields[rd->n++] = (struct evrow_field){name, winxml_unescape(text, rd->scratch), false};
}

/* Value of an attribute inside one start tag; p is NULL if it has none. */
static struct slice attribute(struct slice tag, const char *name)
{
	const uint8_t *end = tag.p + tag.n;
	const uint8_t *p = find(tag.p, end, name);
	if (!p)
		return (struct slice){NULL, 0};
	p += strlen(name);
	if (end - p < 3 || p[0] != '=' || (p[1] != '"' && p[1] != '\''))
		return (struct slice){NULL, 0};
	const uint8_t *close = memchr(p + 2, p[1], (size_t)(end - p - 2));
	return close ? (struct slice){p + 2, (size_t)(close - p - 2)} : (struct slice){NULL, 0};
}

/* Text between the tag that ends at p and the next <; moves *at there. */
static struct slice content(const uint8_t **at, const uint8_t *end)
{
	const uint8_t *p = *at;
	const uint8_t *next = memchr(p, '<', (size_t)(end - p));
	*at = next ? next : end;
	return (struct slice){p, (size_t)(*at - p)};
}

static void element(struct reader *rd, struct slice tag, const uint8_t **at, const uint8_t *end)
{
	static const struct {
		const char *tag, *field;
	} simple[] = {{"EventID", "@EventID"},
		      {"Channel", "@Channel"},
		      {"Computer", "@Computer"},
		      {"EventRecordID", "@EventRecordID"}};
	size_t n = 0;
	while (n < tag.n && tag.p[n] != ' ' && tag.p[n] != '/' && tag.p[n] != '\r' && tag.p[n] != '\n' &&
	       tag.p[n] != '\t')
		n++;
	struct slice name = {tag.p, n};
	bool empty = tag.n && tag.p[tag.n - 1] == '/';
	if (slice_is(name, "Data")) {
		struct slice field = attribute(tag, "Name");
		if (field.n)
			add(rd, field, empty ? (struct slice){NULL, 0} : content(at, end));
		return;
	}
	if (slice_is(name, "TimeCreated"))
		add(rd, slice_of("@SystemTime"), attribute(tag, "SystemTime"));
	else if (slice_is(name, "Provider"))
		add(rd, slice_of("@Provider"), attribute(tag, "Name"));
	for (size_t i = 0; !empty && i < sizeof simple / sizeof *simple; i++)
		if (slice_is(name, simple[i].tag))
			add(rd, slice_of(simple[i].field), content(at, end));
}

enum evparse_reason winxml_read(struct slice xml, struct scratch *scratch, struct evrow_field *fields,
				size_t *ret_n)
{
	struct reader rd = {scratch, fields, 0, EVPARSE_REASON_COUNT};
	const uint8_t *end = xml.p + xml.n;
	const uint8_t *p = xml.p;
	while (rd.why == EVPARSE_REASON_COUNT && (p = memchr(p, '<', (size_t)(end - p)))) {
		const uint8_t *close = memchr(p, '>', (size_t)(end - p));
		if (!close) {
			rd.why = EVPARSE_CUT_SHORT;
			break;
		}
		struct slice tag = {p + 1, (size_t)(close - p - 1)};
		p = close + 1;
		element(&rd, tag, &p, end);
	}
	*ret_n = rd.n;
	return rd.why;
}
