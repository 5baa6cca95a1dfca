#include "dissect/evparse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "dissect/csvrows.h"
#include "dissect/ev_mde.h"
#include "dissect/ev_windows.h"
#include "dissect/evframe.h"
#include "dissect/evrow.h"
#include "dissect/utf8.h"

enum { DEFAULT_MAX_RECORD = 1 << 20, NOTE_BYTES = 1024, NOTE_ORIGIN = 512, NOTE_VALUE = 96 };

const char *const evparse_reason_names[EVPARSE_REASON_COUNT] = {
#define X(name, text) text,
    EVPARSE_REASONS(X)
#undef X
};

/* What a CSV export is. */
enum csv_table { CSV_MDE, CSV_MDE_VAGUE, CSV_WINDOWS };

struct evparse {
	size_t max_record_bytes;
	evparse_note_fn *note;
	void *note_ctx;
	struct evzone *zone;
	struct evparse_stats stats;
	struct evframe frame;
	struct scratch scratch;
	struct csvrows *csv;
	char *header; /* the names of the columns */
	struct evrow_field columns[CSVROWS_MAX_FIELDS];
	size_t n_columns;
	char delimiter;
	uint8_t csv_table; /* enum csv_table */
	struct ev_windows windows;
	char *origin;
	int failed; /* the origin is unusable; why is in why */
	struct err why;
	procevent_fn *fn; /* of the present call */
	void *ctx;
};

static int out_of_memory(struct evparse *ep)
{
	return err_set(&ep->why, -ENOMEM, "out of memory");
}

struct evparse *evparse_new(const struct evparse_conf *conf, struct err *err)
{
	struct evparse *ep = calloc(1, sizeof *ep);
	if (!ep) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	ep->max_record_bytes = conf->max_record_bytes ? conf->max_record_bytes : DEFAULT_MAX_RECORD;
	ep->note = conf->note;
	ep->note_ctx = conf->note_ctx;
	if (conf->zone || conf->tzif) {
		ep->zone = evzone_new(conf->zone, conf->tzif, conf->tzif_bytes, err);
		if (!ep->zone)
			goto free_parser;
	}
	ep->csv = csvrows_new();
	if (!ep->csv) {
		err_set(err, -ENOMEM, "out of memory");
		goto free_parser;
	}
	return ep;

free_parser:
	evparse_free(ep);
	return NULL;
}

void evparse_free(struct evparse *ep)
{
	if (!ep)
		return;
	evframe_free(&ep->frame);
	scratch_free(&ep->scratch);
	csvrows_free(ep->csv);
	evzone_free(ep->zone);
	free(ep->header);
	free(ep->origin);
	free(ep);
}

/* Appends up to max bytes as printable ASCII, the rest as \xNN; stops where room ends. */
static size_t append_escaped(char *to, size_t at, size_t size, struct slice s, size_t max)
{
	size_t n = s.n < max ? s.n : max;
	for (size_t i = 0; i < n && at + 5 < size; i++) {
		uint8_t c = s.p[i];
		if (c >= 0x20 && c < 0x7f && c != '\\')
			to[at++] = (char)c;
		else
			at += (size_t)snprintf(to + at, size - at, "\\x%02x", (unsigned)c);
	}
	if (n < s.n && at + 5 < size)
		at += (size_t)snprintf(to + at, size - at, "...");
	to[at] = '\0';
	return at;
}

static size_t append(char *to, size_t at, size_t size, const char *text)
{
	int n = snprintf(to + at, size - at, "%s", text);
	return (size_t)n < size - at ? at + (size_t)n : size - 1;
}

