#include "dissect/evframe.h"

#include <string.h>

#include "capture/base/err.h"

enum csv_state { CSV_FIELD_START, CSV_PLAIN, CSV_QUOTED, CSV_QUOTE_SEEN };

void evframe_begin(struct evframe *ef, size_t max_record_bytes, const struct evframe_ops *ops)
{
	struct rowbuf row = ef->row;
	struct jsonframe json = ef->json;
	*ef = (struct evframe){
	    .ops = *ops, .json = json, .row = row, .max_record_bytes = max_record_bytes, .line = 1};
	ef->row.max = max_record_bytes;
	rowbuf_drop(&ef->row);
}

void evframe_free(struct evframe *ef)
{
	rowbuf_free(&ef->row);
	jsonframe_free(&ef->json);
}

static int refuse(struct evframe *ef, rowbuf_fn *fn, uint64_t line, enum evparse_reason why)
{
	struct rowbuf_row row = {.line = line, .why = why};
	return fn(ef->ops.ctx, &row);
}

/* A whole line that does not start as JSON does. */
static int question(struct evframe *ef, const char *end)
{
	struct slice line;
	int r = rowbuf_close(&ef->row, end, &line);
	if (r)
		return r;
	while (line.n && (line.p[line.n - 1] == '\r' || line.p[line.n - 1] == ' '))
		line.n--;
	if (!ef->row.over && line.n >= 5 && (!memcmp(line.p, "#TYPE", 5) || !memcmp(line.p, "sep=", 4)))
		return 0;
	r = ef->row.over ? 0 : ef->ops.header(ef->ops.ctx, line, ef->row.line, &ef->delimiter);
	if (r > 0)
		ef->form = EVFRAME_CSV;
	if (r)
		return r > 0 ? 0 : r;
	r = refuse(ef, ef->ops.csv_row, ef->row.line, ef->row.over ? EVPARSE_OVERSIZE : EVPARSE_SYNTAX);
	if (r)
		return r;
	return ++ef->preamble < EVFRAME_MAX_PREAMBLE ? 0 : LT_EFORMAT;
}

/* Looks for the form; returns where it stopped in *at. */
static int find_form(struct evframe *ef, const char **at, const char *end)
{
	const char *p = *at;
	for (; p < end && ef->form == EVFRAME_UNKNOWN; p++) {
		if (*p == '\n') {
			int r = ef->row.open ? question(ef, p) : 0;
			if (r)
				return r;
			ef->line++;
			continue;
		}
		if (ef->row.open || *p == ' ' || *p == '\t' || *p == '\r')
			continue;
		if (*p == '{' || *p == '[') {
			ef->form = EVFRAME_JSON;
			jsonframe_begin(&ef->json, ef->max_record_bytes, ef->line);
			break;
		}
		rowbuf_open(&ef->row, p, ef->line);
	}
	*at = p;
	return 0;
}

static int csv_row_ends(struct evframe *ef, const char *end)
{
	uint64_t line = ef->row.line;
	struct rowbuf_row row = {.line = line, .why = EVPARSE_REASON_COUNT};
	ef->csv = CSV_FIELD_START;
	int r = rowbuf_close(&ef->row, end, &row.text);
	if (r)
		return r;
	if (ef->row.over)
		return refuse(ef, ef->ops.csv_row, line, EVPARSE_OVERSIZE);
	if (row.text.n && row.text.p[row.text.n - 1] == '\r')
		row.text.n--;
	return row.text.n ? ef->ops.csv_row(ef->ops.ctx, &row) : 0;
}

/* The state after one byte that does not end the row. */
static uint8_t csv_step(const struct evframe *ef, char c)
{
	switch ((enum csv_state)ef->csv) {
	case CSV_FIELD_START:
		if (c == '"')
			return CSV_QUOTED;
		return c == ef->delimiter || c == ' ' || c == '\t' ? CSV_FIELD_START : CSV_PLAIN;
	case CSV_PLAIN:
		return c == ef->delimiter ? CSV_FIELD_START : CSV_PLAIN;
	case CSV_QUOTED:
		return c == '"' ? CSV_QUOTE_SEEN : CSV_QUOTED;
	case CSV_QUOTE_SEEN:
		break;
	}
	if (c == ef->delimiter)
		return CSV_FIELD_START;
	return c == ' ' || c == '\t' || c == '\r' ? CSV_QUOTE_SEEN : CSV_QUOTED;
}

