/* Split invariance: 50 hellos give one name however they are cut into segments, records and CRYPTO frames,
 * and in whatever order they arrive. Every 2-split, and LEAKTAP_SPLITS random ones (10,000 in the long form)
 * of all hellos together. LEAKTAP_SEED repeats a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dissect/assemble.h"
#include "dissect/quic.h"
#include "dissect/tls_hello.h"
#include "tests/unit/hello_build.h"
#include "tests/unit/hello_captures.h"
#include "tests/unit/quic_seal.h"

enum { N_HELLOS = 50, N_MADE = 25, MAX_PIECES = 4096 };

static struct sample {
	struct build *message; /* handshake header and body */
	char name[256];
} samples[N_HELLOS];
static size_t n_samples;
static uint64_t random_state;

static uint32_t draw(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 33) % below);
}

static unsigned long from_environment(const char *name, unsigned long usual)
{
	const char *text = getenv(name);
	return text ? strtoul(text, NULL, 0) : usual;
}

static void add_sample(const struct build *message, const char *name)
{
	struct sample *s = &samples[n_samples++];
	s->message = malloc(sizeof *s->message);
	assert_non_null(s->message);
	*s->message = *message;
	snprintf(s->name, sizeof s->name, "%s", name);
}

static void make_samples(void)
{
	static struct build body, message;
	for (unsigned i = 0; i < N_MADE; i++) {
		char name[64];
		snprintf(name, sizeof name, "host-%u.upload.example-%u.com", i, i * i);
		body.n = message.n = 0;
		build_hello(&body, name, i % 5 == 4 ? 1500 : i * 3);
		build_message(&message, 1, &body);
		add_sample(&message, name);
	}
}

/* Hellos of real clients, with the name that was found by an independent reader (tshark, in truth.tsv). */
static void load_samples(void)
{
	static const char *const files[] = {"ndpi/443-curl.pcap",
					    "ndpi/443-firefox.pcap",
					    "ndpi/443-git.pcap",
					    "ndpi/443-safari.pcap",
					    "ndpi/chrome.pcap",
					    "ndpi/discord.pcap",
					    "ndpi/firefox.pcap",
					    "ndpi/signal.pcap",
					    "ndpi/teams.pcap",
					    "ndpi/zoom.pcap",
					    "zeek/tls_chrome-1250-tls-x25519-kyber.pcap",
					    "zeek/tls_tls13-ech.pcap",
					    "ndpi/instagram.pcap",
					    "ndpi/pinterest.pcap"};
	static struct build message;
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		static struct captured hellos[4];
		size_t n = captured_hellos(files[i], hellos, 4);
		for (size_t k = 0; k < n && n_samples < N_HELLOS; k++) {
			message.n = 0;
			build_put(&message, hellos[k].message, hellos[k].n);
			add_sample(&message, hellos[k].name);
		}
	}
}

static int group_setup(void **state)
{
	(void)state;
	random_state = from_environment("LEAKTAP_SEED", (unsigned long)time(NULL));
	printf("LEAKTAP_SEED=%llu\n", (unsigned long long)random_state);
	make_samples();
	load_samples();
	if (n_samples < N_HELLOS)
		printf("SKIPPED PART: captures of the shared data are not there: %zu of %d hellos\n",
		       n_samples, N_HELLOS);
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	while (n_samples)
		free(samples[--n_samples].message);
	return 0;
}

struct piece {
	uint32_t from, to;
};

static void shuffle(struct piece *pieces, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t k = draw((uint32_t)i);
		struct piece keep = pieces[i - 1];
		pieces[i - 1] = pieces[k];
		pieces[k] = keep;
	}
}

/* Cuts [0, n) at random, lets some pieces overlap their neighbours, and shuffles them. */
static size_t cut(uint32_t n, uint32_t largest, struct piece *pieces)
{
	size_t count = 0;
	for (uint32_t at = 0; at < n && count < MAX_PIECES;) {
		uint32_t length = count == MAX_PIECES - 1 ? n - at : 1 + draw(largest);
		uint32_t to = length > n - at ? n : at + length;
		uint32_t from = draw(4) ? at : at - draw(at < 50 ? at + 1 : 50);
		pieces[count++] = (struct piece){from, to};
		at = to;
	}
	shuffle(pieces, count);
	return count;
}

/* Segments in the given order through assemble; the name must come with the last byte needed and be the right
 * one. */
static void expect_tls(const struct sample *s, const struct build *stream, const struct piece *pieces,
		       size_t n)
{
	struct assemble a;
	struct assemble_budget budget = {.max_bytes = 1 << 20};
	struct tls_hello found;
	uint32_t scan = 0;
	enum tls_hello_verdict v = TLS_HELLO_MORE;
	assemble_init(&a);
	for (size_t i = 0; i < n && v == TLS_HELLO_MORE; i++) {
		uint32_t from = pieces[i].from;
		if (assemble_add(&a, &budget, from, stream->at + from, pieces[i].to - from))
			v = tls_hello_client(a.bytes, a.ready, NULL, 0, false, &scan, &found);
	}
	assert_int_equal(v, TLS_HELLO_FOUND);
	assert_string_equal(found.hello.sni, s->name);
	assert_false(a.differs);
	assemble_done(&a, &budget);
	assert_int_equal(budget.used_bytes, 0);
}

