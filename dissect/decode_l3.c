/* IPv4 (RFC 791), IPv6 and its extension headers (RFC 8200), jumbograms (RFC 2675). */
#include "dissect/csum.h"
#include "dissect/decode_walk.h"

enum { IP4_BYTES = 20, IP6_BYTES = 40, JUMBO_OPTION = 0xc2 };

/* What the IP header claims, held against what there is. Returns the bytes of the datagram in the frame. */
static uint32_t clamp_total(struct decode_walk *w, uint32_t total, uint32_t have)
{
	struct segment *seg = w->seg;
	if (total > have) {
		seg->flags |= SEGMENT_OVERLONG;
		total = have;
	}
	if (total > DECODE_SUPER_BYTES)
		seg->flags |= SEGMENT_SUPER;
	return total;
}

/* Inside a tunnel a length that does not fit says that this is not an IP header, unless the outer one was
 * clamped before. */
static bool implausible(const struct decode_walk *w, uint32_t total, uint32_t have)
{
	return w->has_outer && total > have && !(w->seg->flags & SEGMENT_OVERLONG);
}

int decode_other(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	seg->proto = (uint8_t)w->type;
	seg->sport = seg->dport = 0;
	seg->tcp_flags = 0;
	seg->tcp_seq = seg->tcp_ack = 0;
	seg->tcp_window = 0;
	seg->tcp_wscale = -1;
	seg->frag_id = 0;
	seg->frag_offset_bytes = 0;
	seg->frag_more = false;
	decode_walk_payload(w);
	return DECODE_OTHER_L4;
}

static int fragment(struct decode_walk *w, uint32_t id, uint32_t offset_bytes, bool more)
{
	struct segment *seg = w->seg;
	decode_other(w);
	seg->frag_id = id;
	seg->frag_offset_bytes = (uint16_t)offset_bytes;
	seg->frag_more = more;
	return DECODE_FRAGMENT;
}

static int transport(struct decode_walk *w)
{
	switch (w->type) {
	case DECODE_PROTO_TCP:
		return decode_tcp(w);
	case DECODE_PROTO_UDP:
		return decode_udp(w);
	case DECODE_PROTO_IP4:
	case DECODE_PROTO_IP6:
	case DECODE_PROTO_GRE:
		return decode_tunnel_ip(w);
	default:
		return decode_other(w);
	}
}

int decode_ip4(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	const uint8_t *p = decode_walk_take(w, IP4_BYTES);
	if (!p)
		return DECODE_SHORT;
	uint32_t header = (p[0] & 15u) * 4;
	uint32_t total = decode_be16(p + 2);
	uint32_t have = w->wire_bytes + IP4_BYTES;
	if (p[0] >> 4 != 4 || header < IP4_BYTES || (total && total < header) || implausible(w, total, have))
		return DECODE_BAD_HEADER;
	if (total == 0) {
		/* Segmentation offload leaves the length to the hardware, and BIG TCP has no room for it. */
		seg->flags |= SEGMENT_SUPER;
		total = have;
	}
	decode_walk_trim(w, clamp_total(w, total, have) - IP4_BYTES);
	seg->l3 = p;
	seg->l3_captured_bytes = IP4_BYTES + (uint32_t)bytes_left(&w->in);
	if (header > IP4_BYTES && !decode_walk_take(w, header - IP4_BYTES))
		return DECODE_SHORT;
	seg->family = 4;
	seg->ttl = p[8];
	memcpy(seg->src, p + 12, 4);
	memset(seg->src + 4, 0, 12);
	memcpy(seg->dst, p + 16, 4);
	memset(seg->dst + 4, 0, 12);
	w->type = p[9];
	if (w->conf->verify_checksums && csum_fold(csum_add(0, p, header)) != 0xffff) {
		if (p[10] | p[11])
			return DECODE_BAD_CHECKSUM;
		seg->flags |= SEGMENT_PARTIAL_CSUM; /* left to the network card */
	}
	uint32_t frag = decode_be16(p + 6) & 0x3fffu;
	if (frag)
		return fragment(w, decode_be16(p + 4), (frag & 0x1fff) * 8, frag & 0x2000);
	return w->type == DECODE_PROTO_TCP ? decode_tcp(w) : decode_ip_payload(w);
}

