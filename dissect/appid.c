#include "dissect/appid.h"

#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <ndpi_api.h>

#include "dissect/bytes.h"

/* Compiled and measured with 4.2 (Debian 12). The branches for later versions are written from their sources
 * and have not been compiled here; each says so. Major and minor as one number: 402, 404, 406, 408, 410, 412,
 * 414, 500, 600. */
#define NDPI_AT (NDPI_MAJOR * 100 + NDPI_MINOR)

enum {
	SLAB_FLOWS = 64,
	IP4_BYTES = 20,
	IP6_BYTES = 40,
	TCP_BYTES = 20,
	UDP_BYTES = 8,
	SLACK_BYTES = 4096,  /* zeros behind the packet: a dissector that reads past its end reads ours */
	NDPI_NAME_KEPT = 79, /* of a host name, its tail; 4.2 to 4.12 */
};

struct appid_flow {
	struct ndpi_flow_struct nf;
	struct appid_flow *next; /* free list */
	uint8_t packets;
};

struct appid {
	struct ndpi_detection_module_struct *module;
	struct appid_flow **slabs;
	size_t n_flows, max_flows; /* allocated, limit */
	struct appid_flow *free_list;
	struct appid_stats stats;
	/* Every packet that nDPI sees is built here from validated fields, with headers of our own. */
	uint8_t packet[APPID_MAX_BYTES + SLACK_BYTES];
};

/* Dissectors of 4.2 that are never run, by the fault that the sources or a capture prove:
 *  BitTorrent  ndpi_skip_bittorrent dereferences packet->tcp where there is none (../data/hostile,
 * bittorrent.c:482); its address cache also carries the verdict of one flow over to others TINC        heap
 * over-read in ndpi_check_tinc (#1512) IRC         reads beyond the line (#1576) PPStream    reads beyond the
 * packet (#1846) SoftEther, six fixes since, comes with 4.4. The loop of its DNS reader (#1804) needs a
 * packet larger than APPID_MAX_BYTES. */
#if NDPI_AT < 500
static const uint16_t masked[] = {
    NDPI_PROTOCOL_BITTORRENT, NDPI_PROTOCOL_TINC, NDPI_PROTOCOL_IRC, NDPI_PROTOCOL_PPSTREAM,
#if NDPI_AT >= 404 /* not compiled here */
    NDPI_PROTOCOL_SOFTETHER,
#endif
};
#else /* not compiled here */
static const char *const masked[] = {"bittorrent", "tinc", "irc", "ppstream", "softether"};
#endif

/* EVE's words where nDPI's name in lower case is not the same. */
static const struct {
	const char *ndpi, *eve;
} words[] = {
    {"DCE_RPC", "dcerpc"},    {"EthernetIP", "enip"}, {"FTP_CONTROL", "ftp"}, {"FTP_DATA", "ftp-data"},
    {"HTTP_Connect", "http"}, {"HTTP_Proxy", "http"}, {"IPsec", "ike"},       {"Kerberos", "krb5"},
    {"PostgreSQL", "pgsql"},  {"SMBv1", "smb"},       {"SMBv23", "smb"},      {"VNC", "rfb"},
};

static struct ndpi_detection_module_struct *module_new(void)
{
#if NDPI_AT >= 600 /* not compiled here; the licence that fits any use, whose missing dissectors are those   \
		      that we have readers for */
	return ndpi_init_detection_module(NULL, NDPI_LICENSE_FOR_PROFIT_LGPL);
#elif NDPI_AT >= 410 /* not compiled here */
	return ndpi_init_detection_module(NULL);
#else
	return ndpi_init_detection_module(ndpi_dont_load_tor_hosts);
#endif
}

static int module_set_up(struct ndpi_detection_module_struct *module)
{
#if NDPI_AT < 500
	NDPI_PROTOCOL_BITMASK enabled;
	NDPI_BITMASK_SET_ALL(enabled);
	for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++)
		enabled.fds_bits[masked[i] / NDPI_BITS] &= ~((ndpi_ndpi_mask)1 << masked[i] % NDPI_BITS);
	ndpi_set_protocol_detection_bitmask2(module, &enabled);
