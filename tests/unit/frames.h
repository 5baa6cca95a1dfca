/* frames: builds frames by hand, outermost header first. Lengths and checksums are set by frame_finish, or by frame_packet
 * which calls it; a test that wants them wrong sets them afterwards.
 *
 *	struct frame f;                       // 64 KiB: make it static
 *	frame_start(&f);
 *	frame_ethernet(&f, 0x0800);
 *	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 6);
 *	frame_tcp(&f, 40000, 443, 1000, 2000, FRAME_ACK);
 *	frame_fill(&f, 'x', 100);
 *	struct packet pkt = frame_packet(&f, PACKET_LINK_ETHERNET);
 */
#ifndef LEAKTAP_TESTS_UNIT_FRAMES_H
#define LEAKTAP_TESTS_UNIT_FRAMES_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture/packet.h"

enum { FRAME_MAX = 1 << 17, FRAME_MAX_OPEN = 64 };
enum { FRAME_FIN = 1, FRAME_SYN = 2, FRAME_RST = 4, FRAME_PSH = 8, FRAME_ACK = 16, FRAME_URG = 32 };

enum frame_kind { FRAME_IP4, FRAME_IP6, FRAME_TCP, FRAME_UDP, FRAME_LENGTH };

/* A header whose length or checksum depends on what follows. */
struct frame_open {
	enum frame_kind kind;
	size_t at;
	size_t from; /* LENGTH: counted from here */
};

struct frame {
	size_t n;
	size_t n_open;
	struct frame_open open[FRAME_MAX_OPEN];
	uint8_t bytes[FRAME_MAX];
};

#define FRAME_FN static inline __attribute__((unused))

FRAME_FN void frame_start(struct frame *f)
{
	f->n = 0;
	f->n_open = 0;
}

FRAME_FN void frame_bytes(struct frame *f, const void *p, size_t n)
{
	if (n > FRAME_MAX - f->n)
		abort();
	if (n)
		memcpy(f->bytes + f->n, p, n);
	f->n += n;
}

FRAME_FN void frame_fill(struct frame *f, uint8_t c, size_t n)
{
	if (n > FRAME_MAX - f->n)
		abort();
	memset(f->bytes + f->n, c, n);
	f->n += n;
}

FRAME_FN void frame_u8(struct frame *f, uint32_t v)
{
	frame_fill(f, (uint8_t)v, 1);
}

FRAME_FN void frame_u16(struct frame *f, uint32_t v)
{
	frame_u8(f, v >> 8);
	frame_u8(f, v);
}

FRAME_FN void frame_u32(struct frame *f, uint32_t v)
{
	frame_u16(f, v >> 16);
	frame_u16(f, v);
}

FRAME_FN void frame_put16(struct frame *f, size_t at, uint32_t v)
{
	f->bytes[at] = (uint8_t)(v >> 8);
	f->bytes[at + 1] = (uint8_t)v;
}

FRAME_FN void frame_open(struct frame *f, enum frame_kind kind, size_t at, size_t from)
{
	if (f->n_open == FRAME_MAX_OPEN)
		abort();
	f->open[f->n_open++] = (struct frame_open){kind, at, from};
}

/* A 16-bit length field holding what follows it, plus extra. */
FRAME_FN void frame_length(struct frame *f, uint32_t extra)
{
	frame_open(f, FRAME_LENGTH, f->n, f->n + 2 - extra);
	frame_u16(f, 0);
}

FRAME_FN void frame_ethernet(struct frame *f, uint32_t type)
{
	static const uint8_t macs[12] = {0x02, 0, 0, 0, 0, 0x01, 0x02, 0, 0, 0, 0, 0x02};
	frame_bytes(f, macs, sizeof macs);
	frame_u16(f, type);
}

/* The tag that follows an ethertype of a tag: id and the next type. */
FRAME_FN void frame_vlan(struct frame *f, uint32_t id, uint32_t type)
{
	frame_u16(f, id);
	frame_u16(f, type);
}

/* frag: flags and offset as in the header. */
FRAME_FN void frame_ip4_frag(struct frame *f, const char *src, const char *dst, uint32_t proto, uint32_t id, uint32_t frag)
{
	frame_open(f, FRAME_IP4, f->n, 0);
	frame_u16(f, 0x4500);
	frame_u16(f, 0);
	frame_u16(f, id);
	frame_u16(f, frag);
	frame_u16(f, 64 << 8 | proto);
	frame_u16(f, 0);
	struct in_addr a;
	if (inet_pton(AF_INET, src, &a) != 1)
		abort();
	frame_bytes(f, &a, 4);
	if (inet_pton(AF_INET, dst, &a) != 1)
		abort();
	frame_bytes(f, &a, 4);
}

FRAME_FN void frame_ip4(struct frame *f, const char *src, const char *dst, uint32_t proto)
{
	frame_ip4_frag(f, src, dst, proto, 0x1234, 0x4000);
}

FRAME_FN void frame_ip6(struct frame *f, const char *src, const char *dst, uint32_t next)
{
	frame_open(f, FRAME_IP6, f->n, 0);
	frame_u32(f, 0x60000000);
	frame_u16(f, 0);
	frame_u16(f, next << 8 | 64);
	struct in6_addr a;
	if (inet_pton(AF_INET6, src, &a) != 1)
		abort();
	frame_bytes(f, &a, 16);
	if (inet_pton(AF_INET6, dst, &a) != 1)
		abort();
	frame_bytes(f, &a, 16);
}

