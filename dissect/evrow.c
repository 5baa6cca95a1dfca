#include "dissect/evrow.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dissect/jsonframe.h"

enum { MAX_PATH_PARTS = 8, MAX_ADDRESS = 64 };

void evrow_fail(struct evrow *row, enum evparse_reason why, const char *field, struct slice value,
		const char *what)
{
	if (!evrow_failed(row))
		row->fault = (struct evrow_fault){why, field, value, what};
}

bool evrow_failed(const struct evrow *row)
{
	return row->fault.why != EVPARSE_REASON_COUNT;
}

static bool says_nothing(struct slice s)
{
	return !s.n || (s.n == 1 && s.p[0] == '-');
}

static struct evrow_value value_of(const struct json_t *node)
{
	struct evrow_value v = {.kind = EVROW_ABSENT};
	switch (jsondoc_type(node)) {
	case JSONDOC_ABSENT:
	case JSONDOC_NULL:
		break;
	case JSONDOC_TEXT:
		v.text = jsondoc_text(node);
		v.kind = says_nothing(v.text) ? EVROW_ABSENT : EVROW_TEXT;
		break;
	case JSONDOC_INT:
		v.kind = EVROW_INT;
		v.number = jsondoc_int(node);
		break;
	case JSONDOC_REAL:
		v.kind = EVROW_REAL;
		break;
	case JSONDOC_BOOL:
		v.kind = EVROW_BOOL;
		v.number = jsondoc_is_true(node);
		break;
	case JSONDOC_OBJECT:
	case JSONDOC_ARRAY:
		v.kind = EVROW_TREE;
		v.tree = node;
		break;
	}
	return v;
}

const struct json_t *evrow_path(const struct json_t *root, const char *path)
{
	const struct json_t *node = jsondoc_get(root, path);
	char key[64];
	for (unsigned parts = 0; root && !node && parts < MAX_PATH_PARTS; parts++) {
		const char *dot = strchr(path, '.');
		if (!dot || (size_t)(dot - path) >= sizeof key)
			return NULL;
		memcpy(key, path, (size_t)(dot - path));
		key[dot - path] = '\0';
		root = jsondoc_get(root, key);
		path = dot + 1;
		node = jsondoc_get(root, path);
	}
	return node;
}

const struct json_t *evrow_embed(struct evrow *row, const char *field, struct slice text)
{
	struct jsondoc_fault fault;
	if (row->embedded || jsondoc_depth(text) > JSONFRAME_MAX_DEPTH) {
		evrow_fail(row, EVPARSE_NESTING, field, (struct slice){NULL, 0}, "nests too deep");
		return NULL;
	}
	row->embedded = jsondoc_parse(text, NULL, 0, &fault);
	if (row->embedded)
		return row->embedded;
	if (fault.why == EVPARSE_REASON_COUNT)
		row->out_of_memory = true;
	else
		evrow_fail(row, fault.why, field, (struct slice){NULL, 0}, "is not JSON");
	return NULL;
}

void evrow_close(struct evrow *row)
{
	jsondoc_free(row->embedded);
	row->embedded = NULL;
}

void evrow_add_object(struct evrow *row, const struct json_t *object)
{
	if (row->n_objects == EVROW_MAX_OBJECTS) {
		evrow_fail(row, EVPARSE_NESTING, "", (struct slice){NULL, 0}, "row wraps too much");
		return;
	}
	memmove(row->objects + 1, row->objects, row->n_objects * sizeof row->objects[0]);
	row->objects[0] = object;
	row->n_objects++;
}

void evrow_add_table(struct evrow *row, const struct evrow_field *fields, size_t n)
{
	if (row->n_tables == EVROW_MAX_TABLES) {
		evrow_fail(row, EVPARSE_NESTING, "", (struct slice){NULL, 0}, "row wraps too much");
		return;
	}
	row->tables[1] = row->tables[0];
	row->tables[0] = (struct evrow_table){fields, n};
	row->n_tables++;
}

static struct evrow_value find_field(const struct evrow_table *table, const char *name)
{
	size_t n = strlen(name);
	for (size_t i = 0; i < table->n; i++) {
		const struct evrow_field *f = &table->fields[i];
		if (f->name.n == n && !memcmp(f->name.p, name, n) && !says_nothing(f->text))
			return (struct evrow_value){.kind = EVROW_TEXT, .text = f->text, .utc = f->utc};
	}
	return (struct evrow_value){.kind = EVROW_ABSENT};
}

