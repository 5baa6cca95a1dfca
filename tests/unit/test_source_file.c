#include "capture/source.h"

#include <errno.h>
#include <glob.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"
#include "tests/unit/drain.h"

#define MICRO 0xa1b2c3d4u
#define NANO  0xa1b23c4du

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

/* Drains what was built and frees it. */
static void drain_built(struct capfile *c)
{
	drain_path(&got, capfile_save(&dir, "x.pcap", c->p, c->n), NULL);
	free(c->p);
	*c = (struct capfile){0};
}

static void three_packets(struct capfile *c, uint32_t magic)
{
	capfile_header(c, magic, 1);
	capfile_record(c, 1700000000, 123456, 60, 60, 0x10);
	capfile_record(c, 1700000001, 5, 20, 1500, 0x20);
	capfile_record(c, 0xf0000000, 999999, 33, 33, 0x30);
}

static void poll__both_orders_micro_and_nano__same_packets(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++)
		for (int nano = 0; nano < 2; nano++) {
			struct capfile c = {.big = big};
			three_packets(&c, nano ? NANO : MICRO);
			drain_built(&c);
			uint64_t f = nano ? 1 : 1000;
			assert_int_equal(got.code, -ENODATA);
			assert_int_equal(got.n, 3);
			assert_int_equal(got.pkts[0].ts_ns, 1700000000000000000u + 123456 * f);
			assert_int_equal(got.pkts[1].ts_ns, 1700000001000000000u + 5 * f);
			assert_int_equal(got.pkts[2].ts_ns, 0xf0000000u * UINT64_C(1000000000) + 999999 * f);
			assert_int_equal(got.pkts[1].caplen, 20);
			assert_int_equal(got.pkts[1].len, 1500);
			assert_int_equal(got.first[0], 0x10);
			assert_int_equal(got.first[2], 0x30);
			assert_int_equal(got.pkts[2].number, 3);
			assert_int_equal(got.stats.packets, 3);
			assert_int_equal(got.stats.bytes, 60 + 1500 + 33);
			assert_int_equal(got.stats.offset_bytes, got.stats.size_bytes);
		}
}

/* B01 */
static void poll__cut_at_every_byte__all_complete_packets_then_truncated(void **state)
{
	(void)state;
	struct capfile c = {0};
	three_packets(&c, MICRO);
	const size_t ends[] = {24, 24 + 76, 24 + 76 + 36, c.n};
	for (size_t n = 0; n <= c.n; n++) {
		size_t whole = 0;
		while (whole < 3 && n >= ends[whole + 1])
			whole++;
		drain_path(&got, capfile_save(&dir, "x", c.p, n), NULL);
		assert_int_equal(got.code, n < 24 ? LT_EFORMAT : n == ends[whole] ? -ENODATA : LT_ETRUNCATED);
		assert_int_equal(got.n, whole);
		if (got.code == LT_ETRUNCATED) {
			char said[64];
			snprintf(said, sizeof said, "cut short at byte %zu after %zu packets", n, whole);
			assert_non_null(strstr(got.err.text, said));
		}
	}
	free(c.p);
}

/* B02 */
static void poll__captured_length_impossible__bad_record_named(void **state)
{
	(void)state;
	const uint32_t lies[] = {262145, 0x7fffffff, 0x80000000, 0xffffffff};
	for (size_t i = 0; i < 4; i++) {
		struct capfile c = {0};
		capfile_header(&c, MICRO, 1);
		capfile_record(&c, 1, 0, 60, 60, 0);
		capfile_u32(&c, 2);
		capfile_u32(&c, 0);
		capfile_u32(&c, lies[i]);
		capfile_u32(&c, 60);
		capfile_run(&c, 0, 100);
		drain_built(&c);
		assert_int_equal(got.code, -EBADMSG);
		assert_int_equal(got.n, 1);
		assert_non_null(strstr(got.err.text, "bad record at byte 100 after 1 packets"));
	}
}

static void poll__first_record_impossible__not_a_capture(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	capfile_u32(&c, 2);
	capfile_u32(&c, 0);
	capfile_u32(&c, 0xffffffff);
	capfile_u32(&c, 0);
	drain_built(&c);
	assert_int_equal(got.code, LT_EFORMAT);
	assert_int_equal(got.n, 0);
}

static void poll__largest_frame__read(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	for (uint32_t i = 0; i < 9; i++)
		capfile_record(&c, i, 0, 262144, 262144, (uint8_t)i);
	capfile_record(&c, 9, 0, 1, 1, 9);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 10);
	for (uint8_t i = 0; i < 10; i++)
		assert_int_equal(got.first[i], i);
}

