#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "dissect/defrag.h"
#include "tests/unit/frames.h"

static const struct decode_conf conf = {.verify_checksums = true};
static const uint64_t T0 = UINT64_C(1700000000000000000);
static const uint64_t SECOND = UINT64_C(1000000000);

/* A UDP datagram of the length wanted (header included) with bytes that differ everywhere. */
static struct frame whole;
static uint8_t datagram[65536];
static uint32_t datagram_bytes;

static struct defrag *d;
static struct segment out;
static struct defrag_frames frames;

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

static int setup(void **state)
{
	(void)state;
	d = defrag_new();
	return d ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	defrag_free(d);
	return 0;
}

static struct defrag_stats stats(void)
{
	struct defrag_stats st;
	defrag_stats(d, &st);
	assert_true(st.memory_bytes <= DEFRAG_MEMORY_BYTES);
	return st;
}

static void make_datagram(int family, uint32_t n)
{
	frame_start(&whole);
	if (family == 4)
		frame_ip4(&whole, "192.0.2.1", "198.51.100.2", 17);
	else
		frame_ip6(&whole, "2001:db8::1", "2001:db8::2", 17);
	frame_udp(&whole, 5353, 53);
	for (uint32_t i = 8; i < n; i++)
		frame_u8(&whole, byte_at(i));
	frame_finish(&whole);
	datagram_bytes = n;
	memcpy(datagram, whole.bytes + (family == 4 ? 20 : 40), n);
}

/* The fragment [from, to) of the datagram as decode gives it; its bytes in an exact-size copy that dies after the call. */
static enum defrag_verdict add_at(int family, uint32_t id, uint32_t from, uint32_t to, bool more, uint64_t now_ns)
{
	static struct frame f;
	frame_start(&f);
	frame_ethernet(&f, family == 4 ? 0x0800 : 0x86dd);
	if (family == 4) {
		frame_ip4_frag(&f, "192.0.2.1", "198.51.100.2", 17, id, (more ? 0x2000u : 0) | from / 8);
	} else {
		frame_ip6(&f, "2001:db8::1", "2001:db8::2", 44);
		frame_fragment6(&f, 17, id, from, more);
	}
	frame_bytes(&f, datagram + from, to - from);
	struct packet pkt = frame_packet(&f, PACKET_LINK_ETHERNET);
	uint8_t *copy = malloc(f.n);
	assert_non_null(copy);
	memcpy(copy, f.bytes, f.n);
	pkt.data = copy;
	pkt.ts_ns = now_ns;
	struct segment s;
	assert_int_equal(decode_frame(&conf, &pkt, &s), DECODE_FRAGMENT);
	enum defrag_verdict v = defrag_add(d, &s, now_ns, &out, &frames);
	free(copy);
	return v;
}

static enum defrag_verdict add(int family, uint32_t id, uint32_t from, uint32_t to)
{
	return add_at(family, id, from, to, to < datagram_bytes, T0);
}

/* The datagram came out whole, and decodes with its checksum right. */
static void assert_whole(int family)
{
	uint32_t header = family == 4 ? 20 : 40;
	assert_int_equal(out.payload_bytes, datagram_bytes);
	assert_int_equal(out.payload_captured_bytes, datagram_bytes);
	assert_memory_equal(out.payload, datagram, datagram_bytes);
	assert_ptr_equal(out.l3 + header, out.payload);
	assert_int_equal(out.l3_captured_bytes, header + datagram_bytes);
	assert_true(out.flags & SEGMENT_DEFRAGMENTED);
	/* The same packet, sent unfragmented, but for id and flags. */
	uint8_t expected[40];
	memcpy(expected, whole.bytes, header);
	if (family == 4) {
		memcpy(expected + 4, out.l3 + 4, 4);
		memset(expected + 10, 0, 2);
		uint32_t sum = ~frame_sum(0, expected, 20);
		expected[10] = (uint8_t)(sum >> 8);
		expected[11] = (uint8_t)sum;
		assert_int_equal(out.l3[6], 0);
		assert_int_equal(out.l3[7], 0);
	}
	assert_memory_equal(out.l3, expected, header);
	assert_int_equal(decode_datagram(&conf, &out), DECODE_OK);
	assert_int_equal(out.sport, 5353);
	assert_int_equal(out.dport, 53);
	assert_int_equal(out.payload_bytes, datagram_bytes - 8);
}

