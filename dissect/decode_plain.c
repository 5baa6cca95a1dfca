/* The frames that nearly all traffic is made of, in one pass: Ethernet without tags, IPv4 without options or
 * fragments or IPv6 without extensions, TCP without SYN or UDP that is no tunnel, every length plausible. Whatever
 * does not fit goes the long way, which gives the same answer. */
#include "dissect/decode_walk.h"

enum { ETHERNET_BYTES = 14, IP4_BYTES = 20, IP6_BYTES = 40, TCP_BYTES = 20, UDP_BYTES = 8 };

/* The transport header; n: its bytes and the payload's by the IP header, have: those captured. */
struct transport {
	const uint8_t *p;
	uint32_t n, have;
};

static bool plain_ip4(const struct packet *pkt, uint32_t captured, struct segment *seg, struct transport *ret)
{
	const uint8_t *p = pkt->data + ETHERNET_BYTES;
	uint32_t have = captured - ETHERNET_BYTES;
	if (have < IP4_BYTES)
		return false;
	uint32_t total = decode_be16(p + 2);
	if (p[0] != 0x45 || (decode_be16(p + 6) & 0x3fff) || total < IP4_BYTES ||
	    total > pkt->len - ETHERNET_BYTES || total > DECODE_SUPER_BYTES)
		return false;
	have = have < total ? have : total;
	seg->l3 = p;
	seg->l3_captured_bytes = have;
	seg->family = 4;
	seg->proto = p[9];
	seg->ttl = p[8];
	memset(seg->src, 0, sizeof seg->src);
	memset(seg->dst, 0, sizeof seg->dst);
	memcpy(seg->src, p + 12, 4);
	memcpy(seg->dst, p + 16, 4);
	*ret = (struct transport){p + IP4_BYTES, total - IP4_BYTES, have - IP4_BYTES};
	return true;
}

static bool plain_ip6(const struct packet *pkt, uint32_t captured, struct segment *seg, struct transport *ret)
{
	const uint8_t *p = pkt->data + ETHERNET_BYTES;
	uint32_t have = captured - ETHERNET_BYTES;
	if (have < IP6_BYTES)
		return false;
	uint32_t length = decode_be16(p + 4);
	if (p[0] >> 4 != 6 || length > pkt->len - ETHERNET_BYTES - IP6_BYTES || length > DECODE_SUPER_BYTES)
		return false;
	have = have < IP6_BYTES + length ? have : IP6_BYTES + length;
	seg->l3 = p;
	seg->l3_captured_bytes = have;
	seg->family = 6;
	seg->proto = p[6];
	seg->ttl = p[7];
	memcpy(seg->src, p + 8, 16);
	memcpy(seg->dst, p + 24, 16);
	*ret = (struct transport){p + IP6_BYTES, length, have - IP6_BYTES};
	return true;
}

static bool plain_tcp(struct segment *seg, const struct transport *t)
{
	const uint8_t *p = t->p;
	if (t->have < TCP_BYTES)
		return false;
	uint32_t header = (uint32_t)(p[12] >> 4) * 4;
	if (header < TCP_BYTES || header > t->have || p[13] & SEGMENT_SYN)
		return false;
	seg->tcp_seq = decode_be32(p + 4);
	seg->tcp_ack = decode_be32(p + 8);
	seg->tcp_flags = p[13];
	seg->tcp_window = decode_be16(p + 14);
	seg->payload = p + header;
	seg->payload_captured_bytes = t->have - header;
	seg->payload_bytes = t->n - header;
	return true;
}

static bool plain_udp(struct segment *seg, const struct transport *t)
{
	const uint8_t *p = t->p;
	if (t->have < UDP_BYTES)
		return false;
	uint32_t length = decode_be16(p + 4), have = t->have < length ? t->have : length;
	if (length < UDP_BYTES || length > t->n || decode_may_tunnel(decode_be16(p), decode_be16(p + 2)))
		return false;
	seg->tcp_seq = seg->tcp_ack = 0;
	seg->tcp_flags = 0;
	seg->tcp_window = 0;
	seg->payload = p + UDP_BYTES;
	seg->payload_captured_bytes = have - UDP_BYTES;
	seg->payload_bytes = length - UDP_BYTES;
	return true;
}

bool decode_plain(const struct packet *pkt, uint32_t captured, struct segment *seg)
{
	struct transport t;
	if (pkt->link != PACKET_LINK_ETHERNET || captured < ETHERNET_BYTES)
		return false;
	uint16_t type = decode_be16(pkt->data + 12);
	if (type == DECODE_TYPE_IP4 ? !plain_ip4(pkt, captured, seg, &t)
				    : type != DECODE_TYPE_IP6 || !plain_ip6(pkt, captured, seg, &t))
		return false;
	bool plain = seg->proto == DECODE_PROTO_TCP ? plain_tcp(seg, &t)
						    : seg->proto == DECODE_PROTO_UDP && plain_udp(seg, &t);
	if (!plain)
		return false;
	seg->sport = decode_be16(t.p);
	seg->dport = decode_be16(t.p + 2);
	seg->tcp_wscale = -1;
	seg->frag_id = 0;
	seg->frag_offset_bytes = 0;
	seg->frag_more = false;
	if (seg->payload_captured_bytes < seg->payload_bytes)
		seg->flags |= SEGMENT_SLICED;
	return true;
}
