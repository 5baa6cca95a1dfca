/* decode: IPv4, IPv6 with its extension headers, TCP, UDP, checksums. */
#include "tests/unit/decode_check.h"

enum { AT_IP = 14, AT_TCP = 34 };

static void ip4__options__skipped(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 17);
	f.bytes[AT_IP] = 0x4f;
	frame_fill(&f, 1, 40);
	frame_udp(&f, 5, 6);
	frame_fill(&f, 'x', 10);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_int_equal(s.sport, 5);
	assert_int_equal(s.payload_bytes, 10);
	assert_int_equal(s.l3_captured_bytes, 78);
}

static void ip4__impossible_headers__refused(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t value;
		enum decode_verdict verdict;
	} cases[] = {
		{AT_IP, 0x44, DECODE_BAD_HEADER},    /* header of 16 bytes */
		{AT_IP, 0x65, DECODE_BAD_HEADER},    /* version 6 under ethertype 0x0800 */
		{AT_IP + 3, 19, DECODE_BAD_HEADER},  /* total < header */
		{AT_IP + 3, 30, DECODE_SHORT},       /* total ends inside TCP's header */
		{AT_TCP + 12, 0x40, DECODE_BAD_HEADER},
		{AT_TCP + 12, 0xf0, DECODE_BAD_HEADER}, /* 60 bytes of header, 22 there */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		frame_plain_tcp(&f, 2);
		frame_finish(&f);
		f.bytes[cases[i].at] = cases[i].value;
		assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), cases[i].verdict);
	}
}

static void ip4__total_beyond_frame__clamped_and_flagged(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 50);
	frame_finish(&f);
	frame_put16(&f, AT_IP + 2, 1500);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	assert_int_equal(s.payload_bytes, 50);
	assert_int_equal(s.flags, SEGMENT_OVERLONG);
}

static void ip4__total_zero__rest_of_frame(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 70000);
	frame_finish(&f);
	frame_put16(&f, AT_IP + 2, 0);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, 100), DECODE_OK);
	assert_int_equal(s.payload_bytes, 70000);
	assert_int_equal(s.payload_captured_bytes, 46);
	assert_int_equal(s.flags, SEGMENT_SUPER | SEGMENT_SLICED);
}

static void ip4__16384_and_more__super(void **state)
{
	(void)state;
	for (uint32_t n = 16384; n <= 16385; n++) {
		frame_plain_tcp(&f, n - 40);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_int_equal(s.flags, n > 16384 ? SEGMENT_SUPER : 0);
		assert_int_equal(s.payload_bytes, n - 40);
	}
}

static void ip4__fragments__told_without_ports(void **state)
{
	(void)state;
	static const struct {
		uint16_t field, offset;
		bool more;
	} cases[] = {{0x2000, 0, true}, {0x2001, 8, true}, {0x1fff, 65528, false}, {0xa003, 24, true}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		frame_start(&f);
		frame_ethernet(&f, 0x0800);
		frame_ip4_frag(&f, "192.0.2.1", "198.51.100.2", 17, 0xbeef, cases[i].field);
		frame_fill(&f, 'x', 40);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_FRAGMENT);
		assert_int_equal(s.frag_id, 0xbeef);
		assert_int_equal(s.frag_offset_bytes, cases[i].offset);
		assert_int_equal(s.frag_more, cases[i].more);
		assert_int_equal(s.sport, 0);
		assert_int_equal(s.dport, 0);
		assert_int_equal(s.proto, 17);
		assert_int_equal(s.payload_bytes, 40);
		assert_ptr_equal(s.payload, s.l3 + 20);
	}
}

static void ip4__dont_fragment_and_reserved_bit__no_fragment(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4_frag(&f, "192.0.2.1", "198.51.100.2", 6, 1, 0xc000);
	frame_tcp(&f, 40000, 443, 1000, 2000, FRAME_ACK);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
}

