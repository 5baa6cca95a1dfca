/* tls_app: streams are built record by record with known plaintext sizes; what the walker says must be their
 * sum, however the stream is cut. */
#include "dissect/tls_app.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	SUITE_GCM = 0xc02f,
	SUITE_CHACHA = 0xcca8,
	SUITE_CBC_SHA = 0x002f,
	SUITE_13_SHA256 = 0x1301,
	SUITE_13_SHA384 = 0x1302
};
enum { CLIENT, SERVER };

struct stream {
	uint8_t bytes[400000];
	uint32_t n;
};

/* Records in the order of time: which direction sent bytes up to where. */
struct talk {
	struct stream side[2];
	struct {
		unsigned dir;
		uint32_t from, to;
	} turn[600];
	size_t n_turns;
};

static struct talk talk;

static uint32_t seed = 1;
static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (uint32_t)(((uint64_t)(seed >> 8) * below) >> 24);
}

static void record(unsigned dir, uint8_t type, uint16_t length, const uint8_t *body, size_t n_body)
{
	struct stream *s = &talk.side[dir];
	uint32_t from = s->n;
	uint8_t header[5] = {type, 3, 3, (uint8_t)(length >> 8), (uint8_t)length};
	memcpy(s->bytes + s->n, header, 5);
	/* Bodies are 0xa5 so that no header hides in them by chance; tests that want one put it there. */
	memset(s->bytes + s->n + 5, 0xa5, length);
	if (n_body)
		memcpy(s->bytes + s->n + 5, body, n_body);
	s->n += 5u + length;
	if (talk.n_turns && talk.turn[talk.n_turns - 1].dir == dir) {
		talk.turn[talk.n_turns - 1].to = s->n;
		return;
	}
	talk.turn[talk.n_turns].dir = dir;
	talk.turn[talk.n_turns].from = from;
	talk.turn[talk.n_turns++].to = s->n;
}

static void turn_ends(void)
{
	if (!talk.n_turns)
		return;
	unsigned dir = talk.turn[talk.n_turns - 1].dir;
	talk.turn[talk.n_turns].dir = dir;
	talk.turn[talk.n_turns].from = talk.turn[talk.n_turns].to = talk.side[dir].n;
	talk.n_turns++;
}

static void client_hello(void)
{
	record(CLIENT, 22, 517, (const uint8_t[]){1, 0, 2, 1, 3, 3}, 6);
}

static const uint8_t retry_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
					 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
					 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static void server_hello(uint16_t suite, bool retry)
{
	uint8_t b[122] = {2, 0, 0, 118, 3, 3};
	if (retry)
		memcpy(b + 6, retry_random, 32);
	b[38] = 32;
	b[71] = (uint8_t)(suite >> 8);
	b[72] = (uint8_t)suite;
	record(SERVER, 22, sizeof b, b, sizeof b);
}

static void ccs(unsigned dir)
{
	record(dir, 20, 1, (const uint8_t[]){1}, 1);
}

/* Data of n bytes in full records; what the suite adds is overhead. */
static void data(unsigned dir, uint32_t n, uint16_t overhead)
{
	while (n) {
		uint16_t part = (uint16_t)(n < 16384 ? n : 16384);
		record(dir, 23, (uint16_t)(part + overhead), NULL, 0);
		n -= part;
	}
}

static void begin(void)
{
	memset(&talk, 0, sizeof talk);
}

static void handshake12(uint16_t suite, uint16_t finished)
{
	begin();
	client_hello();
	server_hello(suite, false);
	record(SERVER, 22, 4000, (const uint8_t[]){11}, 1);
	record(SERVER, 22, 300, (const uint8_t[]){12}, 1);
	record(SERVER, 22, 4, (const uint8_t[]){14, 0, 0, 0}, 4);
	record(CLIENT, 22, 37, (const uint8_t[]){16, 0, 0, 33}, 4);
	ccs(CLIENT);
	record(CLIENT, 22, finished, NULL, 0);
	ccs(SERVER);
	record(SERVER, 22, finished, NULL, 0);
}

