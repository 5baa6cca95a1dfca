#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/quic.h"
#include "dissect/quic_crypt.h"
#include "tests/unit/hello_build.h"
#include "tests/unit/quic_seal.h"
#include "tests/unit/quic_vectors.h"

static struct quic_crypt *crypt_worker;
static struct quic_state *flow;
static struct hello found;

static const uint8_t salt_v1[] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
				  0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
static const uint8_t salt_v2[] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
				  0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9};
static const uint8_t salt_29[] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
				  0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99};

static int open_flow(void **state)
{
	(void)state;
	crypt_worker = quic_crypt_new();
	flow = quic_state_new();
	return crypt_worker && flow ? 0 : -1;
}

static int close_flow(void **state)
{
	(void)state;
	quic_state_free(flow);
	quic_crypt_free(crypt_worker);
	return 0;
}

static enum quic_verdict client(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, p, n);
	enum quic_verdict v = quic_client(crypt_worker, flow, copy, n, &found);
	free(copy);
	return v;
}

static size_t from_hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	for (; text[2 * n]; n++)
		out[n] = (uint8_t)strtoul((char[]){text[2 * n], text[2 * n + 1], 0}, NULL, 16);
	return n;
}

static void keys__rfc_vectors__as_printed(void **state)
{
	(void)state;
	static const struct {
		enum quic_salt salt;
		const char *key, *iv, *hp;
	} cases[] = {
	    {QUIC_SALT_V1, "1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c",
	     "9f50449e04a0e810283a1e9933adedd2"},
	    {QUIC_SALT_V2, "8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f",
	     "45b95e15235d6f45a6b19cbcb0294ba9"},
	};
	static const struct quic_cid dcid = {8, {0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct quic_keys keys;
		uint8_t want[16];
		quic_crypt_keys(crypt_worker, cases[i].salt, &dcid, &keys);
		assert_memory_equal(keys.key, want, from_hex(cases[i].key, want));
		assert_memory_equal(keys.iv, want, from_hex(cases[i].iv, want));
		assert_memory_equal(keys.hp, want, from_hex(cases[i].hp, want));
	}
}

static void client__rfc_packets__their_name(void **state)
{
	(void)state;
	uint8_t packet[1300];
	const char *const texts[] = {rfc9001_client, rfc9369_client};
	for (int i = 0; i < 2; i++) {
		struct quic_view view;
		size_t n = from_hex(texts[i], packet);
		assert_int_equal(n, 1200);
		assert_true(quic_look(packet, n, &view));
		assert_true(view.long_header && view.initial && !view.retry);
		assert_int_equal(view.version, i ? QUIC_V2 : QUIC_V1);
		assert_int_equal(view.dcid.n, 8);
		assert_int_equal(view.dcid.id[0], 0x83);
		assert_int_equal(view.scid.n, 0);
		assert_int_equal(client(packet, n), QUIC_FOUND);
		assert_string_equal(found.sni, "example.com");
		assert_string_equal(found.alpn, "alpn");
		assert_int_equal(found.version, 0x0304);
		assert_memory_equal(found.ja4, "q13d0211an_", 11);
		quic_state_free(flow);
		flow = quic_state_new();
		packet[n - 1] ^= 1; /* a wrong tag */
		for (int k = 0; k < QUIC_MAX_INITIALS - 1; k++)
			assert_int_equal(client(packet, n), QUIC_MORE);
		assert_int_equal(client(packet, n), QUIC_UNDECRYPTABLE);
		quic_state_free(flow);
		flow = quic_state_new();
	}
}

static void open__rfc_server_packet__plaintext_as_printed(void **state)
{
	(void)state;
	struct quic_keys keys;
	uint8_t packet[200], want[120];
	from_hex("cf3a5331653c364c88f0f379b6067e37", keys.key);
	from_hex("0ac1493ca1905853b0bba03e", keys.iv);
	from_hex("c206b8d9b9f0f37644430b490eeaa314", keys.hp);
	size_t n = from_hex(rfc9001_server, packet);
	size_t n_want = from_hex(
	    "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc79825df566dc5430b9a045a"
	    "1200130100002e00330024001d00209d3c940d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da"
	    "1a002b00020304",
	    want);
	struct bytes datagram = bytes_of(packet, n);
	struct quic_packet view;
	struct slice plain;
	uint64_t number;
	assert_true(quic_packet_next(&datagram, &view));
	assert_int_equal(view.scid.n, 8);
	assert_true(quic_crypt_open(crypt_worker, &keys, &view, UINT64_MAX, &number, &plain));
	assert_int_equal(number, 1);
	assert_int_equal(plain.n, n_want);
	assert_memory_equal(plain.p, want, n_want);
}

/* What a client may send: frames in payload, then sealed. */
static struct build text, payload;
static uint8_t packet[70000];
static struct seal seal;

static void fresh_seal(void)
{
	seal = (struct seal){.version = QUIC_V1,
			     .salt = salt_v1,
			     .label = "quic",
			     .side = "client in",
			     .key_cid = "original",
			     .dcid = "original",
			     .scid = "me",
			     .n_key_cid = 8,
			     .n_dcid = 8,
			     .n_scid = 2,
			     .n_number = 2};
}

static void fresh_text(const char *name, size_t n_pad)
{
	static struct build body;
	body.n = text.n = 0;
	build_hello(&body, name, n_pad);
	build_message(&text, 1, &body);
	payload.n = 0;
	fresh_seal();
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

static size_t sealed(void)
{
	if (payload.n < 64)
		build_zeros(&payload, 64 - payload.n);
	size_t n = seal_initial(&seal, payload.at, payload.n, packet);
	payload.n = 0;
	seal.number++;
	return n;
}

static enum quic_verdict send_sealed(void)
{
	size_t n = sealed();
	return client(packet, n);
}

static void renew(void)
{
	quic_state_free(flow);
	flow = quic_state_new();
}

static void client__each_version__its_salt(void **state)
{
	(void)state;
	static const uint8_t salt_23[] = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
					  0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02};
	static const uint8_t salt_22[] = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
					  0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a};
	static const uint8_t salt_v2_draft[] = {0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d,
						0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3};
	static const struct {
		uint32_t version;
		const uint8_t *salt;
		const char *label;
	} cases[] = {
	    {QUIC_V1, salt_v1, "quic"},    {QUIC_V2, salt_v2, "quicv2"},  {0xff000016, salt_22, "quic"},
	    {0xff000017, salt_23, "quic"}, {0xff00001c, salt_23, "quic"}, {0xff00001d, salt_29, "quic"},
	    {0xff000020, salt_29, "quic"}, {0xff000021, salt_v1, "quic"}, {0xff000022, salt_v1, "quic"},
	    {0xfaceb001, salt_22, "quic"}, {0xfaceb002, salt_23, "quic"}, {0xfaceb003, salt_v1, "quic"},
	    {0xfaceb00e, salt_23, "quic"}, {0x1a2a3a4a, salt_v1, "quic"}, {0x0a0a0a0a, salt_29, "quic"},
	    {0xfaceb013, salt_29, "quic"}, {0x709a50c4, salt_v2_draft, "quicv2"}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		fresh_text("upload.example.com", 0);
		seal.version = cases[i].version;
		seal.salt = cases[i].salt;
		seal.label = cases[i].label;
		put_crypto(0, text.n);
		assert_int_equal(send_sealed(), QUIC_FOUND);
		assert_string_equal(found.sni, "upload.example.com");
		renew();
	}
	fresh_text("upload.example.com", 0);
	seal.version = 0x00000005;
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_NONE);
}

