/* escape: the one place where hostile text is made harmless for a sink. Input is any bytes; UTF-8 is checked, never trusted. */
#ifndef LEAKTAP_DETECT_SINKS_ESCAPE_H
#define LEAKTAP_DETECT_SINKS_ESCAPE_H

#include <stddef.h>

/* Each writes at most size bytes without a terminator and returns the bytes needed. An out buffer of 12 * n + 1 always suffices. */

/* Inside a JSON string: quotes and backslash escaped; controls, C1, U+2028/9, bidi and zero-width characters as \uXXXX; a byte that is not UTF-8 as
 * the four characters \xNN (with its backslash escaped). */
size_t escape_json(char *out, size_t size, const char *text, size_t n);
/* Printable ASCII for a terminal; everything else, also a backslash-looking \xNN, as \xNN. */
size_t escape_terminal(char *out, size_t size, const char *text, size_t n);
/* HTML text and quoted attributes: & < > " ' as entities; controls, bidi, zero-width and invalid bytes as visible \u{XXXX} or \xNN. */
size_t escape_html(char *out, size_t size, const char *text, size_t n);
/* Value of a CEF extension key: backslash, = and line ends escaped, other controls and invalid bytes as \xNN. header: | too. */
size_t escape_cef(char *out, size_t size, const char *text, size_t n, int header);

#endif