#else /* not compiled here */
	for (size_t i = 0; i < sizeof masked / sizeof masked[0]; i++)
		ndpi_set_config(module, masked[i], "enable", "0");
#endif
#if NDPI_AT >= 410 /* not compiled here */
	return ndpi_finalize_initialization(module);
#else
	ndpi_finalize_initialization(module);
	return 0;
#endif
}

int appid_new(struct appid **ret_ai, size_t max_flows, struct err *err)
{
	if (ndpi_get_api_version() != NDPI_API_VERSION ||
	    ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct))
		return err_set(err, LT_EUNSUPPORTED,
			       "libndpi %s is not the version this program was built with", ndpi_revision());
	struct appid *ai = calloc(1, sizeof *ai);
	if (!ai)
		return err_set(err, -ENOMEM, "no memory for nDPI");
	size_t slabs = ((max_flows ? max_flows : 1) + SLAB_FLOWS - 1) / SLAB_FLOWS;
	ai->max_flows = max_flows ? max_flows : 1;
	ai->slabs = calloc(slabs, sizeof(struct appid_flow *));
	if (!ai->slabs)
		goto free_appid;
	ai->module = module_new();
	if (!ai->module)
		goto free_slabs;
	if (module_set_up(ai->module))
		goto exit_module;
	*ret_ai = ai;
	return 0;
exit_module:
	ndpi_exit_detection_module(ai->module);
free_slabs:
	free(ai->slabs);
free_appid:
	free(ai);
	return err_set(err, -ENOMEM, "nDPI cannot be set up");
}

void appid_free(struct appid *ai)
{
	if (!ai)
		return;
	for (size_t i = 0; i < ai->n_flows; i++)
		ndpi_free_flow_data(&ai->slabs[i / SLAB_FLOWS][i % SLAB_FLOWS].nf);
	for (size_t i = 0; i < ai->n_flows; i += SLAB_FLOWS)
		free(ai->slabs[i / SLAB_FLOWS]);
	ndpi_exit_detection_module(ai->module);
	free(ai->slabs);
	free(ai);
}

const char *appid_version(void)
{
	return ndpi_revision();
}

static void pool_grow(struct appid *ai)
{
	size_t n = ai->max_flows - ai->n_flows < SLAB_FLOWS ? ai->max_flows - ai->n_flows : SLAB_FLOWS;
	struct appid_flow *slab = n ? calloc(SLAB_FLOWS, sizeof *slab) : NULL;
	if (!slab)
		return;
	ai->slabs[ai->n_flows / SLAB_FLOWS] = slab;
	for (size_t i = 0; i < n; i++) {
		slab[i].next = ai->free_list;
		ai->free_list = &slab[i];
	}
	ai->n_flows += n;
}

struct appid_flow *appid_flow_get(struct appid *ai)
{
	if (!ai->free_list)
		pool_grow(ai);
	struct appid_flow *af = ai->free_list;
	if (!af) {
		ai->stats.refused++;
		return NULL;
	}
	ai->free_list = af->next;
	af->next = NULL;
	ai->stats.flows++;
	ai->stats.flows_in_use++;
	return af;
}

void appid_flow_put(struct appid *ai, struct appid_flow *af)
{
	if (!af)
		return;
	ndpi_free_flow_data(&af->nf);
	memset(af, 0, sizeof *af);
	af->next = ai->free_list;
	ai->free_list = af;
	ai->stats.flows_in_use--;
}

static uint8_t *put16(uint8_t *p, uint32_t x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
	return p + 2;
}

static uint8_t *put32(uint8_t *p, uint32_t x)
{
	return put16(put16(p, x >> 16), x);
}

/* nDPI names a service by its address where it has no better evidence, and cannot be told not to:
 * "TLS.Twitter" for any name it does not know at an address of Twitter's. So it is not shown public
 * addresses, but others in their place out of the block for benchmarks (RFC 2544), the same ones for the same
 * address. */
static void put_ip4(uint8_t *p, const uint8_t ip[4])
{
	const uint32_t a = (uint32_t)ip[0] << 24 | (uint32_t)ip[1] << 16 | (uint32_t)ip[2] << 8 | ip[3];
	const bool local = ip[0] == 10 || ip[0] == 127 || a >> 20 == 0xac1 || a >> 16 == 0xc0a8 ||
			   a >> 16 == 0xa9fe || ip[0] >= 224 || !a;
	put32(p, local ? a : 0xc6120000u | (a * UINT32_C(0x9e3779b1)) >> 15);
}

