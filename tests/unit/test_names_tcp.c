/* Names of TLS over TCP through the whole path, one test per kind of stream that page "names" lists (F-H,
 * J-L, N, O, Q-S). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hello_build.h"
#include "tests/unit/wire.h"

#define TEXT(s) s, sizeof(s) - 1

static struct wire *w;
static struct build stream;
static const char *const name = "upload.example.com";

static bool wants_dropbox(void *ctx, const char *host)
{
	(void)ctx;
	return strstr(host, "dropbox") != NULL;
}

static int make(void **state)
{
	(void)state;
	w = wire_new((struct track_conf){.wants_label = wants_dropbox});
	return 0;
}

static int drop(void **state)
{
	(void)state;
	wire_free(w);
	return 0;
}

static void make_stream(const char *sni, size_t n_pad, size_t step)
{
	stream.n = 0;
	build_client_stream(&stream, sni, n_pad, step);
}

static void ends_with(const char *want, uint8_t source)
{
	const struct heard *h = wire_end(w);
	assert_non_null(h);
	assert_string_equal(h->name, want);
	assert_int_equal(h->source, source);
}

static size_t server_hello(uint8_t *to, unsigned cipher, bool retry)
{
	static const uint8_t retry_random[32] = {
	    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	const uint8_t head[] = {22, 3, 3, 0, 50, 2, 0, 0, 46, 3, 3};
	const uint8_t rest[] = {0, (uint8_t)(cipher >> 8), (uint8_t)cipher, 0, 0, 6, 0, 43, 0, 2, 3, 4};
	memcpy(to, head, sizeof head);
	memset(to + 11, 0x42, 32);
	if (retry)
		memcpy(to + 11, retry_random, 32);
	memcpy(to + 43, rest, sizeof rest);
	return 55;
}

/* In segments of step bytes: in order, backwards, every second one first, each twice. */
enum order { ORDER_PLAIN, ORDER_BACK, ORDER_ODD_FIRST, ORDER_TWICE, ORDER_COUNT };

static void send_cut(size_t step, enum order order)
{
	size_t n = (stream.n + step - 1) / step;
	uint32_t base = w->at[0];
	for (unsigned round = 0; round < (order == ORDER_ODD_FIRST ? 2 : 1); round++)
		for (size_t i = 0; i < n; i++) {
			size_t k = order == ORDER_BACK ? n - 1 - i : i, at = k * step;
			size_t some = stream.n - at < step ? stream.n - at : step;
			if (order == ORDER_ODD_FIRST && k % 2 == round)
				continue;
			for (unsigned copy = 0; copy < (order == ORDER_TWICE ? 2 : 1); copy++)
				wire_say_at(w, 0, base + (uint32_t)at, stream.at + at, some);
		}
}

static void cut__any_segments_records_and_orders__same_name(void **state)
{
	(void)state;
	static const size_t records[] = {1, 3, 100, 700, 16384},
			    segments[] = {1, 5, 64, 132, 700, 1400, 9000};
	for (size_t r = 0; r < 5; r++)
		for (size_t s = 0; s < 7; s++)
			for (enum order o = 0; o < ORDER_COUNT; o++) {
				wire_reset(w);
				w->v6 = s & 1;
				make_stream(name, r % 2 ? 1300 : 200, records[r]);
				wire_open(w);
				send_cut(segments[s], o);
				ends_with(name, FACTS_NAME_TLS_SNI);
			}
}

/* A16, F: 16 KB of hello; the sequence numbers wrap inside it; no handshake was seen. */
static void cut__large_wrapped_or_without_a_handshake__same_name(void **state)
{
	(void)state;
	for (int wrap = 0; wrap < 2; wrap++)
		for (int syn = 0; syn < 2; syn++)
			for (enum order o = 0; o < ORDER_COUNT; o++) {
				wire_reset(w);
				make_stream(name, 15000, 16384);
				w->isn[0] = wrap ? UINT32_MAX - 3000 : 1;
				if (syn)
					wire_open(w);
				else if (o == ORDER_BACK || o == ORDER_ODD_FIRST)
					wire_tcp(w, 0, FRAME_ACK, 0, NULL, 0);
				send_cut(1460, o);
				ends_with(name, FACTS_NAME_TLS_SNI);
			}
}

