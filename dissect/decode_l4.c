/* TCP (RFC 9293) and UDP (RFC 768), and their checksums where asked for. */
#include "dissect/csum.h"
#include "dissect/decode_walk.h"

enum { TCP_BYTES = 20, UDP_BYTES = 8, OPTION_END = 0, OPTION_NOP = 1, OPTION_WSCALE = 3, MAX_WSCALE = 14 };

/* RFC 7323: of several the last counts, as stacks do it. */
static int8_t window_scale(struct bytes options)
{
	int8_t scale = -1;
	while (bytes_left(&options)) {
		uint8_t kind = bytes_u8(&options);
		if (kind == OPTION_END)
			break;
		if (kind == OPTION_NOP)
			continue;
		uint8_t length = bytes_u8(&options);
		const uint8_t *value = length < 2 ? NULL : bytes_take(&options, length - 2u);
		if (!value)
			break;
		if (kind == OPTION_WSCALE && length == 3)
			scale = (int8_t)(value[0] > MAX_WSCALE ? MAX_WSCALE : value[0]);
	}
	return scale;
}

static uint64_t pseudo_sum(const struct segment *seg, uint32_t length)
{
	size_t n = seg->family == 4 ? 4 : 16;
	uint64_t sum = csum_add(csum_add(0, seg->src, n), seg->dst, n);
	sum = csum_add16(sum, seg->proto);
	return csum_add16(csum_add16(sum, (uint16_t)(length >> 16)), (uint16_t)length);
}

/* p: the transport header; length: header and payload, all captured; claimed: the value of the checksum
 * field. */
static int verify(struct segment *seg, const uint8_t *p, uint32_t length, uint16_t claimed)
{
	uint64_t pseudo = pseudo_sum(seg, length);
	if (csum_fold(csum_add(pseudo, p, length)) == 0xffff)
		return DECODE_OK;
	/* Transmit offload leaves the pseudo-header's sum for the hardware to finish; some drivers without
	 * the length. */
	if (claimed == csum_fold(pseudo) || claimed == csum_fold(pseudo_sum(seg, 0))) {
		seg->flags |= SEGMENT_PARTIAL_CSUM;
		return DECODE_OK;
	}
	seg->flags |= SEGMENT_BAD_CSUM;
	return DECODE_BAD_CHECKSUM;
}

/* Whether all that the checksum covers was captured; a slice may also end among the options of a segment
 * without payload. */
static bool verifiable(const struct decode_walk *w, const uint8_t *p, uint32_t length)
{
	return w->conf->verify_checksums && !(w->seg->flags & SEGMENT_OVERLONG) &&
	       (size_t)(w->in.end - p) >= length;
}

int decode_tcp(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	uint32_t length = w->wire_bytes;
	const uint8_t *p = decode_walk_take(w, TCP_BYTES);
	if (!p)
		return DECODE_SHORT;
	uint32_t header = (uint32_t)(p[12] >> 4) * 4;
	if (header < TCP_BYTES || header > length)
		return DECODE_BAD_HEADER;
	seg->proto = DECODE_PROTO_TCP;
	seg->sport = decode_be16(p);
	seg->dport = decode_be16(p + 2);
	seg->tcp_seq = decode_be32(p + 4);
	seg->tcp_ack = decode_be32(p + 8);
	seg->tcp_flags = p[13];
	seg->tcp_window = decode_be16(p + 14);
	seg->tcp_wscale = -1;
	seg->frag_id = 0;
	seg->frag_offset_bytes = 0;
	seg->frag_more = false;
	/* A sliced capture may end among the options: the payload's length is known all the same. */
	uint32_t options = header - TCP_BYTES;
	uint32_t captured = bytes_left(&w->in) < options ? (uint32_t)bytes_left(&w->in) : options;
	if (seg->tcp_flags & SEGMENT_SYN)
		seg->tcp_wscale = window_scale(bytes_of(w->in.at, captured));
	w->in.at += captured;
	w->wire_bytes -= options;
	decode_walk_payload(w);
	return verifiable(w, p, length) ? verify(seg, p, length, decode_be16(p + 16)) : DECODE_OK;
}

/* Length 0 is a jumbogram (RFC 2675) or a super-packet: the datagram then reaches to the end of the IP
 * payload. */
static bool take_udp_length(struct decode_walk *w, uint32_t length)
{
	if (length == 0)
		return true;
	if (length < UDP_BYTES)
		return false;
	if (length - UDP_BYTES > w->wire_bytes)
		w->seg->flags |= SEGMENT_OVERLONG;
	decode_walk_trim(w, length - UDP_BYTES);
	return true;
}

int decode_udp(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	const uint8_t *p = decode_walk_take(w, UDP_BYTES);
	if (!p)
		return DECODE_SHORT;
	if (!take_udp_length(w, decode_be16(p + 4)))
		return DECODE_BAD_HEADER;
	decode_other(w);
	seg->sport = decode_be16(p);
	seg->dport = decode_be16(p + 2);
	uint16_t claimed = decode_be16(p + 6);
	uint32_t length = UDP_BYTES + w->wire_bytes;
	if (claimed && verifiable(w, p, length) && verify(seg, p, length, claimed) != DECODE_OK)
		return DECODE_BAD_CHECKSUM;
	return decode_tunnel_udp(w);
}
