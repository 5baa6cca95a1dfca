/* Encapsulations over IP and UDP. A header is read from a copy of the cursor; only when it makes sense does
 * the walk enter. */
#include "dissect/decode_walk.h"

enum {
	GRE_CHECKSUM = 0x8000,
	GRE_ROUTING = 0x4000,
	GRE_KEY = 0x2000,
	GRE_SEQUENCE = 0x1000,
	GRE_ACK = 0x0080,
	ERSPAN_TRUNCATED = 0x0400,
	MAX_FRAME_BYTES = 65549,
	GTPU_TPDU = 255,
};

/* What a tunnel header says of what follows it. */
struct inner {
	struct bytes in;     /* starts as the captured rest, ends at the inner header */
	uint32_t wire_bytes; /* of the inner packet if the header limits it, else UINT32_MAX */
	bool cut;            /* the mirroring device cut the inner packet: its own header knows its length */
	enum decode_step step;
	uint16_t type;
};

/* Counts the encapsulation and keeps the segment as it stands for the case that the inner headers are none.
 */
static int enter(struct decode_walk *w, enum decode_verdict outer_verdict)
{
	struct segment *seg = w->seg;
	if (seg->n_tunnels == DECODE_MAX_TUNNELS)
		return DECODE_TUNNEL_LIMIT;
	w->has_outer = true;
	w->outer_verdict = outer_verdict;
	w->outer = *seg;
	seg->n_tunnels++;
	seg->flags = (uint16_t)((seg->flags & (SEGMENT_OVERLONG | SEGMENT_DEFRAGMENTED)) | SEGMENT_TUNNEL);
	return DECODE_MORE;
}

static int enter_inner(struct decode_walk *w, enum decode_verdict outer_verdict, const struct inner *inner)
{
	uint32_t header_bytes = (uint32_t)(inner->in.at - w->in.at);
	if (inner->wire_bytes != UINT32_MAX && inner->wire_bytes > w->wire_bytes - header_bytes)
		return (int)outer_verdict;
	int verdict = enter(w, outer_verdict);
	if (verdict != DECODE_MORE)
		return verdict;
	decode_walk_take(w, header_bytes);
	decode_walk_trim(w, inner->wire_bytes);
	if (inner->cut)
		w->wire_bytes = w->wire_bytes > MAX_FRAME_BYTES ? w->wire_bytes : MAX_FRAME_BYTES;
	w->type = inner->type;
	return decode_walk_next(w, inner->step);
}

int decode_tunnel_bridged(struct decode_walk *w)
{
	if (w->seg->n_tunnels == DECODE_MAX_TUNNELS)
		return DECODE_TUNNEL_LIMIT;
	w->seg->n_tunnels++;
	w->seg->flags |= SEGMENT_TUNNEL;
	return decode_walk_next(w, DECODE_STEP_ETHERNET);
}

static bool looks_ip(const struct bytes *in)
{
	return bytes_left(in) && (in->at[0] >> 4 == 4 || in->at[0] >> 4 == 6);
}

/* Types II and III (draft-foschiano-erspan); type I is bare Ethernet and has no sequence number in its GRE
 * header. */
static bool erspan(struct inner *inner, bool has_sequence)
{
	inner->step = DECODE_STEP_ETHERNET;
	if (inner->type == DECODE_TYPE_ERSPAN && !has_sequence)
		return true;
	const uint8_t *p = bytes_take(&inner->in, 8);
	if (!p)
		return false;
	inner->cut = decode_be16(p + 2) & ERSPAN_TRUNCATED;
	if (inner->type == DECODE_TYPE_ERSPAN)
		return p[0] >> 4 == 1;
	const uint8_t *rest = bytes_take(&inner->in, 4);
	if (!rest || p[0] >> 4 != 2)
		return false;
	if ((rest[3] & 1) && !bytes_skip(&inner->in, 8))
		return false;
	uint8_t frame_type = (rest[2] >> 2) & 31;
	if (frame_type == 2)
		inner->step = DECODE_STEP_IP;
	return frame_type == 0 || frame_type == 2;
}

