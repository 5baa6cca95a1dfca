/* evskip: members that shippers and sensors put in every row and that no reader here asks for. The frame cuts
 * them out before the row is parsed, which halves the parser's work. Whoever reads one of them must take it
 * out of the list; a test compares. */
#ifndef LEAKTAP_DISSECT_EVSKIP_H
#define LEAKTAP_DISSECT_EVSKIP_H

#include <stdbool.h>
#include <stddef.h>

enum { EVSKIP_MAX_KEY = 43, EVSKIP_PER_LENGTH = 12 };

/* By length of the name; unused places are NULL. */
extern const char *const evskip_names[EVSKIP_MAX_KEY + 1][EVSKIP_PER_LENGTH];

bool evskip_has(const char *key, size_t n);

#endif
