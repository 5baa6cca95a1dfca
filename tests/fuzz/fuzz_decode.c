/* fuzz_decode: byte 0 the link type, byte 1 what the capture cut off (in 16 bytes), then the frame. */
#include <stdlib.h>

#include "dissect/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok)
{
	if (!ok)
		abort();
}

static void check_segment(const struct packet *pkt, const struct segment *s)
{
	const uint8_t *end = pkt->data + pkt->caplen;
	check(s->l3 >= pkt->data && s->l3 + s->l3_captured_bytes <= end);
	check(s->payload >= s->l3 && s->payload + s->payload_captured_bytes <= end);
	check(s->payload_captured_bytes <= s->payload_bytes);
	check(s->payload_bytes <= (pkt->len > 65549 ? pkt->len : 65549));
	check(!(s->flags & SEGMENT_SLICED) == (s->payload_captured_bytes == s->payload_bytes));
	check(s->n_vlan <= DECODE_MAX_TAGS && s->n_tunnels <= DECODE_MAX_TUNNELS);
	check(s->family == 4 || s->family == 6);
	check(s->tcp_wscale >= -1 && s->tcp_wscale <= 14);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct packet pkt = {
	    .data = data + 2, .caplen = (uint32_t)size - 2, .link = data[0] % (PACKET_LINK_COUNT + 1)};
	pkt.len = pkt.caplen + data[1] * 16u;
	for (int verify = 0; verify < 2; verify++) {
		const struct decode_conf conf = {.verify_checksums = verify};
		struct segment s;
		enum decode_verdict v = decode_frame(&conf, &pkt, &s);
		check(v < DECODE_VERDICT_COUNT);
		if (v == DECODE_OK || v == DECODE_OTHER_L4 || v == DECODE_FRAGMENT)
			check_segment(&pkt, &s);
		if (v == DECODE_FRAGMENT && decode_datagram(&conf, &s) == DECODE_OK)
			check_segment(&pkt, &s);
	}
	return 0;
}