static void ip4__other_protocols__addresses_and_payload(void **state)
{
	(void)state;
	static const uint8_t protos[] = {1, 2, 50, 89, 132, 136, 0, 44, 255};
	for (size_t i = 0; i < sizeof protos; i++) {
		frame_start(&f);
		frame_ethernet(&f, 0x0800);
		frame_ip4(&f, "192.0.2.1", "198.51.100.2", protos[i]);
		frame_fill(&f, 'x', 16);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OTHER_L4);
		assert_int_equal(s.proto, protos[i]);
		assert_int_equal(s.dst[0], 198);
		assert_int_equal(s.payload_bytes, 16);
		assert_int_equal(s.sport, 0);
	}
}

static void ip4__authentication_header__walked(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 51);
	frame_u32(&f, 0x11040000); /* UDP; 24 bytes */
	frame_fill(&f, 0, 20);
	frame_udp(&f, 5, 6);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_int_equal(s.dport, 6);
	assert_int_equal(s.proto, 17);
}

static void start_ip6(uint32_t next)
{
	frame_start(&f);
	frame_ethernet(&f, 0x86dd);
	frame_ip6(&f, "2001:db8::1", "2001:db8::2", next);
}

static void add_udp6(void)
{
	frame_udp(&f, 5, 6);
	frame_fill(&f, 'x', 10);
}

static void assert_udp6(void)
{
	assert_int_equal(s.family, 6);
	assert_int_equal(s.proto, 17);
	assert_int_equal(s.src[0], 0x20);
	assert_int_equal(s.src[15], 1);
	assert_int_equal(s.dst[15], 2);
	assert_int_equal(s.sport, 5);
	assert_int_equal(s.dport, 6);
	assert_int_equal(s.payload_bytes, 10);
	assert_int_equal(s.ttl, 64);
}

static void ip6__plain_and_padded__decoded(void **state)
{
	(void)state;
	start_ip6(17);
	add_udp6();
	frame_finish(&f);
	frame_fill(&f, 0, 20);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_udp6();
	f.bytes[AT_IP] = 0x45;
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_BAD_HEADER);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, 53), DECODE_SHORT);
}

static void ip6__mapped_addresses__stay_ip6(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x86dd);
	frame_ip6(&f, "::ffff:192.0.2.1", "::ffff:198.51.100.2", 17);
	add_udp6();
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_int_equal(s.family, 6);
	assert_int_equal(s.src[10], 0xff);
	assert_int_equal(s.src[12], 192);
}

static void ip6__each_extension__walked(void **state)
{
	(void)state;
	static const uint8_t kinds[] = {0, 43, 60, 135, 139, 140};
	for (size_t i = 0; i < sizeof kinds; i++) {
		start_ip6(kinds[i]);
		frame_ext6(&f, 17, (uint32_t)i);
		add_udp6();
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_udp6();
	}
}

/* n headers of 8 bytes before UDP. */
static enum decode_verdict chain_of(uint32_t n)
{
	start_ip6(60);
	for (uint32_t i = 0; i < n; i++)
		frame_ext6(&f, i + 1 < n ? 60 : 17, 0);
	add_udp6();
	return decode_built(PACKET_LINK_ETHERNET);
}

static void ip6__chain_length__limit_after_16(void **state)
{
	(void)state;
	assert_int_equal(chain_of(8), DECODE_OK);
	assert_int_equal(chain_of(16), DECODE_OK);
	assert_udp6();
	assert_int_equal(chain_of(17), DECODE_EXT_LIMIT);
	assert_int_equal(chain_of(64), DECODE_EXT_LIMIT);
	assert_int_equal(chain_of(8000), DECODE_EXT_LIMIT);
}

static void ip6__chain_bytes__limit_after_1024(void **state)
{
	(void)state;
	for (uint32_t extra = 127; extra <= 128; extra++) {
		start_ip6(60);
		frame_ext6(&f, 17, extra);
		add_udp6();
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), extra == 127 ? DECODE_OK : DECODE_EXT_LIMIT);
	}
}

static void ip6__extension_beyond_packet__short(void **state)
{
	(void)state;
	start_ip6(60);
	frame_ext6(&f, 17, 0);
	f.bytes[AT_IP + 41] = 4;
	frame_udp(&f, 5, 6);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_SHORT);
}

