/* inspect: every rung of the ladder of names over hand-made flows, and the public captures against their
 * truth (tshark). */
#include "dissect/inspect.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "hello_build.h"
#include "walk.h"

static struct inspect *in;
static bool wanted_called;

static bool wants_dropbox(void *ctx, const char *name)
{
	(void)ctx;
	wanted_called = true;
	return strstr(name, "dropbox") != NULL;
}

static int make(void **state)
{
	(void)state;
	const struct inspect_conf conf = {.wants_label = wants_dropbox};
	struct err err;
	return inspect_new(&in, &conf, &err);
}

static int drop(void **state)
{
	(void)state;
	inspect_free(in);
	return 0;
}

/* One flow under way. */
struct talk {
	struct inspect_slot *slot;
	struct tls_app tls;
	uint32_t at[2];
	uint8_t proto;
	bool done;
	uint16_t port;
	uint64_t ts_ns;
};

static const struct facts_addr client_addr = {.ip = {10, 0, 0, 1}, .family = 4, .port = 40000};
static const struct facts_addr server_addr = {.ip = {203, 0, 113, 9}, .family = 4, .port = 443};

static struct talk begin(uint8_t proto)
{
	return (struct talk){.slot = inspect_open(in, proto),
			     .proto = proto,
			     .port = 443,
			     .ts_ns = UINT64_C(1700000000000000000)};
}

static void say_at(struct talk *t, bool up, uint32_t position, const void *p, size_t n, size_t on_wire)
{
	uint8_t *copy = malloc(n ? n : 1);
	if (n)
		memcpy(copy, p, n);
	struct segment seg = {.ts_ns = t->ts_ns += 1000000,
			      .family = 4,
			      .proto = t->proto,
			      .payload = copy,
			      .payload_captured_bytes = (uint32_t)n,
			      .payload_bytes = (uint32_t)on_wire,
			      .sport = up ? 40000 : t->port,
			      .dport = up ? t->port : 40000,
			      .tcp_seq = 1 + position};
	memcpy(up ? seg.src : seg.dst, client_addr.ip, 4);
	memcpy(up ? seg.dst : seg.src, server_addr.ip, 4);
	struct inspect_input input = {.seg = &seg,
				      .flow = 1,
				      .src = client_addr,
				      .dst = server_addr,
				      .start_ns = 1,
				      .position = position,
				      .acked = position,
				      .from_initiator = up,
				      .tls = &t->tls};
	if (!t->done)
		t->done = inspect_segment(in, t->slot, &input) == INSPECT_DONE;
	free(copy);
}

static void say(struct talk *t, bool up, const void *p, size_t n)
{
	say_at(t, up, t->at[up], p, n, n);
	t->at[up] += (uint32_t)n;
}

static struct label finish(struct talk *t)
{
	struct label l;
	uint32_t id =
	    inspect_close(in, t->slot, t->proto, &client_addr, &server_addr, UINT64_C(1700000001000000000));
	tls_app_end(&t->tls, inspect_tls_pool(in), 1);
	label_get(inspect_labels(in), id, &l);
	return l; /* the label lives as long as the table: these tests never give it back */
}

