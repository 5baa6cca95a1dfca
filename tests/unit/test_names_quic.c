/* Names of QUIC and DTLS through the whole path, one test per kind that page "names" lists (A-E, P). Packets
 * are protected by libcrypto's own functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hello_build.h"
#include "tests/unit/quic_seal.h"
#include "tests/unit/wire.h"

static struct wire *w;
static struct build text, payload, datagram;
static struct seal seal;
static const char *const name = "upload.example.com";

static const uint8_t salt_v1[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
				  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
static const uint8_t salt_v2[] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
				  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
static const uint8_t salt_29[] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
				  0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99};
static const uint8_t salt_23[] = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
				  0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02};
static const uint8_t salt_22[] = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
				  0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a};

static int make(void **state)
{
	(void)state;
	w = wire_new((struct track_conf){0});
	return 0;
}

static int drop(void **state)
{
	(void)state;
	wire_free(w);
	return 0;
}

static void key_by(const char *cid)
{
	seal.n_key_cid = seal.n_dcid = strlen(cid);
	memcpy(seal.key_cid, cid, seal.n_key_cid);
	memcpy(seal.dcid, cid, seal.n_dcid);
}

static void fresh(const char *sni, size_t n_pad)
{
	static struct build body;
	body.n = text.n = payload.n = datagram.n = 0;
	build_hello(&body, sni, n_pad);
	build_message(&text, 1, &body);
	seal = (struct seal){.version = 1,
			     .salt = salt_v1,
			     .label = "quic",
			     .side = "client in",
			     .scid = "me",
			     .n_scid = 2,
			     .n_number = 2};
	key_by("original");
}

static void put_varint(uint64_t v)
{
	build_u16(&payload, (unsigned)(0x8000 | v >> 16));
	build_u16(&payload, (unsigned)(v & 0xffff));
}

static void put_crypto(size_t from, size_t to)
{
	build_u8(&payload, 6);
	put_varint(from);
	put_varint(to - from);
	build_put(&payload, text.at + from, to - from);
}

/* An Initial with what payload holds, padded to n_plain, behind what the datagram has. */
static void add_initial(size_t n_plain)
{
	static uint8_t packet[70000];
	if (payload.n < n_plain)
		build_zeros(&payload, n_plain - payload.n);
	build_put(&datagram, packet, seal_initial(&seal, payload.at, payload.n, packet));
	seal.number++;
	payload.n = 0;
}

static void send_datagram(unsigned dir)
{
	wire_udp(w, dir, datagram.at, datagram.n);
	datagram.n = 0;
}

static void send_initial(void)
{
	add_initial(1150);
	send_datagram(0);
}

/* A long header whose body is noise. bits: the packet type's, as version 1 has them. */
static void add_noise(unsigned bits, size_t n)
{
	build_u8(&datagram, 0xc0 | bits << 4);
	build_u16(&datagram, (unsigned)(seal.version >> 16));
	build_u16(&datagram, seal.version & 0xffff);
	build_u8(&datagram, (unsigned)seal.n_dcid);
	build_put(&datagram, seal.dcid, seal.n_dcid);
	build_u8(&datagram, (unsigned)seal.n_scid);
	build_put(&datagram, seal.scid, seal.n_scid);
	if (bits == 0)
		build_u8(&datagram, 0); /* no token */
	if (bits != 3)
		build_u16(&datagram, (unsigned)(0x4000 | n));
	for (size_t i = 0; i < n; i++)
		build_u8(&datagram, (unsigned)(i * 37 + seal.number));
	seal.number++;
}

static void expect(const char *want)
{
	const struct heard *h = wire_end(w);
	assert_non_null(h);
	assert_string_equal(h->name, want);
	assert_int_equal(h->source, *want ? FACTS_NAME_QUIC_SNI : FACTS_NAME_NONE);
	assert_string_equal(h->app_proto, "quic");
	wire_reset(w);
}