/* OpenSSL's way: every message a record of its own, two tickets. */
static void handshake13(uint16_t suite, bool client_auth, bool tickets)
{
	const uint16_t finished = suite == SUITE_13_SHA384 ? 69 : 53;
	begin();
	client_hello();
	server_hello(suite, false);
	ccs(SERVER);
	record(SERVER, 23, 23, NULL, 0);
	record(SERVER, 23, 4021, NULL, 0);
	record(SERVER, 23, 281, NULL, 0);
	record(SERVER, 23, finished, NULL, 0);
	ccs(CLIENT);
	if (client_auth) {
		record(CLIENT, 23, 1230, NULL, 0);
		record(CLIENT, 23, 96, NULL, 0);
	}
	record(CLIENT, 23, finished, NULL, 0);
	turn_ends();
	if (tickets) {
		record(SERVER, 23, 250, NULL, 0);
		record(SERVER, 23, 250, NULL, 0);
	}
}

struct said {
	uint32_t up, down;
	bool known, estimated;
};

static struct tls_app_pool *pool;
static int make_pool(void **state)
{
	(void)state;
	pool = tls_app_pool_new(0);
	return pool ? 0 : -1;
}
static int drop_pool(void **state)
{
	(void)state;
	tls_app_pool_free(pool);
	return 0;
}

/* An exact-size heap copy, so that a read past the segment is seen. */
static void add(struct tls_app *ta, unsigned dir, uint32_t at, uint32_t n, uint32_t captured, uint32_t acked)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	assert_non_null(copy);
	memcpy(copy, talk.side[dir].bytes + at, captured);
	struct tls_app_segment seg = {.flow = 7,
				      .dir = dir,
				      .position = at,
				      .acked = acked,
				      .payload = copy,
				      .captured_bytes = captured,
				      .bytes = n};
	tls_app_add(ta, pool, &seg);
	free(copy);
}

static struct said finish(struct tls_app *ta)
{
	tls_app_end(ta, pool, 7);
	struct said s = {.known = tls_app_known(ta), .estimated = tls_app_estimated(ta)};
	s.up = tls_app_take(ta, CLIENT);
	s.down = tls_app_take(ta, SERVER);
	return s;
}

/* In order, in segments of at most size bytes. */
static struct said run(uint32_t size, uint32_t snap)
{
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++)
		for (uint32_t at = talk.turn[t].from; at < talk.turn[t].to;) {
			uint32_t n = talk.turn[t].to - at < size ? talk.turn[t].to - at : size;
			add(&ta, talk.turn[t].dir, at, n, n < snap ? n : snap, at);
			at += n;
		}
	return finish(&ta);
}

static void add__tls12_gcm__exact_both_ways(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	data(CLIENT, 300, 24);
	data(SERVER, 100000, 24);
	record(CLIENT, 21, 26, NULL, 0);
	struct said s = run(1448, 65535);
	assert_true(s.known);
	assert_false(s.estimated);
	assert_int_equal(s.up, 300);
	assert_int_equal(s.down, 100000);
}

static void add__tls12_chacha__sixteen_bytes_a_record(void **state)
{
	(void)state;
	handshake12(SUITE_CHACHA, 32);
	data(CLIENT, 20000, 16);
	data(SERVER, 1, 16);
	struct said s = run(1448, 65535);
	assert_int_equal(s.up, 20000);
	assert_int_equal(s.down, 1);
	assert_false(s.estimated);
}

static void add__tls12_cbc__within_a_block_a_record(void **state)
{
	(void)state;
	handshake12(SUITE_CBC_SHA, 64);
	for (int i = 0; i < 20; i++) /* 16 IV + 1,000 + 20 MAC, padded to blocks: 1,040 */
		record(CLIENT, 23, 1040 + 16, NULL, 0);
	struct said s = run(1448, 65535);
	assert_true(s.estimated);
	assert_in_range(s.up, 20 * (1000 - 16), 20 * (1000 + 16));
}

/* A ticket holds the client's certificate; a server may send four; a resumption has no certificate of the
 * server's and one ticket. */