static size_t server_hello(uint8_t *to, uint16_t cipher, bool retry)
{
	static const uint8_t retry_random[32] = {
	    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	const uint8_t p[] = {22, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3};
	memcpy(to, p, sizeof p);
	memset(to + 11, 0x42, 32);
	if (retry)
		memcpy(to + 11, retry_random, 32);
	const uint8_t rest[] = {0, (uint8_t)(cipher >> 8), (uint8_t)cipher, 0, 0, 6, 0, 43, 0, 2, 3, 4};
	memcpy(to + 43, rest, sizeof rest);
	return 55;
}

static void tls__one_segment__sni_and_version(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	uint8_t p[64];
	build_client_stream(&b, "Files.Example.COM", 0, 16384);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	assert_false(t.done);
	say(&t, false, p, server_hello(p, 0x1301, false));
	assert_true(t.done);
	struct label l = finish(&t);
	assert_string_equal(l.name, "files.example.com");
	assert_int_equal(l.name_source, FACTS_NAME_TLS_SNI);
	assert_string_equal(l.app_proto, "tls");
	assert_string_equal(l.alpn, "h2,http/1.1");
	assert_int_equal(l.tls_version, 0x0304);
	assert_int_equal(l.flags, 0);
	assert_null(l.ndpi_protocol);
}

static void tls__catalogued_name__labelled_by_ndpi_however_it_was_cut(void **state)
{
	(void)state;
	const size_t steps[] = {16384, 100, 16384};
	for (size_t i = 0; i < 3; i++) {
		static struct build b;
		b.n = 0;
		build_client_stream(&b, "www.dropbox.com", 1200, steps[i]);
		struct talk t = begin(6);
		size_t half = b.n / 2;
		if (i == 2) { /* the second half first */
			say_at(&t, true, (uint32_t)half, b.at + half, b.n - half, b.n - half);
			say_at(&t, true, 0, b.at, half, half);
		} else {
			say(&t, true, b.at, b.n);
		}
		struct label l = finish(&t);
		assert_string_equal(l.name, "www.dropbox.com");
		assert_string_equal(l.ndpi_protocol, "TLS.Dropbox");
		assert_string_equal(l.ndpi_name, "www.dropbox.com");
		assert_int_equal(strlen(l.ja3), 32);
		assert_int_equal(l.flags & FACTS_NDPI_DIFFERS, 0);
	}
}

static void tls__one_byte_segments__same_name(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	build_client_stream(&b, "one.example", 900, 200);
	struct talk t = begin(6);
	for (size_t i = 0; i < b.n; i++)
		say(&t, true, b.at + i, 1);
	struct label l = finish(&t);
	assert_string_equal(l.name, "one.example");
	assert_null(l.ndpi_protocol);
}

static void tls__overlap_with_another_name__both_told(void **state)
{
	(void)state;
	static struct build one, two;
	one.n = two.n = 0;
	build_client_stream(&one, "aaaaaaa.example", 0, 16384);
	build_client_stream(&two, "bbbbbbb.example", 0, 16384);
	assert_int_equal(one.n, two.n);
	for (int whole = 0; whole < 2; whole++) {
		struct talk t = begin(6);
		if (whole) {
			say_at(&t, true, 0, one.at, one.n, one.n);
			say_at(&t, true, 0, two.at, two.n, two.n);
		} else {
			say_at(&t, true, 0, one.at, one.n - 20, one.n - 20);
			say_at(&t, true, 1, two.at + 1, two.n - 1, two.n - 1);
		}
		struct label l = finish(&t);
		assert_string_equal(l.name, "aaaaaaa.example");
		assert_true(l.flags & FACTS_SNI_AMBIGUOUS);
		assert_int_equal(l.n_candidates, 2);
		assert_string_equal(l.candidates[0], "aaaaaaa.example");
		assert_string_equal(l.candidates[1], "bbbbbbb.example");
	}
}

static void tls__retry_with_another_name__both_told(void **state)
{
	(void)state;
	static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
	static struct build one, two;
	one.n = two.n = 0;
	uint8_t p[64];
	build_client_stream(&one, "first.example", 0, 16384);
	build_client_stream(&two, "second.example", 0, 16384);
	struct talk t = begin(6);
	say(&t, true, one.at, one.n);
	say(&t, false, p, server_hello(p, 0x1301, true));
	assert_false(t.done);
	say(&t, true, ccs, sizeof ccs);
	say(&t, true, two.at, two.n);
	say(&t, false, ccs, sizeof ccs);
	say(&t, false, p, server_hello(p, 0x1301, false));
	assert_true(t.done);
	struct label l = finish(&t);
	assert_string_equal(l.name, "first.example");
	assert_true(l.flags & FACTS_SNI_AMBIGUOUS);
	assert_int_equal(l.n_candidates, 2);
	assert_int_equal(l.tls_version, 0x0304);
}

static void hello_with_ech(struct build *b, const char *name, size_t n_payload)
{
	static struct build body, message, ech;
	body.n = message.n = ech.n = 0;
	build_hello_head(&body);
	size_t mark = build_open(&body, 2);
	build_sni(&body, name, strlen(name));
	build_u8(&ech, 0);
	build_u16(&ech, 1);
	build_u16(&ech, 1);
	build_u8(&ech, 7);
	build_u16(&ech, 32);
	build_zeros(&ech, 32);
	build_u16(&ech, (unsigned)n_payload);
	build_zeros(&ech, n_payload);
	build_extension(&body, 0xfe0d, ech.at, ech.n);
	build_usual_extensions(&body, 0);
	build_close(&body, mark, 2);
	build_message(&message, 1, &body);
	build_records(b, &message, 16384);
}

static void ech__real_offer__outer_name_and_never_a_service(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	hello_with_ech(&b, "cloudflare-ech.com", 144);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	struct label l = finish(&t);
	assert_int_equal(l.name_source, FACTS_NAME_ECH_OUTER);
	assert_string_equal(l.name, "cloudflare-ech.com");
	assert_true(l.flags & FACTS_ECH);
}

static void ech__grease__name_stands_and_flag(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	hello_with_ech(&b, "content.dropboxapi.com", 208);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	struct label l = finish(&t);
	assert_int_equal(l.name_source, FACTS_NAME_TLS_SNI);
	assert_true(l.flags & FACTS_ECH);
}

static void http__host__rung_and_word(void **state)
{
	(void)state;
	static const char request[] =
	    "PUT /x HTTP/1.1\r\nHost: Up.Example:8080\r\nContent-Length: 1\r\n\r\nx";
	struct talk t = begin(6);
	say(&t, true, request, 10);
	say(&t, true, request + 10, sizeof request - 11);
	assert_true(t.done);
	struct label l = finish(&t);
	assert_string_equal(l.name, "up.example");
	assert_string_equal(l.http_host, "up.example");
	assert_int_equal(l.name_source, FACTS_NAME_HTTP_HOST);
	assert_string_equal(l.app_proto, "http");
}

static void connect__tls_inside__both_names_and_application_bytes(void **state)
{
	(void)state;
	static const char request[] = "CONNECT proxy-target.example:443 HTTP/1.1\r\n\r\n",
			  answer[] = "HTTP/1.1 200 OK\r\n\r\n";
	static struct build b;
	b.n = 0;
	uint8_t p[2000] = {23, 3, 3};
	build_client_stream(&b, "inner.example", 0, 16384);
	struct talk t = begin(6);
	say(&t, true, request, sizeof request - 1);
	say(&t, false, answer, sizeof answer - 1);
	say(&t, true, b.at, b.n);
	uint8_t sh[64];
	say(&t, false, sh, server_hello(sh, 0xc02f, false));
	assert_true(t.done);
	const uint16_t data = 1000 + 24;
	p[3] = (uint8_t)(data >> 8);
	p[4] = (uint8_t)(data & 255);
	struct tls_app_segment seg = {.flow = 1,
				      .dir = 0,
				      .position = t.at[1],
				      .payload = p,
				      .captured_bytes = 5u + data,
				      .bytes = 5u + data};
	tls_app_add(&t.tls, inspect_tls_pool(in), &seg);
	assert_true(tls_app_known(&t.tls));
	assert_int_equal(tls_app_take(&t.tls, 0), 1000);
	struct label l = finish(&t);
	assert_string_equal(l.name, "inner.example");
	assert_int_equal(l.name_source, FACTS_NAME_TLS_SNI);
	assert_string_equal(l.connect_host, "proxy-target.example");
	assert_string_equal(l.app_proto, "tls");
}

static void connect__nothing_inside__connect_rung(void **state)
{
	(void)state;
	static const char request[] = "CONNECT target.example:22 HTTP/1.1\r\n\r\n";
	struct talk t = begin(6);
	say(&t, true, request, sizeof request - 1);
	struct label l = finish(&t);
	assert_string_equal(l.name, "target.example");
	assert_int_equal(l.name_source, FACTS_NAME_CONNECT_HOST);
}

static const uint8_t dns_answer[] = {0x12, 0x34, 0x81, 0x80, 0,   1,   0,   1,   0, 0, 0,   0, 5,   'f',  'i',
				     'l',  'e',  's',  4,    't', 'e', 's', 't', 0, 0, 1,   0, 1,   0xc0, 12,
				     0,    1,    0,    1,    0,   0,   0,   60,  0, 4, 203, 0, 113, 9};

static void dns__answer_before_a_nameless_flow__names_it(void **state)
{
	(void)state;
	struct talk d = begin(17);
	d.port = 53;
	say(&d, false, dns_answer, sizeof dns_answer);
	assert_true(d.done);
	struct label l = finish(&d);
	assert_string_equal(l.app_proto, "dns");
	static struct build b;
	b.n = 0;
	build_client_stream(&b, NULL, 0, 16384);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	l = finish(&t);
	assert_string_equal(l.name, "files.test");
	assert_int_equal(l.name_source, FACTS_NAME_DNS_ANSWER);
	assert_string_equal(l.app_proto, "tls");
	/* without any payload, too */
	uint32_t id = inspect_close(in, NULL, 6, &client_addr, &server_addr, UINT64_C(1700000001000000000));
	label_get(inspect_labels(in), id, &l);
	assert_string_equal(l.name, "files.test");
	/* but not another client's */
	struct facts_addr other = client_addr;
	other.ip[3] = 2;
	assert_int_equal(inspect_close(in, NULL, 6, &other, &server_addr, UINT64_C(1700000001000000000)), 0);
}

static void dns__sni_at_hand__sni_wins(void **state)
{
	(void)state;
	struct talk d = begin(17);
	d.port = 53;
	say(&d, false, dns_answer, sizeof dns_answer);
	finish(&d);
	static struct build b;
	b.n = 0;
	build_client_stream(&b, "said.example", 0, 16384);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	assert_string_equal(finish(&t).name, "said.example");
}

static void tls__hello_cut_by_the_snap_length__flag_and_no_name(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	build_client_stream(&b, "cut.example", 0, 16384);
	struct talk t = begin(6);
	say_at(&t, true, 0, b.at, 42, b.n);
	struct label l = finish(&t);
	assert_int_not_equal(l.name_source, FACTS_NAME_TLS_SNI);
	assert_true(l.flags & FACTS_SNI_MISSING);
	assert_string_equal(l.app_proto, "tls");
}

static void tls__name_that_is_none__kept_escaped_and_flagged(void **state)
{
	(void)state;
	static struct build body, message, b;
	body.n = message.n = b.n = 0;
	build_hello_head(&body);
	size_t mark = build_open(&body, 2);
	build_sni(&body, "bad\0name.example", 16);
	build_close(&body, mark, 2);
	build_message(&message, 1, &body);
	build_records(&b, &message, 16384);
	struct talk t = begin(6);
	say(&t, true, b.at, b.n);
	struct label l = finish(&t);
	assert_string_equal(l.sni, "bad\\x00name.example");
	assert_true(l.flags & FACTS_SNI_INVALID);
	assert_int_not_equal(l.name_source, FACTS_NAME_TLS_SNI);
}

static void tls__responder_sends_the_hello__found(void **state)
{
	(void)state;
	static struct build b;
	b.n = 0;
	uint8_t p[64];
	build_client_stream(&b, "ftp-data.example", 0, 16384);
	struct talk t = begin(6);
	say(&t, false, b.at, b.n);
	say(&t, true, p, server_hello(p, 0x1301, false));
	assert_true(t.done);
	assert_string_equal(finish(&t).name, "ftp-data.example");
}

static void unknown__nothing_recognised__ends_by_the_limits(void **state)
{
	(void)state;
	uint8_t p[700];
	memset(p, 0xc3, sizeof p);
	struct talk t = begin(6);
	int n = 0;
	for (; n < 1000 && !t.done; n++)
		say(&t, true, p, sizeof p);
	assert_in_range(n, 1, 24);
	struct label l = finish(&t);
	assert_null(l.app_proto);
	struct talk late = begin(6);
	say(&late, true, p, 100);
	late.ts_ns += UINT64_C(11000000000);
	say(&late, false, p, 100);
	assert_true(late.done);
	finish(&late);
}

static void open__slots_used_up__null_and_counted(void **state)
{
	(void)state;
	struct inspect *small;
	struct err err;
	const struct inspect_conf conf = {.max_slots = 2};
	assert_int_equal(inspect_new(&small, &conf, &err), 0);
	struct inspect_slot *a = inspect_open(small, 6);
	assert_non_null(a);
	assert_non_null(inspect_open(small, 17));
	assert_null(inspect_open(small, 6));
	struct inspect_stats s;
	inspect_stats(small, &s);
	assert_int_equal(s.slots_refused, 1);
	inspect_close(small, a, 6, &client_addr, &server_addr, 1);
	assert_ptr_equal(inspect_open(small, 6), a);
	inspect_free(small);
}

/* The budget for bytes put together holds over all flows, and is given back. */
static void segment__assembly_budget_used_up__refused_and_counted(void **state)
{
	(void)state;
	struct inspect *saved = in;
	struct err err;
	const struct inspect_conf conf = {.max_assembly_bytes = 20000};
	assert_int_equal(inspect_new(&in, &conf, &err), 0);
	static struct talk t[50];
	static struct build b;
	b.n = 0;
	build_client_stream(&b, "many.example", 1200, 16384);
	for (int i = 0; i < 50; i++) {
		t[i] = begin(6);
		say(&t[i], true, b.at, 900);
	}
	struct inspect_stats s;
	inspect_stats(in, &s);
	assert_true(s.assembly_refused > 0);
	for (int i = 0; i < 50; i++)
		finish(&t[i]);
	struct talk last = begin(6);
	say(&last, true, b.at, 900);
	say(&last, true, b.at + 900, b.n - 900);
	assert_string_equal(finish(&last).name, "many.example");
	inspect_free(in);
	in = saved;
}

/* One row of truth.tsv that is a TLS or QUIC name. */
struct truth {
	char capture[128], proto[4], src[48], dst[48], sni[300], kind[8];
	unsigned sport, dport;
};

static bool read_truth(FILE *f, struct truth *ret)
{
	static char line[2048];
	char *field[20];
	if (!fgets(line, sizeof line, f))
		return false;
	size_t n = 0;
	for (char *p = line; p && n < 20; n++) {
		field[n] = p;
		p = strchr(p, '\t');
		if (p)
			*p++ = 0;
	}
	*ret = (struct truth){0};
	if (n < 18)
		return true;
	snprintf(ret->capture, sizeof ret->capture, "%s", field[0]);
	snprintf(ret->proto, sizeof ret->proto, "%s", field[2]);
	snprintf(ret->src, sizeof ret->src, "%s", field[3]);
	snprintf(ret->dst, sizeof ret->dst, "%s", field[5]);
	snprintf(ret->sni, sizeof ret->sni, "%s", field[7]);
	snprintf(ret->kind, sizeof ret->kind, "%s", field[17]);
	ret->sport = (unsigned)strtoul(field[4], NULL, 10);
	ret->dport = (unsigned)strtoul(field[6], NULL, 10);
	return true;
}

static bool is_addr(const struct facts_addr *a, const char *text, unsigned port)
{
	char buf[64];
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, buf, sizeof buf);
	return a->port == port && strcmp(buf, text) == 0;
}

