#include "dissect/tls_hello.h"

#include <string.h>

#include "dissect/assemble.h"
#include "dissect/tls_cert.h"
#include "dissect/tls_prefix.h"

enum {
	RECORD_HEADER_BYTES = 5,
	RECORD_MAX_BYTES = 16384 + 2048, /* RFC 5246 6.2.3 */
	RECORD_CHANGE_CIPHER_SPEC = 20,
	RECORD_HANDSHAKE = 22,
	RECORD_APPLICATION = 23,
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MESSAGE_CERTIFICATE = 11,
	MAX_CERTIFICATE_BYTES = 16384,
	MAX_SERVER_RECORDS = 64,
	MAX_SERVER_SEARCH_BYTES = 8192,
	MAX_SKIPPED_RECORDS = 8,
	EXT_SUPPORTED_VERSIONS = 43,
};

/* A handshake message in several records has to be put together somewhere that outlives the call, for
 * sni_raw. */
static _Thread_local uint8_t joined[ASSEMBLE_MAX_BYTES];

enum pull { PULL_OK, PULL_MORE, PULL_END };

/* The handshake stream inside a record stream. */
struct records {
	const uint8_t *bytes;
	size_t n, at;
	size_t left;    /* of the handshake record that at is in */
	size_t missing; /* after PULL_MORE: at least so many more bytes are needed */
	unsigned n_records, max_records;
	unsigned n_skipped;
	bool skip_application; /* 0-RTT data between two hellos */
};

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Moves to handshake bytes: through a header, over ChangeCipherSpec that middlebox compatibility mode strews
 * in (RFC 8446 D.4). */
static enum pull enter_record(struct records *r)
{
	while (!r->left) {
		if (r->n - r->at < RECORD_HEADER_BYTES)
			return PULL_MORE;
		const uint8_t *p = r->bytes + r->at;
		size_t length = (size_t)p[3] << 8 | p[4];
		if (p[1] != 3 || !length || length > RECORD_MAX_BYTES ||
		    ++r->n_records > r->max_records)
			return PULL_END;
		if (p[0] == RECORD_HANDSHAKE) {
			r->at += RECORD_HEADER_BYTES;
			r->left = length;
			break;
		}
		bool skip =
		    p[0] == RECORD_CHANGE_CIPHER_SPEC || (p[0] == RECORD_APPLICATION && r->skip_application);
		if (!skip || ++r->n_skipped > MAX_SKIPPED_RECORDS)
			return PULL_END;
		if (r->n - r->at < RECORD_HEADER_BYTES + length)
			return PULL_MORE;
		r->at += RECORD_HEADER_BYTES + length;
	}
	return PULL_OK;
}

/* The next want bytes of the handshake stream: in place when one record has them, else joined in to. */
static enum pull pull(struct records *r, size_t want, uint8_t *to, struct slice *ret)
{
	size_t got = 0;
	r->missing = want;
	while (got < want) {
		enum pull p = enter_record(r);
		if (p != PULL_OK)
			return p;
		size_t have = least(least(r->left, r->n - r->at), want - got);
		if (have == want) {
			*ret = (struct slice){r->bytes + r->at, want};
			r->at += want;
			r->left -= want;
			return PULL_OK;
		}
		if (!have)
			return PULL_MORE;
		memcpy(to + got, r->bytes + r->at, have);
		got += have;
		r->missing = want - got;
		r->at += have;
		r->left -= have;
	}
	*ret = (struct slice){to, want};
	return PULL_OK;
}

struct message {
	uint8_t type;
	size_t n;
};

static enum pull pull_header(struct records *r, struct message *ret)
{
	uint8_t header[4];
	struct slice s;
	enum pull p = pull(r, sizeof header, header, &s);
	if (p != PULL_OK)
		return p;
	*ret = (struct message){s.p[0], (size_t)s.p[1] << 16 | (size_t)s.p[2] << 8 | s.p[3]};
	return PULL_OK;
}

static struct slice host_of(const struct hello *h)
{
	return h->flags & HELLO_SNI ? (struct slice){(const uint8_t *)h->sni, strlen(h->sni)} : h->sni_raw;
}

/* The hello that answers a HelloRetryRequest must say what the first one said (RFC 8446 4.1.2). */
static void check_second_hello(struct records *r, struct hello *first)
{
	struct message m;
	struct slice body;
	struct hello second;
	r->skip_application = true;
	if (pull_header(r, &m) != PULL_OK || m.type != MESSAGE_CLIENT_HELLO || m.n > r->n - r->at)
		return;
	/* The first body may still be borrowed from joined. */
	static _Thread_local uint8_t again[ASSEMBLE_MAX_BYTES];
	if (pull(r, m.n, again, &body) != PULL_OK || !hello_parse(body.p, body.n, 't', &second))
		return;
	struct slice a = host_of(first), b = host_of(&second);
	if (a.n == b.n && (!a.n || !memcmp(a.p, b.p, a.n)))
		return;
	first->flags |= HELLO_SNI_AMBIGUOUS;
	if (!first->sni_other[0])
		memcpy(first->sni_other, second.sni, sizeof first->sni_other);
}

