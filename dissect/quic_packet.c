#include "dissect/quic_packet.h"

#include <string.h>

enum { LONG_HEADER = 0x80, FIXED_BIT = 0x40 };

bool quic_version_is_known(uint32_t version)
{
	return version == QUIC_V1 || version == QUIC_V2 || version == QUIC_V2_DRAFT ||
	       (version >= QUIC_DRAFT_FIRST && version <= QUIC_DRAFT_LAST) ||
	       (version & 0xfffff000) == QUIC_MVFST || version == QUIC_Q050 || version == QUIC_T050 ||
	       version == QUIC_T051 || quic_version_is_reserved(version);
}

uint64_t quic_varint(struct bytes *b)
{
	uint8_t first = bytes_u8(b);
	uint64_t value = first & 0x3f;
	for (int left = (1 << (first >> 6)) - 1; left > 0; left--)
		value = value << 8 | bytes_u8(b);
	return value;
}

static bool take_cid(struct bytes *b, struct quic_cid *ret)
{
	uint8_t n = bytes_u8(b);
	const uint8_t *id = bytes_take(b, n);
	if (!id || n > QUIC_MAX_CID)
		return false;
	ret->n = n;
	memcpy(ret->id, id, n);
	return true;
}

/* The two type bits mean other things in version 2, RFC 9369 3.2. */
static uint8_t packet_type(uint32_t version, uint8_t first)
{
	uint8_t bits = first >> 4 & 3;
	if (version == QUIC_V2 || version == QUIC_V2_DRAFT)
		bits = (bits + 3) & 3;
	static const uint8_t types[] = {QUIC_PACKET_INITIAL, QUIC_PACKET_ZERO_RTT, QUIC_PACKET_HANDSHAKE,
					QUIC_PACKET_RETRY};
	return types[bits];
}

static bool take_body(struct bytes *b, struct quic_packet *ret)
{
	if (ret->type == QUIC_PACKET_INITIAL) {
		uint64_t n_token = quic_varint(b);
		if (n_token > bytes_left(b))
			return false;
		bytes_skip(b, (size_t)n_token);
	}
	uint64_t length = quic_varint(b);
	if (b->failed || length > bytes_left(b))
		return false;
	ret->number_offset = (size_t)(b->at - ret->start);
	return bytes_skip(b, (size_t)length);
}

bool quic_packet_next(struct bytes *datagram, struct quic_packet *ret)
{
	struct bytes b = *datagram;
	ret->start = b.at;
	ret->number_offset = 0;
	uint8_t first = bytes_u8(&b);
	ret->version = bytes_u32(&b);
	if (b.failed || !(first & LONG_HEADER) || !take_cid(&b, &ret->dcid) || !take_cid(&b, &ret->scid))
		return false;
	if (!ret->version) {
		ret->type = QUIC_PACKET_NEGOTIATION;
		b.at = b.end;
	} else {
		if (!(first & FIXED_BIT) || !quic_version_is_known(ret->version))
			return false;
		ret->type = packet_type(ret->version, first);
		if (ret->type == QUIC_PACKET_RETRY)
			b.at = b.end;
		else if (!take_body(&b, ret))
			return false;
	}
	ret->n = (size_t)(b.at - ret->start);
	*datagram = b;
	return true;
}
