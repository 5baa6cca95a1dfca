/* facts: what dissect tells of one flow, at its end and, live, every interval. Cumulative; also carries the deltas.
 *
 * Strings are borrowed and valid only inside the callback that delivers the struct; facts_pack keeps them. Strings come from
 * packets: they are hostile in every sink. NULL = unknown. */
#ifndef LEAKTAP_DISSECT_FACTS_H
#define LEAKTAP_DISSECT_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum facts_basis { FACTS_BASIS_ACK, FACTS_BASIS_ACK_ONLY, FACTS_BASIS_SEQ_ONLY, FACTS_BASIS_UDP_PAYLOAD };

/* Strongest first; the order is the contract of page "names". */
enum facts_name_source {
	FACTS_NAME_NONE,
	FACTS_NAME_TLS_SNI,
	FACTS_NAME_QUIC_SNI,
	FACTS_NAME_HTTP_HOST,
	FACTS_NAME_CONNECT_HOST,
	FACTS_NAME_DNS_ANSWER,
	FACTS_NAME_CERTIFICATE,
	FACTS_NAME_IP_PREFIX,
	FACTS_NAME_ECH_OUTER, /* never classifies a destination */
	FACTS_NAME_SOURCE_COUNT,
};

#define FACTS_STATES(X) X(NEW, "new") X(ESTABLISHED, "established") X(CLOSED, "closed")
enum facts_state {
#define X(name, text) FACTS_STATE_##name,
	FACTS_STATES(X)
#undef X
};

/* Why the record is told. */
#define FACTS_REASONS(X)                                                                                       \
	X(UPDATE, "update") X(FIN, "fin") X(RST, "rst") X(IDLE, "timeout") X(EVICTED, "evicted")               \
	X(REUSED, "port_reuse") X(SHUTDOWN, "shutdown") X(EOF, "end_of_capture")
enum facts_reason {
#define X(name, text) FACTS_REASON_##name,
	FACTS_REASONS(X)
#undef X
};

/* X(NAME, bit, "text in the record's flags") */
#define FACTS_FLAGS(X)                                                                                         \
	X(MIDSTREAM, 0, "midstream") X(ONE_SIDED, 1, "one_sided") X(UNCERTAIN, 2, "uncertain")                 \
	X(SLICED, 3, "sliced") X(CSUM_OFFLOAD, 4, "csum_offload") X(SNI_AMBIGUOUS, 5, "sni_ambiguous")         \
	X(ECH, 6, "ech") X(MIGRATED, 7, "migrated") X(TUNNEL, 8, "tunnel") X(FRAGMENTED, 9, "fragmented")      \
	X(EVICTED, 10, "evicted") X(CLOSE_UNSEEN, 11, "close_unseen") X(APP_ESTIMATED, 12, "app_estimated")    \
	X(BAD_CHECKSUM, 13, "bad_checksum") X(SUPER_PACKET, 14, "super_packet") X(OVERLONG, 15, "overlong")    \
	X(ISN_CONFLICT, 16, "isn_conflict") X(OVERLAP_DIFF, 17, "overlap_diff")                                \
	X(INTERVALS_FULL, 18, "intervals_full") X(ACK_BEYOND, 19, "ack_beyond_window")                         \
	X(AFTER_FIN, 20, "data_after_fin") X(NO_CLOSE, 21, "no_close") X(NAME_CUT, 22, "name_cut")             \
	X(SNI_MISSING, 23, "sni_missing") X(NDPI_DIFFERS, 24, "ndpi_differs") X(EARLY_DATA, 25, "early_data")  \
	X(DUPLICATED, 26, "duplicated") X(SNI_INVALID, 27, "sni_invalid") X(URGENT, 28, "urgent")              \
	X(QUIC_UNDECRYPTED, 29, "quic_undecrypted") X(MINUTES_MERGED, 30, "minutes_merged")                \
	X(NAT_PAIR, 31, "suspected_nat_pair")

enum facts_flag {
#define X(name, bit, text) FACTS_##name = 1u << bit,
	FACTS_FLAGS(X)
#undef X
};

struct facts_dir {
	uint64_t packets, wire_bytes;
	uint64_t bytes, bytes_min, bytes_max; /* headline and its bounds, page "bytes" */
	uint64_t gap_bytes, unacked_bytes, dup_bytes, oow_bytes;
	uint64_t app_bytes;                   /* TLS application data, valid if app_known of the flow */
	uint64_t delta_bytes;                 /* bytes since the last record of this flow; may never be negative */
	uint8_t basis;                        /* enum facts_basis */
};

struct facts_minute {
	uint64_t start_s; /* unix time, multiple of 60 */
	uint64_t up_bytes, down_bytes;
};

struct facts_addr {
	uint8_t ip[16]; /* IPv4 in the first 4 bytes */
	uint16_t port;
	uint8_t family; /* 4 or 6 */
};

enum { FACTS_MAX_CANDIDATES = 8, FACTS_MAX_NAME = 253, FACTS_MAX_MINUTES = 1440 };

struct flow_facts {
	uint64_t flow_id;     /* 53 bits; same input, same id */
	struct facts_addr src, dst; /* src is the initiator */
	uint8_t proto;        /* 6, 17, or another IP protocol */
	uint8_t n_vlan;
	uint8_t zone;
	uint8_t state, reason; /* enum facts_state, facts_reason */
	bool last;             /* no more records of this flow will come */
	bool saw_syn;          /* TCP: the connect was seen (SYN of the initiator) */
	bool nat_second;      /* of a suspected_nat_pair the one seen later: the other has the same bytes */
	bool app_known;        /* app_bytes of both directions mean something */
	uint16_t vlan[3];
	uint16_t input;        /* capture input of the first frame */
	uint64_t start_ns, end_ns; /* first and last packet */
	uint32_t seq;          /* records of this flow from 1 */
	uint32_t flags;        /* enum facts_flag */
	struct facts_dir up, down;
	const struct facts_minute *minutes; /* of this record's delta; their sums equal the deltas */
	size_t n_minutes;

	uint8_t name_source;   /* enum facts_name_source */
	const char *name;      /* normalised: lower case, no trailing dot, <= 253, tail kept when cut */
	const char *name_candidates[FACTS_MAX_CANDIDATES]; /* when several fit, name among them; sorted */
	size_t n_name_candidates;
	const char *sni;          /* tls.sni as told by our readers, escaped by sinks */
	const char *connect_host; /* of an explicit proxy's CONNECT */
	const char *http_host;
	uint16_t tls_version;     /* 0x0303, 0x0304, ...; 0 unknown */
	const char *ja3, *ja4, *alpn; /* alpn: comma-separated client list */
	const char *app_proto;    /* EVE's app_proto word: "tls", "quic", "dns", "http", ... */
	const char *ndpi_protocol, *ndpi_name;
};

typedef void facts_fn(void *ctx, const struct flow_facts *facts);

/* Flat copy for a ring or a file. facts_pack returns the bytes needed (writes only if they fit); facts_unpack borrows strings
 * and minutes from buf, which must be 8-byte aligned, and returns 0 or LT_EFORMAT. */
size_t facts_pack(const struct flow_facts *facts, void *buf, size_t size);
int facts_unpack(struct flow_facts *ret_facts, const void *buf, size_t size);

extern const char *const facts_basis_names[];
extern const char *const facts_name_source_names[FACTS_NAME_SOURCE_COUNT];
extern const char *const facts_state_names[];
extern const char *const facts_reason_names[];

#endif
