/* courier: a join on a thread of its own, for live use. Nothing here ever waits for Redis or for the disk: records go into a ring, changes
 * come back through another. One thread calls all of this; fn is called by courier_poll, on that thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_COURIER_H
#define LEAKTAP_DETECT_ATTRIB_COURIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/join.h"

struct courier;

/* May wait as long as a connection takes. With a spool a server that does not answer is no error: it may come later. */
int courier_open(struct courier **ret_co, const struct join_conf *conf, struct err *err);
/* NULL is fine. What is still queued goes to the spool, or without one is dropped. */
void courier_close(struct courier *co);

/* false: the ring is full and the record was counted as refused. */
bool courier_offer(struct courier *co, uint32_t tag, const uint8_t *record, size_t n);
/* Tells the changes that have come. What went wrong since the last call is returned once. */
int courier_poll(struct courier *co, struct err *err);

/* As join_records and join_stored. */
uint64_t courier_records(const struct courier *co);
uint64_t courier_stored(struct courier *co);
/* queued_bytes: also what is in the rings; 0: all is in Redis and every change was told. */
void courier_stats(struct courier *co, struct join_stats *ret);
/* join_stats.gaps when the change last told was read. */
uint64_t courier_gaps(const struct courier *co);
const char *courier_remark(const struct courier *co);

#endif