static void add__in_order__whole_with_wire_bytes(void **state)
{
	(void)state;
	for (int family = 4; family <= 6; family += 2) {
		make_datagram(family, 4008);
		assert_int_equal(add(family, 1, 0, 1480), DEFRAG_HELD);
		assert_int_equal(add(family, 1, 1480, 2960), DEFRAG_HELD);
		assert_int_equal(add(family, 1, 2960, 4008), DEFRAG_WHOLE);
		assert_whole(family);
		assert_int_equal(frames.n, 3);
		assert_int_equal(frames.wire_bytes, 4008 + 3 * (family == 4 ? 34 : 62));
		assert_int_equal(out.frame_bytes, 1048 + (family == 4 ? 34 : 62));
	}
	assert_int_equal(stats().datagrams, 2);
	assert_int_equal(stats().fragments, 6);
}

static void add__reverse_order__whole(void **state)
{
	(void)state;
	make_datagram(4, 4008);
	assert_int_equal(add(4, 1, 2960, 4008), DEFRAG_HELD);
	assert_int_equal(add(4, 1, 1480, 2960), DEFRAG_HELD);
	assert_int_equal(add(4, 1, 0, 1480), DEFRAG_WHOLE);
	assert_whole(4);
}

static void add__tiny_fragments__whole(void **state)
{
	(void)state;
	make_datagram(6, 65535);
	for (uint32_t from = 65528; from; from -= 8)
		assert_int_equal(add(6, 9, from, from + 8 < 65535 ? from + 8 : 65535), DEFRAG_HELD);
	assert_int_equal(add(6, 9, 0, 8), DEFRAG_WHOLE);
	assert_whole(6);
	assert_int_equal(frames.n, 8192);
}

/* Random cuts and orders, exact copies thrown in. */
static void add__random_orders_with_copies__whole(void **state)
{
	(void)state;
	srand(31);
	for (uint32_t round = 0; round < 300; round++) {
		int family = round & 1 ? 6 : 4;
		make_datagram(family, 500 + (uint32_t)rand() % 9000);
		uint32_t cuts[200], order[199], n = 0;
		for (uint32_t at = 0; at < datagram_bytes; at += 8 * (1 + (uint32_t)rand() % 60))
			cuts[n++] = at;
		cuts[n] = datagram_bytes;
		for (uint32_t i = 0; i < n; i++) {
			uint32_t j = (uint32_t)rand() % (i + 1);
			order[i] = order[j];
			order[j] = i;
		}
		for (uint32_t i = 0; i + 1 < n; i++) {
			assert_int_equal(add(family, round, cuts[order[i]], cuts[order[i] + 1]), DEFRAG_HELD);
			uint32_t again = order[(uint32_t)rand() % (i + 1)];
			assert_int_equal(add(family, round, cuts[again], cuts[again + 1]), DEFRAG_HELD);
		}
		assert_int_equal(add(family, round, cuts[order[n - 1]], cuts[order[n - 1] + 1]), DEFRAG_WHOLE);
		assert_whole(family);
	}
	assert_int_equal(stats().overlaps, 0);
}

static void add__copies_after_the_end__ignored_for_a_while(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	add(4, 1, 0, 1480);
	assert_int_equal(add(4, 1, 1480, 2000), DEFRAG_WHOLE);
	assert_int_equal(add_at(4, 1, 0, 1480, true, T0 + DEFRAG_COPY_NS), DEFRAG_HELD);
	assert_int_equal(add_at(4, 1, 1480, 2000, false, T0 + DEFRAG_COPY_NS), DEFRAG_HELD);
	assert_int_equal(stats().duplicates, 2);
	assert_int_equal(stats().datagrams, 1);
	/* Later the id is simply in use again. */
	assert_int_equal(add_at(4, 1, 0, 1480, true, T0 + SECOND), DEFRAG_HELD);
	assert_int_equal(add_at(4, 1, 1480, 2000, false, T0 + SECOND), DEFRAG_WHOLE);
	assert_whole(4);
	assert_int_equal(stats().duplicates, 2);
}

static void add__same_id_other_bytes_at_once__new_datagram(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	add(4, 1, 0, 1480);
	assert_int_equal(add(4, 1, 1480, 2000), DEFRAG_WHOLE);
	datagram[100] ^= 1;
	assert_int_equal(add(4, 1, 0, 1480), DEFRAG_HELD);
	assert_int_equal(add(4, 1, 1480, 2000), DEFRAG_WHOLE);
	assert_memory_equal(out.payload, datagram, 2000);
	assert_int_equal(stats().duplicates, 0);
	assert_int_equal(stats().datagrams, 2);
}

