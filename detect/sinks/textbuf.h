/* textbuf: growing text for a report. Memory shortage is sticky. */
#ifndef LEAKTAP_DETECT_SINKS_TEXTBUF_H
#define LEAKTAP_DETECT_SINKS_TEXTBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct textbuf {
	char *text; /* n bytes and a terminator, NULL while empty */
	size_t n, size;
	bool failed;
};

void textbuf_done(struct textbuf *b);
void textbuf_clear(struct textbuf *b);                            /* keeps the memory */
void textbuf_put(struct textbuf *b, const char *text);            /* as it is: our own markup only */
/* Escaped; NULL writes nothing. Of a text longer than max_bytes the start, and how much is left out. */
void textbuf_html(struct textbuf *b, const char *text, size_t max_bytes);
void textbuf_terminal(struct textbuf *b, const char *text);       /* escape_terminal's; NULL writes nothing */
void textbuf_cef(struct textbuf *b, const char *text, bool header); /* escape_cef's; NULL writes nothing */
void textbuf_grouped(struct textbuf *b, uint64_t v);              /* 52,428,800 */
void textbuf_time(struct textbuf *b, uint64_t t_ns);              /* 2026-03-02 09:14:22.226Z */
void textbuf_second(struct textbuf *b, uint64_t t_ns);            /* 2026-03-02 09:14:22Z */
__attribute__((format(printf, 2, 3))) void textbuf_f(struct textbuf *b, const char *fmt, ...); /* no hostile text among the arguments */

#endif
