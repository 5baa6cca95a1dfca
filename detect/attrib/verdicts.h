/* verdicts: what a replay's join said of each flow and side, packed. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_VERDICTS_H
#define LEAKTAP_DETECT_ATTRIB_VERDICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/cell.h"

struct verdict {
	uint64_t flow_id, start_us, end_us;
	uint32_t device[2]; /* of each side, 0: unknown, that side is not joined */
	uint32_t words[2];  /* the owner's place, 0: nobody */
	bool midstream;
	uint8_t pools[2];   /* enum attrib_pool of each side */
	bool shared[2];     /* the side's address is used by several devices in turns */
};

struct verdicts;

struct verdicts *verdicts_new(void); /* NULL: out of memory */
void verdicts_free(struct verdicts *v);

/* The flow's entry, made when absent (then zero but for flow_id); NULL: out of memory. Borrowed until the next put. */
struct verdict *verdicts_put(struct verdicts *v, uint64_t flow_id);
const struct verdict *verdicts_get(const struct verdicts *v, uint64_t flow_id);
const struct verdict *verdicts_nth(const struct verdicts *v, size_t n); /* NULL: no more */

/* Takes the owner of a known flow's side; unknown flows are other sensors' and ignored. */
void verdicts_set(struct verdicts *v, const struct cell_change *change);
/* The owner as told (grade, key, cause, rivals, owners, evidence); grade 'U' where there is none. */
void verdicts_owner(const struct verdicts *v, const struct verdict *flow, unsigned side, struct cell_change *ret);
size_t verdicts_bytes(const struct verdicts *v);

#endif