static uint8_t *put_ip(uint8_t *p, const struct segment *seg, uint32_t l4_bytes)
{
	if (seg->family == 4) {
		memset(p, 0, IP4_BYTES);
		p[0] = 0x45;
		put16(p + 2, IP4_BYTES + l4_bytes);
		p[8] = seg->ttl ? seg->ttl : 64;
		p[9] = seg->proto;
		put_ip4(p + 12, seg->src);
		put_ip4(p + 16, seg->dst);
		return p + IP4_BYTES;
	}
	memset(p, 0, IP6_BYTES);
	p[0] = 0x60;
	put16(p + 4, l4_bytes);
	p[6] = seg->proto;
	p[7] = seg->ttl ? seg->ttl : 64;
	memcpy(p + 8, seg->src, 16);
	memcpy(p + 24, seg->dst, 16);
	return p + IP6_BYTES;
}

/* One unfragmented packet without options whose lengths are all true, however the payload came to us. Returns
 * its length, 0 if there is nothing to hand over. */
static uint16_t packet_build(struct appid *ai, const struct segment *seg)
{
	const bool tcp = seg->proto == IPPROTO_TCP;
	if ((!tcp && seg->proto != IPPROTO_UDP) || (seg->family != 4 && seg->family != 6) || !seg->payload)
		return 0;
	const uint32_t l4 = tcp ? TCP_BYTES : UDP_BYTES, room = APPID_MAX_BYTES - IP6_BYTES - l4;
	uint32_t n = seg->payload_captured_bytes < seg->payload_bytes ? seg->payload_captured_bytes
								      : seg->payload_bytes;
	n = n < room ? n : room;
	if (!n)
		return 0;
	uint8_t *p = put_ip(ai->packet, seg, l4 + n);
	p = put16(put16(p, seg->sport), seg->dport);
	if (tcp) {
		p = put32(put32(p, seg->tcp_seq), seg->tcp_ack);
		*p++ = TCP_BYTES / 4 << 4;
		*p++ = SEGMENT_ACK | SEGMENT_PSH;
		p = put32(put16(p, seg->tcp_window), 0);
	} else {
		p = put16(put16(p, UDP_BYTES + n), 0);
	}
	memcpy(p, seg->payload, n);
	memset(p + n, 0, SLACK_BYTES);
	return (uint16_t)(p + n - ai->packet);
}

static void module_feed(struct appid *ai, struct appid_flow *af, uint16_t n, uint64_t ts_ns,
			bool from_initiator)
{
	const uint64_t ms = ts_ns / 1000000;
#if NDPI_AT >= 406 /* not compiled here */
	struct ndpi_flow_input_info info = {.in_pkt_dir = from_initiator ? NDPI_IN_PKT_DIR_C_TO_S
									 : NDPI_IN_PKT_DIR_S_TO_C,
					    .seen_flow_beginning = NDPI_FLOW_BEGINNING_SEEN};
	ndpi_detection_process_packet(ai->module, &af->nf, ai->packet, n, ms, &info);
#else
	(void)from_initiator; /* 4.2 tells directions by the addresses */
	ndpi_detection_process_packet(ai->module, &af->nf, ai->packet, n, ms);
#endif
}

/* Seen in the bytes, not guessed by port, address or from another flow. */
static bool is_known(const struct appid_flow *af)
{
	return af->nf.detected_protocol_stack[0] != NDPI_PROTOCOL_UNKNOWN &&
	       af->nf.confidence == NDPI_CONFIDENCE_DPI;
}

enum appid_verdict appid_feed(struct appid *ai, struct appid_flow *af, const struct segment *seg,
			      bool from_initiator)
{
	const unsigned limit = seg->proto == IPPROTO_UDP ? APPID_MAX_PACKETS_UDP : APPID_MAX_PACKETS;
	if (is_known(af))
		return APPID_KNOWN;
	if (af->packets >= limit)
		return APPID_GAVE_UP;
	uint16_t n = packet_build(ai, seg);
	if (!n) {
		ai->stats.refused++;
		return APPID_MORE;
	}
	af->packets++;
	ai->stats.packets++;
	module_feed(ai, af, n, seg->ts_ns, from_initiator);
	if (is_known(af)) {
		ai->stats.known++;
		return APPID_KNOWN;
	}
	if (af->packets < limit)
		return APPID_MORE;
	ai->stats.gave_up++;
	return APPID_GAVE_UP;
}

