#include "dissect/copies.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/nhash.h"

/* hash 0: empty */
struct copies_entry {
	uint64_t hash;
	uint64_t way : 16; /* VLAN tags and TTL, folded */
	uint64_t us : 48;  /* time in microseconds */
};

struct copies {
	struct nhash hash;
	uint64_t overwritten;
	struct copies_entry at[COPIES_BUCKETS][COPIES_WAYS];
};

static const uint64_t ns_per_us = 1000;
enum { QUIC_LONG_HEADER = 0x80 };

struct copies *copies_new(struct hash_key key)
{
	struct copies *cp = aligned_alloc(64, (sizeof *cp + 63) / 64 * 64);
	if (!cp)
		return NULL;
	memset(cp, 0, sizeof *cp);
	nhash_init(&cp->hash, key);
	return cp;
}

void copies_free(struct copies *cp)
{
	free(cp);
}

static uint16_t ip_id(const struct segment *seg)
{
	return seg->family == 4 && seg->l3_captured_bytes >= 6 ? (uint16_t)(seg->l3[4] << 8 | seg->l3[5]) : 0;
}

static uint64_t fingerprint(const struct copies *cp, uint64_t flow, unsigned dir, const struct segment *seg,
			    enum copies_kind kind)
{
	struct {
		uint64_t flow;
		uint32_t dir, bytes, seq, id;
		uint8_t first[COPIES_BYTES];
	} x = {.flow = flow, .dir = dir, .bytes = seg->payload_bytes};
	if (kind == COPIES_TCP) {
		x.seq = seg->tcp_seq;
		x.id = ip_id(seg);
	}
	uint32_t n = seg->payload_captured_bytes < COPIES_BYTES ? seg->payload_captured_bytes : COPIES_BYTES;
	memcpy(x.first, seg->payload, n);
	if (kind == COPIES_QUIC && n && seg->payload[0] & QUIC_LONG_HEADER) {
		uint64_t all = nhash_bytes(&cp->hash, seg->payload, seg->payload_captured_bytes);
		memcpy(x.first, &all, sizeof all);
	}
	uint64_t h = nhash_bytes(&cp->hash, &x, sizeof x);
	return h ? h : 1;
}

/* How the datagram came by: equal for repeats of the sender, different for copies of a tap on several VLANs
 * or sides of a router. */
static uint16_t way_of(const struct segment *seg)
{
	uint32_t w = seg->ttl;
	for (unsigned i = 0; i < seg->n_vlan && i < DECODE_MAX_TAGS; i++)
		w = w * 31 + seg->vlan[i] + 1;
	return (uint16_t)(w ^ w >> 16);
}

static bool within(uint64_t a_us, uint64_t b_us)
{
	uint64_t apart = a_us > b_us ? a_us - b_us : b_us - a_us;
	return apart <= COPIES_WINDOW_NS / ns_per_us;
}

bool copies_seen(struct copies *cp, uint64_t flow, unsigned dir, const struct segment *seg,
		 enum copies_kind kind)
{
	uint64_t hash = fingerprint(cp, flow, dir, seg, kind);
	uint64_t us = seg->ts_ns / ns_per_us & ((UINT64_C(1) << 48) - 1);
	uint16_t way = way_of(seg);
	struct copies_entry *bucket = cp->at[hash % COPIES_BUCKETS], *victim = bucket;
	for (unsigned i = 0; i < COPIES_WAYS; i++) {
		struct copies_entry *e = &bucket[i];
		if (e->hash == hash && within(e->us, us) && (kind != COPIES_OTHER_UDP || e->way != way))
			return true;
		if (e->hash == hash) {
			victim = e;
			break;
		}
		if (!e->hash || (victim->hash && e->us < victim->us))
			victim = e;
	}
	cp->overwritten += victim->hash && victim->hash != hash && within(victim->us, us);
	victim->hash = hash;
	victim->way = way;
	victim->us = us & ((UINT64_C(1) << 48) - 1);
	return false;
}

uint64_t copies_overwritten(const struct copies *cp)
{
	return cp->overwritten;
}

size_t copies_memory_bytes(void)
{
	return sizeof(struct copies);
}
