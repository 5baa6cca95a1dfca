/* Link layers: what stands before the IP header. */
#include "dissect/decode_walk.h"

enum {
	ETHERNET_BYTES = 14,
	SLL_BYTES = 16,
	SLL2_BYTES = 20,
	MIN_ETHERTYPE = 0x0600, /* below: an IEEE 802.3 length */
	PPP_IP4 = 0x0021,
	PPP_IP6 = 0x0057,
	PPP_MPLS = 0x0281,
};

int decode_ethernet(struct decode_walk *w)
{
	const uint8_t *p = decode_walk_take(w, ETHERNET_BYTES);
	if (!p)
		return DECODE_SHORT;
	/* The tags of the innermost Ethernet header are those of the flow; outer ones belong to the transport
	 * network. */
	w->seg->n_vlan = 0;
	memset(w->seg->vlan, 0, sizeof w->seg->vlan);
	w->type = decode_be16(p + 12);
	return decode_walk_next(w, DECODE_STEP_ETHERTYPE);
}

static int take_tag(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	if (seg->n_vlan == DECODE_MAX_TAGS)
		return DECODE_TAG_LIMIT;
	const uint8_t *p = decode_walk_take(w, 4);
	if (!p)
		return DECODE_SHORT;
	seg->vlan[seg->n_vlan++] = decode_be16(p) & 0x0fff;
	w->type = decode_be16(p + 2);
	return DECODE_MORE;
}

/* Cisco metadata: version 1, length in words of the option that holds the group tag, then the real ethertype.
 */
static int take_sgt(struct decode_walk *w)
{
	const uint8_t *p = decode_walk_take(w, 2);
	if (!p)
		return DECODE_SHORT;
	if (p[0] != 1 || p[1] == 0)
		return DECODE_BAD_HEADER;
	uint32_t option_bytes = p[1] * 4u;
	p = decode_walk_take(w, option_bytes + 2);
	if (!p)
		return DECODE_SHORT;
	w->type = decode_be16(p + option_bytes);
	return DECODE_MORE;
}

/* IEEE 802.3 with LLC/SNAP (RFC 1042). */
static int take_snap(struct decode_walk *w)
{
	static const uint8_t snap[6] = {0xaa, 0xaa, 0x03, 0, 0, 0};
	decode_walk_trim(w, w->type);
	const uint8_t *p = decode_walk_take(w, 8);
	if (!p || memcmp(p, snap, sizeof snap) || decode_be16(p + 6) < MIN_ETHERTYPE)
		return DECODE_NOT_IP;
	w->type = decode_be16(p + 6);
	return DECODE_MORE;
}

/* RFC 2516: version and type 1, code 0, session id, length. */
static int take_pppoe(struct decode_walk *w)
{
	const uint8_t *p = decode_walk_take(w, 6);
	if (!p)
		return DECODE_SHORT;
	if (p[0] != 0x11 || p[1] != 0)
		return DECODE_BAD_HEADER;
	decode_walk_trim(w, decode_be16(p + 4));
	return decode_walk_next(w, DECODE_STEP_PPP);
}

static bool likely_ethertype(uint16_t type)
{
	switch (type) {
	case DECODE_TYPE_IP4:
	case DECODE_TYPE_IP6:
	case DECODE_TYPE_VLAN:
	case DECODE_TYPE_QINQ:
	case DECODE_TYPE_QINQ_OLD:
	case DECODE_TYPE_QINQ_OLDER:
	case DECODE_TYPE_MPLS:
	case DECODE_TYPE_PPPOE:
	case DECODE_TYPE_SGT:
		return true;
	default:
		return false;
	}
}

/* Behind the label stack nothing says what follows. IP is told by its version (RFC 4928); a pseudowire has a
 * control word with a zero nibble (RFC 4448) or none, and is told by an ethertype in its place. */
static int mpls_payload(struct decode_walk *w)
{
	size_t left = bytes_left(&w->in);
	const uint8_t *p = w->in.at;
	if (left < ETHERNET_BYTES)
		return DECODE_SHORT;
	if (p[0] >> 4 == 4 || p[0] >> 4 == 6)
		return decode_walk_next(w, DECODE_STEP_IP);
	bool with_word =
	    p[0] >> 4 == 0 && left >= 4 + ETHERNET_BYTES && likely_ethertype(decode_be16(p + 16));
	bool without = likely_ethertype(decode_be16(p + 12));
	/* Both fit where a tag follows, or an address looks like a type: then the word is unsequenced, which
	 * is all zero. */
	if (with_word && (!without || decode_be32(p) == 0)) {
		decode_walk_take(w, 4);
		return decode_tunnel_bridged(w);
	}
	if (without)
		return decode_tunnel_bridged(w);
	return DECODE_NOT_IP;
}

