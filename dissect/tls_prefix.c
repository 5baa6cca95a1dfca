#include "dissect/tls_prefix.h"

#include <string.h>

#include "dissect/assemble.h"
#include "dissect/http_host.h"

enum {
	MAX_BINARY_BYTES = 8192,  /* of an unknown binary protocol, before giving up */
	MAX_RECORD_BYTES = 16640, /* RFC 8446 5.2 */
	PROXY_V1_MAX_BYTES = 107, /* with CR LF, PROXY protocol 2.1 */
	SOCKS4_MAX_STRING = 512,
	LDAP_MAX_BYTES = 8192,
};

enum answer { ANSWER_NO, ANSWER_YES, ANSWER_MORE, ANSWER_NEVER };

/* One prefix at the start of b. YES: length bytes of it. NEVER: no TLS will follow. */
struct step {
	struct tls_prefix *prefix;
	struct tls_prefix_scan *scan;
	struct bytes b;
	size_t length;
	size_t at; /* position of b in the direction */
};

static enum answer starts_with(const struct bytes *b, const void *literal, size_t n)
{
	size_t have = bytes_left(b) < n ? bytes_left(b) : n;
	if (memcmp(b->at, literal, have) != 0)
		return ANSWER_NO;
	return have == n ? ANSWER_YES : ANSWER_MORE;
}

/* A handshake record of plausible length whose first byte is client_hello. The minor version is to be
 * ignored (RFC 8446 5.1), and servers do. */
static enum answer is_client_record(const uint8_t *p, size_t n)
{
	if (!n)
		return ANSWER_MORE;
	if (p[0] != 0x16 || (n > 1 && p[1] != 3))
		return ANSWER_NO;
	if (n < 6)
		return ANSWER_MORE;
	unsigned length = (unsigned)p[3] << 8 | p[4];
	return length && length <= MAX_RECORD_BYTES && p[5] == 1 ? ANSWER_YES : ANSWER_NO;
}

static void set_host(struct tls_prefix *prefix, struct slice host, uint16_t port)
{
	if (host.p && hostname_normalise(host.p, host.n, prefix->host) == HOSTNAME_OK)
		prefix->port = port;
}

static enum answer ended(struct step *s, const struct bytes *b, uint8_t kind)
{
	if (b->failed)
		return ANSWER_MORE;
	s->prefix->kind = kind;
	s->length = (size_t)(b->at - s->b.at);
	return ANSWER_YES;
}

static enum answer proxy_v1(struct step *s)
{
	enum answer a = starts_with(&s->b, "PROXY ", 6);
	if (a != ANSWER_YES)
		return a;
	size_t n = bytes_left(&s->b) < PROXY_V1_MAX_BYTES ? bytes_left(&s->b) : PROXY_V1_MAX_BYTES;
	const uint8_t *end = memmem(s->b.at, n, "\r\n", 2);
	if (!end)
		return n == PROXY_V1_MAX_BYTES ? ANSWER_NO : ANSWER_MORE;
	s->prefix->kind = TLS_HELLO_PROXY;
	s->length = (size_t)(end + 2 - s->b.at);
	return ANSWER_YES;
}

static enum answer proxy_v2(struct step *s)
{
	enum answer a = starts_with(&s->b, "\r\n\r\n\0\r\nQUIT\n", 12);
	if (a != ANSWER_YES)
		return a;
	struct bytes b = s->b;
	bytes_skip(&b, 14);
	bytes_skip(&b, bytes_u16(&b));
	return ended(s, &b, TLS_HELLO_PROXY);
}

/* Up to and with the NUL. */
static struct slice take_string(struct bytes *b)
{
	size_t n = bytes_left(b) < SOCKS4_MAX_STRING ? bytes_left(b) : SOCKS4_MAX_STRING;
	const uint8_t *end = memchr(b->at, 0, n);
	if (!end) {
		b->failed = true;
		return (struct slice){0};
	}
	struct slice text = bytes_slice(b, (size_t)(end - b->at));
	bytes_skip(b, 1);
	return text;
}