static void poll__wire_length_below_captured__raised(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	capfile_record(&c, 1, 0, 60, 10, 0);
	drain_built(&c);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.pkts[0].caplen, 60);
	assert_int_equal(got.pkts[0].len, 60);
	assert_int_equal(got.stats.bytes, 60);
}

static void poll__lengths_exchanged_before_2_4__put_right(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	c.p[6] = 3; /* version 2.3 */
	capfile_u32(&c, 1);
	capfile_u32(&c, 0);
	capfile_u32(&c, 1500);
	capfile_u32(&c, 60);
	capfile_run(&c, 7, 60);
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.pkts[0].caplen, 60);
	assert_int_equal(got.pkts[0].len, 1500);
}

static void poll__snaplen_of_header_nonsense__ignored(void **state)
{
	(void)state;
	const uint32_t snaplens[] = {0, 10, 0x80000000, 0xffffffff};
	for (size_t i = 0; i < 4; i++) {
		struct capfile c = {0};
		capfile_header(&c, MICRO, 1);
		memcpy(c.p + 16, &snaplens[i], 4);
		capfile_record(&c, 1, 0, 60, 60, 0);
		drain_built(&c);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.pkts[0].caplen, 60);
	}
}

static void poll__empty_frames__handed_out(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	for (uint32_t i = 0; i < 5; i++) {
		capfile_record(&c, 1, i, 0, 100, 0);
		capfile_record(&c, 1, i, 1, 100, 0);
	}
	drain_built(&c);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 10);
	assert_int_equal(got.stats.bytes, 1000);
}

static void poll__tail_of_zeros__ends_the_file(void **state)
{
	(void)state;
	struct capfile c = {0};
	three_packets(&c, MICRO);
	size_t n = c.n;
	capfile_bytes(&c, (uint8_t[2000]){0}, 2000);
	drain_built(&c);
	assert_int_equal(got.code, LT_ETRUNCATED);
	assert_int_equal(got.n, 3);
	char said[64];
	snprintf(said, sizeof said, "only zeros from byte %zu on", n);
	assert_non_null(strstr(got.err.text, said));
}

/* B04: a file of 1 TiB that takes no disk. */
static void poll__sparse_terabyte__ends_at_once(void **state)
{
	(void)state;
	struct capfile c = {0};
	three_packets(&c, MICRO);
	const char *path = capfile_save(&dir, "sparse", c.p, c.n);
	free(c.p);
	if (truncate(path, INT64_C(1) << 40)) {
		print_message("SKIPPED: this file system has no sparse files of 1 TiB\n");
		skip();
	}
	drain_path(&got, path, NULL);
	assert_int_equal(got.code, LT_ETRUNCATED);
	assert_int_equal(got.n, 3);
}

static void open__not_a_capture__said_so(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t n;
		const char *says;
	} rows[] = {
	    {"", 0, "is empty"},
	    {"abc", 3, "not a pcap or pcapng capture (3 bytes long)"},
	    {"PK\3\4more", 8, "starts with 50 4b 03 04"},
	    {"\x34\xcd\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0", 24, "Kuznetzov"},
	    {"\xa1\xb2\xcd\x34\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 24, "Kuznetzov"},
	    {"\xd4\xc3\xb2\xa1\3\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0", 24, "version 3.4"},
	    {"\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\x69\0\0\0", 24, "IEEE802_11 (105)"},
	    {"\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\x33\0\0\0", 24, "PPP_ETHER (51)"},
	    {"\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\x4d\1\0\1", 24, "(16777549)"},
	    {"\xd4\xc3\xb2\xa1\2\0\4\0", 8, "header is cut short at byte 8"},
	    {"\x0a\x0d\x0d\x0a", 4, "header is cut short at byte 4"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		drain_path(&got, capfile_save(&dir, "x", rows[i].bytes, rows[i].n), NULL);
		assert_int_equal(got.code, LT_EFORMAT);
		assert_non_null(strstr(got.err.text, rows[i].says));
		assert_non_null(strstr(got.err.text, dir.path));
	}
}

static void open__unreadable_things__errno(void **state)
{
	(void)state;
	drain_path(&got, dir.path, NULL);
	assert_int_equal(got.code, -EISDIR);
	drain_path(&got, "/dev/zero", NULL);
	assert_int_equal(got.code, LT_EFORMAT);
	drain_path(&got, capfile_path(&dir, "missing"), NULL);
	assert_int_equal(got.code, -ENOENT);
}

static void open__nothing_or_two_things_named__usage(void **state)
{
	(void)state;
	drain_conf(&got, &(struct source_conf){.path = "a", .iface = "b"});
	assert_int_equal(got.code, LT_EUSAGE);
	drain_conf(&got, &(struct source_conf){0});
	assert_int_equal(got.code, LT_EUSAGE);
}

static void open__every_link_type__mapped(void **state)
{
	(void)state;
	static const struct {
		uint32_t number;
		enum packet_link link;
	} rows[] = {
	    {1, PACKET_LINK_ETHERNET},
	    {12, PACKET_LINK_RAW},
	    {14, PACKET_LINK_RAW},
	    {101, PACKET_LINK_RAW},
	    {228, PACKET_LINK_RAW},
	    {229, PACKET_LINK_RAW},
	    {113, PACKET_LINK_SLL},
	    {276, PACKET_LINK_SLL2},
	    {0, PACKET_LINK_NULL},
	    {108, PACKET_LINK_LOOP},
	    {9, PACKET_LINK_PPP},
	    {50, PACKET_LINK_PPP},
	    {0xf4000001, PACKET_LINK_ETHERNET}, /* with a 4-byte frame check sequence */
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct capfile c = {0};
		capfile_header(&c, MICRO, rows[i].number);
		capfile_record(&c, 1, 0, 20, 20, 0);
		drain_built(&c);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.pkts[0].link, rows[i].link);
	}
}