/* An extension header of 8 * (1 + extra) bytes, padded with PadN. */
FRAME_FN void frame_ext6(struct frame *f, uint32_t next, uint32_t extra)
{
	frame_u16(f, next << 8 | extra);
	for (uint32_t left = 6 + 8 * extra; left;) {
		uint32_t pad = left > 200 ? 100 : left;
		frame_u16(f, 1 << 8 | (pad - 2));
		frame_fill(f, 0, pad - 2);
		left -= pad;
	}
}

FRAME_FN void frame_fragment6(struct frame *f, uint32_t next, uint32_t id, uint32_t offset_bytes, bool more)
{
	frame_u16(f, next << 8);
	frame_u16(f, offset_bytes | more);
	frame_u32(f, id);
}

/* options: n bytes, a multiple of 4. */
FRAME_FN void frame_tcp_options(struct frame *f, uint32_t sport, uint32_t dport, uint32_t seq, uint32_t ack, uint32_t flags,
				uint32_t window, const void *options, size_t n)
{
	frame_open(f, FRAME_TCP, f->n, 0);
	frame_u16(f, sport);
	frame_u16(f, dport);
	frame_u32(f, seq);
	frame_u32(f, ack);
	frame_u16(f, (uint32_t)(20 + n) / 4 << 12 | flags);
	frame_u16(f, window);
	frame_u32(f, 0);
	frame_bytes(f, options, n);
}

FRAME_FN void frame_tcp(struct frame *f, uint32_t sport, uint32_t dport, uint32_t seq, uint32_t ack, uint32_t flags)
{
	frame_tcp_options(f, sport, dport, seq, ack, flags, 65535, NULL, 0);
}

FRAME_FN void frame_udp(struct frame *f, uint32_t sport, uint32_t dport)
{
	frame_open(f, FRAME_UDP, f->n, 0);
	frame_u16(f, sport);
	frame_u16(f, dport);
	frame_u32(f, 0);
}

/* Independent of the program's own sum: 16 bits at a time, as RFC 1071 writes it. */
FRAME_FN uint32_t frame_sum(uint32_t sum, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

/* ip: the header's offset; at: the transport's. */
FRAME_FN uint32_t frame_transport_sum(const struct frame *f, size_t ip, size_t at, uint32_t proto)
{
	bool four = f->bytes[ip] >> 4 == 4;
	uint32_t sum = frame_sum(0, f->bytes + ip + (four ? 12 : 8), four ? 8 : 32);
	uint8_t tail[4] = {0, (uint8_t)proto, (uint8_t)((f->n - at) >> 8), (uint8_t)(f->n - at)};
	sum = frame_sum(sum, tail, 4);
	return frame_sum(sum, f->bytes + at, f->n - at);
}

/* The IP header that the i-th open header stands in. */
FRAME_FN size_t frame_ip_of(const struct frame *f, size_t i)
{
	while (i--)
		if (f->open[i].kind == FRAME_IP4 || f->open[i].kind == FRAME_IP6)
			return f->open[i].at;
	abort();
}

FRAME_FN void frame_close(struct frame *f, size_t i)
{
	size_t at = f->open[i].at;
	switch (f->open[i].kind) {
	case FRAME_LENGTH:
		frame_put16(f, at, (uint32_t)(f->n - f->open[i].from));
		break;
	case FRAME_IP4:
		frame_put16(f, at + 2, (uint32_t)(f->n - at));
		frame_put16(f, at + 10, 0);
		frame_put16(f, at + 10, ~frame_sum(0, f->bytes + at, (f->bytes[at] & 15u) * 4));
		break;
	case FRAME_IP6:
		frame_put16(f, at + 4, (uint32_t)(f->n - at - 40));
		break;
	case FRAME_TCP:
		frame_put16(f, at + 16, 0);
		frame_put16(f, at + 16, ~frame_transport_sum(f, frame_ip_of(f, i), at, 6));
		break;
	case FRAME_UDP:
		frame_put16(f, at + 4, (uint32_t)(f->n - at));
		frame_put16(f, at + 6, 0);
		frame_put16(f, at + 6, ~frame_transport_sum(f, frame_ip_of(f, i), at, 17));
		break;
	}
}

/* Innermost first: outer checksums cover inner headers. */
FRAME_FN void frame_finish(struct frame *f)
{
	while (f->n_open)
		frame_close(f, --f->n_open);
}

FRAME_FN struct packet frame_packet(struct frame *f, enum packet_link link)
{
	frame_finish(f);
	return (struct packet){.ts_ns = UINT64_C(1700000000000000000),
			       .data = f->bytes,
			       .caplen = (uint32_t)f->n,
			       .len = (uint32_t)f->n,
			       .link = (uint16_t)link,
			       .input = 3,
			       .number = 7};
}

/* The usual frame: Ethernet, IPv4, TCP from 192.0.2.1:40000 to 198.51.100.2:443 with n bytes of payload. */
FRAME_FN void frame_plain_tcp(struct frame *f, size_t n)
{
	frame_start(f);
	frame_ethernet(f, 0x0800);
	frame_ip4(f, "192.0.2.1", "198.51.100.2", 6);
	frame_tcp(f, 40000, 443, 1000, 2000, FRAME_ACK);
	frame_fill(f, 'x', n);
}

#endif