/* RFC 2637: PPP; its payload is often compressed or encrypted, which then is no IP. */
static bool gre_pptp(struct inner *inner, uint16_t flags)
{
	uint16_t length = bytes_u16(&inner->in);
	bytes_u16(&inner->in);
	if (flags & GRE_SEQUENCE)
		bytes_u32(&inner->in);
	if (flags & GRE_ACK)
		bytes_u32(&inner->in);
	inner->wire_bytes = length;
	inner->step = DECODE_STEP_PPP;
	const uint8_t *p = inner->in.at;
	if (bytes_left(&inner->in) >= 2 && p[0] == 0xff && p[1] == 0x03) {
		bytes_skip(&inner->in, 2);
		inner->wire_bytes = length < 2 ? 0 : length - 2u;
	}
	return (flags & GRE_KEY) && (flags & GRE_SEQUENCE) && !inner->in.failed;
}

/* RFC 2784, 2890; RFC 7637 (NVGRE) is the bridged type with a key. Source routing (RFC 1701) is refused. */
static bool gre(struct inner *inner)
{
	uint16_t flags = bytes_u16(&inner->in);
	inner->type = bytes_u16(&inner->in);
	inner->step = DECODE_STEP_ETHERTYPE;
	if (inner->in.failed || (flags & GRE_ROUTING))
		return false;
	if ((flags & 7) == 1 && inner->type == DECODE_TYPE_PPP)
		return gre_pptp(inner, flags);
	if (flags & 7)
		return false;
	if (flags & GRE_CHECKSUM)
		bytes_u32(&inner->in);
	if (flags & GRE_KEY)
		bytes_u32(&inner->in);
	if (flags & GRE_SEQUENCE)
		bytes_u32(&inner->in);
	if (inner->type == DECODE_TYPE_ERSPAN || inner->type == DECODE_TYPE_ERSPAN3)
		return erspan(inner, flags & GRE_SEQUENCE) && !inner->in.failed;
	if (inner->type == DECODE_TYPE_BRIDGED)
		inner->step = DECODE_STEP_ETHERNET;
	return inner->type >= 0x0600 && !inner->in.failed;
}

int decode_tunnel_ip(struct decode_walk *w)
{
	uint32_t proto = w->type;
	decode_other(w);
	struct inner inner = {.in = w->in, .wire_bytes = UINT32_MAX, .step = DECODE_STEP_IP};
	if (proto == DECODE_PROTO_GRE ? !gre(&inner) : !looks_ip(&inner.in))
		return DECODE_OTHER_L4;
	return enter_inner(w, DECODE_OTHER_L4, &inner);
}

/* RFC 7348: the I flag, and nothing else but the G flag of group policies; the last byte is reserved. */
static bool vxlan(struct inner *inner)
{
	const uint8_t *p = bytes_take(&inner->in, 8);
	inner->step = DECODE_STEP_ETHERNET;
	return p && (p[0] & 0x7f) == 0x08 && p[7] == 0 && bytes_left(&inner->in) >= 14;
}

/* RFC 8926. Control packets (O) carry no traffic. */
static bool geneve(struct inner *inner)
{
	const uint8_t *p = bytes_take(&inner->in, 8);
	if (!p || p[0] >> 6 || (p[1] & 0x80) || p[7])
		return false;
	uint16_t type = decode_be16(p + 2);
	if (!bytes_skip(&inner->in, (p[0] & 0x3fu) * 4))
		return false;
	if (type == DECODE_TYPE_BRIDGED) {
		inner->step = DECODE_STEP_ETHERNET;
		return bytes_left(&inner->in) >= 14;
	}
	inner->step = DECODE_STEP_IP;
	return (type == DECODE_TYPE_IP4 || type == DECODE_TYPE_IP6) && looks_ip(&inner->in);
}

/* 3GPP TS 29.281 section 5: version 1, a T-PDU; extension headers have their length in words. */
static bool gtpu(struct inner *inner)
{
	const uint8_t *p = bytes_take(&inner->in, 8);
	if (!p || (p[0] & 0xf8) != 0x30 || p[1] != GTPU_TPDU)
		return false;
	const uint8_t *body = inner->in.at;
	uint32_t length = decode_be16(p + 2);
	if (p[0] & 7) {
		const uint8_t *optional = bytes_take(&inner->in, 4);
		uint8_t next = optional && (p[0] & 4) ? optional[3] : 0;
		while (next && !inner->in.failed) {
			const uint8_t *ext = bytes_take(&inner->in, bytes_u8(&inner->in) * 4u - 1);
			next = ext ? inner->in.at[-1] : 0;
		}
	}
	uint32_t used = (uint32_t)(inner->in.at - body);
	if (inner->in.failed || used > length)
		return false;
	inner->wire_bytes = length - used;
	inner->step = DECODE_STEP_IP;
	return looks_ip(&inner->in);
}

