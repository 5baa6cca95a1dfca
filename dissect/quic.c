#include "dissect/quic.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/assemble.h"
#include "dissect/quic_crypt.h"
#include "dissect/quic_frames.h"
#include "dissect/quic_google.h"
#include "dissect/quic_packet.h"

enum {
	FIXED_BIT = 0x40,
	MIN_SHORT_BYTES = 21, /* RFC 9000 10.3: what a peer may mistake for a stateless reset */
	MAX_DATAGRAMS = 64,
	MAX_OPENED_PER_DATAGRAM = 4,
	MAX_STREAM_MEMORY = 40960, /* QUIC_MAX_CRYPTO_BYTES and the bitmap of assemble */
};

static_assert((int)QUIC_MAX_CRYPTO_BYTES == (int)ASSEMBLE_MAX_BYTES, "one limit, two names");

struct quic_state {
	struct assemble stream; /* CRYPTO bytes of the current connection */
	struct assemble_budget budget;
	struct quic_keys keys;  /* valid if keyed */
	struct quic_cid first;  /* the id that keys came from */
	struct quic_cid server; /* the id the server chose; no keys come from it */
	uint32_t version;
	uint64_t largest; /* packet number, UINT64_MAX none */
	uint8_t n_initials, n_datagrams;
	bool keyed, opened;
};

struct quic_state *quic_state_new(void)
{
	struct quic_state *qs = calloc(1, sizeof *qs);
	if (qs)
		qs->budget.max_bytes = MAX_STREAM_MEMORY;
	return qs;
}

void quic_state_free(struct quic_state *qs)
{
	if (!qs)
		return;
	assemble_done(&qs->stream, &qs->budget);
	free(qs);
}

size_t quic_state_bytes(const struct quic_state *qs)
{
	return sizeof *qs + assemble_memory_bytes(&qs->stream);
}

bool quic_look(const uint8_t *payload, size_t n, struct quic_view *ret_view)
{
	struct bytes datagram = bytes_of(payload, n);
	struct quic_packet packet;
	if (!n)
		return false;
	if (quic_google_look(payload, n, ret_view))
		return true;
	if (!(payload[0] & 0x80)) {
		if (!(payload[0] & FIXED_BIT) || n < MIN_SHORT_BYTES)
			return false;
		*ret_view = (struct quic_view){0};
		return true;
	}
	if (!quic_packet_next(&datagram, &packet))
		return false;
	*ret_view = (struct quic_view){.version = packet.version,
				       .long_header = true,
				       .retry = packet.type == QUIC_PACKET_RETRY,
				       .dcid = packet.dcid,
				       .scid = packet.scid};
	do
		ret_view->initial |= packet.type == QUIC_PACKET_INITIAL;
	while (!ret_view->initial && quic_packet_next(&datagram, &packet));
	return true;
}

static bool same_cid(const struct quic_cid *a, const struct quic_cid *b)
{
	return a->n == b->n && !memcmp(a->id, b->id, a->n);
}

static bool uses_google_frames(uint32_t version)
{
	return version == QUIC_Q050 || version == QUIC_T050 || version == QUIC_T051;
}

static void take_frames(struct quic_state *qs, uint64_t number, struct slice plain)
{
	qs->opened = true;
	if (qs->largest == UINT64_MAX || number > qs->largest)
		qs->largest = number;
	quic_frames_crypto(plain, uses_google_frames(qs->version), &qs->stream, &qs->budget);
}

/* Opens the packet with keys that come from cid, and keeps them if they fit. */
static bool open_by(struct quic_crypt *qc, struct quic_state *qs, const struct quic_packet *packet,
		    const struct quic_cid *cid, struct slice *ret_plain, uint64_t *ret_number)
{
	uint8_t salts[QUIC_MAX_SALTS];
	size_t n_salts = quic_crypt_salts(packet->version, salts);
	for (size_t i = 0; i < n_salts; i++) {
		struct quic_keys keys;
		quic_crypt_keys(qc, salts[i], cid, &keys);
		if (!quic_crypt_open(qc, &keys, packet, UINT64_MAX, ret_number, ret_plain))
			continue;
		qs->keys = keys;
		qs->version = packet->version;
		qs->keyed = true;
		return true;
	}
	return false;
}