static int reject(struct evparse *ep, uint64_t line, const struct evrow_fault *fault)
{
	ep->stats.rows++;
	ep->stats.rejected[fault->why]++;
	if (!ep->note)
		return 0;
	char text[NOTE_BYTES];
	size_t at = append_escaped(text, 0, NOTE_ORIGIN, slice_of(ep->origin), NOTE_ORIGIN);
	at += (size_t)snprintf(text + at, sizeof text - at, ":%" PRIu64 ": ", line);
	if (*fault->field) {
		at = append(text, at, sizeof text, "field ");
		at = append(text, at, sizeof text, fault->field);
		at = append(text, at, sizeof text, fault->value.n ? ": " : " ");
	}
	at = append_escaped(text, at, sizeof text, fault->value, NOTE_VALUE);
	at = append(text, at, sizeof text, fault->value.n ? " " : "");
	append(text, at, sizeof text, fault->what);
	ep->note(ep->note_ctx, fault->why, text);
	return 0;
}

/* The row as a whole is no good; detail may be empty. */
static int reject_whole(struct evparse *ep, uint64_t line, enum evparse_reason why, struct slice detail)
{
	static const char *const texts[EVPARSE_REASON_COUNT] = {
	    [EVPARSE_OVERSIZE] = "row is longer than a row may be",
	    [EVPARSE_NESTING] = "row nests too deep",
	    [EVPARSE_SYNTAX] = "neither a whole row of JSON nor of CSV",
	    [EVPARSE_DUP_KEY] = "a key is given twice",
	    [EVPARSE_ENCODING] = "text is not UTF-8",
	    [EVPARSE_NUL_IN_KEY] = "text holds a NUL",
	    [EVPARSE_BAD_NUMBER] = "a number does not fit",
	    [EVPARSE_NOT_OBJECT] = "row is not an object",
	    [EVPARSE_UNKNOWN_ROW] = "no event that this program knows",
	    [EVPARSE_BAD_COLUMNS] = "number of columns differs from the header's",
	    [EVPARSE_CUT_SHORT] = "input ends inside this row",
	};
	struct evrow_fault fault = {why, "", detail, texts[why] ? texts[why] : evparse_reason_names[why]};
	return reject(ep, line, &fault);
}

static int zone_is_missing(struct evparse *ep, uint64_t line)
{
	return err_set(&ep->why, LT_EZONE,
		       "%s:%" PRIu64 ": times carry no time zone; say which one they are in, for example "
		       "--tz UTC, --tz +02:00 or --tz Europe/Berlin",
		       ep->origin, line);
}

/* The row is read: hand the event on or say why not. */
static int finish(struct evparse *ep, struct evrow *row, struct procevent *ev)
{
	if (row->out_of_memory)
		return out_of_memory(ep);
	if (row->zone_missing && !evrow_failed(row))
		return zone_is_missing(ep, ev->line);
	if (evrow_failed(row))
		return reject(ep, ev->line, &row->fault);
	if (!ev->event_id.n) {
		ev->event_id =
		    evrow_print(row, "h:%016" PRIx64, hash_bytes(HASH_KEY_FIXED, row->raw.p, row->raw.n));
		if (row->out_of_memory)
			return out_of_memory(ep);
	}
	ev->origin = ep->origin;
	ep->stats.rows++;
	ep->stats.accepted[ev->kind]++;
	ep->fn(ep->ctx, ev);
	return 0;
}

static struct evrow open_row(struct evparse *ep, struct slice raw)
{
	scratch_reset(&ep->scratch);
	return (struct evrow){.zone = ep->zone,
			      .scratch = &ep->scratch,
			      .raw = raw,
			      .fault = {.why = EVPARSE_REASON_COUNT, .field = ""}};
}

static int read_object(struct evparse *ep, struct evrow *row, const struct json_t *root, uint64_t line)
{
	struct procevent ev = {.line = line};
	struct slice table;
	const struct json_t *source = jsondoc_get(root, "_source");
	if (jsondoc_type(source) == JSONDOC_OBJECT)
		root = source;
	evrow_add_object(row, root);
	if (ev_mde_open(row, root, &table, &ev.time_received_ns))
		ev_mde_read(row, table, &ev);
	else if (ev_windows_open(row, root, &ep->windows))
		ev_windows_read(row, &ep->windows, &ev);
	else
		return reject_whole(ep, line, EVPARSE_UNKNOWN_ROW, (struct slice){NULL, 0});
	return finish(ep, row, &ev);
}

