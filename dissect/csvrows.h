/* csvrows: the one door to libcsv. Splits one framed row into its fields; memory is bounded by the longest
 * row split. */
#ifndef LEAKTAP_DISSECT_CSVROWS_H
#define LEAKTAP_DISSECT_CSVROWS_H

#include <stddef.h>

#include "dissect/bytes.h"

enum { CSVROWS_MAX_FIELDS = 256 };

struct csvrows;

/* NULL when out of memory. */
struct csvrows *csvrows_new(void);
void csvrows_free(struct csvrows *cr);

/* Fields are lent until the next split. 0; LT_EFORMAT when the row is none, more than one, or has too many
 * fields; -ENOMEM. */
int csvrows_split(struct csvrows *cr, struct slice row, char delimiter, const struct slice **ret_fields,
		  size_t *ret_n);

#endif
