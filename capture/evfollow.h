/* evfollow: files and directories that grow and rotate, as an evinlet. Split: evfollow.c reads, evfollow_scan.c looks what is
 * there and finds out which known content a new file continues. Only those two include this. */
#ifndef LEAKTAP_CAPTURE_EVFOLLOW_H
#define LEAKTAP_CAPTURE_EVFOLLOW_H

#include "capture/evinlet.h"
#include "capture/evtail.h"

#define EVFOLLOW_SCAN_NS   (250 * UINT64_C(1000000))
#define EVFOLLOW_SETTLE_NS UINT64_C(1000000000)       /* a file that is read as a whole has to rest this long */
#define EVFOLLOW_IDLE_NS   (10 * UINT64_C(1000000000)) /* a line without its newline, a copy shorter than its original */
enum { EVFOLLOW_MAX_OPEN = 200, EVFOLLOW_MAX_FILES = 65536 };

/* A place that a chunk reached. */
struct evpassed {
	uint64_t number;
	uint32_t id; /* of the tail */
	struct evplace place;
};

struct evfollow {
	struct evinlet inlet; /* first */
	struct evsource_conf conf;
	const atomic_bool *stop;
	char **paths; /* as given */
	size_t n_paths;
	char *checkpoint;
	int lock; /* of the checkpoint, -1 none */
	struct evtail **tails;
	size_t n_tails, size_tails;
	uint32_t last_id;
	struct evpassed *passed; /* ring, oldest at head */
	size_t head, n_passed, size_passed;
	uint64_t scanned_ns, saved_ns;
	bool dirty;
	int scan_rc; /* of the last look at the paths */
	/* the visit */
	struct evtail *current;
	size_t turn;      /* where to look for the next with work */
	bool began, over;
	char *buf;        /* EVTAIL_HEAD_LINE_BYTES + a chunk */
	struct evsource_stats stats;
};

int evfollow_add(struct evfollow *f, struct evtail *t); /* takes t over; -ENOMEM, -E2BIG */
/* Looks at every path; new files are matched against known contents. */
int evfollow_scan(struct evfollow *f, uint64_t now_ns, struct err *err);
/* The file holds another content from now on: the old becomes memory, t starts at 0. */
int evfollow_restart(struct evfollow *f, struct evtail *t);

#endif