/* G: 700 bytes, then 1,400 from the start: what both carry is equal. H: the first segment twice; a keep-alive
 * before. */
static void overlap__same_bytes__no_ambiguity(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		wire_reset(w);
		make_stream(name, 1500, 16384);
		wire_open(w);
		if (kind == 0) {
			wire_say_at(w, 0, 0, stream.at, 700);
			wire_say_at(w, 0, 0, stream.at, 1400);
			wire_say_at(w, 0, 1400, stream.at + 1400, stream.n - 1400);
		} else if (kind == 1) {
			wire_say_at(w, 0, 0, stream.at, 1400);
			wire_say_at(w, 0, 0, stream.at, 1400);
			wire_say_at(w, 0, 1000, stream.at + 1000, stream.n - 1000);
		} else {
			wire_tcp(w, 0, FRAME_ACK, UINT32_MAX, "x", 1);
			send_cut(1400, ORDER_PLAIN);
		}
		const struct heard *h = wire_end(w);
		assert_string_equal(h->name, name);
		assert_int_equal(h->flags & (FACTS_SNI_AMBIGUOUS | FACTS_OVERLAP_DIFF), 0);
	}
}

/* A02: two readings of the same sequence numbers; from..to of the second is sent over the first, before or
 * after it is whole. */
static void overlap__other_bytes__both_names_and_both_flags(void **state)
{
	(void)state;
	static struct build other;
	other.n = 0;
	build_client_stream(&other, "evil.eg.example.io", 200, 16384);
	make_stream(name, 200, 16384);
	assert_int_equal(other.n, stream.n);
	size_t sni = (size_t)((uint8_t *)memmem(stream.at, stream.n, name, strlen(name)) - stream.at);
	const struct {
		size_t first, from, to; /* the first reading is sent in segments of first bytes */
	} cases[] = {{stream.n, 0, stream.n},  {stream.n, sni, sni + 18}, {stream.n, 20, stream.n - 3},
		     {stream.n, 0, sni + 18},  {100, 0, stream.n},        {100, sni - 5, sni + 40},
		     {sni + 9, sni, sni + 18}, {stream.n, sni, stream.n}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int before = 0; before < 2; before++) {
			wire_reset(w);
			struct track_stats was, s;
			track_stats(w->tr, &was);
			wire_open(w);
			if (before) /* out of order: held while the first byte is missing */
				wire_say_at(w, 0, cases[i].from ? (uint32_t)cases[i].from : 1,
					    other.at + (cases[i].from ? cases[i].from : 1),
					    cases[i].to - (cases[i].from ? cases[i].from : 1));
			w->at[0] = 0;
			send_cut(cases[i].first, ORDER_PLAIN);
			if (!before)
				wire_say_at(w, 0, (uint32_t)cases[i].from, other.at + cases[i].from,
					    cases[i].to - cases[i].from);
			const struct heard *h = wire_end(w);
			track_stats(w->tr, &s);
			if (!(h->flags & FACTS_SNI_AMBIGUOUS) || !(h->flags & FACTS_OVERLAP_DIFF))
				fail_msg("case %zu, %s: flags %x", i, before ? "before" : "after", h->flags);
			assert_string_equal(h->candidates, "evil.eg.example.io,upload.example.com");
			assert_int_equal(s.overlap_diff, was.overlap_diff + 1);
		}
}

/* A02: the end of the second reading comes first, then a beginning of the first that goes on over the name. */
static void overlap__end_of_the_other_first__both_names(void **state)
{
	(void)state;
	static struct build other;
	other.n = 0;
	build_client_stream(&other, "evil.eg.example.io", 200, 16384);
	make_stream(name, 200, 16384);
	size_t sni = (size_t)((uint8_t *)memmem(stream.at, stream.n, name, strlen(name)) - stream.at);
	wire_reset(w);
	wire_open(w);
	wire_say_at(w, 0, (uint32_t)sni - 5, other.at + sni - 5, other.n - sni + 5);
	wire_say_at(w, 0, 0, stream.at, sni + 30);
	const struct heard *h = wire_end(w);
	assert_true(h->flags & FACTS_SNI_AMBIGUOUS);
	assert_string_equal(h->candidates, "evil.eg.example.io,upload.example.com");
}

