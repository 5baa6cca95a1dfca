/* track: the walk of a packet through dissect, on one page: decode, defragment, find the flow, account, identify, publish.
 * One per worker thread; owns flow table, pools, caches. No locks, no system calls, no logging; the clock is the packets'. */
#ifndef LEAKTAP_DISSECT_TRACK_H
#define LEAKTAP_DISSECT_TRACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/packet.h"
#include "dissect/decode.h"
#include "dissect/facts.h"
#include "dissect/quality.h"

struct track_conf {
	facts_fn *publish;         /* every record of every flow; called from track_* on this thread */
	void *publish_ctx;
	/* true: this destination is in the catalogue, so nDPI shall label its hello. May be NULL: none is. */
	bool (*wants_label)(void *ctx, const char *name);
	void *wants_label_ctx;
	uint8_t zone;
	bool verify_checksums;
	bool vlan_in_key;
	bool mdns;                 /* remember mDNS answers too */
	size_t max_flows;          /* 0 = 4,194,304 */
	size_t max_assembly_bytes; /* 0 = 64 MiB over all flows */
	uint64_t update_ns;        /* 0: no periodic records (replay); live 60 s */
	uint64_t idle_tcp_ns, idle_udp_ns, closed_ns; /* 0: 1 h established TCP, 180 s UDP, 30 s after FIN/RST (page "bytes") */
};

/* Every counter is 64-bit and only grows, except the gauges at the end. */
struct track_stats {
	uint64_t packets, wire_bytes;
	uint64_t verdicts[DECODE_VERDICT_COUNT];
	/* Wire bytes per verdict: every byte has a row. Fragments move to the row of the datagram they complete, so FRAGMENT can fall. */
	uint64_t verdict_bytes[DECODE_VERDICT_COUNT];
	uint64_t flows_new, flows_ended, flows_evicted, flows_timed_out, flows_reused;
	uint64_t flows_half_open_evicted; /* of flows_evicted */
	uint64_t flows_refused;           /* newcomers that were worth less than what would have had to make room */
	uint64_t time_backwards, time_jumps;
	uint64_t frag_datagrams, frag_expired, frag_overlaps, frag_evicted, frag_oversize;
	uint64_t segments_dup, segments_oow, ack_beyond_window, overlap_diff, isn_conflicts, intervals_full;
	uint64_t udp_duplicates, quic_migrated, quic_undecryptable;
	uint64_t span_duplicates, nat_pairs;
	uint64_t names[FACTS_NAME_SOURCE_COUNT];      /* ended flows by name source */
	uint64_t assembly_refused, ext_refused, names_refused, appid_refused, dns_evicted;
	uint64_t minutes_refused, vantages_refused;
	uint64_t tls_evicted;             /* segments ahead of a record header that found the pool full */
	uint64_t quicmove_overwritten;    /* connection ids and pairs that made room for newer ones */
	/* frames, first payloads and senders that made room for newer ones while they still counted */
	uint64_t copies_overwritten, natpair_overwritten, offload_overwritten;
	struct quality_counts quality;
	struct quality_alarms alarms;
	uint64_t appid_packets, appid_flows;
	/* gauges */
	size_t flows_active, max_flows, memory_bytes;
};

struct track;

int track_new(struct track **ret_tr, const struct track_conf *conf, struct err *err);
void track_free(struct track *tr);

/* A burst of 1..SOURCE_BURST packets; borrowed only for the call. */
void track_packets(struct track *tr, const struct packet *pkts, size_t n);
/* Live: call at least every 100 ms with the wall clock when packets do not move time. Expires and publishes, in bounded steps. */
void track_tick(struct track *tr, uint64_t now_ns);
/* Ends every flow: reason FACTS_REASON_EOF or SHUTDOWN, in order of first packet. */
void track_finish(struct track *tr, enum facts_reason reason);
void track_stats(const struct track *tr, struct track_stats *ret_stats);

#endif
