/* quic_crypt: Initial keys and packet protection. RFC 9001 5, RFC 9369 3.3. */
#ifndef LEAKTAP_DISSECT_QUIC_CRYPT_H
#define LEAKTAP_DISSECT_QUIC_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/crypt.h"
#include "dissect/quic_packet.h"

/* Versions that share a salt and labels. */
enum quic_salt {
	QUIC_SALT_V1, /* also drafts 33 and 34 */
	QUIC_SALT_V2,
	QUIC_SALT_V2_DRAFT,
	QUIC_SALT_DRAFT_29,
	QUIC_SALT_DRAFT_23,
	QUIC_SALT_DRAFT_22,
	QUIC_SALT_Q050,
	QUIC_SALT_T050,
	QUIC_SALT_T051,
	QUIC_SALT_COUNT,
};

enum { QUIC_MAX_SALTS = 3 };
/* The salts a version may have been protected with, likeliest first; returns their number, 0 for an unknown
 * version. */
size_t quic_crypt_salts(uint32_t version, uint8_t ret_salts[QUIC_MAX_SALTS]);

struct quic_keys {
	uint8_t key[CRYPT_AES_BYTES], iv[CRYPT_NONCE_BYTES], hp[CRYPT_AES_BYTES];
};

/* A client's Initial keys. */
void quic_crypt_keys(const struct quic_crypt *qc, enum quic_salt salt, const struct quic_cid *dcid,
		     struct quic_keys *ret_keys);

/* Opens an Initial. largest: the largest packet number opened so far, or UINT64_MAX. false: too short, or the
 * tag is wrong. ret_plain is borrowed from qc until the next call. */
bool quic_crypt_open(struct quic_crypt *qc, const struct quic_keys *keys, const struct quic_packet *packet,
		     uint64_t largest, uint64_t *ret_number, struct slice *ret_plain);

#endif