static void open_initial(struct quic_crypt *qc, struct quic_state *qs, const struct quic_packet *packet)
{
	struct slice plain;
	uint64_t number;
	bool same_version = packet->version == qs->version;
	if (qs->keyed && same_version &&
	    quic_crypt_open(qc, &qs->keys, packet, qs->largest, &number, &plain)) {
		take_frames(qs, number, plain);
		return;
	}
	/* Compatible version negotiation, RFC 9368: another version's keys from the same id; the stream goes
	 * on. */
	if (qs->keyed && !same_version && open_by(qc, qs, packet, &qs->first, &plain, &number)) {
		take_frames(qs, number, plain);
		return;
	}
	if (qs->keyed && same_version && same_cid(&packet->dcid, &qs->first))
		return;
	if (qs->server.n && same_cid(&packet->dcid, &qs->server))
		return;
	if (!open_by(qc, qs, packet, &packet->dcid, &plain, &number))
		return;
	qs->first = packet->dcid;
	qs->largest = UINT64_MAX;
	assemble_done(&qs->stream, &qs->budget);
	take_frames(qs, number, plain);
}

static enum quic_verdict read_hello(const struct quic_state *qs, struct hello *ret_hello)
{
	const struct assemble *s = &qs->stream;
	struct bytes b = bytes_of(s->bytes, s->ready);
	if (bytes_left(&b) < 4)
		return QUIC_MORE;
	if (!memcmp(b.at, "CHLO", 4))
		return quic_google_hello(s->bytes, s->ready, ret_hello);
	uint8_t type = bytes_u8(&b);
	size_t n = bytes_u24(&b);
	if (type != 1 || n > QUIC_MAX_CRYPTO_BYTES - 4)
		return QUIC_NONE;
	if (bytes_left(&b) < n)
		return QUIC_MORE;
	const bool read = hello_parse(b.at, n, 'q', ret_hello) || hello_parse_part(b.at, n, 'q', ret_hello);
	return read ? QUIC_FOUND : QUIC_NONE;
}

bool quic_last(const struct quic_state *qs, struct hello *ret_hello)
{
	struct bytes b = bytes_of(qs->stream.bytes, qs->stream.ready);
	if (bytes_u8(&b) != 1)
		return false;
	bytes_skip(&b, 3);
	return !b.failed && hello_parse_part(b.at, bytes_left(&b), 'q', ret_hello);
}

/* Returns whether the datagram had something that may carry a hello. */
static bool take_datagram(struct quic_crypt *qc, struct quic_state *qs, const uint8_t *payload, size_t n)
{
	if (quic_google_stream(payload, n, &qs->stream, &qs->budget)) {
		qs->opened = true;
		return true;
	}
	struct bytes datagram = bytes_of(payload, n);
	struct quic_packet packet;
	int n_opened = 0;
	while (n_opened < MAX_OPENED_PER_DATAGRAM && quic_packet_next(&datagram, &packet))
		if (packet.type == QUIC_PACKET_INITIAL) {
			open_initial(qc, qs, &packet);
			n_opened++;
		}
	return n_opened;
}

static bool at_limit(const struct quic_state *qs)
{
	return qs->n_initials >= QUIC_MAX_INITIALS || qs->n_datagrams >= MAX_DATAGRAMS;
}

static enum quic_verdict last_verdict(const struct quic_state *qs)
{
	return qs->opened || !qs->n_initials ? QUIC_NONE : QUIC_UNDECRYPTABLE;
}

enum quic_verdict quic_client(struct quic_crypt *qc, struct quic_state *qs, const uint8_t *payload, size_t n,
			      struct hello *ret_hello)
{
	struct quic_view view;
	if (at_limit(qs))
		return last_verdict(qs);
	if (!qs->n_datagrams++ && !quic_look(payload, n, &view))
		return QUIC_NONE;
	if (take_datagram(qc, qs, payload, n)) {
		qs->n_initials++;
		enum quic_verdict v = read_hello(qs, ret_hello);
		if (v != QUIC_MORE)
			return v;
	}
	return at_limit(qs) ? last_verdict(qs) : QUIC_MORE;
}

void quic_server(struct quic_state *qs, const uint8_t *payload, size_t n)
{
	struct bytes datagram = bytes_of(payload, n);
	struct quic_packet packet;
	if (!quic_packet_next(&datagram, &packet))
		return;
	if (packet.type == QUIC_PACKET_INITIAL || packet.type == QUIC_PACKET_HANDSHAKE)
		qs->server = packet.scid;
	else if (packet.type ==
		 QUIC_PACKET_RETRY) /* the client takes the id from Retry, and keys with it: RFC 9001 5.2 */
		qs->server.n = 0;
}