/* Each second fragment contradicts the first [1000, 2000) of 3000 bytes; what completes the rest must not bring it back. */
static void add__overlap__whole_datagram_discarded(void **state)
{
	(void)state;
	static const struct {
		uint32_t from, to;
		bool more;
	} cases[] = {
		{992, 1008, true},  {1992, 2008, true}, {1000, 1008, true}, {1992, 2000, true}, {1200, 1400, true},
		{0, 2992, true},    {1000, 2008, true}, {992, 2000, true},  {1000, 2000, false}, {1000, 1500, false},
		{8, 1500, false},
	};
	for (uint32_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		for (int family = 4; family <= 6; family += 2) {
			make_datagram(family, 3000);
			assert_int_equal(add(family, i, 1000, 2000), DEFRAG_HELD);
			assert_int_equal(add_at(family, i, cases[i].from, cases[i].to, cases[i].more, T0), DEFRAG_DROPPED);
			assert_int_equal(add(family, i, 0, 1000), DEFRAG_DROPPED);
			assert_int_equal(add(family, i, 1000, 2000), DEFRAG_DROPPED);
			assert_int_equal(add(family, i, 2000, 3000), DEFRAG_DROPPED);
		}
		assert_int_equal(stats().overlaps, 2 * (i + 1));
	}
	assert_int_equal(stats().datagrams, 0);
	assert_int_equal(stats().held_bytes, 0);
}

static void add__same_range_other_bytes__overlap(void **state)
{
	(void)state;
	make_datagram(4, 3000);
	add(4, 1, 0, 1000);
	datagram[999] ^= 1;
	assert_int_equal(add(4, 1, 0, 1000), DEFRAG_DROPPED);
	assert_int_equal(stats().overlaps, 1);
}

static void add__end_contradicted__overlap(void **state)
{
	(void)state;
	make_datagram(4, 3000);
	add(4, 1, 2000, 3000); /* ends at 3000 */
	assert_int_equal(add_at(4, 1, 3000, 3008, true, T0), DEFRAG_DROPPED);
	add(4, 2, 2000, 3000);
	assert_int_equal(add_at(4, 2, 1000, 1500, false, T0), DEFRAG_DROPPED);
	add_at(4, 3, 2000, 2800, true, T0);
	assert_int_equal(add_at(4, 3, 1000, 1500, false, T0), DEFRAG_DROPPED);
	assert_int_equal(stats().overlaps, 3);
}

static void add__longest_datagrams__whole_one_more_oversize(void **state)
{
	(void)state;
	make_datagram(4, 65515);
	assert_int_equal(add(4, 1, 0, 65512), DEFRAG_HELD);
	assert_int_equal(add(4, 1, 65512, 65515), DEFRAG_WHOLE);
	assert_whole(4);
	assert_true(out.flags & SEGMENT_SUPER);
	assert_int_equal(add_at(4, 2, 0, 1480, true, T0), DEFRAG_HELD);
	assert_int_equal(add_at(4, 2, 65512, 65516, false, T0), DEFRAG_DROPPED);
	assert_int_equal(add_at(4, 2, 1480, 2960, true, T0), DEFRAG_DROPPED);
	assert_int_equal(stats().oversize, 1);
	assert_int_equal(stats().held_bytes, 65536); /* the whole one is still known, to recognise copies */
}

static void add__malformed__dropped_alone(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	add(4, 1, 0, 1480);
	assert_int_equal(add_at(4, 1, 1480, 1480, false, T0), DEFRAG_DROPPED);
	assert_int_equal(add_at(4, 1, 1480, 1487, true, T0), DEFRAG_DROPPED);
	assert_int_equal(stats().malformed, 2);
	assert_int_equal(add(4, 1, 1480, 2000), DEFRAG_WHOLE);
	assert_whole(4);
}

