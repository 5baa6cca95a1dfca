#include "dissect/offload.h"

#include <stdlib.h>
#include <string.h>

struct offload_sender {
	uint64_t hash; /* 0: empty */
	uint64_t since_ns;
	uint32_t judged, bad; /* since then */
	bool believed;
};

struct offload {
	struct hash_key key;
	uint64_t overwritten;
	struct offload_sender at[OFFLOAD_SENDERS];
};

struct offload *offload_new(struct hash_key key)
{
	struct offload *of = calloc(1, sizeof *of);
	if (of)
		of->key = key;
	return of;
}

void offload_free(struct offload *of)
{
	free(of);
}

/* The host as one tap sees it: behind another input its frames may be whole. */
static uint64_t hash_of(const struct offload *of, const struct segment *seg)
{
	struct {
		uint8_t ip[16];
		uint32_t input, family;
	} x = {.input = seg->input, .family = seg->family};
	memcpy(x.ip, seg->src, sizeof x.ip);
	uint64_t h = hash_bytes(of->key, &x, sizeof x);
	return h ? h : 1;
}

bool offload_judge(struct offload *of, const struct segment *seg)
{
	uint64_t hash = hash_of(of, seg);
	struct offload_sender *s = &of->at[hash % OFFLOAD_SENDERS];
	of->overwritten += s->hash && s->hash != hash;
	if (s->hash != hash)
		*s = (struct offload_sender){.hash = hash, .since_ns = seg->ts_ns};
	if (s->believed)
		return true;
	if (seg->ts_ns < s->since_ns || seg->ts_ns - s->since_ns > OFFLOAD_WINDOW_NS) {
		s->since_ns = seg->ts_ns;
		s->judged = s->bad = 0;
	}
	s->judged++;
	s->bad += seg->flags & SEGMENT_BAD_CSUM ? 1 : 0;
	s->believed = (seg->flags & SEGMENT_PARTIAL_CSUM) ||
		      (s->judged >= OFFLOAD_MIN_JUDGED && (uint64_t)s->bad * 2 > s->judged);
	return s->believed;
}

uint64_t offload_overwritten(const struct offload *of)
{
	return of->overwritten;
}

size_t offload_memory_bytes(void)
{
	return sizeof(struct offload);
}