static void version__every_one_met__name(void **state)
{
	(void)state;
	static const struct {
		uint32_t version;
		const uint8_t *salt;
		const char *label;
	} cases[] = {
	    {1, salt_v1, "quic"},          {0x6b3343cf, salt_v2, "quicv2"}, {0xff000022, salt_v1, "quic"},
	    {0xff00001d, salt_29, "quic"}, {0xff00001b, salt_23, "quic"},   {0xff000017, salt_23, "quic"},
	    {0xff000016, salt_22, "quic"}, {0xfaceb001, salt_22, "quic"},   {0xfaceb002, salt_23, "quic"},
	    {0xfaceb00e, salt_29, "quic"}, {0x0a0a0a0a, salt_29, "quic"},   {0x1a2a3a4a, salt_v1, "quic"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			w->v6 = v6;
			fresh(name, 200);
			seal.version = cases[i].version;
			seal.salt = cases[i].salt;
			seal.label = cases[i].label;
			put_crypto(0, text.n);
			send_initial();
			expect(name);
		}
}

/* A: as Chrome does: frames shuffled and overlapping, PING and padding between them. */
static void crypto__shuffled_overlapping_in_one_initial__name(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 50; seed++) {
		srand(seed);
		fresh(name, 300);
		size_t cuts[12], n = 2 + seed % 10;
		for (size_t i = 0; i <= n; i++)
			cuts[i] = text.n * i / n;
		for (size_t done = 0; done < (1u << n) - 1;) {
			size_t i = (size_t)rand() % n;
			if (done >> i & 1)
				continue;
			done |= (size_t)1 << i;
			put_crypto(cuts[i] - (cuts[i] ? (size_t)rand() % 5 : 0), cuts[i + 1]);
			build_u8(&payload, (unsigned)rand() % 2); /* PING or PADDING */
		}
		send_initial();
		expect(name);
	}
}

/* B: over several datagrams in every order of three, also with a token of 70 bytes that makes them look alike
 * at the start; each twice, as a tap may deliver them. */
static void crypto__several_initials__name(void **state)
{
	(void)state;
	static const size_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	for (size_t o = 0; o < 6; o++)
		for (int kind = 0; kind < 4; kind++) {
			fresh(name, 1700);
			seal.n_token = kind & 1 ? 70 : 0;
			for (size_t i = 0; i < 3; i++) {
				size_t k = orders[o][i];
				put_crypto(text.n * k / 3, text.n * (k + 1) / 3);
				add_initial(1000);
				if (kind & 2)
					wire_udp(w, 0, datagram.at, datagram.n);
				send_datagram(0);
			}
			expect(name);
		}
}

/* The server's id is used from the second flight on: the keys stay those of the first. */
static void cid__changes_after_the_servers_answer__name(void **state)
{
	(void)state;
	fresh(name, 1700);
	put_crypto(0, 900);
	send_initial();
	struct seal client = seal;
	seal.side = "server in";
	memcpy(seal.scid, "serverid", 8);
	seal.n_scid = 8;
	memcpy(seal.dcid, "me", 2);
	seal.n_dcid = 2;
	build_put(&payload, "\x02\0\0\0\0", 5); /* ACK of 0 */
	add_initial(1100);
	send_datagram(1);
	seal = client;
	memcpy(seal.dcid, "serverid", 8);
	seal.n_dcid = 8;
	put_crypto(900, text.n);
	send_initial();
	expect(name);
}

/* D: Retry takes the id for new keys, and the hello is sent anew with a token. */
static void retry__once_and_twice__name(void **state)
{
	(void)state;
	for (int n_retries = 1; n_retries <= 2; n_retries++)
		for (int split = 0; split < 2; split++) {
			static const char *const ids[] = {"original", "retryone", "retrytwo"};
			fresh(name, split ? 1700 : 100);
			for (int i = 0; i <= n_retries; i++) {
				key_by(ids[i]);
				seal.n_token = i ? 60 : 0;
				put_crypto(0, split ? 1000 : text.n);
				if (i < n_retries && !split) { /* the first ones were not captured */
					add_initial(1150);
					datagram.n = 0;
				} else {
					send_initial();
				}
				if (i == n_retries)
					break;
				struct seal client = seal;
				memcpy(seal.scid, ids[i + 1], 8);
				seal.n_scid = 8;
				memcpy(seal.dcid, "me", 2);
				seal.n_dcid = 2;
				add_noise(3, 40);
				send_datagram(1);
				seal = client;
			}
			if (split) {
				put_crypto(1000, text.n);
				send_initial();
			}
			expect(name);
		}
}