static void add__ids_families_protocols__kept_apart(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	add(4, 1, 0, 1480);
	assert_int_equal(add(4, 2, 1480, 2000), DEFRAG_HELD);
	struct segment s = {.ts_ns = T0, .family = 4, .proto = 6, .frag_id = 1, .frag_offset_bytes = 1480};
	memcpy(s.src, "\xc0\x00\x02\x01", 4);
	memcpy(s.dst, "\xc6\x33\x64\x02", 4);
	s.payload = datagram + 1480;
	s.payload_bytes = s.payload_captured_bytes = 520;
	s.l3 = whole.bytes;
	assert_int_equal(defrag_add(d, &s, T0, &out, NULL), DEFRAG_HELD); /* other protocol */
	s.proto = 17;
	s.src[3] = 9;
	assert_int_equal(defrag_add(d, &s, T0, &out, NULL), DEFRAG_HELD); /* other source */
	assert_int_equal(stats().held_datagrams, 4);
	s.src[3] = 1;
	assert_int_equal(defrag_add(d, &s, T0, &out, NULL), DEFRAG_WHOLE);
}

static void add__missing_fragment__expires_after_30_s(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	add(4, 1, 0, 1480);
	assert_int_equal(add_at(4, 2, 0, 1480, true, T0 + DEFRAG_TIMEOUT_NS - 1), DEFRAG_HELD);
	assert_int_equal(stats().expired, 0);
	assert_int_equal(add_at(4, 1, 1480, 2000, false, T0 + DEFRAG_TIMEOUT_NS), DEFRAG_HELD);
	assert_int_equal(stats().expired, 1);
	/* Time running backwards expires nothing. */
	assert_int_equal(add_at(4, 3, 0, 1480, true, T0 - 100 * SECOND), DEFRAG_HELD);
	assert_int_equal(stats().expired, 1);
	assert_int_equal(stats().held_datagrams, 3);
}

static void add__table_full__evicts_least_recently_started(void **state)
{
	(void)state;
	make_datagram(4, 2000);
	for (uint32_t id = 0; id < DEFRAG_MAX_DATAGRAMS; id++)
		assert_int_equal(add_at(4, id, 0, 8, true, T0 + id), DEFRAG_HELD);
	assert_int_equal(stats().evicted, 0);
	assert_int_equal(stats().held_datagrams, DEFRAG_MAX_DATAGRAMS);
	assert_int_equal(add_at(4, 0, 8, 16, true, T0 + 5000), DEFRAG_HELD); /* recently used, yet the oldest */
	assert_int_equal(add_at(4, 60000, 0, 8, true, T0 + 5000), DEFRAG_HELD);
	assert_int_equal(stats().evicted, 1);
	assert_int_equal(stats().held_datagrams, DEFRAG_MAX_DATAGRAMS);
	assert_int_equal(add_at(4, 0, 16, 2000, false, T0 + 5000), DEFRAG_HELD); /* was evicted: starts anew */
	assert_int_equal(stats().evicted, 2);
}

static void add__memory_full__stays_below_cap(void **state)
{
	(void)state;
	make_datagram(6, 65535);
	uint64_t evicted = 0;
	for (uint32_t id = 0; id < 500; id++) {
		assert_int_equal(add(6, id, 0, 60000), DEFRAG_HELD);
		assert_true(stats().held_bytes < DEFRAG_MEMORY_BYTES);
		assert_true(stats().evicted >= evicted);
		evicted = stats().evicted;
	}
	assert_true(evicted > 400 && evicted < 500);
	assert_int_equal(add(6, 499, 60000, 65535), DEFRAG_WHOLE);
	assert_whole(6);
	/* Tiny fragments at the far end take a page each, not 64 KiB. */
	evicted = stats().evicted;
	for (uint32_t id = 1000; id < 2000; id++)
		add_at(6, id, 60000, 60008, true, T0);
	assert_true(stats().evicted - evicted < 20);
}

static void add__finished_make_room_first__live_ones_stay(void **state)
{
	(void)state;
	make_datagram(4, 16);
	add(4, 0, 0, 8);
	for (uint32_t id = 1; id < 2 * DEFRAG_MAX_DATAGRAMS; id++) {
		add(4, id, 0, 8);
		assert_int_equal(add(4, id, 8, 16), DEFRAG_WHOLE);
	}
	assert_int_equal(add(4, 0, 8, 16), DEFRAG_WHOLE);
	assert_int_equal(stats().evicted, 0);
}