static void overlap__differs_outside_the_name__flag_only(void **state)
{
	(void)state;
	static struct build other;
	make_stream(name, 200, 16384);
	other = stream;
	other.at[20] ^= 1; /* the random */
	wire_reset(w);
	wire_open(w);
	send_cut(stream.n, ORDER_PLAIN);
	wire_say_at(w, 0, 10, other.at + 10, 60);
	const struct heard *h = wire_end(w);
	assert_string_equal(h->name, name);
	assert_true(h->flags & FACTS_OVERLAP_DIFF);
	assert_false(h->flags & FACTS_SNI_AMBIGUOUS);
}

/* K: the first segment was lost, or one in the middle: nothing is made of what lies beyond the hole. */
static void lost__segment_of_the_hello__never_a_wrong_name(void **state)
{
	(void)state;
	make_stream(name, 1500, 16384);
	size_t sni = (size_t)((uint8_t *)memmem(stream.at, stream.n, name, strlen(name)) - stream.at);
	for (size_t hole = 0; hole < sni + 18; hole += 10) {
		wire_reset(w);
		wire_open(w);
		wire_say_at(w, 0, 0, stream.at, hole);
		wire_say_at(w, 0, (uint32_t)hole + 10, stream.at + hole + 10, stream.n - hole - 10);
		const struct heard *h = wire_end(w);
		assert_string_equal(h->name, "");
	}
	/* A28: cut by the snap length behind the name it is told, before not */
	for (uint32_t snaplen = 60; snaplen < 400; snaplen++) {
		wire_reset(w);
		wire_open(w);
		w->snaplen = snaplen;
		send_cut(1400, ORDER_PLAIN);
		const struct heard *h = wire_end(w);
		assert_string_equal(h->name, snaplen >= 54 + sni + 18 ? name : "");
		assert_true(h->flags & FACTS_SLICED);
	}
}

/* L. 'C' and 'S' say who speaks; the hello follows the last line. */
struct dialogue {
	const char *what, *connect;
	uint16_t port;
	struct {
		char who;
		const char *text;
		size_t n;
	} lines[8];
};

