#include "dissect/quic_crypt.h"

#include <stdlib.h>
#include <string.h>

enum { SALT_BYTES = 20, SAMPLE_OFFSET = 4, MAX_DATAGRAM_BYTES = 65536, MAX_LABEL_BYTES = 18 };

static const uint8_t salts[QUIC_SALT_COUNT][SALT_BYTES] = {
    [QUIC_SALT_V1] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		      0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a},
    [QUIC_SALT_V2] = {0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93,
		      0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd, 0x2e, 0xd9},
    [QUIC_SALT_V2_DRAFT] = {0xa7, 0x07, 0xc2, 0x03, 0xa5, 0x9b, 0x47, 0x18, 0x4a, 0x1d,
			    0x62, 0xca, 0x57, 0x04, 0x06, 0xea, 0x7a, 0xe3, 0xe5, 0xd3},
    [QUIC_SALT_DRAFT_29] = {0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97,
			    0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90, 0xa8, 0x99},
    [QUIC_SALT_DRAFT_23] = {0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7,
			    0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9, 0xf5, 0x02},
    [QUIC_SALT_DRAFT_22] = {0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a,
			    0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd, 0x7a, 0x02, 0x64, 0x4a},
    [QUIC_SALT_Q050] = {0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94,
			0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0, 0xd3, 0xb5, 0x6b, 0x45},
    [QUIC_SALT_T050] = {0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80,
			0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c, 0x60, 0x48, 0x83, 0x10},
    [QUIC_SALT_T051] = {0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50,
			0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc, 0xda, 0x6e, 0x03, 0x3d},
};

struct quic_crypt {
	struct crypt_aes *aes;
	struct crypt_hmac extract[QUIC_SALT_COUNT]; /* HKDF-Extract, keyed by the salt */
	uint8_t buffer[MAX_DATAGRAM_BYTES]; /* header as it was before protection, then the plaintext */
};

struct quic_crypt *quic_crypt_new(void)
{
	struct quic_crypt *qc = malloc(sizeof *qc);
	if (!qc)
		return NULL;
	qc->aes = crypt_aes_new();
	if (!qc->aes) {
		free(qc);
		return NULL;
	}
	for (int i = 0; i < QUIC_SALT_COUNT; i++)
		crypt_hmac_key(&qc->extract[i], salts[i], SALT_BYTES);
	return qc;
}

void quic_crypt_free(struct quic_crypt *qc)
{
	if (!qc)
		return;
	crypt_aes_free(qc->aes);
	free(qc);
}

static uint8_t draft_salt(uint32_t version)
{
	if (version <= 0xff000016)
		return QUIC_SALT_DRAFT_22;
	if (version <= 0xff00001c)
		return QUIC_SALT_DRAFT_23;
	return version <= 0xff000020 ? QUIC_SALT_DRAFT_29 : QUIC_SALT_V1;
}

size_t quic_crypt_salts(uint32_t version, uint8_t ret_salts[QUIC_MAX_SALTS])
{
	switch (version) {
	case QUIC_V1:
		ret_salts[0] = QUIC_SALT_V1;
		return 1;
	case QUIC_V2:
		ret_salts[0] = QUIC_SALT_V2;
		return 1;
	case QUIC_V2_DRAFT:
		ret_salts[0] = QUIC_SALT_V2_DRAFT;
		return 1;
	case QUIC_Q050:
		ret_salts[0] = QUIC_SALT_Q050;
		return 1;
	case QUIC_T050:
		ret_salts[0] = QUIC_SALT_T050;
		return 1;
	case QUIC_T051:
		ret_salts[0] = QUIC_SALT_T051;
		return 1;
	case QUIC_MVFST + 1: /* by draft 22 */
		ret_salts[0] = QUIC_SALT_DRAFT_22;
		return 1;
	}
	if (version >= QUIC_DRAFT_FIRST && version <= QUIC_DRAFT_LAST) {
		ret_salts[0] = draft_salt(version);
		return 1;
	}
	if ((version & 0xfffff000) == QUIC_MVFST) { /* experiments and aliases, by drafts 27 on */
		memcpy(ret_salts, (uint8_t[]){QUIC_SALT_DRAFT_23, QUIC_SALT_V1, QUIC_SALT_DRAFT_29}, 3);
		return 3;
	}
	if (quic_version_is_reserved(version)) {
		memcpy(ret_salts, (uint8_t[]){QUIC_SALT_V1, QUIC_SALT_DRAFT_29, QUIC_SALT_V2}, 3);
		return 3;
	}
	return 0;
}