/* 4, command, port, address, user, and for 4a (address 0.0.0.x) the name. */
static enum answer socks4(struct step *s)
{
	struct bytes b = s->b;
	if (bytes_u8(&b) != 4)
		return ANSWER_NO;
	uint8_t command = bytes_u8(&b);
	uint16_t port = bytes_u16(&b);
	uint32_t address = bytes_u32(&b);
	if (b.failed)
		return bytes_left(&s->b) > 1 && s->b.at[1] != 1 && s->b.at[1] != 2 ? ANSWER_NO : ANSWER_MORE;
	if (command != 1 && command != 2)
		return ANSWER_NO;
	take_string(&b);
	if (address && address < 256) {
		struct slice host = take_string(&b);
		set_host(s->prefix, host, port);
	}
	if (b.failed && bytes_left(&s->b) > 2 * SOCKS4_MAX_STRING)
		return ANSWER_NO;
	return ended(s, &b, TLS_HELLO_SOCKS);
}

/* RFC 1928: greeting, user and password of RFC 1929 when they follow, request. */
static enum answer socks5(struct step *s)
{
	struct bytes b = s->b;
	if (bytes_u8(&b) != 5)
		return ANSWER_NO;
	uint8_t n_methods = bytes_u8(&b);
	if (!b.failed && !n_methods)
		return ANSWER_NO;
	bytes_skip(&b, n_methods);
	uint8_t next = bytes_u8(&b);
	if (next == 1) {
		bytes_skip(&b, bytes_u8(&b));
		bytes_skip(&b, bytes_u8(&b));
		next = bytes_u8(&b);
	}
	if (b.failed)
		return ANSWER_MORE;
	uint8_t command = bytes_u8(&b), reserved = bytes_u8(&b), type = bytes_u8(&b);
	if (!b.failed && (next != 5 || !command || command > 3 || reserved))
		return ANSWER_NO;
	struct slice host = {0};
	if (type == 1)
		bytes_skip(&b, 4);
	else if (type == 4)
		bytes_skip(&b, 16);
	else if (type == 3)
		host = bytes_slice(&b, bytes_u8(&b));
	else if (!b.failed)
		return ANSWER_NO;
	uint16_t port = bytes_u16(&b);
	if (!b.failed)
		set_host(s->prefix, host, port);
	return ended(s, &b, TLS_HELLO_SOCKS);
}

/* Searches for the end of the head only in what is new. What begins like this and is no request is nothing
 * else either. */
static enum answer http_connect(struct step *s)
{
	enum answer a = starts_with(&s->b, "CONNECT ", 8);
	if (a != ANSWER_YES)
		return a;
	size_t n = bytes_left(&s->b), from = s->scan->look > s->at + 3 ? s->scan->look - s->at - 3 : 0;
	const uint8_t *lf = NULL;
	for (const uint8_t *p = s->b.at + from; (lf = memchr(p, '\n', (size_t)(s->b.end - p))); p = lf + 1)
		if ((s->b.end - lf > 1 && lf[1] == '\n') ||
		    (s->b.end - lf > 2 && lf[1] == '\r' && lf[2] == '\n'))
			break;
	if (!lf) {
		s->scan->look = (uint32_t)(s->at + n);
		return n > HTTP_HOST_MAX_HEAD ? ANSWER_NEVER : ANSWER_MORE;
	}
	struct http_host head;
	if (http_host_parse(s->b.at, n, &head) != HTTP_HOST_FOUND || !head.head_bytes)
		return ANSWER_NEVER;
	memcpy(s->prefix->host, head.host, sizeof s->prefix->host);
	s->prefix->port = head.port;
	s->prefix->kind = TLS_HELLO_CONNECT;
	s->length = head.head_bytes;
	return ANSWER_YES;
}

/* SSLRequest, or the GSSENCRequest that may go before it. */
static enum answer postgresql(struct step *s)
{
	enum answer ssl = starts_with(&s->b, "\0\0\0\x08\x04\xd2\x16\x2f", 8);
	enum answer gss = starts_with(&s->b, "\0\0\0\x08\x04\xd2\x16\x30", 8);
	s->length = 8;
	if (ssl == ANSWER_YES || gss == ANSWER_YES) {
		s->prefix->kind = TLS_HELLO_STARTTLS;
		return ANSWER_YES;
	}
	return ssl == ANSWER_MORE || gss == ANSWER_MORE ? ANSWER_MORE : ANSWER_NO;
}

