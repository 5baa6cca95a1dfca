#include "dissect/jsonframe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/evskip.h"

/* A step either goes on with the next byte or asks for the same byte again in the new state. */
enum step { STEP_NEXT = 0, STEP_AGAIN = 1 };

void jsonframe_begin(struct jsonframe *jf, size_t max_record_bytes, uint64_t line)
{
	struct rowbuf row = jf->row;
	*jf = (struct jsonframe){.row = row, .line = line, .value_line = line, .blank = true};
	jf->row.max = max_record_bytes;
	rowbuf_drop(&jf->row);
}

void jsonframe_free(struct jsonframe *jf)
{
	rowbuf_free(&jf->row);
}

static bool in_array(const struct jsonframe *jf)
{
	return jf->arrays >> (jf->depth - 1) & 1;
}

static size_t row_position(const struct jsonframe *jf)
{
	return jf->n_rows_at ? jf->rows_at[jf->n_rows_at - 1] : 0;
}

static int tell(struct jsonframe *jf, struct slice text, uint64_t line, enum evparse_reason why)
{
	struct rowbuf_row row = {text, line, why, jf->cuts, jf->n_cuts};
	return jf->fn(jf->ctx, &row);
}

/* The open row is complete before end. */
static int emit(struct jsonframe *jf, const char *end)
{
	struct slice text;
	bool deep = jf->deep;
	jf->deep = jf->scalar = false;
	jf->again_at = 0;
	int r = rowbuf_close(&jf->row, end, &text);
	if (r)
		return r;
	if (jf->row.over)
		return tell(jf, text, jf->row.line, EVPARSE_OVERSIZE);
	if (deep)
		return tell(jf, (struct slice){NULL, 0}, jf->row.line, EVPARSE_NESTING);
	return tell(jf, text, jf->row.line, EVPARSE_REASON_COUNT);
}

/* The open row, or the place where one should be, is no good. */
static int refuse(struct jsonframe *jf, const char *at, enum evparse_reason why)
{
	uint64_t line = jf->row.open ? jf->row.line : jf->depth ? jf->value_line : jf->line;
	if (jf->row.open && rowbuf_is_over(&jf->row, at))
		why = EVPARSE_OVERSIZE;
	else if (jf->deep)
		why = EVPARSE_NESTING;
	rowbuf_drop(&jf->row);
	jf->deep = jf->scalar = false;
	jf->again_at = 0;
	return tell(jf, (struct slice){NULL, 0}, line, why);
}

/* Back to the innermost place where a row may start. */
static void level(struct jsonframe *jf)
{
	jf->depth = row_position(jf);
	jf->prev = ',';
	jf->in_string = jf->escaped = jf->in_key = jf->maybe_rows = false;
}

static void level_all(struct jsonframe *jf)
{
	jf->n_rows_at = 0;
	level(jf);
}

static int scan(struct jsonframe *jf, const char *p, const char *end);

/* Where the second line that could be a row starts in the first, broken value; n if there is none. */
static size_t next_row_line(const uint8_t *p, size_t n, size_t from)
{
	for (size_t i = from; i < n;) {
		size_t first = i;
		while (i < n && (p[i] == ' ' || p[i] == '\t' || p[i] == '\r'))
			i++;
		if (i < n && p[i] == '{')
			return first;
		const uint8_t *nl = memchr(p + i, '\n', n - i);
		i = nl ? (size_t)(nl - p) + 1 : n;
	}
	return n;
}

/* The first value ran over a newline and proved broken at "at": what follows its first line is NDJSON after
 * all. */
