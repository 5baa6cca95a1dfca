/* decode: encapsulations over IP and UDP; the inner flow once, the outer one where the inner headers do not hold up. */
#include "tests/unit/decode_check.h"

/* Ethernet and IPv4 of the tunnel's end points. */
static void start_outer(uint32_t proto)
{
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "10.0.0.1", "10.0.0.2", proto);
}

static void start_outer_udp(uint32_t sport, uint32_t dport)
{
	start_outer(17);
	frame_udp(&f, sport, dport);
}

static void add_vxlan(void)
{
	frame_u32(&f, 0x08000000);
	frame_u32(&f, 4242u << 8);
}

static void assert_inner(enum decode_verdict verdict, uint32_t n, int tunnels)
{
	assert_int_equal(verdict, DECODE_OK);
	assert_plain_tcp(n);
	assert_int_equal(s.n_tunnels, tunnels);
	assert_int_equal(s.flags, SEGMENT_TUNNEL);
}

/* The outer UDP segment, as if there were no tunnel. */
static void assert_outer_udp(enum decode_verdict verdict, uint32_t dport, uint32_t n)
{
	assert_int_equal(verdict, DECODE_OK);
	assert_int_equal(s.src[0], 10);
	assert_int_equal(s.proto, 17);
	assert_int_equal(s.dport, dport);
	assert_int_equal(s.payload_bytes, n);
	assert_int_equal(s.n_tunnels, 0);
	assert_int_equal(s.flags & SEGMENT_TUNNEL, 0);
}

static void assert_outer_ip(enum decode_verdict verdict, uint32_t proto)
{
	assert_int_equal(verdict, DECODE_OTHER_L4);
	assert_int_equal(s.src[0], 10);
	assert_int_equal(s.proto, proto);
	assert_int_equal(s.sport, 0);
	assert_int_equal(s.n_tunnels, 0);
	assert_int_equal(s.flags & SEGMENT_TUNNEL, 0);
}

static void ipip_and_4in6__inner_once(void **state)
{
	(void)state;
	start_outer(4);
	add_plain_tcp(11);
	assert_inner(decode_built(PACKET_LINK_ETHERNET), 11, 1);
	frame_start(&f);
	frame_ethernet(&f, 0x86dd);
	frame_ip6(&f, "2001:db8::1", "2001:db8::2", 60);
	frame_ext6(&f, 4, 0);
	add_plain_tcp(11);
	assert_inner(decode_built(PACKET_LINK_ETHERNET), 11, 1);
}

static void sixin4_and_6in6__inner_once(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		frame_start(&f);
		frame_ethernet(&f, i ? 0x86dd : 0x0800);
		if (i)
			frame_ip6(&f, "2001:db8::1", "2001:db8::2", 41);
		else
			frame_ip4(&f, "10.0.0.1", "10.0.0.2", 41);
		frame_ip6(&f, "2001:db8:5::1", "2001:db8:5::2", 6);
		frame_tcp(&f, 1, 2, 3, 4, FRAME_ACK);
		frame_fill(&f, 'x', 13);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_int_equal(s.src[5], 5);
		assert_int_equal(s.dport, 2);
		assert_int_equal(s.payload_bytes, 13);
		assert_int_equal(s.n_tunnels, 1);
	}
}

static void ipip__no_inner_header__outer(void **state)
{
	(void)state;
	start_outer(4);
	frame_fill(&f, 0, 40);
	assert_outer_ip(decode_built(PACKET_LINK_ETHERNET), 4);
	start_outer(4);
	add_plain_tcp(11);
	frame_finish(&f);
	frame_put16(&f, 14 + 20 + 2, 2000); /* inner total length beyond the outer payload */
	assert_outer_ip(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), 4);
}

static void ipip__outer_already_clamped__inner_believed(void **state)
{
	(void)state;
	start_outer(4);
	add_plain_tcp(100);
	frame_finish(&f);
	f.n -= 40;
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	assert_int_equal(s.payload_bytes, 60);
	assert_int_equal(s.flags, SEGMENT_TUNNEL | SEGMENT_OVERLONG);
}

