#include "dissect/label.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "capture/base/nhash.h"
#include "dissect/arena.h"

/* One arena cut into units of 16 bytes; a label's id is the number of its first unit, so that looking one up is
 * one addition. Freed labels go to the free list of their size class. The index is a linear hash (Litwin 1980):
 * it grows by a bucket or two per label, so no insertion ever pays for a rehash of millions. */
enum {
	UNIT = 16,
	FINE_CLASSES = 32, /* every 16 bytes up to 512 */
	COARSE_STEP = 512, /* then every 512 */
	CLASSES = FINE_CLASSES + 16,
	FIRST_BUCKETS = 1024,
	BUCKETS_PER_LABEL = 2, /* most buckets hold one: a chain is read from cold memory */
	FIELDS = 10,
	MAX_STRING = 255,
	MAX_BLOB = 8192,
};

/* Strings follow, terminated; at[] holds their offset from the blob's start, 0 = NULL. Equal strings are kept
 * once. */
struct blob {
	uint32_t hash, refs, next; /* next: in the bucket, or in the free list */
	uint16_t bytes;            /* all of it */
	uint8_t name_source, n_candidates;
	uint32_t flags;
	uint16_t tls_version;
	uint16_t at[FIELDS];
	uint16_t candidate_at[FACTS_MAX_CANDIDATES];
};
static_assert(offsetof(struct blob, bytes) == 12, "what follows next is hashed and compared");

struct labels {
	struct arena units;
	uint32_t fresh; /* the first unit never handed out */
	uint32_t free_list[CLASSES];
	struct arena buckets; /* uint32_t: id of the first label */
	uint32_t n_buckets, round; /* buckets of this round: a power of two <= n_buckets */
	uint32_t n, max;
	uint64_t refused;
	struct nhash hash;
	union {
		struct blob b;
		uint8_t bytes[MAX_BLOB];
	} draft; /* the label being looked up */
};
static_assert(sizeof(struct blob) + (FIELDS + FACTS_MAX_CANDIDATES) * (MAX_STRING + 1) <= MAX_BLOB,
	      "the draft holds any label");
static_assert((FINE_CLASSES * UNIT) + (CLASSES - FINE_CLASSES) * COARSE_STEP >= MAX_BLOB,
	      "a class for any label");

static struct blob *blob_at(const struct labels *ls, uint32_t id)
{
	return arena_at(&ls->units, id);
}

static unsigned class_of(size_t bytes)
{
	if (bytes <= FINE_CLASSES * UNIT)
		return (unsigned)((bytes + UNIT - 1) / UNIT) - 1;
	return FINE_CLASSES + (unsigned)((bytes - FINE_CLASSES * UNIT + COARSE_STEP - 1) / COARSE_STEP) - 1;
}

static uint32_t class_units(unsigned c)
{
	if (c < FINE_CLASSES)
		return c + 1;
	return FINE_CLASSES + (c - FINE_CLASSES + 1) * (COARSE_STEP / UNIT);
}

static uint32_t blob_take(struct labels *ls, size_t bytes)
{
	unsigned c = class_of(bytes);
	uint32_t id = ls->free_list[c];
	if (id) {
		ls->free_list[c] = blob_at(ls, id)->next;
		return id;
	}
	uint32_t units = class_units(c);
	if (units > ls->units.max - ls->fresh || !arena_reach(&ls->units, ls->fresh + units))
		return 0;
	id = ls->fresh;
	ls->fresh += units;
	return id;
}

static uint32_t *bucket_at(const struct labels *ls, uint32_t b)
{
	return arena_at(&ls->buckets, b + 1);
}

static uint32_t *bucket_of(const struct labels *ls, uint32_t hash)
{
	uint32_t b = hash & (2 * ls->round - 1);
	return bucket_at(ls, b < ls->n_buckets ? b : hash & (ls->round - 1));
}

/* Splits the next bucket of the round in two. */
static void index_grow(struct labels *ls)
{
	uint32_t fresh = ls->n_buckets;
	if (fresh == ls->buckets.max || !arena_reach(&ls->buckets, fresh + 1))
		return;
	uint32_t *from = bucket_at(ls, fresh - ls->round), *to = bucket_at(ls, fresh);
	uint32_t id = *from;
	*from = *to = 0;
	while (id) {
		struct blob *b = blob_at(ls, id);
		uint32_t next = b->next;
		uint32_t *into = b->hash & ls->round ? to : from;
		b->next = *into;
		*into = id;
		id = next;
	}
	ls->n_buckets++;
	if (ls->n_buckets == 2 * ls->round)
		ls->round = ls->n_buckets;
}

