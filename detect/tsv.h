/* tsv: tab-separated lines of a buffer, with places for error messages. Lines that are empty or begin with
 * "#" are left out. */
#ifndef LEAKTAP_DETECT_TSV_H
#define LEAKTAP_DETECT_TSV_H

#include <stdbool.h>
#include <stddef.h>

enum { TSV_MAX_FIELDS = 12 };

struct tsv {
	char *next, *end; /* of the buffer, which is cut in place */
	const char *line; /* start of the current line */
	unsigned line_no; /* from 1 */
	char *fields[TSV_MAX_FIELDS];
	size_t n_fields; /* more than TSV_MAX_FIELDS: counted, not kept */
};

/* text[n] is a NUL of the caller's; NUL bytes inside the text are made '?'. Borrowed until the last tsv_next;
 * the fields stay in it. */
void tsv_begin(struct tsv *t, char *text, size_t n);
bool tsv_next(struct tsv *t);
/* 1-based column of a place within the current line. */
unsigned tsv_column(const struct tsv *t, const char *place);
/* A whole file into a new buffer with a NUL after it, at most max_bytes. 0, negative errno or -EFBIG. The
 * caller frees. */
int tsv_slurp(char **ret_text, size_t *ret_n, const char *path, size_t max_bytes);

#endif
