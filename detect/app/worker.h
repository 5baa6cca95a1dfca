/* worker: one thread per live interface: poll the source, walk the packets, push records into its ring;
 * nothing else. While it captures it waits for nobody: a record that finds the ring full is lost and counted.
 * When the capture is over it tells the flows that are left, and waits for room, because then there is
 * nothing else to lose. */
#ifndef LEAKTAP_DETECT_APP_WORKER_H
#define LEAKTAP_DETECT_APP_WORKER_H

#include "capture/base/ring.h"
#include "capture/source.h"
#include "dissect/track.h"

struct worker_conf {
	const char *iface, *filter;
	uint32_t ring_bytes; /* kernel buffer */
	uint16_t input;
	struct track_conf track; /* publish is the worker's own */
};

struct worker_snapshot {
	struct source_stats source;
	struct track_stats track;
	uint64_t records_lost;
	uint64_t clock_ns;
};

struct worker;

/* Opens the interface on the calling thread (privileges are dropped after), starts the thread. */
int worker_start(struct worker **ret_w, const struct worker_conf *conf, struct err *err);
struct ring *worker_ring(struct worker *w); /* packed facts; consumer side */
void worker_stop(
    struct worker *w); /* asks it to finish: what the kernel has captured is still walked; any thread */
/* True when the thread has ended; *ret_code 0 or the error of the source (err text kept). */
bool worker_ended(struct worker *w, int *ret_code, struct err *ret_err);
void worker_look(struct worker *w, struct worker_snapshot *ret); /* latest snapshot, up to 100 ms old */
/* Waits for the end and frees; NULL is fine. Of a worker that has not ended, records that find no room are
 * lost. */
void worker_join(struct worker *w);

#endif
