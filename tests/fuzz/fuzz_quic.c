/* First byte 0: datagrams as they are, each behind a two-byte length whose top bit says that the server sent
 * it. First byte 1: frames of one Initial, given to the CRYPTO reader directly, since no fuzzer finds a valid
 * tag. First byte 2: a Google handshake message. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/bytes.h"
#include "dissect/quic.h"
#include "dissect/quic_frames.h"
#include "dissect/quic_google.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void datagrams(struct bytes b)
{
	static struct quic_crypt *qc;
	if (!qc)
		qc = quic_crypt_new();
	struct quic_state *flow = quic_state_new();
	if (!qc || !flow)
		abort();
	while (bytes_left(&b) > 2) {
		struct hello hello;
		struct quic_view view;
		uint16_t head = bytes_u16(&b);
		size_t n = head & 0x7fff;
		struct slice datagram = bytes_slice(&b, n < bytes_left(&b) ? n : bytes_left(&b));
		quic_look(datagram.p, datagram.n, &view);
		if (head & 0x8000)
			quic_server(flow, datagram.p, datagram.n);
		else if (quic_client(qc, flow, datagram.p, datagram.n, &hello) == QUIC_FOUND &&
			 strlen(hello.sni) > 253)
			abort();
		if (quic_state_bytes(flow) > QUIC_MAX_CRYPTO_BYTES + 8192)
			abort();
	}
	quic_state_free(flow);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	struct slice rest = {data + 1, size - 1};
	struct hello hello;
	if (data[0] == 0)
		datagrams(bytes_of(rest.p, rest.n));
	if (data[0] == 1) {
		struct assemble stream;
		struct assemble_budget budget = {.max_bytes = 1 << 20};
		assemble_init(&stream);
		quic_frames_crypto(rest, false, &stream, &budget);
		quic_frames_crypto(rest, true, &stream, &budget);
		assemble_done(&stream, &budget);
		if (budget.used_bytes)
			abort();
	}
	if (data[0] == 2)
		quic_google_hello(rest.p, rest.n, &hello);
	return 0;
}
