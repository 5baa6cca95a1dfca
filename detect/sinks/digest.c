/* SHA1_Init and its like on purpose, as in dissect/crypt.c: through EVP a digest of 16 bytes costs several times the
 * hashing. */
#define OPENSSL_API_COMPAT 0x10100000L

#include "detect/sinks/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

void digest_sha1(const void *p, size_t n, uint8_t ret[20])
{
	SHA_CTX ctx;
	SHA1_Init(&ctx);
	SHA1_Update(&ctx, p, n);
	SHA1_Final(ret, &ctx);
}

void digest_sha256(const void *p, size_t n, uint8_t ret[32])
{
	SHA256(p, n, ret);
}

void digest_base64(char *out, const uint8_t *p, size_t n)
{
	EVP_EncodeBlock((unsigned char *)out, p, (int)n);
}

static int hash_stream(FILE *f, uint8_t ret[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *buf = OPENSSL_malloc(1 << 16);
	int r = ctx && buf && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) ? 0 : -ENOMEM;
	for (size_t n; !r && (n = fread(buf, 1, 1 << 16, f));)
		EVP_DigestUpdate(ctx, buf, n);
	if (!r && ferror(f))
		r = -EIO;
	if (!r)
		EVP_DigestFinal_ex(ctx, ret, NULL);
	OPENSSL_free(buf);
	EVP_MD_CTX_free(ctx);
	return r;
}

int digest_file(const char *path, char ret_hex[65])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st = {0};
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		int r = fd < 0 ? -errno : -EINVAL;
		if (fd >= 0)
			close(fd);
		return r;
	}
	FILE *f = fdopen(fd, "rb");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	uint8_t sum[32];
	int r = hash_stream(f, sum);
	fclose(f);
	if (r)
		return r;
	for (int i = 0; i < 32; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", sum[i]);
	return 0;
}
