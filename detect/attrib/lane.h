/* lane: the batches of one tag in order of their sequence: acknowledged ones that are kept in case the server forgets them (the GAP
 * window), those under way, those ready to go. With a spool (join_spool.c) the acknowledged ones are on disk and the lane holds what has
 * been read back from there. No I/O. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_LANE_H
#define LEAKTAP_DETECT_ATTRIB_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANE_BATCH_RECORDS = 32, LANE_BATCH_BYTES = 64 << 10 };

/* Records of one tag; records hold them one after the other. */
struct batch {
	struct batch *next;
	uint64_t seq, opened_ns, acked_ns; /* acked_ns 0: not acknowledged */
	uint64_t before;                   /* records of all lanes before its first */
	uint64_t number;                   /* in the spool, 0: not spooled */
	size_t n, bytes, size;
	bool sent, again; /* again: its answer never came, was a refusal, or the server has forgotten it */
	bool forced; /* what comes before it is gone for good */
	uint32_t ends[LANE_BATCH_RECORDS];
	uint8_t *records;
};

struct lane {
	const char *source;               /* that numbers its batches, as the server knows it; the owner's */
	uint32_t tag;
	struct batch *head, *tail, *next; /* next: first to send, NULL none */
	struct batch *open;               /* being filled, not in the list */
	uint64_t seq;                     /* last number given */
	uint64_t again_from;              /* go back to this number once nothing is under way, 0: no */
	uint64_t checked_ns;
	unsigned under_way;
	/* with a spool */
	uint64_t acked, acked_ns; /* the highest number the server has said it has, and when */
	uint64_t sought;          /* the disk was searched for this number, and the first batch in memory is what it has next */
	bool unsure;              /* the server is to be asked before anything is sent */
};

/* What all lanes together hold. */
struct lane_totals {
	size_t waiting_bytes, kept_bytes; /* not acknowledged; acknowledged */
	size_t waiting;                   /* batches closed and not acknowledged */
	size_t open;                      /* batches being filled */
	uint64_t forced;                  /* batches that were gone when the server asked for them */
};

/* false: out of memory, nothing was added. The batch being filled is closed first when the record does not fit. before: how many
 * records all lanes took before this one. */
bool lane_add(struct lane *l, struct lane_totals *t, const uint8_t *record, size_t n, uint64_t before);
void lane_close(struct lane *l, struct lane_totals *t); /* the batch being filled becomes ready */
/* The two halves of that: the batch being filled gets its number and is the caller's, NULL none; a batch becomes ready, the lane's. */
struct batch *lane_seal(struct lane *l, struct lane_totals *t);
void lane_link(struct lane *l, struct lane_totals *t, struct batch *b);
/* A sealed batch that goes elsewhere. */
void lane_release(struct batch *b);
/* The batch to send now, NULL: none. It counts as under way until lane_answer. */
struct batch *lane_take(struct lane *l, struct lane_totals *t);
void lane_ack(struct lane *l, struct lane_totals *t, struct batch *b, uint64_t now_ns);
/* Send number from and all after it again, as soon as nothing is under way. */
void lane_go_back(struct lane *l, uint64_t from);
/* Of the first `least` records of all lanes, those before the first that this lane still has to bring. */
uint64_t lane_stored(const struct lane *l, uint64_t least);
/* Everything the lane gave numbers to is acknowledged, and some of it is kept. */
bool lane_idle(const struct lane *l);
/* Drops kept batches acknowledged before then_ns. */
void lane_trim(struct lane *l, struct lane_totals *t, uint64_t then_ns);
/* The server has all up to number: what is in memory of it goes. Nothing may be under way. */
void lane_settle(struct lane *l, struct lane_totals *t, uint64_t number);
/* Drops all that waits in memory but the batch being filled. Nothing may be under way. */
void lane_forget(struct lane *l, struct lane_totals *t);
/* Drops the oldest kept batch of all lanes. */
void lane_drop_oldest(struct lane *all, size_t n, struct lane_totals *t);
void lane_free(struct lane *l);

#endif