static enum tls_hello_verdict read_client_hello(struct records *r, bool complete, struct hello *ret)
{
	struct message m;
	struct slice body = {0};
	enum pull p = pull_header(r, &m);
	if (p != PULL_OK)
		return p == PULL_MORE && !complete ? TLS_HELLO_MORE : TLS_HELLO_BAD;
	if (m.type != MESSAGE_CLIENT_HELLO || m.n > ASSEMBLE_MAX_BYTES)
		return TLS_HELLO_BAD;
	p = pull(r, m.n, joined, &body);
	if (p == PULL_OK && hello_parse(body.p, body.n, 't', ret)) {
		check_second_hello(r, ret);
		return TLS_HELLO_FOUND;
	}
	if (p == PULL_MORE && !complete)
		return TLS_HELLO_MORE;
	/* Cut, or broken behind the name. */
	if (p != PULL_OK)
		body = (struct slice){joined, m.n > r->missing ? m.n - r->missing : 0};
	return hello_parse_part(body.p, body.n, 't', ret) ? TLS_HELLO_FOUND : TLS_HELLO_BAD;
}

/* What a call leaves for the next, in the caller's 32 bits. Searching: everything before base is understood,
 * before look looked at. Found: TLS begins at base, and the hello cannot be whole before look bytes are
 * there: without that, a hello in records of one byte would be walked from its start for every byte that
 * arrives. */
struct progress {
	struct tls_prefix_scan scan;
	bool found;
};

static struct progress unpack(uint32_t word)
{
	return (struct progress){{.base = word >> 16 & 0x7fff, .look = word & 0xffff}, word >> 31};
}

bool tls_hello_begun(uint32_t scan)
{
	return unpack(scan).found;
}

static uint32_t pack(const struct progress *p)
{
	uint32_t look = p->scan.look < 0xffff ? p->scan.look : 0xffff;
	return (uint32_t)p->found << 31 | (p->scan.base & 0x7fff) << 16 | look;
}

/* Tells what stands before TLS, or before the place where TLS was not found; from the start, once, with the
 * final verdict. */
static void describe_prefix(const struct tls_prefix_input *in, struct tls_hello *ret)
{
	struct tls_prefix_scan scan = {0};
	struct tls_prefix prefix = {0};
	tls_prefix_find(in, &scan, &prefix);
	ret->tls_start = prefix.tls_start;
	ret->prefix = prefix.kind;
	ret->connect_port = prefix.port;
	memcpy(ret->connect_host, prefix.host, sizeof ret->connect_host);
}

static enum tls_hello_verdict find_hello(const struct tls_prefix_input *in, struct progress *progress,
					 struct hello *ret)
{
	if (!progress->found) {
		struct tls_prefix prefix = {0};
		enum tls_prefix_verdict v = tls_prefix_find(in, &progress->scan, &prefix);
		if (v != TLS_PREFIX_FOUND)
			return v == TLS_PREFIX_MORE ? TLS_HELLO_MORE : TLS_HELLO_NONE;
		*progress = (struct progress){{.base = prefix.tls_start}, true};
	}
	if (in->n < progress->scan.look && !in->complete)
		return TLS_HELLO_MORE;
	struct records r = {
	    .bytes = in->bytes, .n = in->n, .at = progress->scan.base, .max_records = UINT32_MAX};
	enum tls_hello_verdict v = read_client_hello(&r, in->complete, ret);
	progress->scan.look = (uint32_t)(in->n + r.missing);
	return v;
}

enum tls_hello_verdict tls_hello_client(const uint8_t *bytes, size_t n, const uint32_t *segment_starts,
					size_t n_starts, bool complete, uint32_t *scan, struct tls_hello *ret)
{
	struct tls_prefix_input in = {bytes, n, segment_starts, n_starts, complete};
	struct progress progress = unpack(*scan);
	enum tls_hello_verdict v = find_hello(&in, &progress, &ret->hello);
	*scan = pack(&progress);
	if (v == TLS_HELLO_MORE)
		return v;
	if (progress.scan.base == 0) { /* nothing stands before it */
		ret->tls_start = 0;
		ret->prefix = TLS_HELLO_BARE;
		ret->connect_port = 0;
		ret->connect_host[0] = 0;
		return v;
	}
	describe_prefix(&in, ret);
	return v;
}

