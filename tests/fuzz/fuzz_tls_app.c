/* Segments in any order through the record walk: each is direction and flags, how far from the last one,
 * captured and sent length, bytes. */
#include <stdlib.h>
#include <string.h>

#include "dissect/bytes.h"
#include "dissect/tls_app.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SWITCH_DIR = 1, BACK = 2, FAR = 4, ACKED = 8, CUT = 16, START = 32, REBASE = 64, TAKE = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_app_pool *pool = tls_app_pool_new(1 << 20);
	struct tls_app ta = {0};
	struct bytes b = bytes_of(data, size);
	uint32_t at[2] = {0};
	uint64_t taken[2] = {0};
	bool moved = false;
	unsigned dir = 0;
	while (pool && bytes_left(&b) >= 4) {
		uint8_t ops = bytes_u8(&b);
		uint32_t jump = bytes_u8(&b), n = bytes_u16(&b) % 4096;
		n = n < bytes_left(&b) ? n : (uint32_t)bytes_left(&b);
		dir ^= ops & SWITCH_DIR;
		if (ops & START)
			tls_app_start(&ta, dir, at[dir]);
		uint32_t position = ops & BACK ? at[dir] - (jump < at[dir] ? jump : at[dir])
					       : at[dir] + (ops & FAR ? jump * 977 : 0);
		uint8_t *copy = malloc(n ? n : 1);
		memcpy(copy, bytes_take(&b, n), n);
		struct tls_app_segment seg = {.flow = 1,
					      .dir = dir,
					      .position = position,
					      .acked = ops & ACKED ? position : 0,
					      .payload = copy,
					      .captured_bytes = n,
					      .bytes = n + (ops & CUT ? jump * 13 : 0)};
		tls_app_add(&ta, pool, &seg);
		free(copy);
		if (position + seg.bytes > at[dir])
			at[dir] = position + seg.bytes;
		if (ops & REBASE) {
			tls_app_rebase(&ta, pool, 1, dir, at[dir] / 2);
			at[dir] -= at[dir] / 2;
		}
		moved |= ops & (START | REBASE);
		if (ops & TAKE)
			taken[dir] += tls_app_take(&ta, dir);
	}
	if (pool) {
		tls_app_end(&ta, pool, 1);
		tls_app_tail(&ta, 0, at[0]);
		tls_app_tail(&ta, 1, at[1]);
		/* No more application bytes than bytes. */
		for (dir = 0; dir < 2; dir++)
			if (taken[dir] + tls_app_take(&ta, dir) > at[dir] && !moved)
				abort();
	}
	tls_app_pool_free(pool);
	return 0;
}
