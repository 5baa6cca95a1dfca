#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/base/nhash.h"

/* A number of 128 bits in four limbs of 32, lowest first: the oracle multiplies as on paper. */
struct wide {
	uint64_t limb[4];
};

static void add_product(struct wide *sum, uint64_t a, uint64_t b)
{
	const uint64_t x[2] = {a & UINT32_MAX, a >> 32}, y[2] = {b & UINT32_MAX, b >> 32};
	for (unsigned i = 0; i < 2; i++)
		for (unsigned j = 0; j < 2; j++) {
			uint64_t carry = x[i] * y[j];
			for (unsigned at = i + j; at < 4; at++) {
				uint64_t t = sum->limb[at] + (carry & UINT32_MAX);
				sum->limb[at] = t & UINT32_MAX;
				carry = (carry >> 32) + (t >> 32);
			}
		}
}

static uint64_t low(const struct wide *w)
{
	return w->limb[1] << 32 | w->limb[0];
}

static uint64_t high(const struct wide *w)
{
	return w->limb[3] << 32 | w->limb[2];
}

static uint64_t by_hand(const struct nhash *h, const uint8_t *p, size_t n)
{
	uint64_t state = 0;
	size_t at = 0;
	do {
		struct wide sum = {{0}}, mixed = {{0}};
		add_product(&sum, state + h->k[16], n + h->k[17]);
		for (unsigned k = 0; k < 16 && at < n; k += 2) {
			uint64_t word[2] = {0, 0};
			for (unsigned i = 0; i < 16 && at < n; i++, at++)
				word[i / 8] |= (uint64_t)p[at] << 8 * (i % 8);
			add_product(&sum, word[0] + h->k[k], word[1] + h->k[k + 1]);
		}
		add_product(&mixed, low(&sum) ^ h->k[18], high(&sum) ^ h->k[19]);
		state = low(&mixed) ^ high(&mixed);
	} while (at < n);
	return state;
}

static void hash__every_length__as_by_hand(void **state)
{
	(void)state;
	struct nhash h;
	uint8_t p[400];
	nhash_init(&h, (struct hash_key){7, 8});
	for (size_t i = 0; i < sizeof p; i++)
		p[i] = (uint8_t)(i * 151 + i / 7);
	for (size_t n = 0; n <= sizeof p; n++)
		assert_int_equal(nhash_bytes(&h, p, n), by_hand(&h, p, n));
}

static void hash__one_bit_or_length_changed__differs(void **state)
{
	(void)state;
	struct nhash h;
	uint8_t p[300] = {0};
	nhash_init(&h, (struct hash_key){1, 2});
	uint64_t all = nhash_bytes(&h, p, sizeof p);
	for (size_t bit = 0; bit < sizeof p * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(nhash_bytes(&h, p, sizeof p), all);
		p[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* padding is not content */
	for (size_t n = 0; n < sizeof p; n++)
		assert_int_not_equal(nhash_bytes(&h, p, n), all);
}

static void hash__another_key__other_order_of_collisions(void **state)
{
	(void)state;
	struct nhash a, b;
	nhash_init(&a, (struct hash_key){1, 2});
	nhash_init(&b, (struct hash_key){1, 3});
	/* pairs that share a bucket of 256 under one key share one under another only by chance */
	unsigned both = 0, first = 0;
	for (uint64_t i = 0; i < 100000; i++) {
		uint64_t x[2] = {i, 0}, y[2] = {i, 1};
		bool same_a = (uint8_t)nhash_bytes(&a, x, 16) == (uint8_t)nhash_bytes(&a, y, 16);
		bool same_b = (uint8_t)nhash_bytes(&b, x, 16) == (uint8_t)nhash_bytes(&b, y, 16);
		first += same_a;
		both += same_a && same_b;
	}
	assert_in_range(first, 290, 490); /* 391 expected */
	assert_in_range(both, 0, 12);     /* 1.5 expected */
}

/* Sequential ports and addresses, as scanners send them, fill buckets like dice. */
static void hash__sequential_keys__spread_evenly(void **state)
{
	(void)state;
	enum { BUCKETS = 4096, PER_BUCKET = 16 };
	static unsigned n[2][BUCKETS];
	struct nhash h;
	memset(n, 0, sizeof n);
	nhash_init(&h, (struct hash_key){3, 4});
	for (uint32_t i = 0; i < BUCKETS * PER_BUCKET; i++) {
		uint32_t x[4] = {0x0100000a, 0x0200000a + (i >> 8), i & 255, 6};
		uint64_t hash = nhash_bytes(&h, x, sizeof x);
		n[0][(uint32_t)hash >> 20]++; /* as flowtab takes them: the tag's upper bits */
		n[1][hash % BUCKETS]++;
	}
	for (unsigned i = 0; i < BUCKETS; i++) {
		assert_in_range(n[0][i], 0, 45); /* Poisson of mean 16: above 45 once in 10^8 */
		assert_in_range(n[1][i], 0, 45);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hash__every_length__as_by_hand),
	    cmocka_unit_test(hash__one_bit_or_length_changed__differs),
	    cmocka_unit_test(hash__another_key__other_order_of_collisions),
	    cmocka_unit_test(hash__sequential_keys__spread_evenly),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
