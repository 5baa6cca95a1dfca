#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dissect/csum.h"
#include "tests/unit/frames.h"

/* The worked example of RFC 1071 section 3. */
static void fold__rfc_1071_example__ddf2(void **state)
{
	(void)state;
	static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(csum_fold(csum_add(0, example, sizeof example)), 0xddf2);
}

/* A well-known IPv4 header whose checksum is 0xb861. */
static void fold__ip_header__right(void **state)
{
	(void)state;
	uint8_t h[20] = {0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7};
	assert_int_equal(csum_fold(csum_add(0, h, 20)), 0xffff);
	h[10] = h[11] = 0;
	assert_int_equal((uint16_t)~csum_fold(csum_add(0, h, 20)), 0xb861);
}

static void add__every_length_and_split__as_16_bit_sum(void **state)
{
	(void)state;
	static uint8_t data[2048];
	srand(7);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(rand() % 4 ? 0xff : rand());
	for (size_t n = 0; n <= 300; n++) {
		uint32_t expected = frame_sum(0, data + n, n);
		assert_int_equal(csum_fold(csum_add(0, data + n, n)), expected);
		size_t half = n / 4 * 2;
		assert_int_equal(csum_fold(csum_add(csum_add(0, data + n, half), data + n + half, n - half)), expected);
	}
}

static void add16__host_order__as_bytes(void **state)
{
	(void)state;
	assert_int_equal(csum_fold(csum_add16(csum_add16(0, 0x1234), 0xf000)), 0x0235);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fold__rfc_1071_example__ddf2),
		cmocka_unit_test(fold__ip_header__right),
		cmocka_unit_test(add__every_length_and_split__as_16_bit_sum),
		cmocka_unit_test(add16__host_order__as_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