/* The jumbo length if a hop-by-hop header with that option stands here, else 0. */
static uint32_t jumbo_bytes(struct bytes in)
{
	bytes_u8(&in);
	struct bytes options = bytes_block(&in, bytes_u8(&in) * 8u + 6);
	while (bytes_left(&options)) {
		uint8_t kind = bytes_u8(&options);
		if (kind == 0)
			continue;
		struct bytes value = bytes_block(&options, bytes_u8(&options));
		if (kind == JUMBO_OPTION && bytes_left(&value) == 4)
			return bytes_u32(&value);
		if (options.failed)
			break;
	}
	return 0;
}

static uint32_t ip6_length(struct decode_walk *w, const uint8_t *p)
{
	uint32_t length = decode_be16(p + 4);
	if (length || p[6] == DECODE_PROTO_NONE)
		return length;
	if (p[6] == DECODE_PROTO_HOPOPTS)
		length = jumbo_bytes(w->in);
	w->seg->flags |= SEGMENT_SUPER;
	return length ? length : w->wire_bytes;
}

int decode_ip6(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	const uint8_t *p = decode_walk_take(w, IP6_BYTES);
	if (!p)
		return DECODE_SHORT;
	if (p[0] >> 4 != 6)
		return DECODE_BAD_HEADER;
	uint32_t length = ip6_length(w, p);
	if (implausible(w, length, w->wire_bytes))
		return DECODE_BAD_HEADER;
	decode_walk_trim(w, clamp_total(w, length, w->wire_bytes));
	seg->l3 = p;
	seg->l3_captured_bytes = IP6_BYTES + (uint32_t)bytes_left(&w->in);
	seg->family = 6;
	seg->ttl = p[7];
	memcpy(seg->src, p + 8, 16);
	memcpy(seg->dst, p + 24, 16);
	w->type = p[6];
	return decode_ip_payload(w);
}

/* Extension headers walked so far, with the limits of DECODE_MAX_EXT_*. */
struct chain {
	uint32_t headers, bytes;
};

/* One header of n bytes, of which the first 8 are already taken. */
static int skip_ext(struct decode_walk *w, struct chain *chain, uint32_t n)
{
	chain->bytes += n;
	if (chain->bytes > DECODE_MAX_EXT_BYTES)
		return DECODE_EXT_LIMIT;
	return n <= 8 || decode_walk_take(w, n - 8) ? DECODE_MORE : DECODE_SHORT;
}

static int take_ext(struct decode_walk *w, struct chain *chain)
{
	if (++chain->headers > DECODE_MAX_EXT_HEADERS)
		return DECODE_EXT_LIMIT;
	uint32_t kind = w->type;
	const uint8_t *p = decode_walk_take(w, 8);
	if (!p)
		return DECODE_SHORT;
	w->type = p[0];
	if (kind == DECODE_PROTO_AH) /* RFC 4302: words less two; the fixed part alone has three words */
		return p[1] == 0 ? DECODE_BAD_HEADER : skip_ext(w, chain, (p[1] + 2u) * 4);
	if (kind != DECODE_PROTO_FRAGMENT)
		return skip_ext(w, chain, (p[1] + 1u) * 8);
	uint32_t frag = decode_be16(p + 2);
	if (frag & 0xfff9) /* else atomic (RFC 6946): whole, and never mixed with fragments of the same id */
		return fragment(w, decode_be32(p + 4), frag & 0xfff8, frag & 1);
	return skip_ext(w, chain, 8);
}

static bool is_ext(uint32_t proto, uint8_t family)
{
	switch (proto) {
	case DECODE_PROTO_AH:
		return true;
	case DECODE_PROTO_HOPOPTS:
	case DECODE_PROTO_ROUTING:
	case DECODE_PROTO_FRAGMENT:
	case DECODE_PROTO_DSTOPTS:
	case DECODE_PROTO_MOBILITY:
	case DECODE_PROTO_HIP:
	case DECODE_PROTO_SHIM6:
		return family == 6;
	default:
		return false;
	}
}

int decode_ip_payload(struct decode_walk *w)
{
	struct chain chain = {0, 0};
	while (is_ext(w->type, w->seg->family)) {
		int verdict = take_ext(w, &chain);
		if (verdict != DECODE_MORE)
			return verdict;
	}
	return transport(w);
}

int decode_ip(struct decode_walk *w)
{
	if (!bytes_left(&w->in))
		return DECODE_SHORT;
	switch (w->in.at[0] >> 4) {
	case 4:
		return decode_ip4(w);
	case 6:
		return decode_ip6(w);
	default:
		return DECODE_BAD_HEADER;
	}
}