static void ip6__authentication_header__zero_length_refused(void **state)
{
	(void)state;
	for (uint32_t words = 0; words <= 4; words += 4) {
		start_ip6(51);
		frame_u32(&f, 0x11000000 | words << 16);
		frame_fill(&f, 0, words ? 20 : 4);
		add_udp6();
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), words ? DECODE_OK : DECODE_BAD_HEADER);
	}
	start_ip6(51);
	frame_u32(&f, 0x11040000);
	frame_fill(&f, 0, 20);
	add_udp6();
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_udp6();
}

static void ip6__atomic_fragment__no_fragment(void **state)
{
	(void)state;
	start_ip6(44);
	frame_fragment6(&f, 17, 0xdeadbeef, 0, false);
	add_udp6();
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_udp6();
}

static void ip6__fragments__told_behind_extensions(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start_ip6(0);
		frame_ext6(&f, 44, 0);
		frame_fragment6(&f, 17, 0xdeadbeef, i ? 65528 : 0, !i);
		frame_fill(&f, 'x', 40);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_FRAGMENT);
		assert_int_equal(s.frag_id, 0xdeadbeef);
		assert_int_equal(s.frag_offset_bytes, i ? 65528 : 0);
		assert_int_equal(s.frag_more, !i);
		assert_int_equal(s.proto, 17);
		assert_int_equal(s.payload_bytes, 40);
	}
}

static void ip6__no_next_esp_icmp__other(void **state)
{
	(void)state;
	static const uint8_t protos[] = {59, 50, 58, 132};
	for (size_t i = 0; i < sizeof protos; i++) {
		start_ip6(60);
		frame_ext6(&f, protos[i], 0);
		frame_fill(&f, 'x', 24);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OTHER_L4);
		assert_int_equal(s.proto, protos[i]);
		assert_int_equal(s.payload_bytes, 24);
	}
	start_ip6(59);
	frame_finish(&f);
	frame_fill(&f, 0, 6);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OTHER_L4);
	assert_int_equal(s.payload_bytes, 0);
}

/* UDP of n bytes behind the jumbo option, which claims claim bytes. */
static void build_jumbo(uint32_t n, uint32_t claim)
{
	start_ip6(0);
	frame_u32(&f, 0x1100c204);
	frame_u32(&f, claim);
	frame_u16(&f, 5);
	frame_u16(&f, 6);
	frame_u32(&f, 0);
	frame_fill(&f, 'x', n);
	frame_finish(&f);
	frame_put16(&f, AT_IP + 4, 0);
}

static void ip6__jumbo_payload__exact(void **state)
{
	(void)state;
	build_jumbo(70000, 70016);
	frame_fill(&f, 0, 4);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, 200), DECODE_OK);
	assert_int_equal(s.payload_bytes, 70000);
	assert_int_equal(s.flags, SEGMENT_SUPER | SEGMENT_SLICED);
	build_jumbo(70000, 80000);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, 200), DECODE_OK);
	assert_int_equal(s.payload_bytes, 70000);
	assert_true(s.flags & SEGMENT_OVERLONG);
}

static void ip6__length_zero_without_option__rest_of_frame(void **state)
{
	(void)state;
	start_ip6(6);
	frame_tcp(&f, 1, 2, 3, 4, FRAME_ACK);
	frame_fill(&f, 'x', 66000);
	frame_finish(&f);
	frame_put16(&f, AT_IP + 4, 0);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	assert_int_equal(s.payload_bytes, 66000);
	assert_int_equal(s.flags, SEGMENT_SUPER);
}

/* A SYN with these options, the whole frame captured but for cut bytes. */
static int8_t scale_of(const void *options, size_t n, uint32_t flags, uint32_t cut)
{
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 6);
	frame_tcp_options(&f, 1, 2, 3, 4, flags, 1000, options, n);
	frame_finish(&f);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n - cut), DECODE_OK);
	assert_int_equal(s.payload_bytes, 0);
	assert_int_equal(s.tcp_window, 1000);
	return s.tcp_wscale;
}

