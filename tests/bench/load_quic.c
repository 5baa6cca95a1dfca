#include "tests/bench/load.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

enum {
	PACKET_BYTES = 1200,
	DCID_BYTES = 8,
	NUMBER_BYTES = 4,
	TAG_BYTES = 16,
	HEADER_BYTES = 1 + 4 + 1 + DCID_BYTES + 1 + 1 + 2
};

struct keys {
	uint8_t key[16], iv[12], hp[16];
};

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "genload: libcrypto failed\n");
		exit(1);
	}
}

static void hmac(const uint8_t *key, size_t key_bytes, const uint8_t *p, size_t n, uint8_t ret_mac[32])
{
	unsigned mac_bytes = 32;
	must(HMAC(EVP_sha256(), key, (int)key_bytes, p, n, ret_mac, &mac_bytes) != NULL);
}

/* HKDF-Expand-Label (RFC 8446, 7.1) of at most one block. */
static void expand(const uint8_t secret[32], const char *label, uint8_t *ret_bytes, size_t n)
{
	uint8_t info[32], mac[32];
	int used = snprintf((char *)info, sizeof info, "%c%c%ctls13 %s%c%c", 0, (int)n,
			    (int)strlen(label) + 6, label, 0, 1);
	hmac(secret, 32, info, (size_t)used, mac);
	memcpy(ret_bytes, mac, n);
}

/* RFC 9001, 5.2 */
static void client_keys(const uint8_t dcid[DCID_BYTES], struct keys *ret_keys)
{
	static const uint8_t salt[20] = {0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
					 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a};
	uint8_t initial[32], secret[32];
	hmac(salt, sizeof salt, dcid, DCID_BYTES, initial);
	expand(initial, "client in", secret, 32);
	expand(secret, "quic key", ret_keys->key, 16);
	expand(secret, "quic iv", ret_keys->iv, 12);
	expand(secret, "quic hp", ret_keys->hp, 16);
}

/* bytes holds plain text and has room for the tag. */
static void seal(const struct keys *k, uint32_t number, const uint8_t *header, size_t header_bytes,
		 uint8_t *bytes, size_t n)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	uint8_t nonce[12];
	int done;
	memcpy(nonce, k->iv, 12);
	for (size_t i = 0; i < 4; i++)
		nonce[8 + i] ^= (uint8_t)(number >> 8 * (3 - i));
	must(c && EVP_EncryptInit_ex(c, EVP_aes_128_gcm(), NULL, k->key, nonce) &&
	     EVP_EncryptUpdate(c, NULL, &done, header, (int)header_bytes) &&
	     EVP_EncryptUpdate(c, bytes, &done, bytes, (int)n) && EVP_EncryptFinal_ex(c, bytes + n, &done) &&
	     EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, bytes + n));
	EVP_CIPHER_CTX_free(c);
}

static void header_mask(const struct keys *k, const uint8_t *sample, uint8_t ret_mask[16])
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int done;
	must(c && EVP_EncryptInit_ex(c, EVP_aes_128_ecb(), NULL, k->hp, NULL) &&
	     EVP_CIPHER_CTX_set_padding(c, 0) && EVP_EncryptUpdate(c, ret_mask, &done, sample, 16));
	EVP_CIPHER_CTX_free(c);
}

/* One Initial with message bytes [at, at + n) in a CRYPTO frame, padded to PACKET_BYTES. */
static void initial(struct lead *l, const struct keys *k, const uint8_t *dcid, uint32_t number,
		    const uint8_t *message, size_t at, size_t n)
{
	size_t start = l->n, protect = start + HEADER_BYTES;
	lead_uint(l, 0xc0 | (NUMBER_BYTES - 1), 1);
	lead_uint(l, 1, 4);
	lead_uint(l, DCID_BYTES, 1);
	lead_bytes(l, dcid, DCID_BYTES);
	lead_uint(l, 0, 2); /* no source id, no token */
	lead_uint(l, 0x4000 | (PACKET_BYTES - HEADER_BYTES), 2);
	lead_uint(l, number, NUMBER_BYTES);
	size_t body = l->n;
	lead_uint(l, 6, 1);
	lead_uint(l, 0x4000 | at, 2);
	lead_uint(l, 0x4000 | n, 2);
	lead_bytes(l, message + at, n);
	while (l->n < start + PACKET_BYTES - TAG_BYTES)
		lead_uint(l, 0, 1);
	size_t plain = l->n - body;
	lead_uint(l, 0, 8);
	lead_uint(l, 0, 8);
	seal(k, number, l->p + start, body - start, l->p + body, plain);
	uint8_t mask[16];
	header_mask(k, l->p + protect + 4, mask);
	l->p[start] ^= mask[0] & 0x0f;
	for (size_t i = 0; i < NUMBER_BYTES; i++)
		l->p[protect + i] ^= mask[1 + i];
}

size_t quic_initials(struct lead *l, struct rng *r, const uint8_t *message, size_t n)
{
	enum { ROOM = PACKET_BYTES - HEADER_BYTES - NUMBER_BYTES - TAG_BYTES - 5 };
	struct keys k;
	uint32_t number = 0;
	uint64_t dcid = rng_next(r);
	client_keys((const uint8_t *)&dcid, &k);
	for (size_t at = 0; at < n; number++) {
		size_t part = n - at < ROOM ? n - at : ROOM;
		initial(l, &k, (const uint8_t *)&dcid, number, message, at, part);
		at += part;
	}
	return number;
}
