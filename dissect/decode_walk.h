/* decode_walk: what decode's files share while they walk one frame; private to decode*.c.
 *
 * A step reads one header (or a run of them), moves the cursor and either gives a verdict or says DECODE_MORE
 * and names the next step. decode.c loops over the steps: the depth of a packet never becomes depth of the
 * stack. */
#ifndef LEAKTAP_DISSECT_DECODE_WALK_H
#define LEAKTAP_DISSECT_DECODE_WALK_H

#include "dissect/bytes.h"
#include "dissect/decode.h"

enum decode_step {
	DECODE_STEP_ETHERNET,
	DECODE_STEP_ETHERTYPE, /* type: the ethertype */
	DECODE_STEP_PPP,
	DECODE_STEP_IP, /* by the version nibble */
};

enum decode_port {
	DECODE_PORT_GTPU = 2152,
	DECODE_PORT_TEREDO = 3544,
	DECODE_PORT_VXLAN = 4789,
	DECODE_PORT_VXLAN_LINUX = 8472, /* the kernel's default, older than the registered port */
	DECODE_PORT_CAPWAP = 5247,      /* data channel */
	DECODE_PORT_GENEVE = 6081,
};

/* Beside the verdicts: go on with the step the walk names. */
enum { DECODE_MORE = DECODE_VERDICT_COUNT };

enum { DECODE_MAX_LABELS = 16, DECODE_SUPER_BYTES = 16384 };

enum decode_ethertype {
	DECODE_TYPE_IP4 = 0x0800,
	DECODE_TYPE_IP6 = 0x86dd,
	DECODE_TYPE_VLAN = 0x8100,
	DECODE_TYPE_QINQ = 0x88a8,
	DECODE_TYPE_QINQ_OLD = 0x9100,
	DECODE_TYPE_QINQ_OLDER = 0x9200,
	DECODE_TYPE_MPLS = 0x8847,
	DECODE_TYPE_MPLS_MULTI = 0x8848,
	DECODE_TYPE_PPPOE = 0x8864,
	DECODE_TYPE_SGT = 0x8909,
	DECODE_TYPE_PBB = 0x88e7,
	DECODE_TYPE_BRIDGED = 0x6558, /* transparent Ethernet bridging: NVGRE, Geneve */
	DECODE_TYPE_PPP = 0x880b,
	DECODE_TYPE_ERSPAN = 0x88be,
	DECODE_TYPE_ERSPAN3 = 0x22eb,
};

enum decode_proto {
	DECODE_PROTO_HOPOPTS = 0,
	DECODE_PROTO_IP4 = 4,
	DECODE_PROTO_TCP = 6,
	DECODE_PROTO_UDP = 17,
	DECODE_PROTO_IP6 = 41,
	DECODE_PROTO_ROUTING = 43,
	DECODE_PROTO_FRAGMENT = 44,
	DECODE_PROTO_GRE = 47,
	DECODE_PROTO_AH = 51,
	DECODE_PROTO_NONE = 59,
	DECODE_PROTO_DSTOPTS = 60,
	DECODE_PROTO_MOBILITY = 135,
	DECODE_PROTO_HIP = 139,
	DECODE_PROTO_SHIM6 = 140,
};

/* The captured rest never exceeds the rest on the wire. */
struct decode_walk {
	const struct decode_conf *conf;
	struct segment *seg;
	struct bytes in;     /* captured rest */
	uint32_t wire_bytes; /* the same rest as it was on the wire */
	uint32_t type;       /* ethertype, or IP protocol once in layer 3 */
	enum decode_step step;
	/* Inside a tunnel: what to answer when the inner headers do not hold up. A port number is no proof.
	 */
	bool has_outer;
	enum decode_verdict outer_verdict;
	struct segment outer;
};

static inline uint16_t decode_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t decode_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* decode_tunnel_udp would look further. */
static inline bool decode_may_tunnel(uint16_t sport, uint16_t dport)
{
	switch (dport) {
	case DECODE_PORT_GTPU:
	case DECODE_PORT_TEREDO:
	case DECODE_PORT_VXLAN:
	case DECODE_PORT_VXLAN_LINUX:
	case DECODE_PORT_CAPWAP:
	case DECODE_PORT_GENEVE:
		return true;
	default:
		return sport == DECODE_PORT_CAPWAP || sport == DECODE_PORT_TEREDO;
	}
}

/* The next n captured bytes, or NULL. */
static inline const uint8_t *decode_walk_take(struct decode_walk *w, uint32_t n)
{
	const uint8_t *p = bytes_take(&w->in, n);
	if (p)
		w->wire_bytes -= n;
	return p;
}

/* Cuts what lies behind the next n bytes: padding, checksums of the link, trailers. */
static inline void decode_walk_trim(struct decode_walk *w, uint32_t n)
{
	if (n >= w->wire_bytes)
		return;
	w->wire_bytes = n;
	if (bytes_left(&w->in) > n)
		w->in.end = w->in.at + n;
}

static inline int decode_walk_next(struct decode_walk *w, enum decode_step step)
{
	w->step = step;
	return DECODE_MORE;
}

/* The rest is the payload. */
static inline void decode_walk_payload(struct decode_walk *w)
{
	struct segment *seg = w->seg;
	seg->payload = w->in.at;
	seg->payload_captured_bytes = (uint32_t)bytes_left(&w->in);
	seg->payload_bytes = w->wire_bytes;
	if (seg->payload_captured_bytes < seg->payload_bytes)
		seg->flags |= SEGMENT_SLICED;
}

/* decode_plain.c. false: not for it; seg may then have been written to, but for flags and what decode_frame has set.
 */
bool decode_plain(const struct packet *pkt, uint32_t captured, struct segment *seg);

/* decode_l2.c. Every step and every function below returns a verdict or DECODE_MORE. */
int decode_link(struct decode_walk *w, uint16_t link);
int decode_ethernet(struct decode_walk *w);
int decode_ethertype(struct decode_walk *w);
int decode_ppp(struct decode_walk *w);

/* decode_l3.c */
int decode_ip(struct decode_walk *w);
int decode_ip4(struct decode_walk *w);
int decode_ip6(struct decode_walk *w);
int decode_ip_payload(struct decode_walk *w); /* type: the IP protocol; walks extension headers */
int decode_other(struct decode_walk *w);      /* fills what OTHER_L4 and FRAGMENT promise */

/* decode_l4.c */
int decode_tcp(struct decode_walk *w);
int decode_udp(struct decode_walk *w);

/* decode_tunnel.c. The segment is filled as the outer answer; on DECODE_MORE the walk stands at the inner
 * header. */
int decode_tunnel_bridged(
    struct decode_walk *w);                   /* an Ethernet header inside the link layer: PBB, pseudowire */
int decode_tunnel_ip(struct decode_walk *w);  /* IP in IP, GRE; outer answer OTHER_L4 */
int decode_tunnel_udp(struct decode_walk *w); /* by port; outer answer OK */

#endif
