/* digest: the door to libcrypto's hashes for the sinks. Any thread; each call stands alone. */
#ifndef LEAKTAP_DETECT_SINKS_DIGEST_H
#define LEAKTAP_DETECT_SINKS_DIGEST_H

#include <stddef.h>
#include <stdint.h>

void digest_sha1(const void *p, size_t n, uint8_t ret[20]);
void digest_sha256(const void *p, size_t n, uint8_t ret[32]);
/* Base64 with padding (RFC 4648 4), terminated. out holds 4 * ((n + 2) / 3) + 1. */
void digest_base64(char *out, const uint8_t *p, size_t n);
/* SHA-256 of a regular file as 64 hex digits; 0 or negative errno (-EINVAL: a pipe or the like, which is not touched). */
int digest_file(const char *path, char ret_hex[65]);

#endif
