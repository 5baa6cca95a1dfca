#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dissect/assemble.h"
#include "dissect/tls_hello.h"
#include "tests/unit/hello_build.h"

static struct build stream, message, body;
static struct tls_hello found;

static enum tls_hello_verdict whole(const struct build *b, bool complete)
{
	uint32_t scan = 0;
	uint8_t *copy = malloc(b->n ? b->n : 1);
	assert_non_null(copy);
	memcpy(copy, b->at, b->n);
	enum tls_hello_verdict v = tls_hello_client(copy, b->n, NULL, 0, complete, &scan, &found);
	found.hello.sni_raw = (struct slice){0};
	free(copy);
	return v;
}

/* One byte more at every call, the first byte of every write a segment start. */
static enum tls_hello_verdict drip(const struct build *b)
{
	uint32_t scan = 0;
	enum tls_hello_verdict v = TLS_HELLO_MORE;
	for (size_t n = 0; n <= b->n && v == TLS_HELLO_MORE; n++)
		v = tls_hello_client(b->at, n, NULL, 0, false, &scan, &found);
	return v;
}

static void put(const void *p, size_t n)
{
	build_put(&stream, p, n);
}

static void client__bare__found_at_the_last_byte(void **state)
{
	(void)state;
	stream.n = 0;
	build_client_stream(&stream, "upload.example.com", 0, 16384);
	assert_int_equal(whole(&stream, false), TLS_HELLO_FOUND);
	assert_string_equal(found.hello.sni, "upload.example.com");
	assert_int_equal(found.prefix, TLS_HELLO_BARE);
	assert_int_equal(found.tls_start, 0);
	size_t n = stream.n;
	for (stream.n = 0; stream.n < n; stream.n++)
		assert_int_equal(whole(&stream, false), TLS_HELLO_MORE);
	/* What is cut counts as far as it goes: with the name or without, never with a part of one. */
	const uint8_t *name = memmem(stream.at, n, "upload.example.com", 18);
	for (stream.n = 6; stream.n < n; stream.n++) {
		const bool named = stream.at + stream.n >= name + 18;
		assert_int_equal(whole(&stream, true), named ? TLS_HELLO_FOUND : TLS_HELLO_BAD);
		if (!named)
			continue;
		assert_string_equal(found.hello.sni, "upload.example.com");
		assert_true(found.hello.flags & HELLO_CUT);
		assert_string_equal(found.hello.ja4, "");
	}
}

static void client__records_of_every_size__same_name(void **state)
{
	(void)state;
	for (size_t step = 1; step < 700; step = step < 20 ? step + 1 : step * 2 - 3) {
		stream.n = 0;
		build_client_stream(&stream, "upload.example.com", 300, step);
		assert_int_equal(whole(&stream, false), TLS_HELLO_FOUND);
		assert_string_equal(found.hello.sni, "upload.example.com");
		assert_string_equal(found.hello.ja4, "t13d0305h2_58a34ed92d94_e0b9a5db47b5");
		assert_int_equal(drip(&stream), TLS_HELLO_FOUND);
		assert_string_equal(found.hello.sni, "upload.example.com");
	}
}

static void client__16k_hello_in_one_byte_records__not_quadratic(void **state)
{
	(void)state;
	stream.n = 0;
	build_client_stream(&stream, "upload.example.com", 5000, 1);
	assert_true(stream.n > 30000 && stream.n <= ASSEMBLE_MAX_BYTES);
	clock_t begin = clock();
	for (int i = 0; i < 20; i++)
		assert_int_equal(drip(&stream), TLS_HELLO_FOUND);
	double per_byte_ns = (double)(clock() - begin) / CLOCKS_PER_SEC * 1e9 / 20 / (double)stream.n;
	/* Walking from the start at every byte would take some 5,000 steps per byte. */
	assert_true(per_byte_ns < 2500);
}

static void client__largest_hello__found_larger_refused_at_once(void **state)
{
	(void)state;
	stream.n = 0;
	build_client_stream(&stream, "big.example.com", 16000, 16384);
	assert_int_equal(whole(&stream, false), TLS_HELLO_FOUND);
	assert_string_equal(found.hello.sni, "big.example.com");
	stream.n = 0;
	put("\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03", 11); /* claims 2^24 - 1 bytes */
	assert_int_equal(whole(&stream, false), TLS_HELLO_BAD);
	stream.n = 0;
	put("\x16\x03\x01\x40\x00\x01\x00\x80\x01\x03\x03", 11); /* ASSEMBLE_MAX_BYTES + 1 */
	assert_int_equal(whole(&stream, false), TLS_HELLO_BAD);
	stream.at[8] = 0;
	assert_int_equal(whole(&stream, false), TLS_HELLO_MORE);
}

