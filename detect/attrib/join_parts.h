/* join_parts: what join.c and join_node.c share. Nobody else includes it. */
#ifndef LEAKTAP_DETECT_ATTRIB_JOIN_PARTS_H
#define LEAKTAP_DETECT_ATTRIB_JOIN_PARTS_H

#include "capture/base/redis_router.h"
#include "detect/attrib/join.h"
#include "detect/attrib/lane.h"

enum { JOIN_WINDOW = 8 }; /* commands under way per server */

/* A command whose reply is awaited; batch NULL: the question for the lane's high water. */
struct flight {
	struct lane *lane;
	struct batch *batch;
};

struct node {
	struct flight sent[JOIN_WINDOW]; /* a ring from first */
	unsigned first, n;
	bool script_lost; /* nothing is sent until all answers are in and it is loaded again */
	uint64_t retry_ns, backoff_ms;
};

struct join {
	struct join_conf conf;
	struct redis_router *router;
	struct node nodes[REDIS_ROUTER_MAX_NODES];
	char source[96], sha[64], remark[160];
	struct lane lanes[CELL_TAGS];
	struct lane_totals totals;
	unsigned turn;      /* lane that is served next */
	bool map_is_old;    /* a cluster's servers changed places */
	uint64_t learned_ns, answers;
	struct join_stats stats;
};

/* (Re)opens the connection to a server and makes it ready; what was under way goes again. */
int join_node_connect(struct join *jn, size_t node, struct err *err);
/* Connects when it is time, sends what the server may have, takes the answers that are there. checks: 0, the lanes' questions as they
 * fall due; else the time up to which each idle lane must have been asked for. */
int join_node_pump(struct join *jn, size_t node, uint64_t checks, struct err *err);

#endif
