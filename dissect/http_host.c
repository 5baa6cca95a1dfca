#include "dissect/http_host.h"

#include <string.h>
#include <strings.h>

#include "dissect/bytes.h"
#include "dissect/hostname.h"

enum { PORT_HTTP = 80, PORT_HTTPS = 443 };

static bool is_method_byte(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* Length of the method, 0 when this cannot be one; n when it may go on. */
static size_t method_length(const uint8_t *p, size_t n)
{
	size_t at = 0;
	while (at < n && is_method_byte(p[at]))
		at++;
	if (at >= sizeof((struct http_host *)0)->method || (at < n && p[at] != ' '))
		return 0;
	return at;
}

/* Up to the LF, without CR LF; p NULL when there is no LF. */
static struct slice take_line(struct bytes *b)
{
	const uint8_t *lf = memchr(b->at, '\n', bytes_left(b));
	if (!lf)
		return (struct slice){0};
	struct slice line = {b->at, (size_t)(lf - b->at)};
	b->at = lf + 1;
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

static struct slice trim(struct slice s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		s.p++;
		s.n--;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* method SP target SP HTTP/1.x; false: not a request line. */
static bool split_request_line(struct slice line, size_t n_method, struct slice *ret_target)
{
	static const char version[] = " HTTP/1.";
	size_t n_version = sizeof version; /* and a digit for the terminator */
	if (line.n < n_method + 1 + 1 + n_version)
		return false;
	const uint8_t *tail = line.p + line.n - n_version;
	if (memcmp(tail, version, sizeof version - 1) != 0 || tail[n_version - 1] < '0' ||
	    tail[n_version - 1] > '9')
		return false;
	*ret_target = (struct slice){line.p + n_method + 1, (size_t)(tail - (line.p + n_method + 1))};
	return true;
}

static bool parse_port(struct slice s, uint16_t *ret_port)
{
	uint32_t port = 0;
	if (!s.n || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(s.p[i] - '0');
	}
	if (port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* host[:port], RFC 3986 3.2; user information in front is dropped. */
static bool parse_authority(struct slice s, char ret_host[HOSTNAME_SIZE], uint16_t *port)
{
	const uint8_t *at = memrchr(s.p, '@', s.n);
	if (at) {
		s.n -= (size_t)(at + 1 - s.p);
		s.p = at + 1;
	}
	const uint8_t *colon = memrchr(s.p, ':', s.n);
	if (colon) {
		struct slice digits = {colon + 1, (size_t)(s.p + s.n - colon - 1)};
		if (digits.n && !parse_port(digits, port))
			return false; /* also an IPv6 literal without a port: no name either */
		s.n = (size_t)(colon - s.p);
	}
	return hostname_normalise(s.p, s.n, ret_host) == HOSTNAME_OK;
}

/* scheme "://" authority: the authority, or an empty slice. */
static struct slice absolute_authority(struct slice target)
{
	const uint8_t *mark = memmem(target.p, target.n, "://", 3);
	if (!target.n || target.p[0] == '/' || !mark)
		return (struct slice){0};
	struct slice s = {mark + 3, (size_t)(target.p + target.n - mark - 3)};
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '/' || s.p[i] == '?' || s.p[i] == '#')
			s.n = i;
	return s;
}

/* The value of a Host field line; p NULL for any other line. */
static struct slice host_value(struct slice line)
{
	if (line.n < 5 || strncasecmp((const char *)line.p, "host", 4) != 0)
		return (struct slice){0};
	struct slice rest = {line.p + 4, line.n - 4};
	while (rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t')) {
		rest.p++;
		rest.n--;
	}
	if (!rest.n || rest.p[0] != ':')
		return (struct slice){0};
	return trim((struct slice){rest.p + 1, rest.n - 1});
}

/* Fields up to the empty line. Returns whether it was there. */
static bool read_fields(struct bytes *b, struct http_host *ret)
{
	bool seen = false;
	for (;;) {
		struct slice line = take_line(b);
		if (!line.p)
			return false;
		if (!line.n)
			return true;
		struct slice value = host_value(line);
		if (!value.p)
			continue;
		char host[HOSTNAME_SIZE] = "";
		uint16_t port = ret->port;
		if (!parse_authority(value, host, &port))
			host[0] = 0;
		if (seen && strcmp(host, ret->host) != 0)
			host[0] = 0;
		seen = true;
		memcpy(ret->host, host, sizeof ret->host);
		ret->port = port;
	}
}

enum http_host_verdict http_host_parse(const uint8_t *bytes, size_t n, struct http_host *ret)
{
	size_t n_method = method_length(bytes, n);
	if (n && !n_method)
		return HTTP_HOST_NONE;
	bool cut = n >= HTTP_HOST_MAX_HEAD;
	struct bytes b = bytes_of(bytes, cut ? HTTP_HOST_MAX_HEAD : n);
	struct slice line = take_line(&b), target;
	if (!line.p)
		return cut ? HTTP_HOST_NONE : HTTP_HOST_MORE;
	if (!split_request_line(line, n_method, &target))
		return HTTP_HOST_NONE;
	struct http_host out = {.is_connect = n_method == 7 && !memcmp(bytes, "CONNECT", 7)};
	memcpy(out.method, bytes, n_method);
	out.port = out.is_connect ? PORT_HTTPS : PORT_HTTP;
	bool whole = read_fields(&b, &out);
	if (!whole && !cut)
		return HTTP_HOST_MORE;
	struct slice authority = out.is_connect ? target : absolute_authority(target);
	if (authority.n) {
		out.port = out.is_connect ? PORT_HTTPS : PORT_HTTP;
		if (!parse_authority(authority, out.host, &out.port))
			out.host[0] = 0;
	}
	out.head_bytes = whole ? (uint32_t)(b.at - bytes) : 0;
	*ret = out;
	return HTTP_HOST_FOUND;
}
