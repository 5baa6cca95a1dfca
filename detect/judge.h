/* judge: verdicts in, findings out. Classifies the destination, decides the direction, gathers flows into episodes per (device, process or
 * unattributed endpoint, service account), asks the rules.
 *
 * Telemetry and sanctioned accounts fire nothing: a row that names programs excuses those; where the owner is unknown it excuses too (the
 * explanation says so), unless the row has a "*" in it, because such names can be had by anybody. Any other program is judged as if the
 * name were in the next best row that is not telemetry (a crash-dump account: as Azure Blob).
 * A name read as an outer name (ECH) names nothing. An address without any name is looked up among published prefixes: severity 3.
 * Without catalogue row a destination counts only where it lies outside: a public address, or a name that the client itself sent.
 *
 * One thread. Pure with respect to time: the flows' clock. Calls sinks through judge_conf's callbacks only. */
#ifndef LEAKTAP_DETECT_JUDGE_H
#define LEAKTAP_DETECT_JUDGE_H

#include "detect/attrib/attrib.h"
#include "detect/finding.h"

struct judge_limits { /* the table of page 10, configurable */
	uint64_t volume_short_bytes, volume_short_ns, volume_long_bytes, volume_long_ns; /* 1001 */
	uint64_t lol_min_app_bytes;                                                     /* 1002 */
	uint64_t archive_window_ns, archive_min_app_bytes;                              /* 1003 */
	uint64_t unknown_bytes, unknown_ns;                                             /* 1004 */
	uint64_t drip_bytes, drip_ns, drip_gap_ns;                                      /* 1005 */
	uint32_t drip_uploads;
	uint64_t protocol_bytes, protocol_baseline_ns;                                  /* 1006 */
	uint64_t episode_gap_ns;
};
extern const struct judge_limits judge_defaults;

struct judge_conf {
	const struct catalogue *catalogue;
	struct attrib *attrib; /* NULL: no endpoint input */
	const struct judge_limits *limits;
	size_t max_flows;      /* kept for findings; 0 = 65,536. When full, what is idle longest and makes no
				* finding is dropped; where all do, the new flow is not kept. Counted */
	bool revise;           /* live: tell a finding when it fires and again when it grows or its owner changes */
	uint64_t revise_ns;    /* live: at most one revision of a finding per this long; 0 = 60 s */
	void (*on_finding)(void *ctx, const struct finding *f);
	void *ctx;
};

struct judge_stats {
	uint64_t flows, findings, revisions, suppressed; /* suppressed: telemetry or sanctioned */
	uint64_t bytes_by_outcome[3][2]; /* [owner_outcome][up, down]: every byte in exactly one row */
	uint64_t bytes_by_cause[OWNER_CAUSE_COUNT][2]; /* of UNATTRIBUTED */
	uint64_t flows_by_outcome[3];
	uint64_t episodes_evicted; /* dropped for want of room before anything fired */
	uint64_t flows_refused;    /* not kept: no room, or out of memory */
};

struct judge;

int judge_new(struct judge **ret_j, const struct judge_conf *conf, struct err *err);
void judge_free(struct judge *j);

/* The destination and direction of facts, before any owner is known: decides whether the flow enters the join. */
void judge_classify(const struct judge *j, const struct flow_facts *facts, struct verdict *ret_verdict);
/* v: classified, owners filled. A later record of the flow, or the same with a higher version, replaces the flow's part. Also fills
 * v->explanation (valid until the next call). */
void judge_verdict(struct judge *j, struct verdict *v);
/* Live: judges what changed since the last tick and tells findings and their revisions. */
void judge_tick(struct judge *j, uint64_t now_ns);
/* Live: the last tick, without waiting for revise_ns. Replay: tells every finding once, ordered by time of the first flow. */
void judge_finish(struct judge *j);
void judge_stats(const struct judge *j, struct judge_stats *ret);

#endif