struct evrow_value evrow_find(const struct evrow *row, const char *name, const char *path)
{
	struct evrow_value v = {.kind = EVROW_ABSENT};
	for (size_t i = 0; name && v.kind == EVROW_ABSENT && i < row->n_tables; i++)
		v = find_field(&row->tables[i], name);
	for (size_t i = 0; name && v.kind == EVROW_ABSENT && i < row->n_objects; i++)
		v = value_of(jsondoc_get(row->objects[i], name));
	if (path && row->ecs && v.kind == EVROW_ABSENT)
		v = value_of(evrow_path(row->ecs, path));
	return v;
}

bool evrow_has(const struct evrow *row, const char *name, const char *path)
{
	return evrow_find(row, name, path).kind != EVROW_ABSENT;
}

struct slice evrow_print(struct evrow *row, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	char *p = scratch_take(row->scratch, len + 1);
	if (!p) {
		row->out_of_memory = true;
		return (struct slice){NULL, 0};
	}
	memcpy(p, text, len + 1);
	return (struct slice){(const uint8_t *)p, len};
}

struct slice evrow_text(struct evrow *row, const char *name, const char *path)
{
	struct evrow_value v = evrow_find(row, name, path);
	if (v.kind == EVROW_INT)
		return evrow_print(row, "%" PRId64, v.number);
	return v.kind == EVROW_TEXT ? v.text : (struct slice){NULL, 0};
}

struct slice evrow_key(struct evrow *row, const char *name, const char *path)
{
	struct slice s = evrow_text(row, name, path);
	if (s.n && memchr(s.p, 0, s.n))
		evrow_fail(row, EVPARSE_NUL_IN_KEY, name ? name : path, s, "holds a NUL");
	return s;
}

static bool parse_number(struct slice s, uint64_t *ret)
{
	uint64_t v = 0;
	unsigned base = 10;
	if (slice_starts(s, "0x") || slice_starts(s, "0X")) {
		base = 16;
		s = (struct slice){s.p + 2, s.n - 2};
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		unsigned d = c >= '0' && c <= '9'                     ? (unsigned)c - '0'
			     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20u) - 'a' + 10
								      : 16;
		if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
			return false;
	}
	*ret = v;
	return s.n > 0;
}

/* 1 a number up to max, 0 absent, -1 neither; *ret_as_written for the message. */
static int number_of(struct evrow *row, struct evrow_value v, uint64_t max, uint64_t *ret,
		     struct slice *ret_as_written)
{
	*ret_as_written = v.text;
	*ret = 0;
	switch (v.kind) {
	case EVROW_ABSENT:
		return 0;
	case EVROW_TEXT:
		return parse_number(v.text, ret) && *ret <= max ? 1 : -1;
	case EVROW_INT:
		*ret_as_written = evrow_print(row, "%" PRId64, v.number);
		*ret = (uint64_t)v.number;
		return v.number >= 0 && *ret <= max ? 1 : -1;
	case EVROW_REAL:
		*ret_as_written = slice_of("a real number");
		break;
	case EVROW_BOOL:
		*ret_as_written = slice_of(v.number ? "true" : "false");
		break;
	case EVROW_TREE:
		*ret_as_written = slice_of("an object or array");
		break;
	}
	return -1;
}

uint64_t evrow_number(struct evrow *row, const char *name, const char *path, uint64_t max)
{
	uint64_t v;
	struct slice written;
	if (number_of(row, evrow_find(row, name, path), max, &v, &written) >= 0)
		return v;
	evrow_fail(row, EVPARSE_BAD_NUMBER, name ? name : path, written, "is not a number that fits");
	return 0;
}

uint64_t evrow_number_of(struct evrow *row, const char *field, const struct json_t *node, uint64_t max)
{
	uint64_t v;
	struct slice written;
	if (number_of(row, value_of(node), max, &v, &written) >= 0)
		return v;
	evrow_fail(row, EVPARSE_BAD_NUMBER, field, written, "is not a number that fits");
	return 0;
}

