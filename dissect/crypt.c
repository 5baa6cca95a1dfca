/* The low-level SHA256_ calls are used on purpose: in OpenSSL 3 an EVP digest costs an allocation and a
 * provider look-up per message, several times the price of hashing the 100 bytes that JA4 or HKDF hash, and
 * cannot resume from a saved state. They are marked deprecated since 3.0; this file, the only one that sees
 * them, states the API level that has them. */
#define OPENSSL_API_COMPAT 0x10100000L

#include "dissect/crypt.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

void crypt_sha256(const void *p, size_t n, uint8_t ret_digest[CRYPT_SHA256_BYTES])
{
	SHA256_CTX ctx;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, p, n);
	SHA256_Final(ret_digest, &ctx);
}

static void state_after_block(const uint8_t block[CRYPT_SHA256_BLOCK_BYTES], uint32_t ret_state[8])
{
	SHA256_CTX ctx;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, block, CRYPT_SHA256_BLOCK_BYTES);
	for (int i = 0; i < 8; i++)
		ret_state[i] = ctx.h[i];
}

void crypt_hmac_key(struct crypt_hmac *ret_hmac, const uint8_t *key, size_t n_key)
{
	uint8_t block[CRYPT_SHA256_BLOCK_BYTES] = {0};
	memcpy(block, key, n_key);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36;
	state_after_block(block, ret_hmac->inner);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] ^= 0x36 ^ 0x5c;
	state_after_block(block, ret_hmac->outer);
}

static void digest_from(const uint32_t state[8], const void *p, size_t n, uint8_t *ret_digest)
{
	SHA256_CTX ctx;
	SHA256_Init(&ctx);
	for (int i = 0; i < 8; i++)
		ctx.h[i] = state[i];
	ctx.Nl = CRYPT_SHA256_BLOCK_BYTES * CHAR_BIT;
	SHA256_Update(&ctx, p, n);
	SHA256_Final(ret_digest, &ctx);
}

void crypt_hmac(const struct crypt_hmac *hmac, const void *p, size_t n, uint8_t ret_mac[CRYPT_SHA256_BYTES])
{
	uint8_t inner[CRYPT_SHA256_BYTES];
	digest_from(hmac->inner, p, n, inner);
	digest_from(hmac->outer, inner, sizeof inner, ret_mac);
}

struct crypt_aes {
	EVP_CIPHER *ecb, *gcm;
	EVP_CIPHER_CTX *block, *seal;
};

struct crypt_aes *crypt_aes_new(void)
{
	struct crypt_aes *aes = calloc(1, sizeof *aes);
	if (!aes)
		return NULL;
	aes->ecb = EVP_CIPHER_fetch(NULL, "AES-128-ECB", NULL);
	aes->gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	aes->block = EVP_CIPHER_CTX_new();
	aes->seal = EVP_CIPHER_CTX_new();
	if (!aes->ecb || !aes->gcm || !aes->block || !aes->seal ||
	    EVP_EncryptInit_ex2(aes->block, aes->ecb, NULL, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(aes->seal, aes->gcm, NULL, NULL, NULL) != 1) {
		crypt_aes_free(aes);
		return NULL;
	}
	return aes;
}

void crypt_aes_free(struct crypt_aes *aes)
{
	if (!aes)
		return;
	EVP_CIPHER_CTX_free(aes->block);
	EVP_CIPHER_CTX_free(aes->seal);
	EVP_CIPHER_free(aes->ecb);
	EVP_CIPHER_free(aes->gcm);
	free(aes);
}

bool crypt_aes_block(struct crypt_aes *aes, const uint8_t key[CRYPT_AES_BYTES],
		     const uint8_t in[CRYPT_AES_BYTES], uint8_t ret_out[CRYPT_AES_BYTES])
{
	int n = 0;
	return EVP_EncryptInit_ex2(aes->block, NULL, key, NULL, NULL) == 1 &&
	       EVP_EncryptUpdate(aes->block, ret_out, &n, in, CRYPT_AES_BYTES) == 1 && n == CRYPT_AES_BYTES;
}

bool crypt_aes_open(struct crypt_aes *aes, const uint8_t key[CRYPT_AES_BYTES],
		    const uint8_t nonce[CRYPT_NONCE_BYTES], const struct crypt_sealed *sealed,
		    uint8_t *ret_plain)
{
	if (sealed->n_text < CRYPT_TAG_BYTES || sealed->n_text > INT_MAX || sealed->n_aad > INT_MAX)
		return false;
	int n = 0, n_plain = (int)(sealed->n_text - CRYPT_TAG_BYTES);
	uint8_t tag[CRYPT_TAG_BYTES];
	memcpy(tag, sealed->text + n_plain, sizeof tag);
	return EVP_DecryptInit_ex2(aes->seal, NULL, key, nonce, NULL) == 1 &&
	       EVP_DecryptUpdate(aes->seal, NULL, &n, sealed->aad, (int)sealed->n_aad) == 1 &&
	       EVP_DecryptUpdate(aes->seal, ret_plain, &n, sealed->text, n_plain) == 1 &&
	       EVP_CIPHER_CTX_ctrl(aes->seal, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag) == 1 &&
	       EVP_DecryptFinal_ex(aes->seal, ret_plain + n_plain, &n) == 1;
}