static void client__shuffled_overlapping_frames__one_hello(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 200);
	size_t n = text.n;
	put_crypto(n - 50, n);
	build_put(&payload, "\x01\0\0\0\x02\x05\x10\x01\x02\x01\x01\x03\x05\x10\0\x02\x01\x02\x03",
		  19); /* PING, PADDING, ACK, ACK with ECN */
	put_crypto(100, 300);
	put_crypto(0, 120);
	put_crypto(50, 110);
	put_crypto(280, n - 40);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "upload.example.com");
}

static void client__several_datagrams_any_order__one_hello(void **state)
{
	(void)state;
	static const int orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
	for (size_t o = 0; o < 4; o++) {
		fresh_text("upload.example.com", 3000);
		size_t cut[] = {0, 1100, 2200, text.n};
		for (int i = 0; i < 3; i++) {
			seal.number = (unsigned)orders[o][i] + 1;
			put_crypto(cut[orders[o][i]], cut[orders[o][i] + 1]);
			assert_int_equal(send_sealed(), i < 2 ? QUIC_MORE : QUIC_FOUND);
		}
		assert_string_equal(found.sni, "upload.example.com");
		assert_true(quic_state_bytes(flow) <= 16384);
		renew();
	}
}

static void client__server_chose_another_id__first_keys_still_fit(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 1500);
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	struct seal client_seal = seal;
	seal.side = "server in";
	memcpy(seal.dcid, "me", seal.n_dcid = 2);
	memcpy(seal.scid, "server's", seal.n_scid = 8);
	size_t n = sealed();
	quic_server(flow, packet, n);
	seal = client_seal;
	memcpy(seal.dcid, "server's", 8);
	put_crypto(1000, text.n);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "upload.example.com");
}

