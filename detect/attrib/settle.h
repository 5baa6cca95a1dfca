/* settle: a replay's endpoint events made ready for the join: duplicates dropped, sides decided, clocks estimated, processes pieced
 * together. Each step sorts first, so that the order of arrival does not matter. Called once each, in this order. */
#ifndef LEAKTAP_DETECT_ATTRIB_SETTLE_H
#define LEAKTAP_DETECT_ATTRIB_SETTLE_H

#include "detect/attrib/attrib_state.h"

int settle_identity(struct attrib *at);  /* devices, duplicates, addresses, which side is local. -ENOMEM */
int settle_clocks(struct attrib *at);    /* needs all flows in the spill. -ENOMEM or the spill's error */
int settle_processes(struct attrib *at); /* instances, principals, repeats, archives. -ENOMEM */

/* The event with that low half of its id and that corrected time; NULL: unknown. */
const struct evlog_row *settle_row(const struct attrib *at, uint32_t ref, int64_t corrected_us);
/* When the row's process ended, 0 unknown. */
uint64_t settle_stop_us(const struct attrib *at, const struct evlog_row *row);

#endif
