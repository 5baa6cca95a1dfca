#include "dissect/dnscache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "capture/base/nhash.h"

enum {
	DEFAULT_ENTRIES = 65536,
	DEFAULT_GRACE_S = 7200,
	MAX_ENTRIES = 1 << 24,
	MAX_TTL_S = 7 * 86400, /* resolvers clamp as well */
	MAX_NAMES = 8,         /* per client and address */
	NONE = UINT32_MAX,
};

#define NS_PER_S UINT64_C(1000000000)
/* Receive queues may hand over an answer after the connection that it led to. */
#define EARLY_NS UINT64_C(100000000)

struct key {
	uint8_t client[16], server[16];
	uint8_t client_family, server_family, zone, zero[5];
};
static_assert(sizeof(struct key) == 40, "hashed as bytes");

/* Shared by the entries of one message. */
struct name {
	uint32_t refs;
	uint32_t n;
	char text[];
};

/* One name that one client was given for one address. */
struct entry {
	struct key key;
	uint64_t since_ns, until_ns; /* continuously valid */
	struct name *name;
	uint32_t bucket;
	uint32_t older, younger; /* by time of the last store */
};

/* Of a bucket's chain, newest first; beside the entries, so that a search touches an entry only when it is most
 * likely the one: nearly every flow searches, few find. */
struct link {
	uint32_t tag; /* of the key's hash */
	uint32_t next, back; /* back NONE: the first */
};

struct dnscache {
	struct nhash hash;
	uint64_t grace_ns;
	uint32_t max_entries, n_buckets;
	uint32_t n_entries, n_used; /* n_used: entries ever handed out; those beyond were never touched */
	uint32_t free, oldest, youngest;
	size_t name_bytes;
	uint64_t stored, evicted, expired, hits, misses;
	uint32_t *buckets;
	struct link *links; /* of the entry with the same index */
	struct entry *entries;
};

static uint32_t power_of_two(uint32_t n)
{
	uint32_t p = 1;
	while (p < n)
		p *= 2;
	return p;
}

struct dnscache *dnscache_new(size_t max_entries, uint64_t grace_ns)
{
	struct dnscache *dc = calloc(1, sizeof *dc);
	if (!dc)
		return NULL;
	size_t n = max_entries ? max_entries : DEFAULT_ENTRIES;
	dc->max_entries = (uint32_t)(n < MAX_ENTRIES ? n : MAX_ENTRIES);
	dc->n_buckets = power_of_two(dc->max_entries);
	dc->grace_ns = grace_ns ? grace_ns : DEFAULT_GRACE_S * NS_PER_S;
	dc->free = dc->oldest = dc->youngest = NONE;
	dc->buckets = malloc(dc->n_buckets * sizeof *dc->buckets);
	dc->links = calloc(dc->max_entries, sizeof *dc->links);
	dc->entries = calloc(dc->max_entries, sizeof *dc->entries);
	struct hash_key key;
	if (!dc->buckets || !dc->links || !dc->entries || getrandom(&key, sizeof key, 0) != sizeof key) {
		dnscache_free(dc);
		return NULL;
	}
	nhash_init(&dc->hash, key);
	memset(dc->buckets, 0xff, dc->n_buckets * sizeof *dc->buckets);
	return dc;
}

static void name_unref(struct dnscache *dc, struct name *name)
{
	if (--name->refs)
		return;
	dc->name_bytes -= sizeof *name + name->n + 1;
	free(name);
}

void dnscache_free(struct dnscache *dc)
{
	if (!dc)
		return;
	for (uint32_t at = dc->oldest; at != NONE; at = dc->entries[at].younger)
		name_unref(dc, dc->entries[at].name);
	free(dc->entries);
	free(dc->links);
	free(dc->buckets);
	free(dc);
}

static struct name *name_new(struct dnscache *dc, const char *text)
{
	size_t n = strnlen(text, FACTS_MAX_NAME);
	struct name *name = malloc(sizeof *name + n + 1);
	if (!name)
		return NULL;
	name->refs = 1;
	name->n = (uint32_t)n;
	memcpy(name->text, text, n);
	name->text[n] = '\0';
	dc->name_bytes += sizeof *name + n + 1;
	return name;
}

static struct key key_of(uint8_t zone, const struct facts_addr *client, const struct facts_addr *server)
{
	struct key key = {.client_family = client->family, .server_family = server->family, .zone = zone};
	memcpy(key.client, client->ip, client->family == 4 ? 4 : 16);
	memcpy(key.server, server->ip, server->family == 4 ? 4 : 16);
	return key;
}

/* Where a key belongs. */
struct place {
	uint32_t bucket, tag;
};

static struct place place_of(const struct dnscache *dc, const struct key *key)
{
	uint64_t hash = nhash_bytes(&dc->hash, key, sizeof *key);
	return (struct place){(uint32_t)hash & (dc->n_buckets - 1), (uint32_t)(hash >> 32)};
}

/* Makes the entry the newest of its bucket and of the cache. */
static void link_newest(struct dnscache *dc, uint32_t at)
{
	struct entry *e = &dc->entries[at];
	struct link *l = &dc->links[at];
	l->next = dc->buckets[e->bucket];
	l->back = NONE;
	if (l->next != NONE)
		dc->links[l->next].back = at;
	dc->buckets[e->bucket] = at;
	e->older = dc->youngest;
	e->younger = NONE;
	if (e->older != NONE)
		dc->entries[e->older].younger = at;
	else
		dc->oldest = at;
	dc->youngest = at;
}