static const struct dialogue dialogues[] = {
    {"smtp",
     "",
     587,
     {{'S', TEXT("220 mx ready\r\n")},
      {'C', TEXT("EHLO me.example\r\n")},
      {'S', TEXT("250-mx\r\n250 STARTTLS\r\n")},
      {'C', TEXT("STARTTLS\r\n")},
      {'S', TEXT("220 go\r\n")}}},
    {"imap",
     "",
     143,
     {{'S', TEXT("* OK ready\r\n")},
      {'C', TEXT("a1 CAPABILITY\r\n")},
      {'S', TEXT("* CAPABILITY STARTTLS\r\na1 OK\r\n")},
      {'C', TEXT("a2 STARTTLS\r\n")},
      {'S', TEXT("a2 OK\r\n")}}},
    {"pop3",
     "",
     110,
     {{'S', TEXT("+OK\r\n")},
      {'C', TEXT("CAPA\r\n")},
      {'S', TEXT("+OK\r\nSTLS\r\n.\r\n")},
      {'C', TEXT("STLS\r\n")},
      {'S', TEXT("+OK\r\n")}}},
    {"ftp",
     "",
     21,
     {{'S', TEXT("220 ftp\r\n")},
      {'C', TEXT("FEAT\r\n")},
      {'S', TEXT("211 end\r\n")},
      {'C', TEXT("AUTH TLS\r\n")},
      {'S', TEXT("234 go\r\n")}}},
    {"ldap",
     "",
     389,
     {{'C', TEXT("\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
		 "1.3.6.1.4.1.1466.20037")},
      {'S', TEXT("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\0\x04\0\x04\0")}}},
    {"postgresql", "", 5432, {{'C', TEXT("\0\0\0\x08\x04\xd2\x16\x2f")}, {'S', TEXT("S")}}},
    {"postgresql after gss",
     "",
     5432,
     {{'C', TEXT("\0\0\0\x08\x04\xd2\x16\x30")},
      {'S', TEXT("N")},
      {'C', TEXT("\0\0\0\x08\x04\xd2\x16\x2f")},
      {'S', TEXT("S")}}},
    {"mysql",
     "",
     3306,
     {{'S', TEXT("\x05\0\0\0\x0a"
		 "8.0\0")},
      {'C',
       TEXT("\x20\0\0\x01\x85\xae\xff\x19\0\0\0\x01\xff\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")}}},
    {"rdp",
     "",
     3389,
     {{'C', TEXT("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x01\0\0\0")},
      {'S', TEXT("\x03\0\0\x13\x0e\xd0\0\0\0\0\0\x02\0\x08\0\x01\0\0\0")}}},
    {"xmpp",
     "",
     5222,
     {{'C', TEXT("<?xml version='1.0'?><stream:stream to='x.example'>")},
      {'S', TEXT("<stream:features><starttls/></stream:features>")},
      {'C', TEXT("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")},
      {'S', TEXT("<proceed/>")}}},
    {"socks4",
     "",
     1080,
     {{'C', TEXT("\x04\x01\x01\xbb\xcb\0\x71\x09me\0")}, {'S', TEXT("\0\x5a\x01\xbb\xcb\0\x71\x09")}}},
    {"socks4a",
     "target.example",
     1080,
     {{'C', TEXT("\x04\x01\x01\xbb\0\0\0\x01me\0target.example\0")},
      {'S', TEXT("\0\x5a\x01\xbb\0\0\0\x01")}}},
    {"socks5",
     "target.example",
     1080,
     {{'C', TEXT("\x05\x02\0\x02")},
      {'S', TEXT("\x05\0")},
      {'C', TEXT("\x05\x01\0\x03\x0etarget.example\x01\xbb")},
      {'S', TEXT("\x05\0\0\x01\0\0\0\0\0\0")}}},
    {"socks5 password",
     "target.example",
     1080,
     {{'C', TEXT("\x05\x01\x02")},
      {'S', TEXT("\x05\x02")},
      {'C', TEXT("\x01\x02me\x02pw")},
      {'S', TEXT("\x01\0")},
      {'C', TEXT("\x05\x01\0\x03\x0etarget.example\x01\xbb")},
      {'S', TEXT("\x05\0\0\x01\0\0\0\0\0\0")}}},
    {"connect",
     "target.example",
     8080,
     {{'C', TEXT("CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\n\r\n")},
      {'S', TEXT("HTTP/1.1 200 Connection established\r\n\r\n")}}},
    {"connect refused once",
     "target.example",
     3128,
     {{'C', TEXT("CONNECT target.example:443 HTTP/1.1\r\n\r\n")},
      {'S', TEXT("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")},
      {'C', TEXT("CONNECT target.example:443 HTTP/1.1\r\nProxy-Authorization: Basic bWU6cHc=\r\n\r\n")},
      {'S', TEXT("HTTP/1.1 200 OK\r\n\r\n")}}},
    {"proxy v1", "", 443, {{'C', TEXT("PROXY TCP4 192.0.2.7 203.0.113.9 56324 443\r\n")}}},
    {"proxy v2",
     "",
     443,
     {{'C', TEXT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xcb\0\x71\x09\xdc\x04\x01\xbb")}}},
    {"unknown binary",
     "",
     9999,
     {{'C', TEXT("\x81\x02\x03\x04\x05\x06\x07\x08\x09")}, {'S', TEXT("\x90\x01")}}},
};

static void talk_through(const struct dialogue *d)
{
	w->sport = d->port;
	wire_open(w);
	for (size_t i = 0; i < 8 && d->lines[i].who; i++)
		wire_say(w, d->lines[i].who == 'S', d->lines[i].text, d->lines[i].n);
}

static void starttls__every_protocol_and_cut__inner_name_and_connect_host(void **state)
{
	(void)state;
	static const size_t steps[] = {9000, 200, 1};
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++)
		for (size_t k = 0; k < 3; k++) {
			const struct dialogue *d = &dialogues[i];
			/* Behind what nobody knows a hello begins at one of the first 24 segments. */
			if (!strcmp(d->what, "unknown binary") && steps[k] == 1)
				continue;
			wire_reset(w);
			uint8_t sh[64];
			make_stream(name, 700, 16384);
			talk_through(d);
			send_cut(steps[k], k ? ORDER_ODD_FIRST : ORDER_PLAIN);
			wire_say(w, 1, sh, server_hello(sh, 0x1301, false));
			const struct heard *h = wire_end(w);
			if (strcmp(h->name, name) != 0)
				fail_msg("%s, step %zu: '%s' (%s)", d->what, steps[k], h->name, h->app_proto);
			assert_int_equal(h->source, FACTS_NAME_TLS_SNI);
			assert_string_equal(h->connect_host, d->connect);
			assert_string_equal(h->app_proto, "tls");
			if (h->tls_version != 0x0304)
				fail_msg("%s, step %zu: version %x", d->what, steps[k], h->tls_version);
		}
}

/* J: the capture begins behind the PROXY line's handshake, or in the middle of the dialogue. */
static void starttls__capture_begins_late__name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof dialogues / sizeof *dialogues; i++) {
		const struct dialogue *d = &dialogues[i];
		wire_reset(w);
		make_stream(name, 0, 16384);
		w->sport = d->port;
		size_t n = 0;
		while (n < 8 && d->lines[n].who)
			n++;
		if (n > 1)
			wire_say(w, d->lines[n - 1].who == 'S', d->lines[n - 1].text, d->lines[n - 1].n);
		send_cut(9000, ORDER_PLAIN);
		const struct heard *h = wire_end(w);
		if (!h || strcmp(h->name, name) != 0)
			fail_msg("%s: '%s'", d->what, h ? h->name : "no flow");
	}
}

