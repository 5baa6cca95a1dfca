/* nhash: a keyed hash for tables whose keys a sender can choose, several times cheaper than SipHash. NH of UMAC
 * (Black, Halevi, Krawczyk, Krovetz, Rogaway, CRYPTO '99) over blocks of 128 bytes, 64-bit words, products of 128
 * bits: two different inputs of one length agree under at most one key in 2^64 for every block. That holds for
 * inputs chosen without knowing the key, and nobody learns anything of it: it is drawn at start, no hash leaves the
 * process, and a sensor never answers. Not for ids that are kept or told: those are hash.h's. */
#ifndef LEAKTAP_CAPTURE_BASE_NHASH_H
#define LEAKTAP_CAPTURE_BASE_NHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "capture/base/hash.h"

enum { NHASH_BLOCK_BYTES = 128, NHASH_KEYS = NHASH_BLOCK_BYTES / 8 + 4 };

/* The last four are for the chain from block to block and for the end. */
struct nhash {
	uint64_t k[NHASH_KEYS];
};

static inline void nhash_init(struct nhash *h, struct hash_key key)
{
	for (uint64_t i = 0; i < NHASH_KEYS; i++)
		h->k[i] = hash_bytes(key, &i, sizeof i);
}

static inline unsigned __int128 nhash_pair(const uint64_t *k, uint64_t a, uint64_t b)
{
	return (unsigned __int128)(a + k[0]) * (b + k[1]);
}

static inline uint64_t nhash_word(const uint8_t *p)
{
	uint64_t w;
	memcpy(&w, p, sizeof w);
	return w;
}

static inline uint64_t nhash_bytes(const struct nhash *h, const void *bytes, size_t n)
{
	const uint64_t *chain = h->k + NHASH_BLOCK_BYTES / 8;
	const uint8_t *p = bytes;
	uint64_t state = 0;
	size_t left = n;
	do {
		unsigned __int128 sum = nhash_pair(chain, state, n);
		size_t i = 0;
		for (; i < NHASH_BLOCK_BYTES / 8 && left >= 16; i += 2, left -= 16, p += 16)
			sum += nhash_pair(h->k + i, nhash_word(p), nhash_word(p + 8));
		if (i < NHASH_BLOCK_BYTES / 8 && left) {
			uint8_t tail[16] = {0};
			memcpy(tail, p, left);
			sum += nhash_pair(h->k + i, nhash_word(tail), nhash_word(tail + 8));
			left = 0;
		}
		unsigned __int128 mixed = (unsigned __int128)((uint64_t)sum ^ chain[2]) *
					  ((uint64_t)(sum >> 64) ^ chain[3]);
		state = (uint64_t)mixed ^ (uint64_t)(mixed >> 64);
	} while (left);
	return state;
}

#endif
