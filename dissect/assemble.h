/* assemble: bounded in-order bytes from TCP segments in any order, for the first bytes of a direction.
 *
 * Two readings are kept apart only as far as it matters: the first copy of a byte wins, a later different copy sets differs.
 * Positions are relative to the first payload byte. Memory comes from the caller's budget; linear work. */
#ifndef LEAKTAP_DISSECT_ASSEMBLE_H
#define LEAKTAP_DISSECT_ASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASSEMBLE_MAX_BYTES = 32768, ASSEMBLE_MAX_HOLES = 16 };

struct assemble_range {
	uint32_t from, to; /* from < to */
};

/* ready <= high <= size; ranges above ready, sorted, disjoint */
struct assemble {
	uint8_t *bytes;
	uint32_t size;      /* allocated */
	uint32_t ready;     /* bytes[0..ready) are contiguous */
	uint32_t n_ranges;
	struct assemble_range ranges[ASSEMBLE_MAX_HOLES];
	bool differs;       /* an overlap carried other bytes */
	bool full;          /* something did not fit: size or hole limit */
};

/* Shared limit over all flows of a worker. */
struct assemble_budget {
	size_t used_bytes, max_bytes;
	uint64_t refused; /* growths refused for the limit */
};

void assemble_init(struct assemble *a);
/* Returns true when ready grew. pos+n beyond ASSEMBLE_MAX_BYTES sets full and keeps what fits. */
bool assemble_add(struct assemble *a, struct assemble_budget *budget, uint32_t pos, const uint8_t *p, size_t n);
void assemble_done(struct assemble *a, struct assemble_budget *budget);

#endif
