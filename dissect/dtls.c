#include "dissect/dtls.h"

#include <string.h>

enum {
	RECORD_HEADER_BYTES = 13,
	RECORD_HANDSHAKE = 22,
	MESSAGE_HEADER_BYTES = 12,
	MESSAGE_CLIENT_HELLO = 1,
	MESSAGE_SERVER_HELLO = 2,
	MAX_RECORDS = 16,
	VERSION_CISCO = 0x0100,
	EXT_SUPPORTED_VERSIONS = 43,
	DTLS13 = 0xfefc,
	RDP_MAX_HEADER = 96,
	RDP_SWAPPED = 7, /* MS-RDPEUDP2 3.1.5.1: this byte and the first change places */
};

static bool is_version(uint16_t version)
{
	return version == 0xfeff || version == 0xfefd || version == VERSION_CISCO;
}

/* The next handshake record in the clear; what is encrypted or something else is stepped over. */
static bool next_record(struct bytes *datagram, struct bytes *ret_body)
{
	for (int i = 0; i < MAX_RECORDS && bytes_left(datagram) >= RECORD_HEADER_BYTES; i++) {
		uint8_t type = bytes_u8(datagram);
		uint16_t version = bytes_u16(datagram), epoch = bytes_u16(datagram);
		bytes_skip(datagram, 6);
		struct bytes body = bytes_block(datagram, bytes_u16(datagram));
		if (body.failed || !is_version(version))
			return false;
		if (type != RECORD_HANDSHAKE || epoch)
			continue;
		*ret_body = body;
		return true;
	}
	return false;
}

/* length: of the whole message; body: of this fragment, at offset. */
struct fragment {
	uint8_t type;
	uint16_t seq;
	uint32_t length, offset;
	struct slice body;
};

static bool next_fragment(struct bytes *record, struct fragment *ret)
{
	ret->type = bytes_u8(record);
	ret->length = bytes_u24(record);
	ret->seq = bytes_u16(record);
	ret->offset = bytes_u24(record);
	uint32_t n = bytes_u24(record);
	ret->body = bytes_slice(record, n);
	return !record->failed && ret->offset <= ret->length && n <= ret->length - ret->offset;
}

bool dtls_look(const uint8_t *payload, size_t n)
{
	struct bytes datagram = bytes_of(payload, n), record;
	struct fragment f;
	if (!n || payload[0] != RECORD_HANDSHAKE)
		return false;
	return next_record(&datagram, &record) && next_fragment(&record, &f);
}

static enum dtls_verdict take_fragment(struct dtls_stream *ds, struct assemble *a,
				       struct assemble_budget *budget, const struct fragment *f,
				       struct hello *ret_hello)
{
	if (f->length > ASSEMBLE_MAX_BYTES)
		return DTLS_BAD;
	if (!ds->any || f->seq > ds->seq) {
		*ds = (struct dtls_stream){.length = f->length, .seq = f->seq, .any = true};
		assemble_done(a, budget);
	} else if (f->seq < ds->seq || f->length != ds->length) {
		return DTLS_MORE;
	}
	const uint8_t *whole = f->body.p;
	if (f->body.n < f->length) {
		bool grew = assemble_add(a, budget, f->offset, f->body.p, f->body.n);
		if (!grew || a->ready < f->length)
			return DTLS_MORE;
		whole = a->bytes;
	}
	bool read = hello_parse(whole, f->length, 'd', ret_hello) ||
		    hello_parse_part(whole, f->length, 'd', ret_hello);
	return read ? DTLS_FOUND : DTLS_BAD;
}

enum dtls_verdict dtls_client(struct dtls_stream *ds, struct assemble *a, struct assemble_budget *budget,
			      const uint8_t *payload, size_t n, struct hello *ret_hello)
{
	struct bytes datagram = bytes_of(payload, n), record;
	while (next_record(&datagram, &record)) {
		struct fragment f;
		while (bytes_left(&record) >= MESSAGE_HEADER_BYTES && next_fragment(&record, &f)) {
			if (f.type != MESSAGE_CLIENT_HELLO)
				continue;
			enum dtls_verdict v = take_fragment(ds, a, budget, &f, ret_hello);
			if (v != DTLS_MORE)
				return v;
		}
	}
	return DTLS_MORE;
}

/* RFC 8446 4.1.3, 4.2.1; a HelloRetryRequest has no version worth telling yet. */
static uint16_t server_version(struct slice body)
{
	static const uint8_t retry_random[8] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11};
	struct bytes b = bytes_of(body.p, body.n);
	uint16_t version = bytes_u16(&b);
	const uint8_t *random = bytes_take(&b, 32);
	if (random && !memcmp(random, retry_random, sizeof retry_random))
		return 0;
	bytes_skip(&b, bytes_u8(&b));
	bytes_skip(&b, 3);
	if (b.failed)
		return 0;
	struct bytes extensions = bytes_block(&b, bytes_u16(&b));
	while (!extensions.failed && bytes_left(&extensions)) {
		uint16_t type = bytes_u16(&extensions);
		struct bytes value = bytes_block(&extensions, bytes_u16(&extensions));
		if (type == EXT_SUPPORTED_VERSIONS && bytes_u16(&value) == DTLS13)
			return DTLS13;
	}
	return version;
}

uint16_t dtls_server(const uint8_t *payload, size_t n)
{
	struct bytes datagram = bytes_of(payload, n), record;
	while (next_record(&datagram, &record)) {
		struct fragment f;
		if (next_fragment(&record, &f) && f.type == MESSAGE_SERVER_HELLO && !f.offset)
			return server_version(f.body);
	}
	return 0;
}

/* first: the record's first byte, which may have changed places. */
static bool tls_at(uint8_t first, struct bytes b, struct hello *ret_hello)
{
	bytes_skip(&b, 1);
	uint16_t version = bytes_u16(&b);
	if (b.failed || first != RECORD_HANDSHAKE || version >> 8 != 3)
		return false;
	struct bytes record = bytes_block(&b, bytes_u16(&b));
	if (record.failed || bytes_left(&b) || bytes_u8(&record) != MESSAGE_CLIENT_HELLO)
		return false;
	struct slice body = bytes_slice(&record, bytes_u24(&record));
	return !record.failed && hello_parse(body.p, body.n, 't', ret_hello);
}

static bool dtls_at(struct bytes b, struct hello *ret_hello)
{
	struct bytes record;
	struct fragment f;
	if (bytes_left(&b) < RECORD_HEADER_BYTES || *b.at != RECORD_HANDSHAKE || !next_record(&b, &record) ||
	    bytes_left(&b) || !next_fragment(&record, &f))
		return false;
	return f.type == MESSAGE_CLIENT_HELLO && f.body.n == f.length &&
	       hello_parse(f.body.p, f.body.n, 'd', ret_hello);
}

bool dtls_rdp_hello(const uint8_t *payload, size_t n, struct hello *ret_hello)
{
	for (size_t at = RDP_SWAPPED; at < n && at <= RDP_MAX_HEADER; at++) {
		struct bytes b = bytes_of(payload + at, n - at);
		if (tls_at(at == RDP_SWAPPED ? payload[0] : payload[at], b, ret_hello) ||
		    dtls_at(b, ret_hello))
			return true;
	}
	return false;
}