/* HKDF-Expand-Label (RFC 8446 7.1) with no context, for at most one digest. */
static void expand(const struct crypt_hmac *secret, const char *label, size_t n_out, uint8_t *ret_out)
{
	uint8_t info[2 + 1 + MAX_LABEL_BYTES + 1 + 1] = {0, (uint8_t)n_out}, mac[CRYPT_SHA256_BYTES];
	size_t n_label = strlen(label);
	info[2] = (uint8_t)n_label;
	memcpy(info + 3, label, n_label);
	info[3 + n_label] = 0;
	info[4 + n_label] = 1;
	crypt_hmac(secret, info, 5 + n_label, mac);
	memcpy(ret_out, mac, n_out);
}

void quic_crypt_keys(const struct quic_crypt *qc, enum quic_salt salt, const struct quic_cid *dcid,
		     struct quic_keys *ret_keys)
{
	uint8_t secret[CRYPT_SHA256_BYTES];
	struct crypt_hmac hmac;
	bool v2 = salt == QUIC_SALT_V2 || salt == QUIC_SALT_V2_DRAFT;
	crypt_hmac(&qc->extract[salt], dcid->id, dcid->n, secret);
	crypt_hmac_key(&hmac, secret, sizeof secret);
	expand(&hmac, "tls13 client in", sizeof secret, secret);
	crypt_hmac_key(&hmac, secret, sizeof secret);
	expand(&hmac, v2 ? "tls13 quicv2 key" : "tls13 quic key", sizeof ret_keys->key, ret_keys->key);
	expand(&hmac, v2 ? "tls13 quicv2 iv" : "tls13 quic iv", sizeof ret_keys->iv, ret_keys->iv);
	expand(&hmac, v2 ? "tls13 quicv2 hp" : "tls13 quic hp", sizeof ret_keys->hp, ret_keys->hp);
}

/* RFC 9000 A.3 */
static uint64_t full_number(uint64_t largest, uint32_t truncated, unsigned n_bytes)
{
	uint64_t expected = largest + 1, window = 1ull << (8 * n_bytes), half = window / 2;
	uint64_t candidate = (expected & ~(window - 1)) | truncated;
	if (candidate + half <= expected)
		return candidate + window;
	if (candidate > expected + half && candidate >= window)
		return candidate - window;
	return candidate;
}

bool quic_crypt_open(struct quic_crypt *qc, const struct quic_keys *keys, const struct quic_packet *packet,
		     uint64_t largest, uint64_t *ret_number, struct slice *ret_plain)
{
	size_t offset = packet->number_offset;
	uint8_t mask[CRYPT_AES_BYTES];
	if (packet->n > sizeof qc->buffer || packet->n < offset + SAMPLE_OFFSET + CRYPT_AES_BYTES ||
	    !crypt_aes_block(qc->aes, keys->hp, packet->start + offset + SAMPLE_OFFSET, mask))
		return false;
	uint8_t *header = qc->buffer;
	memcpy(header, packet->start, offset + 4);
	header[0] ^= mask[0] & 0x0f;
	unsigned n_number = (header[0] & 3u) + 1;
	uint32_t truncated = 0;
	for (unsigned i = 0; i < n_number; i++) {
		header[offset + i] ^= mask[1 + i];
		truncated = truncated << 8 | header[offset + i];
	}
	uint64_t number = full_number(largest, truncated, n_number);
	uint8_t nonce[CRYPT_NONCE_BYTES];
	memcpy(nonce, keys->iv, sizeof nonce);
	for (unsigned i = 0; i < 8; i++)
		nonce[sizeof nonce - 1 - i] ^= (uint8_t)(number >> (8 * i));
	size_t n_header = offset + n_number;
	struct crypt_sealed sealed = {header, n_header, packet->start + n_header, packet->n - n_header};
	if (!crypt_aes_open(qc->aes, keys->key, nonce, &sealed, header + n_header))
		return false;
	*ret_number = number;
	*ret_plain = (struct slice){header + n_header, sealed.n_text - CRYPT_TAG_BYTES};
	return true;
}
