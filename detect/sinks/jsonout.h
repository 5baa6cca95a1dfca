/* jsonout: JSON text into a growing buffer, without a document in between: a flow record is some sixty members and must cost well under 2 us.
 * Reading JSON is jansson's; writing it is these few calls. Misuse (a value without a key) is the caller's bug, memory shortage is sticky. */
#ifndef LEAKTAP_DETECT_SINKS_JSONOUT_H
#define LEAKTAP_DETECT_SINKS_JSONOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct jsonout {
	char *text; /* n bytes, not terminated */
	size_t n, size;
	bool comma;  /* the next member or element needs one */
	bool failed; /* out of memory; text is useless */
};

void jsonout_done(struct jsonout *j);
void jsonout_clear(struct jsonout *j); /* keeps the memory */

/* key NULL: an element of an array. */
void jsonout_open(struct jsonout *j, const char *key);        /* { */
void jsonout_open_array(struct jsonout *j, const char *key);  /* [ */
void jsonout_close(struct jsonout *j);                        /* } */
void jsonout_close_array(struct jsonout *j);                  /* ] */
void jsonout_string(struct jsonout *j, const char *key, const char *value); /* value escaped; NULL or "" writes nothing */
void jsonout_u64(struct jsonout *j, const char *key, uint64_t value);
void jsonout_i64(struct jsonout *j, const char *key, int64_t value);
void jsonout_bool(struct jsonout *j, const char *key, bool value);
void jsonout_ms(struct jsonout *j, const char *key, double value_ms);       /* at most three decimals */
void jsonout_time(struct jsonout *j, const char *key, uint64_t t_ns);       /* RFC 3339, microseconds, +00:00 */
void jsonout_second(struct jsonout *j, const char *key, uint64_t t_s);      /* RFC 3339, whole seconds, Z */
void jsonout_newline(struct jsonout *j);                                    /* ends a record */

/* A line made elsewhere, its newline included. */
void jsonout_raw(struct jsonout *j, const char *text, size_t n);

/* "2026-03-02T09:14:22.226787+00:00" into out[33]. */
void jsonout_time_text(char out[33], uint64_t t_ns);

#endif