static int csv_newline(struct evframe *ef, const char *p)
{
	ef->line++;
	if (!ef->row.open)
		return 0;
	if (ef->csv == CSV_QUOTED && !rowbuf_is_over(&ef->row, p))
		return 0;
	return csv_row_ends(ef, p);
}

static int csv_feed(struct evframe *ef, const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '\n') {
			int r = csv_newline(ef, p);
			if (r)
				return r;
			continue;
		}
		if (!ef->row.open)
			rowbuf_open(&ef->row, p, ef->line);
		ef->csv = csv_step(ef, *p);
	}
	return 0;
}

static int feed_text(struct evframe *ef, const char *p, size_t n)
{
	const char *end = p + n;
	rowbuf_resume(&ef->row, p);
	int r = 0;
	if (ef->form == EVFRAME_UNKNOWN)
		r = find_form(ef, &p, end);
	if (r)
		return r;
	if (ef->form == EVFRAME_JSON)
		return jsonframe_feed(&ef->json, p, (size_t)(end - p), ef->ops.json_row, ef->ops.ctx);
	if (ef->form == EVFRAME_CSV)
		r = csv_feed(ef, p, end);
	return r ? r : rowbuf_spill(&ef->row, end);
}

static int feed_wide(struct evframe *ef, const char *p, size_t n)
{
	enum { PIECE = 1024 };
	char text[UTF16_MAX_GROWTH * PIECE + UTF16_MAX_LEFT];
	while (n) {
		size_t piece = n < PIECE ? n : PIECE;
		int r = feed_text(ef, text, utf16_decode(&ef->utf16, p, piece, text));
		if (r)
			return r;
		p += piece;
		n -= piece;
	}
	return 0;
}

static int feed_known(struct evframe *ef, const char *p, size_t n)
{
	return ef->wide ? feed_wide(ef, p, n) : feed_text(ef, p, n);
}

/* The first bytes are all here: drop the mark they may be, pass on the rest. */
static int finish_head(struct evframe *ef)
{
	const unsigned char *h = (const unsigned char *)ef->head;
	size_t mark = 0;
	ef->head_done = true;
	if (ef->n_head >= 2 && ((h[0] == 0xff && h[1] == 0xfe) || (h[0] == 0xfe && h[1] == 0xff))) {
		ef->wide = true;
		ef->utf16.big = h[0] == 0xfe;
		mark = 2;
	} else if (ef->n_head == 3 && !memcmp(h, "\xef\xbb\xbf", 3)) {
		mark = 3;
	}
	return feed_known(ef, ef->head + mark, ef->n_head - mark);
}

int evframe_feed(struct evframe *ef, const char *p, size_t n)
{
	while (!ef->head_done && n) {
		ef->head[ef->n_head++] = *p++;
		n--;
		if (ef->n_head == sizeof ef->head) {
			int r = finish_head(ef);
			if (r)
				return r;
		}
	}
	return n ? feed_known(ef, p, n) : 0;
}

static int finish_text(struct evframe *ef)
{
	static const char nothing[1];
	if (ef->form == EVFRAME_JSON)
		return jsonframe_end(&ef->json, ef->ops.json_row, ef->ops.ctx);
	if (!ef->row.open)
		return ef->preamble && ef->form == EVFRAME_UNKNOWN ? LT_EFORMAT : 0;
	rowbuf_resume(&ef->row, nothing);
	if (ef->form == EVFRAME_UNKNOWN) {
		int r = question(ef, nothing);
		return r ? r : ef->form == EVFRAME_UNKNOWN ? LT_EFORMAT : 0;
	}
	if (ef->csv != CSV_QUOTED)
		return csv_row_ends(ef, nothing);
	uint64_t line = ef->row.line;
	bool over = rowbuf_is_over(&ef->row, nothing);
	rowbuf_drop(&ef->row);
	return refuse(ef, ef->ops.csv_row, line, over ? EVPARSE_OVERSIZE : EVPARSE_CUT_SHORT);
}

int evframe_end(struct evframe *ef)
{
	int r = ef->head_done ? 0 : finish_head(ef);
	if (!r && ef->wide) {
		char left[UTF16_MAX_LEFT];
		r = feed_text(ef, left, utf16_end(&ef->utf16, left));
	}
	if (!r)
		r = finish_text(ef);
	return r;
}
