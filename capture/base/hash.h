/* hash: keyed SipHash-1-3 for anything a sender can choose (Aumasson and Bernstein, "SipHash", 2012).
 * The key is drawn at start for tables; HASH_KEY_FIXED gives ids that are the same in every run. */
#ifndef LEAKTAP_CAPTURE_BASE_HASH_H
#define LEAKTAP_CAPTURE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash_key {
	uint64_t k0, k1;
};

/* "leaktap ids v1  ": never change it, flow ids depend on it. */
#define HASH_KEY_FIXED ((struct hash_key){UINT64_C(0x70617461656b6c20), UINT64_C(0x2031762073646920)})

struct hash_sip {
	uint64_t v0, v1, v2, v3;
};

static inline uint64_t hash_rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void hash_sipround(struct hash_sip *s)
{
	s->v0 += s->v1;
	s->v1 = hash_rotl(s->v1, 13) ^ s->v0;
	s->v0 = hash_rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = hash_rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = hash_rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = hash_rotl(s->v1, 17) ^ s->v2;
	s->v2 = hash_rotl(s->v2, 32);
}

static inline void hash_absorb(struct hash_sip *s, uint64_t m)
{
	s->v3 ^= m;
	hash_sipround(s);
	s->v0 ^= m;
}

static inline uint64_t hash_bytes(struct hash_key key, const void *bytes, size_t n)
{
	struct hash_sip s = {key.k0 ^ UINT64_C(0x736f6d6570736575), key.k1 ^ UINT64_C(0x646f72616e646f6d),
			     key.k0 ^ UINT64_C(0x6c7967656e657261), key.k1 ^ UINT64_C(0x7465646279746573)};
	const uint8_t *p = bytes;
	size_t left = n;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t m;
		memcpy(&m, p, 8);
		hash_absorb(&s, m);
	}
	uint64_t last = (uint64_t)n << 56;
	uint8_t tail[8] = {0};
	memcpy(tail, p, left);
	uint64_t t;
	memcpy(&t, tail, 8);
	hash_absorb(&s, last | t);
	s.v2 ^= 0xff;
	hash_sipround(&s);
	hash_sipround(&s);
	hash_sipround(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
