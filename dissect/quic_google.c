#include "dissect/quic_google.h"

#include <string.h>

#include "dissect/hostname.h"

enum {
	PUBLIC_VERSION = 0x01,
	PUBLIC_RESET = 0x02,
	PUBLIC_CID = 0x08,
	FIRST_WITHOUT_PRIVATE_FLAGS = 34,
	FIRST_BIG_ENDIAN = 39,
	FIRST_LONG_HEADER = 46,
	LAST = 46,
	HASH_BYTES = 12,
	FRAME_PADDING = 0,
	FRAME_PING = 7,
	FRAME_STREAM = 0x80,
	HANDSHAKE_STREAM = 1,
	MAX_TAGS = 128,
};

/* "Q024".."Q046" as a number, or 0. */
static unsigned version_number(uint32_t version)
{
	unsigned tens = (version >> 8 & 0xff) - '0', ones = (version & 0xff) - '0';
	unsigned number = tens * 10 + ones;
	return version >> 16 == 0x5130 && tens < 10 && ones < 10 && number >= 24 && number <= LAST ? number
												   : 0;
}

/* Through the header to the message hash. Returns the version's number, 0 when this is something else. */
static unsigned take_header(struct bytes *b, struct quic_view *ret_view)
{
	static const uint8_t number_bytes[] = {1, 2, 4, 6};
	uint8_t flags = bytes_u8(b);
	if (flags & 0x80) {
		ret_view->version = bytes_u32(b);
		uint8_t lengths = bytes_u8(b), n_dcid = lengths >> 4, n_scid = lengths & 15;
		ret_view->dcid.n = n_dcid ? (uint8_t)(n_dcid + 3) : 0;
		ret_view->scid.n = n_scid ? (uint8_t)(n_scid + 3) : 0;
		const uint8_t *dcid = bytes_take(b, ret_view->dcid.n),
			      *scid = bytes_take(b, ret_view->scid.n);
		bytes_skip(b, (flags & 3u) + 1);
		if (b->failed || version_number(ret_view->version) != FIRST_LONG_HEADER)
			return 0;
		memcpy(ret_view->dcid.id, dcid, ret_view->dcid.n);
		memcpy(ret_view->scid.id, scid, ret_view->scid.n);
		return FIRST_LONG_HEADER;
	}
	if (flags & (0x40 | PUBLIC_RESET) || !(flags & PUBLIC_VERSION) || !(flags & PUBLIC_CID))
		return 0;
	const uint8_t *cid = bytes_take(b, 8);
	ret_view->version = bytes_u32(b);
	bytes_skip(b, number_bytes[flags >> 4 & 3]);
	unsigned number = version_number(ret_view->version);
	if (b->failed || number >= FIRST_LONG_HEADER)
		return 0;
	ret_view->dcid.n = 8;
	memcpy(ret_view->dcid.id, cid, 8);
	return number;
}

bool quic_google_look(const uint8_t *payload, size_t n, struct quic_view *ret_view)
{
	struct bytes b = bytes_of(payload, n);
	struct quic_view view = {.long_header = true, .initial = true};
	if (!take_header(&b, &view))
		return false;
	*ret_view = view;
	return true;
}

static uint64_t take_integer(struct bytes *b, unsigned n, bool big_endian)
{
	uint64_t value = 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t octet = bytes_u8(b);
		value = big_endian ? value << 8 | octet : value | octet << (8 * i);
	}
	return value;
}

/* Type 1fdoooss: f fin, d a length is there, ooo offset bytes (0, 2..8), ss + 1 stream id bytes. */
static void take_stream(struct bytes *b, uint8_t type, bool big_endian, struct assemble *stream,
			struct assemble_budget *budget)
{
	unsigned n_offset = type >> 2 & 7;
	uint64_t id = take_integer(b, (type & 3u) + 1, big_endian);
	uint64_t offset = take_integer(b, n_offset ? n_offset + 1 : 0, big_endian);
	size_t n = type & 0x20 ? (size_t)take_integer(b, 2, big_endian) : bytes_left(b);
	struct slice text = bytes_slice(b, n);
	if (b->failed || id != HANDSHAKE_STREAM)
		return;
	/* After a rejection the full hello follows the first one on the stream; it may be all that was
	 * captured. */
	if (!stream->ready && text.n >= 4 && !memcmp(text.p, "CHLO", 4))
		offset = 0;
	if (offset < ASSEMBLE_MAX_BYTES)
		assemble_add(stream, budget, (uint32_t)offset, text.p, text.n);
}

bool quic_google_stream(const uint8_t *payload, size_t n, struct assemble *stream,
			struct assemble_budget *budget)
{
	struct bytes b = bytes_of(payload, n);
	struct quic_view view = {0};
	unsigned version = take_header(&b, &view);
	if (!version)
		return false;
	bytes_skip(&b, HASH_BYTES);
	if (version < FIRST_WITHOUT_PRIVATE_FLAGS && bytes_u8(&b) & 2)
		bytes_skip(&b, 1); /* FEC group */
	while (!b.failed && bytes_left(&b)) {
		uint8_t type = bytes_u8(&b);
		if (type & FRAME_STREAM)
			take_stream(&b, type, version >= FIRST_BIG_ENDIAN, stream, budget);
		else if (type != FRAME_PADDING && type != FRAME_PING)
			break;
	}
	return true;
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void take_name(struct hello *h, struct slice raw)
{
	h->sni_raw = raw;
	bool usable = hostname_normalise(raw.p, raw.n, h->sni) == HOSTNAME_OK;
	h->flags |= usable ? HELLO_SNI : HELLO_SNI_INVALID;
}

/* Tag, number of entries, padding; per entry a tag and where its value ends; the values. */
enum quic_verdict quic_google_hello(const uint8_t *chlo, size_t n, struct hello *ret_hello)
{
	enum { HEAD = 8, ENTRY = 8 };
	if (n < HEAD)
		return QUIC_MORE;
	unsigned n_tags = chlo[4] | (unsigned)chlo[5] << 8;
	if (memcmp(chlo, "CHLO", 4) != 0 || n_tags > MAX_TAGS)
		return QUIC_NONE;
	size_t values = HEAD + (size_t)n_tags * ENTRY;
	if (n < values)
		return QUIC_MORE;
	*ret_hello = (struct hello){0};
	uint32_t start = 0;
	for (const uint8_t *entry = chlo + HEAD; entry < chlo + values; entry += ENTRY) {
		uint32_t end = le32(entry + 4);
		if (end < start || end > ASSEMBLE_MAX_BYTES)
			return QUIC_NONE;
		if (!memcmp(entry, "SNI\0", 4)) {
			if (n < values + end)
				return QUIC_MORE;
			take_name(ret_hello, (struct slice){chlo + values + start, end - start});
			return QUIC_FOUND;
		}
		start = end;
	}
	return QUIC_FOUND;
}
