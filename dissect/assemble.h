/* assemble: bounded in-order bytes from TCP segments or CRYPTO frames in any order, for the first bytes of a
 * direction.
 *
 * The first copy of a byte wins; a later copy that says otherwise sets differs. Which bytes above the
 * contiguous part are there is kept in a bitmap, made only when something arrives out of order: the result
 * does not depend on how the stream was cut, and there is no hole limit to evade. Positions are relative to
 * the first payload byte. Memory comes from the caller's budget; work is linear in the bytes added. */
#ifndef LEAKTAP_DISSECT_ASSEMBLE_H
#define LEAKTAP_DISSECT_ASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ASSEMBLE_MAX_BYTES = 32768 };

/* ready <= high <= size; have is NULL while ready == high has always held */
struct assemble {
	uint8_t *bytes;
	uint64_t *have; /* bit per position, of those in [ready, high); owned */
	uint32_t size;  /* bytes allocated */
	uint32_t ready; /* bytes[0..ready) are contiguous */
	uint32_t high;  /* nothing is known from here on */
	bool differs;   /* an overlap carried other bytes */
	bool full;      /* something did not fit: ASSEMBLE_MAX_BYTES or the budget */
};

/* Shared limit over all flows of a worker. */
struct assemble_budget {
	size_t used_bytes, max_bytes;
	uint64_t refused; /* growths refused for the limit */
};

void assemble_init(struct assemble *a);
/* Returns true when ready grew. pos+n beyond ASSEMBLE_MAX_BYTES sets full and keeps what fits. */
bool assemble_add(struct assemble *a, struct assemble_budget *budget, uint32_t pos, const uint8_t *p,
		  size_t n);
/* [pos, pos+n) says otherwise than what is held of it. */
bool assemble_conflicts(const struct assemble *a, uint32_t pos, const uint8_t *p, size_t n);
size_t assemble_memory_bytes(const struct assemble *a);
/* Gives everything back; the assemble is empty again. */
void assemble_done(struct assemble *a, struct assemble_budget *budget);

#endif