struct labels *labels_new(size_t max_labels, size_t max_bytes)
{
	struct labels *ls = calloc(1, sizeof *ls);
	if (!ls)
		return NULL;
	ls->max = max_labels && max_labels < UINT32_MAX ? (uint32_t)max_labels : 4194304;
	size_t units = (max_bytes ? max_bytes : (size_t)1 << 30) / UNIT;
	units = units < 1 ? 1 : units > UINT32_MAX / 2 ? UINT32_MAX / 2 : units;
	uint32_t buckets = ls->max < (UINT32_MAX / 2 - FIRST_BUCKETS) / BUCKETS_PER_LABEL
			       ? ls->max * BUCKETS_PER_LABEL + FIRST_BUCKETS
			       : UINT32_MAX / 2;
	if (arena_init(&ls->units, UNIT, (uint32_t)units, true) ||
	    arena_init(&ls->buckets, sizeof(uint32_t), buckets, true) ||
	    !arena_reach(&ls->buckets, FIRST_BUCKETS))
		goto free_labels;
	ls->fresh = 1; /* ids begin at 1: 0 means no label */
	ls->n_buckets = ls->round = FIRST_BUCKETS;
	/* The kernel's 16 random bytes for this process, without a system call. */
	const void *seed = (const void *)getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr)
	struct hash_key key = {0, 0};
	if (seed)
		memcpy(&key, seed, sizeof key);
	nhash_init(&ls->hash, key);
	return ls;
free_labels:
	labels_free(ls);
	return NULL;
}

void labels_free(struct labels *ls)
{
	if (!ls)
		return;
	arena_done(&ls->buckets);
	arena_done(&ls->units);
	free(ls);
}

/* The offset of s within the draft, appended unless one of the n strings before it is the same. */
static uint16_t draft_string(struct labels *ls, const char *s, const uint16_t *before, size_t n)
{
	if (!s)
		return 0;
	struct blob *b = &ls->draft.b;
	size_t len = strnlen(s, MAX_STRING);
	for (size_t i = 0; i < n; i++) {
		const char *old = (const char *)ls->draft.bytes + before[i];
		if (before[i] && old[0] == s[0] && strncmp(old, s, len) == 0 && old[len] == 0)
			return before[i];
	}
	uint16_t at = b->bytes;
	memcpy(ls->draft.bytes + at, s, len);
	ls->draft.bytes[at + len] = 0;
	b->bytes = (uint16_t)(at + len + 1);
	return at;
}

static void draft_make(struct labels *ls, const struct label *l)
{
	struct blob *b = &ls->draft.b;
	const char *const fields[FIELDS] = {l->name,          l->sni,      l->connect_host, l->http_host,
					    l->ja3,           l->ja4,      l->alpn,         l->app_proto,
					    l->ndpi_protocol, l->ndpi_name};
	memset(b, 0, sizeof *b);
	b->name_source = l->name_source;
	b->tls_version = l->tls_version;
	b->flags = l->flags;
	b->n_candidates =
	    (uint8_t)(l->n_candidates < FACTS_MAX_CANDIDATES ? l->n_candidates : FACTS_MAX_CANDIDATES);
	/* Only as many candidate offsets as there are; most labels have none. */
	b->bytes =
	    (uint16_t)(offsetof(struct blob, candidate_at) + b->n_candidates * sizeof b->candidate_at[0]);
	for (size_t i = 0; i < FIELDS; i++)
		b->at[i] = draft_string(ls, fields[i], b->at, i);
	for (size_t i = 0; i < b->n_candidates; i++)
		b->candidate_at[i] =
		    draft_string(ls, l->candidates[i] ? l->candidates[i] : "", b->at, FIELDS);
}

enum { CONTENT = offsetof(struct blob, bytes) }; /* hashed and compared from here on */

static uint32_t content_hash(const struct labels *ls, const struct blob *b)
{
	return (uint32_t)nhash_bytes(&ls->hash, (const uint8_t *)b + CONTENT, b->bytes - CONTENT);
}