static void tcp__window_scale__only_from_syn(void **state)
{
	(void)state;
	static const uint8_t linux_syn[20] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
	assert_int_equal(scale_of(linux_syn, 20, FRAME_SYN, 0), 7);
	assert_int_equal(scale_of(linux_syn, 20, FRAME_SYN | FRAME_ACK, 0), 7);
	assert_int_equal(scale_of(linux_syn, 20, FRAME_ACK, 0), -1);
	assert_int_equal(scale_of(linux_syn, 20, FRAME_SYN, 1), -1);
	assert_int_equal(scale_of((uint8_t[4]){3, 3, 15, 0}, 4, FRAME_SYN, 0), 14);
	assert_int_equal(scale_of((uint8_t[4]){3, 3, 255, 0}, 4, FRAME_SYN, 0), 14);
	assert_int_equal(scale_of((uint8_t[4]){3, 3, 0, 0}, 4, FRAME_SYN, 0), 0);
}

static void tcp__hostile_options__walk_ends(void **state)
{
	(void)state;
	static const uint8_t cases[][8] = {
		{0, 3, 3, 7},             /* behind the end */
		{9, 0, 3, 3, 7},          /* length 0 */
		{9, 1, 3, 3, 7},          /* length 1 */
		{9, 200, 3, 3, 7},        /* beyond the header */
		{1, 1, 1, 1, 1, 1, 3, 3}, /* value cut */
		{1, 1, 1, 1, 1, 1, 1, 3}, /* length cut */
		{3, 4, 7, 7, 0, 0, 0, 0}, /* wrong length */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(scale_of(cases[i], 8, FRAME_SYN, 0), -1);
}

static void tcp__sliced_inside_options__bytes_exact(void **state)
{
	(void)state;
	static const uint8_t options[40] = {1, 1, 1};
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 6);
	frame_tcp_options(&f, 1, 2, 3, 4, FRAME_ACK, 1000, options, 40);
	frame_fill(&f, 'x', 1000);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, 64), DECODE_OK);
	assert_int_equal(s.payload_bytes, 1000);
	assert_int_equal(s.payload_captured_bytes, 0);
	assert_int_equal(s.flags, SEGMENT_SLICED);
	assert_ptr_equal(s.payload, copy + 64);
}

static enum decode_verdict udp_with_length(uint32_t length)
{
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 17);
	frame_udp(&f, 5, 6);
	frame_fill(&f, 'x', 20);
	frame_finish(&f);
	frame_put16(&f, AT_TCP + 4, length);
	return decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n);
}

static void udp__length_field__believed_within_bounds(void **state)
{
	(void)state;
	assert_int_equal(udp_with_length(28), DECODE_OK);
	assert_int_equal(s.payload_bytes, 20);
	assert_int_equal(udp_with_length(8), DECODE_OK);
	assert_int_equal(s.payload_bytes, 0);
	assert_int_equal(udp_with_length(18), DECODE_OK);
	assert_int_equal(s.payload_bytes, 10);
	assert_int_equal(s.flags, 0);
	assert_int_equal(udp_with_length(0), DECODE_OK);
	assert_int_equal(s.payload_bytes, 20);
	assert_int_equal(udp_with_length(500), DECODE_OK);
	assert_int_equal(s.payload_bytes, 20);
	assert_int_equal(s.flags, SEGMENT_OVERLONG);
	assert_int_equal(udp_with_length(7), DECODE_BAD_HEADER);
}

static enum decode_verdict verify_changed(size_t at, uint8_t change)
{
	frame_plain_tcp(&f, 101);
	frame_finish(&f);
	f.bytes[at] ^= change;
	return decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n);
}