static void gre__optional_fields__inner_once(void **state)
{
	(void)state;
	static const uint16_t flags[] = {0, 0x8000, 0x2000, 0x1000, 0xb000};
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
		start_outer(47);
		frame_u16(&f, flags[i]);
		frame_u16(&f, 0x0800);
		for (int bit = 12; bit < 16; bit++)
			if (flags[i] >> bit & 1)
				frame_u32(&f, 0);
		add_plain_tcp(3);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 3, 1);
	}
}

static void gre__payload_types__inner_once(void **state)
{
	(void)state;
	start_outer(47);
	frame_u32(&f, 0x20006558); /* NVGRE */
	frame_u32(&f, 0x00123400);
	frame_ethernet(&f, 0x8100);
	frame_vlan(&f, 8, 0x0800);
	add_plain_tcp(3);
	assert_inner(decode_built(PACKET_LINK_ETHERNET), 3, 1);
	assert_int_equal(s.vlan[0], 8);
	start_outer(47);
	frame_u32(&f, 0x00008847);
	frame_u32(&f, 0x00064140);
	add_plain_tcp(3);
	assert_inner(decode_built(PACKET_LINK_ETHERNET), 3, 1);
}

static void gre__routing_version_or_unknown_type__outer(void **state)
{
	(void)state;
	static const uint32_t headers[] = {0x40000800, 0x00020800, 0x0001880b, 0x00000806, 0x0000883e, 0x00000042};
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		start_outer(47);
		frame_u32(&f, headers[i]);
		add_plain_tcp(3);
		assert_outer_ip(decode_built(PACKET_LINK_ETHERNET), 47);
	}
	for (size_t n = 0; n < 4; n++) {
		start_outer(47);
		frame_fill(&f, 0, n);
		assert_outer_ip(decode_built(PACKET_LINK_ETHERNET), 47);
	}
}

static void gre__pptp__plain_ppp_inside(void **state)
{
	(void)state;
	for (int framed = 0; framed < 2; framed++) {
		start_outer(47);
		frame_u32(&f, 0x3081880b);
		frame_length(&f, 0);
		f.open[f.n_open - 1].from += 10; /* counts from behind the header */
		frame_u16(&f, 77);
		frame_u32(&f, 1);
		frame_u32(&f, 2);
		if (framed)
			frame_u16(&f, 0xff03);
		frame_u16(&f, 0x0021);
		add_plain_tcp(3);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 3, 1);
	}
}

static void erspan__types_1_2_3__mirrored_frame(void **state)
{
	(void)state;
	for (int type = 1; type <= 4; type++) { /* 4: type III with its platform subheader */
		start_outer(47);
		frame_u32(&f, (type > 1 ? 0x10000000u : 0) | (type < 3 ? 0x88be : 0x22eb));
		if (type > 1)
			frame_u32(&f, 99);
		if (type == 2)
			frame_u32(&f, 0x10640001);
		if (type > 2)
			frame_u32(&f, 0x20640001);
		if (type > 1)
			frame_u32(&f, 0);
		if (type > 2)
			frame_u32(&f, type == 4 ? 1 : 0);
		if (type == 4)
			frame_fill(&f, 0, 8);
		frame_ethernet(&f, 0x8100);
		frame_vlan(&f, 100, 0x0800);
		add_plain_tcp(40);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 40, 1);
		assert_int_equal(s.vlan[0], 100);
	}
}

static void erspan__truncated_by_the_switch__length_from_ip(void **state)
{
	(void)state;
	start_outer(47);
	frame_u32(&f, 0x100088be);
	frame_u32(&f, 99);
	frame_u32(&f, 0x10640401);
	frame_u32(&f, 0);
	frame_ethernet(&f, 0x0800);
	add_plain_tcp(1400);
	frame_finish(&f);
	f.n -= 1300;
	frame_put16(&f, 14 + 2, (uint32_t)f.n - 14);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
	assert_int_equal(s.payload_bytes, 1400);
	assert_int_equal(s.payload_captured_bytes, 100);
	assert_int_equal(s.flags, SEGMENT_TUNNEL | SEGMENT_SLICED);
}