/* Q */
static void retry__second_hello__ambiguous_only_when_it_differs(void **state)
{
	(void)state;
	static const uint8_t ccs[] = {20, 3, 3, 0, 1, 1};
	static const char *const seconds[] = {"upload.example.com", "second.example"};
	for (int differs = 0; differs < 2; differs++)
		for (int split = 0; split < 3; split++) {
			static const size_t steps[] = {9000, 900, 3};
			wire_reset(w);
			uint8_t sh[64];
			make_stream(name, 0, 16384);
			wire_open(w);
			send_cut(9000, ORDER_PLAIN);
			wire_say(w, 1, sh, server_hello(sh, 0x1301, true));
			wire_say(w, 0, ccs, sizeof ccs);
			make_stream(seconds[differs], 1400, 16384);
			send_cut(steps[split], split == 1 ? ORDER_BACK : ORDER_PLAIN);
			wire_say(w, 1, ccs, sizeof ccs);
			wire_say(w, 1, sh, server_hello(sh, 0x1301, false));
			const struct heard *h = wire_end(w);
			assert_string_equal(h->name, name);
			assert_int_equal(!!(h->flags & FACTS_SNI_AMBIGUOUS), differs);
			assert_string_equal(h->candidates,
					    differs ? "second.example,upload.example.com" : "");
			assert_int_equal(h->tls_version, 0x0304);
		}
}