static bool has_name(const struct walk *w, const struct truth *t)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct walk_flow *f = &w->flows[i];
		bool up = is_addr(&f->a, t->src, t->sport) && is_addr(&f->b, t->dst, t->dport);
		bool down = is_addr(&f->b, t->src, t->sport) && is_addr(&f->a, t->dst, t->dport);
		struct label l;
		label_get(inspect_labels(w->in), f->label, &l);
		if ((up || down) && l.sni && strcasecmp(l.sni, t->sni) == 0)
			return true;
	}
	return false;
}

/* Names of all public captures. */
static void captures__names__as_tshark_has_them(void **state)
{
	(void)state;
	char path[512], now[128] = "";
	if (!replay_have("names/truth.tsv"))
		skip();
	FILE *f = fopen(replay_shared(path, sizeof path, "names/truth.tsv"), "r");
	struct walk w = {.in = in};
	static struct truth t;
	unsigned right = 0, wrong = 0;
	while (read_truth(f, &t)) {
		if (strcmp(t.kind, "tls") != 0 && strcmp(t.kind, "quic") != 0)
			continue;
		if (strcmp(now, t.capture) != 0) {
			char name[200];
			walk_forget(&w);
			defrag_free(w.defrag);
			w.defrag = defrag_new();
			snprintf(name, sizeof name, "names/%s", t.capture);
			snprintf(now, sizeof now, "%s", t.capture);
			if (!replay_file(replay_shared(path, sizeof path, name), walk_packet, &w))
				continue;
			walk_end(&w);
		}
		if (has_name(&w, &t))
			right++;
		else if (++wrong)
			printf("  no name: %s %s:%u %s\n", t.capture, t.src, t.sport, t.sni);
	}
	fclose(f);
	walk_forget(&w);
	defrag_free(w.defrag);
	printf("  %u names right, %u not\n", right, wrong);
	assert_true(right >= 856);
	assert_int_equal(wrong, 0);
}

