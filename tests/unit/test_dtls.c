/* dtls: hellos by hand, in every cut and order, and what is none. */
#include "dissect/dtls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/hello_build.h"

static struct build body, datagram;
static struct dtls_stream stream;
static struct assemble held;
static struct assemble_budget budget = {.max_bytes = 1 << 20};
static struct hello hello;

static void reset(void)
{
	assemble_done(&held, &budget);
	stream = (struct dtls_stream){0};
	memset(&hello, 0xee, sizeof hello);
}

/* RFC 6347 4.2.2: the TLS body with a cookie behind the session id. */
static void make_body(const char *name, size_t n_cookie, size_t n_pad)
{
	static struct build tls;
	tls.n = body.n = 0;
	build_hello(&tls, name, n_pad);
	build_u16(&body, 0xfefd);
	build_put(&body, tls.at + 2, 32 + 33);
	build_u8(&body, (unsigned)n_cookie);
	build_zeros(&body, n_cookie);
	build_put(&body, tls.at + 67, tls.n - 67);
}

static void add_u24(size_t v)
{
	build_u8(&datagram, (unsigned)(v >> 16));
	build_u16(&datagram, (unsigned)(v & 0xffff));
}

/* One record with one fragment of body. */
static void add_fragment(unsigned type, unsigned seq, size_t from, size_t n)
{
	build_u8(&datagram, 22);
	build_u16(&datagram, 0xfefd);
	build_u16(&datagram, 0);
	build_zeros(&datagram, 6);
	build_u16(&datagram, (unsigned)(12 + n));
	build_u8(&datagram, type);
	add_u24(body.n);
	build_u16(&datagram, seq);
	add_u24(from);
	add_u24(n);
	build_put(&datagram, body.at + from, n);
}

/* From an exact heap copy, so that ASan sees a read past the end. */
static enum dtls_verdict give(void)
{
	static uint8_t *copy;
	free(copy);
	copy = malloc(datagram.n ? datagram.n : 1);
	memcpy(copy, datagram.at, datagram.n);
	enum dtls_verdict v = dtls_client(&stream, &held, &budget, copy, datagram.n, &hello);
	if (v != DTLS_FOUND) {
		free(copy);
		copy = NULL;
	}
	datagram.n = 0;
	return v;
}

static void client__whole__name_and_ja4_of_dtls(void **state)
{
	(void)state;
	reset();
	make_body("Turn.Example.COM", 0, 0);
	add_fragment(1, 0, 0, body.n);
	assert_true(dtls_look(datagram.at, datagram.n));
	assert_int_equal(give(), DTLS_FOUND);
	assert_string_equal(hello.sni, "turn.example.com");
	assert_int_equal(hello.ja4[0], 'd');
}

static void client__fragments_in_any_order__found_with_the_last(void **state)
{
	(void)state;
	for (size_t step = 1; step < 300; step += 7)
		for (int back = 0; back < 2; back++) {
			reset();
			make_body("turn.example.com", 0, 400);
			size_t n = (body.n + step - 1) / step;
			for (size_t i = 0; i < n; i++) {
				size_t at = (back ? n - 1 - i : i) * step;
				add_fragment(1, 0, at, body.n - at < step ? body.n - at : step);
				if (i % 3 && i + 1 < n)
					continue; /* several records in one datagram */
				assert_int_equal(give(), i + 1 < n ? DTLS_MORE : DTLS_FOUND);
			}
			assert_string_equal(hello.sni, "turn.example.com");
		}
}

static void client__cookie_after_verify_request__second_hello_read(void **state)
{
	(void)state;
	reset();
	make_body("first.example", 0, 0);
	add_fragment(1, 0, 0, body.n);
	assert_int_equal(give(), DTLS_FOUND);
	make_body("second.example", 32, 200);
	add_fragment(1, 1, 0, 100);
	assert_int_equal(give(), DTLS_MORE);
	add_fragment(1, 0, 0, body.n); /* a late copy of the first message_seq */
	assert_int_equal(give(), DTLS_MORE);
	add_fragment(1, 1, 100, body.n - 100);
	assert_int_equal(give(), DTLS_FOUND);
	assert_string_equal(hello.sni, "second.example");
}

