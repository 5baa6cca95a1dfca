#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/hello.h"
#include "tests/unit/hello_build.h"

static struct build body;
static struct hello hello;
static size_t block;

static void start(void)
{
	body.n = 0;
	build_hello_head(&body);
	block = build_open(&body, 2);
}

/* In an exact heap copy, so that ASan sees a read past the end. */
static bool parse_bytes(const uint8_t *p, size_t n, char transport)
{
	static uint8_t *copy;
	free(copy);
	copy = malloc(n ? n : 1);
	if (!copy)
		return false;
	memcpy(copy, p, n);
	memset(&hello, 0xee, sizeof hello);
	bool ok = hello_parse(copy, n, transport, &hello);
	if (!ok) {
		free(copy);
		copy = NULL;
	}
	return ok;
}

static bool finish(void)
{
	build_close(&body, block, 2);
	return parse_bytes(body.at, body.n, 't');
}

static void one_name(const void *name, size_t n)
{
	start();
	build_sni(&body, name, n);
	build_usual_extensions(&body, 0);
	assert_true(finish());
}

static void parse__usual_hello__everything_told(void **state)
{
	(void)state;
	one_name("Upload.Example.COM.", 19);
	assert_string_equal(hello.sni, "upload.example.com");
	assert_int_equal(hello.flags, HELLO_SNI | HELLO_TLS13);
	assert_int_equal(hello.version, 0x0304);
	assert_string_equal(hello.alpn, "h2,http/1.1");
	assert_int_equal(hello.sni_raw.n, 19);
	assert_memory_equal(hello.sni_raw.p, "Upload.Example.COM.", 19);
	/* sha256 of "002f,1301,c02b" and of "000d,0015,002b_0403,0804" */
	assert_string_equal(hello.ja4, "t13d0305h2_58a34ed92d94_e0b9a5db47b5");
}

static void parse__no_extensions__no_name(void **state)
{
	(void)state;
	body.n = 0;
	build_hello_head(&body);
	assert_true(parse_bytes(body.at, body.n, 't'));
	assert_string_equal(hello.sni, "");
	assert_int_equal(hello.flags, 0);
	assert_int_equal(hello.version, 0x0303);
	assert_string_equal(hello.alpn, "");
	assert_memory_equal(hello.ja4, "t12i030000_", 11);
}

static void parse__name_that_cannot_be_used__invalid_and_raw(void **state)
{
	(void)state;
	static char longest[65000];
	memset(longest, 'a', sizeof longest);
	const struct {
		const char *name;
		size_t n;
	} cases[] = {{"", 0},
		     {".", 1},
		     {"a\0b.com", 7},
		     {"192.0.2.1", 9},
		     {"2001:db8::1", 11},
		     {"\xc3\xa9.fr", 5},
		     {"a b.com", 7},
		     {longest, 254},
		     {longest, 255},
		     {longest, sizeof longest}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		one_name(cases[i].name, cases[i].n);
		assert_int_equal(hello.flags & (HELLO_SNI | HELLO_SNI_INVALID | HELLO_SNI_AMBIGUOUS),
				 HELLO_SNI_INVALID);
		assert_string_equal(hello.sni, "");
		assert_int_equal(hello.sni_raw.n, cases[i].n);
		assert_memory_equal(hello.sni_raw.p, cases[i].name, cases[i].n);
	}
}

static void parse__longest_name__usable(void **state)
{
	(void)state;
	char name[253];
	memset(name, 'a', sizeof name);
	one_name(name, sizeof name);
	assert_int_equal(hello.flags & (HELLO_SNI | HELLO_SNI_INVALID), HELLO_SNI);
	assert_int_equal(strlen(hello.sni), 253);
	one_name("xn--mnchen-3ya.example", 22);
	assert_string_equal(hello.sni, "xn--mnchen-3ya.example");
}