static int on_json_row(void *ctx, const struct rowbuf_row *framed)
{
	struct evparse *ep = ctx;
	if (framed->why != EVPARSE_REASON_COUNT)
		return reject_whole(ep, framed->line, framed->why, (struct slice){NULL, 0});
	struct jsondoc_fault fault;
	struct json_t *root = jsondoc_parse(framed->text, framed->cuts, framed->n_cuts, &fault);
	if (!root && fault.why == EVPARSE_REASON_COUNT)
		return out_of_memory(ep);
	if (!root)
		return reject_whole(ep, framed->line, fault.why, slice_of(fault.text));
	struct evrow row = open_row(ep, framed->text);
	int r = jsondoc_type(root) == JSONDOC_OBJECT
		    ? read_object(ep, &row, root, framed->line)
		    : reject_whole(ep, framed->line, EVPARSE_NOT_OBJECT, (struct slice){NULL, 0});
	evrow_close(&row);
	jsondoc_free(root);
	return r;
}

/* "TimeGenerated [UTC]" names TimeGenerated and says its zone. */
static struct evrow_field column_of(struct slice name)
{
	static const char *const suffixes[] = {" [UTC]", " [Local Time]"};
	struct evrow_field f = {name, {NULL, 0}, false};
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
		if (slice_ends(name, suffixes[i])) {
			f.name.n -= strlen(suffixes[i]);
			f.utc = i == 0;
		}
	return f;
}

/* Do these names make a table we know? Every column counts as filled for the question. */
static bool know_columns(struct evparse *ep)
{
	struct evrow header = open_row(ep, (struct slice){NULL, 0});
	for (size_t i = 0; i < ep->n_columns; i++)
		ep->columns[i].text = slice_of("x");
	evrow_add_table(&header, ep->columns, ep->n_columns);
	if (ev_mde_columns(&header))
		ep->csv_table = ev_mde_without_action(&header) ? CSV_MDE_VAGUE : CSV_MDE;
	else if (ev_windows_columns(&header))
		ep->csv_table = CSV_WINDOWS;
	else
		return false;
	return true;
}

static int keep_columns(struct evparse *ep, const struct slice *names, size_t n, size_t bytes)
{
	free(ep->header);
	ep->header = malloc(bytes + 1);
	if (!ep->header)
		return out_of_memory(ep);
	char *to = ep->header;
	for (size_t i = 0; i < n; i++) {
		if (names[i].n)
			memcpy(to, names[i].p, names[i].n);
		ep->columns[i] = column_of((struct slice){(uint8_t *)to, names[i].n});
		to += names[i].n;
	}
	ep->n_columns = n;
	return 0;
}

static bool repeats_column(const struct evparse *ep)
{
	for (size_t i = 0; i < ep->n_columns; i++)
		for (size_t k = 0; k < i; k++)
			if (ep->columns[i].name.n == ep->columns[k].name.n && ep->columns[i].name.n &&
			    !memcmp(ep->columns[i].name.p, ep->columns[k].name.p, ep->columns[i].name.n))
				return true;
	return false;
}

static int on_header(void *ctx, struct slice line, uint64_t number, char *ret_delimiter)
{
	static const char delimiters[] = {',', ';', '\t'};
	struct evparse *ep = ctx;
	if (!utf8_is_valid(line))
		return 0;
	for (size_t i = 0; i < sizeof delimiters; i++) {
		const struct slice *names;
		size_t n;
		if (!memchr(line.p, delimiters[i], line.n) ||
		    csvrows_split(ep->csv, line, delimiters[i], &names, &n))
			continue;
		int r = keep_columns(ep, names, n, line.n);
		if (r)
			return r;
		if (!know_columns(ep))
			continue;
		if (repeats_column(ep))
			return err_set(&ep->why, LT_EFORMAT, "%s:%" PRIu64 ": two columns have the same name",
				       ep->origin, number);
		if (ep->csv_table == CSV_MDE_VAGUE)
			return err_set(&ep->why, LT_EFORMAT,
				       "%s:%" PRIu64 ": connections without the column ActionType: whether one succeeded "
				       "or failed is not known; export it too",
				       ep->origin, number);
		ep->delimiter = *ret_delimiter = delimiters[i];
		return 1;
	}
	return 0;
}

