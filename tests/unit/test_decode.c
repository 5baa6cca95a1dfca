/* decode: link layers and tags. Layers 3 and 4 are in test_decode_l3.c, encapsulations in test_decode_tunnel.c. */
#include "tests/unit/decode_check.h"

static void frame__plain_tcp__every_field(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 100);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(100);
	assert_int_equal(s.flags, 0);
	assert_int_equal(s.n_vlan, 0);
	assert_int_equal(s.n_tunnels, 0);
}

static void frame__0_to_13_bytes__short(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 0);
	for (uint32_t n = 0; n < 14; n++) {
		f.n = 54;
		assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, n), DECODE_SHORT);
	}
}

/* Cut anywhere before the end of the TCP header: SHORT. Behind it: bytes are exact. */
static void frame__every_slice__short_or_exact(void **state)
{
	(void)state;
	for (uint32_t n = 0; n <= 154; n++) {
		frame_plain_tcp(&f, 100);
		enum decode_verdict v = decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, n);
		assert_int_equal(v, n < 54 ? DECODE_SHORT : DECODE_OK);
		if (n < 54)
			continue;
		assert_int_equal(s.payload_bytes, 100);
		assert_int_equal(s.payload_captured_bytes, n - 54);
		assert_int_equal(s.flags, n < 154 ? SEGMENT_SLICED : 0);
		assert_int_equal(s.l3_captured_bytes, n - 14);
	}
}

static void frame__caplen_beyond_len__clamped(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 100);
	struct packet pkt = frame_packet(&f, PACKET_LINK_ETHERNET);
	pkt.len = 104;
	assert_int_equal(decode_frame(&plain_conf, &pkt, &s), DECODE_OK);
	assert_int_equal(s.payload_bytes, 50);
	assert_int_equal(s.payload_captured_bytes, 50);
	assert_true(s.flags & SEGMENT_OVERLONG);
}

static void frame__link_unknown__verdict(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 0);
	struct packet pkt = frame_packet(&f, PACKET_LINK_COUNT);
	assert_int_equal(decode_frame(&plain_conf, &pkt, &s), DECODE_LINK_UNKNOWN);
}

static void frame__unknown_ethertypes__not_ip(void **state)
{
	(void)state;
	static const uint16_t types[] = {0x0806, 0x88cc, 0x88e5, 0x0027, 0xffff, 0};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		frame_start(&f);
		frame_ethernet(&f, types[i]);
		frame_fill(&f, 0x42, 60);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_NOT_IP);
	}
}

static void tags__1_to_3__told(void **state)
{
	(void)state;
	static const uint16_t types[] = {0x88a8, 0x9100, 0x8100};
	for (int n = 1; n <= 3; n++) {
		frame_start(&f);
		frame_ethernet(&f, types[0]);
		for (int i = 0; i < n; i++)
			frame_vlan(&f, 0xe000u | (uint32_t)(100 + i), i + 1 < n ? types[i + 1] : 0x0800);
		add_plain_tcp(9);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_plain_tcp(9);
		assert_int_equal(s.n_vlan, n);
		for (int i = 0; i < 3; i++)
			assert_int_equal(s.vlan[i], i < n ? 100 + i : 0);
	}
}

static void tags__4_and_8__tag_limit(void **state)
{
	(void)state;
	for (int n = 4; n <= 8; n += 4) {
		frame_start(&f);
		frame_ethernet(&f, 0x9200);
		for (int i = 0; i < n; i++)
			frame_vlan(&f, 1, i + 1 < n ? 0x8100 : 0x0800);
		add_plain_tcp(9);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_TAG_LIMIT);
	}
}

static void ethernet__padding_and_fcs__not_payload(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 1);
	frame_finish(&f);
	frame_fill(&f, 0xee, 9); /* to 60 bytes and a 4-byte FCS */
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(1);
	assert_int_equal(s.flags, 0);
}

static void ethernet__jumbo_frame__exact(void **state)
{
	(void)state;
	frame_plain_tcp(&f, 9000 - 40);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(8960);
}

static void snap__ip4__decoded(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0);
	f.n -= 2;
	frame_length(&f, 0);
	frame_u32(&f, 0xaaaa0300);
	frame_u32(&f, 0x00000800);
	add_plain_tcp(7);
	frame_finish(&f);
	frame_fill(&f, 0, 5);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(7);
}

static void snap__spanning_tree__not_ip(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 38);
	frame_u32(&f, 0x42420300);
	frame_fill(&f, 0, 42);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_NOT_IP);
}