static void checksum__any_byte_changed__bad(void **state)
{
	(void)state;
	assert_int_equal(verify_changed(0, 0), DECODE_OK);
	for (size_t at = AT_IP + 12; at < AT_IP + 20; at++)
		assert_int_equal(verify_changed(at, 1), DECODE_BAD_CHECKSUM);
	for (size_t at = AT_TCP; at < 54 + 101; at++) {
		if (at == AT_TCP + 12) /* the header's length: see below */
			continue;
		assert_int_equal(verify_changed(at, 1), DECODE_BAD_CHECKSUM);
		assert_int_equal(s.flags, SEGMENT_BAD_CSUM);
		assert_int_equal(s.payload_bytes, 101);
	}
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	assert_int_equal(s.flags, 0);
}

static void checksum__sliced_or_overlong__not_judged(void **state)
{
	(void)state;
	verify_changed(100, 1);
	assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, 120), DECODE_OK);
	assert_int_equal(s.flags, SEGMENT_SLICED);
	/* Only options are missing: there is no payload to be short of. */
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 6);
	frame_tcp_options(&f, 1, 2, 3, 4, FRAME_ACK, 1000, (uint8_t[12]){1, 1}, 12);
	frame_finish(&f);
	assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, 60), DECODE_OK);
	assert_int_equal(s.flags, 0);
}

static void checksum__pseudo_header_sum__transmit_offload(void **state)
{
	(void)state;
	for (int with_length = 0; with_length < 2; with_length++) {
		verify_changed(0, 0);
		uint32_t sum = frame_sum(0, f.bytes + AT_IP + 12, 8);
		uint8_t tail[4] = {0, 6, 0, with_length ? 121 : 0};
		frame_put16(&f, AT_TCP + 16, frame_sum(sum, tail, 4));
		assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
		assert_int_equal(s.flags, SEGMENT_PARTIAL_CSUM);
	}
}

static void checksum__udp_zero__none(void **state)
{
	(void)state;
	start_ip6(17);
	add_udp6();
	frame_finish(&f);
	frame_put16(&f, 54 + 6, 0);
	assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	frame_put16(&f, 54 + 6, 0x1234);
	assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_BAD_CHECKSUM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip4__options__skipped),
		cmocka_unit_test(ip4__impossible_headers__refused),
		cmocka_unit_test(ip4__total_beyond_frame__clamped_and_flagged),
		cmocka_unit_test(ip4__total_zero__rest_of_frame),
		cmocka_unit_test(ip4__16384_and_more__super),
		cmocka_unit_test(ip4__fragments__told_without_ports),
		cmocka_unit_test(ip4__dont_fragment_and_reserved_bit__no_fragment),
		cmocka_unit_test(ip4__other_protocols__addresses_and_payload),
		cmocka_unit_test(ip4__authentication_header__walked),
		cmocka_unit_test(ip6__plain_and_padded__decoded),
		cmocka_unit_test(ip6__mapped_addresses__stay_ip6),
		cmocka_unit_test(ip6__each_extension__walked),
		cmocka_unit_test(ip6__chain_length__limit_after_16),
		cmocka_unit_test(ip6__chain_bytes__limit_after_1024),
		cmocka_unit_test(ip6__extension_beyond_packet__short),
		cmocka_unit_test(ip6__authentication_header__zero_length_refused),
		cmocka_unit_test(ip6__atomic_fragment__no_fragment),
		cmocka_unit_test(ip6__fragments__told_behind_extensions),
		cmocka_unit_test(ip6__no_next_esp_icmp__other),
		cmocka_unit_test(ip6__jumbo_payload__exact),
		cmocka_unit_test(ip6__length_zero_without_option__rest_of_frame),
		cmocka_unit_test(tcp__window_scale__only_from_syn),
		cmocka_unit_test(tcp__hostile_options__walk_ends),
		cmocka_unit_test(tcp__sliced_inside_options__bytes_exact),
		cmocka_unit_test(udp__length_field__believed_within_bounds),
		cmocka_unit_test(checksum__any_byte_changed__bad),
		cmocka_unit_test(checksum__sliced_or_overlong__not_judged),
		cmocka_unit_test(checksum__pseudo_header_sum__transmit_offload),
		cmocka_unit_test(checksum__udp_zero__none),
	};
	return cmocka_run_group_tests(tests, NULL, free_copy);
}
