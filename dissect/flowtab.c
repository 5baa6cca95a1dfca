#include "dissect/flowtab.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { FLOWTAB_FIRST_BUCKETS = 512, FLOWTAB_HUGE_BYTES = 2 << 20, SWEEP_BLOCK = 16 };

static const uint32_t due_never = UINT32_MAX; /* marks ids not in use */

static struct flowtab_slot *map_slots(uint32_t n_buckets, size_t *ret_bytes)
{
	size_t bytes = (size_t)n_buckets * FLOWTAB_BUCKET * sizeof(struct flowtab_slot);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (bytes >= FLOWTAB_HUGE_BYTES)
		(void)madvise(p, bytes, MADV_HUGEPAGE); /* a wish */
	*ret_bytes = bytes;
	return p;
}

int flowtab_init(struct flowtab *ft, uint32_t max_flows, struct hash_key key)
{
	*ft = (struct flowtab){.n_buckets = FLOWTAB_FIRST_BUCKETS};
	nhash_init(&ft->hash, key);
	int r = arena_init(&ft->flows, sizeof(struct flow), max_flows, true);
	if (r < 0)
		return r;
	r = arena_init(&ft->ends, sizeof(struct flow_ends), max_flows, true);
	if (r < 0)
		goto undo;
	r = arena_init(&ft->due, sizeof(uint32_t), max_flows, true);
	if (r < 0)
		goto undo;
	r = -ENOMEM;
	ft->slots = map_slots(ft->n_buckets, &ft->mapped_bytes);
	if (ft->slots)
		return 0;
undo:
	flowtab_done(ft);
	return r;
}

void flowtab_done(struct flowtab *ft)
{
	if (ft->slots)
		munmap(ft->slots, ft->mapped_bytes);
	arena_done(&ft->due);
	arena_done(&ft->ends);
	arena_done(&ft->flows);
	*ft = (struct flowtab){0};
}

void flowtab_key(struct flowkey *ret_key, const struct segment *seg, uint16_t vlan, unsigned *ret_side)
{
	/* the order of memcmp: flow ids depend on it */
	uint64_t src[2], dst[2];
	memcpy(src, seg->src, 16);
	memcpy(dst, seg->dst, 16);
	unsigned side = be64toh(src[0]) > be64toh(dst[0]);
	if (src[0] == dst[0])
		side = src[1] == dst[1] ? seg->sport > seg->dport : be64toh(src[1]) > be64toh(dst[1]);
	memcpy(ret_key->ip[side], seg->src, 16);
	memcpy(ret_key->ip[!side], seg->dst, 16);
	ret_key->port[side] = seg->sport;
	ret_key->port[!side] = seg->dport;
	ret_key->proto = seg->proto;
	ret_key->family = seg->family;
	ret_key->vlan = vlan;
	*ret_side = side;
}

uint32_t flowtab_prefetch_flow(const struct flowtab *ft, uint32_t hash)
{
	const struct flowtab_slot *b = flowtab_bucket(ft, hash);
	for (unsigned i = 0; i < FLOWTAB_BUCKET; i++) {
		if (b[i].tag != hash || !b[i].id)
			continue;
		flowtab_prefetch(ft, b[i].id);
		return (uint32_t)(b + i - ft->slots) + 1;
	}
	return 0;
}

static bool same(const struct flowtab *ft, const struct flow *f, const struct flowkey *key, uint32_t hash)
{
	bool differs = (f->port[0] ^ key->port[0]) | (f->port[1] ^ key->port[1]) | (f->proto ^ key->proto);
	if (differs || (ft->vlan_of && ft->vlan_of[f->vantage] != key->vlan))
		return false;
	if (!flow_has(f, FLOW_V6)) {
		uint32_t low, high;
		memcpy(&low, key->ip[0], 4);
		memcpy(&high, key->ip[1], 4);
		return key->family == 4 && f->v4[0] == low && f->v4[1] == high;
	}
	if (key->family != 6 || f->v6.tag != hash)
		return false;
	return memcmp(arena_at(&ft->ends, f->v6.ends), key->ip, sizeof key->ip) == 0;
}

/* Buckets are runs of an open-addressed array: a full bucket goes over into the next one, an empty slot ends
 * the search. */
uint32_t flowtab_find(const struct flowtab *ft, const struct flowkey *key, uint32_t hash)
{
	const struct flowtab_slot *end = ft->slots + (size_t)ft->n_buckets * FLOWTAB_BUCKET;
	for (const struct flowtab_slot *s = flowtab_bucket(ft, hash); s->id;
	     s = s + 1 == end ? ft->slots : s + 1)
		if (s->tag == hash && same(ft, flowtab_at(ft, s->id), key, hash))
			return s->id;
	return 0;
}

