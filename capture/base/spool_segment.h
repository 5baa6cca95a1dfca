/* spool_segment: one file of a spool. Only spool.c includes it. */
#ifndef LEAKTAP_CAPTURE_BASE_SPOOL_SEGMENT_H
#define LEAKTAP_CAPTURE_BASE_SPOOL_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SEGMENT_HEADER_BYTES = 32,
	RECORD_HEADER_BYTES = 20,
	SEGMENT_WINDOW_BYTES = 256 << 10, /* read at a time */
};

struct segment {
	uint64_t first, last; /* numbers; last < first: empty */
	uint64_t n;           /* good records */
	uint64_t bytes;       /* valid length of the file */
	uint64_t done_ns;     /* monotonic time when its last record was acknowledged, 0 not yet */
};

/* A buffered look into one file. */
struct window {
	int fd;
	uint32_t seed; /* of header checks: what a record's bytes may hold must not pass for a record */
	uint64_t at;   /* place in the file of bytes[0] */
	size_t n, size;
	uint8_t *bytes;
};

struct record {
	uint64_t number, at; /* place of its header in the file */
	uint32_t n;
	const uint8_t *bytes; /* in the window */
};

void segment_name(char ret_name[24], uint64_t first);
bool segment_parse_name(const char *name, uint64_t *ret_first);

void segment_pack_header(uint8_t ret[SEGMENT_HEADER_BYTES], uint64_t epoch, uint64_t first);
bool segment_check_header(const uint8_t h[SEGMENT_HEADER_BYTES], uint64_t epoch, uint64_t first);
void segment_pack_record(uint8_t ret[RECORD_HEADER_BYTES], uint32_t seed, uint64_t number, const void *bytes, size_t n);

/* The first good record at or after place at, before end, with a number above after. What does not check is passed over:
 * a record whose header is good as a whole, anything else byte by byte. 1, 0: none, negative errno. */
int segment_find(struct window *w, uint64_t at, uint64_t end, uint64_t after, struct record *ret);

#endif