static void unlink_entry(struct dnscache *dc, uint32_t at)
{
	const struct entry *e = &dc->entries[at];
	const struct link *l = &dc->links[at];
	if (l->next != NONE)
		dc->links[l->next].back = l->back;
	if (l->back != NONE)
		dc->links[l->back].next = l->next;
	else
		dc->buckets[e->bucket] = l->next;
	if (e->younger != NONE)
		dc->entries[e->younger].older = e->older;
	else
		dc->youngest = e->older;
	if (e->older != NONE)
		dc->entries[e->older].younger = e->younger;
	else
		dc->oldest = e->younger;
}

static void drop(struct dnscache *dc, uint32_t at, uint64_t now_ns)
{
	struct entry *e = &dc->entries[at];
	if (e->until_ns < now_ns)
		dc->expired++;
	else
		dc->evicted++;
	unlink_entry(dc, at);
	name_unref(dc, e->name);
	dc->links[at].next = dc->free;
	dc->free = at;
	dc->n_entries--;
}

static uint32_t take_free(struct dnscache *dc, uint64_t now_ns)
{
	if (dc->n_entries == dc->max_entries)
		drop(dc, dc->oldest, now_ns);
	uint32_t at = dc->free;
	if (at == NONE)
		at = dc->n_used++;
	else
		dc->free = dc->links[at].next;
	dc->n_entries++;
	return at;
}

/* The entry of this key with this name, or NONE. Drops what is out of date, and the oldest name of a full
 * key. */
static uint32_t find_name(struct dnscache *dc, const struct key *key, struct place place, const char *text,
			  uint64_t now_ns)
{
	int n = 0;
	uint32_t next, same = NONE, last = NONE;
	for (uint32_t at = dc->buckets[place.bucket]; at != NONE; at = next) {
		struct entry *e = &dc->entries[at];
		next = dc->links[at].next;
		if (dc->links[at].tag != place.tag || memcmp(&e->key, key, sizeof *key))
			continue;
		if (!strcmp(e->name->text, text)) {
			same = at;
		} else if (e->until_ns < now_ns) {
			drop(dc, at, now_ns);
		} else {
			n++;
			last = at;
		}
	}
	if (same == NONE && n == MAX_NAMES)
		drop(dc, last, now_ns);
	return same;
}

static void store(struct dnscache *dc, const struct key *key, struct name *name, uint64_t now_ns,
		  uint64_t until_ns)
{
	struct place place = place_of(dc, key);
	uint32_t at = find_name(dc, key, place, name->text, now_ns);
	if (at != NONE) {
		struct entry *e = &dc->entries[at];
		unlink_entry(dc, at);
		if (e->until_ns < now_ns)
			e->since_ns = now_ns;
		if (until_ns > e->until_ns)
			e->until_ns = until_ns;
	} else {
		at = take_free(dc, now_ns);
		dc->entries[at] = (struct entry){
		    .key = *key, .bucket = place.bucket, .since_ns = now_ns, .until_ns = until_ns, .name = name};
		dc->links[at].tag = place.tag;
		name->refs++;
	}
	link_newest(dc, at);
	dc->stored++;
}

void dnscache_store(struct dnscache *dc, uint8_t zone, const struct facts_addr *client,
		    const struct dns_message *msg, uint64_t now_ns)
{
	if (!msg->response || msg->rcode || !msg->query[0] || !msg->n_answers)
		return;
	struct name *name = name_new(dc, msg->query);
	if (!name)
		return;
	for (size_t i = 0; i < msg->n_answers; i++) {
		const struct dns_answer *answer = &msg->answers[i];
		struct key key = key_of(zone, client, &answer->addr);
		uint64_t ttl_s = answer->ttl_s < MAX_TTL_S ? answer->ttl_s : MAX_TTL_S;
		store(dc, &key, name, now_ns, now_ns + ttl_s * NS_PER_S + dc->grace_ns);
	}
	name_unref(dc, name);
}

size_t dnscache_find(struct dnscache *dc, uint8_t zone, const struct facts_addr *client,
		     const struct facts_addr *server, uint64_t now_ns, const char **ret_names, size_t max)
{
	struct key key = key_of(zone, client, server);
	struct place place = place_of(dc, &key);
	size_t n = 0;
	for (uint32_t at = dc->buckets[place.bucket]; at != NONE && n < max; at = dc->links[at].next) {
		const struct entry *e = &dc->entries[at];
		if (dc->links[at].tag != place.tag || memcmp(&e->key, &key, sizeof key) || e->since_ns > now_ns + EARLY_NS ||
		    e->until_ns < now_ns)
			continue;
		ret_names[n++] = e->name->text;
	}
	if (n)
		dc->hits++;
	else
		dc->misses++;
	return n;
}

void dnscache_stats(const struct dnscache *dc, struct dnscache_stats *ret)
{
	*ret = (struct dnscache_stats){
	    .stored = dc->stored,
	    .evicted = dc->evicted,
	    .expired = dc->expired,
	    .hits = dc->hits,
	    .misses = dc->misses,
	    .entries = dc->n_entries,
	    .max_entries = dc->max_entries,
	    .memory_bytes = sizeof *dc + dc->n_buckets * sizeof *dc->buckets +
			    dc->max_entries * (sizeof *dc->entries + sizeof *dc->links) + dc->name_bytes,
	};
}
