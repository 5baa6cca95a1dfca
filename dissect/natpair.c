#include "dissect/natpair.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/nhash.h"

enum { TLS_HANDSHAKE = 22, PROTO_TCP = 6 };

struct natpair_entry {
	uint64_t hash; /* 0: empty */
	uint64_t ts_ns;
	struct natpair_flow flow;
};

struct natpair {
	struct nhash hash;
	uint64_t overwritten;
	struct natpair_entry at[NATPAIR_ENTRIES];
};

struct natpair *natpair_new(struct hash_key key)
{
	struct natpair *np = calloc(1, sizeof *np);
	if (np)
		nhash_init(&np->hash, key);
	return np;
}

void natpair_free(struct natpair *np)
{
	free(np);
}

static uint64_t fingerprint(const struct natpair *np, const struct segment *seg)
{
	struct {
		uint32_t proto, bytes, seq, ack;
		uint8_t first[NATPAIR_BYTES];
	} x = {.proto = seg->proto, .bytes = seg->payload_bytes};
	if (seg->proto == PROTO_TCP && seg->payload[0] != TLS_HANDSHAKE) {
		x.seq = seg->tcp_seq;
		x.ack = seg->tcp_ack;
	}
	uint32_t n =
	    seg->payload_captured_bytes < NATPAIR_BYTES ? seg->payload_captured_bytes : NATPAIR_BYTES;
	memcpy(x.first, seg->payload, n);
	uint64_t h = nhash_bytes(&np->hash, &x, sizeof x);
	return h ? h : 1;
}

struct natpair_flow natpair_look(struct natpair *np, const struct segment *seg, struct natpair_flow self)
{
	struct natpair_flow other = {0, 0};
	if (seg->payload_captured_bytes < NATPAIR_MIN_BYTES)
		return other;
	uint64_t hash = fingerprint(np, seg);
	struct natpair_entry *e = &np->at[hash % NATPAIR_ENTRIES];
	uint64_t apart = seg->ts_ns > e->ts_ns ? seg->ts_ns - e->ts_ns : e->ts_ns - seg->ts_ns;
	if (e->hash == hash && apart <= NATPAIR_WINDOW_NS)
		other = e->flow;
	np->overwritten += e->hash && e->hash != hash && apart <= NATPAIR_WINDOW_NS;
	*e = (struct natpair_entry){.hash = hash, .ts_ns = seg->ts_ns, .flow = self};
	return other;
}

uint64_t natpair_overwritten(const struct natpair *np)
{
	return np->overwritten;
}

size_t natpair_memory_bytes(void)
{
	return sizeof(struct natpair);
}