struct upload {
	const char *capture;
	uint64_t least, most;
};

/* curl sent 3,000,000 bytes and a header; Chromium 2,500,000 in HTTP/2 frames, and a quarter of its packets
 * were not captured. */
static void captures__uploads__application_bytes(void **state)
{
	(void)state;
	const struct upload uploads[] = {{"captures/dropbox_curl_h1.pcap", 3000100, 3000300},
					 {"captures/chrome_tcp_h2_lossy.pcap", 2500500, 2504000}};
	char path[512];
	for (size_t i = 0; i < 2; i++) {
		if (!replay_have(uploads[i].capture))
			skip();
		struct walk w = {.in = in, .defrag = defrag_new()};
		assert_true(
		    replay_file(replay_shared(path, sizeof path, uploads[i].capture), walk_packet, &w));
		walk_end(&w);
		assert_int_equal(w.n, 1);
		assert_true(tls_app_known(&w.flows[0].tls));
		assert_in_range(w.flows[0].app[0], uploads[i].least, uploads[i].most);
		assert_in_range(w.flows[0].app[1], 100, 3000);
		walk_forget(&w);
		defrag_free(w.defrag);
	}
	assert_true(wanted_called);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tls__one_segment__sni_and_version),
	    cmocka_unit_test(tls__catalogued_name__labelled_by_ndpi_however_it_was_cut),
	    cmocka_unit_test(tls__one_byte_segments__same_name),
	    cmocka_unit_test(tls__overlap_with_another_name__both_told),
	    cmocka_unit_test(tls__retry_with_another_name__both_told),
	    cmocka_unit_test(ech__real_offer__outer_name_and_never_a_service),
	    cmocka_unit_test(ech__grease__name_stands_and_flag),
	    cmocka_unit_test(http__host__rung_and_word),
	    cmocka_unit_test(connect__tls_inside__both_names_and_application_bytes),
	    cmocka_unit_test(connect__nothing_inside__connect_rung),
	    cmocka_unit_test(tls__hello_cut_by_the_snap_length__flag_and_no_name),
	    cmocka_unit_test(tls__name_that_is_none__kept_escaped_and_flagged),
	    cmocka_unit_test(tls__responder_sends_the_hello__found),
	    cmocka_unit_test(unknown__nothing_recognised__ends_by_the_limits),
	    cmocka_unit_test(open__slots_used_up__null_and_counted),
	    cmocka_unit_test(segment__assembly_budget_used_up__refused_and_counted),
	    cmocka_unit_test(captures__names__as_tshark_has_them),
	    cmocka_unit_test(captures__uploads__application_bytes),
	    cmocka_unit_test(dns__answer_before_a_nameless_flow__names_it),
	    cmocka_unit_test(dns__sni_at_hand__sni_wins),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
