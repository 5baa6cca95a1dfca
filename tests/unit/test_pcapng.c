#include "capture/pcapng.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"
#include "tests/unit/drain.h"

enum { ETHERNET = 1, RAW = 101, USB = 189 };

static struct capdir dir;
static struct drain got;

static int enter(void **state)
{
	(void)state;
	capfile_enter(&dir);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	capfile_leave(&dir);
	return 0;
}

static void drain_built(struct capfile *c)
{
	drain_path(&got, capfile_save(&dir, "x.pcapng", c->p, c->n), NULL);
	free(c->p);
	*c = (struct capfile){0};
}

static void begin(struct capfile *c)
{
	capfile_section(c);
	capfile_iface(c, ETHERNET, 0, -1, 0);
}

static void poll__sections_of_both_orders__all_packets(void **state)
{
	(void)state;
	struct capfile c = {0};
	begin(&c);
	capfile_enhanced(&c, 0, 1700000000123456, 61, 61, 0x10);
	c.big = true;
	capfile_section(&c);
	capfile_iface(&c, RAW, 0, 9, 0);
	capfile_iface(&c, ETHERNET, 0, -1, 0);
	capfile_enhanced(&c, 0, 1700000001000000007, 40, 1400, 0x20);
	capfile_enhanced(&c, 1, 1700000002000001, 42, 42, 0x30);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.pkts[0].ts_ns, 1700000000123456000);
	assert_int_equal(got.pkts[0].caplen, 61);
	assert_int_equal(got.pkts[1].ts_ns, 1700000001000000007);
	assert_int_equal(got.pkts[1].len, 1400);
	assert_int_equal(got.pkts[1].link, PACKET_LINK_RAW);
	assert_int_equal(got.pkts[2].link, PACKET_LINK_ETHERNET);
	assert_int_equal(got.pkts[2].ts_ns, 1700000002000001000);
	assert_int_equal(got.first[2], 0x30);
	assert_int_equal(got.pkts[2].number, 3);
}

static void poll__clocks_of_interfaces__nanoseconds(void **state)
{
	(void)state;
	static const struct {
		int tsresol;
		int64_t offset_s;
		uint64_t units, ns;
	} rows[] = {
	    {-1, 0, 5000001, 5000001000},
	    {6, 0, 5000001, 5000001000},
	    {9, 0, 5000001, 5000001},
	    {0, 0, 1700000000, 1700000000000000000},
	    {3, 0, 1700000000123, 1700000000123000000},
	    {12, 0, 1700000000123456789, 1700000000123456},
	    {0x80 | 10, 0, 1024 * 7 + 512, 7500000000},
	    {0x80 | 30, 0, UINT64_C(3) << 30 | UINT64_C(1) << 29, 3500000000},
	    {0x80 | 63, 0, UINT64_C(1) << 63 | UINT64_C(1) << 62, 1500000000},
	    {19, 0, 15000000000000000000u, 1500000000},
	    {6, 1700000000, 5, 1700000000000005000},
	    {6, -5, 7000000, 2000000000},
	    {6, -5, 1000000, 0}, /* before 1970 */
	    {6, INT64_MIN, 1, 0},
	    {6, INT64_MAX, 1, INT64_MAX}, /* beyond 2262 */
	    {6, 0, UINT64_MAX, INT64_MAX},
	    {9, 0, UINT64_MAX, INT64_MAX},
	    {0, 0, UINT64_MAX, INT64_MAX},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct capfile c = {0};
		capfile_section(&c);
		capfile_iface(&c, ETHERNET, 0, rows[i].tsresol, rows[i].offset_s);
		capfile_enhanced(&c, 0, rows[i].units, 1, 1, 0);
		drain_built(&c);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.pkts[0].ts_ns, rows[i].ns);
	}
}

static void poll__clock_too_fine__packets_skipped_and_counted(void **state)
{
	(void)state;
	const int bad[] = {0xff, 0xc0, 20, 0x7f}; /* 2^127, 2^64, 10^20, 10^127 units a second */
	for (size_t i = 0; i < 4; i++) {
		struct capfile c = {0};
		begin(&c);
		capfile_iface(&c, ETHERNET, 0, bad[i], 0);
		capfile_enhanced(&c, 1, 1, 10, 10, 0);
		capfile_enhanced(&c, 0, 1, 10, 10, 0);
		drain_built(&c);
		assert_int_equal(got.code, -ENODATA);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.pkts[0].number, 2);
		assert_int_equal(got.stats.bad_records, 1);
	}
}

