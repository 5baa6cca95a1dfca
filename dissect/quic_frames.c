#include "dissect/quic_frames.h"

#include "dissect/quic_packet.h"

enum {
	FRAME_PADDING = 0,
	FRAME_PING = 1,
	FRAME_ACK = 2,
	FRAME_ACK_ECN = 3,
	FRAME_CRYPTO = 6,
	FRAME_CLOSE = 0x1c
};
enum { GOOGLE_PING = 7, GOOGLE_CRYPTO = 8 };

static void skip_ack(struct bytes *b, bool ecn)
{
	quic_varint(b);
	quic_varint(b);
	uint64_t n_ranges = quic_varint(b);
	quic_varint(b);
	for (; n_ranges && !b->failed; n_ranges--) {
		quic_varint(b);
		quic_varint(b);
	}
	for (int i = 0; ecn && i < 3; i++)
		quic_varint(b);
}

/* error code, frame type, reason */
static void skip_close(struct bytes *b)
{
	quic_varint(b);
	quic_varint(b);
	uint64_t n_reason = quic_varint(b);
	if (n_reason > bytes_left(b))
		b->failed = true;
	bytes_skip(b, (size_t)n_reason);
}

static void take_crypto(struct bytes *b, struct assemble *stream, struct assemble_budget *budget)
{
	uint64_t offset = quic_varint(b), n = quic_varint(b);
	if (b->failed || n > bytes_left(b)) {
		b->failed = true;
		return;
	}
	struct slice text = bytes_slice(b, (size_t)n);
	if (offset < ASSEMBLE_MAX_BYTES)
		assemble_add(stream, budget, (uint32_t)offset, text.p, text.n);
	else
		stream->full = true;
}

bool quic_frames_crypto(struct slice plain, bool google, struct assemble *stream,
			struct assemble_budget *budget)
{
	struct bytes b = bytes_of(plain.p, plain.n);
	while (!b.failed && bytes_left(&b)) {
		if (*b.at == FRAME_PADDING) { /* most of an Initial: not worth a varint each */
			b.at++;
			continue;
		}
		uint64_t type = quic_varint(&b);
		if (google) {
			if (type == GOOGLE_CRYPTO)
				take_crypto(&b, stream, budget);
			else if (type != GOOGLE_PING)
				return false;
			continue;
		}
		switch (type) {
		case FRAME_PING:
			break;
		case FRAME_ACK:
		case FRAME_ACK_ECN:
			skip_ack(&b, type == FRAME_ACK_ECN);
			break;
		case FRAME_CRYPTO:
			take_crypto(&b, stream, budget);
			break;
		case FRAME_CLOSE:
			skip_close(&b);
			break;
		default:
			return false;
		}
	}
	return !b.failed;
}