static void first__zero_rtt_handshake_short_header_or_noise__name(void **state)
{
	(void)state;
	for (int kind = 0; kind < 6; kind++) {
		static const unsigned bits[] = {1, 2, 1, 0, 0, 0};
		fresh(name, 200);
		if (kind == 2) { /* version negotiation first: a version nobody has */
			seal.version = 0x5a6a7a8a;
			add_noise(0, 1180);
			send_datagram(0);
			build_put(&datagram, "\x80\0\0\0\0\x02me\x08original\0\0\0\x01", 20);
			send_datagram(1);
			seal.version = 1;
		} else if (kind == 4) { /* an Initial of the server's is the first that the capture has */
			struct seal client = seal;
			seal.side = "server in";
			memcpy(seal.dcid, "me", 2);
			seal.n_dcid = 2;
			memcpy(seal.scid, "serverid", 8);
			seal.n_scid = 8;
			build_put(&payload, "\x02\0\0\0\0", 5);
			add_initial(1100);
			send_datagram(1);
			seal = client;
		} else if (kind == 5) { /* the end of an older connection on the same ports, begun before the capture */
			for (unsigned i = 0; i < 40; i++) {
				build_u8(&datagram, 0x40 | (i & 3));
				build_zeros(&datagram, 60 + i);
				send_datagram(i & 1);
			}
		} else {
			for (int i = 0; i < 3; i++) {
				add_noise(bits[kind], 1000);
				send_datagram(0);
			}
		}
		put_crypto(0, text.n);
		send_initial();
		expect(name);
	}
}

/* 0-RTT in the same datagram behind the Initial, an ACK-only Initial before it, zeros behind. */
static void coalesced__any_neighbours__name(void **state)
{
	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		fresh(name, 100);
		if (kind == 1) {
			build_put(&payload, "\x02\0\0\0\0", 5);
			add_initial(60);
		}
		put_crypto(0, text.n);
		add_initial(text.n + 20);
		if (kind == 0)
			add_noise(1, 300);
		if (kind == 2)
			build_zeros(&datagram, 500);
		send_datagram(0);
		expect(name);
	}
}

/* D: another connection on the same ports while the flow lives: the flow keeps its first name, or takes the
 * first that can be read. */
static void reuse__new_connection_on_the_same_ports__first_readable_name(void **state)
{
	(void)state;
	fresh("gone.example", 1700);
	put_crypto(0, 1000); /* never finished */
	send_initial();
	fresh(name, 100);
	key_by("another!");
	put_crypto(0, text.n);
	send_initial();
	expect(name);
}

/* The second half of the hello was lost: the name stood in the first. */
static void cut__end_of_the_hello_missing__name_if_it_is_whole(void **state)
{
	(void)state;
	fresh(name, 1700);
	put_crypto(0, 1000);
	send_initial();
	expect(name);
	fresh(name, 1700);
	put_crypto(0, 95); /* in the middle of the name */
	send_initial();
	expect("");
}

static void damaged__wrong_tag__undecryptable_and_flag(void **state)
{
	(void)state;
	for (int i = 0; i < 8; i++) {
		fresh(name, 100);
		seal.number = (unsigned)i;
		put_crypto(0, text.n);
		add_initial(1150);
		datagram.at[datagram.n - 1] ^= 1;
		send_datagram(0);
	}
	const struct heard *h = wire_end(w);
	assert_string_equal(h->name, "");
	assert_true(h->flags & FACTS_QUIC_UNDECRYPTED);
	wire_reset(w);
}

