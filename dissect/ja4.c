#include "dissect/ja4.h"

#include <string.h>

#include "dissect/crypt.h"

enum { EXT_SERVER_NAME = 0, EXT_ALPN = 16, HASH_DIGITS = 12, VALUE_CHARS = 5 };
enum { SEEN_SETS = 16, SEEN_WAYS = 4, MAX_SEEN_CHARS = 370 };

static const char hex[] = "0123456789abcdef";

/* Comma-separated lower-case hexadecimal, as it is hashed. */
struct text {
	size_t n;
	char at[JA4_MAX_VALUES * VALUE_CHARS];
};

static void put_value(struct text *text, uint16_t value, char separator)
{
	char *at = text->at + text->n;
	if (separator)
		*at++ = separator;
	for (int shift = 12; shift >= 0; shift -= 4)
		*at++ = hex[value >> shift & 15];
	text->n = (size_t)(at - text->at);
}

/* Shell sort: short lists are the rule, and a hostile one of JA4_MAX_VALUES stays cheap. */
static void sort_values(uint16_t *v, size_t n)
{
	static const size_t gaps[] = {132, 57, 23, 10, 4, 1};
	for (size_t g = 0; g < sizeof gaps / sizeof *gaps; g++)
		for (size_t i = gaps[g]; i < n; i++) {
			uint16_t value = v[i];
			size_t at = i;
			for (; at >= gaps[g] && v[at - gaps[g]] > value; at -= gaps[g])
				v[at] = v[at - gaps[g]];
			v[at] = value;
		}
}