static void pppoe__in_qinq__decoded_and_trimmed(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x88a8);
	frame_vlan(&f, 5, 0x8100);
	frame_vlan(&f, 6, 0x8864);
	frame_u32(&f, 0x11000077);
	frame_length(&f, 0);
	frame_u16(&f, 0x0021);
	add_plain_tcp(33);
	frame_finish(&f);
	frame_fill(&f, 0, 11);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(33);
	assert_int_equal(s.n_vlan, 2);
}

static void pppoe__bad_version_lcp_discovery__no_segment(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x8864);
	frame_u32(&f, 0x22000077);
	frame_u16(&f, 10);
	frame_fill(&f, 0, 40);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_BAD_HEADER);
	f.bytes[14] = 0x11;
	f.bytes[20] = 0xc0;
	f.bytes[21] = 0x21;
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_NOT_IP);
	frame_put16(&f, 12, 0x8863);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_NOT_IP);
}

static void add_labels(int n)
{
	for (int i = 0; i < n; i++)
		frame_u32(&f, 1000u << 12 | (i + 1 == n ? 0x100 : 0) | 64);
}

static void mpls__1_5_16_labels__ip_by_nibble(void **state)
{
	(void)state;
	static const int counts[] = {1, 5, 16};
	for (int i = 0; i < 3; i++) {
		frame_start(&f);
		frame_ethernet(&f, i == 1 ? 0x8848 : 0x8847);
		add_labels(counts[i]);
		add_plain_tcp(12);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_plain_tcp(12);
	}
}

static void mpls__17_labels__tunnel_limit(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x8847);
	add_labels(17);
	add_plain_tcp(12);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_TUNNEL_LIMIT);
}

static void mpls__pseudowire__inner_ethernet(void **state)
{
	(void)state;
	for (int control_word = 0; control_word < 2; control_word++) {
		frame_start(&f);
		frame_ethernet(&f, 0x8847);
		add_labels(2);
		if (control_word)
			frame_u32(&f, 0);
		frame_ethernet(&f, 0x8100);
		frame_vlan(&f, 44, 0x0800);
		add_plain_tcp(12);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_plain_tcp(12);
		assert_int_equal(s.n_vlan, 1);
		assert_int_equal(s.vlan[0], 44);
		assert_int_equal(s.flags, SEGMENT_TUNNEL);
		assert_int_equal(s.n_tunnels, 1);
	}
}

static void sgt__group_tag__decoded(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x8100);
	frame_vlan(&f, 9, 0x8909);
	frame_u32(&f, 0x01010001);
	frame_u16(&f, 77);
	frame_u16(&f, 0x0800);
	add_plain_tcp(5);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(5);
	assert_int_equal(s.vlan[0], 9);
	f.bytes[18] = 2;
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_BAD_HEADER);
}

static void pbb__inner_ethernet__inner_tags(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ethernet(&f, 0x88a8);
	frame_vlan(&f, 9, 0x88e7);
	frame_u32(&f, 0x00123456);
	frame_ethernet(&f, 0x8100);
	frame_vlan(&f, 10, 0x0800);
	add_plain_tcp(5);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_plain_tcp(5);
	assert_int_equal(s.n_vlan, 1);
	assert_int_equal(s.vlan[0], 10);
}

static void raw__both_families__by_nibble(void **state)
{
	(void)state;
	frame_start(&f);
	add_plain_tcp(5);
	assert_int_equal(decode_built(PACKET_LINK_RAW), DECODE_OK);
	assert_plain_tcp(5);
	f.bytes[0] = 0x55;
	assert_int_equal(decode_built(PACKET_LINK_RAW), DECODE_BAD_HEADER);
	frame_start(&f);
	frame_ip6(&f, "2001:db8::1", "2001:db8::2", 17);
	frame_udp(&f, 1, 2);
	assert_int_equal(decode_built(PACKET_LINK_RAW), DECODE_OK);
	assert_int_equal(s.family, 6);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_RAW, 0), DECODE_SHORT);
}

static void null__families_and_orders__decoded(void **state)
{
	(void)state;
	static const uint8_t little[4] = {2, 0, 0, 0}, big[4] = {0, 0, 0, 2};
	for (int i = 0; i < 3; i++) {
		frame_start(&f);
		frame_bytes(&f, i == 0 ? little : big, 4);
		add_plain_tcp(6);
		assert_int_equal(decode_built(i == 2 ? PACKET_LINK_LOOP : PACKET_LINK_NULL), DECODE_OK);
		assert_plain_tcp(6);
	}
	static const uint8_t families[] = {10, 24, 28, 30};
	for (size_t i = 0; i < sizeof families; i++) {
		frame_start(&f);
		frame_u8(&f, families[i]);
		frame_fill(&f, 0, 3);
		frame_ip6(&f, "2001:db8::1", "2001:db8::2", 17);
		frame_udp(&f, 1, 2);
		assert_int_equal(decode_built(PACKET_LINK_NULL), DECODE_OK);
	}
	f.bytes[0] = 7;
	assert_int_equal(decode_built(PACKET_LINK_NULL), DECODE_NOT_IP);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_NULL, 3), DECODE_SHORT);
}

