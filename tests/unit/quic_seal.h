/* quic_seal: protects Initial packets for tests, by libcrypto's own HKDF and AEAD: nothing of the reader
 * under test is used. */
#ifndef LEAKTAP_TESTS_UNIT_QUIC_SEAL_H
#define LEAKTAP_TESTS_UNIT_QUIC_SEAL_H

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct seal {
	uint32_t version;
	const uint8_t *salt;
	const char *label; /* "quic" or "quicv2" */
	const char *side;  /* "client in" or "server in" */
	uint8_t key_cid[20], dcid[20], scid[20];
	size_t n_key_cid, n_dcid, n_scid, n_token;
	uint64_t number;
	unsigned n_number; /* bytes of it that are sent */
};

static inline void seal_must(int ok)
{
	if (ok != 1) {
		fputs("quic_seal: libcrypto failed\n", stderr);
		exit(99);
	}
}

static inline void seal_hkdf(int mode, const void *key, size_t n_key, const void *salt, size_t n_salt,
			     const void *info, size_t n_info, uint8_t *out, size_t n_out)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[6], *p = params;
	char digest[] = "SHA256";
	*p++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)key, n_key);
	if (salt)
		*p++ =
		    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)(uintptr_t)salt, n_salt);
	if (info)
		*p++ =
		    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)info, n_info);
	*p = OSSL_PARAM_construct_end();
	seal_must(EVP_KDF_derive(ctx, out, n_out, params));
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static inline void seal_expand(const uint8_t secret[32], const char *prefix, const char *label, uint8_t *out,
			       size_t n_out)
{
	uint8_t info[64] = {0, (uint8_t)n_out};
	int n = snprintf((char *)info + 3, 40, "tls13 %s%s%s", prefix, *prefix ? " " : "", label);
	info[2] = (uint8_t)n;
	info[3 + n] = 0;
	seal_hkdf(EVP_KDF_HKDF_MODE_EXPAND_ONLY, secret, 32, NULL, 0, info, (size_t)n + 4, out, n_out);
}

static inline size_t seal_header(const struct seal *s, unsigned type_bits, size_t n_payload, uint8_t *out)
{
	size_t n = 0;
	out[n++] = (uint8_t)(0xc0 | type_bits << 4 | (s->n_number - 1));
	for (int i = 3; i >= 0; i--)
		out[n++] = (uint8_t)(s->version >> (8 * i));
	out[n++] = (uint8_t)s->n_dcid;
	memcpy(out + n, s->dcid, s->n_dcid);
	n += s->n_dcid;
	out[n++] = (uint8_t)s->n_scid;
	memcpy(out + n, s->scid, s->n_scid);
	n += s->n_scid;
	out[n++] = (uint8_t)(0x40 | s->n_token >> 8);
	out[n++] = (uint8_t)s->n_token;
	memset(out + n, 't', s->n_token);
	n += s->n_token;
	size_t length = s->n_number + n_payload + 16;
	out[n++] = (uint8_t)(0x80 | length >> 24);
	out[n++] = (uint8_t)(length >> 16);
	out[n++] = (uint8_t)(length >> 8);
	out[n++] = (uint8_t)length;
	for (unsigned i = s->n_number; i-- > 0;)
		out[n++] = (uint8_t)(s->number >> (8 * i));
	return n;
}

/* Returns the packet's length; out has room for n_payload + 600. */
static inline size_t seal_initial(const struct seal *s, const uint8_t *payload, size_t n_payload,
				  uint8_t *out)
{
	uint8_t initial[32], secret[32], key[16], iv[12], hp[16], mask[32];
	seal_hkdf(EVP_KDF_HKDF_MODE_EXTRACT_ONLY, s->key_cid, s->n_key_cid, s->salt, 20, NULL, 0, initial,
		  32);
	seal_expand(initial, "", s->side, secret, 32);
	seal_expand(secret, s->label, "key", key, 16);
	seal_expand(secret, s->label, "iv", iv, 12);
	seal_expand(secret, s->label, "hp", hp, 16);
	size_t n_header = seal_header(s, s->label[4] == 'v' ? 1 : 0, n_payload, out);
	for (int i = 0; i < 8; i++)
		iv[11 - i] ^= (uint8_t)(s->number >> (8 * i));
	int n = 0;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	seal_must(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, iv));
	seal_must(EVP_EncryptUpdate(ctx, NULL, &n, out, (int)n_header));
	seal_must(EVP_EncryptUpdate(ctx, out + n_header, &n, payload, (int)n_payload));
	seal_must(EVP_EncryptFinal_ex(ctx, out + n_header + n_payload, &n));
	seal_must(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + n_header + n_payload));
	EVP_CIPHER_CTX_free(ctx);
	ctx = EVP_CIPHER_CTX_new();
	seal_must(EVP_EncryptInit_ex(ctx, EVP_aes_128_ecb(), NULL, hp, NULL));
	seal_must(EVP_EncryptUpdate(ctx, mask, &n, out + n_header - s->n_number + 4, 16));
	EVP_CIPHER_CTX_free(ctx);
	out[0] ^= mask[0] & 0x0f;
	for (unsigned i = 0; i < s->n_number; i++)
		out[n_header - s->n_number + i] ^= mask[1 + i];
	return n_header + n_payload + 16;
}

#endif