static void parse__two_names__ambiguous_when_different(void **state)
{
	(void)state;
	static const struct {
		const char *first, *second, *sni;
		uint32_t flags;
	} cases[] = {
	    {"a.com", "A.com.", "a.com", HELLO_SNI},
	    {"a.com", "b.com", "a.com", HELLO_SNI | HELLO_SNI_AMBIGUOUS},
	    {"10.0.0.1", "b.com", "b.com", HELLO_SNI | HELLO_SNI_INVALID | HELLO_SNI_AMBIGUOUS},
	    {"a.com", "10.0.0.1", "a.com", HELLO_SNI | HELLO_SNI_INVALID | HELLO_SNI_AMBIGUOUS},
	    {"10.0.0.1", "10.0.0.1", "", HELLO_SNI_INVALID},
	    {"10.0.0.1", "10.0.0.2", "", HELLO_SNI_INVALID | HELLO_SNI_AMBIGUOUS},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start();
		build_sni(&body, cases[i].first, strlen(cases[i].first));
		build_sni(&body, cases[i].second, strlen(cases[i].second));
		assert_true(finish());
		assert_string_equal(hello.sni, cases[i].sni);
		assert_int_equal(hello.flags, cases[i].flags);
		assert_string_equal(hello.sni_other, i == 1 ? "b.com" : "");
		/* The same in one list. */
		start();
		build_u16(&body, 0);
		size_t ext = build_open(&body, 2), list = build_open(&body, 2);
		for (int k = 0; k < 2; k++) {
			const char *name = k ? cases[i].second : cases[i].first;
			build_u8(&body, 0);
			build_u16(&body, (unsigned)strlen(name));
			build_text(&body, name);
		}
		build_close(&body, list, 2);
		build_close(&body, ext, 2);
		assert_true(finish());
		assert_string_equal(hello.sni, cases[i].sni);
		assert_int_equal(hello.flags, cases[i].flags);
	}
}

static void parse__broken_name_list__invalid_not_lost(void **state)
{
	(void)state;
	static const struct {
		const char *at;
		size_t n;
		const char *sni;
	} cases[] = {
	    {"", 0, ""},     /* what only a server may send */
	    {"\0\0", 2, ""}, /* empty list */
	    {"\0\x08\0\0\x05"
	     "a.com",
	     10, "a.com"}, /* sound, for comparison */
	    {"\0\x08\0\0\x06"
	     "a.com",
	     10, ""}, /* name beyond the list */
	    {"\0\x09\0\0\x05"
	     "a.com",
	     10, ""}, /* list beyond the extension */
	    {"\0\x08\0\0\x05"
	     "a.com!",
	     11, "a.com"}, /* bytes after the list */
	    {"\0\x08\x01\0\x05"
	     "a.com",
	     10, ""}, /* another type of name */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start();
		build_extension(&body, 0, cases[i].at, cases[i].n);
		build_usual_extensions(&body, 0);
		assert_true(finish());
		assert_string_equal(hello.sni, cases[i].sni);
		assert_int_equal(!!(hello.flags & HELLO_SNI_INVALID), i != 2);
	}
}

static void parse__every_truncation__refused(void **state)
{
	(void)state;
	body.n = 0;
	build_hello(&body, "upload.example.com", 100);
	size_t head = 2 + 32 + 33 + 10 + 2; /* a hello may end where its extensions would begin */
	for (size_t n = 0; n < body.n; n++)
		assert_int_equal(parse_bytes(body.at, n, 't'), n == head);
	assert_true(parse_bytes(body.at, body.n, 't'));
	build_u8(&body, 0);
	assert_false(parse_bytes(body.at, body.n, 't'));
}

/* Every length octet of the frame set to every value: either refused, or still the same name. */
static void parse__length_lies__refused_or_harmless(void **state)
{
	(void)state;
	static struct build good;
	good.n = 0;
	build_hello(&good, "upload.example.com", 10);
	for (size_t at = 34; at < good.n; at++)
		for (unsigned v = 0; v < 256; v++) {
			body = good;
			body.at[at] = (uint8_t)v;
			if (parse_bytes(body.at, body.n, 't') && hello.flags & HELLO_SNI)
				assert_true(strlen(hello.sni) <= 253);
		}
	static const struct {
		size_t at;
		uint8_t value;
	} lies[] = {{34, 33}, {34, 255}, {34, 31}, {67, 1}, {68, 9}, {68, 7}, {77, 2}, {79, 0xff}, {80, 0}};
	for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
		body = good;
		body.at[lies[i].at] = lies[i].value;
		assert_false(parse_bytes(body.at, body.n, 't'));
	}
}