static void client__not_tls__none(void **state)
{
	(void)state;
	static const char *const texts[] = {"GET / HTTP/1.1\r\nHost: a.com\r\n\r\n", "POST /x HTTP/1.1\r\n",
					    "SSH-2.0-OpenSSH_9\r\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		stream.n = 0;
		build_text(&stream, texts[i]);
		assert_int_equal(whole(&stream, false), TLS_HELLO_NONE);
	}
	/* No request after all; the line after it is no place for TLS, however it arrives. */
	stream.n = 0;
	build_text(&stream, "CONNECT mega.nz:443 FTP\r\n\r\n");
	build_client_stream(&stream, "inner.example.com", 0, 16384);
	assert_int_equal(whole(&stream, false), TLS_HELLO_NONE);
	assert_int_equal(drip(&stream), TLS_HELLO_NONE);
	/* A stored hello in a request body is not a hello. */
	stream.n = 0;
	build_text(&stream, "POST /x HTTP/1.1\r\nHost: a.com\r\n\r\n");
	build_client_stream(&stream, "stored.example.com", 0, 16384);
	assert_int_equal(whole(&stream, true), TLS_HELLO_NONE);
	/* Not a client hello: a server's, application data. */
	stream.n = 0;
	put("\x16\x03\x03\x00\x04\x02\x00\x00\x00", 9);
	assert_int_equal(whole(&stream, true), TLS_HELLO_NONE);
	stream.n = 0;
	put("\x17\x03\x03\x00\x04\x01\x00\x00\x00", 9);
	assert_int_equal(whole(&stream, true), TLS_HELLO_NONE);
	stream.n = 0;
	build_zeros(&stream, 10000);
	assert_int_equal(whole(&stream, false), TLS_HELLO_NONE); /* unknown binary: given up after 8 KB */
}

struct prefix_case {
	const char *at;
	size_t n;
	enum tls_hello_prefix prefix;
	const char *host;
	uint16_t port;
};

