/* teller: live, when a flow is told and with which owner.
 *
 * A flow outside the join is told at once. The first record of a joined flow is held for up to a second, so
 * that it and the finding it raises name the process where the evidence is there already. What the join says
 * later is told as an attribution record with a higher version; what it repeats is not told. The thread that
 * judges. */
#ifndef LEAKTAP_DETECT_APP_TELLER_H
#define LEAKTAP_DETECT_APP_TELLER_H

#include "detect/app/run.h"

struct teller;

struct teller_conf {
	struct run *run;  /* borrowed */
	size_t max_flows; /* remembered for revisions; 0 = 131,072. Beyond it the one quiet longest is told
			     and forgotten, counted */
	size_t max_bytes; /* 0 = 256 MiB */
};

struct teller_stats {
	uint64_t forgotten; /* flows that had to go while their owner could still change */
	uint64_t strays;    /* changes of owner that came for a forgotten flow */
};

int teller_new(struct teller **ret_t, const struct teller_conf *conf, struct err *err);
void teller_free(struct teller *t); /* tells nothing any more; NULL is fine */

/* A record of a flow; borrowed for the call. */
void teller_record(struct teller *t, const struct flow_facts *facts);
/* Polls the join, tells what it changed and what was held long enough, forgets what is too old. 0, or the
 * join's trouble: the next call tries again. */
int teller_tick(struct teller *t, uint64_t now_ns, struct err *err);
/* At the end: tells everything that is still held. */
void teller_finish(struct teller *t);
void teller_stats(const struct teller *t, struct teller_stats *ret);

#endif