/* An extension behind the name claims more than there is. */
static void part__broken_behind_the_name__name_told(void **state)
{
	(void)state;
	start();
	build_sni(&body, "upload.example.com", 18);
	build_u16(&body, 0x47e3);
	build_u16(&body, 0x4fc6);
	build_zeros(&body, 30);
	assert_false(finish());
	assert_true(hello_parse_part(body.at, body.n, 't', &hello));
	assert_string_equal(hello.sni, "upload.example.com");
	assert_int_equal(hello.flags, HELLO_SNI | HELLO_CUT);
	/* but not when it stands before the name, or in its middle */
	start();
	build_u16(&body, 0x47e3);
	build_u16(&body, 0x4fc6);
	build_sni(&body, "upload.example.com", 18);
	assert_false(finish());
	assert_false(hello_parse_part(body.at, body.n, 't', &hello));
	body.n = 0;
	build_hello(&body, "upload.example.com", 100);
	size_t end = 2 + 32 + 33 + 10 + 2 + 2 + 9 + 18;
	for (size_t n = 0; n <= body.n; n++)
		assert_int_equal(hello_parse_part(body.at, n, 't', &hello), n >= end);
}

static void parse__session_id_of_33_bytes__refused(void **state)
{
	(void)state;
	for (unsigned n = 32; n < 34; n++) {
		body.n = 0;
		build_u16(&body, 0x0303);
		build_zeros(&body, 32);
		build_u8(&body, n);
		build_zeros(&body, n);
		build_put(&body, "\0\x02\x13\x01\x01\0", 6);
		assert_int_equal(parse_bytes(body.at, body.n, 't'), n == 32);
	}
}

static void parse__versions__grease_ignored_drafts_settled(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		size_t n;
		uint16_t version;
		bool tls13;
		const char *ja4;
	} cases[] = {
	    {"\x04\xfa\xfa\x03\x03", 5, 0x0303, false, "t12"},
	    {"\x04\x7f\x17\x03\x03", 5, 0x0304, true, "t00"},
	    {"\x04\x03\x02\x03\x01", 5, 0x0302, false, "t11"},
	    {"\x02\x0a\x0a", 3, 0x0303, false, "t12"},
	    {"\x03\x03\x04\x03", 4, 0x0303, false, "t12"},
	    {"\x04\x03\x04", 3, 0x0303, false, "t12"},
	    {"\x02\x03\x04", 3, 0x0304, true, "t13"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start();
		build_extension(&body, 43, cases[i].body, cases[i].n);
		assert_true(finish());
		assert_int_equal(hello.version, cases[i].version);
		assert_int_equal(!!(hello.flags & HELLO_TLS13), cases[i].tls13);
		assert_memory_equal(hello.ja4, cases[i].ja4, 3);
	}
}

static void put_ech(unsigned type, unsigned kdf, unsigned aead, unsigned n_enc, unsigned n_payload)
{
	build_u16(&body, 0xfe0d);
	size_t ext = build_open(&body, 2);
	build_u8(&body, type);
	if (type == 0) {
		build_u16(&body, kdf);
		build_u16(&body, aead);
		build_u8(&body, 77);
		build_u16(&body, n_enc);
		build_zeros(&body, n_enc);
		build_u16(&body, n_payload);
		build_zeros(&body, n_payload);
	}
	build_close(&body, ext, 2);
}

