/* inspect_slot: what inspect's files share: the state of one flow while it is inspected, and the worker's
 * own. Room-internal.
 *
 * What was learnt so far stands in a label's draft, so that a slot stays small; inspect_learn replaces it.
 */
#ifndef LEAKTAP_DISSECT_INSPECT_SLOT_H
#define LEAKTAP_DISSECT_INSPECT_SLOT_H

#include "dissect/assemble.h"
#include "dissect/dtls.h"
#include "dissect/inspect.h"
#include "dissect/quic.h"
#include "dissect/tls_hello.h"

enum {
	INSPECT_MAX_CLIENT_SEGMENTS = 24, /* without a hello, for a stream that does not begin like TLS */
	INSPECT_MIN_CLIENT_BYTES = 1024, /* ... or fewer bytes in any number of segments */
	INSPECT_MAX_SERVER_SEGMENTS = 48,
	INSPECT_MAX_DATAGRAMS = 8, /* of one direction; QUIC stops by itself */
	INSPECT_MAX_QUIC_DATAGRAMS = 64,
	INSPECT_SLAB_SLOTS = 64,
	INSPECT_APPID_BYTES = 4096, /* of an unknown TCP protocol on a high port, before nDPI is asked */
	INSPECT_UNKNOWN_BYTES =
	    2048, /* of a packet of unknown protocol that nDPI gets: it keeps them (25 KB per flow on 4.2) */
};
#define INSPECT_MAX_NS (10 * UINT64_C(1000000000))

enum inspect_kind {
	INSPECT_KIND_UNKNOWN,
	INSPECT_KIND_TLS,
	INSPECT_KIND_HTTP,
	INSPECT_KIND_DNS,
	INSPECT_KIND_QUIC,
	INSPECT_KIND_DTLS
};

struct inspect_slot {
	struct inspect_slot *next; /* free list */
	uint64_t deadline_ns;      /* 0: no packet yet */
	uint32_t label;            /* draft of what was learnt */
	uint8_t kind;
	uint8_t client; /* which direction is the client's: 1 when the responder sent the ClientHello */
	uint16_t segments[2];
	uint32_t payload_bytes; /* TCP, both directions */

	bool hello_found, hello_bad, hello_none, retried;
	bool http_none, server_done, appid_done, tls_like, second_seen;

	struct assemble client_bytes, server_bytes;
	uint32_t client_base, server_base; /* position of the assembled bytes' first */
	uint32_t hello_end;                /* of the client's bytes in which its hello was found */
	uint32_t server_high;
	uint32_t dns_read; /* of server_bytes */
	uint32_t scan;
	uint32_t starts[INSPECT_MAX_CLIENT_SEGMENTS];
	uint8_t n_starts;
	uint8_t *second; /* the client's bytes, last copy wins; ASSEMBLE_MAX_BYTES, only after a conflict */
	uint32_t second_ready;

	struct dtls_stream dtls; /* its bytes are client_bytes */
	struct quic_state *quic;
	size_t quic_bytes; /* what of the budget it has */
	struct appid_flow *appid;
};

struct inspect {
	struct inspect_conf conf;
	struct labels *labels;
	struct tls_app_pool *tls_pool;
	struct dnscache *dns;
	struct appid *appid;
	struct quic_crypt *quic;
	struct assemble_budget budget;
	struct inspect_slot **slabs, *free_list;
	size_t n_slots, max_slots;
	struct inspect_stats stats;
	uint8_t flat[APPID_MAX_BYTES]; /* a hello made one record for nDPI */
};

/* Adds l to what is known: l becomes the slot's label. l's strings may be the old label's. */
void inspect_learn(struct inspect *in, struct inspect_slot *slot, const struct label *l);
void inspect_known(const struct inspect *in, const struct inspect_slot *slot, struct label *ret);
void inspect_flag(struct inspect *in, struct inspect_slot *slot, uint32_t flags);
void inspect_drop_second(struct inspect *in, struct inspect_slot *slot);
/* Another name fits too: goes to the candidates, and the flag is set. */
void inspect_ambiguous(struct inspect *in, struct inspect_slot *slot, const char *other);

/* inspect_tcp.c */
enum inspect_verdict inspect_tcp(struct inspect *in, struct inspect_slot *slot,
				 const struct inspect_input *input);
void inspect_tcp_last(struct inspect *in, struct inspect_slot *slot); /* no more bytes will come */

/* inspect_tls.c */
void inspect_tls_hello(struct inspect *in, struct inspect_slot *slot, const struct tls_hello *th);
void inspect_tls_second(struct inspect *in, struct inspect_slot *slot, const struct hello *hello);
/* bytes[0..n) from server_base on. Sets server_done when there is nothing more to learn. */
void inspect_tls_server(struct inspect *in, struct inspect_slot *slot, const uint8_t *bytes, size_t n,
			bool last, struct tls_app *tls);

/* inspect_udp.c */
enum inspect_verdict inspect_udp(struct inspect *in, struct inspect_slot *slot,
				 const struct inspect_input *input);
void inspect_udp_last(struct inspect *in, struct inspect_slot *slot); /* no more datagrams will come */

/* inspect_dns.c */
/* true: the segment is DNS (learnt and remembered). */
bool inspect_dns_segment(struct inspect *in, struct inspect_slot *slot, const struct segment *seg);
/* TCP. true: the segment belongs to a connection that is DNS, or may still turn out so; server_done when it needs
 * no more to be followed. */
bool inspect_dns_stream(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input);

/* inspect_appid.c */
/* A payload of a flow that no reader of ours knows. A verdict of nDPI costs as much as a hundred packets of ours,
 * so a TCP flow to a port that nobody owns waits until it has carried something. */
bool inspect_appid_wanted(const struct inspect_slot *slot, const struct inspect_input *input);
void inspect_appid_unknown(struct inspect *in, struct inspect_slot *slot, const struct segment *seg,
			   bool from_initiator);
/* The client's first bytes of a flow whose name our reader has found: labelled when the name is wanted. tls:
 * bytes are records. */
void inspect_appid_hello(struct inspect *in, struct inspect_slot *slot, const struct segment *seg,
			 const uint8_t *bytes, size_t n, bool tls);
void inspect_appid_done(struct inspect *in, struct inspect_slot *slot);

#endif
