/* decode_dump: what decode and defrag make of each frame of a capture, one line each, for
 * tests/decode_tshark.sh: number, protocol, source, its port, destination, its port, payload length. Frames
 * without a TCP or UDP segment are left out. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include "dissect/decode.h"
#include "dissect/defrag.h"

static enum packet_link link_of(int dlt)
{
	switch (dlt) {
	case DLT_EN10MB:
		return PACKET_LINK_ETHERNET;
	case DLT_RAW:
	case DLT_IPV4:
	case DLT_IPV6:
		return PACKET_LINK_RAW;
	case DLT_LINUX_SLL:
		return PACKET_LINK_SLL;
	case DLT_LINUX_SLL2:
		return PACKET_LINK_SLL2;
	case DLT_NULL:
		return PACKET_LINK_NULL;
	case DLT_LOOP:
		return PACKET_LINK_LOOP;
	case DLT_PPP:
	case DLT_PPP_SERIAL:
		return PACKET_LINK_PPP;
	default:
		return PACKET_LINK_COUNT;
	}
}

static void print_segment(const struct segment *s)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN];
	int family = s->family == 4 ? AF_INET : AF_INET6;
	inet_ntop(family, s->src, src, sizeof src);
	inet_ntop(family, s->dst, dst, sizeof dst);
	printf("%u\t%s\t%s\t%u\t%s\t%u\t%u\n", s->number, s->proto == 6 ? "tcp" : "udp", src, s->sport, dst,
	       s->dport, s->payload_bytes);
}

static void dump(struct defrag *d, const struct packet *pkt)
{
	const struct decode_conf conf = {.verify_checksums = false};
	struct segment s;
	enum decode_verdict v = decode_frame(&conf, pkt, &s);
	for (int round = 0; v == DECODE_FRAGMENT && round < DECODE_MAX_TUNNELS; round++) {
		if (defrag_add(d, &s, s.ts_ns, &s, NULL) != DEFRAG_WHOLE)
			return;
		v = decode_datagram(&conf, &s);
	}
	if (v == DECODE_OK)
		print_segment(&s);
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], error) : NULL;
	if (!p) {
		fprintf(stderr, "decode_dump: %s\n", argc == 2 ? error : "usage: decode_dump capture");
		return 2;
	}
	enum packet_link link = link_of(pcap_datalink(p));
	struct defrag *d = defrag_new();
	if (link == PACKET_LINK_COUNT || !d) {
		fprintf(stderr, "decode_dump: link type %s\n", pcap_datalink_val_to_name(pcap_datalink(p)));
		defrag_free(d);
		pcap_close(p);
		return 3;
	}
	struct pcap_pkthdr *h;
	const u_char *bytes;
	for (uint32_t number = 1; pcap_next_ex(p, &h, &bytes) == 1; number++) {
		struct packet pkt = {.data = bytes,
				     .caplen = h->caplen,
				     .len = h->len,
				     .link = (uint16_t)link,
				     .number = number};
		pkt.ts_ns = (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec * 1000u;
		dump(d, &pkt);
	}
	defrag_free(d);
	pcap_close(p);
	return 0;
}