static int read_csv(struct evparse *ep, struct evrow *row, uint64_t line)
{
	struct procevent ev = {.line = line};
	struct slice table = {NULL, 0};
	if (ep->csv_table == CSV_MDE && ev_mde_open(row, NULL, &table, &ev.time_received_ns))
		ev_mde_read(row, table, &ev);
	else if (ep->csv_table == CSV_WINDOWS && ev_windows_open(row, NULL, &ep->windows))
		ev_windows_read(row, &ep->windows, &ev);
	else
		return reject_whole(ep, line, EVPARSE_UNKNOWN_ROW, (struct slice){NULL, 0});
	return finish(ep, row, &ev);
}

static int on_csv_row(void *ctx, const struct rowbuf_row *framed)
{
	struct evparse *ep = ctx;
	const struct slice *values;
	size_t n;
	if (framed->why != EVPARSE_REASON_COUNT)
		return reject_whole(ep, framed->line, framed->why, (struct slice){NULL, 0});
	if (memchr(framed->text.p, 0, framed->text.n))
		return reject_whole(ep, framed->line, EVPARSE_NUL_IN_KEY, (struct slice){NULL, 0});
	if (!utf8_is_valid(framed->text))
		return reject_whole(ep, framed->line, EVPARSE_ENCODING, (struct slice){NULL, 0});
	int r = csvrows_split(ep->csv, framed->text, ep->delimiter, &values, &n);
	if (r == -ENOMEM)
		return out_of_memory(ep);
	if (r || n != ep->n_columns)
		return reject_whole(ep, framed->line, EVPARSE_BAD_COLUMNS, (struct slice){NULL, 0});
	for (size_t i = 0; i < n; i++)
		ep->columns[i].text = values[i];
	struct evrow row = open_row(ep, framed->text);
	row.is_csv = true;
	evrow_add_table(&row, ep->columns, n);
	r = read_csv(ep, &row, framed->line);
	evrow_close(&row);
	return r;
}

int evparse_begin(struct evparse *ep, const char *origin, struct err *err)
{
	char *name = strdup(origin);
	if (!name)
		return err_set(err, -ENOMEM, "out of memory");
	free(ep->origin);
	ep->origin = name;
	ep->failed = 0;
	ep->why = (struct err){0};
	const struct evframe_ops ops = {on_header, on_json_row, on_csv_row, ep};
	evframe_begin(&ep->frame, ep->max_record_bytes, &ops);
	return 0;
}

/* What the frame returned; the first failure stays until the next begin. */
static int settle(struct evparse *ep, int r, struct err *err)
{
	if (r && !ep->failed) {
		ep->failed = r;
		if (r == LT_EFORMAT && ep->why.code != LT_EFORMAT)
			err_set(&ep->why, r,
				"%s: neither JSON nor a CSV export of Defender, Sysmon or Security events, "
				"which has columns of time and device such as Timestamp and DeviceName",
				ep->origin);
		else if (r == -ENOMEM)
			out_of_memory(ep);
	}
	if (ep->failed && err)
		*err = ep->why;
	return ep->failed;
}

int evparse_feed(struct evparse *ep, const char *bytes, size_t n, procevent_fn *fn, void *ctx,
		 struct err *err)
{
	ep->fn = fn;
	ep->ctx = ctx;
	return settle(ep, ep->failed ? 0 : evframe_feed(&ep->frame, bytes, n), err);
}

int evparse_end(struct evparse *ep, procevent_fn *fn, void *ctx, struct err *err)
{
	ep->fn = fn;
	ep->ctx = ctx;
	return settle(ep, ep->failed ? 0 : evframe_end(&ep->frame), err);
}

const struct evparse_stats *evparse_stats(const struct evparse *ep)
{
	return &ep->stats;
}