static void vxlan__both_ports__inner_once(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		start_outer_udp(55555, i ? 8472 : 4789);
		add_vxlan();
		frame_ethernet(&f, 0x0800);
		add_plain_tcp(21);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
	}
}

static void vxlan__port_alone__outer(void **state)
{
	(void)state;
	start_outer_udp(55555, 4789);
	frame_fill(&f, 0x16, 200);
	assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 4789, 200);
	start_outer_udp(55555, 4789);
	assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 4789, 0);
	start_outer_udp(55555, 4789); /* ARP */
	add_vxlan();
	frame_ethernet(&f, 0x0806);
	frame_fill(&f, 0, 46);
	assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 4789, 68);
	start_outer_udp(4789, 55555); /* the source port says nothing */
	add_vxlan();
	frame_ethernet(&f, 0x0800);
	add_plain_tcp(21);
	assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 55555, 83);
}

/* Any cut inside the inner headers leaves the outer segment, never a SHORT. */
static void vxlan__every_slice__outer_or_inner(void **state)
{
	(void)state;
	for (uint32_t n = 42; n <= 125; n++) {
		start_outer_udp(55555, 4789);
		add_vxlan();
		frame_ethernet(&f, 0x0800);
		add_plain_tcp(21);
		enum decode_verdict v = decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, n);
		assert_int_equal(v, DECODE_OK);
		assert_int_equal(s.n_tunnels, n >= 104);
		assert_int_equal(s.payload_bytes, n >= 104 ? 21 : 83);
	}
}

static void vxlan__inner_icmp_or_fragment__inner_verdict(void **state)
{
	(void)state;
	start_outer_udp(55555, 4789);
	add_vxlan();
	frame_ethernet(&f, 0x0800);
	frame_ip4(&f, "192.0.2.1", "198.51.100.2", 1);
	frame_fill(&f, 0, 8);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OTHER_L4);
	assert_int_equal(s.src[0], 192);
	assert_int_equal(s.sport, 0);
	start_outer_udp(55555, 4789);
	add_vxlan();
	frame_ethernet(&f, 0x0800);
	frame_ip4_frag(&f, "192.0.2.1", "198.51.100.2", 17, 5, 0x2000);
	frame_fill(&f, 0, 8);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_FRAGMENT);
	assert_int_equal(s.frag_id, 5);
}

static void add_geneve(uint32_t options, uint32_t type)
{
	frame_u16(&f, options << 8);
	frame_u16(&f, type);
	frame_u32(&f, 4242u << 8);
	frame_fill(&f, 0, options * 4);
}

static void geneve__ethernet_and_ip_with_options__inner_once(void **state)
{
	(void)state;
	for (uint32_t options = 0; options <= 63; options += 21) {
		start_outer_udp(55555, 6081);
		add_geneve(options, 0x6558);
		frame_ethernet(&f, 0x0800);
		add_plain_tcp(21);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
		start_outer_udp(55555, 6081);
		add_geneve(options, 0x0800);
		add_plain_tcp(21);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
	}
}

/* preamble 0, HLEN words, binding 802.11, native or 802.3; flags as in the header's fourth octet. */
static void add_capwap(uint32_t words, bool native, uint32_t flags)
{
	frame_u16(&f, words << 3);
	frame_u16(&f, (2u | native) << 8 | flags);
	frame_u32(&f, 0);
	frame_fill(&f, 0x5a, words * 4 - 8);
}

static void add_wireless(uint32_t control, size_t extra)
{
	frame_u16(&f, control);
	frame_fill(&f, 0x22, 22);
	frame_fill(&f, 0, extra);
	frame_u32(&f, 0xaaaa0300);
	frame_u32(&f, 0x0800);
}

