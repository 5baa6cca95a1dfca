/* evframe: rows out of the bytes of an endpoint log, whatever it is: JSON in all its forms (see jsonframe),
 * CSV, both in UTF-8 or, with a byte order mark, in UTF-16.
 *
 * The first line that is not blank decides: { or [ is JSON; else the line is offered as a CSV header. A line
 * that is neither (the tail of a rotated log, a title) is refused as a row and the next one asked, at most
 * EVFRAME_MAX_PREAMBLE times. CSV rows end at a newline outside quotes (RFC 4180); a row that outgrows the
 * maximum with an open quote ends at the next newline of any kind. */
#ifndef LEAKTAP_DISSECT_EVFRAME_H
#define LEAKTAP_DISSECT_EVFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/jsonframe.h"
#include "dissect/utf16.h"

enum { EVFRAME_MAX_PREAMBLE = 8 };

enum evframe_form { EVFRAME_UNKNOWN, EVFRAME_JSON, EVFRAME_CSV };

/* header: 1 the line is a header we know, 0 it is not, or a negative code to stop; *ret_delimiter is set
 * with 1. json_row, csv_row: see rowbuf_fn. The line of a header carries no newline. */
struct evframe_ops {
	int (*header)(void *ctx, struct slice line, uint64_t number, char *ret_delimiter);
	rowbuf_fn *json_row, *csv_row;
	void *ctx;
};

struct evframe {
	struct evframe_ops ops;
	struct jsonframe json;
	struct rowbuf row; /* CSV row, or the line under question */
	struct utf16 utf16;
	size_t max_record_bytes;
	uint64_t line;
	unsigned preamble;
	uint8_t form; /* enum evframe_form */
	uint8_t csv;  /* state inside a CSV row */
	char delimiter;
	char head[3];
	uint8_t n_head;
	bool head_done, wide;
};

/* evframe must be zero before the first begin. max_record_bytes > 0. */
void evframe_begin(struct evframe *ef, size_t max_record_bytes, const struct evframe_ops *ops);
void evframe_free(struct evframe *ef);

/* 0, -ENOMEM, what an op returned, or LT_EFORMAT when no form was found. */
int evframe_feed(struct evframe *ef, const char *p, size_t n);
int evframe_end(struct evframe *ef);

#endif
