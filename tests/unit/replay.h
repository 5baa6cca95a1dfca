/* replay: reads pcap and pcapng files for tests, with a reader of its own, and walks their flows with nothing
 * but a list. Small captures only. */
#ifndef LEAKTAP_TESTS_UNIT_REPLAY_H
#define LEAKTAP_TESTS_UNIT_REPLAY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/packet.h"
#include "dissect/decode.h"
#include "dissect/defrag.h"

typedef void replay_fn(void *ctx, const struct packet *pkt);

static inline const char *replay_shared(char *to, size_t size, const char *path)
{
	const char *root = getenv("LEAKTAP_SHARED");
	if (root)
		snprintf(to, size, "%s/data/%s", root, path);
	else
		snprintf(to, size, "../shared/data/%s", path);
	return to;
}

static inline bool replay_have(const char *path)
{
	char name[512];
	FILE *f = fopen(replay_shared(name, sizeof name, path), "rb");
	if (f)
		fclose(f);
	else
		printf("SKIPPED: %s is not here (LEAKTAP_SHARED)\n", name);
	return f != NULL;
}

static inline uint32_t replay_u32(const uint8_t *p, bool swap)
{
	uint32_t x;
	memcpy(&x, p, 4);
	return swap ? __builtin_bswap32(x) : x;
}

static inline uint16_t replay_u16(const uint8_t *p, bool swap)
{
	uint16_t x;
	memcpy(&x, p, 2);
	return swap ? __builtin_bswap16(x) : x;
}

static inline int replay_link(uint32_t dlt)
{
	switch (dlt) {
	case 1:
		return PACKET_LINK_ETHERNET;
	case 12:
	case 14:
	case 101:
	case 228:
	case 229:
		return PACKET_LINK_RAW;
	case 113:
		return PACKET_LINK_SLL;
	case 276:
		return PACKET_LINK_SLL2;
	case 0:
		return PACKET_LINK_NULL;
	case 108:
		return PACKET_LINK_LOOP;
	case 9:
	case 50:
		return PACKET_LINK_PPP;
	}
	return -1;
}

/* Every packet in a heap block of its exact size. */
static inline void replay_give(replay_fn *fn, void *ctx, const uint8_t *p, uint32_t caplen, uint32_t len,
			       uint64_t ts_ns, int link)
{
	if (link < 0)
		return;
	uint8_t *copy = malloc(caplen ? caplen : 1);
	memcpy(copy, p, caplen);
	struct packet pkt = {
	    .ts_ns = ts_ns, .data = copy, .caplen = caplen, .len = len, .link = (uint16_t)link};
	fn(ctx, &pkt);
	free(copy);
}

static inline void replay_pcap(const uint8_t *p, size_t n, bool swap, bool nano, replay_fn *fn, void *ctx)
{
	int link = replay_link(replay_u32(p + 20, swap) & 0xffff);
	for (size_t at = 24; at + 16 <= n;) {
		uint32_t caplen = replay_u32(p + at + 8, swap);
		if (caplen > n - at - 16)
			return;
		uint64_t ts = replay_u32(p + at, swap) * UINT64_C(1000000000) +
			      replay_u32(p + at + 4, swap) * (nano ? 1u : UINT64_C(1000));
		replay_give(fn, ctx, p + at + 16, caplen, replay_u32(p + at + 12, swap), ts, link);
		at += 16 + caplen;
	}
}

/* if_tsresol of an interface block: nanoseconds per unit; microseconds and nanoseconds are all that is met.
 */
static inline uint64_t replay_unit_ns(const uint8_t *options, size_t n, bool swap)
{
	for (size_t at = 0; at + 4 <= n;) {
		uint16_t code = replay_u16(options + at, swap), length = replay_u16(options + at + 2, swap);
		if (code == 9 && length == 1 && at + 5 <= n)
			return options[at + 4] == 9 ? 1 : 1000;
		if (!code)
			break;
		at += 4u + (length + 3u) / 4 * 4;
	}
	return 1000;
}

static inline void replay_pcapng(const uint8_t *p, size_t n, replay_fn *fn, void *ctx)
{
	int links[64];
	uint64_t units[64];
	size_t n_links = 0;
	bool swap = false;
	for (size_t at = 0; at + 12 <= n;) {
		if (replay_u32(p + at, false) == 0x0a0d0d0a) {
			swap = replay_u32(p + at + 8, false) != 0x1a2b3c4d;
			n_links = 0;
		}
		uint32_t type = replay_u32(p + at, swap), block = replay_u32(p + at + 4, swap);
		if (block < 12 || block > n - at)
			return;
		const uint8_t *b = p + at + 8;
		if (type == 1 && n_links < 64) {
			units[n_links] = replay_unit_ns(b + 8, block - 20, swap);
			links[n_links++] = replay_link(replay_u16(b, swap));
		}
		if (type == 6 && replay_u32(b, swap) < n_links) {
			uint32_t at_link = replay_u32(b, swap);
			uint64_t units_since =
			    (uint64_t)replay_u32(b + 4, swap) << 32 | replay_u32(b + 8, swap);
			replay_give(fn, ctx, b + 20, replay_u32(b + 12, swap), replay_u32(b + 16, swap),
				    units_since * units[at_link], links[at_link]);
		}
		at += block;
	}
}

/* false: cannot be read. */
static inline bool replay_file(const char *path, replay_fn *fn, void *ctx)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return false;
	fseek(f, 0, SEEK_END);
	long size = ftell(f);
	rewind(f);
	uint8_t *p = malloc(size > 0 ? (size_t)size : 1);
	size_t n = fread(p, 1, size > 0 ? (size_t)size : 0, f);
	fclose(f);
	uint32_t magic = n >= 24 ? replay_u32(p, false) : 0;
	if (magic == 0x0a0d0d0a)
		replay_pcapng(p, n, fn, ctx);
	else if (magic)
		replay_pcap(p, n, magic == 0xd4c3b2a1 || magic == 0x4d3cb2a1,
			    magic == 0xa1b23c4d || magic == 0x4d3cb2a1, fn, ctx);
	free(p);
	return magic != 0;
}

#endif