static void capwap__both_orders_of_frame_control_qos_and_8023__inner_once(void **state)
{
	(void)state;
	/* data to the system, from it, QoS data with and without HT control; as sent and swapped */
	static const struct {
		uint32_t control;
		size_t extra;
	} cases[] = {{0x0801, 0}, {0x0802, 0}, {0x0811, 0}, {0x1108, 0}, {0x0208, 0},
		     {0x8801, 2}, {0x0188, 2}, {0x8881, 6}, {0x8188, 6}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_outer_udp(i % 2 ? 5247 : 41264, i % 2 ? 41264 : 5247);
		add_capwap(2 + (uint32_t)i, true, 0x20);
		add_wireless(cases[i].control, cases[i].extra);
		add_plain_tcp(21);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
	}
	start_outer_udp(41264, 5247);
	add_capwap(2, false, 0);
	frame_ethernet(&f, 0x0800);
	add_plain_tcp(21);
	assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
}

static void capwap__not_readable__outer(void **state)
{
	(void)state;
	/* encrypted, both DS bits, neither, a null frame, management, fragment of CAPWAP, keep-alive */
	static const struct {
		uint32_t control, flags;
	} cases[] = {{0x0841, 0}, {0x0803, 0},    {0x0800, 0},   {0x4801, 0},
		     {0x0001, 0}, {0x0801, 0x80}, {0x0801, 0x08}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_outer_udp(41264, 5247);
		add_capwap(2, true, cases[i].flags);
		add_wireless(cases[i].control, 0);
		add_plain_tcp(21);
		assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 5247, 8 + 32 + 61);
	}
}

static void geneve__not_one__outer(void **state)
{
	(void)state;
	static const uint32_t first[] = {0x40000800, 0x00800800, 0x00000806, 0x3f000800};
	for (size_t i = 0; i < sizeof first / sizeof *first; i++) {
		start_outer_udp(55555, 6081);
		frame_u32(&f, first[i]);
		frame_u32(&f, 0);
		add_plain_tcp(21);
		assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 6081, 69);
	}
}

/* G-PDU with n extension headers of 4 bytes. */
static void add_gtpu(int n)
{
	frame_u16(&f, n ? 0x34ff : 0x30ff);
	frame_length(&f, 0);
	f.open[f.n_open - 1].from += 4;
	frame_u32(&f, 0xcafe);
	if (!n)
		return;
	frame_u32(&f, 0x00010085);
	for (int i = 0; i < n; i++)
		frame_u32(&f, i + 1 < n ? 0x01000085 : 0x01000000);
}

static void gtpu__with_and_without_extensions__inner_once(void **state)
{
	(void)state;
	for (int n = 0; n < 4; n++) {
		start_outer_udp(2152, 2152);
		add_gtpu(n);
		add_plain_tcp(21);
		frame_finish(&f);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 21, 1);
	}
}

static void gtpu__echo_bad_length_or_zero_extension__outer(void **state)
{
	(void)state;
	enum { AT_GTP = 14 + 20 + 8 };
	static const struct {
		size_t at;
		uint8_t value;
	} cases[] = {{AT_GTP + 1, 1}, {AT_GTP, 0x54}, {AT_GTP, 0x24}, {AT_GTP + 2, 0xff}, {AT_GTP + 12, 0}, {AT_GTP + 12, 200}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start_outer_udp(2152, 2152);
		add_gtpu(1);
		add_plain_tcp(21);
		frame_finish(&f);
		f.bytes[cases[i].at] = cases[i].value;
		assert_outer_udp(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), 2152, 77);
	}
}

static void add_teredo(int authentication, int origin, const char *src)
{
	if (authentication) {
		frame_u32(&f, 0x00010402);
		frame_fill(&f, 7, 6 + 9);
	}
	if (origin) {
		frame_u16(&f, 0);
		frame_fill(&f, 0xf0, 6);
	}
	frame_ip6(&f, src, "2001:db8::2", 17);
	frame_udp(&f, 5, 6);
	frame_fill(&f, 'x', 10);
}

static void teredo__both_headers_both_directions__inner_once(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		start_outer_udp(i & 4 ? 3544 : 50000, i & 4 ? 50000 : 3544);
		add_teredo(i & 1, i & 2, "2001:0:4136:e378:8000:63bf:3fff:fdd2");
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
		assert_int_equal(s.family, 6);
		assert_int_equal(s.dport, 6);
		assert_int_equal(s.payload_bytes, 10);
		assert_int_equal(s.n_tunnels, 1);
	}
}

