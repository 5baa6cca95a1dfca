#include "capture/bpf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* UDP 10.0.0.1:53 -> 10.0.0.2:9, 28 bytes */
static const uint8_t datagram[] = {0x45, 0, 0,  28, 0, 0, 0, 0,  64, 17, 0, 0, 10, 0,
				   0,    1, 10, 0,  0, 2, 0, 53, 0,  9,  0, 8, 0,  0};

/* The datagram behind each link header, laid out by hand. */
static const struct {
	enum packet_link link;
	uint8_t n;
	uint8_t header[24];
} links[] = {
    {PACKET_LINK_ETHERNET, 14, {1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 7, 0x08, 0x00}},
    {PACKET_LINK_RAW, 0, {0}},
    {PACKET_LINK_SLL, 16, {0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 0x08, 0x00}},
    {PACKET_LINK_SLL2, 20, {0x08, 0x00, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0}},
    {PACKET_LINK_LOOP, 4, {0, 0, 0, 2}},
    {PACKET_LINK_NULL, 4, {2, 0, 0, 0}}, /* this machine's order: little-endian is all this project runs on */
    {PACKET_LINK_PPP, 4, {0xff, 0x03, 0x00, 0x21}},
};

static bool matches(const char *text, size_t row)
{
	uint8_t frame[64];
	struct bpf *bpf;
	struct err err;
	memcpy(frame, links[row].header, links[row].n);
	memcpy(frame + links[row].n, datagram, sizeof datagram);
	uint32_t n = (uint32_t)(links[row].n + sizeof datagram);
	struct packet pkt = {.data = frame, .caplen = n, .len = n, .link = (uint16_t)links[row].link};
	assert_int_equal(bpf_new(&bpf, text, links[row].link, &err), 0);
	bool is = bpf_match(bpf, &pkt);
	bpf_free(bpf);
	return is;
}

static void match__every_link_type__reads_past_its_header(void **state)
{
	(void)state;
	assert_int_equal(sizeof links / sizeof links[0], PACKET_LINK_COUNT);
	for (size_t i = 0; i < PACKET_LINK_COUNT; i++) {
		assert_true(matches("host 10.0.0.2 and udp port 53", i));
		assert_false(matches("host 10.0.0.2 and udp port 54", i));
		assert_false(matches("tcp", i));
		assert_true(matches("len > 0", i));
	}
}

static void match__frame_shorter_than_filter_reads__false(void **state)
{
	(void)state;
	struct bpf *bpf;
	struct err err;
	struct packet pkt = {.data = datagram, .caplen = 3, .len = 1500};
	assert_int_equal(bpf_new(&bpf, "udp port 53", PACKET_LINK_RAW, &err), 0);
	assert_false(bpf_match(bpf, &pkt));
	bpf_free(bpf);
}

static void new__mistakes__compilers_words_shown(void **state)
{
	(void)state;
	static const char *const wrong[] = {"host", "tcp port 99999", "and", "ether host 10.0.0.1"};
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct bpf *bpf = NULL;
		struct err err = {0};
		assert_int_equal(bpf_new(&bpf, wrong[i], PACKET_LINK_ETHERNET, &err), LT_EFILTER);
		assert_null(bpf);
		assert_non_null(strstr(err.text, wrong[i]));
		assert_true(strlen(err.text) > strlen(wrong[i]) + 12);
	}
	bpf_free(NULL);
}

static void linktype_name__known_and_unknown__text(void **state)
{
	(void)state;
	assert_string_equal(bpf_linktype_name(1), "EN10MB");
	assert_string_equal(bpf_linktype_name(101), "RAW");
	assert_string_equal(bpf_linktype_name(65000), "unknown");
	assert_string_equal(bpf_linktype_name(UINT32_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(match__every_link_type__reads_past_its_header),
	    cmocka_unit_test(match__frame_shorter_than_filter_reads__false),
	    cmocka_unit_test(new__mistakes__compilers_words_shown),
	    cmocka_unit_test(linktype_name__known_and_unknown__text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