static void add__tls13__tickets_of_other_servers__left_out(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, true, false);
	for (int i = 0; i < 2; i++)
		record(SERVER, 23, 2249, NULL, 0);
	data(CLIENT, 300, 17);
	data(SERVER, 180, 17);
	struct said s = run(1448, 65535);
	assert_int_equal(s.up, 300);
	assert_int_equal(s.down, 180);
	handshake13(SUITE_13_SHA256, false, false);
	for (int i = 0; i < 4; i++)
		record(SERVER, 23, 217, NULL, 0);
	data(CLIENT, 300, 17);
	data(SERVER, 180, 17);
	s = run(1448, 65535);
	assert_int_equal(s.down, 180);
	begin();
	client_hello();
	server_hello(SUITE_13_SHA256, false);
	ccs(SERVER);
	record(SERVER, 23, 23, NULL, 0);
	record(SERVER, 23, 53, NULL, 0);
	ccs(CLIENT);
	record(CLIENT, 23, 53, NULL, 0);
	turn_ends();
	record(SERVER, 23, 233, NULL, 0);
	data(CLIENT, 300, 17);
	data(SERVER, 180, 17);
	s = run(1448, 65535);
	assert_int_equal(s.up, 300);
	assert_int_equal(s.down, 180);
}

/* A server that gives one ticket: it is left out once the answer follows. A lone record of that size is the answer. */
static void add__tls13__one_ticket__left_out(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {150, 200, 250};
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		handshake13(SUITE_13_SHA256, false, false);
		data(CLIENT, 300, 17);
		record(SERVER, 23, (uint16_t)(sizes[i] + 17), NULL, 0);
		data(SERVER, 5000, 17);
		struct said s = run(1448, 65535);
		assert_int_equal(s.up, 300);
		assert_int_equal(s.down, 5000);
		assert_true(s.estimated);
		handshake13(SUITE_13_SHA256, false, false);
		data(CLIENT, 300, 17);
		data(SERVER, sizes[i], 17);
		record(SERVER, 23, 19, NULL, 0); /* close_notify */
		assert_int_equal(run(1448, 65535).down, sizes[i]);
	}
	/* too small and too large for one */
	handshake13(SUITE_13_SHA256, false, false);
	data(SERVER, 60, 17);
	data(SERVER, 700, 17);
	assert_int_equal(run(1448, 65535).down, 760);
	handshake13(SUITE_13_SHA256, false, false);
	data(SERVER, 400, 17);
	data(SERVER, 700, 17);
	assert_int_equal(run(1448, 65535).down, 1100);
}

/* Equal records that no ticket is as large as: data from the first on. */
static void add__tls13__equal_data_records__count(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, false);
	data(CLIENT, 300, 17);
	for (int i = 0; i < 4; i++)
		data(SERVER, 1400, 17);
	assert_int_equal(run(1448, 65535).down, 4 * 1400);
}

static void add__tls13__handshake_and_tickets_left_out(void **state)
{
	(void)state;
	const uint16_t suites[] = {SUITE_13_SHA256, SUITE_13_SHA384};
	for (size_t i = 0; i < 2; i++)
		for (int auth = 0; auth < 2; auth++) {
			handshake13(suites[i], auth, true);
			data(CLIENT, 300, 17);
			data(SERVER, 180, 17);
			record(CLIENT, 23, 19, NULL, 0);
			record(SERVER, 23, 19, NULL, 0);
			struct said s = run(1448, 65535);
			assert_true(s.known && s.estimated);
			assert_int_equal(s.up, 300);
			assert_int_equal(s.down, 180);
		}
}

static void add__tls13_client_auth_in_one_record__next_record_counts(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, false);
	begin();
	client_hello();
	server_hello(SUITE_13_SHA256, false);
	ccs(SERVER);
	record(SERVER, 23, 4300, NULL, 0);
	ccs(CLIENT);
	record(CLIENT, 23, 1400, NULL, 0); /* Certificate, CertificateVerify, Finished */
	data(CLIENT, 5000, 17);
	data(SERVER, 700, 17);
	struct said s = run(1448, 65535);
	assert_int_equal(s.up, 5000);
	assert_int_equal(s.down, 700);
}

