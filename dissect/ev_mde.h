/* ev_mde: rows of Microsoft Defender's tables (DeviceNetworkEvents and its kin), as streamed, as exported, as
 * in Sentinel. */
#ifndef LEAKTAP_DISSECT_EV_MDE_H
#define LEAKTAP_DISSECT_EV_MDE_H

#include <stdbool.h>

#include "dissect/evrow.h"

/* True if the row looks like one; of an envelope {time, category, properties} the row's objects become its
 * properties. */
bool ev_mde_open(struct evrow *row, const struct json_t *root, struct slice *ret_table,
		 uint64_t *ret_received_ns);

/* Do these columns make a table of Defender? */
bool ev_mde_columns(const struct evrow *header);
/* Connections whose export left out what happened to them: of no use. */
bool ev_mde_without_action(const struct evrow *header);

/* Fills ev; faults are left in row. */
void ev_mde_read(struct evrow *row, struct slice table, struct procevent *ev);

#endif