static void eve_word(const char *name, char *to, size_t size)
{
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (strcmp(words[i].ndpi, name))
			continue;
		name = words[i].eve;
		break;
	}
	size_t n = 0;
	for (; name[n] && n + 1 < size; n++)
		to[n] =
		    (char)(isalnum((unsigned char)name[n]) || name[n] == '-' ? tolower((unsigned char)name[n])
									     : '_');
	to[n] = 0;
}

static void put_text(char *to, size_t size, const char *from, size_t max)
{
	size_t n = strnlen(from, max);
	n = n < size ? n : size - 1;
	memcpy(to, from, n);
	to[n] = 0;
}

static bool is_host_protocol(uint16_t id)
{
	return id == NDPI_PROTOCOL_TLS || id == NDPI_PROTOCOL_QUIC || id == NDPI_PROTOCOL_DTLS ||
	       id == NDPI_PROTOCOL_HTTP || id == NDPI_PROTOCOL_DNS;
}

static void label_protocol(struct appid *ai, const struct ndpi_flow_struct *nf, struct appid_label *ret)
{
	uint16_t app = nf->detected_protocol_stack[0], master = nf->detected_protocol_stack[1];
	if (master == NDPI_PROTOCOL_UNKNOWN || master == app) {
		master = app;
		app = NDPI_PROTOCOL_UNKNOWN;
	}
	/* Without a host name the service was looked up by address. */
	if (is_host_protocol(master) && !nf->host_server_name[0])
		app = NDPI_PROTOCOL_UNKNOWN;
	const char *name = ndpi_get_proto_name(ai->module, master);
	eve_word(name, ret->app_proto, sizeof ret->app_proto);
	put_text(ret->protocol, sizeof ret->protocol, name, sizeof ret->protocol);
	size_t n = strlen(ret->protocol);
	if (app != NDPI_PROTOCOL_UNKNOWN && n + 2 < sizeof ret->protocol) {
		ret->protocol[n] = '.';
		put_text(ret->protocol + n + 1, sizeof ret->protocol - n - 1,
			 ndpi_get_proto_name(ai->module, app), sizeof ret->protocol);
	}
}

void appid_label(struct appid *ai, struct appid_flow *af, struct appid_label *ret_label)
{
	struct appid_label label = {0};
	const struct ndpi_flow_struct *nf = &af->nf;
	if (is_known(af)) {
		label_protocol(ai, nf, &label);
		put_text(label.name, sizeof label.name, nf->host_server_name, sizeof nf->host_server_name);
		label.name_cut = strlen(label.name) >= NDPI_NAME_KEPT;
#if NDPI_AT < 414 /* 4.14 has JA4 only */
		/* protos is a union: what is in it depends on the protocol */
		const uint16_t *stack = nf->detected_protocol_stack;
		bool tls = false;
		for (int i = 0; i < 2; i++)
			tls |= stack[i] == NDPI_PROTOCOL_TLS || stack[i] == NDPI_PROTOCOL_DTLS ||
			       stack[i] == NDPI_PROTOCOL_QUIC;
		if (tls)
			put_text(label.ja3, sizeof label.ja3, nf->protos.tls_quic.ja3_client,
				 sizeof nf->protos.tls_quic.ja3_client);
#endif
	}
	*ret_label = label;
}

void appid_stats(const struct appid *ai, struct appid_stats *ret_stats)
{
	*ret_stats = ai->stats;
	ret_stats->max_flows = ai->max_flows;
	size_t slabs = (ai->n_flows + SLAB_FLOWS - 1) / SLAB_FLOWS;
	ret_stats->memory_bytes =
	    sizeof *ai + slabs * SLAB_FLOWS * sizeof(struct appid_flow) + ndpi_get_tot_allocated_memory();
}
