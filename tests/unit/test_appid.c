#include "dissect/appid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "replay.h"

static struct appid *ai;

static int make(void **state)
{
	(void)state;
	struct err err;
	return appid_new(&ai, 256, &err);
}

static int drop(void **state)
{
	(void)state;
	appid_free(ai);
	return 0;
}

static struct segment segment(uint8_t proto, uint16_t dport, const void *p, size_t n)
{
	struct segment s = {.ts_ns = 1,
			    .family = 4,
			    .proto = proto,
			    .src = {10, 0, 0, 1},
			    .dst = {104, 244, 42, 1},
			    .sport = 40000,
			    .dport = dport,
			    .payload = p,
			    .payload_captured_bytes = (uint32_t)n,
			    .payload_bytes = (uint32_t)n,
			    .tcp_seq = 1};
	return s;
}

/* A ClientHello with one cipher suite and a server name, built by hand. */
static size_t hello(uint8_t *to, const char *name)
{
	const size_t n = strlen(name), ext = 9 + n, body = 2 + 32 + 1 + 4 + 2 + 2 + ext;
	const uint8_t head[] = {22,
				3,
				1,
				(uint8_t)((body + 4) >> 8),
				(uint8_t)(body + 4),
				1,
				0,
				(uint8_t)(body >> 8),
				(uint8_t)body,
				3,
				3};
	memcpy(to, head, sizeof head);
	size_t at = sizeof head;
	memset(to + at, 0x5a, 32);
	at += 32;
	const uint8_t middle[] = {0,
				  0,
				  2,
				  0xc0,
				  0x2f,
				  1,
				  0,
				  (uint8_t)(ext >> 8),
				  (uint8_t)ext,
				  0,
				  0,
				  (uint8_t)((n + 5) >> 8),
				  (uint8_t)(n + 5),
				  (uint8_t)((n + 3) >> 8),
				  (uint8_t)(n + 3),
				  0,
				  (uint8_t)(n >> 8),
				  (uint8_t)n};
	memcpy(to + at, middle, sizeof middle);
	at += sizeof middle;
	memcpy(to + at, name, n);
	return at + n;
}

static enum appid_verdict tell(const struct segment *seg, struct appid_label *ret)
{
	struct appid_flow *af = appid_flow_get(ai);
	assert_non_null(af);
	enum appid_verdict v = appid_feed(ai, af, seg, true);
	appid_label(ai, af, ret);
	appid_flow_put(ai, af);
	return v;
}

static void feed__hello__name_and_ja3(void **state)
{
	(void)state;
	uint8_t p[600];
	struct segment seg = segment(6, 443, p, hello(p, "www.Dropbox.com"));
	struct appid_label l;
	assert_int_equal(tell(&seg, &l), APPID_KNOWN);
	assert_string_equal(l.protocol, "TLS.Dropbox");
	assert_string_equal(l.app_proto, "tls");
	assert_string_equal(l.name, "www.dropbox.com");
	assert_false(l.name_cut);
	assert_string_equal(l.ja3, "61cfdf1a447a978ff66f0880924eded7"); /* md5 of "771,49199,0,," */
}

static void feed__name_longer_than_79__tail_and_cut(void **state)
{
	(void)state;
	char name[121];
	memset(name, 'a', sizeof name);
	for (size_t i = 40; i < 120; i += 40)
		name[i] = '.';
	memcpy(name + 100, ".dropbox.com", 13);
	uint8_t p[600];
	struct segment seg = segment(6, 443, p, hello(p, name));
	struct appid_label l;
	tell(&seg, &l);
	assert_int_equal(strlen(l.name), 79);
	assert_true(l.name_cut);
	assert_string_equal(l.name, name + strlen(name) - 79);
}

/* The address is Twitter's: what the name does not say is not told (nDPI #718). */
static void feed__name_without_a_rule__no_service_by_address(void **state)
{
	(void)state;
	uint8_t p[600];
	struct segment seg = segment(6, 443, p, hello(p, "content.dropboxapi.com"));
	struct appid_label l;
	tell(&seg, &l);
	assert_string_equal(l.protocol, "TLS");
	assert_string_equal(l.name, "content.dropboxapi.com");
}

static void feed__nothing_to_recognise__gives_up_without_a_guess(void **state)
{
	(void)state;
	uint8_t p[100];
	memset(p, 0xc3, sizeof p);
	struct appid_label l;
	struct appid_flow *af = appid_flow_get(ai);
	enum appid_verdict v = APPID_MORE;
	int n = 0;
	for (; v == APPID_MORE; n++) {
		struct segment seg = segment(6, 443, p, sizeof p);
		seg.tcp_seq = 1 + (uint32_t)n * 100;
		v = appid_feed(ai, af, &seg, true);
	}
	appid_label(ai, af, &l);
	appid_flow_put(ai, af);
	assert_int_equal(v, APPID_GAVE_UP);
	assert_int_equal(n, APPID_MAX_PACKETS);
	assert_string_equal(l.protocol, "");
	assert_string_equal(l.app_proto, "");
}