static int frame_again(struct jsonframe *jf, const char *at, enum evparse_reason why)
{
	size_t from = jf->again_at;
	uint64_t first_line = jf->row.line;
	struct slice text;
	int r = rowbuf_close(&jf->row, at, &text);
	if (r)
		return r;
	bool over = jf->row.over;
	size_t start = over ? 0 : next_row_line(text.p, text.n, from);
	char *copy = NULL;
	if (!over && start < text.n) {
		copy = malloc(text.n - start);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, text.p + start, text.n - start);
	}
	size_t n = copy ? text.n - start : 0;
	uint64_t line = first_line;
	for (size_t i = 0; copy && i < start; i++)
		line += text.p[i] == '\n';
	jf->again_at = 0;
	r = tell(jf, (struct slice){NULL, 0}, first_line,
		 over       ? EVPARSE_OVERSIZE
		 : jf->deep ? EVPARSE_NESTING
			    : why);
	jf->deep = false;
	jf->lines = copy ? JSONFRAME_LINES : JSONFRAME_UNDECIDED;
	level_all(jf);
	if (!r && copy) {
		jf->line = line;
		jf->blank = true;
		r = scan(jf, copy, copy + n);
		if (!r)
			r = rowbuf_spill(&jf->row, copy + n);
	}
	free(copy);
	return r;
}

/* The byte at p cannot stand there. */
static int broken(struct jsonframe *jf, const char *p)
{
	bool starts_line = jf->blank && *p == '{';
	int r;
	if (jf->again_at) {
		r = frame_again(jf, p, EVPARSE_SYNTAX);
		if (r)
			return r;
		rowbuf_resume(&jf->row, p);
		if (jf->lines == JSONFRAME_LINES)
			return STEP_AGAIN;
	} else {
		r = refuse(jf, p, EVPARSE_SYNTAX);
		if (r)
			return r;
		level(jf);
	}
	if (jf->lines != JSONFRAME_LINES && starts_line)
		return STEP_AGAIN;
	jf->skipping = true;
	return *p == '\n' ? STEP_AGAIN : STEP_NEXT;
}

static int end_line(struct jsonframe *jf, const char *p)
{
	int r = 0;
	if (jf->row.open && jf->scalar && !jf->in_string)
		r = emit(jf, p);
	else if (jf->row.open || jf->depth)
		r = refuse(jf, p, EVPARSE_SYNTAX);
	level_all(jf);
	return r;
}

/* The first value has seen its first newline. */
static int decide(struct jsonframe *jf, const char *p)
{
	if (!jf->depth && !jf->row.open && jf->prev == 0)
		return 0;
	bool whole = !jf->depth || jf->in_string;
	bool bad = jf->deep || (jf->row.open && rowbuf_is_over(&jf->row, p));
	if (whole || bad) {
		jf->lines = JSONFRAME_LINES;
		return end_line(jf, p);
	}
	jf->lines = JSONFRAME_DOCUMENT;
	if (jf->row.open && !jf->row_depth)
		jf->again_at = rowbuf_length(&jf->row, p) + 1;
	return 0;
}

static int newline(struct jsonframe *jf, const char *p)
{
	int r = 0;
	if (jf->skipping) {
		jf->skipping = jf->lines != JSONFRAME_LINES;
		if (!jf->skipping)
			level_all(jf);
	} else if (jf->lines == JSONFRAME_UNDECIDED) {
		r = decide(jf, p);
	} else if (jf->lines == JSONFRAME_LINES) {
		r = end_line(jf, p);
	} else if (jf->in_string) {
		return broken(jf, p);
	} else if (jf->scalar && !jf->depth) {
		r = emit(jf, p);
	}
	jf->line++;
	jf->blank = true;
	return r;
}

static bool may_open(const struct jsonframe *jf)
{
	if (!jf->depth || jf->depth > JSONFRAME_MAX_DEPTH)
		return true;
	return in_array(jf) ? jf->prev == '[' || jf->prev == ',' : jf->prev == ':';
}

static bool key_is(const struct jsonframe *jf, const char *key)
{
	return jf->n_key == strlen(key) && !memcmp(jf->key, key, jf->n_key);
}

static bool is_rows_key(const struct jsonframe *jf)
{
	return key_is(jf, "records") || key_is(jf, "Results") || key_is(jf, "results") || key_is(jf, "value");
}

