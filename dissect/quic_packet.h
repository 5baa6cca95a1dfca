/* quic_packet: the long headers of a datagram, packet by packet, without cryptography. RFC 8999 5.1,
 * 9000 17.2, 9369 3.2. */
#ifndef LEAKTAP_DISSECT_QUIC_PACKET_H
#define LEAKTAP_DISSECT_QUIC_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/quic.h"

enum {
	QUIC_V1 = 0x00000001,
	QUIC_V2 = 0x6b3343cf,
	QUIC_V2_DRAFT = 0x709a50c4, /* of its drafts, what libraries of 2022 speak as v2 */
	QUIC_DRAFT_FIRST = 0xff000016, /* draft 22: since then the header has its present form */
	QUIC_DRAFT_LAST = 0xff000022,
	QUIC_MVFST = 0xfaceb000, /* Facebook, low 12 bits vary */
	QUIC_Q050 = 0x51303530,
	QUIC_T050 = 0x54303530,
	QUIC_T051 = 0x54303531,
};

enum quic_packet_type {
	QUIC_PACKET_INITIAL,
	QUIC_PACKET_ZERO_RTT,
	QUIC_PACKET_HANDSHAKE,
	QUIC_PACKET_RETRY,
	QUIC_PACKET_NEGOTIATION
};

struct quic_packet {
	uint32_t version;
	uint8_t type; /* enum quic_packet_type */
	struct quic_cid dcid, scid;
	const uint8_t *start;
	size_t n;             /* whole packet, header included */
	size_t number_offset; /* of the protected packet number; Initial, 0-RTT, Handshake */
};

/* 0x?a?a?a?a, RFC 9000 15 */
static inline bool quic_version_is_reserved(uint32_t version)
{
	return (version & 0x0f0f0f0f) == 0x0a0a0a0a;
}
/* A version whose long header and Initial this reader understands. */
bool quic_version_is_known(uint32_t version);

/* Takes the next long-header packet off the datagram. false: a short header, the end, not a known version, or
 * lengths beyond the datagram. */
bool quic_packet_next(struct bytes *datagram, struct quic_packet *ret);
/* RFC 9000 16; fails b on shortage. */
uint64_t quic_varint(struct bytes *b);

#endif