/* F: a stream that only later shows what it is, a byte at a time. */
static void cut__one_byte_segments_of_prefix_and_request__name(void **state)
{
	(void)state;
	static const char proxy[] = "PROXY TCP4 192.0.2.1 192.0.2.2 50000 443\r\n";
	static const char put[] = "PUT /a/long/path/of/a/file.bin HTTP/1.1\r\nUser-Agent: test\r\n"
				  "Host: upload.example.com\r\nContent-Length: 3\r\n\r\nabc";
	static const char empty_line[] = "\r\nGET / HTTP/1.1\r\nHost: upload.example.com\r\n\r\n";
	for (size_t step = 1; step < 30; step += 9) {
		wire_reset(w);
		wire_open(w);
		stream.n = 0;
		build_put(&stream, proxy, sizeof proxy - 1);
		build_client_stream(&stream, name, 100, 16384);
		send_cut(step, ORDER_PLAIN);
		ends_with(name, FACTS_NAME_TLS_SNI);
		wire_reset(w);
		wire_open(w);
		stream.n = 0;
		build_put(&stream, put, sizeof put - 1);
		send_cut(step, ORDER_PLAIN);
		ends_with(name, FACTS_NAME_HTTP_HOST);
	}
	wire_reset(w);
	wire_open(w);
	wire_say(w, 0, TEXT(empty_line));
	ends_with(name, FACTS_NAME_HTTP_HOST);
}

/* L: servers that let a client wait before it may speak; the client has its whole time from there. */
static void starttls__client_waits_for_a_slow_greeting__name(void **state)
{
	(void)state;
	wire_reset(w);
	w->sport = 25;
	wire_open(w);
	wire_say(w, 1, TEXT("220-please wait\r\n"));
	w->ts_ns += UINT64_C(20000000000);
	wire_say(w, 1, TEXT("220 mail.example\r\n"));
	wire_say(w, 0, TEXT("EHLO me\r\n"));
	wire_say(w, 1, TEXT("250 STARTTLS\r\n"));
	wire_say(w, 0, TEXT("STARTTLS\r\n"));
	wire_say(w, 1, TEXT("220 go\r\n"));
	make_stream(name, 100, 16384);
	send_cut(9000, ORDER_PLAIN);
	ends_with(name, FACTS_NAME_TLS_SNI);
}

/* Records that servers read over, ahead of the hello. */
static void cut__stray_records_before_the_hello__name(void **state)
{
	(void)state;
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 1, 0}, ccs[] = {20, 3, 3, 0, 1, 1};
	for (size_t step = 1; step < 2000; step += 499) {
		wire_reset(w);
		wire_open(w);
		stream.n = 0;
		for (unsigned i = 0; i < 5; i++)
			build_put(&stream, alert, sizeof alert);
		build_put(&stream, ccs, sizeof ccs);
		build_client_stream(&stream, name, 100, 16384);
		send_cut(step, ORDER_PLAIN);
		ends_with(name, FACTS_NAME_TLS_SNI);
	}
	/* a record version that nobody uses, and that nobody looks at */
	wire_reset(w);
	wire_open(w);
	make_stream(name, 100, 16384);
	stream.at[2] = 0xff;
	send_cut(700, ORDER_PLAIN);
	ends_with(name, FACTS_NAME_TLS_SNI);
	/* but a connection that was under way has nothing to tell */
	wire_reset(w);
	wire_say(w, 0, ccs, sizeof ccs);
	wire_say(w, 0, "\x16\x03\x03\x00\x28\xaa\xbb\xcc\xdd", 9);
	assert_string_equal(wire_end(w)->name, "");
}

static struct build body, message;

static void hello_of_body(void)
{
	message.n = stream.n = 0;
	build_message(&message, 1, &body);
	build_records(&stream, &message, 16384);
}

static void hello__two_names__candidates(void **state)
{
	(void)state;
	body.n = 0;
	build_hello_head(&body);
	size_t mark = build_open(&body, 2);
	build_sni(&body, "one.example", 11);
	build_sni(&body, "two.example", 11);
	build_usual_extensions(&body, 0);
	build_close(&body, mark, 2);
	hello_of_body();
	wire_reset(w);
	wire_open(w);
	send_cut(9000, ORDER_PLAIN);
	const struct heard *h = wire_end(w);
	assert_string_equal(h->name, "one.example");
	assert_true(h->flags & FACTS_SNI_AMBIGUOUS);
	assert_string_equal(h->candidates, "one.example,two.example");
}