static void open_row(struct jsonframe *jf, const char *p, bool scalar)
{
	rowbuf_open(&jf->row, p, jf->line);
	jf->row_depth = jf->depth;
	jf->scalar = scalar;
	jf->deep = false;
	jf->n_key = jf->n_cuts = jf->cut_depth = 0;
}

static void push(struct jsonframe *jf, char c)
{
	if (jf->depth < 64) {
		uint64_t bit = UINT64_C(1) << jf->depth;
		jf->arrays = c == '[' ? jf->arrays | bit : jf->arrays & ~bit;
	}
	jf->depth++;
	jf->deep |= jf->depth > JSONFRAME_MAX_DEPTH;
	jf->prev = c;
}

static int open_bracket(struct jsonframe *jf, const char *p)
{
	if (!may_open(jf))
		return broken(jf, p);
	if (jf->row.open && jf->scalar) {
		int r = emit(jf, p);
		if (r)
			return r;
	}
	if (!jf->depth)
		jf->value_line = jf->line;
	bool top_array = *p == '[' && !jf->depth;
	bool rows_key =
	    *p == '[' && jf->row.open && jf->depth == jf->row_depth + 1 && !in_array(jf) && is_rows_key(jf);
	if (!jf->row.open && !top_array && jf->depth == row_position(jf))
		open_row(jf, p, false);
	push(jf, *p);
	jf->maybe_rows = rows_key && jf->n_rows_at < JSONFRAME_MAX_ARRAYS;
	if (top_array)
		jf->rows_at[jf->n_rows_at++] = jf->depth;
	return STEP_NEXT;
}

/* The object begun as a row is a container: forget its head, its rows follow. */
static void become_container(struct jsonframe *jf)
{
	rowbuf_drop(&jf->row);
	jf->again_at = 0;
	jf->rows_at[jf->n_rows_at++] = jf->depth;
}

static int close_bracket(struct jsonframe *jf, const char *p)
{
	if (!jf->depth || (jf->depth <= JSONFRAME_MAX_DEPTH && in_array(jf) != (*p == ']')))
		return broken(jf, p);
	if (jf->row.open && jf->scalar && jf->depth == jf->row_depth) {
		int r = emit(jf, p);
		if (r)
			return r;
	}
	if (jf->cut_depth == jf->depth)
		jf->cut_depth = 0;
	jf->depth--;
	jf->prev = *p;
	if (jf->n_rows_at && jf->rows_at[jf->n_rows_at - 1] == jf->depth + 1)
		jf->n_rows_at--;
	if (jf->row.open && jf->depth == jf->row_depth)
		return emit(jf, p + 1);
	return STEP_NEXT;
}

/* A member that nobody reads ends with its comma. */
static void cut(struct jsonframe *jf, const char *p)
{
	struct rowbuf_cut *last = &jf->cuts[jf->n_cuts];
	last->n = rowbuf_length(&jf->row, p) + 1 - last->at;
	/* The last place is never told, so that there is always one to note the next. */
	jf->n_cuts += jf->n_cuts + 1 < JSONFRAME_MAX_CUTS;
	jf->cut_depth = 0;
}

static int comma(struct jsonframe *jf, const char *p)
{
	jf->prev = ',';
	if (jf->cut_depth && jf->cut_depth == jf->depth)
		cut(jf, p);
	if (jf->row.open && jf->scalar && jf->depth && jf->depth == jf->row_depth)
		return emit(jf, p);
	return STEP_NEXT;
}

static int plain(struct jsonframe *jf, const char *p)
{
	if (!jf->row.open && jf->depth == row_position(jf))
		open_row(jf, p, true);
	jf->prev = *p == ':' ? ':' : '0';
	return STEP_NEXT;
}

static int quote(struct jsonframe *jf, const char *p)
{
	jf->in_key = jf->row.open && !jf->scalar && jf->depth <= JSONFRAME_MAX_DEPTH && !in_array(jf) &&
		     jf->prev != ':';
	if (jf->in_key) {
		jf->n_key = 0;
		jf->key_at = rowbuf_length(&jf->row, p);
	}
	plain(jf, p);
	jf->in_string = true;
	jf->prev = '"';
	return STEP_NEXT;
}

