/* window: the stretch of a capture file that lies in memory; records are read out of it in place.
 *
 * Invariant: at <= end <= cap. Bytes [at, end) are unread. What was read stays put until window_more. */
#ifndef LEAKTAP_CAPTURE_WINDOW_H
#define LEAKTAP_CAPTURE_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/zfile.h"

enum { WINDOW_MAX_RECORD_BYTES = 1024 * 1024 }; /* the buffer grows as far as one record of this size needs */

struct window {
	struct zfile *z; /* borrowed */
	uint8_t *buf;
	size_t cap, chunk_bytes;
	size_t slack_bytes; /* bytes kept free before the place a chunk is read to, for what is left of the
			       last one */
	size_t at, end;
	uint64_t base; /* place of buf[0] in the stream, modulo 2^64 */
};

/* chunk_bytes: bytes read at a time, 0 = ZFILE_CHUNK_BYTES. 0 or -ENOMEM. */
int window_init(struct window *w, struct zfile *z, size_t chunk_bytes, struct err *err);
void window_done(struct window *w);

/* Adds bytes; need: how many the next record takes from at on, <= WINDOW_MAX_RECORD_BYTES. May move what is
 * unread and overwrite what was read. > 0 bytes were added; 0: end of the stream; negative: see zfile_read,
 * or -ENOMEM. */
int window_more(struct window *w, size_t need, struct err *err);

static inline size_t window_left(const struct window *w)
{
	return w->end - w->at;
}

/* Place of the next unread byte in the (decompressed) stream. */
static inline uint64_t window_offset(const struct window *w)
{
	return w->base + w->at;
}

#endif
