/* tcpacct_parts: what the files of tcpacct share; nobody else includes it. */
#ifndef LEAKTAP_DISSECT_TCPACCT_PARTS_H
#define LEAKTAP_DISSECT_TCPACCT_PARTS_H

#include "dissect/ranges.h"
#include "dissect/tcpacct.h"

/* No window reaches further (RFC 7323 2.3): beyond it nothing can be placed. */
enum { TCPACCT_HORIZON = 1 << 30 };

/* Signed: sequence numbers are placed by their distance to the newest known position. */
static inline int64_t tcpacct_position(const struct flow_dir *x, uint32_t seq)
{
	uint32_t ref = x->low > x->acked ? x->low : x->acked;
	return (int64_t)ref + (int32_t)(seq - (x->base + ref));
}

/* The scale R uses: unknown handshakes are read as the largest, so that no true acknowledgement is refused. */
static inline uint32_t tcpacct_window_bytes(const struct flow *f, unsigned receiver, const struct segment *seg)
{
	unsigned shift = flow_wscale(f, receiver);
	if (seg->tcp_flags & SEGMENT_SYN)
		shift = 0; /* RFC 7323 2.2 */
	else if (shift == FLOW_WSCALE_UNKNOWN)
		shift = 14;
	return (uint32_t)seg->tcp_window << shift;
}

static inline struct ranges tcpacct_ranges(const struct tcpacct *ta, const struct flow_ext_dir *xd)
{
	if (!xd->ranges)
		return (struct ranges){0};
	const struct arena *a = xd->max_ranges == TCPACCT_FEW_RANGES ? &ta->few : &ta->many;
	return (struct ranges){arena_at(a, xd->ranges), xd->n_ranges, xd->max_ranges};
}

/* tcpacct_data.c */
/* Places payload; *ret_new as in tcpacct_segment. false: left of the stream or out of the window. */
bool tcpacct_data(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position, uint32_t n,
		  uint32_t *ret_new);
void tcpacct_fin(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position);
uint32_t tcpacct_fin_position(const struct tcpacct *ta, const struct flow *f,
			      unsigned dir); /* FLOW_FIN is set */
uint32_t tcpacct_high(const struct tcpacct *ta, const struct flow *f,
		      unsigned dir);                        /* end of what was captured */
uint32_t tcpacct_limit(const struct flow *f, unsigned dir); /* data that is not in order must begin below */
void tcpacct_shift(struct tcpacct *ta, struct flow *f, unsigned dir,
		   uint32_t by); /* position 0 moves back by this much */
bool tcpacct_rebase(struct tcpacct *ta, struct flow *f, unsigned dir,
		    uint32_t *ret_by); /* false: no extension left */
void tcpacct_store_ranges(struct tcpacct *ta, struct flow_ext_dir *xd, const struct ranges *r);

/* tcpacct_ack.c */
void tcpacct_ack(struct tcpacct *ta, struct flow *f, unsigned sender, const struct segment *seg);
/* The sender of dir was seen to have sent everything below position. */
void tcpacct_sent(struct tcpacct *ta, struct flow *f, unsigned dir, int64_t position);

/* tcpacct_syn.c */
/* true: a new connection took over. */
bool tcpacct_takes_over(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg);
void tcpacct_syn(struct tcpacct *ta, struct flow *f, unsigned dir, const struct segment *seg,
		 bool *ret_ignore);
bool tcpacct_second_base(struct tcpacct *ta, struct flow *f, unsigned sender, const struct segment *seg);

#endif