static void add__hello_retry__second_server_hello_decides(void **state)
{
	(void)state;
	begin();
	client_hello();
	server_hello(SUITE_13_SHA256, true);
	ccs(SERVER);
	ccs(CLIENT);
	client_hello();
	server_hello(SUITE_13_SHA256, false);
	record(SERVER, 23, 4300, NULL, 0);
	record(CLIENT, 23, 53, NULL, 0);
	data(CLIENT, 2000, 17);
	turn_ends();
	data(SERVER, 100, 17);
	struct said s = run(1448, 65535);
	assert_int_equal(s.up, 2000);
	assert_int_equal(s.down, 100);
}

static struct said run_early(uint16_t end_of_early, uint32_t later)
{
	struct tls_app ta = {0};
	begin();
	client_hello();
	ccs(CLIENT);
	data(CLIENT, 1200, 17);
	uint32_t hello = talk.side[CLIENT].n;
	tls_app_offers_early_data(&ta);
	add(&ta, CLIENT, 0, hello, hello, 0);
	server_hello(SUITE_13_SHA256, false);
	ccs(SERVER);
	record(SERVER, 23, 40, NULL, 0);
	record(SERVER, 23, 53, NULL, 0);
	add(&ta, SERVER, 0, talk.side[SERVER].n, talk.side[SERVER].n, 0);
	if (end_of_early)
		record(CLIENT, 23, end_of_early, NULL, 0);
	record(CLIENT, 23, 53, NULL, 0);
	data(CLIENT, later, 17);
	add(&ta, CLIENT, hello, talk.side[CLIENT].n - hello, talk.side[CLIENT].n - hello, hello);
	assert_true(tls_app_early_data(&ta));
	return finish(&ta);
}

static void add__early_data_taken__counts_with_the_rest(void **state)
{
	(void)state;
	assert_int_equal(run_early(21, 500).up, 1700);
}

static void add__early_data_refused__counts_once(void **state)
{
	(void)state;
	assert_int_equal(run_early(0, 1200).up, 1200);
}

static void add__not_tls__unknown(void **state)
{
	(void)state;
	begin();
	memcpy(talk.side[CLIENT].bytes, "GET / HTTP/1.1\r\n\r\n", 18);
	struct tls_app ta = {0};
	add(&ta, CLIENT, 0, 18, 18, 0);
	assert_false(tls_app_known(&ta));
	assert_int_equal(finish(&ta).up, 0);
}

static void add__every_segment_size__same_bytes(void **state)
{
	(void)state;
	for (int version = 0; version < 2; version++) {
		if (version)
			handshake13(SUITE_13_SHA256, true, true);
		else
			handshake12(SUITE_GCM, 40);
		data(CLIENT, 40000, version ? 17 : 24);
		data(SERVER, 777, version ? 17 : 24);
		for (uint32_t size = 1; size < 1600; size += size < 40 ? 1 : 97) {
			struct said s = run(size, 65535);
			assert_int_equal(s.up, 40000);
			assert_int_equal(s.down, 777);
		}
	}
}

static void shuffled(uint32_t most, bool repeat)
{
	static struct {
		uint32_t at, n;
	} piece[4000];
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++) {
		size_t n = 0;
		for (uint32_t at = talk.turn[t].from; at < talk.turn[t].to; n++) {
			piece[n].at = at;
			piece[n].n = 1 + rnd(most);
			if (at + piece[n].n > talk.turn[t].to)
				piece[n].n = talk.turn[t].to - at;
			at += piece[n].n;
		}
		for (size_t i = n; i > 1; i--) {
			size_t j = rnd((uint32_t)i);
			uint32_t at = piece[i - 1].at, len = piece[i - 1].n;
			piece[i - 1] = piece[j];
			piece[j].at = at;
			piece[j].n = len;
		}
		for (size_t i = 0; i < n; i++) {
			add(&ta, talk.turn[t].dir, piece[i].at, piece[i].n, piece[i].n, talk.turn[t].from);
			if (repeat && rnd(5) == 0) {
				uint32_t back = rnd(piece[i].at - talk.turn[t].from + 1) % 300;
				add(&ta, talk.turn[t].dir, piece[i].at - back, piece[i].n + back,
				    piece[i].n + back, 0);
			}
		}
	}
	struct said s = finish(&ta);
	assert_int_equal(s.up, 30000);
	assert_int_equal(s.down, 2222);
}