static void sll__both_versions__decoded_with_tag(void **state)
{
	(void)state;
	for (int version = 1; version <= 2; version++) {
		frame_start(&f);
		if (version == 2)
			frame_u32(&f, 0x81000000);
		frame_fill(&f, 0, version == 2 ? 16 : 14);
		if (version == 1)
			frame_u16(&f, 0x8100);
		frame_vlan(&f, 12, 0x0800);
		add_plain_tcp(6);
		enum packet_link link = version == 1 ? PACKET_LINK_SLL : PACKET_LINK_SLL2;
		assert_int_equal(decode_built(link), DECODE_OK);
		assert_plain_tcp(6);
		assert_int_equal(s.vlan[0], 12);
		frame_put16(&f, version == 1 ? 14 : 0, 4); /* 802.2 */
		assert_int_equal(decode_built(link), DECODE_NOT_IP);
		assert_int_equal(decode_sliced(&plain_conf, link, 15), DECODE_SHORT);
	}
}

static void ppp__framings__decoded(void **state)
{
	(void)state;
	static const uint8_t heads[4][4] = {{0xff, 0x03, 0x00, 0x21}, {0x00, 0x21}, {0x21}, {0x0f, 0x00, 0x08, 0x00}};
	static const size_t lengths[4] = {4, 2, 1, 4};
	for (int i = 0; i < 4; i++) {
		frame_start(&f);
		frame_bytes(&f, heads[i], lengths[i]);
		add_plain_tcp(6);
		assert_int_equal(decode_built(PACKET_LINK_PPP), DECODE_OK);
		assert_plain_tcp(6);
	}
	frame_start(&f);
	frame_u32(&f, 0xff03c021);
	frame_fill(&f, 0, 20);
	assert_int_equal(decode_built(PACKET_LINK_PPP), DECODE_NOT_IP);
	frame_start(&f);
	frame_u32(&f, 0xff030281);
	add_labels(1);
	add_plain_tcp(6);
	assert_int_equal(decode_built(PACKET_LINK_PPP), DECODE_OK);
}

static void names__every_verdict__has_one(void **state)
{
	(void)state;
	for (int i = 0; i < DECODE_VERDICT_COUNT; i++)
		assert_true(decode_verdict_names[i][0] != '\0');
	assert_string_equal(decode_verdict_names[DECODE_EXT_LIMIT], "ip6_chain_limit");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame__plain_tcp__every_field),
		cmocka_unit_test(frame__0_to_13_bytes__short),
		cmocka_unit_test(frame__every_slice__short_or_exact),
		cmocka_unit_test(frame__caplen_beyond_len__clamped),
		cmocka_unit_test(frame__link_unknown__verdict),
		cmocka_unit_test(frame__unknown_ethertypes__not_ip),
		cmocka_unit_test(tags__1_to_3__told),
		cmocka_unit_test(tags__4_and_8__tag_limit),
		cmocka_unit_test(ethernet__padding_and_fcs__not_payload),
		cmocka_unit_test(ethernet__jumbo_frame__exact),
		cmocka_unit_test(snap__ip4__decoded),
		cmocka_unit_test(snap__spanning_tree__not_ip),
		cmocka_unit_test(pppoe__in_qinq__decoded_and_trimmed),
		cmocka_unit_test(pppoe__bad_version_lcp_discovery__no_segment),
		cmocka_unit_test(mpls__1_5_16_labels__ip_by_nibble),
		cmocka_unit_test(mpls__17_labels__tunnel_limit),
		cmocka_unit_test(mpls__pseudowire__inner_ethernet),
		cmocka_unit_test(sgt__group_tag__decoded),
		cmocka_unit_test(pbb__inner_ethernet__inner_tags),
		cmocka_unit_test(raw__both_families__by_nibble),
		cmocka_unit_test(null__families_and_orders__decoded),
		cmocka_unit_test(sll__both_versions__decoded_with_tag),
		cmocka_unit_test(ppp__framings__decoded),
		cmocka_unit_test(names__every_verdict__has_one),
	};
	return cmocka_run_group_tests(tests, NULL, free_copy);
}