static void *feed_slowly(void *arg)
{
	struct capfile c = {0};
	int fd = open(arg, O_WRONLY);
	three_packets(&c, MICRO);
	for (size_t at = 0; at < c.n; at += 7) {
		size_t n = c.n - at < 7 ? c.n - at : 7;
		if (write(fd, c.p + at, n) != (ssize_t)n)
			break;
		usleep(500);
	}
	close(fd);
	free(c.p);
	return NULL;
}

static void poll__fifo_in_pieces__all_packets(void **state)
{
	(void)state;
	pthread_t t;
	char path[160];
	snprintf(path, sizeof path, "%s/pipe", dir.path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pthread_create(&t, NULL, feed_slowly, path), 0);
	drain_path(&got, path, NULL);
	pthread_join(t, NULL);
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 3);
	assert_int_equal(got.stats.size_bytes, 0);
}

static void poll__many_packets__views_hold_until_next_poll(void **state)
{
	(void)state;
	struct capfile c = {0};
	enum { COUNT = 30000 };
	uint32_t x = 7;
	capfile_header(&c, MICRO, 1);
	for (uint32_t i = 0; i < COUNT; i++) {
		x = x * 1664525 + 1013904223;
		capfile_record(&c, i, 0, 1 + (x >> 22), 2000, (uint8_t)i);
	}
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	const char *path = capfile_save(&dir, "x", c.p, c.n);
	free(c.p);
	assert_int_equal(source_open(&src, &(struct source_conf){.path = path, .input = 9}, &err), 0);
	uint32_t at = 0;
	for (int n; (n = source_poll(src, pkts, &err)) >= 0;) {
		assert_in_range(n, 1, SOURCE_BURST);
		for (int i = 0; i < n; i++, at++) {
			assert_int_equal(pkts[i].ts_ns, at * UINT64_C(1000000000));
			assert_int_equal(pkts[i].number, at + 1);
			assert_int_equal(pkts[i].input, 9);
			for (uint32_t k = 0; k < pkts[i].caplen; k++)
				if (pkts[i].data[k] != (uint8_t)(at + k))
					fail();
		}
	}
	assert_int_equal(at, COUNT);
	assert_string_equal(source_input_name(src, 9), path);
	assert_null(source_input_name(src, 8));
	source_close(src);
}

static void break__in_the_middle__no_data_for_good(void **state)
{
	(void)state;
	struct capfile c = {0};
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	three_packets(&c, MICRO);
	const char *path = capfile_save(&dir, "x", c.p, c.n);
	free(c.p);
	assert_int_equal(source_open(&src, &(struct source_conf){.path = path}, &err), 0);
	source_break(src);
	assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	source_close(src);
	source_close(NULL);
}

static void poll__filter__only_matching_and_numbers_of_the_file(void **state)
{
	(void)state;
	struct capfile c = {0};
	capfile_header(&c, MICRO, 1);
	for (uint32_t i = 0; i < 40; i++)
		capfile_record(&c, i, 0, 60, 60,
			       (uint8_t)(i % 4)); /* first byte of the destination address */
	const char *path = capfile_save(&dir, "x", c.p, c.n);
	free(c.p);
	drain_path(&got, path, "ether[0] = 3");
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 10);
	assert_int_equal(got.pkts[0].number, 4);
	assert_int_equal(got.pkts[9].number, 40);
	assert_int_equal(got.stats.filtered, 30);
	assert_int_equal(got.stats.packets, 10);
	drain_path(&got, path, "ether[0] = 9");
	assert_int_equal(got.code, -ENODATA);
	assert_int_equal(got.n, 0);
	drain_path(&got, path, "host and and");
	assert_int_equal(got.code, LT_EFILTER);
	assert_non_null(strstr(got.err.text, "host and and"));
}