static void client__retry__keys_of_the_new_id_and_stream_anew(void **state)
{
	(void)state;
	static const uint8_t retry[] = "\xf0\0\0\0\x01\x02me\x05retryTOKEN0123456789abcdef";
	fresh_text("before.example.com", 1500);
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	struct quic_view view;
	assert_true(quic_look(retry, sizeof retry - 1, &view));
	assert_true(view.retry && !view.initial);
	quic_server(flow, retry, sizeof retry - 1);
	fresh_text("after.example.com", 1500);
	memcpy(seal.dcid, "retry", seal.n_dcid = 5);
	memcpy(seal.key_cid, "retry", seal.n_key_cid = 5);
	seal.n_token = 300;
	seal.number = 1;
	put_crypto(1000, text.n);
	assert_int_equal(send_sealed(), QUIC_MORE);
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "after.example.com");
}

static void client__ports_reused__new_connection_read(void **state)
{
	(void)state;
	fresh_text("first.example.com", 1500);
	put_crypto(0, 1000); /* its second half is lost */
	assert_int_equal(send_sealed(), QUIC_MORE);
	fresh_text("second.example.com", 0);
	memcpy(seal.dcid, "another!", 8);
	memcpy(seal.key_cid, "another!", 8);
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "second.example.com");
}

static void client__ports_reused__packet_numbers_start_anew(void **state)
{
	(void)state;
	fresh_text("first.example.com", 1500);
	seal.number = 250;
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	fresh_text("second.example.com", 1500);
	memcpy(seal.dcid, "another!", 8);
	memcpy(seal.key_cid, "another!", 8);
	seal.n_number = 1;
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	put_crypto(1000, text.n);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "second.example.com");
}

static void client__keys_from_the_servers_id__not_a_new_connection(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 1500);
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	struct seal client_seal = seal;
	seal.side = "server in";
	memcpy(seal.scid, "server's", seal.n_scid = 8);
	size_t n = sealed();
	quic_server(flow, packet, n);
	seal = client_seal;
	memcpy(seal.dcid, "server's", 8);
	memcpy(seal.key_cid, "server's", 8);
	put_crypto(0, 50);
	assert_int_equal(send_sealed(), QUIC_MORE);
	memcpy(seal.key_cid, "original", 8);
	put_crypto(1000, text.n); /* what came first is still there */
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "upload.example.com");
}

static void client__version_changes_under_way__stream_goes_on(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 1500);
	put_crypto(0, 1000);
	assert_int_equal(send_sealed(), QUIC_MORE);
	seal.version = QUIC_V2;
	seal.salt = salt_v2;
	seal.label = "quicv2";
	memcpy(seal.dcid, "server's", 8);
	put_crypto(1000, text.n);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_string_equal(found.sni, "upload.example.com");
}

/* 0-RTT and Handshake packets are passed over, before, after and beside the Initial. */
static void client__other_packets_around__initial_found(void **state)
{
	(void)state;
	static const uint8_t zero_rtt[] = "\xd0\0\0\0\x01\x08original\x02me\x20"
					  "0123456789abcdef0123456789abcdef";
	static uint8_t datagram[4000];
	fresh_text("upload.example.com", 0);
	assert_int_equal(client(zero_rtt, sizeof zero_rtt - 1), QUIC_MORE);
	for (int i = 0; i < 20; i++)
		assert_int_equal(client((const uint8_t *)"\x40short header 0123456789", 24), QUIC_MORE);
	put_crypto(0, text.n);
	size_t n = sealed();
	memcpy(datagram, zero_rtt, sizeof zero_rtt - 1);
	memcpy(datagram + sizeof zero_rtt - 1, packet, n);
	n += sizeof zero_rtt - 1;
	memset(datagram + n, 0, 100); /* padding of the datagram */
	struct quic_view view;
	assert_true(quic_look(datagram, n + 100, &view));
	assert_true(view.initial);
	assert_int_equal(client(datagram, n + 100), QUIC_FOUND);
	assert_string_equal(found.sni, "upload.example.com");
}

