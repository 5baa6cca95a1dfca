/* crypt: the door to libcrypto: SHA-256, HMAC-SHA256 and AES-128, in the shapes that QUIC Initials (RFC 9001
 * 5) and JA4 need. */
#ifndef LEAKTAP_DISSECT_CRYPT_H
#define LEAKTAP_DISSECT_CRYPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	CRYPT_SHA256_BYTES = 32,
	CRYPT_SHA256_BLOCK_BYTES = 64,
	CRYPT_AES_BYTES = 16,
	CRYPT_NONCE_BYTES = 12,
	CRYPT_TAG_BYTES = 16
};

/* Any thread. */
void crypt_sha256(const void *p, size_t n, uint8_t ret_digest[CRYPT_SHA256_BYTES]);

/* A key made ready for many HMAC-SHA256: the digest states after the inner and the outer key block (RFC 2104
 * 4). Plain values. */
struct crypt_hmac {
	uint32_t inner[8], outer[8];
};
/* n_key <= CRYPT_SHA256_BLOCK_BYTES */
void crypt_hmac_key(struct crypt_hmac *ret_hmac, const uint8_t *key, size_t n_key);
void crypt_hmac(const struct crypt_hmac *hmac, const void *p, size_t n, uint8_t ret_mac[CRYPT_SHA256_BYTES]);

/* Cipher contexts fetched once and keyed anew for every use. One thread. */
struct crypt_aes;
struct crypt_aes *crypt_aes_new(void); /* NULL: no memory, or libcrypto lacks the ciphers */
void crypt_aes_free(struct crypt_aes *aes);
/* One block, AES-128-ECB. */
bool crypt_aes_block(struct crypt_aes *aes, const uint8_t key[CRYPT_AES_BYTES],
		     const uint8_t in[CRYPT_AES_BYTES], uint8_t ret_out[CRYPT_AES_BYTES]);

struct crypt_sealed {
	const uint8_t *aad;
	size_t n_aad;
	const uint8_t *text; /* ciphertext, the tag at its end */
	size_t n_text;
};
/* AES-128-GCM. false: too short or the tag is wrong; ret_plain (n_text - CRYPT_TAG_BYTES bytes) is then
 * undefined. */
bool crypt_aes_open(struct crypt_aes *aes, const uint8_t key[CRYPT_AES_BYTES],
		    const uint8_t nonce[CRYPT_NONCE_BYTES], const struct crypt_sealed *sealed,
		    uint8_t *ret_plain);

#endif