/* E, A40: the client's port changes; the server's id was seen in its long header. */
static void migration__new_client_port__name_goes_along(void **state)
{
	(void)state;
	uint8_t header[60] = {0x40};
	fresh(name, 100);
	put_crypto(0, text.n);
	send_initial();
	struct seal client = seal;
	memcpy(seal.dcid, "me", 2);
	seal.n_dcid = 2;
	memcpy(seal.scid, "serverid", 8);
	seal.n_scid = 8;
	add_noise(2, 100);
	send_datagram(1);
	seal = client;
	w->cport++;
	memcpy(header + 1, "serverid", 8);
	wire_udp(w, 0, header, sizeof header);
	const struct heard *h = wire_end(w);
	assert_string_equal(h->name, name);
	assert_true(h->flags & FACTS_MIGRATED);
	assert_int_equal(w->n, 2);
	wire_reset(w);
}

/* P: RFC 6347. The body of a hello over TLS with an empty or full cookie behind the session id. */
static void send_dtls(const char *sni, unsigned seq, size_t n_cookie, size_t step, bool back)
{
	static struct build tls, body;
	tls.n = body.n = 0;
	build_hello(&tls, sni, 600);
	build_u16(&body, 0xfefd);
	build_put(&body, tls.at + 2, 32 + 33);
	build_u8(&body, (unsigned)n_cookie);
	build_zeros(&body, n_cookie);
	build_put(&body, tls.at + 67, tls.n - 67);
	size_t n = (body.n + step - 1) / step;
	for (size_t i = 0; i < n; i++) {
		size_t from = (back ? n - 1 - i : i) * step,
		       some = body.n - from < step ? body.n - from : step;
		const uint8_t head[] = {22,
					0xfe,
					0xfd,
					0,
					0,
					0,
					0,
					0,
					0,
					(uint8_t)seq,
					(uint8_t)i,
					(uint8_t)((some + 12) >> 8),
					(uint8_t)(some + 12),
					1,
					0,
					(uint8_t)(body.n >> 8),
					(uint8_t)body.n,
					0,
					(uint8_t)seq,
					0,
					(uint8_t)(from >> 8),
					(uint8_t)from,
					0,
					(uint8_t)(some >> 8),
					(uint8_t)some};
		datagram.n = 0;
		build_put(&datagram, head, sizeof head);
		build_put(&datagram, body.at + from, some);
		send_datagram(0);
	}
}

static void dtls__fragments_and_verify_request__name(void **state)
{
	(void)state;
	static const uint8_t verify[] = {22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,    15,   3,
					 0,  0,    3,    0, 0, 0, 0, 0, 0, 0, 3, 0xfe, 0xff, 0};
	static const size_t steps[] = {3000, 300, 200};
	for (size_t s = 0; s < 3; s++)
		for (int kind = 0; kind < 3; kind++) {
			send_dtls(name, 0, 0, steps[s], s == 1);
			wire_udp(w, 1, verify, sizeof verify);
			if (kind)
				send_dtls(kind == 2 ? "second.example" : name, 1, 20, s ? 700 : 3000, false);
			const struct heard *h = wire_end(w);
			assert_string_equal(h->name, name);
			assert_int_equal(h->source, FACTS_NAME_TLS_SNI);
			assert_string_equal(h->app_proto, "dtls");
			assert_int_equal(!!(h->flags & FACTS_SNI_AMBIGUOUS), kind == 2);
			wire_reset(w);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(version__every_one_met__name),
	    cmocka_unit_test(crypto__shuffled_overlapping_in_one_initial__name),
	    cmocka_unit_test(crypto__several_initials__name),
	    cmocka_unit_test(cid__changes_after_the_servers_answer__name),
	    cmocka_unit_test(retry__once_and_twice__name),
	    cmocka_unit_test(first__zero_rtt_handshake_short_header_or_noise__name),
	    cmocka_unit_test(coalesced__any_neighbours__name),
	    cmocka_unit_test(reuse__new_connection_on_the_same_ports__first_readable_name),
	    cmocka_unit_test(cut__end_of_the_hello_missing__name_if_it_is_whole),
	    cmocka_unit_test(damaged__wrong_tag__undecryptable_and_flag),
	    cmocka_unit_test(migration__new_client_port__name_goes_along),
	    cmocka_unit_test(dtls__fragments_and_verify_request__name),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
