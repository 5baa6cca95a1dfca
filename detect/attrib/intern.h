/* intern: byte strings stored once, known by a number from 1. They never move and are terminated. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_INTERN_H
#define LEAKTAP_DETECT_ATTRIB_INTERN_H

#include <stddef.h>
#include <stdint.h>

struct intern;

struct intern *intern_new(size_t max_bytes); /* NULL: out of memory */
void intern_free(struct intern *in);

/* The string's number; 0 for an empty one, or when max_bytes are used up (counted). */
uint32_t intern_add(struct intern *in, const void *p, size_t n);
/* The same without looking for an earlier copy, for strings known to be new. */
uint32_t intern_append(struct intern *in, const void *p, size_t n);
const char *intern_text(const struct intern *in, uint32_t number, size_t *ret_n); /* "" for 0; ret_n may be NULL */
size_t intern_bytes(const struct intern *in);
uint64_t intern_refused(const struct intern *in);

#endif
