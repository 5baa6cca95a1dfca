/* waiting: flow records that wait for the end of a replay, in order, in an unlinked temporary file instead of memory. One thread. */
#ifndef LEAKTAP_DETECT_APP_WAITING_H
#define LEAKTAP_DETECT_APP_WAITING_H

#include <stdbool.h>

#include "capture/base/err.h"
#include "dissect/facts.h"

struct waiting;

int waiting_new(struct waiting **ret_wt, struct err *err); /* file in $TMPDIR or /tmp */
void waiting_free(struct waiting *wt);
/* Copies. mark comes back with the record. 0 or a negative code: the disk is full, say. */
int waiting_add(struct waiting *wt, const struct flow_facts *facts, bool mark, struct err *err);
/* Starts reading from the first record; nothing may be added any more. */
int waiting_rewind(struct waiting *wt, struct err *err);
/* 1: a record, borrowed until the next call; 0: no more; negative: the file could not be read back. */
int waiting_next(struct waiting *wt, struct flow_facts *ret_facts, bool *ret_mark, struct err *err);
uint64_t waiting_count(const struct waiting *wt);

#endif
