/* feeder: live, a thread that reads one endpoint source, so that a slow pipe or disk stops nobody else. Hands
 * chunks over a short queue; when that is full it stops reading: events wait, packets do not.
 *
 * Files and directories are read once. A FIFO is read for as long as the feeder runs: what one writer writes
 * is one document, another writer may follow. Standard input ends when its writer does. */
#ifndef LEAKTAP_DETECT_APP_FEEDER_H
#define LEAKTAP_DETECT_APP_FEEDER_H

#include "capture/evsource.h"

struct feeder;

/* path: a file, directory, FIFO or "-"; borrowed until feeder_stop. 0, or a negative code with err naming the
 * path. */
int feeder_start(struct feeder **ret_f, const char *path, struct err *err);
/* 1: a chunk, borrowed until the next call; 0: nothing now; -ENODATA: no more will come; other negative: a
 * file failed, err says which and why; the others go on. */
int feeder_take(struct feeder *f, struct evchunk *ret_chunk, struct err *err);
void feeder_stop(struct feeder *f); /* ends the thread, also one that waits for a pipe; what was not taken is
				       lost; NULL is fine */

#endif
