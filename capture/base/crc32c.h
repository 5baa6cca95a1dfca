/* crc32c: Castagnoli's CRC (RFC 3720, 12.1), for what is kept on disk. Not for anything an adversary may choose. */
#ifndef LEAKTAP_CAPTURE_BASE_CRC32C_H
#define LEAKTAP_CAPTURE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Start with 0; give the result back in to go on: crc32c(crc32c(0, a), b) is that of a followed by b. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
