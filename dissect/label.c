#include "dissect/label.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "capture/base/hash.h"

/* One arena of 64 KiB chunks cut into units of 16 bytes; a label's id is the number of its first unit, so
 * that looking one up is two additions. Freed labels go to the free list of their size class. The index is a
 * linear hash (Litwin 1980): it grows by one bucket per label, so no insertion ever pays for a rehash of
 * millions. */
enum {
	UNIT = 16,
	CHUNK_BYTES = 65536,
	CHUNK_UNITS = CHUNK_BYTES / UNIT,
	FINE_CLASSES = 32, /* every 16 bytes up to 512 */
	COARSE_STEP = 512, /* then every 512 */
	CLASSES = FINE_CLASSES + 16,
	BUCKETS_PER_PAGE = 4096,
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
	uint8_t **chunks;
	uint32_t n_chunks, max_chunks;
	uint32_t fresh, fresh_end; /* units of the newest chunk not handed out yet */
	uint32_t free_list[CLASSES];
	uint32_t **pages; /* buckets, BUCKETS_PER_PAGE each */
	uint32_t n_pages, max_pages;
	uint32_t n_buckets, round; /* buckets of this round: a power of two <= n_buckets */
	uint32_t n, max;
	uint64_t refused;
	struct hash_key key;
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
	return (struct blob *)(void *)(ls->chunks[id / CHUNK_UNITS] + (size_t)(id % CHUNK_UNITS) * UNIT);
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

static bool chunk_add(struct labels *ls)
{
	if (ls->n_chunks == ls->max_chunks)
		return false;
	uint8_t *chunk = malloc(CHUNK_BYTES);
	if (!chunk)
		return false;
	ls->chunks[ls->n_chunks] = chunk;
	/* Unit 0 of chunk 0 is never given away: id 0 means no label. */
	ls->fresh = ls->n_chunks * CHUNK_UNITS + (ls->n_chunks == 0);
	ls->fresh_end = (ls->n_chunks + 1) * CHUNK_UNITS;
	ls->n_chunks++;
	return true;
}

/* What is left of a full chunk becomes free blobs of smaller classes. */
static void fresh_to_free_lists(struct labels *ls)
{
	while (ls->fresh < ls->fresh_end) {
		uint32_t left = ls->fresh_end - ls->fresh;
		unsigned c = left >= FINE_CLASSES ? FINE_CLASSES - 1 : left - 1;
		if (class_units(c) * UNIT >= sizeof(struct blob)) {
			blob_at(ls, ls->fresh)->next = ls->free_list[c];
			ls->free_list[c] = ls->fresh;
		}
		ls->fresh += class_units(c);
	}
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
	if (ls->fresh_end - ls->fresh < units) {
		if (ls->n_chunks == ls->max_chunks)
			return 0;
		fresh_to_free_lists(ls);
		if (!chunk_add(ls))
			return 0;
	}
	id = ls->fresh;
	ls->fresh += units;
	return id;
}

static uint32_t *bucket_at(const struct labels *ls, uint32_t b)
{
	return &ls->pages[b / BUCKETS_PER_PAGE][b % BUCKETS_PER_PAGE];
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
	if (fresh / BUCKETS_PER_PAGE == ls->n_pages) {
		if (ls->n_pages == ls->max_pages)
			return;
		uint32_t *page = calloc(BUCKETS_PER_PAGE, sizeof *page);
		if (!page)
			return;
		ls->pages[ls->n_pages++] = page;
	}
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
	size_t chunks = (max_bytes ? max_bytes : (size_t)1 << 30) / CHUNK_BYTES;
	ls->max_chunks = chunks < 1                          ? 1
			 : chunks > UINT32_MAX / CHUNK_UNITS ? UINT32_MAX / CHUNK_UNITS
							     : (uint32_t)chunks;
	ls->max_pages = ls->max / BUCKETS_PER_PAGE + 1;
	ls->chunks = calloc(ls->max_chunks, sizeof *ls->chunks);
	ls->pages = calloc(ls->max_pages, sizeof *ls->pages);
	if (!ls->chunks || !ls->pages)
		goto free_labels;
	ls->pages[0] = calloc(BUCKETS_PER_PAGE, sizeof *ls->pages[0]);
	if (!ls->pages[0])
		goto free_labels;
	ls->n_pages = 1;
	ls->n_buckets = ls->round = 1024;
	/* The kernel's 16 random bytes for this process, without a system call. */
	const void *seed = (const void *)getauxval(AT_RANDOM); // NOLINT(performance-no-int-to-ptr)
	if (seed)
		memcpy(&ls->key, seed, sizeof ls->key);
	return ls;
free_labels:
	labels_free(ls);
	return NULL;
}

void labels_free(struct labels *ls)
{
	if (!ls)
		return;
	for (uint32_t i = 0; i < ls->n_chunks; i++)
		free(ls->chunks[i]);
	for (uint32_t i = 0; i < ls->n_pages; i++)
		free(ls->pages[i]);
	free(ls->chunks);
	free(ls->pages);
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
		if (before[i] && strncmp(old, s, len) == 0 && old[len] == 0)
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

uint32_t label_intern(struct labels *ls, const struct label *l)
{
	draft_make(ls, l);
	struct blob *draft = &ls->draft.b;
	const size_t skip = offsetof(struct blob, bytes);
	const size_t n = draft->bytes - skip;
	draft->hash = (uint32_t)hash_bytes(ls->key, (uint8_t *)draft + skip, n);
	for (uint32_t id = *bucket_of(ls, draft->hash); id;) {
		struct blob *b = blob_at(ls, id);
		if (b->hash == draft->hash && b->bytes == draft->bytes &&
		    !memcmp((uint8_t *)b + skip, (uint8_t *)draft + skip, n)) {
			b->refs++;
			return id;
		}
		id = b->next;
	}
	uint32_t id = ls->n < ls->max ? blob_take(ls, draft->bytes) : 0;
	if (!id) {
		ls->refused++;
		return 0;
	}
	memcpy(blob_at(ls, id), draft, draft->bytes);
	if (++ls->n > ls->n_buckets)
		index_grow(ls);
	uint32_t *bucket = bucket_of(ls, draft->hash);
	blob_at(ls, id)->refs = 1;
	blob_at(ls, id)->next = *bucket;
	*bucket = id;
	return id;
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
	if (--b->refs)
		return;
	uint32_t *link = bucket_of(ls, b->hash);
	while (*link != id)
		link = &blob_at(ls, *link)->next;
	*link = b->next;
	unsigned c = class_of(b->bytes);
	b->next = ls->free_list[c];
	ls->free_list[c] = id;
	ls->n--;
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
	return sizeof *ls + (size_t)ls->n_chunks * CHUNK_BYTES +
	       (size_t)ls->n_pages * BUCKETS_PER_PAGE * sizeof(uint32_t) +
	       ls->max_chunks * sizeof *ls->chunks + ls->max_pages * sizeof *ls->pages;
}