static void parse__ech__real_offer_told_from_grease(void **state)
{
	(void)state;
	static const struct {
		const char *sni;
		unsigned type, kdf, aead, n_enc, n_payload;
		uint32_t flags;
	} cases[] = {
	    {"mega.nz", 0, 1, 1, 32, 144, HELLO_ECH | HELLO_ECH_GREASE}, /* BoringSSL's four sizes */
	    {"mega.nz", 0, 1, 3, 32, 240, HELLO_ECH | HELLO_ECH_GREASE},
	    {"mega.nz", 0, 1, 1, 32, 239, HELLO_ECH | HELLO_ECH_GREASE}, /* NSS */
	    {"cloudflare-ech.com", 0, 1, 1, 32, 144, HELLO_ECH},
	    {"mega.nz", 0, 1, 1, 65, 144, HELLO_ECH}, /* P-256: no browser's GREASE */
	    {"mega.nz", 0, 2, 1, 32, 144, HELLO_ECH},
	    {"mega.nz", 0, 1, 1, 32, 150, HELLO_ECH},
	    {"mega.nz", 0, 1, 1, 32, 16, HELLO_ECH},
	    {"mega.nz", 1, 0, 0, 0, 0, 0}, /* inner: only inside what is encrypted */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		start();
		put_ech(cases[i].type, cases[i].kdf, cases[i].aead, cases[i].n_enc, cases[i].n_payload);
		build_sni(&body, cases[i].sni, strlen(cases[i].sni));
		assert_true(finish());
		assert_int_equal(hello.flags & (HELLO_ECH | HELLO_ECH_GREASE), cases[i].flags);
	}
	start();
	put_ech(0, 1, 1, 32, 144);
	assert_true(finish());
	assert_int_equal(hello.flags, HELLO_ECH); /* no name beside it: nothing to call the destination */
}

static void parse__esni_and_early_data__flags(void **state)
{
	(void)state;
	start();
	build_extension(&body, 0xffce, "x", 1);
	build_extension(&body, 42, "", 0);
	assert_true(finish());
	assert_int_equal(hello.flags, HELLO_ESNI | HELLO_EARLY_DATA);
}

static void parse__long_alpn_list__cut_at_an_entry(void **state)
{
	(void)state;
	start();
	build_u16(&body, 16);
	size_t ext = build_open(&body, 2), list = build_open(&body, 2);
	build_text(&body, "\x03"
			  "a,\x01");
	for (int i = 0; i < 20; i++)
		build_text(&body, "\x09protocol9");
	build_close(&body, list, 2);
	build_close(&body, ext, 2);
	assert_true(finish());
	assert_int_equal(strlen(hello.alpn), 3 + 12 * 10);
	assert_memory_equal(hello.alpn, "a??,protocol9,", 14);
	assert_memory_equal(hello.alpn + strlen(hello.alpn) - 10, ",protocol9", 10);
}

static void parse__broken_alpn__counts_as_absent(void **state)
{
	(void)state;
	start();
	build_extension(&body, 16, "\0\x0cxh2\x08http/1.1", 14);
	assert_true(finish());
	assert_string_equal(hello.alpn, "");
	assert_memory_equal(hello.ja4 + 8, "00", 2);
}

static void parse__dtls_cookie__skipped(void **state)
{
	(void)state;
	body.n = 0;
	build_u16(&body, 0xfefd);
	build_zeros(&body, 32);
	build_u8(&body, 0);
	build_u8(&body, 3);
	build_text(&body, "abc");
	build_u16(&body, 2);
	build_u16(&body, 0xc02b);
	build_u16(&body, 0x0100);
	block = build_open(&body, 2);
	build_sni(&body, "test.example.com", 16);
	build_close(&body, block, 2);
	assert_true(parse_bytes(body.at, body.n, 'd'));
	assert_string_equal(hello.sni, "test.example.com");
	assert_memory_equal(hello.ja4, "dd2d010100_", 11);
	assert_false(parse_bytes(body.at, body.n, 't'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__usual_hello__everything_told),
	    cmocka_unit_test(parse__no_extensions__no_name),
	    cmocka_unit_test(parse__name_that_cannot_be_used__invalid_and_raw),
	    cmocka_unit_test(parse__longest_name__usable),
	    cmocka_unit_test(parse__two_names__ambiguous_when_different),
	    cmocka_unit_test(parse__broken_name_list__invalid_not_lost),
	    cmocka_unit_test(parse__every_truncation__refused),
	    cmocka_unit_test(parse__length_lies__refused_or_harmless),
	    cmocka_unit_test(part__broken_behind_the_name__name_told),
	    cmocka_unit_test(parse__session_id_of_33_bytes__refused),
	    cmocka_unit_test(parse__versions__grease_ignored_drafts_settled),
	    cmocka_unit_test(parse__ech__real_offer_told_from_grease),
	    cmocka_unit_test(parse__esni_and_early_data__flags),
	    cmocka_unit_test(parse__long_alpn_list__cut_at_an_entry),
	    cmocka_unit_test(parse__broken_alpn__counts_as_absent),
	    cmocka_unit_test(parse__dtls_cookie__skipped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
