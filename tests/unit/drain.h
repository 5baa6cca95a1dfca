/* drain: reads a source to its end, for tests. */
#ifndef LEAKTAP_TESTS_UNIT_DRAIN_H
#define LEAKTAP_TESTS_UNIT_DRAIN_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "capture/source.h"

enum { DRAIN_KEEP = 64 };

struct drain {
	int code; /* what ended it, also of source_open */
	struct err err;
	size_t n;
	struct packet pkts[DRAIN_KEEP]; /* the first ones; data points nowhere any more */
	uint8_t first[DRAIN_KEEP];      /* first captured byte of each */
	struct source_stats stats;
};

static inline void drain_conf(struct drain *d, const struct source_conf *conf)
{
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	*d = (struct drain){0};
	d->code = source_open(&src, conf, &d->err);
	if (d->code)
		return;
	while ((d->code = source_poll(src, pkts, &d->err)) >= 0) {
		for (int i = 0; i < d->code; i++, d->n++) {
			if (d->n >= DRAIN_KEEP)
				continue;
			d->pkts[d->n] = pkts[i];
			d->first[d->n] = pkts[i].caplen ? pkts[i].data[0] : 0;
		}
	}
	source_stats(src, &d->stats);
	source_close(src);
}

static inline void drain_path(struct drain *d, const char *path, const char *filter)
{
	drain_conf(d, &(struct source_conf){.path = path, .filter = filter});
}

#endif
