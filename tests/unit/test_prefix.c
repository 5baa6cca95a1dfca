#include "detect/prefix.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct facts_addr v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	return (struct facts_addr){.ip = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d}, .family = 4};
}

static void parse__texts__as_written(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int bits; /* -1: no prefix */
	} cases[] = {{"20.60.0.0/16", 112}, {"1.2.3.4", 128},           {"0.0.0.0/0", 96},
		     {"::/0", 0},           {"2620:100:6000::/40", 40}, {"::1", 128},
		     {"20.60.0.1/16", -1},  {"1.2.3.4/33", -1},         {"1.2.3/8", -1},
		     {"1.2.3.4/", -1},      {"1.2.3.4/x", -1},          {"", -1},
		     {"a.b", -1},           {"2620:100:6001::/40", -1}, {"::/129", -1},
		     {"1.2.3.4/032", 128},  {"1.2.3.4/00032", -1}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct prefix p = {0};
		bool ok = prefix_parse(&p, cases[i].text);
		if (ok != (cases[i].bits >= 0) || (ok && p.bits != cases[i].bits))
			fail_msg("%s: %d", cases[i].text, ok ? p.bits : -1);
	}
}

static void find__nested__longest(void **state)
{
	(void)state;
	static const char *const texts[] = {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24",
					    "10.1.2.3",   "10.3.0.0/16", "2001::/16"};
	struct prefixes ps = {0};
	for (uint32_t i = 0; i < 6; i++) {
		struct prefix p;
		assert_true(prefix_parse(&p, texts[i]));
		p.value = i;
		assert_int_equal(prefixes_add(&ps, &p), 0);
	}
	prefixes_seal(&ps);
	static const struct {
		unsigned ip[4];
		int value;
	} cases[] = {{{10, 1, 2, 3}, 3},     {{10, 1, 2, 4}, 2},      {{10, 1, 3, 0}, 1},
		     {{10, 2, 255, 255}, 0}, {{10, 3, 0, 0}, 4},      {{10, 255, 255, 255}, 0},
		     {{11, 0, 0, 0}, -1},    {{9, 255, 255, 255}, -1}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const unsigned *ip = cases[i].ip;
		struct facts_addr a = v4(ip[0], ip[1], ip[2], ip[3]);
		uint32_t got = UINT32_MAX;
		bool found = prefixes_find(&ps, &a, &got);
		assert_int_equal(found, cases[i].value >= 0);
		if (found)
			assert_int_equal(got, cases[i].value);
	}
	prefixes_free(&ps);
}

static void find__random_tables__as_brute_force(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 200; round++) {
		struct prefixes ps = {0};
		struct prefix all[40];
		for (uint32_t i = 0; i < 40; i++) {
			struct prefix p = {.bits = (uint8_t)(96 + rand() % 33), .value = i};
			memset(p.ip + 10, 0xff, 2);
			p.ip[12] = 10;
			p.ip[13] = (uint8_t)(rand() % 3);
			p.ip[14] = (uint8_t)rand();
			p.ip[15] = (uint8_t)rand();
			for (unsigned b = p.bits; b < 128; b++)
				p.ip[b / 8] &= (uint8_t) ~(0x80 >> b % 8);
			all[i] = p;
			assert_int_equal(prefixes_add(&ps, &p), 0);
		}
		prefixes_seal(&ps);
		for (int k = 0; k < 200; k++) {
			struct facts_addr a =
			    v4(10, (unsigned)rand() % 3, (unsigned)rand() & 255, (unsigned)rand() & 255);
			int best = -1;
			for (int i = 0; i < 40; i++) {
				bool in = true;
				for (unsigned b = 96; b < all[i].bits; b++)
					in =
					    in && !((all[i].ip[b / 8] ^ a.ip[b / 8 - 12]) >> (7 - b % 8) & 1);
				if (in && (best < 0 || all[i].bits > all[best].bits))
					best = i;
			}
			uint32_t got = 0;
			assert_int_equal(prefixes_find(&ps, &a, &got), best >= 0);
			if (best >= 0)
				assert_int_equal(all[got].bits, all[best].bits);
		}
		prefixes_free(&ps);
	}
}

static void internal__by_rfc_6890(void **state)
{
	(void)state;
	static const struct {
		unsigned ip[4];
		bool internal;
	} cases[] = {{{10, 0, 0, 1}, true},        {{11, 0, 0, 1}, false},    {{172, 16, 0, 1}, true},
		     {{172, 31, 255, 1}, true},    {{172, 32, 0, 1}, false},  {{192, 168, 1, 1}, true},
		     {{192, 167, 1, 1}, false},    {{127, 0, 0, 1}, true},    {{169, 254, 1, 1}, true},
		     {{100, 64, 0, 1}, true},      {{100, 128, 0, 1}, false}, {{224, 0, 0, 1}, true},
		     {{255, 255, 255, 255}, true}, {{203, 0, 113, 9}, false}, {{20, 60, 133, 132}, false},
		     {{0, 0, 0, 0}, true}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const unsigned *ip = cases[i].ip;
		struct facts_addr a = v4(ip[0], ip[1], ip[2], ip[3]);
		assert_int_equal(prefix_internal(&a), cases[i].internal);
	}
	struct facts_addr ula = {.ip = {0xfd}, .family = 6}, loop = {.ip = {[15] = 1}, .family = 6},
			  global = {.ip = {0x26, 0x20}, .family = 6},
			  link = {.ip = {0xfe, 0x80}, .family = 6};
	assert_true(prefix_internal(&ula) && prefix_internal(&loop) && prefix_internal(&link));
	assert_false(prefix_internal(&global));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse__texts__as_written),
	    cmocka_unit_test(find__nested__longest),
	    cmocka_unit_test(find__random_tables__as_brute_force),
	    cmocka_unit_test(internal__by_rfc_6890),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