static void split__every_two_segments_and_records__same_name(void **state)
{
	(void)state;
	static struct build stream;
	for (size_t i = 0; i < n_samples; i++)
		for (size_t at = 1; at < samples[i].message->n; at++) {
			const struct build *m = samples[i].message;
			stream.n = 0;
			build_records(&stream, m, 16384);
			struct piece forward[] = {{0, (uint32_t)at}, {(uint32_t)at, (uint32_t)stream.n}};
			struct piece backward[] = {forward[1], forward[0]};
			expect_tls(&samples[i], &stream, forward, 2);
			expect_tls(&samples[i], &stream, backward, 2);
			stream.n = 0;
			build_records(&stream, m, at); /* records of that size */
			struct piece all[] = {{0, (uint32_t)stream.n}};
			expect_tls(&samples[i], &stream, all, 1);
		}
}

static void split__random_segments_orders_records__same_name(void **state)
{
	(void)state;
	static struct build stream;
	static struct piece pieces[MAX_PIECES];
	unsigned long n = from_environment("LEAKTAP_SPLITS", 1000);
	for (unsigned long i = 0; i < n; i++) {
		const struct sample *s = &samples[draw((uint32_t)n_samples)];
		static const uint32_t largest[] = {1, 3, 20, 200, 1400};
		stream.n = 0;
		build_records(&stream, s->message, draw(3) ? 16384 : 1 + draw(300));
		size_t count = cut((uint32_t)stream.n, largest[draw(5)], pieces);
		expect_tls(s, &stream, pieces, count);
	}
}

static void put_frame(struct build *payload, const struct build *message, struct piece piece)
{
	build_u8(payload, 6);
	build_u16(payload, 0x4000 | piece.from);
	build_u16(payload, 0x4000 | (piece.to - piece.from));
	build_put(payload, message->at + piece.from, piece.to - piece.from);
	build_zeros(payload, draw(10) ? 0 : draw(20));
	if (!draw(10))
		build_u8(payload, 1);
}

/* Pieces become frames of one to four Initials, which arrive in any order. */
static void expect_quic(struct quic_crypt *qc, const struct sample *s, const struct piece *pieces, size_t n)
{
	static const uint8_t salt[] =
	    "\x38\x76\x2c\xf7\xf5\x59\x34\xb3\x4d\x17\x9a\xe6\xa4\xc8\x0c\xad\xcc\xbb\x7f\x0a";
	static struct build payload;
	static uint8_t packet[BUILD_MAX];
	struct seal seal = {.version = 1,
			    .salt = salt,
			    .label = "quic",
			    .side = "client in",
			    .key_cid = "cid12345",
			    .dcid = "cid12345",
			    .n_key_cid = 8,
			    .n_dcid = 8,
			    .n_number = 2};
	struct quic_state *flow = quic_state_new();
	struct hello found;
	enum quic_verdict v = QUIC_MORE;
	size_t n_datagrams = 1 + draw(4), sent = 0;
	for (size_t d = 0; d < n_datagrams; d++) {
		payload.n = 0;
		size_t upto = d + 1 == n_datagrams ? n : sent + draw((uint32_t)(n - sent + 1));
		for (; sent < upto; sent++)
			put_frame(&payload, s->message, pieces[sent]);
		build_zeros(&payload, 30);
		seal.number = (d + 2) % n_datagrams;
		size_t n_packet = seal_initial(&seal, payload.at, payload.n, packet);
		if (v == QUIC_MORE)
			v = quic_client(qc, flow, packet, n_packet, &found);
	}
	assert_int_equal(v, QUIC_FOUND);
	assert_string_equal(found.sni, s->name);
	quic_state_free(flow);
}

static void split__random_crypto_frames_and_datagrams__same_name(void **state)
{
	(void)state;
	static struct piece pieces[MAX_PIECES];
	struct quic_crypt *qc = quic_crypt_new();
	assert_non_null(qc);
	unsigned long n = from_environment("LEAKTAP_SPLITS", 1000);
	for (unsigned long i = 0; i < n; i++) {
		const struct sample *s = &samples[draw((uint32_t)n_samples)];
		static const uint32_t largest[] = {1, 20, 200, 1400};
		size_t count = cut((uint32_t)s->message->n, largest[draw(4)], pieces);
		expect_quic(qc, s, pieces, count);
	}
	quic_crypt_free(qc);
}

static void split__every_two_crypto_frames__same_name(void **state)
{
	(void)state;
	struct quic_crypt *qc = quic_crypt_new();
	assert_non_null(qc);
	unsigned long step = from_environment("LEAKTAP_QUIC_STEP", 23); /* 1 in the long form */
	for (size_t i = 0; i < n_samples; i++)
		for (uint32_t at = 1; at < samples[i].message->n; at += (uint32_t)step) {
			uint32_t n = (uint32_t)samples[i].message->n;
			struct piece forward[] = {{0, at}, {at, n}}, backward[] = {{at, n}, {0, at}};
			expect_quic(qc, &samples[i], forward, 2);
			expect_quic(qc, &samples[i], backward, 2);
		}
	quic_crypt_free(qc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(split__every_two_segments_and_records__same_name),
	    cmocka_unit_test(split__random_segments_orders_records__same_name),
	    cmocka_unit_test(split__random_crypto_frames_and_datagrams__same_name),
	    cmocka_unit_test(split__every_two_crypto_frames__same_name),
	};
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
