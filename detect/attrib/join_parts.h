/* join_parts: what join.c, join_node.c and join_spool.c share. Nobody else includes it. */
#ifndef LEAKTAP_DETECT_ATTRIB_JOIN_PARTS_H
#define LEAKTAP_DETECT_ATTRIB_JOIN_PARTS_H

#include "capture/base/redis_router.h"
#include "capture/base/spool.h"
#include "detect/attrib/join.h"
#include "detect/attrib/lane.h"

enum { JOIN_WINDOW = 32 }; /* commands under way per server */

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

/* The lanes of one run of the program. Batches keep the number their run gave them, so what an earlier run left in the spool is known to
 * the server by the earlier run's name. */
struct epoch {
	struct epoch *next;
	uint64_t number; /* drawn at the start */
	char source[96];
	struct lane lanes[CELL_TAGS];
};

struct join {
	struct join_conf conf;
	struct redis_router *router;
	struct node nodes[REDIS_ROUTER_MAX_NODES];
	char sha[64], remark[160];
	struct epoch *epochs; /* newest first: the first is this run's */
	struct lane *lanes;   /* this run's */
	struct lane_totals totals;
	unsigned turn;      /* lane that is served next */
	bool map_is_old;    /* a cluster's servers changed places */
	uint64_t learned_ns, answers;
	struct join_stats stats;
	struct {
		struct spool *disk;  /* NULL: batches wait in memory */
		uint64_t read;       /* number of the last batch read back */
		uint64_t unread_bytes; /* written since, about */
		uint64_t refused;      /* batches that the disk did not take */
		uint64_t synced_ns;
		bool at_end;         /* all that was written was read */
		bool seeking;        /* a server has forgotten what only the disk has: as soon as nothing is under way it is read from its start */
		bool again;          /* it was: answers may have been lost */
	} spool;
};

/* (Re)opens the connection to a server and makes it ready; what was under way goes again. */
int join_node_connect(struct join *jn, size_t node, struct err *err);
/* Connects when it is time, sends what the server may have, takes the answers that are there. checks: 0, the lanes' questions as they
 * fall due; else the time up to which each idle lane must have been asked for. */
int join_node_pump(struct join *jn, size_t node, uint64_t checks, struct err *err);

/* The lanes of a run, made when there are none; NULL: out of memory. */
struct epoch *join_epoch(struct join *jn, uint64_t number);
unsigned join_under_way(const struct join *jn);
/* The answers of a connection that has died will not come. */
void join_node_take_back(struct node *nd);

int join_spool_open(struct join *jn, struct err *err);
void join_spool_close(struct join *jn);
/* The batch being filled goes to disk. */
void join_spool_write(struct join *jn, struct lane *l);
/* Reads batches back into their lanes as far as memory goes, tells the spool what has arrived, syncs once a second. */
int join_spool_tend(struct join *jn, uint64_t now_ns, struct err *err);
/* Does the server have to be asked about this lane now? */
bool join_spool_is_due(const struct join *jn, const struct lane *l, uint64_t now_ns);
/* Its answer. */
void join_spool_answer(struct join *jn, struct lane *l, uint64_t high, uint64_t now_ns);
/* A batch was refused because the one after high is missing. */
void join_spool_gap(struct join *jn, struct lane *l, uint64_t high);

#endif