static void teredo__foreign_prefix__outer(void **state)
{
	(void)state;
	start_outer_udp(50000, 3544);
	add_teredo(0, 0, "2001:db8::1");
	assert_outer_udp(decode_built(PACKET_LINK_ETHERNET), 3544, 58);
	start_outer_udp(50000, 3544);
	add_teredo(0, 0, "fe80::1");
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_int_equal(s.n_tunnels, 1);
}

static void nesting__2_4__inner_5_1000__tunnel_limit(void **state)
{
	(void)state;
	for (int n = 2; n <= 4; n++) {
		frame_start(&f);
		frame_ethernet(&f, 0x0800);
		for (int i = 0; i < n; i++)
			frame_ip4(&f, "10.0.0.1", "10.0.0.2", 4);
		add_plain_tcp(4);
		assert_inner(decode_built(PACKET_LINK_ETHERNET), 4, n);
	}
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	for (int i = 0; i < 5; i++)
		frame_ip4(&f, "10.0.0.1", "10.0.0.2", 4);
	add_plain_tcp(4);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_TUNNEL_LIMIT);
	frame_start(&f);
	frame_ethernet(&f, 0x0800);
	for (int i = 0; i < 1000; i++) {
		frame_u32(&f, 0x45000000 | (uint32_t)(1000 - i) * 20);
		frame_u32(&f, 0);
		frame_u32(&f, 0x40040000);
		frame_u32(&f, 0x0a000001);
		frame_u32(&f, 0x0a000002);
	}
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_TUNNEL_LIMIT);
}

static void nesting__vxlan_5_deep__tunnel_limit(void **state)
{
	(void)state;
	for (int n = 4; n <= 5; n++) {
		frame_start(&f);
		frame_ethernet(&f, 0x0800);
		for (int i = 0; i < n; i++) {
			frame_ip4(&f, "10.0.0.1", "10.0.0.2", 17);
			frame_udp(&f, 1, 4789);
			add_vxlan();
			frame_ethernet(&f, 0x0800);
		}
		add_plain_tcp(4);
		enum decode_verdict v = decode_built(PACKET_LINK_ETHERNET);
		if (n == 4)
			assert_inner(v, 4, 4);
		else
			assert_int_equal(v, DECODE_TUNNEL_LIMIT);
	}
}

static void nesting__broken_at_depth_3__answer_of_depth_2(void **state)
{
	(void)state;
	start_outer(4);
	frame_ip4(&f, "10.1.0.1", "10.1.0.2", 17);
	frame_udp(&f, 1, 4789);
	add_vxlan();
	frame_ethernet(&f, 0x0800);
	frame_fill(&f, 0, 30);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_OK);
	assert_int_equal(s.src[1], 1);
	assert_int_equal(s.dport, 4789);
	assert_int_equal(s.n_tunnels, 1);
	assert_int_equal(s.payload_bytes, 52);
}

static void nesting__pseudowires__counted(void **state)
{
	(void)state;
	for (int n = 4; n <= 5; n++) {
		frame_start(&f);
		frame_ethernet(&f, 0x8847);
		for (int i = 0; i < n; i++) {
			frame_u32(&f, 0x00064140);
			frame_u32(&f, 0);
			frame_ethernet(&f, i + 1 < n ? 0x8847 : 0x0800);
		}
		add_plain_tcp(4);
		assert_int_equal(decode_built(PACKET_LINK_ETHERNET), n == 4 ? DECODE_OK : DECODE_TUNNEL_LIMIT);
	}
}

static void limits__inside_a_tunnel__final(void **state)
{
	(void)state;
	start_outer_udp(1, 4789);
	add_vxlan();
	frame_ethernet(&f, 0x8100);
	for (int i = 0; i < 4; i++)
		frame_vlan(&f, 1, i < 3 ? 0x8100 : 0x0800);
	add_plain_tcp(4);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_TAG_LIMIT);
	start_outer(41);
	frame_ip6(&f, "2001:db8::1", "2001:db8::2", 60);
	for (int i = 0; i < 17; i++)
		frame_ext6(&f, 60, 0);
	assert_int_equal(decode_built(PACKET_LINK_ETHERNET), DECODE_EXT_LIMIT);
}

