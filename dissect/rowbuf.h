/* rowbuf: the bytes of the row being framed. A row inside one chunk is lent from the chunk; only a row that
 * crosses chunks is copied. Never holds more than max bytes: a longer row is over, costs nothing more, and is
 * closed as such. */
#ifndef LEAKTAP_DISSECT_ROWBUF_H
#define LEAKTAP_DISSECT_ROWBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/evparse.h"

/* Bytes of a row that need not be read. */
struct rowbuf_cut {
	size_t at, n;
};

/* One framed row, good or refused. Borrowed; valid inside the callback. */
struct rowbuf_row {
	struct slice text;       /* empty when refused */
	uint64_t line;           /* of its first byte, from 1 */
	enum evparse_reason why; /* EVPARSE_REASON_COUNT: good */
	const struct rowbuf_cut
	    *cuts; /* of JSON: members with their commas that evskip names; in order, apart */
	size_t n_cuts;
};

/* Negative stops the framing and is passed through to the caller; else 0. */
typedef int rowbuf_fn(void *ctx, const struct rowbuf_row *row);

struct rowbuf {
	char *kept;
	size_t n_kept, size, max;
	const char *at; /* where the open row goes on in the present chunk */
	uint64_t line;
	bool open, over;
};

void rowbuf_free(struct rowbuf *rb);
void rowbuf_open(struct rowbuf *rb, const char *at, uint64_t line);

/* Bytes so far, counting up to "to" in the present chunk. */
size_t rowbuf_length(const struct rowbuf *rb, const char *to);
bool rowbuf_is_over(const struct rowbuf *rb, const char *to);

/* The chunk ends: keep what is open. Then rowbuf_resume at the start of the next one. 0 or -ENOMEM. */
int rowbuf_spill(struct rowbuf *rb, const char *end);
void rowbuf_resume(struct rowbuf *rb, const char *at);

/* The row ends before "end". *ret is lent from the chunk or from rb (until the next open); empty if the row
 * is over. */
int rowbuf_close(struct rowbuf *rb, const char *end, struct slice *ret);
void rowbuf_drop(struct rowbuf *rb);

#endif
