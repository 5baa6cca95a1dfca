/* scratch: memory for texts that a row does not hold as they are needed (unescaped XML, joined paths, ids).
 * Everything taken is given back at once by scratch_reset, once per row. */
#ifndef LEAKTAP_DISSECT_SCRATCH_H
#define LEAKTAP_DISSECT_SCRATCH_H

#include <stddef.h>

struct scratch_block;

struct scratch {
	struct scratch_block *blocks; /* newest first */
};

/* n bytes, not initialised, valid until the next reset; NULL when out of memory. */
char *scratch_take(struct scratch *sc, size_t n);

/* Keeps one block for the next row. */
void scratch_reset(struct scratch *sc);
void scratch_free(struct scratch *sc);

#endif
