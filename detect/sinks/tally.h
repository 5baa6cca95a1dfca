/* tally: flows summed per destination for the people's outputs (table, report). Bounded: what does not fit goes into one row "(other)". One thread. */
#ifndef LEAKTAP_DETECT_SINKS_TALLY_H
#define LEAKTAP_DETECT_SINKS_TALLY_H

#include "detect/finding.h"

enum { TALLY_MAX_ROWS = 4096 };

struct tally_row {
	char name[FACTS_MAX_NAME + 1]; /* host name, or the address */
	char account[128], process[64], device[64];
	const char *service, *role, *pattern; /* NULL: not in the catalogue; owned by it */
	const char *name_source;              /* of the first flow; NULL */
	char explanation[256];                /* of the first flow that had one */
	uint64_t up_bytes, down_bytes;        /* payload */
	uint64_t app_up_bytes, app_down_bytes;
	uint64_t flows, app_flows;            /* flows whose application bytes are known */
	uint64_t first_ns, last_ns;
};

struct tally;

struct tally *tally_new(void); /* NULL: no memory */
void tally_free(struct tally *t);
void tally_add(struct tally *t, const struct verdict *v);
/* Rows by bytes up, most first; ties by name. Borrowed until the next add. */
size_t tally_sorted(struct tally *t, const struct tally_row *const **ret_rows);
/* "upload", "download", "both" or "idle" of a row, by the rule of the flow records. */
const char *tally_direction(const struct tally_row *row);

#endif
