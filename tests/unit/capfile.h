/* capfile: builds capture files byte by byte for tests - the truth of those tests is written down here and in
 * them, never taken from the program. */
#ifndef LEAKTAP_TESTS_UNIT_CAPFILE_H
#define LEAKTAP_TESTS_UNIT_CAPFILE_H

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct capfile {
	uint8_t *p;
	size_t n, cap;
	bool big; /* big-endian writer */
};

static inline void capfile_bytes(struct capfile *c, const void *p, size_t n)
{
	if (c->n + n > c->cap) {
		c->cap = (c->n + n) * 2;
		c->p = realloc(c->p, c->cap);
	}
	if (n)
		memcpy(c->p + c->n, p, n);
	c->n += n;
}

static inline void capfile_uint(struct capfile *c, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++) {
		uint8_t byte = (uint8_t)(v >> 8 * (c->big ? width - 1 - i : i));
		capfile_bytes(c, &byte, 1);
	}
}

static inline void capfile_u16(struct capfile *c, unsigned v)
{
	capfile_uint(c, v, 2);
}

static inline void capfile_u32(struct capfile *c, uint64_t v)
{
	capfile_uint(c, v, 4);
}

/* n bytes first, first + 1, ... */
static inline void capfile_run(struct capfile *c, uint8_t first, size_t n)
{
	for (size_t i = 0; i < n; i++)
		capfile_bytes(c, &(uint8_t){(uint8_t)(first + i)}, 1);
}

static inline void capfile_header(struct capfile *c, uint32_t magic, uint32_t link)
{
	capfile_u32(c, magic);
	capfile_u16(c, 2);
	capfile_u16(c, 4);
	capfile_u32(c, 0);
	capfile_u32(c, 0);
	capfile_u32(c, 65535);
	capfile_u32(c, link);
}

static inline void capfile_record(struct capfile *c, uint32_t s, uint32_t fraction, uint32_t caplen,
				  uint32_t len, uint8_t first)
{
	capfile_u32(c, s);
	capfile_u32(c, fraction);
	capfile_u32(c, caplen);
	capfile_u32(c, len);
	capfile_run(c, first, caplen);
}

/* A pcapng block around a body; padded to 4. */
static inline void capfile_block(struct capfile *c, uint32_t type, const void *body, size_t n)
{
	size_t padded = (n + 3) & ~(size_t)3;
	capfile_u32(c, type);
	capfile_u32(c, padded + 12);
	capfile_bytes(c, body, n);
	capfile_bytes(c, "\0\0\0", padded - n);
	capfile_u32(c, padded + 12);
}

static inline void capfile_section(struct capfile *c)
{
	struct capfile b = {.big = c->big};
	capfile_u32(&b, 0x1a2b3c4d);
	capfile_u16(&b, 1);
	capfile_u16(&b, 0);
	capfile_uint(&b, UINT64_MAX, 8);
	capfile_block(c, 0x0a0d0d0a, b.p, b.n);
	free(b.p);
}

/* tsresol < 0: no option. */
static inline void capfile_iface(struct capfile *c, uint16_t link, uint32_t snaplen, int tsresol,
				 int64_t offset_s)
{
	struct capfile b = {.big = c->big};
	capfile_u16(&b, link);
	capfile_u16(&b, 0);
	capfile_u32(&b, snaplen);
	if (tsresol >= 0) {
		capfile_u16(&b, 9);
		capfile_u16(&b, 1);
		capfile_bytes(&b, &(uint8_t){(uint8_t)tsresol}, 1);
		capfile_bytes(&b, "\0\0\0", 3);
	}
	if (offset_s) {
		capfile_u16(&b, 14);
		capfile_u16(&b, 8);
		capfile_uint(&b, (uint64_t)offset_s, 8);
	}
	if (tsresol >= 0 || offset_s)
		capfile_u32(&b, 0);
	capfile_block(c, 1, b.p, b.n);
	free(b.p);
}

static inline void capfile_enhanced(struct capfile *c, uint32_t iface, uint64_t units, uint32_t caplen,
				    uint32_t len, uint8_t first)
{
	struct capfile b = {.big = c->big};
	capfile_u32(&b, iface);
	capfile_u32(&b, units >> 32);
	capfile_u32(&b, units & UINT32_MAX);
	capfile_u32(&b, caplen);
	capfile_u32(&b, len);
	capfile_run(&b, first, caplen);
	capfile_block(c, 6, b.p, b.n);
	free(b.p);
}

/* Temporary directory of one test; gone with capfile_leave. */
struct capdir {
	char path[64];
};

static inline void capfile_enter(struct capdir *d)
{
	snprintf(d->path, sizeof d->path, "/tmp/leaktap-test-XXXXXX");
	if (!mkdtemp(d->path)) {
		perror(d->path);
		exit(1);
	}
}

/* Not recursive; subdirectories must be empty. */
static inline void capfile_leave(const struct capdir *d)
{
	DIR *dir = opendir(d->path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), e->d_name, 0))
			unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
	rmdir(d->path);
}

/* Static buffers, eight in turn: enough for the names of one statement. */
static inline const char *capfile_path(const struct capdir *d, const char *name)
{
	static char paths[8][160];
	static unsigned turn;
	char *path = paths[turn++ % 8];
	snprintf(path, sizeof paths[0], "%s/%s", d->path, name);
	return path;
}

static inline const char *capfile_save(const struct capdir *d, const char *name, const void *p, size_t n)
{
	const char *path = capfile_path(d, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (size_t at = 0; fd >= 0 && at < n;) {
		ssize_t w = write(fd, (const uint8_t *)p + at, n - at);
		if (w <= 0)
			break;
		at += (size_t)w;
	}
	if (fd < 0 || close(fd)) {
		perror(path);
		exit(1);
	}
	return path;
}

#endif