static void client__other_messages_and_records__stepped_over(void **state)
{
	(void)state;
	reset();
	make_body("turn.example.com", 0, 0);
	add_fragment(11, 0, 0, 50);
	add_fragment(1, 1, 0, body.n);
	assert_int_equal(give(), DTLS_FOUND);
	reset();
	add_fragment(1, 0, 0, body.n);
	datagram.at[4] = 1; /* epoch 1: encrypted */
	assert_false(dtls_look(datagram.at, datagram.n));
	assert_int_equal(give(), DTLS_MORE);
}

static void client__lengths_lie__refused(void **state)
{
	(void)state;
	reset();
	make_body("turn.example.com", 0, 0);
	static const size_t at[] = {1, 11, 14, 20, 23};
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		reset();
		add_fragment(1, 0, 0, body.n);
		datagram.at[at[i]] = 0x7f;
		assert_int_not_equal(give(), DTLS_FOUND);
	}
	for (size_t n = 0;; n++) {
		reset();
		add_fragment(1, 0, 0, body.n);
		if (n == datagram.n)
			break;
		datagram.n = n;
		assert_int_equal(give(), DTLS_MORE);
	}
	datagram.n = 0;
	body.n = ASSEMBLE_MAX_BYTES + 1;
	add_fragment(1, 0, 0, 100);
	assert_int_equal(give(), DTLS_BAD);
}

static void server__hello__version_and_retry_told_apart(void **state)
{
	(void)state;
	static const uint8_t retry[8] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
	for (int kind = 0; kind < 3; kind++) {
		body.n = datagram.n = 0;
		build_u16(&body, 0xfefd);
		build_zeros(&body, 32);
		if (kind == 2)
			memcpy(body.at + 2, retry, sizeof retry);
		build_put(&body, "\0\x13\x01\0", 4);
		if (kind)
			build_put(&body, "\0\x06\0\x2b\0\x02\xfe\xfc", 8);
		add_fragment(2, 0, 0, body.n);
		assert_int_equal(dtls_server(datagram.at, datagram.n), kind == 0   ? 0xfefd
								       : kind == 1 ? 0xfefc
										   : 0);
	}
	datagram.n = 0;
	add_fragment(3, 0, 0, body.n); /* HelloVerifyRequest */
	assert_int_equal(dtls_server(datagram.at, datagram.n), 0);
}

static void rdp__hello_behind_any_header__found(void **state)
{
	(void)state;
	static struct build tls;
	for (size_t head = 7; head < 80; head++) {
		tls.n = 0;
		build_zeros(&tls, head);
		build_client_stream(&tls, "desktop.example", 0, 16384);
		if (head == 7) { /* the prefix byte and the record's first change places */
			tls.at[0] = 22;
			tls.at[7] = 0xe0;
		}
		assert_true(dtls_rdp_hello(tls.at, tls.n, &hello));
		assert_string_equal(hello.sni, "desktop.example");
		assert_false(dtls_rdp_hello(tls.at, tls.n - 1, &hello));
		datagram.n = 0;
		build_zeros(&datagram, head);
		make_body("desktop.example", 0, 0);
		add_fragment(1, 0, 0, body.n);
		assert_true(dtls_rdp_hello(datagram.at, datagram.n, &hello));
		assert_string_equal(hello.sni, "desktop.example");
	}
	assert_false(dtls_rdp_hello(tls.at, 0, &hello));
}

static int drop(void **state)
{
	(void)state;
	reset();
	return budget.used_bytes != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(client__whole__name_and_ja4_of_dtls),
	    cmocka_unit_test(client__fragments_in_any_order__found_with_the_last),
	    cmocka_unit_test(client__cookie_after_verify_request__second_hello_read),
	    cmocka_unit_test(client__other_messages_and_records__stepped_over),
	    cmocka_unit_test(client__lengths_lie__refused),
	    cmocka_unit_test(server__hello__version_and_retry_told_apart),
	    cmocka_unit_test(rdp__hello_behind_any_header__found),
	};
	return cmocka_run_group_tests(tests, NULL, drop);
}
