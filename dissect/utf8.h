/* utf8: writing and checking UTF-8 (RFC 3629). */
#ifndef LEAKTAP_DISSECT_UTF8_H
#define LEAKTAP_DISSECT_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/bytes.h"

/* 1 to 4 bytes at out; returns the byte after them. A surrogate is written as it is and then fails
 * utf8_is_valid. */
char *utf8_put(char *out, uint32_t code_point);

/* No overlong forms, no surrogates, nothing above U+10FFFF. */
bool utf8_is_valid(struct slice text);

#endif