static void client__packet_number_forms__opened(void **state)
{
	(void)state;
	for (unsigned bytes = 1; bytes <= 4; bytes++) {
		fresh_text("upload.example.com", 900);
		seal.n_number = bytes;
		seal.number = 254;
		put_crypto(0, 500);
		assert_int_equal(send_sealed(), QUIC_MORE);
		put_crypto(500, 600); /* 255 */
		assert_int_equal(send_sealed(), QUIC_MORE);
		put_crypto(600, text.n); /* 256: one byte says 0 */
		assert_int_equal(send_sealed(), QUIC_FOUND);
		renew();
	}
}

static void client__limits__verdict_at_the_cap(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 3000);
	for (int i = 0; i < QUIC_MAX_INITIALS; i++) {
		put_crypto((size_t)i, (size_t)i + 1);
		assert_int_equal(send_sealed(), i < QUIC_MAX_INITIALS - 1 ? QUIC_MORE : QUIC_NONE);
	}
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_NONE);
	renew();
	for (int i = 0; i < 64; i++)
		assert_int_equal(client((const uint8_t *)"\x40short header 0123456789", 24),
				 i < 63 ? QUIC_MORE : QUIC_NONE);
	renew();
	/* A stream position beyond the cap costs no memory. */
	fresh_text("upload.example.com", 0);
	build_u8(&payload, 6);
	put_varint(0x3fffff00);
	put_varint(16);
	build_zeros(&payload, 16);
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_FOUND);
	assert_true(quic_state_bytes(flow) < 4096);
	renew();
	/* The largest hello that fits, in whole and in pieces from the end. */
	fresh_text("upload.example.com", 32768 - 4 - 300);
	assert_true(text.n <= QUIC_MAX_CRYPTO_BYTES);
	size_t cut[] = {0, 5000, 10000, 15000, 20000, 25000, 30000, text.n};
	for (int i = 6; i >= 0; i--) {
		put_crypto(cut[i], cut[i + 1]);
		assert_int_equal(send_sealed(), i ? QUIC_MORE : QUIC_FOUND);
	}
	assert_string_equal(found.sni, "upload.example.com");
	assert_true(quic_state_bytes(flow) < 40960);
}

static void client__forged_lengths_and_types__none(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 0);
	text.at[0] = 2; /* a ServerHello from a client */
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_NONE);
	renew();
	fresh_text("upload.example.com", 0);
	text.at[1] = 0xff; /* 2^24 long */
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_NONE);
	renew();
	fresh_text("upload.example.com", 0);
	text.at[4 + 34] = 0xff; /* a session id beyond the hello */
	put_crypto(0, text.n);
	assert_int_equal(send_sealed(), QUIC_NONE);
}

static void client__every_truncation__never_found(void **state)
{
	(void)state;
	fresh_text("upload.example.com", 0);
	put_crypto(0, text.n);
	size_t n = sealed();
	for (size_t cut = 0; cut < n; cut++) {
		assert_int_not_equal(client(packet, cut), QUIC_FOUND);
		renew();
	}
	assert_int_equal(client(packet, n), QUIC_FOUND);
}

static void look__not_quic__false(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t n;
		bool quic;
	} cases[] = {
	    {"", 0, false},
	    {"\x80\0\0\0\x01\0\0\x10"
	     "0123456789abcdef",
	     24, false}, /* fixed bit clear */
	    {"\xc0\0\0\0\x07\0\0\0\x10"
	     "0123456789abcdef",
	     25, false}, /* unknown version */
	    {"\xc0\0\0\0\x01\x15"
	     "0123456789abcdef01234\0\0\0",
	     30, false}, /* connection id of 21 bytes */
	    {"\xc0\0\0\0\x01\0\0\0\x40\x50"
	     "0123456789abcdef",
	     26, false}, /* length beyond the datagram */
	    {"\xc0\0\0\0\x01\0\0\x80\0\x40\0\x10"
	     "0123456789abcdef",
	     28, false}, /* token beyond the datagram */
	    {"\xc0\0\0\0\x01\0\0\0\x10"
	     "0123456789abcdef",
	     25, true},
	    {"\x80\0\0\0\0\x02me\x02it\0\0\0\x01", 15, true}, /* version negotiation */
	    {"\x40"
	     "0123456789abcdef0123",
	     21, true},
	    {"\x40"
	     "0123456789abcdef012",
	     20, false},
	    {"\0\x01\x08\0\x21\x12\xa4\x42"
	     "0123456789ab",
	     20, false}, /* STUN */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct quic_view view;
		assert_int_equal(quic_look((const uint8_t *)cases[i].at, cases[i].n, &view), cases[i].quic);
	}
}