static void poll__simple_packets__cut_at_snaplen_and_timed_by_the_one_before(void **state)
{
	(void)state;
	struct capfile c = {0}, b = {0};
	capfile_section(&c);
	capfile_iface(&c, ETHERNET, 50, -1, 0);
	capfile_enhanced(&c, 0, 77, 4, 4, 0);
	capfile_u32(&b, 1400);
	capfile_run(&b, 0x40, 50);
	capfile_block(&c, 3, b.p, b.n);
	b.n = 0;
	capfile_u32(&b, 30);
	capfile_run(&b, 0x50, 30);
	capfile_block(&c, 3, b.p, b.n);
	b.n = 0;
	capfile_u32(&b, 40); /* claims more than the block holds */
	capfile_run(&b, 0x60, 30);
	capfile_block(&c, 3, b.p, b.n);
	free(b.p);
	drain_built(&c);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.pkts[1].caplen, 50);
	assert_int_equal(got.pkts[1].len, 1400);
	assert_int_equal(got.pkts[1].ts_ns, 77000);
	assert_int_equal(got.first[1], 0x40);
	assert_int_equal(got.pkts[2].caplen, 30);
	assert_int_equal(got.stats.bad_records, 1);
}

static void poll__obsolete_packet_block__read(void **state)
{
	(void)state;
	struct capfile c = {.big = true}, b = {.big = true};
	begin(&c);
	capfile_iface(&c, RAW, 0, -1, 0);
	capfile_u16(&b, 1);
	capfile_u16(&b, 7); /* drops */
	capfile_u32(&b, 0);
	capfile_u32(&b, 5000000);
	capfile_u32(&b, 20);
	capfile_u32(&b, 99);
	capfile_run(&b, 0x45, 20);
	capfile_block(&c, 2, b.p, b.n);
	free(b.p);
	drain_built(&c);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.pkts[0].ts_ns, 5000000000);
	assert_int_equal(got.pkts[0].link, PACKET_LINK_RAW);
	assert_int_equal(got.pkts[0].caplen, 20);
	assert_int_equal(got.pkts[0].len, 99);
}

static void poll__unknown_blocks_small_and_huge__stepped_over(void **state)
{
	(void)state;
	struct capfile c = {0};
	uint8_t *body = calloc(1, 3000000);
	begin(&c);
	capfile_enhanced(&c, 0, 1, 10, 10, 1);
	capfile_block(&c, 5, body, 24); /* statistics */
	capfile_block(&c, 0x40000bad, body, 0);
	capfile_block(&c, 10, body, 3000000); /* decryption secrets, larger than any buffer here */
	capfile_enhanced(&c, 0, 2, 10, 10, 2);
	capfile_block(&c, 4, body, WINDOW_MAX_RECORD_BYTES - 12);
	capfile_block(&c, 4, body, WINDOW_MAX_RECORD_BYTES - 8);
	capfile_enhanced(&c, 0, 3, 10, 10, 3);
	free(body);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.first[2], 3);
	assert_int_equal(got.stats.bad_records, 0);
}

static void poll__cut_inside_huge_block__truncated(void **state)
{
	(void)state;
	struct capfile c = {0};
	uint8_t *body = calloc(1, 3000000);
	begin(&c);
	capfile_enhanced(&c, 0, 1, 10, 10, 1);
	capfile_block(&c, 10, body, 3000000);
	free(body);
	c.n -= 1;
	drain_built(&c);
	assert_int_equal(got.code, LT_ETRUNCATED);
	assert_int_equal(got.n, 1);
}

/* B01 for pcapng */
static void poll__cut_at_every_byte__all_complete_packets_then_truncated(void **state)
{
	(void)state;
	struct capfile c = {0};
	size_t ends[6] = {0};
	capfile_section(&c);
	ends[0] = c.n;
	capfile_iface(&c, ETHERNET, 0, 6, 0);
	ends[1] = c.n;
	for (unsigned i = 0; i < 3; i++) {
		capfile_enhanced(&c, 0, i, 21 + i, 60, 0);
		ends[2 + i] = c.n;
	}
	for (size_t n = 0; n <= c.n; n++) {
		size_t whole = 0, clean = 0;
		for (size_t i = 0; i < 5; i++) {
			clean += n == ends[i];
			whole += i >= 2 && n >= ends[i];
		}
		drain_path(&got, capfile_save(&dir, "x", c.p, n), NULL);
		assert_int_equal(got.code, n < ends[0] ? LT_EFORMAT : clean ? -ENODATA : LT_ETRUNCATED);
		assert_int_equal(got.n, whole);
	}
	free(c.p);
}

