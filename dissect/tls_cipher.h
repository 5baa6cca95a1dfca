/* tls_cipher: what a cipher suite adds to each record. Room-internal. RFC 5246 6.2.3, 5288, 6655, 7905,
 * 8446 5.2. */
#ifndef LEAKTAP_DISSECT_TLS_CIPHER_H
#define LEAKTAP_DISSECT_TLS_CIPHER_H

#include <stdbool.h>
#include <stdint.h>

/* Fits four bits. INFERRED_*: the ServerHello was not seen, the version follows from the records' order. */
enum tls_cipher_kind {
	TLS_CIPHER_UNKNOWN,
	TLS_CIPHER_INFERRED_13,
	TLS_CIPHER_INFERRED_12,
	TLS_CIPHER_13,
	TLS_CIPHER_13_CCM_8,
	TLS_CIPHER_GCM, /* and CCM: 8 bytes nonce, 16 bytes tag */
	TLS_CIPHER_CHACHA,
	TLS_CIPHER_CCM_8,
	TLS_CIPHER_CBC_SHA1,
	TLS_CIPHER_CBC_SHA256,
	TLS_CIPHER_CBC_SHA384,
	TLS_CIPHER_3DES_SHA1,
	TLS_CIPHER_STREAM_SHA1, /* RC4 and NULL */
	TLS_CIPHER_STREAM_MD5,
	TLS_CIPHER_STREAM_SHA256,
	TLS_CIPHER_KIND_COUNT,
};

enum tls_cipher_kind tls_cipher_kind_of(uint16_t cipher);
bool tls_cipher_is_13(enum tls_cipher_kind kind);
/* Bytes that the record body has on top of the data. explicit_iv: TLS 1.1 and later. */
uint32_t tls_cipher_overhead(enum tls_cipher_kind kind, bool explicit_iv);
/* CBC padding varies: the overhead is an average. */
bool tls_cipher_is_average(enum tls_cipher_kind kind);

#endif
