/* decode_check: decodes a built frame out of an exact-size heap copy, so that a read past its end is caught. */
#ifndef LEAKTAP_TESTS_UNIT_DECODE_CHECK_H
#define LEAKTAP_TESTS_UNIT_DECODE_CHECK_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "dissect/decode.h"
#include "tests/unit/frames.h"

static struct frame f;
static struct segment s;
static uint8_t *copy;

static const struct decode_conf plain_conf = {.verify_checksums = false};
static const struct decode_conf verify_conf = {.verify_checksums = true};

FRAME_FN enum decode_verdict decode_sliced(const struct decode_conf *conf, enum packet_link link, uint32_t caplen)
{
	struct packet pkt = frame_packet(&f, link);
	pkt.caplen = caplen;
	free(copy);
	copy = malloc(caplen ? caplen : 1);
	assert_non_null(copy);
	memcpy(copy, f.bytes, caplen);
	pkt.data = copy;
	memset(&s, 0xa5, sizeof s);
	return decode_frame(conf, &pkt, &s);
}

/* As on the wire, and again with checksums verified: all that frames.h builds is right, so the answer is the same. */
FRAME_FN enum decode_verdict decode_built(enum packet_link link)
{
	frame_finish(&f);
	enum decode_verdict verified = decode_sliced(&verify_conf, link, (uint32_t)f.n);
	enum decode_verdict plain = decode_sliced(&plain_conf, link, (uint32_t)f.n);
	assert_int_equal(verified, plain);
	return plain;
}

FRAME_FN int free_copy(void **state)
{
	(void)state;
	free(copy);
	copy = NULL;
	return 0;
}

/* The segment of frame_plain_tcp with n bytes, whatever stood before it. */
FRAME_FN void assert_plain_tcp(uint32_t n)
{
	static const uint8_t src[16] = {192, 0, 2, 1}, dst[16] = {198, 51, 100, 2};
	assert_int_equal(s.family, 4);
	assert_int_equal(s.proto, 6);
	assert_memory_equal(s.src, src, 16);
	assert_memory_equal(s.dst, dst, 16);
	assert_int_equal(s.sport, 40000);
	assert_int_equal(s.dport, 443);
	assert_int_equal(s.tcp_seq, 1000);
	assert_int_equal(s.tcp_ack, 2000);
	assert_int_equal(s.tcp_flags, SEGMENT_ACK);
	assert_int_equal(s.tcp_window, 65535);
	assert_int_equal(s.tcp_wscale, -1);
	assert_int_equal(s.payload_bytes, n);
	assert_int_equal(s.payload_captured_bytes, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(s.payload[i], 'x');
	assert_int_equal(s.l3[0], 0x45);
	assert_int_equal(s.l3_captured_bytes, 40 + n);
	assert_int_equal(s.ttl, 64);
	assert_int_equal(s.input, 3);
	assert_int_equal(s.number, 7);
	assert_int_equal(s.frame_bytes, f.n);
	assert_true(s.ts_ns == UINT64_C(1700000000000000000));
	assert_int_equal(s.frag_id, 0);
	assert_false(s.frag_more);
}

/* The IPv4 and TCP part of frame_plain_tcp. */
FRAME_FN void add_plain_tcp(size_t n)
{
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 6);
	frame_tcp(&f, 40000, 443, 1000, 2000, FRAME_ACK);
	frame_fill(&f, 'x', n);
}

#endif
