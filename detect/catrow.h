/* catrow: rows of the catalogue out of tab-separated files, ours and the operator's. */
#ifndef LEAKTAP_DETECT_CATROW_H
#define LEAKTAP_DETECT_CATROW_H

#include <stdbool.h>
#include <stddef.h>

#include "capture/base/err.h"
#include "detect/catalogue.h"

enum { CATROWS_MAX = 65536 };

struct catrow_place {     /* where an operator's row stands, for messages */
	const char *file; /* borrowed */
	unsigned line, column;
};

struct catrows { /* zero = empty */
	struct catalogue_row *rows;
	struct catrow_place *places; /* of the first n_places rows */
	size_t n, cap, n_places;
	size_t prefixes_from; /* rows from here on are address prefixes; set by the catalogue */
	char **texts;         /* what the rows' strings lie in */
	size_t n_texts;
};

void catrows_free(struct catrows *cr);
/* service pattern role [processes]. 0, negative errno or LT_ECONF with "file:line:column: why". path is
 * borrowed. */
int catrows_file(struct catrows *cr, const char *path, size_t max_bytes, struct err *err);
/* Reads a file only to find mistakes: the operator's form, or, where the first row has eight fields or more, that
 * of our own lists (destinations.tsv, prefixes.tsv), rows verified "known" too. As catrows_file. */
int catrows_check(struct catrows *cr, const char *path, size_t max_bytes, struct err *err);
/* LT_ECONF if the operator's rows have one pattern twice. */
int catrows_duplicates(const struct catrows *cr, struct err *err);
/* A list compiled in (detect/builtin.h): rows verified "known" only if enable_known. */
int catrows_builtin(struct catrows *cr, const unsigned char *text, size_t bytes, bool enable_known,
		    struct err *err);
/* The operator's rows take title, category, technique and accounts from ours of the same service. */
void catrows_inherit(struct catrows *cr);

#endif