uint32_t flowtab_find_at(const struct flowtab *ft, const struct flowkey *key, uint32_t hash, uint32_t where)
{
	uint32_t id = flowtab_id_at(ft, where);
	return id && same(ft, flowtab_at(ft, id), key, hash) ? id : flowtab_find(ft, key, hash);
}

static void put_slot(struct flowtab *ft, struct flowtab_slot slot)
{
	const struct flowtab_slot *end = ft->slots + (size_t)ft->n_buckets * FLOWTAB_BUCKET;
	struct flowtab_slot *s = flowtab_bucket(ft, slot.tag);
	while (s->id)
		s = s + 1 == end ? ft->slots : s + 1;
	*s = slot;
}

/* By a quarter, so that the index never is much larger than its content. */
static bool grow(struct flowtab *ft)
{
	struct flowtab_slot *old = ft->slots;
	size_t old_bytes = ft->mapped_bytes;
	size_t n = (size_t)ft->n_buckets * FLOWTAB_BUCKET;
	uint32_t n_buckets = ft->n_buckets + ft->n_buckets / 4;
	struct flowtab_slot *slots = map_slots(n_buckets, &ft->mapped_bytes);
	if (!slots)
		return false;
	ft->slots = slots;
	ft->n_buckets = n_buckets;
	for (size_t i = 0; i < n; i++)
		if (old[i].id)
			put_slot(ft, old[i]);
	munmap(old, old_bytes);
	return true;
}

static bool room(struct flowtab *ft)
{
	uint64_t slots = (uint64_t)ft->n_buckets * FLOWTAB_BUCKET;
	if (ft->used < slots * 85 / 100)
		return true;
	/* a crowded index is slow, a full one would never end a search */
	return grow(ft) || ft->used < slots * 95 / 100;
}

uint32_t flowtab_add(struct flowtab *ft, const struct flowkey *key, uint32_t hash, uint16_t vantage)
{
	if (!room(ft))
		return 0;
	uint32_t id = arena_get(&ft->flows);
	if (!id)
		return 0;
	uint32_t ends = 0;
	if (!arena_reach(&ft->due, id) || (key->family == 6 && !(ends = arena_get(&ft->ends)))) {
		arena_put(&ft->flows, id);
		return 0;
	}
	struct flow *f = flowtab_at(ft, id);
	if (key->family == 6) {
		f->state = FLOW_V6;
		f->v6.ends = ends;
		f->v6.tag = hash;
		memcpy(arena_at(&ft->ends, ends), key->ip, sizeof key->ip);
	} else {
		memcpy(&f->v4[0], key->ip[0], 4);
		memcpy(&f->v4[1], key->ip[1], 4);
	}
	f->port[0] = key->port[0];
	f->port[1] = key->port[1];
	f->proto = key->proto;
	f->vantage = vantage;
	f->wscale = FLOW_WSCALE_UNKNOWN << 4 | FLOW_WSCALE_UNKNOWN;
	put_slot(ft, (struct flowtab_slot){hash, id});
	ft->used++;
	flowtab_set_due(ft, id, 0);
	return id;
}

void flowtab_key_of(const struct flowtab *ft, uint32_t id, struct flowkey *ret_key)
{
	const struct flow *f = flowtab_at(ft, id);
	*ret_key = (struct flowkey){.port = {f->port[0], f->port[1]}, .proto = f->proto};
	ret_key->vlan = ft->vlan_of ? ft->vlan_of[f->vantage] : 0;
	if (flow_has(f, FLOW_V6)) {
		ret_key->family = 6;
		memcpy(ret_key->ip, arena_at(&ft->ends, f->v6.ends), sizeof ret_key->ip);
	} else {
		ret_key->family = 4;
		memcpy(ret_key->ip[0], &f->v4[0], 4);
		memcpy(ret_key->ip[1], &f->v4[1], 4);
	}
}

/* Closes the hole at s: every later slot of the run that may move there does (Knuth 6.4, algorithm R). */
static void drop_slot(struct flowtab *ft, struct flowtab_slot *s)
{
	size_t n = (size_t)ft->n_buckets * FLOWTAB_BUCKET;
	size_t hole = (size_t)(s - ft->slots);
	for (size_t i = hole;;) {
		i = i + 1 == n ? 0 : i + 1;
		if (!ft->slots[i].id)
			break;
		size_t home = (size_t)(flowtab_bucket(ft, ft->slots[i].tag) - ft->slots);
		bool stays = hole <= i ? hole < home && home <= i : hole < home || home <= i;
		if (stays)
			continue;
		ft->slots[hole] = ft->slots[i];
		hole = i;
	}
	ft->slots[hole] = (struct flowtab_slot){0, 0};
}

