#include "dissect/csum.h"

#include <arpa/inet.h>
#include <string.h>

/* One's complement sums do not care for byte order until they are folded, nor for the width that is added. */
uint64_t csum_add(uint64_t sum, const void *p, size_t n)
{
	const uint8_t *b = p;
	for (; n >= 4; n -= 4, b += 4) {
		uint32_t word;
		memcpy(&word, b, 4);
		sum += word;
	}
	uint8_t tail[4] = {0};
	memcpy(tail, b, n);
	uint32_t word;
	memcpy(&word, tail, 4);
	return sum + word;
}

uint64_t csum_add16(uint64_t sum, uint16_t value)
{
	return sum + htons(value);
}

uint16_t csum_fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ntohs((uint16_t)sum);
}
