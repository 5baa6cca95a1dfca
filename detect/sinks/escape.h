/* escape: the one place where hostile text is made harmless for a sink. Input is any bytes; UTF-8 is checked, never trusted. */
#ifndef LEAKTAP_DETECT_SINKS_ESCAPE_H
#define LEAKTAP_DETECT_SINKS_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* Each writes whole pieces, stops before the first one that does not fit, adds no terminator and returns the bytes written.
 * ESCAPE_GROWTH * n bytes always suffice. */
enum { ESCAPE_GROWTH = 6 };

/* Inside a JSON string: quotes and backslash escaped; controls, C1, U+2028/9, bidi and zero-width characters as \uXXXX; a byte that is not UTF-8 as
 * the four characters \xNN (with its backslash escaped). */
size_t escape_json(char *out, size_t size, const char *text, size_t n);
/* Printable ASCII for a terminal; every other byte as \xNN, and so the backslash of a text that looks like one: what is printed is unambiguous. */
size_t escape_terminal(char *out, size_t size, const char *text, size_t n);
/* HTML text and quoted attributes: & < > " ' as entities; controls, bidi, zero-width and invalid bytes as visible \u{XXXX} or \xNN. */
size_t escape_html(char *out, size_t size, const char *text, size_t n);
/* A CEF header field (header: | escaped) or the value of an extension key (= escaped); in both the backslash and line ends. Every byte of another
 * control, bidi or zero-width character and of what is not UTF-8 as \\xNN. */
size_t escape_cef(char *out, size_t size, const char *text, size_t n, bool header);

#endif
