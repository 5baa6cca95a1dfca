/* The short way through decoding against the long one: the same IP packet behind an Ethernet header, and without
 * any, which never takes the short way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/decode.h"

enum { ETHERNET_BYTES = 14, FRAME_BYTES = 200 };

static uint32_t dice = 1;

static uint32_t throw_dice(uint32_t below)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 8) % below;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* A well-formed packet of n bytes of IP, with payload that a tunnel reader may take for headers. */
static void build(uint8_t frame[FRAME_BYTES], bool six, bool tcp, uint32_t n)
{
	static const uint16_t ports[] = {53, 443, 2152, 3544, 4789, 5247, 6081, 8472, 40000};
	uint8_t *ip = frame + ETHERNET_BYTES;
	for (size_t i = 0; i < FRAME_BYTES; i++)
		frame[i] = (uint8_t)throw_dice(throw_dice(4) ? 3 : 256);
	put16(frame + 12, six ? 0x86dd : 0x0800);
	ip[0] = six ? 0x60 : 0x45;
	put16(ip + (six ? 4 : 2), six ? n - 40 : n);
	if (!six)
		put16(ip + 6, throw_dice(4) ? 0x4000 : 0);
	ip[six ? 6 : 9] = tcp ? 6 : 17;
	uint8_t *l4 = ip + (six ? 40 : 20);
	put16(l4, ports[throw_dice(9)]);
	put16(l4 + 2, ports[throw_dice(9)]);
	if (tcp)
		l4[12] = (uint8_t)((5 + throw_dice(3)) << 4);
	else
		put16(l4 + 4, n - (six ? 40u : 20u));
}

/* Up to three bytes of the headers changed. */
static void spoil(uint8_t frame[FRAME_BYTES])
{
	for (uint32_t times = throw_dice(4); times; times--)
		frame[ETHERNET_BYTES + throw_dice(64)] = (uint8_t)throw_dice(256);
}

static enum decode_verdict decode(const uint8_t *p, uint32_t captured, uint32_t n, uint16_t link,
				  struct segment *ret)
{
	const struct decode_conf conf = {.verify_checksums = false};
	const struct packet pkt = {.data = p, .caplen = captured, .len = n, .link = link, .ts_ns = 5, .number = 7};
	memset(ret, 0xaa, sizeof *ret); /* what is not written shows */
	return decode_frame(&conf, &pkt, ret);
}

static void assert_same(const struct segment *a, const struct segment *b)
{
	assert_ptr_equal(a->l3, b->l3);
	assert_ptr_equal(a->payload, b->payload);
	assert_int_equal(a->l3_captured_bytes, b->l3_captured_bytes);
	assert_int_equal(a->payload_captured_bytes, b->payload_captured_bytes);
	assert_int_equal(a->payload_bytes, b->payload_bytes);
	assert_memory_equal(a->src, b->src, 16);
	assert_memory_equal(a->dst, b->dst, 16);
	assert_int_equal(a->sport, b->sport);
	assert_int_equal(a->dport, b->dport);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->proto, b->proto);
	assert_int_equal(a->ttl, b->ttl);
	assert_int_equal(a->tcp_flags, b->tcp_flags);
	assert_int_equal(a->tcp_seq, b->tcp_seq);
	assert_int_equal(a->tcp_ack, b->tcp_ack);
	assert_int_equal(a->tcp_window, b->tcp_window);
	assert_int_equal(a->tcp_wscale, b->tcp_wscale);
	assert_int_equal(a->n_vlan, b->n_vlan);
	assert_memory_equal(a->vlan, b->vlan, sizeof a->vlan);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->frag_id, b->frag_id);
	assert_int_equal(a->frag_offset_bytes, b->frag_offset_bytes);
	assert_int_equal(a->frag_more, b->frag_more);
	assert_int_equal(a->n_tunnels, b->n_tunnels);
	assert_int_equal(a->ts_ns, b->ts_ns);
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->frame_bytes, b->frame_bytes + ETHERNET_BYTES);
}

static void frame__any__as_without_link_header(void **state)
{
	(void)state;
	unsigned filled = 0;
	for (unsigned i = 0; i < 300000; i++) {
		uint8_t frame[FRAME_BYTES];
		bool six = throw_dice(2), tcp = throw_dice(2);
		uint32_t n = 62 + throw_dice(FRAME_BYTES - ETHERNET_BYTES - 62 + 1);
		build(frame, six, tcp, n);
		spoil(frame);
		uint32_t len = ETHERNET_BYTES + n + throw_dice(9); /* padding */
		uint32_t captured = throw_dice(3) ? len : throw_dice(len + 1);
		captured = captured < FRAME_BYTES ? captured : FRAME_BYTES;
		/* an empty capture has no version to go by without a link header */
		captured = captured > ETHERNET_BYTES ? captured : ETHERNET_BYTES + 1;
		/* nor may the version and the ethertype differ */
		frame[ETHERNET_BYTES] = (uint8_t)((frame[ETHERNET_BYTES] & 15) | (six ? 0x60 : 0x40));
		struct segment a, b;
		uint8_t *exact = malloc(captured); /* so that a sanitizer sees a read beyond it */
		assert_non_null(exact);
		memcpy(exact, frame, captured);
		enum decode_verdict with = decode(exact, captured, len, PACKET_LINK_ETHERNET, &a);
		enum decode_verdict without = decode(exact + ETHERNET_BYTES, captured - ETHERNET_BYTES,
						     len - ETHERNET_BYTES, PACKET_LINK_RAW, &b);
		assert_int_equal(with, without);
		if (with == DECODE_OK) {
			assert_same(&a, &b);
			filled++;
		}
		free(exact);
	}
	assert_in_range(filled, 100000, 300000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frame__any__as_without_link_header),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
