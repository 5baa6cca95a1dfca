/* track_parts: what the files of track share; nobody else includes it. */
#ifndef LEAKTAP_DISSECT_TRACK_PARTS_H
#define LEAKTAP_DISSECT_TRACK_PARTS_H

#include "dissect/defrag.h"
#include "dissect/flowtab.h"
#include "dissect/inspect.h"
#include "dissect/natpair.h"
#include "dissect/offload.h"
#include "dissect/quicmove.h"
#include "dissect/tcpacct.h"
#include "dissect/track.h"
#include "dissect/copies.h"
#include "dissect/vantage.h"

enum { TRACK_BURST = 32, TRACK_AHEAD = 6 };

static const uint64_t track_ns_per_s = UINT64_C(1000000000);
#define TRACK_MINUTE_NS (60 * UINT64_C(1000000000))
/* A single stamp this far ahead moves the clock only when some more agree. */
#define TRACK_JUMP_NS UINT64_C(600000000000)
#define TRACK_SILENCE_NS UINT64_C(86400000000000)
/* Packets this much behind the clock are of another time, not just out of order. */
#define TRACK_LAG_NS UINT64_C(1000000000)
/* TCP without an answer or payload; nothing is lost with it. */
#define TRACK_HALF_OPEN_NS UINT64_C(60000000000)

/* Time as the timers see it: the largest timestamp that is believed. */
struct track_clock {
	uint64_t now_ns;
	uint64_t epoch_ns;     /* due times count seconds from here */
	uint32_t jump_packets; /* packets in a row that lie beyond TRACK_JUMP_NS */
	uint64_t minute_ns,
	    minute_end_ns; /* the minute of the last packet, so that most packets need no division */
};

/* Which flow a segment is part of. */
struct track_place {
	struct flowkey key;
	uint32_t hash;
	uint32_t where; /* in the index, by flowtab_prefetch_flow */
	unsigned side;  /* of the sender */
};

struct track_burst {
	struct segment segs[TRACK_BURST];
	struct track_place places[TRACK_BURST];
	enum decode_verdict verdicts[TRACK_BURST];
};

struct track {
	struct track_conf conf;
	struct track_stats stats;
	struct track_clock clock;
	struct flowtab flows;
	struct tcpacct tcp;
	struct arena minutes;
	struct vantages *vantages;
	struct defrag *defrag;
	struct inspect *inspect;
	struct labels *labels;
	struct tls_app_pool *tls_pool;
	struct copies *copies;
	struct quicmove *quicmove;
	struct natpair *natpair;
	struct quality quality;
	struct offload *offload; /* NULL: checksums are not validated */
	uint64_t idle_min_ns; /* the shortest of all timeouts: below it no flow is over */
	uint64_t sweep_ns; /* sweeping has kept up to here */
	uint64_t round_ns; /* the update round began here */
	uint32_t update_hand, evict_hand;
	uint32_t evict_dear; /* flows passed over since one was cheap */
	uint32_t births;
	uint64_t fragment_bytes; /* frames of fragments, and of those the ones now in flows */
	uint64_t whole_bytes;
	struct track_burst burst;
	struct facts_minute minute_buf[FACTS_MAX_MINUTES];
};

/* track.c */
void track_endpoints(const struct track *tr, uint32_t id, struct facts_addr *ret_src,
		     struct facts_addr *ret_dst);

/* What a flow refers to and its next packet will read. The flow may be gone by then: nothing is lost. */
static inline void track_prefetch(const struct track *tr, uint32_t id)
{
	if (!id)
		return;
	const struct flow *f = flowtab_at(&tr->flows, id);
	flowtab_prefetch_ends(&tr->flows, f);
	if (f->ext)
		__builtin_prefetch(arena_at(&tr->tcp.exts, f->ext));
	if (f->minutes)
		__builtin_prefetch(arena_at(&tr->minutes, f->minutes));
}

/* ... and what its end will read. */
static inline void track_prefetch_end(const struct track *tr, uint32_t id)
{
	track_prefetch(tr, id);
	label_prefetch(tr->labels, flowtab_at(&tr->flows, id)->label);
}

/* track_time.c */
void track_see_odd_time(struct track *tr, uint64_t ts_ns);
uint32_t track_due_s(const struct track *tr, uint64_t at_ns);
uint64_t track_timeout_ns(const struct track *tr, const struct flow *f);
bool track_closed(const struct flow *f);
bool track_is_idle(const struct track *tr, const struct flow *f, uint64_t now_ns);
enum facts_reason track_idle_reason(const struct flow *f);
void track_sweep(struct track *tr, uint32_t max_steps);
/* Ends one flow, by what is least missed. false: none that may go for the sake of a newcomer. */
bool track_evict(struct track *tr);

/* track_publish.c */
void track_close_minute(struct track *tr, struct flow *f);
bool track_publish(struct track *tr, uint32_t id, enum facts_reason reason, bool last);
bool track_grew(const struct track *tr, const struct flow *f); /* bytes since the last record */
void track_end(struct track *tr, uint32_t id, enum facts_reason reason);
uint64_t track_headline(const struct track *tr, const struct flow *f, unsigned dir);

static inline void track_see_time(struct track *tr, uint64_t ts_ns)
{
	struct track_clock *c = &tr->clock;
	if (c->now_ns == 0 || ts_ns < c->now_ns || ts_ns - c->now_ns > TRACK_JUMP_NS) {
		track_see_odd_time(tr, ts_ns);
		return;
	}
	c->now_ns = ts_ns;
	c->jump_packets = 0;
}

/* Both by the packets' own time: captures put one behind the other go backwards, and their flows are whole all
 * the same. */
static inline bool track_is_over(const struct track *tr, const struct flow *f, uint64_t ts_ns)
{
	uint64_t at_ns = ts_ns < tr->clock.now_ns ? ts_ns : tr->clock.now_ns;
	return at_ns > f->last_ns && at_ns - f->last_ns >= tr->idle_min_ns && track_is_idle(tr, f, at_ns);
}

static inline void track_note_lag(const struct track *tr, struct flow *f, uint64_t ts_ns)
{
	if (tr->clock.now_ns > ts_ns && tr->clock.now_ns - ts_ns > TRACK_LAG_NS)
		f->state |= FLOW_LAGGING;
}

static inline void track_roll_minute(struct track *tr, struct flow *f, uint64_t ts_ns)
{
	struct track_clock *c = &tr->clock;
	if (ts_ns < c->minute_ns || ts_ns >= c->minute_end_ns) {
		c->minute_ns = ts_ns / TRACK_MINUTE_NS * TRACK_MINUTE_NS;
		c->minute_end_ns = c->minute_ns + TRACK_MINUTE_NS;
	}
	if (f->last_ns < c->minute_ns)
		track_close_minute(tr, f);
}

/* track_flow.c: one segment and its flow */
void track_segment(struct track *tr, const struct segment *seg, const struct track_place *at, uint64_t wire_bytes,
		   uint32_t packets);

void track_note(struct flow *f, const struct segment *seg); /* what is odd about a segment */
/* seg begins what the initiator of flow id says. */
void track_seek_pair(struct track *tr, uint32_t id, const struct segment *seg);

/* track_payload.c: what a payload is read for */
void track_inspect(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir, uint32_t position);
void track_close_inspection(struct track *tr, uint32_t id);
void track_udp(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir);

#endif