/* SSLRequest: packet 1 of 32 bytes, CLIENT_SSL (0x0800) among the little-endian capabilities. */
static enum answer mysql(struct step *s)
{
	enum answer a = starts_with(&s->b, "\x20\0\0\x01", 4);
	if (a != ANSWER_YES)
		return a;
	struct bytes b = s->b;
	bytes_skip(&b, 5);
	uint8_t capabilities = bytes_u8(&b);
	if (!b.failed && !(capabilities & 8))
		return ANSWER_NO;
	bytes_skip(&b, 30);
	return ended(s, &b, TLS_HELLO_STARTTLS);
}

/* RDP: an X.224 connection request in TPKT, MS-RDPBCGR 2.2.1.1. */
static enum answer rdp(struct step *s)
{
	struct bytes b = s->b;
	uint8_t version = bytes_u8(&b), reserved = bytes_u8(&b);
	uint16_t length = bytes_u16(&b);
	if (version != 3 || reserved)
		return ANSWER_NO;
	bytes_skip(&b, 1);
	uint8_t code = bytes_u8(&b);
	if (b.failed)
		return ANSWER_MORE;
	if (length < 7 || code != 0xe0)
		return ANSWER_NO;
	bytes_skip(&b, length - 6u);
	return ended(s, &b, TLS_HELLO_STARTTLS);
}

/* LDAPMessage: SEQUENCE { messageID INTEGER, operation [APPLICATION] ... }. The StartTLS request is the last
 * before TLS, but a client may well have asked for the root entry first. */
static enum answer ldap(struct step *s)
{
	struct bytes b = s->b;
	if (bytes_u8(&b) != 0x30)
		return ANSWER_NO;
	size_t length = bytes_u8(&b);
	if (length >= 0x81 && length <= 0x84) {
		size_t n_octets = length & 0x7f;
		length = 0;
		while (n_octets--)
			length = length << 8 | bytes_u8(&b);
	} else if (length >= 0x80)
		return ANSWER_NO;
	struct bytes look = b;
	uint8_t tag = bytes_u8(&look), n_id = bytes_u8(&look);
	bytes_skip(&look, n_id);
	uint8_t operation = bytes_u8(&look);
	if (look.failed)
		return ANSWER_MORE;
	if (tag != 2 || !n_id || n_id > 4 || (operation & 0xc0) != 0x40 || length > LDAP_MAX_BYTES)
		return ANSWER_NO;
	bytes_skip(&b, length);
	return ended(s, &b, TLS_HELLO_STARTTLS);
}

/* An alert or ChangeCipherSpec ahead of the hello, which servers read over (OpenSSL: up to five warnings). */
static enum answer stray_record(struct step *s)
{
	struct bytes b = s->b;
	bytes_skip(&b, 1);
	uint8_t major = bytes_u8(&b);
	bytes_skip(&b, 1);
	uint16_t length = bytes_u16(&b);
	if (!b.failed && (major != 3 || !length || length > 2))
		return ANSWER_NO;
	bytes_skip(&b, length);
	return ended(s, &b, TLS_HELLO_BARE);
}

/* The first byte says which one it can be. */
static enum answer known_prefix(struct step *s)
{
	switch (s->b.at[0]) {
	case 'P':
		return proxy_v1(s);
	case '\r':
		return proxy_v2(s);
	case 4:
		return socks4(s);
	case 5:
		return socks5(s);
	case 'C':
		return http_connect(s);
	case 0:
		return postgresql(s);
	case 0x14:
	case 0x15:
		return stray_record(s);
	case 0x20:
		return mysql(s);
	case 3:
		return rdp(s);
	case 0x30:
		return ldap(s);
	}
	return ANSWER_NO;
}

/* Protocols that never turn into TLS on the same connection. A request body may well contain a stored
 * ClientHello. */