int evrow_port(struct evrow *row, const char *name, const char *path)
{
	uint64_t v;
	struct slice written;
	int r = number_of(row, evrow_find(row, name, path), UINT16_MAX, &v, &written);
	if (r < 0)
		evrow_fail(row, EVPARSE_BAD_PORT, name ? name : path, written, "is not a port");
	return r > 0 ? (int)v : -1;
}

/* What inet_pton refuses it also refuses; it takes IPv6 compressed or not. */
static bool parse_address(struct slice s, struct facts_addr *ret)
{
	char text[MAX_ADDRESS];
	const uint8_t *zone = memchr(s.p, '%', s.n);
	size_t n = zone ? (size_t)(zone - s.p) : s.n;
	if (n >= sizeof text || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, n);
	text[n] = '\0';
	struct facts_addr a = {.family = 4};
	if (inet_pton(AF_INET, text, a.ip) == 1) {
		*ret = a;
		return true;
	}
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	a.family = 6;
	if (inet_pton(AF_INET6, text, a.ip) != 1)
		return false;
	if (!memcmp(a.ip, mapped, sizeof mapped)) {
		struct facts_addr v4 = {.family = 4};
		memcpy(v4.ip, a.ip + 12, 4);
		a = v4;
	}
	*ret = a;
	return true;
}

struct facts_addr evrow_address(struct evrow *row, const char *name, const char *path)
{
	struct facts_addr a = {.family = 0};
	struct evrow_value v = evrow_find(row, name, path);
	if (v.kind == EVROW_ABSENT || (v.kind == EVROW_TEXT && parse_address(v.text, &a)))
		return a;
	bool nul = v.text.n && memchr(v.text.p, 0, v.text.n);
	evrow_fail(row, nul ? EVPARSE_NUL_IN_KEY : EVPARSE_BAD_ADDRESS, name ? name : path, v.text,
		   "is not an address");
	return a;
}

/* 1 with *ret, 0 absent, else negative. */
static int stamp_of(const struct evrow *row, const char *name, const char *path, struct evtime *ret,
		    struct slice *ret_text)
{
	struct evrow_value v = evrow_find(row, name, path);
	*ret_text = v.text;
	int r = -EINVAL;
	if (v.kind == EVROW_ABSENT)
		return 0;
	if (v.kind == EVROW_TEXT)
		r = evtime_parse(v.text, ret);
	else if (v.kind == EVROW_INT)
		r = evtime_of_number(v.number, ret);
	if (r)
		return r;
	ret->zoned |= v.utc;
	return 1;
}

bool evrow_stamp(const struct evrow *row, const char *name, const char *path, struct evtime *ret)
{
	struct slice text;
	return stamp_of(row, name, path, ret, &text) == 1;
}

static uint64_t to_utc(const struct evzone *zone, uint64_t ns, bool *ret_twice)
{
	int64_t s = evzone_to_utc(zone, (int64_t)(ns / EVTIME_NS), ret_twice);
	return s < 0 ? 0 : (uint64_t)s * EVTIME_NS + ns % EVTIME_NS;
}

uint64_t evrow_time_maybe(struct evrow *row, const char *name, const char *path)
{
	struct evtime t;
	bool twice;
	if (!evrow_stamp(row, name, path, &t) || (!t.zoned && !row->zone))
		return 0;
	return t.zoned ? t.ns : to_utc(row->zone, t.ns, &twice);
}

bool evrow_time(struct evrow *row, const char *name, const char *path, uint64_t *ret_ns, uint16_t *ret_flags)
{
	struct evtime t;
	struct slice text;
	int r = stamp_of(row, name, path, &t, &text);
	if (r == 0)
		return false;
	if (r < 0) {
		evrow_fail(row, EVPARSE_BAD_TIME, name ? name : path, text,
			   r == -ERANGE ? "is out of range" : "is not a time");
		return true;
	}
	bool twice = false;
	*ret_ns = t.ns;
	if (!t.zoned && row->zone)
		*ret_ns = to_utc(row->zone, t.ns, &twice);
	else if (!t.zoned)
		row->zone_missing = true;
	if (t.floored)
		*ret_flags |= PROCEVENT_FLOORED;
	if (twice)
		*ret_flags |= PROCEVENT_ZONE_UNKNOWN;
	return true;
}