static void take_key(struct jsonframe *jf, const char *p, size_t n)
{
	if (n > sizeof jf->key - jf->n_key) {
		jf->n_key = sizeof jf->key;
		return;
	}
	memcpy(jf->key + jf->n_key, p, n);
	jf->n_key += n;
}

/* To the end of the string, a raw newline, or the end of the chunk. */
static const char *through_string(struct jsonframe *jf, const char *p, const char *end)
{
	const char *start = p;
	if (jf->escaped && *p != '\n')
		p++;
	jf->escaped = false;
	while (p < end && *p != '"' && *p != '\n') {
		if (*p++ != '\\')
			continue;
		if (jf->in_key)
			jf->n_key = sizeof jf->key;
		if (p == end)
			jf->escaped = true;
		else if (*p != '\n')
			p++;
	}
	if (jf->in_key && p > start)
		take_key(jf, start, (size_t)(p - start));
	if (p < end && *p == '"') {
		jf->in_string = false;
		if (jf->in_key && !jf->cut_depth && evskip_has(jf->key, jf->n_key)) {
			jf->cut_depth = jf->depth;
			jf->cuts[jf->n_cuts].at = jf->key_at;
		}
		p++;
	}
	return p;
}

static int structural(struct jsonframe *jf, const char *p)
{
	if (jf->maybe_rows && (*p == '{' || *p == ']'))
		become_container(jf);
	jf->maybe_rows = false;
	switch (*p) {
	case '{':
	case '[':
		return open_bracket(jf, p);
	case '}':
	case ']':
		return close_bracket(jf, p);
	case ',':
		return comma(jf, p);
	case '"':
		return quote(jf, p);
	}
	return plain(jf, p);
}

static int step(struct jsonframe *jf, const char *p)
{
	if (*p == '\n')
		return newline(jf, p);
	if (*p == ' ' || *p == '\t' || *p == '\r')
		return STEP_NEXT;
	if (jf->skipping) {
		jf->skipping = !(jf->lines != JSONFRAME_LINES && jf->blank && *p == '{');
		jf->blank = false;
		if (jf->skipping)
			return STEP_NEXT;
	}
	int r = structural(jf, p);
	if (r != STEP_AGAIN)
		jf->blank = false;
	return r;
}

static int scan(struct jsonframe *jf, const char *p, const char *end)
{
	while (p < end) {
		if (jf->in_string) {
			p = through_string(jf, p, end);
			if (p == end)
				break;
			if (*p != '\n' || !jf->in_string)
				continue;
		}
		if (jf->skipping && !jf->blank) {
			p = memchr(p, '\n', (size_t)(end - p));
			if (!p)
				break;
		}
		int r = step(jf, p);
		if (r < 0)
			return r;
		p += r == STEP_NEXT;
	}
	return 0;
}

int jsonframe_feed(struct jsonframe *jf, const char *p, size_t n, rowbuf_fn *fn, void *ctx)
{
	jf->fn = fn;
	jf->ctx = ctx;
	rowbuf_resume(&jf->row, p);
	int r = scan(jf, p, p + n);
	return r ? r : rowbuf_spill(&jf->row, p + n);
}

int jsonframe_end(struct jsonframe *jf, rowbuf_fn *fn, void *ctx)
{
	static const char nothing[1];
	jf->fn = fn;
	jf->ctx = ctx;
	rowbuf_resume(&jf->row, nothing);
	int r = 0;
	if (jf->again_at) {
		r = frame_again(jf, nothing, EVPARSE_CUT_SHORT);
		if (r)
			return r;
		rowbuf_resume(&jf->row, nothing);
	}
	if (jf->row.open && jf->scalar && !jf->in_string)
		r = emit(jf, nothing);
	else if (jf->row.open || (jf->depth && !jf->skipping))
		r = refuse(jf, nothing, EVPARSE_CUT_SHORT);
	level_all(jf);
	return r;
}
