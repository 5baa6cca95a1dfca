/* run: what a replay and a live sensor have in common: catalogue, attrib, judge, outlets, and the way of a flow record through them.
 *
 * Owned by the thread that judges. */
#ifndef LEAKTAP_DETECT_APP_RUN_H
#define LEAKTAP_DETECT_APP_RUN_H

#include "detect/app/cli.h"
#include "detect/app/config.h"
#include "detect/app/outlets.h"
#include "detect/app/progress.h"

/* Exit codes: contract, page "records and command line". */
enum run_exit { RUN_OK = 0, RUN_ERROR = 1, RUN_USAGE = 2, RUN_PARTIAL = 3, RUN_FINDING = 10, RUN_RESTART = 75 };

struct run {
	const struct cli *cli;
	struct config config;
	struct catalogue *catalogue;
	struct attrib *attrib;       /* NULL: no endpoint input */
	struct judge *judge;
	struct outlets outlets;
	struct sink_stats stats;
	enum progress_mode progress;
	const char **inputs;
	size_t n_inputs;
	uint64_t findings;
	struct quality_alarms alarms; /* warned of */
	uint64_t clock_ns;           /* newest end of a flow or packet */
	bool live;
	bool partial;                /* input truncated or partly unreadable */
	bool failed;                 /* something of ours failed on the way */
	uint8_t gravest;             /* smallest severity number of a finding; 0 none */
};

/* with_attrib: endpoint events will come. live: findings are told as they grow. 0 or negative with err. */
int run_open(struct run *run, const struct cli *cli, bool with_attrib, bool live, struct err *err);
/* -T: reads the configuration and every list it names; returns the exit code. */
int run_test(const struct cli *cli);
/* Closes everything, also after a failed run_open. ran: the last statistics are written first. Returns the exit code. */
int run_close(struct run *run, bool ran);

/* Destination, direction, and whether the flow enters the join. */
bool run_classify(struct run *run, const struct flow_facts *facts, struct verdict *ret_verdict);
/* Hands a flow's cumulative state to the join; of one that is not joined only what measures the clocks. With attrib only. */
int run_join(struct run *run, const struct flow_facts *facts, bool joined);
/* Judges and tells a flow whose owners are set. */
void run_deliver(struct run *run, struct verdict *v);
/* A line of warning for each alarm about the view (dissect/quality.h) that is new in run->stats since the last call. */
void run_note_quality(struct run *run);
/* Owner of an unjoined flow, cause by circumstances. */
void run_no_owner(const struct run *run, struct verdict *v);

/* Exit code for an error at start. */
int run_exit_of(int code);

/* Raised by SIGINT and SIGTERM; SIGUSR1 asks for a progress line. Installed by run_signals. */
extern volatile int run_stop, run_tell;
void run_signals(void (*on_stop)(void));

#endif
