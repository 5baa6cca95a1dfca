/* filelist: files and directories as the operator named them, as a list of files. */
#ifndef LEAKTAP_CAPTURE_FILELIST_H
#define LEAKTAP_CAPTURE_FILELIST_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

enum { FILELIST_MAX_FILES = UINT16_MAX }; /* a packet carries the number of its file in 16 bits */

/* Owns its strings. {0} is an empty list. */
struct filelist {
	char **paths;
	size_t n, cap;
};

/* A directory gives every regular file in it (links followed), by name in byte order, not recursive, without
 * dot files; an empty one is an error (-ENOENT). "-" and named pipes stay as they are. A regular file reached
 * twice is listed once, where it came first: read twice, its bytes would count twice. 0, or a negative code
 * with err naming the path. */
int filelist_expand(struct filelist *ret_list, const char *const *args, size_t n_args, struct err *err);
void filelist_done(struct filelist *list);

#endif
