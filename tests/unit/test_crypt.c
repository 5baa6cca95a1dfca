#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/crypt.h"

static void hex(const uint8_t *p, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = "0123456789abcdef"[p[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[p[i] & 15];
	}
	out[2 * n] = 0;
}

/* FIPS 180-2 B.1 and B.2. */
static void sha256__published_messages__published_digests(void **state)
{
	(void)state;
	uint8_t digest[CRYPT_SHA256_BYTES];
	char text[65];
	crypt_sha256("abc", 3, digest);
	hex(digest, sizeof digest, text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	crypt_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, digest);
	hex(digest, sizeof digest, text);
	assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

/* RFC 4231 4.2 and 4.3. */
static void hmac__published_messages__published_codes(void **state)
{
	(void)state;
	struct crypt_hmac hmac;
	uint8_t key[20], mac[CRYPT_SHA256_BYTES];
	char text[65];
	memset(key, 0x0b, sizeof key);
	crypt_hmac_key(&hmac, key, sizeof key);
	for (int again = 0; again < 2; again++) { /* a key serves many messages */
		crypt_hmac(&hmac, "Hi There", 8, mac);
		hex(mac, sizeof mac, text);
		assert_string_equal(text, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	}
	crypt_hmac_key(&hmac, (const uint8_t *)"Jefe", 4);
	crypt_hmac(&hmac, "what do ya want for nothing?", 28, mac);
	hex(mac, sizeof mac, text);
	assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* FIPS 197 C.1, and test case 2 of the GCM specification: one zero block under a zero key and nonce. */
static void aes__published_vectors__opened(void **state)
{
	(void)state;
	struct crypt_aes *aes = crypt_aes_new();
	assert_non_null(aes);
	uint8_t key[16], in[16], out[16];
	char text[33];
	for (unsigned i = 0; i < 16; i++) {
		key[i] = (uint8_t)i;
		in[i] = (uint8_t)(i * 0x11);
	}
	assert_true(crypt_aes_block(aes, key, in, out));
	hex(out, 16, text);
	assert_string_equal(text, "69c4e0d86a7b0430d8cdb78070b4c55a");
	static const uint8_t zero[16];
	uint8_t sealed_text[32] = {0x03, 0x88, 0xda, 0xce, 0x60, 0xb6, 0xa3, 0x92, 0xf3, 0x28, 0xc2,
				   0xb9, 0x71, 0xb2, 0xfe, 0x78, 0xab, 0x6e, 0x47, 0xd4, 0x2c, 0xec,
				   0x13, 0xbd, 0xf5, 0x3a, 0x67, 0xb2, 0x12, 0x57, 0xbd, 0xdf};
	struct crypt_sealed sealed = {zero, 0, sealed_text, sizeof sealed_text};
	assert_true(crypt_aes_open(aes, zero, zero, &sealed, out));
	assert_memory_equal(out, zero, 16);
	sealed_text[31] ^= 1;
	assert_false(crypt_aes_open(aes, zero, zero, &sealed, out));
	sealed_text[31] ^= 1;
	sealed.n_text = 15;
	assert_false(crypt_aes_open(aes, zero, zero, &sealed, out));
	sealed.n_text = 32;
	assert_true(crypt_aes_open(aes, zero, zero, &sealed, out)); /* a failure leaves nothing behind */
	crypt_aes_free(aes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(sha256__published_messages__published_digests),
	    cmocka_unit_test(hmac__published_messages__published_codes),
	    cmocka_unit_test(aes__published_vectors__opened),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
