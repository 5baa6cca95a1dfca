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

/* Time as the timers see it: the largest timestamp that is believed. */
struct track_clock {
	uint64_t now_ns;
	uint64_t epoch_ns;     /* due times count seconds from here */
	uint32_t jump_packets; /* packets in a row that lie beyond TRACK_JUMP_NS */
	uint64_t minute_ns,
	    minute_end_ns; /* the minute of the last packet, so that most packets need no division */
};

struct track_burst {
	struct segment segs[TRACK_BURST];
	struct flowkey keys[TRACK_BURST];
	uint32_t hashes[TRACK_BURST];
	uint32_t likely[TRACK_BURST]; /* flow id by the index, 0: none */
	uint8_t sides[TRACK_BURST];
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
void track_see_time(struct track *tr, uint64_t ts_ns);
uint32_t track_due_s(const struct track *tr, uint64_t at_ns);
uint64_t track_timeout_ns(const struct track *tr, const struct flow *f);
bool track_closed(const struct flow *f);
bool track_is_idle(const struct track *tr, const struct flow *f, uint64_t now_ns);
/* Both by the packets' own time: captures put one behind the other go backwards, and their flows are whole all
 * the same. */
bool track_is_over(const struct track *tr, const struct flow *f, uint64_t ts_ns);
void track_note_lag(const struct track *tr, struct flow *f, uint64_t ts_ns);
enum facts_reason track_idle_reason(const struct flow *f);
void track_sweep(struct track *tr, uint32_t max_steps);
/* Ends one flow, by what is least missed. false: none that may go for the sake of a newcomer. */
bool track_evict(struct track *tr);

/* track_publish.c */
void track_roll_minute(struct track *tr, struct flow *f, uint64_t ts_ns);
bool track_publish(struct track *tr, uint32_t id, enum facts_reason reason, bool last);
bool track_grew(const struct track *tr, const struct flow *f); /* bytes since the last record */
void track_end(struct track *tr, uint32_t id, enum facts_reason reason);
uint64_t track_headline(const struct track *tr, const struct flow *f, unsigned dir);

/* track_flow.c: one segment and its flow */
void track_segment(struct track *tr, const struct segment *seg, const struct flowkey *key, uint32_t hash,
		   unsigned side, uint64_t wire_bytes, uint32_t packets);

void track_note(struct flow *f, const struct segment *seg); /* what is odd about a segment */
/* seg begins what the initiator of flow id says. */
void track_seek_pair(struct track *tr, uint32_t id, const struct segment *seg);

/* track_payload.c: what a payload is read for */
void track_inspect(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir, uint32_t position);
void track_close_inspection(struct track *tr, uint32_t id);
void track_udp(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir);

#endif
