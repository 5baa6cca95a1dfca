#include "tests/bench/load.h"

#include <string.h>

enum { POOL_BYTES = 1 << 16 };

static const uint8_t *pool(void)
{
	static uint8_t bytes[POOL_BYTES];
	static bool made;
	struct rng r = {1};
	for (size_t i = 0; !made && i < POOL_BYTES; i++)
		bytes[i] = (uint8_t)(rng_next(&r) >> 56);
	made = true;
	return bytes;
}

static void copy_filler(const struct plan *p, uint64_t at, uint8_t *ret_bytes, size_t n)
{
	const uint8_t *bytes = pool();
	size_t from = (size_t)((at + p->id * 977) % POOL_BYTES);
	while (n) {
		size_t part = n < POOL_BYTES - from ? n : POOL_BYTES - from;
		memcpy(ret_bytes, bytes + from, part);
		ret_bytes += part;
		n -= part;
		from = 0;
	}
}

/* Writes the record headers that lie in body bytes [at, at + n). */
static void copy_record_headers(const struct stream *s, uint64_t at, uint8_t *bytes, size_t n)
{
	for (uint64_t rec = at / (LOAD_RECORD_BYTES + 5) * (LOAD_RECORD_BYTES + 5); rec < at + n;
	     rec += LOAD_RECORD_BYTES + 5) {
		uint64_t left = s->body_bytes - rec - 5,
			 len = left < LOAD_RECORD_BYTES ? left : LOAD_RECORD_BYTES;
		const uint8_t header[5] = {0x17, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};
		for (uint64_t i = 0; i < 5; i++)
			if (rec + i >= at && rec + i < at + n)
				bytes[rec + i - at] = header[i];
	}
}

void plan_payload(const struct plan *p, int dir, uint64_t at, uint8_t *ret_bytes, size_t n)
{
	const struct stream *s = &p->stream[dir];
	if (at < s->lead.n) {
		size_t part = s->lead.n - at < n ? (size_t)(s->lead.n - at) : n;
		memcpy(ret_bytes, s->lead.p + at, part);
		ret_bytes += part;
		n -= part;
		at += part;
	}
	if (n == 0)
		return;
	copy_filler(p, at, ret_bytes, n);
	if (s->framed)
		copy_record_headers(s, at - s->lead.n, ret_bytes, n);
	if (p->app == LOAD_QUIC) /* each datagram is asked for from its start: a short header */
		ret_bytes[0] = 0x40 | (ret_bytes[0] & 0x3f);
}
