/* utf16: UTF-16 text to UTF-8, a chunk at a time (what PowerShell writes behind ">"). A lone surrogate comes
 * out as the three bytes it would have, which are not UTF-8: the readers behind refuse them as they refuse
 * any other broken text. */
#ifndef LEAKTAP_DISSECT_UTF16_H
#define LEAKTAP_DISSECT_UTF16_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct utf16 {
	bool big, has_half;
	uint8_t half;
	uint16_t high; /* a high surrogate waiting for its low one, 0 = none */
};

enum { UTF16_MAX_GROWTH = 3, UTF16_MAX_LEFT = 6 };

/* out must hold UTF16_MAX_GROWTH * n + UTF16_MAX_LEFT bytes; returns how many were written. */
size_t utf16_decode(struct utf16 *u, const char *in, size_t n, char *out);

/* What the end leaves over: a lone high surrogate, an odd byte. Needs UTF16_MAX_LEFT bytes. */
size_t utf16_end(struct utf16 *u, char *out);

#endif