/* RFC 4380 section 5.1.1: optional authentication and origin, then IPv6. The prefix 2001::/32 (or a
 * link-local address of a client that has none yet) on one side is required. */
static bool teredo(struct inner *inner)
{
	struct bytes *in = &inner->in;
	if (bytes_left(in) >= 4 && decode_be16(in->at) == 0x0001)
		bytes_skip(in, 4u + in->at[2] + in->at[3] + 9u);
	if (bytes_left(in) >= 2 && decode_be16(in->at) == 0x0000)
		bytes_skip(in, 8);
	if (in->failed || bytes_left(in) < 40 || in->at[0] >> 4 != 6)
		return false;
	uint32_t src = decode_be32(in->at + 8), dst = decode_be32(in->at + 24);
	inner->step = DECODE_STEP_IP;
	return src == 0x20010000 || dst == 0x20010000 || src >> 22 == 0xfe80u >> 6;
}

/* IEEE 802.11-2020 9.2.3: an unencrypted data frame from or to a station, with LLC and SNAP behind it. RFC
 * 5416 leaves the order of the frame control octets open enough that controllers send them swapped; only one
 * reading is a data frame with one of the two DS bits. */
static bool wireless_data(struct inner *inner)
{
	const uint8_t *p = bytes_take(&inner->in, 24);
	if (!p)
		return false;
	const bool swapped = (p[0] & 0x0f) != 0x08;
	const uint8_t kind = p[swapped], control = p[!swapped], ds = control & 3;
	const bool qos = kind & 0x80;
	if ((kind & 0x4f) != 0x08 || (ds != 1 && ds != 2) || control & 0x40)
		return false;
	if (qos && bytes_u16(&inner->in) & 0x8000) /* several frames in one */
		return false;
	if (qos && control & 0x80)
		bytes_skip(&inner->in, 4);
	const uint8_t *llc = bytes_take(&inner->in, 8);
	if (!llc || decode_be32(llc) != 0xaaaa0300 || decode_be16(llc + 4))
		return false;
	inner->type = decode_be16(llc + 6);
	inner->step = DECODE_STEP_ETHERTYPE;
	return true;
}

/* RFC 5415 4.3: not DTLS, no fragment, no keep-alive; the payload is 802.3, or 802.11 by RFC 5416. */
static bool capwap(struct inner *inner)
{
	const uint8_t *p = bytes_take(&inner->in, 8);
	if (!p || p[0])
		return false;
	const uint32_t header_bytes = (p[1] >> 3) * 4u, binding = p[2] >> 1 & 31;
	const bool native = p[2] & 1, fragment = p[3] & 0x80, keep_alive = p[3] & 0x08;
	if (header_bytes < 8 || fragment || keep_alive || !bytes_skip(&inner->in, header_bytes - 8))
		return false;
	inner->step = DECODE_STEP_ETHERNET;
	return native ? binding == 1 && wireless_data(inner) : bytes_left(&inner->in) >= 14;
}

static bool udp_tunnel(const struct segment *seg, struct inner *inner)
{
	switch (seg->dport) {
	case DECODE_PORT_VXLAN:
	case DECODE_PORT_VXLAN_LINUX:
		return vxlan(inner);
	case DECODE_PORT_GENEVE:
		return geneve(inner);
	case DECODE_PORT_GTPU:
		return gtpu(inner);
	default:
		if (seg->dport == DECODE_PORT_CAPWAP || seg->sport == DECODE_PORT_CAPWAP)
			return capwap(inner);
		return (seg->dport == DECODE_PORT_TEREDO || seg->sport == DECODE_PORT_TEREDO) && teredo(inner);
	}
}

int decode_tunnel_udp(struct decode_walk *w)
{
	struct inner inner = {.in = w->in, .wire_bytes = UINT32_MAX};
	return udp_tunnel(w->seg, &inner) ? enter_inner(w, DECODE_OK, &inner) : DECODE_OK;
}
