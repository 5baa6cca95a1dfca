/* quic: names and connection ids out of QUIC packets. RFC 8999, 9000, 9001 (v1), 9369 (v2), drafts 22-34, Google Q043-Q050/T05x where
 * met. libcrypto does the cryptography (dissect/quic_crypt.c is its door). */
#ifndef LEAKTAP_DISSECT_QUIC_H
#define LEAKTAP_DISSECT_QUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/hello.h"

enum { QUIC_MAX_CID = 20, QUIC_MAX_CRYPTO_BYTES = 32768, QUIC_MAX_INITIALS = 8 };

struct quic_cid {
	uint8_t n;
	uint8_t id[QUIC_MAX_CID];
};

/* One datagram's long headers, without cryptography. */
struct quic_view {
	uint32_t version;  /* 0: version negotiation; of the first long header */
	bool long_header;  /* the datagram starts with a long header */
	bool initial;      /* and an Initial packet is in it */
	bool retry;
	struct quic_cid dcid, scid; /* of the first long header; short header: dcid unknown, length 0 */
};

/* false: not QUIC (fixed bit, version or lengths wrong). */
bool quic_look(const uint8_t *payload, size_t n, struct quic_view *ret_view);

enum quic_verdict { QUIC_MORE, QUIC_FOUND, QUIC_NONE, QUIC_UNDECRYPTABLE };

struct quic_state; /* per flow while inspecting; a few KB, grows to QUIC_MAX_CRYPTO_BYTES */
struct quic_crypt; /* per worker: reused cipher contexts */

struct quic_crypt *quic_crypt_new(void); /* NULL when libcrypto refuses */
void quic_crypt_free(struct quic_crypt *qc);

struct quic_state *quic_state_new(void);
void quic_state_free(struct quic_state *qs);
size_t quic_state_bytes(const struct quic_state *qs); /* memory it holds, for the budget */

/* One client datagram, coalesced packets included; Initials are decrypted with keys of the first destination connection id, after
 * Retry or a change with those of the new one. FOUND fills ret_hello. At most QUIC_MAX_INITIALS datagrams are looked at. */
enum quic_verdict quic_client(struct quic_crypt *qc, struct quic_state *qs, const uint8_t *payload, size_t n, struct hello *ret_hello);
/* A server datagram: learns Retry and the server's connection id. */
void quic_server(struct quic_state *qs, const uint8_t *payload, size_t n);

#endif