static const char *shared(void)
{
	const char *p = getenv("LEAKTAP_SHARED");
	return p ? p : "../shared";
}

/* One frame after another the same as libpcap's. Returns frames compared; stops where libpcap gives up. */
static size_t compare_with_libpcap(const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *hdr;
	const u_char *bytes;
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err = {0};
	size_t n = 0;
	int r = 0, burst = 0, at = 0;
	pcap_t *handle = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!handle) {
		print_message("  libpcap does not open %s: %s\n", path, text);
		return 0;
	}
	int opened = source_open(&src, &(struct source_conf){.path = path}, &err);
	if (opened) {
		print_message("  not opened: %s\n", err.text);
		assert_int_equal(opened, LT_EFORMAT);
		pcap_close(handle);
		return 0;
	}
	while ((r = pcap_next_ex(handle, &hdr, &bytes)) == 1) {
		if (at == burst) {
			burst = source_poll(src, pkts, &err);
			at = 0;
			if (burst <= 0)
				fail_msg("%s: packet %zu missing: %s", path, n + 1, err.text);
		}
		const struct packet *p = &pkts[at++];
		uint64_t ts = (uint64_t)(uint32_t)hdr->ts.tv_sec * 1000000000u + (uint64_t)hdr->ts.tv_usec;
		if (p->ts_ns != ts || p->len != hdr->len || p->caplen != hdr->caplen ||
		    memcmp(p->data, bytes, p->caplen))
			fail_msg("%s: packet %zu differs", path, n + 1);
		n++;
	}
	if (r == PCAP_ERROR_BREAK) {
		assert_int_equal(at, burst);
		assert_int_equal(source_poll(src, pkts, &err), -ENODATA);
	} else {
		print_message("  libpcap stops in %s: %s\n", path, pcap_geterr(handle));
	}
	source_close(src);
	pcap_close(handle);
	return n;
}

static void poll__every_shared_capture__equals_libpcap(void **state)
{
	(void)state;
	static const char *const patterns[] = {
	    "captures/*.pcap*",  "hostile/*.pcap*",     "names/*/*.pcap*",          "names/*/*.cap",
	    "join/sets/*/*.cap", "join/sets/*/*.pcap*", "join/vmconnection/*.pcap*"};
	size_t files = 0, packets = 0;
	for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
		char pattern[512];
		glob_t g;
		snprintf(pattern, sizeof pattern, "%s/data/%s", shared(), patterns[i]);
		if (glob(pattern, 0, NULL, &g))
			continue;
		for (size_t k = 0; k < g.gl_pathc; k++, files++)
			packets += compare_with_libpcap(g.gl_pathv[k]);
		globfree(&g);
	}
	if (files == 0) {
		print_message("SKIPPED: no shared captures in %s/data (set LEAKTAP_SHARED)\n", shared());
		skip();
	}
	print_message("%zu files, %zu packets equal to libpcap's\n", files, packets);
	assert_true(packets > 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(poll__both_orders_micro_and_nano__same_packets),
	    TEST(poll__cut_at_every_byte__all_complete_packets_then_truncated),
	    TEST(poll__captured_length_impossible__bad_record_named),
	    TEST(poll__first_record_impossible__not_a_capture),
	    TEST(poll__largest_frame__read),
	    TEST(poll__wire_length_below_captured__raised),
	    TEST(poll__lengths_exchanged_before_2_4__put_right),
	    TEST(poll__snaplen_of_header_nonsense__ignored),
	    TEST(poll__empty_frames__handed_out),
	    TEST(poll__tail_of_zeros__ends_the_file),
	    TEST(poll__sparse_terabyte__ends_at_once),
	    TEST(open__not_a_capture__said_so),
	    TEST(open__unreadable_things__errno),
	    TEST(open__nothing_or_two_things_named__usage),
	    TEST(open__every_link_type__mapped),
	    TEST(poll__fifo_in_pieces__all_packets),
	    TEST(poll__many_packets__views_hold_until_next_poll),
	    TEST(break__in_the_middle__no_data_for_good),
	    TEST(poll__filter__only_matching_and_numbers_of_the_file),
	    TEST(poll__every_shared_capture__equals_libpcap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