static void digits_of(const struct text *text, char ret_digits[HASH_DIGITS])
{
	uint8_t digest[CRYPT_SHA256_BYTES];
	crypt_sha256(text->at, text->n, digest);
	for (int i = 0; i < HASH_DIGITS; i++)
		ret_digits[i] = hex[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
}

/* Client programs are few: their lists come again and again. Texts are compared whole, so that
 * one pushed out costs a digest and nothing else. */
struct digest_seen {
	uint16_t n;
	char digits[HASH_DIGITS];
	char text[MAX_SEEN_CHARS];
};

static uint64_t place_of(const struct text *text)
{
	uint64_t h = text->n, word;
	size_t i = 0;
	for (; i + sizeof word <= text->n; i += sizeof word) {
		memcpy(&word, text->at + i, sizeof word);
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 32;
	}
	word = 0;
	memcpy(&word, text->at + i, text->n - i);
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h >> 32;
}

static void hash_text(const struct text *text, char ret_digits[HASH_DIGITS + 1])
{
	static _Thread_local struct digest_seen seen[SEEN_SETS][SEEN_WAYS];
	static _Thread_local unsigned next_way;
	memset(ret_digits, '0', HASH_DIGITS);
	ret_digits[HASH_DIGITS] = 0;
	if (!text->n)
		return;
	if (text->n > MAX_SEEN_CHARS) {
		digits_of(text, ret_digits);
		return;
	}
	struct digest_seen *set = seen[place_of(text) % SEEN_SETS];
	unsigned way = 0;
	while (way < SEEN_WAYS && (set[way].n != text->n || memcmp(set[way].text, text->at, text->n)))
		way++;
	if (way == SEEN_WAYS) {
		way = next_way++ % SEEN_WAYS;
		digits_of(text, set[way].digits);
		set[way].n = (uint16_t)text->n;
		memcpy(set[way].text, text->at, text->n);
	}
	memcpy(ret_digits, set[way].digits, HASH_DIGITS);
}

/* Returns how many count, or -1 when they are too many to hash. */
static int hash_ciphers(struct slice ciphers, char ret_digits[HASH_DIGITS + 1])
{
	uint16_t values[JA4_MAX_VALUES];
	size_t n = 0;
	for (struct bytes b = bytes_of(ciphers.p, ciphers.n); bytes_left(&b) >= 2;) {
		uint16_t value = bytes_u16(&b);
		if (ja4_is_grease(value))
			continue;
		if (n == JA4_MAX_VALUES)
			return -1;
		values[n++] = value;
	}
	sort_values(values, n);
	struct text text;
	text.n = 0; /* not an initialiser: that would clear all of it */
	for (size_t i = 0; i < n; i++)
		put_value(&text, values[i], i ? ',' : 0);
	hash_text(&text, ret_digits);
	return (int)n;
}

/* Server name and ALPN are counted but not hashed. Returns the count, or -1. */
static int collect_extensions(struct slice extensions, uint16_t values[JA4_MAX_VALUES], size_t *ret_n)
{
	size_t n = 0;
	int count = 0;
	for (struct bytes b = bytes_of(extensions.p, extensions.n); bytes_left(&b);) {
		uint16_t type = bytes_u16(&b);
		if (!bytes_skip(&b, bytes_u16(&b)))
			break;
		if (ja4_is_grease(type))
			continue;
		count++;
		if (type == EXT_SERVER_NAME || type == EXT_ALPN)
			continue;
		if (n == JA4_MAX_VALUES)
			return -1;
		values[n++] = type;
	}
	*ret_n = n;
	return count;
}

static int hash_extensions(const struct ja4 *in, char ret_digits[HASH_DIGITS + 1])
{
	uint16_t values[JA4_MAX_VALUES];
	size_t n = 0;
	int count = collect_extensions(in->extensions, values, &n);
	if (count < 0 || n + in->signatures.n / 2 > JA4_MAX_VALUES)
		return -1;
	sort_values(values, n);
	struct text text;
	text.n = 0;
	for (size_t i = 0; i < n; i++)
		put_value(&text, values[i], i ? ',' : 0);
	char separator = '_';
	for (struct bytes b = bytes_of(in->signatures.p, in->signatures.n); n && bytes_left(&b) >= 2;) {
		uint16_t value = bytes_u16(&b);
		if (ja4_is_grease(value))
			continue;
		put_value(&text, value, separator);
		separator = ',';
	}
	hash_text(&text, ret_digits);
	return count;
}

static const char *version_text(uint16_t version)
{
	switch (version) {
	case 0x0304:
		return "13";
	case 0x0303:
		return "12";
	case 0x0302:
		return "11";
	case 0x0301:
		return "10";
	case 0x0300:
		return "s3";
	case 0x0002:
		return "s2";
	case 0xfeff:
		return "d1";
	case 0xfefd:
		return "d2";
	case 0xfefc:
		return "d3";
	}
	return "00";
}

static bool is_alphanumeric(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* First and last character; of the hexadecimal form when either byte is not alphanumeric. */
static void alpn_text(struct slice alpn, char ret_text[2])
{
	if (!alpn.n) {
		ret_text[0] = ret_text[1] = '0';
		return;
	}
	uint8_t first = alpn.p[0], last = alpn.p[alpn.n - 1];
	bool plain = is_alphanumeric(first) && is_alphanumeric(last);
	ret_text[0] = plain ? (char)first : hex[first >> 4];
	ret_text[1] = plain ? (char)last : hex[last & 15];
}

void ja4_print(const struct ja4 *in, char ret_text[JA4_SIZE])
{
	char ciphers[HASH_DIGITS + 1], extensions[HASH_DIGITS + 1], alpn[2];
	ret_text[0] = 0;
	int n_ciphers = hash_ciphers(in->ciphers, ciphers);
	int n_extensions = hash_extensions(in, extensions);
	if (n_ciphers < 0 || n_extensions < 0)
		return;
	if (n_ciphers > 99)
		n_ciphers = 99;
	if (n_extensions > 99)
		n_extensions = 99;
	alpn_text(in->alpn, alpn);
	const char *version = version_text(in->version);
	const char head[] = {in->transport,
			     version[0],
			     version[1],
			     in->has_sni ? 'd' : 'i',
			     (char)('0' + n_ciphers / 10),
			     (char)('0' + n_ciphers % 10),
			     (char)('0' + n_extensions / 10),
			     (char)('0' + n_extensions % 10),
			     alpn[0],
			     alpn[1]};
	memcpy(ret_text, head, sizeof head);
	char *at = ret_text + sizeof head;
	*at++ = '_';
	memcpy(at, ciphers, HASH_DIGITS);
	at += HASH_DIGITS;
	*at++ = '_';
	memcpy(at, extensions, sizeof extensions);
}