static void checksum__inner_bad__verdict(void **state)
{
	(void)state;
	start_outer(4);
	add_plain_tcp(4);
	frame_finish(&f);
	f.bytes[f.n - 1] ^= 1;
	assert_int_equal(decode_sliced(&verify_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_BAD_CHECKSUM);
	assert_int_equal(decode_sliced(&plain_conf, PACKET_LINK_ETHERNET, (uint32_t)f.n), DECODE_OK);
}

static void datagram__reassembled_vxlan__inner(void **state)
{
	(void)state;
	frame_start(&f);
	frame_ip4(&f, "10.0.0.1", "10.0.0.2", 17);
	frame_udp(&f, 1, 4789);
	add_vxlan();
	frame_ethernet(&f, 0x0800);
	add_plain_tcp(4);
	frame_finish(&f);
	memset(&s, 0, sizeof s);
	s.family = 4;
	s.proto = 17;
	s.l3 = f.bytes;
	s.l3_captured_bytes = (uint32_t)f.n;
	s.payload = f.bytes + 20;
	s.payload_bytes = s.payload_captured_bytes = (uint32_t)f.n - 20;
	s.flags = SEGMENT_DEFRAGMENTED;
	assert_int_equal(decode_datagram(&plain_conf, &s), DECODE_OK);
	assert_int_equal(s.dport, 443);
	assert_int_equal(s.payload_bytes, 4);
	assert_int_equal(s.flags, SEGMENT_DEFRAGMENTED | SEGMENT_TUNNEL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipip_and_4in6__inner_once),
		cmocka_unit_test(sixin4_and_6in6__inner_once),
		cmocka_unit_test(ipip__no_inner_header__outer),
		cmocka_unit_test(ipip__outer_already_clamped__inner_believed),
		cmocka_unit_test(gre__optional_fields__inner_once),
		cmocka_unit_test(gre__payload_types__inner_once),
		cmocka_unit_test(gre__routing_version_or_unknown_type__outer),
		cmocka_unit_test(gre__pptp__plain_ppp_inside),
		cmocka_unit_test(erspan__types_1_2_3__mirrored_frame),
		cmocka_unit_test(erspan__truncated_by_the_switch__length_from_ip),
		cmocka_unit_test(vxlan__both_ports__inner_once),
		cmocka_unit_test(vxlan__port_alone__outer),
		cmocka_unit_test(vxlan__every_slice__outer_or_inner),
		cmocka_unit_test(vxlan__inner_icmp_or_fragment__inner_verdict),
		cmocka_unit_test(geneve__ethernet_and_ip_with_options__inner_once),
		cmocka_unit_test(geneve__not_one__outer),
		cmocka_unit_test(capwap__both_orders_of_frame_control_qos_and_8023__inner_once),
		cmocka_unit_test(capwap__not_readable__outer),
		cmocka_unit_test(gtpu__with_and_without_extensions__inner_once),
		cmocka_unit_test(gtpu__echo_bad_length_or_zero_extension__outer),
		cmocka_unit_test(teredo__both_headers_both_directions__inner_once),
		cmocka_unit_test(teredo__foreign_prefix__outer),
		cmocka_unit_test(nesting__2_4__inner_5_1000__tunnel_limit),
		cmocka_unit_test(nesting__vxlan_5_deep__tunnel_limit),
		cmocka_unit_test(nesting__broken_at_depth_3__answer_of_depth_2),
		cmocka_unit_test(nesting__pseudowires__counted),
		cmocka_unit_test(limits__inside_a_tunnel__final),
		cmocka_unit_test(checksum__inner_bad__verdict),
		cmocka_unit_test(datagram__reassembled_vxlan__inner),
	};
	return cmocka_run_group_tests(tests, NULL, free_copy);
}
