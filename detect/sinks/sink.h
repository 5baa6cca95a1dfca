/* sink: one output. Told verdicts, findings and statistics; never asks for anything. detect/sinks/sinks.c has the one list.
 *
 * One thread. A sink that cannot write returns a negative code once per failure; it never blocks capture and never exits. */
#ifndef LEAKTAP_DETECT_SINKS_SINK_H
#define LEAKTAP_DETECT_SINKS_SINK_H

#include "detect/attrib/attrib.h"
#include "detect/finding.h"
#include "detect/judge.h"
#include "dissect/evparse.h"
#include "dissect/track.h"
#include "capture/source.h"

/* Everything the stats record and the final summary tell. */
struct sink_stats {
	uint64_t time_ns;       /* capture clock */
	bool last;
	bool partial;           /* last: input truncated or partly unreadable */
	struct source_stats source;
	struct track_stats track;
	struct attrib_stats attrib;
	struct judge_stats judge;
	struct evparse_stats events;
	uint64_t feed_written, feed_lost, feed_spooled;
	uint64_t records_lost;  /* live: flow records that found a ring full */
	uint64_t elapsed_ns;    /* wall time; names the run, left out of records that must be identical */
};

/* Adds the counters of one capture input to st. */
void sink_stats_add(struct sink_stats *st, const struct source_stats *source, const struct track_stats *track);

struct sink_attribution { /* live: a change of ownership */
	uint64_t time_ns;
	const struct verdict *verdict; /* with the new owner and version */
};

enum sink_record { SINK_FLOW = 1, SINK_ALERT = 2, SINK_ATTRIBUTION = 4, SINK_STATS = 8, SINK_ALL = 15 };

struct sink_conf {
	const char *target;     /* file or "-"; Redis URL for the feed */
	const char *format;     /* eve, ecs, ocsf, cef */
	unsigned records;       /* enum sink_record */
	const char *sensor;
	uint8_t zone;
	bool nat_one_side;      /* table, report: of a suspected translator pair only the flow seen first is summed */
	bool color;             /* table: terminal with colours */
	const char *const *inputs; /* names of captures and event files, for the report */
	size_t n_inputs;
	const char *feed_stream, *feed_list, *feed_channel; /* feed; NULL = off, stream NULL = leaktap:feed */
	uint64_t feed_maxlen;
	const char *feed_spool; /* live: directory where lines wait for Redis, also over a restart; NULL: they wait in memory */
	const char *hunt_device; /* hunt: name or address, and the window */
	uint64_t hunt_from_ns, hunt_to_ns;
	bool live;              /* a sink whose far end is slow must drop and count; in replay it may wait */
};

struct sink;

struct sink_ops {
	const char *kind; /* "eve", "table", "html", "feed" */
	int (*open)(struct sink **ret_s, const struct sink_conf *conf, struct err *err);
	int (*flow)(struct sink *s, const struct verdict *v);
	int (*finding)(struct sink *s, const struct finding *f);
	int (*attribution)(struct sink *s, const struct sink_attribution *a);
	int (*stats)(struct sink *s, const struct sink_stats *st);
	int (*tick)(struct sink *s, uint64_t now_ns);  /* flush what waits; may be NULL */
	/* Lines delivered, lost, waiting; may be NULL. */
	void (*counters)(struct sink *s, uint64_t *ret_written, uint64_t *ret_lost, uint64_t *ret_waiting);
	int (*close)(struct sink *s, struct err *err); /* flushes; tells the first error it met */
};

extern const struct sink_ops *const sink_kinds[]; /* NULL-terminated; add yours in sinks.c */

#endif