static void add__any_cut_and_order__same_bytes(void **state)
{
	(void)state;
	for (int round = 0; round < 400; round++) {
		seed = (uint32_t)round + 1;
		if (round & 1)
			handshake13(SUITE_13_SHA256, round & 2, round & 4);
		else
			handshake12(SUITE_GCM, 40);
		data(CLIENT, 30000, round & 1 ? 17 : 24);
		data(SERVER, 2222, round & 1 ? 17 : 24);
		shuffled(round % 5 ? 1448 : 12000, round & 8);
	}
}

static void add__one_byte_segments_backwards__same_bytes(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	data(CLIENT, 600, 24);
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++)
		for (uint32_t at = talk.turn[t].to; at-- > talk.turn[t].from;)
			add(&ta, talk.turn[t].dir, at, 1, 1, talk.turn[t].from);
	assert_int_equal(finish(&ta).up, 600);
}

static void add__gap_inside_a_body__nothing_lost(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	uint32_t before = talk.side[CLIENT].n;
	data(CLIENT, 32768, 24);
	struct tls_app ta = {0};
	for (size_t t = 0; t + 1 < talk.n_turns; t++)
		add(&ta, talk.turn[t].dir, talk.turn[t].from, talk.turn[t].to - talk.turn[t].from,
		    talk.turn[t].to - talk.turn[t].from, 0);
	uint32_t end = talk.side[CLIENT].n;
	add(&ta, CLIENT, before, 1000, 1000, 0);
	add(&ta, CLIENT, before + 12000, 8000, 8000, before + 20000);
	add(&ta, CLIENT, end - 100, 100, 100, end);
	struct said s = finish(&ta);
	assert_int_equal(s.up, 32768);
	assert_false(s.estimated);
}

/* Every tenth segment lost, so that headers are too. The error per lost header is one record's overhead at
 * most. */
static void add__headers_lost__within_half_a_percent(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, true);
	size_t handshake = talk.n_turns;
	data(CLIENT, 300000, 17);
	struct tls_app ta = {0};
	for (size_t t = 0; t < handshake; t++)
		add(&ta, talk.turn[t].dir, talk.turn[t].from, talk.turn[t].to - talk.turn[t].from,
		    talk.turn[t].to - talk.turn[t].from, 0);
	for (uint32_t at = talk.turn[handshake].from, i = 0; at < talk.side[CLIENT].n; i++) {
		uint32_t n = talk.side[CLIENT].n - at < 1448 ? talk.side[CLIENT].n - at : 1448;
		if (i % 10 != 0)
			add(&ta, CLIENT, at, n, n, at);
		at += n;
	}
	struct said s = finish(&ta);
	assert_true(s.estimated);
	assert_in_range(s.up, 298500, 301500);
}

static void add__sliced__within_one_percent(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, true);
	data(CLIENT, 300000, 17);
	struct said s = run(1448, 42);
	assert_true(s.known && s.estimated);
	assert_in_range(s.up, 297000, 303000);
}

static void add__client_only__counted_and_flagged(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, true);
	data(CLIENT, 5000, 17);
	struct tls_app ta = {0};
	add(&ta, CLIENT, 0, talk.side[CLIENT].n, talk.side[CLIENT].n, 0);
	struct said s = finish(&ta);
	assert_true(s.known && s.estimated);
	assert_int_equal(s.up, 5000);
}

static void add__server_only__counted_and_flagged(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, true);
	data(SERVER, 90000, 17);
	struct tls_app ta = {0};
	add(&ta, SERVER, 0, talk.side[SERVER].n, talk.side[SERVER].n, 0);
	struct said s = finish(&ta);
	assert_true(s.known && s.estimated);
	assert_int_equal(s.down, 90000);
}

static void add__server_hello_lost__version_inferred(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	data(CLIENT, 9000, 24);
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++)
		if (talk.turn[t].dir == CLIENT)
			add(&ta, CLIENT, talk.turn[t].from, talk.turn[t].to - talk.turn[t].from,
			    talk.turn[t].to - talk.turn[t].from, 0);
	struct said s = finish(&ta);
	assert_true(s.known && s.estimated);
	assert_int_equal(s.up, 9000);
}

