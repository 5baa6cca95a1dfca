/* csum: the Internet checksum (RFC 1071). Pure; any thread. */
#ifndef LEAKTAP_DISSECT_CSUM_H
#define LEAKTAP_DISSECT_CSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds n bytes to a running sum (start: 0). Only the last piece may be of odd length. */
uint64_t csum_add(uint64_t sum, const void *p, size_t n);

/* One 16-bit value as a header would hold it, given in host order. */
uint64_t csum_add16(uint64_t sum, uint16_t value);

/* The sum in 16 bits, host order, not complemented: 0xffff over data that includes a right checksum. */
uint16_t csum_fold(uint64_t sum);

#endif
