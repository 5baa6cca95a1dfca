/* quic_google: Google's QUIC before it became IETF's, as far as its client hello is in clear: versions Q024
 * to Q046. Layouts as in draft-hamilton-quic-transport-protocol and Google's "QUIC Crypto"; integers
 * little-endian up to Q038, big-endian since Q039. */
#ifndef LEAKTAP_DISSECT_QUIC_GOOGLE_H
#define LEAKTAP_DISSECT_QUIC_GOOGLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/assemble.h"
#include "dissect/quic.h"

/* A header of these versions that names its version: what clients send until the server answers. */
bool quic_google_look(const uint8_t *payload, size_t n, struct quic_view *ret_view);
/* Adds what the packet carries of stream 1, the handshake. false: not such a packet. */
bool quic_google_stream(const uint8_t *payload, size_t n, struct assemble *stream,
			struct assemble_budget *budget);
/* A CHLO message from its tag on: MORE until the server name is there, NONE when it is not well-formed. FOUND
 * fills sni and flags only. */
enum quic_verdict quic_google_hello(const uint8_t *chlo, size_t n, struct hello *ret_hello);

#endif