/* B03: the frame of a block is broken, so the rest of the file is lost. */
static void poll__block_frame_broken__named_and_good_packets_kept(void **state)
{
	(void)state;
	const uint32_t lengths[] = {0, 4, 8, 11, 33, 34, 0xfffffffc, 0x7ffffffc};
	for (size_t i = 0; i <= sizeof lengths / sizeof lengths[0]; i++) {
		struct capfile c = {0};
		begin(&c);
		capfile_enhanced(&c, 0, 1, 10, 10, 1);
		size_t at = c.n;
		capfile_enhanced(&c, 0, 2, 10, 10, 2);
		if (i < sizeof lengths / sizeof lengths[0])
			memcpy(c.p + at + 4, &lengths[i], 4);
		else
			c.p[c.n - 4] ^= 4; /* trailer mismatch */
		drain_built(&c);
		assert_int_equal(got.code, -EBADMSG);
		assert_int_equal(got.n, 1);
		char said[48];
		snprintf(said, sizeof said, "bad block at byte %zu after 1 packets", at);
		assert_non_null(strstr(got.err.text, said));
	}
}

/* B03: the frame is whole and what is in it is not: this block only. */
static void poll__block_body_broken__skipped_and_counted(void **state)
{
	(void)state;
	struct capfile c = {0};
	begin(&c);
	capfile_enhanced(&c, 99, 1, 10, 10, 1); /* no such interface */
	size_t at = c.n;
	capfile_enhanced(&c, 0, 1, 10, 10, 2);
	memcpy(c.p + at + 20, &(uint32_t){13}, 4); /* captured length over the block's end */
	at = c.n;
	capfile_enhanced(&c, 0, 1, 10, 10, 3);
	memcpy(c.p + at + 20, &(uint32_t){0xffffffff}, 4);
	capfile_block(&c, 6, "12345678", 8); /* shorter than its fixed fields */
	capfile_block(&c, 3, "", 0);
	capfile_block(&c, 2, "1234", 4);
	capfile_enhanced(&c, 0, 1, 10, 10, 7);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.first[0], 7);
	assert_int_equal(got.pkts[0].number, 7);
	assert_int_equal(got.stats.bad_records, 6);
}

static void poll__interface_options_overrun__interface_still_usable(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_section(&c);
	/* option 2 claims 500 bytes */
	capfile_block(&c, 1, "\1\0\0\0\0\0\0\0\2\0\xf4\1abcd", 16);
	/* a time resolution of two bytes */
	capfile_block(&c, 1, "\1\0\0\0\0\0\0\0\x09\0\2\0\6\6\0\0", 16);
	/* shorter than an interface can be */
	capfile_block(&c, 1, "\1\0\0\0", 4);
	capfile_enhanced(&c, 0, 1, 10, 10, 1);
	capfile_enhanced(&c, 1, 1, 10, 10, 2);
	capfile_enhanced(&c, 2, 1, 10, 10, 3);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 2);
	assert_int_equal(got.stats.bad_records, 4);
}

static void poll__a_million_interfaces__bounded_and_counted(void **state)
{
	(void)state;
	struct capfile c = {0};
	enum { COUNT = 1000000 };
	capfile_section(&c);
	for (int i = 0; i < COUNT; i++)
		capfile_block(&c, 1, "\1\0\0\0\0\0\0\0", 8);
	capfile_enhanced(&c, PCAPNG_MAX_INTERFACES - 1, 1, 10, 10, 1);
	capfile_enhanced(&c, PCAPNG_MAX_INTERFACES, 1, 10, 10, 2);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.first[0], 1);
	assert_int_equal(got.stats.bad_records, COUNT - PCAPNG_MAX_INTERFACES + 1);
}

