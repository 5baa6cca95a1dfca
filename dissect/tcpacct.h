/* tcpacct: how many bytes of each direction of a TCP connection the far end has acknowledged, how many of
 * them were captured, and what else was seen. RFC 9293, RFC 7323 (window scale), RFC 7413 (SYN data). Works
 * on headers only; payload is never needed.
 *
 * Per direction, S sends and R receives: A = what R acknowledged, taken only up to the highest right edge R
 * itself has advertised before, anything beyond is held until it is believable; U = distinct captured bytes
 * in order or within R's window; confirmed = U below A; gap = A - confirmed; unacked = U - confirmed. The
 * regular case costs a few comparisons inside the flow entry; holes and repeats go to the flow_ext. One
 * thread. */
#ifndef LEAKTAP_DISSECT_TCPACCT_H
#define LEAKTAP_DISSECT_TCPACCT_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/arena.h"
#include "dissect/decode.h"
#include "dissect/flow.h"

/* Ranges per direction; a block of FEW first, of MAX when that is full. */
enum { TCPACCT_FEW_RANGES = 8, TCPACCT_MAX_RANGES = 64 };
/* How far beyond R's edge data may lie (on top of one window) and still be kept, for R's newest advertisement
 * may not have been captured. */
enum { TCPACCT_SLACK_BYTES = 65536 };
/* A held acknowledgement is believed when R carries it on for longer than this: more than most round trips.
 */
#define TCPACCT_HOLD_NS UINT64_C(200000000)

struct tcpacct_stats {
	uint64_t segments_dup, segments_oow, ack_beyond_window, isn_conflicts, intervals_full;
};

struct tcpacct {
	struct arena exts;      /* struct flow_ext; also for the flow's other users */
	struct arena few, many; /* blocks of struct flow_range */
	struct tcpacct_stats stats;
};

/* max_exts bounds flows with holes or repeats, and so the memory of all interval lists. */
int tcpacct_init(struct tcpacct *ta, uint32_t max_exts);
void tcpacct_done(struct tcpacct *ta);
void tcpacct_clear(struct tcpacct *ta); /* forgets every flow */
/* The flow's extension, made when missing; NULL when none are left (counted by the arena). */
struct flow_ext *tcpacct_ext(struct tcpacct *ta, struct flow *f);
static inline struct flow_ext *tcpacct_ext_of(const struct tcpacct *ta, const struct flow *f)
{
	return f->ext ? arena_at(&ta->exts, f->ext) : NULL;
}

enum tcpacct_verdict {
	TCPACCT_COUNTED,
	TCPACCT_REUSED,  /* not counted: the segment proves that flow_ext.syn began a new connection. End this
			    flow, start one, tcpacct_adopt it */
	TCPACCT_NO_ROOM, /* not counted: positions must move but no extension is left. End the flow, start one
			    without history */
};

struct tcpacct_segment {
	uint32_t position;  /* of the first payload byte */
	uint32_t new_bytes; /* payload bytes not seen before */
	bool placed;        /* payload lies at position, within the stream and the window */
	uint32_t
	    rebased[2]; /* positions of the direction went down by this much before the segment was placed */
};

/* seg: TCP, sent in direction dir of f. Packets and frame bytes are the caller's to count. */
enum tcpacct_verdict tcpacct_add(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg,
				 struct tcpacct_segment *ret);
/* f is new and stands for the connection begun by syn, whose side is direction dir of f. */
void tcpacct_adopt(struct tcpacct *ta, struct flow *f, unsigned dir, const struct flow_syn *syn);

/* Whether the segment's number lies where the next ones of direction dir are expected; true where nothing is
 * known of it. */
bool tcpacct_continues(const struct flow *f, unsigned dir, const struct segment *seg);

struct tcpacct_totals {
	uint64_t acked, unique, confirmed, gap, unacked, dup, oow;
	bool after_fin;    /* payload behind a FIN that stands */
	bool close_unseen; /* the last acknowledged byte probably was a FIN that was not captured: acked_min =
			      acked - 1 */
	bool step_one;     /* ... and by all signs it was: headline acked - 1 */
};
void tcpacct_totals(const struct tcpacct *ta, const struct flow *f, unsigned dir, struct tcpacct_totals *ret);
/* The cheap part of it, for every minute: bytes acknowledged, or captured when R is not visible. */
uint64_t tcpacct_headline(const struct tcpacct *ta, const struct flow *f, unsigned dir);
/* Nothing more will come: settles what was held, frees the extension. */
void tcpacct_settle(struct tcpacct *ta, struct flow *f);
void tcpacct_release(struct tcpacct *ta, struct flow *f);

#endif
