/* flowtab: the flows of one worker: entries by id, found by key. The index holds (tag, id) pairs in buckets
 * of one cache line; a lookup costs one line of the index and the entry. The index grows by a quarter without
 * touching entries, since a slot's place follows from its tag. One thread.
 *
 * Every entry has a due time beside it; sweeping reads those, not the entries. It is a lower bound: traffic
 * does not move it, the sweeper asks the entry when it comes due and sets it again. */
#ifndef LEAKTAP_DISSECT_FLOWTAB_H
#define LEAKTAP_DISSECT_FLOWTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/nhash.h"
#include "dissect/arena.h"
#include "dissect/decode.h"
#include "dissect/flow.h"

/* Canonical, hashed and compared as bytes; IPv4 hashes 16 of them. */
struct flowkey {
	uint8_t ip[2][16]; /* IPv4 in the first 4 bytes, rest zero */
	uint16_t port[2];  /* host order */
	uint8_t proto, family;
	uint16_t vlan; /* id of the tags when they are part of the key, else 0 */
};
static_assert(sizeof(struct flowkey) == 40, "hashed as bytes: no padding");
static_assert(offsetof(struct flowkey, port) == 32, "8 bytes from the ports on");

struct flowtab_slot {
	uint32_t tag, id; /* id 0: empty */
};
enum { FLOWTAB_BUCKET = 8 };

struct flowtab {
	struct arena flows, ends, due; /* struct flow, struct flow_ends, uint32_t seconds */
	struct flowtab_slot *slots;
	size_t mapped_bytes;
	uint32_t n_buckets, used;
	uint32_t hand; /* sweeping: last id looked at */
	bool ordered;  /* the index was given up for flowtab_order */
	struct nhash hash;
	const uint16_t *vlan_of; /* by vantage: id of its tags; NULL when tags are not part of the key.
				    Borrowed from vantage */
};

int flowtab_init(struct flowtab *ft, uint32_t max_flows, struct hash_key key);
void flowtab_done(struct flowtab *ft);

/* The key of a segment; *ret_side is 0 when its sender is the low end. */
void flowtab_key(struct flowkey *ret_key, const struct segment *seg, uint16_t vlan, unsigned *ret_side);
static inline uint32_t flowtab_hash(const struct flowtab *ft, const struct flowkey *key)
{
	if (key->family == 6)
		return (uint32_t)nhash_bytes(&ft->hash, key, sizeof *key);
	uint8_t v4[16];
	memcpy(v4, key->ip[0], 4);
	memcpy(v4 + 4, key->ip[1], 4);
	memcpy(v4 + 8, key->port, 8); /* and all behind it */
	return (uint32_t)nhash_bytes(&ft->hash, v4, sizeof v4);
}

static inline struct flowtab_slot *flowtab_bucket(const struct flowtab *ft, uint32_t hash)
{
	return ft->slots + ((uint64_t)hash * ft->n_buckets >> 32) * FLOWTAB_BUCKET;
}

static inline void flowtab_prefetch_bucket(const struct flowtab *ft, uint32_t hash)
{
	__builtin_prefetch(flowtab_bucket(ft, hash));
}

static inline struct flow *flowtab_at(const struct flowtab *ft, uint32_t id)
{
	return (struct flow *)(void *)ft->flows.objects + (id - 1); /* by a size the compiler knows */
}

static inline void flowtab_prefetch(const struct flowtab *ft, uint32_t id)
{
	const uint8_t *f = (const uint8_t *)flowtab_at(ft, id);
	__builtin_prefetch(f, 1);
	__builtin_prefetch(f + 64, 1);
}

/* After the bucket has arrived: asks for the entry that probably matches, and says where the index has it. 0: none. */
uint32_t flowtab_prefetch_flow(const struct flowtab *ft, uint32_t hash);
/* The id that the index has there by now. 0: none. */
static inline uint32_t flowtab_id_at(const struct flowtab *ft, uint32_t where)
{
	return where ? ft->slots[where - 1].id : 0;
}
/* After that entry has arrived: asks for the addresses that a comparison needs. */
static inline void flowtab_prefetch_ends(const struct flowtab *ft, const struct flow *f)
{
	if (flow_has(f, FLOW_V6))
		__builtin_prefetch(arena_at(&ft->ends, f->v6.ends));
}
uint32_t flowtab_find(const struct flowtab *ft, const struct flowkey *key, uint32_t hash); /* 0: none */
/* The same, looking first where flowtab_prefetch_flow said. */
uint32_t flowtab_find_at(const struct flowtab *ft, const struct flowkey *key, uint32_t hash, uint32_t where);
/* A new entry with key and due time 0, the rest zero. 0 when max_flows are in use or memory is short: evict
 * one and try again. key must not be there. */
uint32_t flowtab_add(struct flowtab *ft, const struct flowkey *key, uint32_t hash, uint16_t vantage);
void flowtab_remove(struct flowtab *ft, uint32_t id);
/* The entry has arrived and will be removed soon: asks for its line of the index. */
void flowtab_prefetch_remove(const struct flowtab *ft, uint32_t id);
void flowtab_key_of(const struct flowtab *ft, uint32_t id, struct flowkey *ret_key);

/* The next id at or below due_s in up to *budget steps from the hand on, or 0; *budget is what is left. */
uint32_t flowtab_sweep(struct flowtab *ft, uint32_t now_s, uint32_t *budget);
void flowtab_set_due(struct flowtab *ft, uint32_t id, uint32_t due_s);
bool flowtab_live(const struct flowtab *ft, uint32_t id);

/* All ids by (start_ns, birth), in memory that was the index: flows can only be removed any more, until
 * flowtab_clear. */
const uint32_t *flowtab_order(struct flowtab *ft, size_t *ret_n);
void flowtab_clear(struct flowtab *ft);
size_t flowtab_memory_bytes(const struct flowtab *ft);

#endif
