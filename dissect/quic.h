/* quic: names and connection ids out of QUIC packets. RFC 8999, 9000, 9001 (v1), 9369 (v2) and its draft
 * 0x709a50c4, drafts 22-34, Google Q043-Q050/T05x where met. Pure but for the memory of its state; the
 * cryptography is in quic_crypt.c, which goes through the libcrypto door crypt.c. */
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
	uint32_t version; /* 0: version negotiation; of the first long header */
	bool long_header; /* the datagram starts with a long header, or a Google header with a version */
	bool initial;     /* and a whole Initial packet is in it (Google: a client hello may be) */
	bool retry;
	struct quic_cid dcid, scid; /* of the first long header; short header: dcid unknown, length 0 */
};

/* false: not QUIC (fixed bit, version or lengths wrong). A short header has nothing to be told by but its
 * fixed bit and length. */
bool quic_look(const uint8_t *payload, size_t n, struct quic_view *ret_view);

enum quic_verdict {
	QUIC_MORE,
	QUIC_FOUND,
	QUIC_NONE,          /* no name will come: not QUIC, a broken hello, or the limits are reached */
	QUIC_UNDECRYPTABLE, /* the limits are reached and no Initial could be opened */
};

struct quic_state; /* per flow while inspecting; a few KB, grows to QUIC_MAX_CRYPTO_BYTES */
struct quic_crypt; /* per worker: reused cipher contexts */

struct quic_crypt *quic_crypt_new(void); /* NULL when libcrypto refuses */
void quic_crypt_free(struct quic_crypt *qc);

struct quic_state *quic_state_new(void);
void quic_state_free(struct quic_state *qs);
size_t quic_state_bytes(const struct quic_state *qs); /* memory it holds, for the budget */

/* One client datagram, coalesced packets included. Initials are opened with keys of the first destination
 * connection id (also when a later one uses the id that the server chose), and, when these do not fit, with
 * keys of their own: after Retry, or a new connection on the same ports, which starts the hello anew. A
 * version reserved for forcing negotiation is tried with the salts it may have been meant for. FOUND fills
 * ret_hello; its sni_raw is borrowed from qs. Google's own hello gives sni only. At most QUIC_MAX_INITIALS
 * datagrams with an Initial are opened, among at most 64 datagrams. */
enum quic_verdict quic_client(struct quic_crypt *qc, struct quic_state *qs, const uint8_t *payload, size_t n,
			      struct hello *ret_hello);
/* No more will come: true when what is there of an unfinished hello holds its host name (hello_parse_part). */
bool quic_last(const struct quic_state *qs, struct hello *ret_hello);
/* A server datagram: learns Retry and the server's connection id. */
void quic_server(struct quic_state *qs, const uint8_t *payload, size_t n);

#endif
