/* flow: what is kept of one conversation while it lives. 128 bytes for every flow; whatever only some flows
 * need (holes, counters beyond 32 bits, a second handshake, inspection state) hangs off it in a pooled
 * flow_ext, IPv6 addresses in a pooled flow_ends, past minutes in flow_minute nodes.
 *
 * An endpoint pair is kept in canonical order (low, high); direction 0 is what the initiator sends.
 * FLOW_SWAPPED says that the initiator is high. */
#ifndef LEAKTAP_DISSECT_FLOW_H
#define LEAKTAP_DISSECT_FLOW_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "dissect/tls_app.h"

/* Bits of struct flow.state. A bit named _0 has its twin for direction 1 right above it:
 * FLOW_DIR(bit, dir). */
enum flow_state {
	FLOW_V6 = 1 << 0,
	FLOW_SWAPPED = 1 << 1,
	FLOW_BASE_0 = 1 << 2, /* position 0 of the direction is known */
	FLOW_SYN_0 = 1 << 4,  /* ... from its SYN */
	FLOW_EDGE_0 = 1 << 6, /* the receiver of this direction has advertised a right edge */
	FLOW_FIN_0 = 1 << 8,
	FLOW_FIN_ACKED_0 = 1 << 10,
	FLOW_SEEN_ACK_0 = 1 << 12, /* the receiver of this direction was seen to acknowledge anything */
	FLOW_RST = 1 << 14,
	FLOW_ANSWERED = 1 << 15, /* the responder sent anything (TCP: but a reset) */
	FLOW_PAYLOAD = 1 << 16,  /* somebody sent payload */
	FLOW_INSPECTING = 1 << 17,
	FLOW_INSPECTED = 1 << 18, /* label is final */
	FLOW_QUIC = 1 << 19,
	FLOW_NOT_QUIC = 1 << 20,
	FLOW_PUBLISHED = 1 << 21,  /* at least one record was told */
	FLOW_SUSPECT = 1 << 22,    /* carried duplicates: its segments are fingerprinted */
	FLOW_STEP_ONE_0 = 1 << 23, /* acked last moved by one: a FIN's look */
	FLOW_TCP_OPEN = 1 << 25,   /* handshake done, or data acknowledged */
	FLOW_NAT_SECOND = 1 << 27, /* its pair was seen before it */
	FLOW_SLOT_ONLY = 1 << 28, /* the flow_ext holds an inspection slot and nothing else */
	FLOW_LAGGING = 1 << 26,    /* its stamps lie behind the clock: idle for how long, last_ns does not tell */
};
#define FLOW_DIR(bit, dir) ((uint32_t)(bit) << (dir))

enum { FLOW_WSCALE_UNKNOWN = 15 };

/* TCP: positions count bytes from base, the sequence number of the first byte that is accounted; tcpacct
 * moves base before they reach 2^31. Others: low and acked are the lower and upper half of the payload byte
 * count. */
struct flow_dir {
	uint32_t base;
	uint32_t low;     /* everything below was captured, or is written off as lost */
	uint32_t acked;   /* everything below was acknowledged */
	uint32_t edge;    /* highest right edge the receiver has advertised */
	uint32_t packets; /* lower halves; the upper ones are in the flow_ext */
	uint32_t wire_bytes;
};

struct flow {
	union {
		uint32_t v4[2]; /* low and high address, network order */
		struct {
			uint32_t ends; /* flow_ends id */
			uint32_t tag;  /* part of the key's hash: saves reading flow_ends for nothing */
		} v6;
	};
	uint16_t port[2]; /* low, high */
	uint8_t proto;
	uint8_t wscale;   /* direction 0 in the lower half; FLOW_WSCALE_UNKNOWN */
	uint16_t vantage; /* vantage id: input and VLAN tags of the first packet */
	uint32_t state;   /* enum flow_state */
	uint32_t flags;   /* enum facts_flag */
	uint64_t last_ns;
	uint32_t ext; /* flow_ext id, 0 none */
	uint32_t label;
	struct flow_dir dir[2];
	struct tls_app tls;
	uint64_t start_ns;
	uint32_t minutes; /* newest flow_minute, 0 none */
	uint32_t birth;   /* flows in order of their first packet; wraps */
};
static_assert(sizeof(struct flow) == 128, "two cache lines per flow, and the memory target of 160 bytes");
static_assert(sizeof(struct flow_dir) == 24, "one direction shares the first line with the key");

struct flow_ends {
	uint8_t ip[2][16]; /* low, high */
};

/* What had been credited when a minute ended; a minute's bytes are the difference to the next older node.
 * More than 32 bits: the node behind holds the upper halves. The oldest node of a flow that was told before
 * holds the totals told; its minute is the number of records told. */
struct flow_minute {
	uint32_t next;
	uint32_t minute : 20; /* since the flow's first minute, saturating */
	uint32_t depth : 11;  /* nodes of minutes from here to the oldest, what was told not counted */
	uint32_t wide : 1;
	uint32_t up, down;
};
static_assert(sizeof(struct flow_minute) == 16, "one for every flow that crosses a minute");

/* Captured ranges above flow_dir.low, in order, disjoint, not touching. */
struct flow_range {
	uint32_t from, to;
};

/* An acknowledgement beyond everything the receiver has advertised, waiting to be believed. */
struct flow_held {
	uint64_t since_ns;
	uint32_t position;
	uint8_t valid, above, below; /* later acknowledgements at or past it, and short of it */
};

struct flow_ext_dir {
	uint64_t offset_bytes;            /* of position 0 in the stream */
	uint64_t packets_high, wire_high; /* multiples of 2^32 */
	uint64_t dup_bytes, oow_bytes;
	uint64_t missing_bytes; /* below low and never captured */
	uint64_t app_bytes;     /* taken out of tls so far */
	struct flow_held held;
	uint32_t fin;         /* position of the FIN when it is not low */
	uint32_t fin_again;   /* another FIN behind the first */
	uint32_t written_off; /* a hole was given up below this position */
	uint32_t ranges;      /* range block id */
	uint16_t n_ranges, max_ranges;
	bool fin_valid, fin_again_valid;
	bool base_again_valid; /* a second SYN-ACK with this base was seen */
	uint32_t base_again;
};

/* A SYN with another sequence number: a new connection once it is answered. */
struct flow_syn {
	uint64_t first_ns, before_ns; /* its own first sight; last_ns of the flow before it */
	uint32_t isn, payload_bytes, wire_bytes;
	uint16_t window, packets;
	int8_t wscale;
	uint8_t dir;
	bool valid;
};

struct inspect_slot;

struct flow_ext {
	struct inspect_slot *slot;
	struct flow_ext_dir dir[2];
	struct flow_syn syn;
};
static_assert(sizeof(struct flow_ext) <= 320,
	      "only flows with holes, repeats or an open inspection pay for it");

static inline unsigned flow_wscale(const struct flow *f, unsigned dir)
{
	return f->wscale >> (4 * dir) & 15u;
}

static inline void flow_set_wscale(struct flow *f, unsigned dir, unsigned shift)
{
	f->wscale = (uint8_t)((f->wscale & ~(15u << (4 * dir))) | shift << (4 * dir));
}

static inline bool flow_has(const struct flow *f, uint32_t bits)
{
	return (f->state & bits) != 0;
}

#endif
