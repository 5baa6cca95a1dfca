/* builtin: our own lists, compiled in by embed.cmake from the files of the same names. */
#ifndef LEAKTAP_DETECT_BUILTIN_H
#define LEAKTAP_DETECT_BUILTIN_H

#include <stddef.h>

extern const unsigned char builtin_destinations[], builtin_prefixes[];
extern const size_t builtin_destinations_bytes, builtin_prefixes_bytes;

#endif