#define TEXT(s) s, sizeof(s) - 1
static const struct prefix_case prefix_cases[] = {
    {TEXT("EHLO me\r\nSTARTTLS\r\n"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("a1 CAPABILITY\r\na2 STARTTLS\r\n"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("CAPA\r\nSTLS\r\n"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("FEAT\r\nAUTH TLS\r\n"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("<stream:stream to='a' version='1.0'><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
     TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\x30\x1d\x02\x01\x01\x77\x18\x80\x16"
	  "1.3.6.1.4.1.1466.20037"),
     TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\x30\x81\x06\x02\x01\x01\x63\x01x\x30\x1d\x02\x01\x02\x77\x18\x80\x16"
	  "1.3.6.1.4.1.1466.20037"),
     TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\0\0\0\x08\x04\xd2\x16\x2f"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\0\0\0\x08\x04\xd2\x16\x30\0\0\0\x08\x04\xd2\x16\x2f"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\x20\0\0\x01\x85\xae\x3f\x20\0\0\0\x01\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
     TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\x03\0\0\x13\x0e\xe0\0\0\0\0\0\x01\0\x08\0\x0b\0\0\0"), TLS_HELLO_STARTTLS, "", 0},
    {TEXT("\x04\x01\x01\xbb\x5d\xb8\xd8\x77"
	  "user\0"),
     TLS_HELLO_SOCKS, "", 0},
    {TEXT("\x04\x01\x01\xbb\0\0\0\x07"
	  "user\0"
	  "Mega.NZ\0"),
     TLS_HELLO_SOCKS, "mega.nz", 443},
    {TEXT("\x05\x01\0\x05\x01\0\x03\x07"
	  "mega.nz\x01\xbb"),
     TLS_HELLO_SOCKS, "mega.nz", 443},
    {TEXT("\x05\x02\0\x02\x01\x02me\x06secret\x05\x01\0\x03\x07"
	  "mega.nz\x20\xfb"),
     TLS_HELLO_SOCKS, "mega.nz", 8443},
    {TEXT("\x05\x01\0\x05\x01\0\x01\x0a\0\0\x01\x01\xbb"), TLS_HELLO_SOCKS, "", 0},
    {TEXT("\x05\x01\0\x05\x01\0\x04"
	  "0123456789abcdef\x01\xbb"),
     TLS_HELLO_SOCKS, "", 0},
    {TEXT("CONNECT Content.DropboxAPI.com:443 HTTP/1.1\r\nHost: x\r\n\r\n"), TLS_HELLO_CONNECT,
     "content.dropboxapi.com", 443},
    {TEXT("CONNECT mega.nz:8443 HTTP/1.1\n\n"), TLS_HELLO_CONNECT, "mega.nz", 8443},
    {TEXT("PROXY TCP4 111.111.111.111 222.222.222.222 52176 443\r\n"), TLS_HELLO_PROXY, "", 0},
    {TEXT("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\0\0\x01\x0a\0\0\x02\x10\x20\x01\xbb"), TLS_HELLO_PROXY, "",
     0},
    {TEXT("PROXY UNKNOWN\r\nCONNECT mega.nz:443 HTTP/1.1\r\n\r\n"), TLS_HELLO_CONNECT, "mega.nz", 443},
    {TEXT("PROXY UNKNOWN\r\nEHLO me\r\nSTARTTLS\r\n"), TLS_HELLO_STARTTLS, "", 0},
};

static void client__behind_every_prefix__found_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof prefix_cases / sizeof *prefix_cases; i++)
		for (size_t step = 1; step < 16385; step += step == 1 ? 16383 : 16384) {
			const struct prefix_case *c = &prefix_cases[i];
			stream.n = 0;
			put(c->at, c->n);
			build_client_stream(&stream, "inner.example.com", 0, step);
			for (int way = 0; way < 2; way++) {
				memset(&found, 0xee, sizeof found);
				assert_int_equal(way ? drip(&stream) : whole(&stream, false),
						 TLS_HELLO_FOUND);
				assert_string_equal(found.hello.sni, "inner.example.com");
				assert_int_equal(found.prefix, c->prefix);
				assert_int_equal(found.tls_start, c->n);
				assert_string_equal(found.connect_host, c->host);
				assert_int_equal(found.connect_port, c->port);
			}
			/* Without its end no prefix is taken for anything but itself. */
			size_t n = stream.n;
			for (stream.n = 1; stream.n < n; stream.n++)
				assert_int_equal(whole(&stream, false), TLS_HELLO_MORE);
		}
}

static void client__prefix_then_no_tls__host_still_told(void **state)
{
	(void)state;
	stream.n = 0;
	build_text(&stream, "CONNECT mega.nz:80 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n");
	assert_int_equal(whole(&stream, false), TLS_HELLO_NONE);
	assert_int_equal(found.prefix, TLS_HELLO_CONNECT);
	assert_string_equal(found.connect_host, "mega.nz");
	assert_int_equal(found.connect_port, 80);
}

static void client__unknown_binary_prefix__found_at_segment_start_only(void **state)
{
	(void)state;
	stream.n = 0;
	put("\xa1\xb2\x00\xff\x01", 5);
	build_client_stream(&stream, "inner.example.com", 0, 16384);
	uint32_t scan = 0, starts[] = {0, 5};
	assert_int_equal(whole(&stream, false), TLS_HELLO_MORE);
	assert_int_equal(whole(&stream, true), TLS_HELLO_NONE);
	assert_int_equal(tls_hello_client(stream.at, stream.n, starts, 2, false, &scan, &found),
			 TLS_HELLO_FOUND);
	assert_string_equal(found.hello.sni, "inner.example.com");
	assert_int_equal(found.tls_start, 5);
}

static void client__hello_inside_a_prefix__not_taken(void **state)
{
	(void)state;
	static struct build inside;
	inside.n = stream.n = 0;
	build_client_stream(&inside, "stored.example.com", 0, 16384);
	put("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
	build_u16(&stream, (unsigned)inside.n);
	put(inside.at, inside.n);
	put("\xa1\xb2\x00\xff\x01", 5);
	uint32_t scan = 0, starts[] = {0, 16};
	assert_int_equal(tls_hello_client(stream.at, stream.n, starts, 2, true, &scan, &found),
			 TLS_HELLO_NONE);
	assert_int_equal(found.prefix, TLS_HELLO_PROXY);
}

static void two_hellos(const char *first, const char *second, const char *between, size_t n_between)
{
	stream.n = 0;
	build_client_stream(&stream, first, 0, 50); /* joined from records, as the second */
	put(between, n_between);
	build_client_stream(&stream, second, 100, 60);
	assert_int_equal(whole(&stream, false), TLS_HELLO_FOUND);
	assert_string_equal(found.hello.sni, first);
}

static void client__second_hello__ambiguous_when_it_differs(void **state)
{
	(void)state;
	static const char ccs[] = "\x14\x03\x03\0\x01\x01",
			  early[] = "\x17\x03\x03\0\x05hello\x14\x03\x03\0\x01\x01";
	two_hellos("a.example.com", "a.example.com", "", 0);
	assert_false(found.hello.flags & HELLO_SNI_AMBIGUOUS);
	two_hellos("a.example.com", "a.example.com", ccs, sizeof ccs - 1);
	assert_false(found.hello.flags & HELLO_SNI_AMBIGUOUS);
	two_hellos("a.example.com", "b.example.com", ccs, sizeof ccs - 1);
	assert_true(found.hello.flags & HELLO_SNI_AMBIGUOUS);
	two_hellos("a.example.com", "b.example.com", early, sizeof early - 1);
	assert_true(found.hello.flags & HELLO_SNI_AMBIGUOUS);
}

static void client__foreign_records__bad(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t n;
	} cases[] = {{TEXT("\x16\x03\x01\0\x01\x01\x15\x03\x01\0\x02\x02\x28")}, /* alert inside the hello */
		     {TEXT("\x16\x03\x01\0\x01\x01\x16\x03\x01\0\0")},           /* empty record */
		     {TEXT("\x16\x03\x01\0\x01\x01\x16\x02\x01\0\x05")},         /* another version */
		     {TEXT("\x16\x03\x01\0\x01\x01\x16\x03\x01\xff\xff")}};      /* beyond the record limit */
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		stream.n = 0;
		put(cases[i].at, cases[i].n);
		assert_int_equal(whole(&stream, false), TLS_HELLO_BAD);
	}
	stream.n = 0;
	put("\x16\x03\x01\0\x01\x01", 6);
	for (int i = 0; i < 9; i++) /* one more than is passed over */
		put("\x14\x03\x03\0\x01\x01", 6);
	assert_int_equal(whole(&stream, false), TLS_HELLO_BAD);
}

/* ServerHello, then perhaps more. */
static void server_hello(unsigned version, bool supported_versions, bool retry)
{
	static const uint8_t retry_random[] = {
	    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
	    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};
	body.n = message.n = 0;
	build_u16(&body, version);
	if (retry)
		build_put(&body, retry_random, sizeof retry_random);
	else
		build_zeros(&body, 32);
	build_u8(&body, 0);
	build_u16(&body, supported_versions ? 0x1302 : 0xc02f);
	build_u8(&body, 0);
	if (supported_versions) {
		size_t block = build_open(&body, 2);
		build_extension(&body, 43, "\x03\x04", 2);
		build_close(&body, block, 2);
	}
	build_message(&message, 2, &body);
}

/* A certificate that is only what the reader looks at: subject CN=cn.example.com, and subjectAltName. */
static const char leaf[] = "\x30\x53\x30\x51\x02\x01\x01\x30\0\x30\0\x30\0"
			   "\x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0e"
			   "cn.example.com"
			   "\x30\0\xa3\x29\x30\x27\x30\x25\x06\x03\x55\x1d\x11\x04\x1e\x30\x1c"
			   "\x87\x04\x0a\0\0\x01\x82\x14*.blob.core.windows.";

static void certificate(size_t n_leaf)
{
	static struct build text;
	text.n = 0;
	size_t list = build_open(&text, 3), one = build_open(&text, 3);
	build_put(&text, leaf, sizeof leaf - 1);
	if (n_leaf > sizeof leaf - 1)
		build_zeros(&text, n_leaf - (sizeof leaf - 1));
	build_close(&text, one, 3);
	size_t issuer = build_open(&text, 3);
	build_zeros(&text, 3000);
	build_close(&text, issuer, 3);
	build_close(&text, list, 3);
	build_message(&message, 11, &text);
}

static struct tls_hello_server server;

static enum tls_hello_verdict server_whole(bool complete)
{
	return tls_hello_server(stream.at, stream.n, 0, complete, &server);
}

static void server__tls13_and_retry__version_told(void **state)
{
	(void)state;
	for (int retry = 0; retry < 2; retry++) {
		server_hello(0x0303, true, retry);
		stream.n = 0;
		build_records(&stream, &message, 16384);
		assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
		assert_int_equal(server.version, 0x0304);
		assert_int_equal(server.cipher, 0x1302);
		assert_int_equal(server.retry, retry);
		assert_false(server.certificate_seen);
	}
}

static void server__tls12_certificate__first_dns_name(void **state)
{
	(void)state;
	for (size_t step = 100; step < 16385; step += 8142) {
		server_hello(0x0303, false, false);
		certificate(0);
		stream.n = 0;
		build_records(&stream, &message, step);
		assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
		assert_int_equal(server.version, 0x0303);
		assert_int_equal(server.cipher, 0xc02f);
		assert_true(server.certificate_seen);
		assert_string_equal(server.certificate_name, "*.blob.core.windows");
	}
	/* The leaf is enough; the rest of the chain need not be there. */
	size_t n = stream.n;
	for (stream.n = n - 3003; server_whole(false) == TLS_HELLO_FOUND; stream.n--)
		assert_string_equal(server.certificate_name, "*.blob.core.windows");
	assert_int_equal(server_whole(false), TLS_HELLO_MORE);
	assert_int_equal(server_whole(true), TLS_HELLO_FOUND);
	assert_false(server.certificate_seen);
}

static void server__certificate_beyond_the_cap__seen_without_name(void **state)
{
	(void)state;
	server_hello(0x0303, false, false);
	certificate(16385);
	stream.n = 0;
	build_records(&stream, &message, 16384);
	assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
	assert_true(server.certificate_seen);
	assert_string_equal(server.certificate_name, "");
}

static void server__resumed_session__found_without_certificate(void **state)
{
	(void)state;
	server_hello(0x0303, false, false);
	stream.n = 0;
	build_records(&stream, &message, 16384);
	assert_int_equal(server_whole(false), TLS_HELLO_MORE);
	put("\x14\x03\x03\0\x01\x01\x16\x03\x03\0\x28", 11);
	build_zeros(&stream, 0x28);
	assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
	assert_false(server.certificate_seen);
}

static void server__behind_a_greeting__found(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t n;
	} cases[] = {{TEXT("220 mail ready\r\n250 STARTTLS\r\n220 go\r\n")},
		     {TEXT("S")},
		     {TEXT("\x05\0\x05\0\0\x01\0\0\0\0\0\0")},
		     {TEXT("HTTP/1.1 200 Connection established\r\n\r\n")},
		     {TEXT("\x16 odd")}};
	server_hello(0x0303, true, false);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		stream.n = 0;
		put(cases[i].at, cases[i].n);
		assert_int_equal(server_whole(false), TLS_HELLO_MORE);
		build_records(&stream, &message, 16384);
		assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
		assert_int_equal(server.tls_start, cases[i].n);
		assert_int_equal(server.version, 0x0304);
	}
	stream.n = 0;
	build_zeros(&stream, 8192);
	assert_int_equal(server_whole(false), TLS_HELLO_NONE);
}