static bool never_tls(const struct bytes *b)
{
	static const char *const words[] = {"GET ",   "POST ",  "PUT ", "HEAD ",       "OPTIONS ", "DELETE ",
					    "PATCH ", "TRACE ", "SSH-", "PRI * HTTP/", "PROPFIND "};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i][0] == b->at[0] && starts_with(b, words[i], strlen(words[i])) == ANSWER_YES)
			return true;
	return false;
}

static bool is_text(uint8_t c)
{
	return (c >= 0x20 && c < 0x7f) || c == '\r' || c == '\n' || c == '\t';
}

static enum answer record_at(const struct tls_prefix_input *in, size_t at, struct tls_prefix *ret_prefix)
{
	enum answer a = is_client_record(in->bytes + at, in->n - at);
	if (a == ANSWER_YES) {
		ret_prefix->tls_start = (uint32_t)at;
		ret_prefix->kind = TLS_HELLO_STARTTLS;
	}
	return a;
}

static enum answer at_segment_start(const struct tls_prefix_input *in, size_t base,
				    struct tls_prefix *ret_prefix)
{
	for (size_t i = 0; in->segment_starts && i < in->n_starts; i++) {
		size_t at = in->segment_starts[i];
		if (at > base && at < in->n && record_at(in, at, ret_prefix) == ANSWER_YES)
			return ANSWER_YES;
	}
	return ANSWER_NO;
}

/* After a line, or after the element that XMPP's <starttls/> is; look stays where an answer is still open. */
static enum answer after_line(const struct tls_prefix_input *in, struct tls_prefix_scan *scan,
			      struct tls_prefix *ret_prefix)
{
	size_t at = scan->look > scan->base ? scan->look : scan->base;
	for (; at < in->n; at++) {
		if (in->bytes[at] != '\n' && in->bytes[at] != '>')
			continue;
		enum answer a = record_at(in, at + 1, ret_prefix);
		if (a != ANSWER_NO) {
			scan->look = (uint32_t)at;
			return a;
		}
	}
	scan->look = (uint32_t)at;
	return ANSWER_NO;
}

static enum tls_prefix_verdict search(const struct tls_prefix_input *in, struct tls_prefix_scan *scan,
				      struct tls_prefix *ret_prefix)
{
	bool text = is_text(in->bytes[scan->base]);
	if (at_segment_start(in, scan->base, ret_prefix) == ANSWER_YES)
		return TLS_PREFIX_FOUND;
	if (text && after_line(in, scan, ret_prefix) == ANSWER_YES)
		return TLS_PREFIX_FOUND;
	size_t limit = text ? ASSEMBLE_MAX_BYTES : scan->base + MAX_BINARY_BYTES;
	return in->complete || in->n >= limit ? TLS_PREFIX_NONE : TLS_PREFIX_MORE;
}

enum tls_prefix_verdict tls_prefix_find(const struct tls_prefix_input *in, struct tls_prefix_scan *scan,
					struct tls_prefix *ret_prefix)
{
	/* Each turn moves base on: a limit of turns would make the verdict depend on how the bytes were cut. */
	while (scan->base < ASSEMBLE_MAX_BYTES) {
		if (scan->base >= in->n)
			return in->complete ? TLS_PREFIX_NONE : TLS_PREFIX_MORE;
		struct bytes b = bytes_of(in->bytes + scan->base, in->n - scan->base);
		enum answer a = is_client_record(b.at, bytes_left(&b));
		if (a == ANSWER_YES) {
			ret_prefix->tls_start = scan->base;
			return TLS_PREFIX_FOUND;
		}
		struct step step = {.prefix = ret_prefix, .scan = scan, .b = b, .at = scan->base};
		if (a == ANSWER_NO)
			a = known_prefix(&step);
		if (a == ANSWER_MORE)
			return in->complete ? TLS_PREFIX_NONE : TLS_PREFIX_MORE;
		if (a == ANSWER_NEVER || (a == ANSWER_NO && never_tls(&b)))
			return TLS_PREFIX_NONE;
		if (a == ANSWER_NO)
			return search(in, scan, ret_prefix);
		scan->base += (uint32_t)step.length;
	}
	return TLS_PREFIX_NONE;
}