/* RFC 8446 4.1.3 */
static const uint8_t retry_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
					 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
					 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static bool parse_server_hello(struct slice body, struct tls_hello_server *ret)
{
	struct bytes b = bytes_of(body.p, body.n);
	ret->version = bytes_u16(&b);
	const uint8_t *random = bytes_take(&b, sizeof retry_random);
	ret->retry = random && !memcmp(random, retry_random, sizeof retry_random);
	bytes_skip(&b, bytes_u8(&b));
	ret->cipher = bytes_u16(&b);
	bytes_skip(&b, 1);
	if (b.failed || !bytes_left(&b))
		return !b.failed;
	struct bytes block = bytes_block(&b, bytes_u16(&b));
	while (!block.failed && bytes_left(&block)) {
		uint16_t type = bytes_u16(&block);
		struct bytes extension = bytes_block(&block, bytes_u16(&block));
		if (type == EXT_SUPPORTED_VERSIONS && bytes_left(&extension) == 2)
			ret->version = bytes_u16(&extension);
	}
	if (ret->version >> 8 == 0x7f || ret->version >> 8 == 0xfb) /* drafts of 1.3 */
		ret->version = 0x0304;
	return !b.failed && !block.failed && !bytes_left(&b);
}

/* The first certificate of the list is the server's own (RFC 5246 7.4.2); the others are left where they are.
 */
static enum pull read_certificate(struct records *r, const struct message *m, struct tls_hello_server *ret)
{
	uint8_t lengths[6];
	struct slice s;
	if (m->n < sizeof lengths)
		return PULL_END;
	enum pull p = pull(r, sizeof lengths, lengths, &s);
	if (p != PULL_OK)
		return p;
	size_t n = (size_t)s.p[3] << 16 | (size_t)s.p[4] << 8 | s.p[5];
	if (n > m->n - sizeof lengths)
		return PULL_END;
	if (n > MAX_CERTIFICATE_BYTES) {
		ret->certificate_seen = true;
		return PULL_OK;
	}
	p = pull(r, n, joined, &s);
	if (p != PULL_OK)
		return p;
	ret->certificate_seen = true;
	tls_cert_name(s.p, s.n, ret->certificate_name);
	return PULL_OK;
}

/* A ServerHello record, seen whole enough to be told from chance: record and message header, version 3.x
 * again. */
static bool is_server_record(const uint8_t *p)
{
	return p[0] == RECORD_HANDSHAKE && p[1] == 3 && p[2] <= 4 && p[5] == MESSAGE_SERVER_HELLO && !p[6] &&
	       p[9] == 3 && p[10] <= 4;
}

static enum tls_hello_verdict find_server_start(const uint8_t *bytes, size_t n, uint32_t from,
						uint32_t *ret_start)
{
	enum { NEED = 11 };
	if (n <= from)
		return TLS_HELLO_MORE;
	if (bytes[from] == RECORD_HANDSHAKE &&
	    (n - from < 3 || (bytes[from + 1] == 3 && bytes[from + 2] <= 4))) {
		*ret_start = from;
		return TLS_HELLO_FOUND;
	}
	size_t end = least(n, (size_t)from + MAX_SERVER_SEARCH_BYTES);
	for (size_t at = from; at + NEED <= end; at++) {
		const uint8_t *p = memchr(bytes + at, RECORD_HANDSHAKE, end - NEED + 1 - at);
		if (!p)
			break;
		at = (size_t)(p - bytes);
		if (is_server_record(p)) {
			*ret_start = (uint32_t)at;
			return TLS_HELLO_FOUND;
		}
	}
	return n - from >= MAX_SERVER_SEARCH_BYTES ? TLS_HELLO_NONE : TLS_HELLO_MORE;
}

static enum tls_hello_verdict read_server_flight(struct records *r, bool complete,
						 struct tls_hello_server *ret)
{
	struct message m;
	struct slice body;
	enum pull p = pull_header(r, &m);
	if (p == PULL_OK) {
		if (m.type != MESSAGE_SERVER_HELLO || m.n > ASSEMBLE_MAX_BYTES)
			return TLS_HELLO_BAD;
		p = pull(r, m.n, joined, &body);
	}
	if (p != PULL_OK)
		return p == PULL_MORE && !complete ? TLS_HELLO_MORE : TLS_HELLO_BAD;
	if (!parse_server_hello(body, ret))
		return TLS_HELLO_BAD;
	if (ret->version >= 0x0304)
		return TLS_HELLO_FOUND;
	p = pull_header(r, &m);
	if (p == PULL_OK && m.type == MESSAGE_CERTIFICATE)
		p = read_certificate(r, &m, ret);
	return p == PULL_MORE && !complete ? TLS_HELLO_MORE : TLS_HELLO_FOUND;
}

enum tls_hello_verdict tls_hello_server(const uint8_t *bytes, size_t n, uint32_t tls_start, bool complete,
					struct tls_hello_server *ret)
{
	*ret = (struct tls_hello_server){0};
	enum tls_hello_verdict v = find_server_start(bytes, n, tls_start, &ret->tls_start);
	if (v != TLS_HELLO_FOUND)
		return complete ? TLS_HELLO_NONE : v;
	struct records r = {.bytes = bytes, .n = n, .at = ret->tls_start, .max_records = MAX_SERVER_RECORDS};
	return read_server_flight(&r, complete, ret);
}