static void add__picked_up_in_the_middle__estimated(void **state)
{
	(void)state;
	begin();
	data(CLIENT, 40000, 17);
	struct said s = run(1448, 65535);
	assert_true(s.known && s.estimated);
	assert_int_equal(s.up, 40000);
}

static void add__responder_is_the_client__roles_swapped(void **state)
{
	(void)state;
	handshake13(SUITE_13_SHA256, false, true);
	data(CLIENT, 4000, 17);
	data(SERVER, 60, 17);
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++) {
		unsigned dir = talk.turn[t].dir;
		uint32_t n = talk.turn[t].to - talk.turn[t].from;
		struct tls_app_segment seg = {.flow = 7,
					      .dir = !dir,
					      .position = talk.turn[t].from,
					      .captured_bytes = n,
					      .bytes = n,
					      .payload = talk.side[dir].bytes + talk.turn[t].from};
		tls_app_add(&ta, pool, &seg);
	}
	struct said s = finish(&ta);
	assert_int_equal(s.down, 4000);
	assert_int_equal(s.up, 60);
}

static void start__after_starttls__counts_from_there(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	data(CLIENT, 1000, 24);
	struct tls_app ta = {0};
	uint8_t text[] = "220 mail\r\n";
	struct tls_app_segment greeting = {
	    .flow = 7, .dir = SERVER, .payload = text, .captured_bytes = 10, .bytes = 10};
	tls_app_add(&ta, pool, &greeting);
	assert_false(tls_app_known(&ta));
	tls_app_start(&ta, CLIENT, 30);
	tls_app_start(&ta, SERVER, 10);
	for (size_t t = 0; t < talk.n_turns; t++) {
		unsigned dir = talk.turn[t].dir;
		uint32_t n = talk.turn[t].to - talk.turn[t].from;
		struct tls_app_segment seg = {.flow = 7,
					      .dir = dir,
					      .position = talk.turn[t].from + (dir == CLIENT ? 30 : 10),
					      .captured_bytes = n,
					      .bytes = n,
					      .payload = talk.side[dir].bytes + talk.turn[t].from};
		tls_app_add(&ta, pool, &seg);
	}
	assert_int_equal(finish(&ta).up, 1000);
}

static void add__record_not_finished__does_not_count(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	data(CLIENT, 16384, 24);
	talk.turn[talk.n_turns - 1].to -= 100;
	assert_int_equal(run(1448, 65535).up, 0);
}

/* The capture ended early, the far end went on acknowledging: three records and their headers. */
static void tail__acknowledged_but_not_captured__counts(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	uint32_t before = talk.side[CLIENT].n;
	data(CLIENT, 3 * 16384, 24);
	struct tls_app ta = {0};
	for (size_t t = 0; t < talk.n_turns; t++) {
		uint32_t n = talk.turn[t].to - talk.turn[t].from;
		n = talk.turn[t].from == before ? 10000 : n;
		add(&ta, talk.turn[t].dir, talk.turn[t].from, n, n, 0);
	}
	tls_app_end(&ta, pool, 7);
	assert_int_equal(tls_app_take(&ta, CLIENT), 0);
	tls_app_tail(&ta, CLIENT, talk.side[CLIENT].n);
	assert_int_equal(tls_app_take(&ta, CLIENT), 3 * 16384);
	assert_true(tls_app_estimated(&ta));
}

static void rebase__in_the_middle__goes_on(void **state)
{
	(void)state;
	handshake12(SUITE_GCM, 40);
	uint32_t before = talk.side[CLIENT].n;
	data(CLIENT, 16384, 24);
	uint32_t middle = talk.side[CLIENT].n;
	data(CLIENT, 500, 24);
	struct tls_app ta = {0};
	for (size_t t = 0; t + 1 < talk.n_turns; t++)
		add(&ta, talk.turn[t].dir, talk.turn[t].from, talk.turn[t].to - talk.turn[t].from,
		    talk.turn[t].to - talk.turn[t].from, 0);
	add(&ta, CLIENT, before, middle - before + 3, middle - before + 3, 0);
	tls_app_rebase(&ta, pool, 7, CLIENT, before);
	struct tls_app_segment seg = {.flow = 7,
				      .dir = CLIENT,
				      .position = middle + 3 - before,
				      .payload = talk.side[CLIENT].bytes + middle + 3,
				      .captured_bytes = talk.side[CLIENT].n - middle - 3,
				      .bytes = talk.side[CLIENT].n - middle - 3};
	tls_app_add(&ta, pool, &seg);
	struct said s = finish(&ta);
	assert_int_equal(s.up, 16884);
	assert_false(s.estimated);
}

