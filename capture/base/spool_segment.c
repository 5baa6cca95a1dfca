#include "capture/base/spool_segment.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/crc32c.h"
#include "capture/base/spool.h"

/* Segment header: "LTSPOOL1", epoch, first number, zero, CRC of what is before. Record header: number, length, CRC of the bytes,
 * CRC of the header. Little-endian. */
static const char magic[8] = {'L', 'T', 'S', 'P', 'O', 'O', 'L', '1'};

static void put64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof v);
}

static void put32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof v);
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

void segment_name(char ret_name[24], uint64_t first)
{
	snprintf(ret_name, 24, "%016llx.seg", (unsigned long long)first);
}

bool segment_parse_name(const char *name, uint64_t *ret_first)
{
	if (strlen(name) != 20 || strcmp(name + 16, ".seg") != 0 || strspn(name, "0123456789abcdef") != 16)
		return false;
	*ret_first = strtoull(name, NULL, 16);
	return *ret_first != 0;
}

void segment_pack_header(uint8_t ret[SEGMENT_HEADER_BYTES], uint64_t epoch, uint64_t first)
{
	memcpy(ret, magic, sizeof magic);
	put64(ret + 8, epoch);
	put64(ret + 16, first);
	put32(ret + 24, 0);
	put32(ret + 28, crc32c(0, ret, 28));
}

bool segment_check_header(const uint8_t h[SEGMENT_HEADER_BYTES], uint64_t epoch, uint64_t first)
{
	return memcmp(h, magic, sizeof magic) == 0 && get64(h + 8) == epoch && get64(h + 16) == first &&
	       get32(h + 28) == crc32c(0, h, 28);
}

void segment_pack_record(uint8_t ret[RECORD_HEADER_BYTES], uint32_t seed, uint64_t number, const void *bytes, size_t n)
{
	put64(ret, number);
	put32(ret + 8, (uint32_t)n);
	put32(ret + 12, crc32c(0, bytes, n));
	put32(ret + 16, crc32c(seed, ret, 16));
}

/* Makes [at, at + n) of the file readable in the window; NULL with errno 0 where the file ends before. */
static const uint8_t *look(struct window *w, uint64_t at, size_t n)
{
	if (at >= w->at && at - w->at + n <= w->n)
		return w->bytes + (at - w->at);
	size_t want = n > SEGMENT_WINDOW_BYTES ? n : SEGMENT_WINDOW_BYTES;
	if (want > w->size) {
		uint8_t *grown = realloc(w->bytes, want);
		if (!grown) {
			errno = ENOMEM;
			return NULL;
		}
		w->bytes = grown;
		w->size = want;
	}
	w->at = at;
	w->n = 0;
	while (w->n < want) {
		ssize_t r = pread(w->fd, w->bytes + w->n, want - w->n, (off_t)(at + w->n));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return NULL;
		if (r == 0)
			break;
		w->n += (size_t)r;
	}
	errno = 0;
	return w->n >= n ? w->bytes : NULL;
}

/* 1: a good record with a number above after stands at this place; 0: none does, go on *ret_skip bytes further; negative errno. */
static int check(struct window *w, uint64_t at, uint64_t end, uint64_t after, struct record *ret, uint64_t *ret_skip)
{
	*ret_skip = 1;
	const uint8_t *h = look(w, at, RECORD_HEADER_BYTES);
	if (!h)
		return -errno;
	uint64_t number = get64(h);
	uint32_t n = get32(h + 8), crc = get32(h + 12);
	if (get32(h + 16) != crc32c(w->seed, h, 16) || n > SPOOL_MAX_RECORD_BYTES || at + RECORD_HEADER_BYTES + n > end)
		return 0;
	*ret_skip = RECORD_HEADER_BYTES + (uint64_t)n; /* a good header tells the length, whatever became of the bytes */
	if (number <= after || number > SPOOL_MAX_NUMBER)
		return 0;
	h = look(w, at, RECORD_HEADER_BYTES + (size_t)n);
	if (!h)
		return -errno;
	if (crc32c(0, h + RECORD_HEADER_BYTES, n) != crc)
		return 0;
	*ret = (struct record){.number = number, .at = at, .n = n, .bytes = h + RECORD_HEADER_BYTES};
	return 1;
}

int segment_find(struct window *w, uint64_t at, uint64_t end, uint64_t after, struct record *ret)
{
	uint64_t skip;
	for (; at + RECORD_HEADER_BYTES <= end; at += skip) {
		int r = check(w, at, end, after, ret, &skip);
		if (r)
			return r;
	}
	return 0;
}
