#include "dissect/tls_cipher.h"

#include <assert.h>
#include <stddef.h>

struct range {
	uint16_t from, to;
	uint8_t kind;
};

/* Code points of the IANA registry by what they add; the first range that holds a suite decides, all the
 * others are CBC with SHA-1. */
static const struct range ranges[] = {
    {0x1305, 0x1305, TLS_CIPHER_13_CCM_8},
    {0x1301, 0x1307, TLS_CIPHER_13},
    {0x00c6, 0x00c7, TLS_CIPHER_13}, /* SM4, RFC 8998 */
    {0xcca8, 0xccae, TLS_CIPHER_CHACHA},
    {0xcc13, 0xcc15, TLS_CIPHER_CHACHA}, /* the draft's code points */
    {0x009c, 0x00ad, TLS_CIPHER_GCM},
    {0xc02b, 0xc032, TLS_CIPHER_GCM},
    {0xc050, 0xc063, TLS_CIPHER_GCM}, /* ARIA */
    {0xc06a, 0xc06f, TLS_CIPHER_GCM},
    {0xc07a, 0xc093, TLS_CIPHER_GCM}, /* Camellia */
    {0xc0a0, 0xc0a3, TLS_CIPHER_CCM_8},
    {0xc0a8, 0xc0ab, TLS_CIPHER_CCM_8},
    {0xc0ae, 0xc0af, TLS_CIPHER_CCM_8},
    {0xc09c, 0xc0ad, TLS_CIPHER_GCM}, /* CCM with the long tag */
    {0xd003, 0xd003, TLS_CIPHER_CCM_8},
    {0xd001, 0xd005, TLS_CIPHER_GCM},
    {0x003b, 0x003b, TLS_CIPHER_STREAM_SHA256},
    {0x003c, 0x0040, TLS_CIPHER_CBC_SHA256},
    {0x0067, 0x006d, TLS_CIPHER_CBC_SHA256},
    {0x00ae, 0x00ae, TLS_CIPHER_CBC_SHA256},
    {0x00af, 0x00af, TLS_CIPHER_CBC_SHA384},
    {0x00b2, 0x00b2, TLS_CIPHER_CBC_SHA256},
    {0x00b3, 0x00b3, TLS_CIPHER_CBC_SHA384},
    {0x00b6, 0x00b6, TLS_CIPHER_CBC_SHA256},
    {0x00b7, 0x00b7, TLS_CIPHER_CBC_SHA384},
    {0x00ba, 0x00c5, TLS_CIPHER_CBC_SHA256},
    {0xc023, 0xc023, TLS_CIPHER_CBC_SHA256},
    {0xc024, 0xc024, TLS_CIPHER_CBC_SHA384},
    {0xc025, 0xc025, TLS_CIPHER_CBC_SHA256},
    {0xc026, 0xc026, TLS_CIPHER_CBC_SHA384},
    {0xc027, 0xc027, TLS_CIPHER_CBC_SHA256},
    {0xc028, 0xc028, TLS_CIPHER_CBC_SHA384},
    {0xc029, 0xc029, TLS_CIPHER_CBC_SHA256},
    {0xc02a, 0xc02a, TLS_CIPHER_CBC_SHA384},
    {0x0001, 0x0001, TLS_CIPHER_STREAM_MD5},
    {0x0002, 0x0002, TLS_CIPHER_STREAM_SHA1},
    {0x0004, 0x0004, TLS_CIPHER_STREAM_MD5},
    {0x0005, 0x0005, TLS_CIPHER_STREAM_SHA1},
    {0x0018, 0x0018, TLS_CIPHER_STREAM_MD5},
    {0xc006, 0xc007, TLS_CIPHER_STREAM_SHA1},
    {0xc010, 0xc011, TLS_CIPHER_STREAM_SHA1},
    {0x000a, 0x000a, TLS_CIPHER_3DES_SHA1},
    {0x000d, 0x000d, TLS_CIPHER_3DES_SHA1},
    {0x0010, 0x0010, TLS_CIPHER_3DES_SHA1},
    {0x0013, 0x0013, TLS_CIPHER_3DES_SHA1},
    {0x0016, 0x0016, TLS_CIPHER_3DES_SHA1},
    {0xc003, 0xc003, TLS_CIPHER_3DES_SHA1},
    {0xc008, 0xc008, TLS_CIPHER_3DES_SHA1},
    {0xc00d, 0xc00d, TLS_CIPHER_3DES_SHA1},
    {0xc012, 0xc012, TLS_CIPHER_3DES_SHA1},
};

/* iv, mac and tag are exact; average: of 1 to one block of padding. */
static const struct {
	uint8_t iv, fixed, average;
} costs[] = {
    [TLS_CIPHER_UNKNOWN] = {0, 17, 0},       [TLS_CIPHER_INFERRED_13] = {0, 17, 0},
    [TLS_CIPHER_INFERRED_12] = {8, 16, 0},   [TLS_CIPHER_13] = {0, 17, 0}, /* one byte of content type */
    [TLS_CIPHER_13_CCM_8] = {0, 9, 0},       [TLS_CIPHER_GCM] = {8, 16, 0},
    [TLS_CIPHER_CHACHA] = {0, 16, 0},        [TLS_CIPHER_CCM_8] = {8, 8, 0},
    [TLS_CIPHER_CBC_SHA1] = {16, 20, 8},     [TLS_CIPHER_CBC_SHA256] = {16, 32, 8},
    [TLS_CIPHER_CBC_SHA384] = {16, 48, 8},   [TLS_CIPHER_3DES_SHA1] = {8, 20, 4},
    [TLS_CIPHER_STREAM_SHA1] = {0, 20, 0},   [TLS_CIPHER_STREAM_MD5] = {0, 16, 0},
    [TLS_CIPHER_STREAM_SHA256] = {0, 32, 0},
};
static_assert(sizeof costs / sizeof costs[0] == TLS_CIPHER_KIND_COUNT, "one row per kind");
static_assert(TLS_CIPHER_KIND_COUNT <= 16, "four bits in struct tls_app");

enum tls_cipher_kind tls_cipher_kind_of(uint16_t cipher)
{
	for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
		if (cipher >= ranges[i].from && cipher <= ranges[i].to)
			return ranges[i].kind;
	return TLS_CIPHER_CBC_SHA1;
}

bool tls_cipher_is_13(enum tls_cipher_kind kind)
{
	return kind == TLS_CIPHER_13 || kind == TLS_CIPHER_13_CCM_8 || kind == TLS_CIPHER_INFERRED_13;
}

uint32_t tls_cipher_overhead(enum tls_cipher_kind kind, bool explicit_iv)
{
	const bool chained = costs[kind].average != 0;
	return (chained && !explicit_iv ? 0u : costs[kind].iv) + costs[kind].fixed + costs[kind].average;
}

bool tls_cipher_is_average(enum tls_cipher_kind kind)
{
	return costs[kind].average != 0;
}