static void pool__full__throws_out_and_keeps_its_size(void **state)
{
	(void)state;
	struct tls_app_pool *small = tls_app_pool_new(150000);
	static struct tls_app ta[500];
	uint8_t bytes[1000] = {0};
	for (uint32_t i = 0; i < 500; i++) {
		struct tls_app_segment seg = {
		    .flow = i, .position = 5000, .payload = bytes, .captured_bytes = 1000, .bytes = 1000};
		tls_app_add(&ta[i], small, &seg);
	}
	assert_true(tls_app_pool_memory_bytes(small) < 160000);
	assert_true(tls_app_pool_evicted(small) >= 400);
	for (uint32_t i = 0; i < 500; i++)
		tls_app_end(&ta[i], small, i);
	tls_app_pool_free(small);
}

static void pool__one_flow_waits_for_ever__holds_a_bounded_number(void **state)
{
	(void)state;
	struct tls_app ta = {0};
	begin();
	client_hello();
	server_hello(SUITE_GCM, false);
	add(&ta, CLIENT, 0, talk.side[CLIENT].n, talk.side[CLIENT].n, 0);
	uint8_t bytes[1448] = {0};
	for (uint32_t i = 0; i < 100000; i++) {
		struct tls_app_segment seg = {.flow = 7,
					      .position = 2000 + i * 1448,
					      .payload = bytes,
					      .captured_bytes = 1448,
					      .bytes = 1448};
		tls_app_add(&ta, pool, &seg);
	}
	assert_true(tls_app_pool_memory_bytes(pool) < 1000000);
	finish(&ta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(add__tls12_gcm__exact_both_ways),
	    cmocka_unit_test(add__tls12_chacha__sixteen_bytes_a_record),
	    cmocka_unit_test(add__tls12_cbc__within_a_block_a_record),
	    cmocka_unit_test(add__tls13__handshake_and_tickets_left_out),
	    cmocka_unit_test(add__tls13__tickets_of_other_servers__left_out),
	    cmocka_unit_test(add__tls13__one_ticket__left_out),
	    cmocka_unit_test(add__tls13__equal_data_records__count),
	    cmocka_unit_test(add__tls13_client_auth_in_one_record__next_record_counts),
	    cmocka_unit_test(add__hello_retry__second_server_hello_decides),
	    cmocka_unit_test(add__early_data_taken__counts_with_the_rest),
	    cmocka_unit_test(add__early_data_refused__counts_once),
	    cmocka_unit_test(add__not_tls__unknown),
	    cmocka_unit_test(add__every_segment_size__same_bytes),
	    cmocka_unit_test(add__any_cut_and_order__same_bytes),
	    cmocka_unit_test(add__one_byte_segments_backwards__same_bytes),
	    cmocka_unit_test(add__gap_inside_a_body__nothing_lost),
	    cmocka_unit_test(add__headers_lost__within_half_a_percent),
	    cmocka_unit_test(add__sliced__within_one_percent),
	    cmocka_unit_test(add__client_only__counted_and_flagged),
	    cmocka_unit_test(add__server_only__counted_and_flagged),
	    cmocka_unit_test(add__server_hello_lost__version_inferred),
	    cmocka_unit_test(add__picked_up_in_the_middle__estimated),
	    cmocka_unit_test(add__responder_is_the_client__roles_swapped),
	    cmocka_unit_test(start__after_starttls__counts_from_there),
	    cmocka_unit_test(add__record_not_finished__does_not_count),
	    cmocka_unit_test(tail__acknowledged_but_not_captured__counts),
	    cmocka_unit_test(rebase__in_the_middle__goes_on),
	    cmocka_unit_test(pool__full__throws_out_and_keeps_its_size),
	    cmocka_unit_test(pool__one_flow_waits_for_ever__holds_a_bounded_number),
	};
	return cmocka_run_group_tests(tests, make_pool, drop_pool);
}
