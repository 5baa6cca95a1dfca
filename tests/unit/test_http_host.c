#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/http_host.h"

static struct http_host found;

static enum http_host_verdict parse(const char *p, size_t n)
{
	uint8_t *copy = malloc(n ? n : 1);
	assert_non_null(copy);
	memcpy(copy, p, n);
	enum http_host_verdict v = http_host_parse(copy, n, &found);
	free(copy);
	return v;
}

static void parse__each_form__host_and_port(void **state)
{
	(void)state;
	static const struct {
		const char *head, *method, *host;
		uint16_t port;
		bool connect;
	} cases[] = {
	    {"GET / HTTP/1.1\r\nHost: Upload.Example.COM\r\n\r\n", "GET", "upload.example.com", 80, false},
	    {"PUT /a HTTP/1.1\r\nAccept: x\r\nhOsT:upload.example.com:8080 \r\n\r\n", "PUT",
	     "upload.example.com", 8080, false},
	    {"POST / HTTP/1.0\n\n", "POST", "", 80, false},
	    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "", 80, false},
	    {"GET / HTTP/1.1\r\nHost: 192.0.2.1:81\r\n\r\n", "GET", "", 81, false},
	    {"GET / HTTP/1.1\r\nHost: [2001:db8::1]:82\r\n\r\n", "GET", "", 82, false},
	    {"GET / HTTP/1.1\r\nHost: a.com:99999\r\n\r\n", "GET", "", 80, false},
	    {"GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", "GET", "", 80, false},
	    {"GET / HTTP/1.1\r\nHost: a.com:\r\n\r\n", "GET", "a.com", 80, false},
	    {"GET / HTTP/1.1\r\nHost: a.com\r\nHost: A.com\r\n\r\n", "GET", "a.com", 80, false},
	    {"GET / HTTP/1.1\r\nHost: a.com\r\nHost: b.com\r\n\r\n", "GET", "", 80, false},
	    {"GET / HTTP/1.1\r\nX-Host: a.com\r\nHostess: b.com\r\n\r\n", "GET", "", 80, false},
	    {"GET http://u:p@Proxy.example:8080/x HTTP/1.1\r\nHost: other.com\r\n\r\n", "GET",
	     "proxy.example", 8080, false},
	    {"GET /r?u=http://x.com/ HTTP/1.1\r\nHost: a.com\r\n\r\n", "GET", "a.com", 80, false},
	    {"CONNECT content.dropboxapi.com:443 HTTP/1.1\r\nHost: x\r\n\r\n", "CONNECT",
	     "content.dropboxapi.com", 443, true},
	    {"CONNECT mega.nz HTTP/1.1\r\n\r\n", "CONNECT", "mega.nz", 443, true},
	    {"CONNECT mega.nz:8443 HTTP/1.1\r\n\r\n", "CONNECT", "mega.nz", 8443, true},
	    {"VERSION-CONTROL / HTTP/1.1\r\nHost: a.com\r\n\r\n", "VERSION-CONTROL", "a.com", 80, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].head);
		char with_body[400];
		memcpy(with_body, cases[i].head, n);
		memcpy(with_body + n, "Host: body.com\r\n\r\n", 18);
		assert_int_equal(parse(with_body, n + 18), HTTP_HOST_FOUND);
		assert_string_equal(found.method, cases[i].method);
		assert_string_equal(found.host, cases[i].host);
		assert_int_equal(found.port, cases[i].port);
		assert_int_equal(found.is_connect, cases[i].connect);
		assert_int_equal(found.head_bytes, n);
		for (size_t cut = 0; cut < n; cut++)
			assert_int_equal(parse(cases[i].head, cut), HTTP_HOST_MORE);
	}
}

static void parse__not_http__none(void **state)
{
	(void)state;
	static const char *const texts[] = {"EHLO me\r\n",
					    "get / HTTP/1.1\r\n",
					    " GET / HTTP/1.1\r\n",
					    "PRI * HTTP/2.0\r\n",
					    "SSH-2.0-x\r\n",
					    "\x16\x03\x01",
					    "TOOLONGAMETHODNAME / HTTP/1.1\r\n",
					    "GET / HTTP/1.x\r\n",
					    "GET HTTP/1.1\r\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(parse(texts[i], strlen(texts[i])), HTTP_HOST_NONE);
}

static void parse__head_beyond_the_cap__judged_by_its_beginning(void **state)
{
	(void)state;
	static char head[HTTP_HOST_MAX_HEAD + 100];
	memset(head, 'c', sizeof head);
	memcpy(head, "GET / HTTP/1.1\r\nHost: a.com\r\nCookie: ", 37);
	assert_int_equal(parse(head, HTTP_HOST_MAX_HEAD - 1), HTTP_HOST_MORE);
	assert_int_equal(parse(head, HTTP_HOST_MAX_HEAD), HTTP_HOST_FOUND);
	assert_string_equal(found.host, "a.com");
	assert_int_equal(found.head_bytes, 0);
	memcpy(head + HTTP_HOST_MAX_HEAD - 4, "\r\n\r\n", 4);
	assert_int_equal(parse(head, sizeof head), HTTP_HOST_FOUND);
	assert_int_equal(found.head_bytes, HTTP_HOST_MAX_HEAD);
	memset(head + 4, 'c', sizeof head - 4);
	assert_int_equal(parse(head, HTTP_HOST_MAX_HEAD - 1), HTTP_HOST_MORE);
	assert_int_equal(parse(head, HTTP_HOST_MAX_HEAD), HTTP_HOST_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__each_form__host_and_port),
	    cmocka_unit_test(parse__not_http__none),
	    cmocka_unit_test(parse__head_beyond_the_cap__judged_by_its_beginning),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
