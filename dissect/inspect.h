/* inspect: reads the first payloads of a flow until its names and protocol are known, with our own readers first and nDPI where it is needed; then
 * hands the flow one label and returns its pooled state. One per worker thread.
 *
 * The rungs of the ladder, strongest first: tls_sni, quic_sni, http_host, connect_host, dns_answer, certificate; ech_outer never classifies. */
#ifndef LEAKTAP_DISSECT_INSPECT_H
#define LEAKTAP_DISSECT_INSPECT_H

#include "capture/base/err.h"
#include "dissect/appid.h"
#include "dissect/decode.h"
#include "dissect/dnscache.h"
#include "dissect/label.h"
#include "dissect/tls_app.h"

struct inspect_conf {
	bool (*wants_label)(void *ctx, const char *name); /* the destination is catalogued: nDPI shall see its hello; NULL: none */
	void *wants_label_ctx;
	uint8_t zone;
	bool mdns;
	size_t max_assembly_bytes; /* 0 = 64 MiB over all flows */
	size_t max_slots;          /* flows inspected at once; 0 = 262,144; memory grows with use */
};

struct inspect_stats {
	uint64_t slots_refused, assembly_refused, quic_undecryptable, names[FACTS_NAME_SOURCE_COUNT];
	struct appid_stats appid;
	struct dnscache_stats dns;
	size_t memory_bytes;
};

struct inspect;
struct inspect_slot; /* pooled, per flow while inspecting */

int inspect_new(struct inspect **ret_in, const struct inspect_conf *conf, struct err *err);
void inspect_free(struct inspect *in);
struct labels *inspect_labels(struct inspect *in);
struct tls_app_pool *inspect_tls_pool(struct inspect *in);

/* One payload-bearing segment of a flow. */
struct inspect_input {
	const struct segment *seg;
	uint64_t flow;             /* key as in tls_app_segment */
	struct facts_addr src, dst; /* initiator, responder */
	uint64_t start_ns;         /* first packet of the flow */
	uint32_t position;         /* TCP: payload's position in its direction, 0 = first byte after the SYN (or first seen) */
	uint32_t acked;            /* TCP: as in tls_app_segment */
	bool from_initiator;
	struct tls_app *tls;       /* TCP: fed here while a slot is open, so the caller must not feed it then */
};

enum inspect_verdict { INSPECT_MORE, INSPECT_DONE };

struct inspect_slot *inspect_open(struct inspect *in, uint8_t proto); /* NULL: pool used up (counted); flow goes without */
/* QUIC: connection ids seen are reported by inspect_cids, for linking migrated flows. */
enum inspect_verdict inspect_segment(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input);
/* Ends inspection (also early, when the flow ends) and returns the flow's label with one reference taken; 0 = nothing known.
 * slot may be NULL (no payload was ever seen): names by DNS only. */
uint32_t inspect_close(struct inspect *in, struct inspect_slot *slot, uint8_t proto, const struct facts_addr *src,
		       const struct facts_addr *dst, uint64_t start_ns);
/* After inspection has ended: later answers on the same 5-tuple still fill the cache; over TCP those that lie whole in a segment. Cheap. */
void inspect_dns(struct inspect *in, const struct segment *seg);
bool inspect_wants_dns(const struct segment *seg); /* port 53 (and 5353 with mdns) and from the server's side */
void inspect_stats(const struct inspect *in, struct inspect_stats *ret);

#endif
