/* outlets: the sinks of one run, told together. A sink that fails is named once, counted, and left out from then on. One thread. */
#ifndef LEAKTAP_DETECT_APP_OUTLETS_H
#define LEAKTAP_DETECT_APP_OUTLETS_H

#include "detect/sinks/sink.h"

enum { OUTLETS_MAX = 6 };

struct outlets {
	struct {
		const struct sink_ops *ops;
		struct sink *sink;
		bool failed;
	} list[OUTLETS_MAX];
	size_t n;
	unsigned failures;
};

/* kind: of sink_kinds. */
int outlets_add(struct outlets *o, const char *kind, const struct sink_conf *conf, struct err *err);
void outlets_flow(struct outlets *o, const struct verdict *v);
void outlets_finding(struct outlets *o, const struct finding *f);
void outlets_attribution(struct outlets *o, const struct sink_attribution *a);
void outlets_stats(struct outlets *o, const struct sink_stats *st);
void outlets_tick(struct outlets *o, uint64_t now_ns);
void outlets_feed(struct outlets *o, struct sink_stats *st); /* fills the feed's counters */
void outlets_close(struct outlets *o); /* failures then also counts what closing met */

#endif
