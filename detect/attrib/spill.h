/* spill: flows waiting for a replay's end, in memory up to a bound and then in an unlinked temporary file. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_SPILL_H
#define LEAKTAP_DETECT_ATTRIB_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/cell.h"
#include "dissect/facts.h"

/* One record of a flow, cumulative. */
struct spill_flow {
	uint64_t flow_id, start_us, end_us;
	struct facts_addr src, dst;
	uint16_t service, n_ledger;
	uint8_t proto, zone;
	bool midstream, bystander;
	struct cell_ledger ledger[CELL_MAX_LEDGER];
};

struct spill;

struct spill *spill_new(size_t max_memory_bytes); /* NULL: out of memory */
void spill_free(struct spill *s);
int spill_add(struct spill *s, const struct spill_flow *flow); /* negative errno of the file */
uint64_t spill_count(const struct spill *s);
/* Reads all, in order, once nothing more is added; each pass begins with spill_rewind. next: 1 and a flow, 0 end, negative errno. */
int spill_rewind(struct spill *s);
int spill_next(struct spill *s, struct spill_flow *ret);
size_t spill_bytes(const struct spill *s);

#endif