static int take_mpls(struct decode_walk *w)
{
	for (int label = 0; label < DECODE_MAX_LABELS; label++) {
		const uint8_t *p = decode_walk_take(w, 4);
		if (!p)
			return DECODE_SHORT;
		if (p[2] & 1)
			return mpls_payload(w);
	}
	return DECODE_TUNNEL_LIMIT;
}

static int take_pbb(struct decode_walk *w)
{
	return decode_walk_take(w, 4) ? decode_tunnel_bridged(w) : DECODE_SHORT;
}

static int known_type(struct decode_walk *w)
{
	switch (w->type) {
	case DECODE_TYPE_IP4:
		return decode_ip4(w);
	case DECODE_TYPE_IP6:
		return decode_ip6(w);
	case DECODE_TYPE_MPLS:
	case DECODE_TYPE_MPLS_MULTI:
		return take_mpls(w);
	case DECODE_TYPE_PPPOE:
		return take_pppoe(w);
	case DECODE_TYPE_PBB:
		return take_pbb(w);
	default:
		return DECODE_NOT_IP;
	}
}

int decode_ethertype(struct decode_walk *w)
{
	w->step = DECODE_STEP_ETHERTYPE;
	switch (w->type) {
	case DECODE_TYPE_VLAN:
	case DECODE_TYPE_QINQ:
	case DECODE_TYPE_QINQ_OLD:
	case DECODE_TYPE_QINQ_OLDER:
		return take_tag(w);
	case DECODE_TYPE_SGT:
		return take_sgt(w);
	default:
		return w->type < MIN_ETHERTYPE ? take_snap(w) : known_type(w);
	}
}

/* RFC 1661: the protocol may be one byte where its low bit is set. */
int decode_ppp(struct decode_walk *w)
{
	const uint8_t *p = decode_walk_take(w, 1);
	if (!p)
		return DECODE_SHORT;
	uint32_t proto = p[0];
	if (!(proto & 1)) {
		p = decode_walk_take(w, 1);
		if (!p)
			return DECODE_SHORT;
		proto = proto << 8 | p[0];
	}
	switch (proto) {
	case PPP_IP4:
		return decode_ip4(w);
	case PPP_IP6:
		return decode_ip6(w);
	case PPP_MPLS:
		return take_mpls(w);
	default:
		return DECODE_NOT_IP;
	}
}

/* PPP with or without its address and control bytes; Cisco HDLC shares the link type and carries an
 * ethertype. */
static int link_ppp(struct decode_walk *w)
{
	const uint8_t *p = w->in.at;
	if (bytes_left(&w->in) < 4)
		return DECODE_SHORT;
	if (p[0] == 0xff && p[1] == 0x03) {
		decode_walk_take(w, 2);
	} else if ((p[0] == 0x0f || p[0] == 0x8f) && p[1] == 0) {
		w->type = decode_be16(p + 2);
		decode_walk_take(w, 4);
		return decode_walk_next(w, DECODE_STEP_ETHERTYPE);
	}
	return decode_walk_next(w, DECODE_STEP_PPP);
}

/* The address family of the system that wrote the file: 2 is IPv4 everywhere, IPv6 differs. */
static int link_family(struct decode_walk *w, bool any_order)
{
	const uint8_t *p = decode_walk_take(w, 4);
	if (!p)
		return DECODE_SHORT;
	uint32_t family = decode_be32(p);
	if (any_order && family > 0xffff)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		return decode_ip4(w);
	case 10: /* Linux */
	case 24: /* NetBSD, OpenBSD */
	case 28: /* FreeBSD */
	case 30: /* Darwin */
		return decode_ip6(w);
	default:
		return DECODE_NOT_IP;
	}
}

static int link_cooked(struct decode_walk *w, uint32_t header_bytes, uint32_t type_at)
{
	const uint8_t *p = decode_walk_take(w, header_bytes);
	if (!p)
		return DECODE_SHORT;
	w->type = decode_be16(p + type_at);
	/* Below the ethertypes Linux has numbers of its own: no lengths, and nothing of IP among them. */
	return w->type < MIN_ETHERTYPE ? DECODE_NOT_IP : decode_walk_next(w, DECODE_STEP_ETHERTYPE);
}

int decode_link(struct decode_walk *w, uint16_t link)
{
	switch (link) {
	case PACKET_LINK_ETHERNET:
		return decode_ethernet(w);
	case PACKET_LINK_RAW:
		return decode_ip(w);
	case PACKET_LINK_SLL:
		return link_cooked(w, SLL_BYTES, 14);
	case PACKET_LINK_SLL2:
		return link_cooked(w, SLL2_BYTES, 0);
	case PACKET_LINK_NULL:
		return link_family(w, true);
	case PACKET_LINK_LOOP:
		return link_family(w, false);
	case PACKET_LINK_PPP:
		return link_ppp(w);
	default:
		return DECODE_LINK_UNKNOWN;
	}
}
