/* decode: one frame to one transport segment, or a verdict. Pure; walks link headers, tags and tunnels in a loop with
 * limits, never recursively. */
#ifndef LEAKTAP_DISSECT_DECODE_H
#define LEAKTAP_DISSECT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/packet.h"

/* Every frame gets exactly one verdict; each is a counter. */
#define DECODE_VERDICTS(X)                                                                                     \
	X(OK, "ok")                           /* TCP or UDP segment filled */                                  \
	X(OTHER_L4, "other_l4")               /* IP, neither TCP nor UDP (ICMP, ESP, ...): addresses filled */ \
	X(FRAGMENT, "fragment")               /* IP fragment: frag_* filled, hand it to defrag */              \
	X(NOT_IP, "not_ip")                   /* ARP, LLDP, unknown ethertype */                               \
	X(SHORT, "short")                     /* a header is cut or claims more than there is */               \
	X(BAD_HEADER, "bad_header")           /* version, header length or option length impossible */         \
	X(TAG_LIMIT, "tag_limit")             /* more than DECODE_MAX_TAGS VLAN tags */                        \
	X(TUNNEL_LIMIT, "tunnel_limit")       /* more than DECODE_MAX_TUNNELS encapsulations */                \
	X(EXT_LIMIT, "ip6_chain_limit")       /* IPv6 extension chain over 16 headers or 1,024 bytes */        \
	X(BAD_CHECKSUM, "bad_checksum")       /* only with verify_checksums */                                 \
	X(LINK_UNKNOWN, "link_unknown")

enum decode_verdict {
#define X(name, text) DECODE_##name,
	DECODE_VERDICTS(X)
#undef X
	DECODE_VERDICT_COUNT,
};

extern const char *const decode_verdict_names[DECODE_VERDICT_COUNT];

enum { DECODE_MAX_TAGS = 3, DECODE_MAX_TUNNELS = 4, DECODE_MAX_EXT_HEADERS = 16, DECODE_MAX_EXT_BYTES = 1024 };

enum segment_flag {
	SEGMENT_SLICED = 1 << 0,     /* captured payload is shorter than the payload on the wire */
	SEGMENT_OVERLONG = 1 << 1,   /* the IP header claims more than the frame had: clamped to the frame */
	SEGMENT_TUNNEL = 1 << 2,     /* came out of an encapsulation */
	SEGMENT_DEFRAGMENTED = 1 << 3,
	SEGMENT_BAD_CSUM = 1 << 4,
	SEGMENT_SUPER = 1 << 5,      /* larger than 16,384 bytes of IP: GRO/TSO super-packet, or total length 0 (BIG TCP) */
	SEGMENT_PARTIAL_CSUM = 1 << 6, /* transport checksum equals the pseudo-header sum: transmit offload */
};

enum { SEGMENT_FIN = 1, SEGMENT_SYN = 2, SEGMENT_RST = 4, SEGMENT_PSH = 8, SEGMENT_ACK = 16, SEGMENT_URG = 32 };

/* Borrowed views into the packet (or the defragmenter's buffer); valid as long as the packet is. */
struct segment {
	uint64_t ts_ns;
	const uint8_t *l3;      /* innermost IP header */
	const uint8_t *payload; /* transport payload */
	uint32_t l3_captured_bytes;
	uint32_t payload_captured_bytes;
	uint32_t payload_bytes; /* on the wire, by the IP length clamped to the frame; padding excluded */
	uint32_t frame_bytes;   /* original frame length */
	uint8_t src[16], dst[16]; /* IPv4 in the first 4 bytes, rest zero */
	uint16_t sport, dport;
	uint8_t family;         /* 4 or 6 */
	uint8_t proto;          /* IP protocol number */
	uint8_t ttl;
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack;
	uint16_t tcp_window;    /* unscaled */
	int8_t tcp_wscale;      /* from a SYN's option, clamped to 14; -1 absent */
	uint8_t n_vlan;
	uint16_t vlan[DECODE_MAX_TAGS];
	uint16_t flags;         /* enum segment_flag */
	/* FRAGMENT only */
	uint32_t frag_id;
	uint16_t frag_offset_bytes;
	bool frag_more;
	uint8_t n_tunnels;
	uint16_t input;
	uint32_t number;        /* frame number in its input */
};

struct decode_conf {
	bool verify_checksums; /* -k */
};

/* On OK fills everything; on FRAGMENT payload is the fragment's IP payload and frag_* are set; on OTHER_L4 payload is the IP
 * payload; on BAD_CHECKSUM with SEGMENT_BAD_CSUM (the transport's) everything as on OK. ret_seg is otherwise undefined.
 * A tunnel is entered only where its inner headers hold up, else the outer packet is the answer. vlan[] are the tags of the
 * innermost Ethernet header. Captured lengths beyond pkt->len are not believed. Any thread. */
enum decode_verdict decode_frame(const struct decode_conf *conf, const struct packet *pkt, struct segment *ret_seg);

/* Finishes a datagram that defrag has put together: seg as defrag_add returned it. May answer FRAGMENT again, for a fragment
 * inside a tunnel; the caller bounds how often it goes round. */
enum decode_verdict decode_datagram(const struct decode_conf *conf, struct segment *seg);

#endif
