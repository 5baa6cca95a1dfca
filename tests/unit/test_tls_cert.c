#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/tls_cert.h"
#include "tests/unit/hello_build.h"

static struct build cert;

static size_t open_tag(unsigned tag)
{
	build_u8(&cert, tag);
	build_u8(&cert, 0x82); /* always the long form, so that the length can be patched */
	return build_open(&cert, 2);
}

static void close_tag(size_t mark)
{
	build_close(&cert, mark, 2);
}

static void put_attribute(const char *oid, const char *value)
{
	size_t set = open_tag(0x31), pair = open_tag(0x30);
	size_t id = open_tag(0x06);
	build_text(&cert, oid);
	close_tag(id);
	size_t text = open_tag(0x0c);
	build_text(&cert, value);
	close_tag(text);
	close_tag(pair);
	close_tag(set);
}

struct spec {
	bool version1;
	const char *common_names[3];
	bool san;
	bool critical;
	const char *names[4]; /* first character is the tag: D dNSName, I address, R rfc822Name */
};

static void put_san(const struct spec *spec)
{
	size_t block = open_tag(0xa3), list = open_tag(0x30);
	size_t other = open_tag(0x30);
	build_put(&cert, "\x06\x03\x55\x1d\x0f\x04\x02\x03\x00", 9);
	close_tag(other);
	size_t extension = open_tag(0x30);
	build_put(&cert, "\x06\x03\x55\x1d\x11", 5);
	if (spec->critical)
		build_put(&cert, "\x01\x01\xff", 3);
	size_t octets = open_tag(0x04), names = open_tag(0x30);
	for (int i = 0; i < 4 && spec->names[i]; i++) {
		char kind = spec->names[i][0];
		size_t name = open_tag(kind == 'D' ? 0x82 : kind == 'I' ? 0x87 : 0x81);
		build_text(&cert, spec->names[i] + 1);
		close_tag(name);
	}
	close_tag(names);
	close_tag(octets);
	close_tag(extension);
	close_tag(list);
	close_tag(block);
}

static void put_certificate(const struct spec *spec)
{
	cert.n = 0;
	size_t outer = open_tag(0x30), tbs = open_tag(0x30);
	if (!spec->version1)
		build_put(&cert, "\xa0\x03\x02\x01\x02", 5);
	build_put(&cert, "\x02\x01\x01\x30\0\x30\0\x30\0", 9);
	size_t subject = open_tag(0x30);
	put_attribute("\x55\x04\x0a", "org.example.com"); /* an organisation is not a host */
	for (int i = 0; i < 3 && spec->common_names[i]; i++)
		put_attribute("\x55\x04\x03", spec->common_names[i]);
	close_tag(subject);
	build_put(&cert, "\x30\0", 2);
	if (spec->san)
		put_san(spec);
	close_tag(tbs);
	close_tag(outer);
}

static bool read_copy(size_t n, char *name)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, cert.at, n);
	bool ok = tls_cert_name(copy, n, name);
	free(copy);
	return ok;
}

static void name__each_form__as_expected(void **state)
{
	(void)state;
	static const struct {
		struct spec spec;
		const char *name;
	} cases[] = {
	    {{.san = true, .names = {"Dwww.example.com", "Dmail.example.com"}}, "www.example.com"},
	    {{.san = true, .critical = true, .names = {"D*.Blob.Core.Windows.Net"}},
	     "*.blob.core.windows.net"},
	    {{.san = true, .names = {"Rme@example.com", "Iabcd", "D10.0.0.1", "Dlast.example.com"}},
	     "last.example.com"},
	    {{.common_names = {"cn.example.com"}, .san = true, .names = {"Dsan.example.com"}},
	     "san.example.com"},
	    {{.common_names = {"cn.example.com"}, .san = true, .names = {"Iabcd"}}, "cn.example.com"},
	    {{.common_names = {"first.example.com", "last.example.com"}}, "last.example.com"},
	    {{.version1 = true, .common_names = {"old.example.com"}}, "old.example.com"},
	    {{.common_names = {"Some Company, Inc."}}, NULL},
	    {{.common_names = {"localhost"}}, NULL},
	    {{.san = true}, NULL},
	    {{.san = false}, NULL},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char name[HOSTNAME_SIZE] = "untouched";
		put_certificate(&cases[i].spec);
		assert_int_equal(read_copy(cert.n, name), cases[i].name != NULL);
		assert_string_equal(name, cases[i].name ? cases[i].name : "untouched");
	}
}

static void name__every_truncation_and_byte__no_read_beyond(void **state)
{
	(void)state;
	static const struct spec spec = {
	    .common_names = {"cn.example.com"}, .san = true, .names = {"Dsan.example.com"}};
	char name[HOSTNAME_SIZE];
	put_certificate(&spec);
	size_t n = cert.n;
	for (size_t cut = 0; cut < n; cut++)
		assert_false(read_copy(cut, name));
	for (size_t at = 0; at < n; at++)
		for (unsigned v = 0; v < 256; v += 5) {
			uint8_t keep = cert.at[at];
			cert.at[at] = (uint8_t)v;
			read_copy(n, name);
			cert.at[at] = keep;
		}
	assert_true(read_copy(n, name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(name__each_form__as_expected),
	    cmocka_unit_test(name__every_truncation_and_byte__no_read_beyond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