static void poll__new_section__forgets_interfaces(void **state)
{
	(void)state;
	struct capfile c = {0};
	begin(&c);
	capfile_section(&c);
	capfile_enhanced(&c, 0, 1, 10, 10, 1);
	drain_built(&c);
	assert_int_equal(got.n, 0);
	assert_int_equal(got.stats.bad_records, 1);
}

static void poll__section_header_bad__refused(void **state)
{
	(void)state;
	struct capfile c = {0};
	begin(&c);
	c.p[8] ^= 1; /* byte order */
	drain_built(&c);
	assert_int_equal(got.code, LT_EFORMAT);
	begin(&c);
	c.p[12] = 2; /* version 2 */
	drain_built(&c);
	assert_int_equal(got.code, LT_EFORMAT);
	assert_non_null(strstr(got.err.text, "version"));
	capfile_block(&c, 0x0a0d0d0a, "\x4d\x3c\x2b\x1a\1\0\0\0", 8); /* too short for its length field */
	capfile_run(&c, 0, 40);
	drain_built(&c);
	assert_int_equal(got.code, LT_EFORMAT);
}

static void poll__link_not_decoded_among_others__skipped_and_counted(void **state)
{
	(void)state;
	struct capfile c = {0};
	begin(&c);
	capfile_iface(&c, USB, 0, -1, 0);
	capfile_enhanced(&c, 1, 1, 10, 10, 1);
	capfile_enhanced(&c, 0, 1, 10, 10, 2);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.stats.undecoded, 1);
	assert_int_equal(got.stats.bad_records, 0);
}

static void poll__nothing_but_links_not_decoded__says_which(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_section(&c);
	capfile_iface(&c, USB, 0, -1, 0);
	capfile_enhanced(&c, 0, 1, 10, 10, 1);
	drain_built(&c);
	assert_int_equal(got.code, LT_EFORMAT);
	assert_non_null(strstr(got.err.text, "USB_LINUX (189)"));
}

static void poll__mixed_links_and_filter__each_by_its_own(void **state)
{
	(void)state;
	struct capfile c = {0}, ip = {0};
	/* an IPv4 header of 10.0.0.1 -> 10.0.0.2 */
	capfile_bytes(&ip, "\x45\0\0\x14\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2", 20);
	begin(&c);
	capfile_iface(&c, RAW, 0, -1, 0);
	for (uint32_t iface = 0; iface < 2; iface++) {
		struct capfile b = {0};
		capfile_u32(&b, iface);
		capfile_u32(&b, 0);
		capfile_u32(&b, iface);
		capfile_u32(&b, iface ? 20 : 34);
		capfile_u32(&b, iface ? 20 : 34);
		if (iface == 0)
			capfile_bytes(&b, "\1\2\3\4\5\6\1\2\3\4\5\7\x08\0", 14);
		capfile_bytes(&b, ip.p, 20);
		capfile_block(&c, 6, b.p, b.n);
		free(b.p);
	}
	free(ip.p);
	const char *path = capfile_save(&dir, "x", c.p, c.n);
	free(c.p);
	drain_path(&got, path, "host 10.0.0.2");
	assert_int_equal(got.n, 2);
	drain_path(&got, path, "host 10.0.0.3");
	assert_int_equal(got.n, 0);
	assert_int_equal(got.stats.filtered, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(poll__sections_of_both_orders__all_packets),
	    TEST(poll__clocks_of_interfaces__nanoseconds),
	    TEST(poll__clock_too_fine__packets_skipped_and_counted),
	    TEST(poll__simple_packets__cut_at_snaplen_and_timed_by_the_one_before),
	    TEST(poll__obsolete_packet_block__read),
	    TEST(poll__unknown_blocks_small_and_huge__stepped_over),
	    TEST(poll__cut_inside_huge_block__truncated),
	    TEST(poll__cut_at_every_byte__all_complete_packets_then_truncated),
	    TEST(poll__block_frame_broken__named_and_good_packets_kept),
	    TEST(poll__block_body_broken__skipped_and_counted),
	    TEST(poll__interface_options_overrun__interface_still_usable),
	    TEST(poll__a_million_interfaces__bounded_and_counted),
	    TEST(poll__new_section__forgets_interfaces),
	    TEST(poll__section_header_bad__refused),
	    TEST(poll__link_not_decoded_among_others__skipped_and_counted),
	    TEST(poll__nothing_but_links_not_decoded__says_which),
	    TEST(poll__mixed_links_and_filter__each_by_its_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