static void add__sliced_fragments__length_exact_prefix_captured(void **state)
{
	(void)state;
	make_datagram(4, 3000);
	struct segment s = {.ts_ns = T0, .family = 4, .proto = 17, .frag_id = 7, .frag_more = true, .flags = SEGMENT_SLICED};
	s.l3 = whole.bytes;
	s.payload = datagram;
	s.payload_captured_bytes = 60;
	s.payload_bytes = 1480;
	assert_int_equal(defrag_add(d, &s, T0, &out, &frames), DEFRAG_HELD);
	s.payload = datagram + 1480;
	s.frag_offset_bytes = 1480;
	s.frag_more = false;
	s.payload_bytes = 1520;
	assert_int_equal(defrag_add(d, &s, T0, &out, &frames), DEFRAG_WHOLE);
	assert_int_equal(out.payload_bytes, 3000);
	assert_int_equal(out.payload_captured_bytes, 60);
	assert_memory_equal(out.payload, datagram, 60);
	assert_int_equal(decode_datagram(&conf, &out), DECODE_OK);
	assert_int_equal(out.payload_bytes, 2992);
	assert_int_equal(out.flags, SEGMENT_SLICED | SEGMENT_DEFRAGMENTED);
}

/* IPv6: extension headers may follow the fragment header; and the first fragment's protocol counts. */
static void add__ip6_extension_in_fragmentable_part__decoded(void **state)
{
	(void)state;
	make_datagram(6, 200);
	memmove(datagram + 8, datagram, 200);
	memcpy(datagram, "\x11\x00\x01\x04\x00\x00\x00\x00", 8);
	struct segment s = {.ts_ns = T0, .family = 6, .proto = 60, .frag_id = 7, .frag_more = true};
	memcpy(s.src, whole.bytes + 8, 16);
	memcpy(s.dst, whole.bytes + 24, 16);
	s.l3 = whole.bytes;
	s.payload = datagram;
	s.payload_captured_bytes = s.payload_bytes = 104;
	assert_int_equal(defrag_add(d, &s, T0, &out, NULL), DEFRAG_HELD);
	s.payload += 104;
	s.proto = 6;
	s.frag_offset_bytes = 104;
	s.frag_more = false;
	assert_int_equal(defrag_add(d, &s, T0, &out, NULL), DEFRAG_WHOLE);
	assert_int_equal(decode_datagram(&conf, &out), DECODE_OK);
	assert_int_equal(out.proto, 17);
	assert_int_equal(out.dport, 53);
	assert_int_equal(out.payload_bytes, 192);
}

/* A fragment inside a reassembled tunnel packet: its payload lies in the defragmenter's own buffer. */
static void add__payload_in_own_buffer__whole(void **state)
{
	(void)state;
	make_datagram(4, 4000);
	add(4, 1, 0, 2000);
	assert_int_equal(add(4, 1, 2000, 4000), DEFRAG_WHOLE);
	struct segment inner = out;
	inner.frag_id = 2;
	inner.frag_more = true;
	inner.payload_captured_bytes = inner.payload_bytes = 1600;
	assert_int_equal(defrag_add(d, &inner, T0, &out, NULL), DEFRAG_HELD);
	inner.payload += 1600;
	inner.frag_offset_bytes = 1600;
	inner.frag_more = false;
	inner.payload_captured_bytes = inner.payload_bytes = 2400;
	assert_int_equal(defrag_add(d, &inner, T0, &out, NULL), DEFRAG_WHOLE);
	assert_int_equal(out.payload_bytes, 4000);
	assert_memory_equal(out.payload, datagram, 4000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(add__in_order__whole_with_wire_bytes),
		TEST(add__reverse_order__whole),
		TEST(add__tiny_fragments__whole),
		TEST(add__random_orders_with_copies__whole),
		TEST(add__copies_after_the_end__ignored_for_a_while),
		TEST(add__same_id_other_bytes_at_once__new_datagram),
		TEST(add__overlap__whole_datagram_discarded),
		TEST(add__same_range_other_bytes__overlap),
		TEST(add__end_contradicted__overlap),
		TEST(add__longest_datagrams__whole_one_more_oversize),
		TEST(add__malformed__dropped_alone),
		TEST(add__ids_families_protocols__kept_apart),
		TEST(add__missing_fragment__expires_after_30_s),
		TEST(add__table_full__evicts_least_recently_started),
		TEST(add__memory_full__stays_below_cap),
		TEST(add__finished_make_room_first__live_ones_stay),
		TEST(add__sliced_fragments__length_exact_prefix_captured),
		TEST(add__ip6_extension_in_fragmentable_part__decoded),
		TEST(add__payload_in_own_buffer__whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