static void unindex(struct flowtab *ft, uint32_t id)
{
	struct flowkey key;
	flowtab_key_of(ft, id, &key);
	const struct flowtab_slot *end = ft->slots + (size_t)ft->n_buckets * FLOWTAB_BUCKET;
	struct flowtab_slot *s = flowtab_bucket(ft, flowtab_hash(ft, &key));
	while (s->id && s->id != id)
		s = s + 1 == end ? ft->slots : s + 1;
	if (!s->id)
		return;
	drop_slot(ft, s);
	ft->used--;
}

void flowtab_prefetch_remove(const struct flowtab *ft, uint32_t id)
{
	struct flowkey key;
	if (ft->ordered)
		return;
	flowtab_key_of(ft, id, &key);
	flowtab_prefetch_bucket(ft, flowtab_hash(ft, &key));
}

void flowtab_remove(struct flowtab *ft, uint32_t id)
{
	const struct flow *f = flowtab_at(ft, id);
	if (!ft->ordered)
		unindex(ft, id);
	if (flow_has(f, FLOW_V6))
		arena_put(&ft->ends, f->v6.ends);
	flowtab_set_due(ft, id, due_never);
	arena_put(&ft->flows, id);
}

void flowtab_set_due(struct flowtab *ft, uint32_t id, uint32_t due_s)
{
	*(uint32_t *)arena_at(&ft->due, id) = due_s;
}

bool flowtab_live(const struct flowtab *ft, uint32_t id)
{
	return id && id <= ft->flows.made && *(const uint32_t *)arena_at(&ft->due, id) != due_never;
}

/* Whether any of SWEEP_BLOCK due times from at on has come; without branches, so that the compiler can compare
 * many at once. */
static bool any_due(const uint32_t *at, uint32_t now_s)
{
	unsigned n = 0;
	for (unsigned i = 0; i < SWEEP_BLOCK; i++)
		n |= at[i] <= now_s;
	return n;
}

uint32_t flowtab_sweep(struct flowtab *ft, uint32_t now_s, uint32_t *budget)
{
	const uint32_t *due = (const uint32_t *)ft->due.objects; /* of id at [id - 1] */
	if (ft->flows.made == 0)
		*budget = 0;
	if (now_s == due_never)
		now_s--;
	while (*budget > 0) {
		if (ft->hand >= ft->flows.made)
			ft->hand = 0;
		if (*budget >= SWEEP_BLOCK && ft->flows.made - ft->hand >= SWEEP_BLOCK &&
		    !any_due(due + ft->hand, now_s)) {
			ft->hand += SWEEP_BLOCK;
			*budget -= SWEEP_BLOCK;
			continue;
		}
		--*budget;
		if (due[ft->hand++] <= now_s)
			return ft->hand;
	}
	return 0;
}

static bool before(const struct flow *a, const struct flow *b)
{
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns;
	return (int32_t)(a->birth - b->birth) < 0;
}

/* Heapsort: in place, no worst case a sender could arrange. */
static void sift(const struct flowtab *ft, uint32_t *ids, size_t root, size_t n)
{
	for (size_t child; (child = 2 * root + 1) < n; root = child) {
		if (child + 1 < n && before(flowtab_at(ft, ids[child]), flowtab_at(ft, ids[child + 1])))
			child++;
		if (!before(flowtab_at(ft, ids[root]), flowtab_at(ft, ids[child])))
			return;
		uint32_t t = ids[root];
		ids[root] = ids[child];
		ids[child] = t;
	}
}

static void sort_ids(const struct flowtab *ft, uint32_t *ids, size_t n)
{
	for (size_t i = n / 2; i-- > 0;)
		sift(ft, ids, i, n);
	for (size_t i = n; i-- > 1;) {
		uint32_t t = ids[0];
		ids[0] = ids[i];
		ids[i] = t;
		sift(ft, ids, 0, i);
	}
}

const uint32_t *flowtab_order(struct flowtab *ft, size_t *ret_n)
{
	uint32_t *ids =
	    (uint32_t *)ft->slots; /* 8 bytes for every slot, at most 95 % used: 4 for every flow fit */
	size_t n = 0;
	bool sorted = true;
	for (uint32_t id = 1; id <= ft->flows.made; id++) {
		if (!flowtab_live(ft, id))
			continue;
		sorted = sorted && (n == 0 || before(flowtab_at(ft, ids[n - 1]), flowtab_at(ft, id)));
		ids[n++] = id;
	}
	if (!sorted)
		sort_ids(ft, ids, n);
	ft->ordered = true;
	*ret_n = n;
	return ids;
}

void flowtab_clear(struct flowtab *ft)
{
	memset(ft->slots, 0, ft->mapped_bytes);
	ft->used = ft->hand = 0;
	ft->ordered = false;
	arena_clear(&ft->flows);
	arena_clear(&ft->ends);
}

size_t flowtab_memory_bytes(const struct flowtab *ft)
{
	return arena_memory_bytes(&ft->flows) + arena_memory_bytes(&ft->ends) + arena_memory_bytes(&ft->due) +
	       ft->mapped_bytes;
}