/* The shared label that says the same, or 0. b->hash is set. */
static uint32_t find_same(const struct labels *ls, const struct blob *b)
{
	uint32_t id = *bucket_of(ls, b->hash);
	while (id) {
		const struct blob *other = blob_at(ls, id);
		if (other->hash == b->hash && other->bytes == b->bytes &&
		    !memcmp((const uint8_t *)other + CONTENT, (const uint8_t *)b + CONTENT, b->bytes - CONTENT))
			break;
		id = other->next;
	}
	return id;
}

static void share(struct labels *ls, uint32_t id)
{
	ls->n++;
	for (int i = 0; i < BUCKETS_PER_LABEL && ls->n > ls->n_buckets / BUCKETS_PER_LABEL; i++)
		index_grow(ls);
	struct blob *b = blob_at(ls, id);
	uint32_t *bucket = bucket_of(ls, b->hash);
	b->refs = 1;
	b->next = *bucket;
	*bucket = id;
}

static void blob_free(struct labels *ls, uint32_t id)
{
	struct blob *b = blob_at(ls, id);
	unsigned c = class_of(b->bytes);
	b->next = ls->free_list[c];
	ls->free_list[c] = id;
}

static uint32_t blob_copy(struct labels *ls, const struct blob *b)
{
	uint32_t id = blob_take(ls, b->bytes);
	if (id)
		memcpy(blob_at(ls, id), b, b->bytes);
	return id;
}

uint32_t label_intern(struct labels *ls, const struct label *l)
{
	draft_make(ls, l);
	struct blob *draft = &ls->draft.b;
	draft->hash = content_hash(ls, draft);
	uint32_t id = find_same(ls, draft);
	if (id) {
		blob_at(ls, id)->refs++;
		return id;
	}
	id = ls->n < ls->max ? blob_copy(ls, draft) : 0;
	if (id)
		share(ls, id);
	else
		ls->refused++;
	return id;
}

uint32_t label_draft(struct labels *ls, const struct label *l)
{
	draft_make(ls, l); /* refs 0: nobody else has it */
	uint32_t id = blob_copy(ls, &ls->draft.b);
	ls->refused += !id;
	return id;
}

uint32_t label_settle(struct labels *ls, uint32_t id)
{
	if (!id || blob_at(ls, id)->refs)
		return id;
	struct blob *b = blob_at(ls, id);
	b->hash = content_hash(ls, b);
	uint32_t same = find_same(ls, b);
	if (!same && ls->n < ls->max) {
		share(ls, id);
		return id;
	}
	if (same)
		blob_at(ls, same)->refs++;
	else
		ls->refused++;
	blob_free(ls, id);
	return same;
}

void label_ref(struct labels *ls, uint32_t id)
{
	if (id)
		blob_at(ls, id)->refs++;
}

void label_unref(struct labels *ls, uint32_t id)
{
	if (!id)
		return;
	struct blob *b = blob_at(ls, id);
	if (b->refs > 1) {
		b->refs--;
		return;
	}
	if (b->refs) {
		uint32_t *link = bucket_of(ls, b->hash);
		while (*link != id)
			link = &blob_at(ls, *link)->next;
		*link = b->next;
		ls->n--;
	}
	blob_free(ls, id);
}

void label_get(const struct labels *ls, uint32_t id, struct label *ret)
{
	*ret = (struct label){0};
	if (!id)
		return;
	const struct blob *b = blob_at(ls, id);
	const char **const fields[FIELDS] = {
	    &ret->name, &ret->sni,  &ret->connect_host, &ret->http_host,     &ret->ja3,
	    &ret->ja4,  &ret->alpn, &ret->app_proto,    &ret->ndpi_protocol, &ret->ndpi_name};
	for (size_t i = 0; i < FIELDS; i++)
		*fields[i] = b->at[i] ? (const char *)b + b->at[i] : NULL;
	for (size_t i = 0; i < b->n_candidates; i++)
		ret->candidates[i] = (const char *)b + b->candidate_at[i];
	ret->n_candidates = b->n_candidates;
	ret->name_source = b->name_source;
	ret->tls_version = b->tls_version;
	ret->flags = b->flags;
}

void label_prefetch(const struct labels *ls, uint32_t id)
{
	if (!id)
		return;
	const uint8_t *b = (const uint8_t *)blob_at(ls, id);
	__builtin_prefetch(b);
	__builtin_prefetch(b + 64);
}

uint64_t labels_refused(const struct labels *ls)
{
	return ls->refused;
}

size_t labels_memory_bytes(const struct labels *ls)
{
	return sizeof *ls + arena_memory_bytes(&ls->units) + arena_memory_bytes(&ls->buckets);
}