/* A37 */
static void hello__odd_names__normalised_or_escaped(void **state)
{
	(void)state;
	static const struct {
		const char *sni;
		size_t n;
		const char *told, *kept;
		uint32_t flags;
	} cases[] = {
	    {TEXT("Up.EXAMPLE.com."), "up.example.com", "up.example.com", 0},
	    {TEXT("xn--bcher-kva.example"), "xn--bcher-kva.example", "xn--bcher-kva.example", 0},
	    {TEXT(""), "", "", FACTS_SNI_INVALID},
	    {TEXT("203.0.113.9"), "", "203.0.113.9", FACTS_SNI_INVALID},
	    {TEXT("2001:db8::9"), "", "2001:db8::9", FACTS_SNI_INVALID},
	    {TEXT("a\0b.example"), "", "a\\x00b.example", FACTS_SNI_INVALID},
	    {TEXT("b\xc3\xbc"
		  "cher.example"),
	     "", "b\\xc3\\xbccher.example", FACTS_SNI_INVALID},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		body.n = 0;
		build_hello_head(&body);
		size_t mark = build_open(&body, 2);
		build_sni(&body, cases[i].sni, cases[i].n);
		build_usual_extensions(&body, 0);
		build_close(&body, mark, 2);
		hello_of_body();
		wire_reset(w);
		wire_open(w);
		send_cut(9000, ORDER_PLAIN);
		const struct heard *h = wire_end(w);
		assert_string_equal(h->name, cases[i].told);
		assert_string_equal(h->sni, cases[i].kept);
		assert_int_equal(h->flags & (FACTS_SNI_INVALID | FACTS_SNI_AMBIGUOUS), cases[i].flags);
	}
}

/* R: as long as a name may be; one octet more, or 65,535 claimed, is none. */
static void hello__long_names__whole_or_invalid(void **state)
{
	(void)state;
	char longest[256];
	for (size_t i = 0; i < 255; i++)
		longest[i] = i % 50 == 49 ? '.' : (char)('a' + i % 26);
	longest[253] = 0;
	wire_reset(w);
	make_stream(longest, 0, 16384);
	wire_open(w);
	send_cut(100, ORDER_BACK);
	ends_with(longest, FACTS_NAME_TLS_SNI);
	longest[253] = 'x';
	longest[254] = 0;
	wire_reset(w);
	make_stream(longest, 0, 16384);
	wire_open(w);
	send_cut(9000, ORDER_PLAIN);
	const struct heard *h = wire_end(w);
	assert_string_equal(h->name, "");
	assert_true(h->flags & FACTS_SNI_INVALID);
}

/* N: type outer, HKDF-SHA256, AES-128-GCM, a 32-byte key. */
static void put_ech(size_t n_payload)
{
	static struct build ech;
	ech.n = 0;
	build_put(&ech, "\0\0\x01\0\x01\x07\0\x20", 8);
	build_zeros(&ech, 32);
	build_u16(&ech, (unsigned)n_payload);
	build_zeros(&ech, n_payload);
	build_extension(&body, 0xfe0d, ech.at, ech.n);
}

static void ech__offer_and_grease__outer_name_never_a_destination(void **state)
{
	(void)state;
	static const struct {
		const char *sni;
		uint8_t source;
	} cases[] = {{"cloudflare-ech.com", FACTS_NAME_ECH_OUTER},
		     {"upload.example.com", FACTS_NAME_TLS_SNI}};
	for (size_t i = 0; i < 2; i++) {
		body.n = 0;
		build_hello_head(&body);
		size_t mark = build_open(&body, 2);
		put_ech(208);
		build_sni(&body, cases[i].sni, strlen(cases[i].sni));
		build_usual_extensions(&body, 0);
		build_close(&body, mark, 2);
		hello_of_body();
		wire_reset(w);
		wire_open(w);
		send_cut(300, ORDER_PLAIN);
		const struct heard *h = wire_end(w);
		assert_true(h->flags & FACTS_ECH);
		assert_string_equal(h->name, cases[i].sni);
		assert_int_equal(h->source, cases[i].source);
	}
}