static void server__more_records_than_the_cap__bad(void **state)
{
	(void)state;
	server_hello(0x0303, true, false);
	stream.n = 0;
	size_t step = (message.n + 63) / 64;
	build_records(&stream, &message, step);
	assert_int_equal(server_whole(false), TLS_HELLO_FOUND);
	body.n = 0;
	build_zeros(&body, 66 * step);
	message.n = 0;
	build_message(&message, 2, &body);
	stream.n = 0;
	build_records(&stream, &message, step);
	assert_int_equal(server_whole(false), TLS_HELLO_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(client__bare__found_at_the_last_byte),
	    cmocka_unit_test(client__records_of_every_size__same_name),
	    cmocka_unit_test(client__16k_hello_in_one_byte_records__not_quadratic),
	    cmocka_unit_test(client__largest_hello__found_larger_refused_at_once),
	    cmocka_unit_test(client__not_tls__none),
	    cmocka_unit_test(client__behind_every_prefix__found_however_it_is_cut),
	    cmocka_unit_test(client__prefix_then_no_tls__host_still_told),
	    cmocka_unit_test(client__unknown_binary_prefix__found_at_segment_start_only),
	    cmocka_unit_test(client__hello_inside_a_prefix__not_taken),
	    cmocka_unit_test(client__second_hello__ambiguous_when_it_differs),
	    cmocka_unit_test(client__foreign_records__bad),
	    cmocka_unit_test(server__tls13_and_retry__version_told),
	    cmocka_unit_test(server__tls12_certificate__first_dns_name),
	    cmocka_unit_test(server__certificate_beyond_the_cap__seen_without_name),
	    cmocka_unit_test(server__resumed_session__found_without_certificate),
	    cmocka_unit_test(server__behind_a_greeting__found),
	    cmocka_unit_test(server__more_records_than_the_cap__bad),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