static void feed__ssh_banner__eve_word(void **state)
{
	(void)state;
	static const char client[] = "SSH-2.0-OpenSSH_9.2\r\n",
			  server[] = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n";
	struct appid_flow *af = appid_flow_get(ai);
	struct segment seg = segment(6, 2222, client, sizeof client - 1);
	struct segment answer = segment(6, 40000, server, sizeof server - 1);
	memcpy(answer.src, seg.dst, 4);
	memcpy(answer.dst, seg.src, 4);
	answer.sport = 2222;
	enum appid_verdict v = appid_feed(ai, af, &seg, true);
	if (v == APPID_MORE)
		v = appid_feed(ai, af, &answer, false);
	struct appid_label l;
	appid_label(ai, af, &l);
	appid_flow_put(ai, af);
	assert_int_equal(v, APPID_KNOWN);
	assert_string_equal(l.app_proto, "ssh");
}

/* A43: 65,421 bytes of 0x7f behind a DNS header never come back from nDPI 4.2; cut, they do. */
static void feed__dns_of_65421_bytes__returns(void **state)
{
	(void)state;
	static uint8_t p[65507];
	memset(p, 0x7f, sizeof p);
	memcpy(p, (const uint8_t[]){0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 12);
	struct segment seg = segment(17, 53, p, sizeof p);
	struct appid_label l;
	struct timespec before, after;
	clock_gettime(CLOCK_MONOTONIC, &before);
	tell(&seg, &l);
	clock_gettime(CLOCK_MONOTONIC, &after);
	assert_in_range(
	    (uint64_t)((after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000), 0,
	    200);
}

static void feed__no_payload_or_other_protocol__refused_and_counted(void **state)
{
	(void)state;
	struct appid_stats before, after;
	appid_stats(ai, &before);
	struct appid_label l;
	struct segment empty = segment(6, 443, "x", 0), icmp = segment(1, 0, "x", 1),
		       sliced = segment(6, 443, "x", 1);
	sliced.payload_captured_bytes = 0;
	sliced.payload_bytes = 1000;
	tell(&empty, &l);
	tell(&icmp, &l);
	tell(&sliced, &l);
	appid_stats(ai, &after);
	assert_int_equal(after.refused - before.refused, 3);
	assert_int_equal(after.packets, before.packets);
}

static void flow_get__pool_used_up__null_and_counted(void **state)
{
	(void)state;
	struct appid *small;
	struct err err;
	assert_int_equal(appid_new(&small, 3, &err), 0);
	struct appid_flow *af[3];
	for (int i = 0; i < 3; i++)
		assert_non_null(af[i] = appid_flow_get(small));
	assert_null(appid_flow_get(small));
	struct appid_stats s;
	appid_stats(small, &s);
	assert_int_equal(s.refused, 1);
	assert_int_equal(s.flows_in_use, 3);
	appid_flow_put(small, af[1]);
	assert_ptr_equal(appid_flow_get(small), af[1]);
	appid_free(small);
}

/* Ports and addresses as they come make up the flows; each keeps its nDPI state through the whole capture,
 * which is the most that can be asked. */
static void hostile_packet(void *ctx, const struct packet *pkt)
{
	static struct {
		uint16_t low, high;
		struct appid_flow *af;
	} flows[64];
	int *fed = ctx;
	struct segment seg;
	struct decode_conf conf = {0};
	if (decode_frame(&conf, pkt, &seg) != DECODE_OK)
		return;
	uint16_t low = seg.sport < seg.dport ? seg.sport : seg.dport,
		 high = seg.sport < seg.dport ? seg.dport : seg.sport;
	size_t i = 0;
	while (i < 63 && flows[i].af && (flows[i].low != low || flows[i].high != high))
		i++;
	if (!flows[i].af)
		flows[i].af = appid_flow_get(ai);
	flows[i].low = low;
	flows[i].high = high;
	appid_feed(ai, flows[i].af, &seg, seg.sport == high);
	++*fed;
}

static void feed__hostile_captures__neither_crash_nor_hang(void **state)
{
	(void)state;
	const char *const names[] = {"hostile/ndpi42_bt_nullderef.pcap", "hostile/ndpi42_dns_hang.pcap"};
	for (size_t i = 0; i < 2; i++) {
		char path[512];
		int fed = 0;
		if (!replay_have(names[i]))
			skip();
		assert_true(replay_file(replay_shared(path, sizeof path, names[i]), hostile_packet, &fed));
		assert_true(fed > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(feed__hello__name_and_ja3),
	    cmocka_unit_test(feed__name_longer_than_79__tail_and_cut),
	    cmocka_unit_test(feed__name_without_a_rule__no_service_by_address),
	    cmocka_unit_test(feed__nothing_to_recognise__gives_up_without_a_guess),
	    cmocka_unit_test(feed__ssh_banner__eve_word),
	    cmocka_unit_test(feed__dns_of_65421_bytes__returns),
	    cmocka_unit_test(feed__no_payload_or_other_protocol__refused_and_counted),
	    cmocka_unit_test(flow_get__pool_used_up__null_and_counted),
	    cmocka_unit_test(feed__hostile_captures__neither_crash_nor_hang),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