/* A15: three connections of one 5-tuple, the last a millisecond after RST. */
static void reuse__same_ports__a_name_each(void **state)
{
	(void)state;
	static const char *const names[] = {"one.example", "two.example", "three.example"};
	wire_reset(w);
	for (int i = 0; i < 3; i++) {
		w->isn[0] += 1000000;
		w->isn[1] += 5000000;
		make_stream(names[i], 0, 16384);
		wire_open(w);
		send_cut(9000, ORDER_PLAIN);
		wire_tcp(w, i == 1, FRAME_RST | FRAME_ACK, w->at[i == 1], NULL, 0);
	}
	wire_end(w);
	assert_int_equal(w->n, 3);
	for (int i = 0; i < 3; i++)
		assert_string_equal(w->heard[i].name, names[i]);
}

/* The library keeps another of two names than we do; and a mere trailing dot or case is no difference. */
static void ndpi__another_name__flag(void **state)
{
	(void)state;
	for (int differs = 0; differs < 2; differs++) {
		wire_reset(w);
		body.n = 0;
		build_hello_head(&body);
		size_t mark = build_open(&body, 2);
		build_sni(&body, "www.Dropbox.com.", differs ? 15 : 16);
		if (differs)
			build_sni(&body, "two.example", 11);
		build_usual_extensions(&body, 0);
		build_close(&body, mark, 2);
		hello_of_body();
		wire_open(w);
		send_cut(9000, ORDER_PLAIN);
		const struct heard *h = wire_end(w);
		assert_string_equal(h->name, "www.dropbox.com");
		assert_true(h->ndpi[0]);
		assert_int_equal(!!(h->flags & FACTS_NDPI_DIFFERS), differs);
	}
}

/* Not TLS at all, or TLS that breaks off: no name, and no more than the limits allow is looked at. */
static void hostile__claims_and_noise__no_name(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t n;
	} cases[] = {{TEXT("\x16\x03\x01\x40\0\x01\xff\xff\xff\x03\x03")}, /* a message of 2^24 - 1 bytes */
		     {TEXT("\x16\x03\x01\0\0\x16\x03\x01\0\0")},           /* empty records */
		     {TEXT("\x80\x2e\x01\0\x02\0\x15\0\0\0\x10")},         /* SSL 2 */
		     {TEXT("SSH-2.0-x\r\n")}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		wire_reset(w);
		wire_open(w);
		for (int k = 0; k < 100; k++)
			wire_say(w, 0, cases[i].at, cases[i].n);
		assert_string_equal(wire_end(w)->name, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(cut__any_segments_records_and_orders__same_name),
	    cmocka_unit_test(cut__large_wrapped_or_without_a_handshake__same_name),
	    cmocka_unit_test(overlap__same_bytes__no_ambiguity),
	    cmocka_unit_test(overlap__other_bytes__both_names_and_both_flags),
	    cmocka_unit_test(overlap__end_of_the_other_first__both_names),
	    cmocka_unit_test(overlap__differs_outside_the_name__flag_only),
	    cmocka_unit_test(lost__segment_of_the_hello__never_a_wrong_name),
	    cmocka_unit_test(starttls__every_protocol_and_cut__inner_name_and_connect_host),
	    cmocka_unit_test(starttls__capture_begins_late__name),
	    cmocka_unit_test(starttls__client_waits_for_a_slow_greeting__name),
	    cmocka_unit_test(cut__stray_records_before_the_hello__name),
	    cmocka_unit_test(cut__one_byte_segments_of_prefix_and_request__name),
	    cmocka_unit_test(retry__second_hello__ambiguous_only_when_it_differs),
	    cmocka_unit_test(hello__two_names__candidates),
	    cmocka_unit_test(hello__odd_names__normalised_or_escaped),
	    cmocka_unit_test(hello__long_names__whole_or_invalid),
	    cmocka_unit_test(ech__offer_and_grease__outer_name_never_a_destination),
	    cmocka_unit_test(reuse__same_ports__a_name_each),
	    cmocka_unit_test(ndpi__another_name__flag),
	    cmocka_unit_test(hostile__claims_and_noise__no_name),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
