/* ledger: the flows that may make a finding, in order: per (device, owner, destination) one ledger, its
 * flows' parts in it; ledgers of one (device, destination) in a group; ledgers of one process in a list.
 *
 * A part is one side of one flow: what left the device in it. The owner of the ledgers bounds them (parts.n,
 * oldest). */
#ifndef LEAKTAP_DETECT_LEDGER_H
#define LEAKTAP_DETECT_LEDGER_H

#include "capture/base/hash.h"
#include "detect/finding.h"
#include "detect/hmap.h"
#include "detect/keep.h"

enum { LEDGER_MINUTES_MAX = 1500 }; /* 25 h: more than the longest window */

struct part_minute {
	uint32_t minute; /* unix time / 60 */
	uint64_t bytes;  /* out of the device */
};

struct part {
	struct hmap_link link;   /* by flow id and side */
	struct part *next, **at; /* in a list of the ledger, newest first; at: what points here */
	struct ledger *ledger;
	struct keep *keep; /* the verdict as last told; its destination is the one that is judged */
	uint64_t flow_id, start_ns, end_ns;
	uint64_t out_bytes, in_bytes, out_app, in_app; /* application bytes: payload where unknown */
	uint64_t accounted_bytes; /* of out_bytes: in minutes, or older than they go back */
	uint64_t told_id;         /* finding it was last told in, 0 none */
	uint32_t seq;
	uint8_t side;                /* enum attrib_side */
	uint8_t direction;           /* enum verdict_direction, seen from the device */
	bool known;                  /* has a row of the catalogue */
	bool app_known;              /* out_app and in_app are application bytes */
	bool fired;                  /* supports a finding, set while a group is judged */
	struct part_minute *minutes; /* sorted */
	uint32_t n_minutes, cap_minutes;
};

struct ledger {
	struct hmap_link link;        /* by key */
	struct ledger *newer, *older; /* by last change */
	struct ledger *next_in_group, **at_in_group;
	struct ledger *next_of_process, **at_of_process;
	struct group *group;
	struct part *parts;     /* that left the device; newest first */
	struct part *downloads; /* kept for the timeline of their process */
	size_t n_parts;         /* of both */
	uint64_t principal;     /* 0: no process */
	uint64_t last_ns;
	char key[]; /* group key, owner */
};

struct group {
	struct hmap_link link;
	struct group *next_changed, **at_changed; /* at: NULL while not in the list */
	struct ledger *ledgers;
	char key[]; /* device, destination; fields end in \x1f */
};

struct process_ledgers {
	struct hmap_link link;
	uint64_t principal;
	struct ledger *first;
};

struct ledgers { /* zero, then ledgers_begin */
	struct hmap parts, ledgers, groups, processes;
	struct ledger *newest, *oldest;
	struct group *changed, *later;
	struct hash_key key;
};

void ledgers_begin(struct ledgers *ls); /* draws the key of its tables */
void ledgers_free(struct ledgers *ls);

/* Where a part belongs. Texts are borrowed for the call and may hold anything but \x1f. */
struct ledger_place {
	const char *device, *destination, *owner;
	uint64_t principal;
};

/* Puts the part of v's flow and side where it belongs, newly or again (moved if the place changed), and marks
 * groups as changed. v->destination is the one to be judged. download: only the timeline wants it. NULL: out
 * of memory. */
struct part *ledgers_put(struct ledgers *ls, const struct ledger_place *place, const struct verdict *v,
			 uint8_t side, bool download);
/* The flow's part goes, if there is one (it turned out to be of no interest). */
void ledgers_drop(struct ledgers *ls, uint64_t flow_id, uint8_t side);
struct part *ledgers_find(const struct ledgers *ls, uint64_t flow_id, uint8_t side);
void ledgers_remove(struct ledgers *ls, struct ledger *l); /* with all its parts */
void ledgers_touch(struct ledgers *ls, struct ledger *l);  /* the newest from now on */
/* Parts of the group that ended before and support nothing go. */
void ledgers_prune(struct ledgers *ls, struct group *g, uint64_t before_ns);
/* First ledger of a process, then ->next_of_process. */
struct ledger *ledgers_of_process(const struct ledgers *ls, uint64_t principal);
/* A group that changed since it was last taken, NULL: none. */
struct group *ledgers_take_changed(struct ledgers *ls);
void ledgers_later(struct ledgers *ls,
		   struct group *g); /* a taken group: as changed again, once ledgers_again is called */
void ledgers_again(struct ledgers *ls);

#endif
