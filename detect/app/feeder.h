/* feeder: live, the thread that reads endpoint events, so that a slow pipe or disk stops nobody else. Hands chunks over a short queue; when that is
 * full it stops reading: events wait, packets do not. */
#ifndef LEAKTAP_DETECT_APP_FEEDER_H
#define LEAKTAP_DETECT_APP_FEEDER_H

#include "capture/evsource.h"

struct feeder;

/* es stays owned by the caller, but is used by the feeder's thread alone until feeder_stop. */
int feeder_start(struct feeder **ret_f, struct evsource *es, struct err *err);
/* 1: a chunk, borrowed until the next call; 0: nothing now; -ENODATA: no more will come; other negative: a file failed, err says which. */
int feeder_take(struct feeder *f, struct evchunk *ret_chunk, struct err *err);
void feeder_stop(struct feeder *f); /* a read that blocks is abandoned; NULL is fine */

#endif