/* A CHLO in a Google packet of the given version; Q046 has a long header. */
static size_t google_packet(const char *version, uint8_t *out, const char *sni)
{
	struct build *b = &payload;
	unsigned number = (unsigned)atoi(version + 1);
	b->n = 0;
	if (number < 46) {
		build_u8(b, 0x0d);
		build_put(b, "cid67890", 8);
		build_put(b, version, 4);
		build_u8(b, 1);
	} else {
		build_u8(b, 0xc3);
		build_put(b, version, 4);
		build_u8(b, 0x50);
		build_put(b, "cid67890", 8);
		build_put(b, "\0\0\0\x01", 4);
	}
	build_put(b, "hash567890ab", 12);
	if (number < 34)
		build_u8(b, 1);
	build_put(b, "\xa0\x01", 2);
	size_t n = 8 + 3 * 8 + 4 + strlen(sni) + 3;
	build_u8(b, (unsigned)(number < 39 ? n : n >> 8));
	build_u8(b, (unsigned)(number < 39 ? n >> 8 : n));
	build_put(b, "CHLO\x03\0\0\0", 8);
	build_put(b, "PAD\0\x04\0\0\0", 8);
	build_put(b, "SNI\0", 4);
	build_u8(b, 4 + (unsigned)strlen(sni));
	build_zeros(b, 3);
	build_put(b, "VER\0", 4);
	build_u8(b, 4 + (unsigned)strlen(sni) + 3);
	build_zeros(b, 3);
	build_put(b, "----", 4);
	build_text(b, sni);
	build_put(b, "Q43", 3);
	build_zeros(b, 20);
	memcpy(out, b->at, b->n);
	return b->n;
}

static void client__google_versions__server_name_tag(void **state)
{
	(void)state;
	static const char *const versions[] = {"Q024", "Q033", "Q034", "Q038", "Q039", "Q043", "Q046"};
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		struct quic_view view;
		size_t n = google_packet(versions[i], packet, "Www.Google.Fr");
		assert_true(quic_look(packet, n, &view));
		assert_int_equal(view.dcid.n, 8);
		assert_memory_equal(view.dcid.id, "cid67890", 8);
		assert_int_equal(client(packet, n), QUIC_FOUND);
		assert_string_equal(found.sni, "www.google.fr");
		assert_int_equal(found.flags, HELLO_SNI);
		renew();
		for (size_t cut = 0; cut < n - 24; cut++) {
			assert_int_not_equal(client(packet, cut), QUIC_FOUND);
			renew();
		}
	}
	size_t n = google_packet("Q043", packet, "10.0.0.1");
	assert_int_equal(client(packet, n), QUIC_FOUND);
	assert_int_equal(found.flags, HELLO_SNI_INVALID);
	n = google_packet("Q099", packet, "www.google.fr");
	struct quic_view view;
	assert_false(quic_look(packet, n, &view));
}

int main(void)
{
#define WITH_FLOW(f) cmocka_unit_test_setup_teardown(f, open_flow, close_flow)
	const struct CMUnitTest tests[] = {
	    WITH_FLOW(keys__rfc_vectors__as_printed),
	    WITH_FLOW(client__rfc_packets__their_name),
	    WITH_FLOW(open__rfc_server_packet__plaintext_as_printed),
	    WITH_FLOW(client__each_version__its_salt),
	    WITH_FLOW(client__shuffled_overlapping_frames__one_hello),
	    WITH_FLOW(client__several_datagrams_any_order__one_hello),
	    WITH_FLOW(client__server_chose_another_id__first_keys_still_fit),
	    WITH_FLOW(client__retry__keys_of_the_new_id_and_stream_anew),
	    WITH_FLOW(client__ports_reused__new_connection_read),
	    WITH_FLOW(client__ports_reused__packet_numbers_start_anew),
	    WITH_FLOW(client__keys_from_the_servers_id__not_a_new_connection),
	    WITH_FLOW(client__version_changes_under_way__stream_goes_on),
	    WITH_FLOW(client__other_packets_around__initial_found),
	    WITH_FLOW(client__packet_number_forms__opened),
	    WITH_FLOW(client__limits__verdict_at_the_cap),
	    WITH_FLOW(client__forged_lengths_and_types__none),
	    WITH_FLOW(client__every_truncation__never_found),
	    WITH_FLOW(look__not_quic__false),
	    WITH_FLOW(client__google_versions__server_name_tag),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
