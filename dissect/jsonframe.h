/* jsonframe: cuts JSON text into rows without reading it: brackets, strings and newlines only, one pass, no
 * recursion.
 *
 * A row is an object at top level, or an object in an array of rows: a top-level array, or the array under a
 * key records, Results, results or value of an object that stands where a row may stand. Such a container is
 * never held: its rows leave one by one.
 *
 * Lines or document? The first value decides. If it ends on the line it began on, the text is NDJSON: from
 * then on a newline ends every row, so that a broken line costs itself alone. If a newline comes inside it,
 * the text is a document in which newlines mean nothing; and if that first value then turns out to be broken,
 * the lines after its first one that start with { are framed again as NDJSON, or, if there are none, the next
 * value decides. In a document, a row with wrong brackets is dropped up to the next line that starts with {;
 * a raw newline cannot be inside a JSON string, so no text of an event can fake such a line. */
#ifndef LEAKTAP_DISSECT_JSONFRAME_H
#define LEAKTAP_DISSECT_JSONFRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/rowbuf.h"

enum { JSONFRAME_MAX_DEPTH = 32, JSONFRAME_MAX_ARRAYS = 4, JSONFRAME_MAX_KEY = 47, JSONFRAME_MAX_CUTS = 48 };

enum jsonframe_lines { JSONFRAME_UNDECIDED, JSONFRAME_LINES, JSONFRAME_DOCUMENT };

struct jsonframe {
	struct rowbuf row;
	rowbuf_fn *fn; /* of the present call */
	void *ctx;
	uint64_t line, value_line; /* present line; first line of the present top-level value */
	uint64_t arrays;           /* bit d: level d + 1 is an array; for levels up to the maximum */
	size_t depth, row_depth;
	size_t rows_at[JSONFRAME_MAX_ARRAYS]; /* depth inside each open array of rows */
	size_t n_rows_at;
	size_t again_at; /* offset in the first row of the byte after its first newline; 0: none */
	struct rowbuf_cut cuts[JSONFRAME_MAX_CUTS];
	size_t n_cuts, key_at, cut_depth; /* cut_depth: of the member being left out, 0 none */
	size_t n_key;
	char key[JSONFRAME_MAX_KEY + 1];
	uint8_t lines; /* enum jsonframe_lines */
	char prev;     /* last byte that was not white space */
	bool in_string, escaped, in_key, blank, skipping, scalar, deep, maybe_rows;
};

/* max_record_bytes > 0; line is that of the first byte to come. */
void jsonframe_begin(struct jsonframe *jf, size_t max_record_bytes, uint64_t line);
void jsonframe_free(struct jsonframe *jf);

/* 0, -ENOMEM, or what fn returned. */
int jsonframe_feed(struct jsonframe *jf, const char *p, size_t n, rowbuf_fn *fn, void *ctx);
int jsonframe_end(struct jsonframe *jf, rowbuf_fn *fn, void *ctx);

#endif
