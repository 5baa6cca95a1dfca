#include "dissect/csvrows.h"

#include <csv.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/err.h"

struct csvrows {
	struct csv_parser parser;
	char *text; /* of all fields, one after the other */
	size_t size, used, n, rows;
	bool too_many;
	struct slice fields[CSVROWS_MAX_FIELDS];
};

struct csvrows *csvrows_new(void)
{
	struct csvrows *cr = calloc(1, sizeof *cr);
	if (cr && csv_init(&cr->parser, 0)) {
		free(cr);
		return NULL;
	}
	return cr;
}

void csvrows_free(struct csvrows *cr)
{
	if (!cr)
		return;
	csv_free(&cr->parser);
	free(cr->text);
	free(cr);
}

/* libcsv reuses its buffer for the next field: copy. All fields together are never longer than the row. */
static void on_field(void *s, size_t n, void *ctx)
{
	struct csvrows *cr = ctx;
	if (cr->n == CSVROWS_MAX_FIELDS || n > cr->size - cr->used) {
		cr->too_many = true;
		return;
	}
	char *to = cr->text + cr->used;
	if (n)
		memcpy(to, s, n);
	cr->used += n;
	cr->fields[cr->n++] = (struct slice){(const uint8_t *)to, n};
}

static void on_row(int end, void *ctx)
{
	(void)end;
	struct csvrows *cr = ctx;
	cr->rows++;
}

static int make_room(struct csvrows *cr, size_t n)
{
	if (n <= cr->size)
		return 0;
	char *text = realloc(cr->text, n);
	if (!text)
		return -ENOMEM;
	cr->text = text;
	cr->size = n;
	return 0;
}

int csvrows_split(struct csvrows *cr, struct slice row, char delimiter, const struct slice **ret_fields,
		  size_t *ret_n)
{
	int r = make_room(cr, row.n);
	if (r)
		return r;
	cr->used = cr->n = cr->rows = 0;
	cr->too_many = false;
	csv_set_delim(&cr->parser, (unsigned char)delimiter);
	size_t taken = csv_parse(&cr->parser, row.p, row.n, on_field, on_row, cr);
	int status = csv_error(&cr->parser);
	csv_fini(&cr->parser, on_field, on_row, cr);
	if (taken != row.n)
		return status == CSV_ENOMEM ? -ENOMEM : LT_EFORMAT;
	if (cr->too_many || cr->rows != 1)
		return LT_EFORMAT;
	*ret_fields = cr->fields;
	*ret_n = cr->n;
	return 0;
}
