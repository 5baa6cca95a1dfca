/* hmap: an intrusive hash table: the link lies in the element, the caller hashes and compares. Grows; the
 * owner caps how much goes in. */
#ifndef LEAKTAP_DETECT_HMAP_H
#define LEAKTAP_DETECT_HMAP_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define HMAP_ENTRY(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

struct hmap_link {
	struct hmap_link *next;
	uint64_t hash;
};

struct hmap { /* zero = empty */
	struct hmap_link **slots;
	size_t n_slots, n; /* n_slots: power of two */
};

/* The first element with this hash, then the next one: the caller compares keys. */
static inline struct hmap_link *hmap_first(const struct hmap *m, uint64_t hash)
{
	struct hmap_link *l = m->n_slots ? m->slots[hash & (m->n_slots - 1)] : NULL;
	while (l && l->hash != hash)
		l = l->next;
	return l;
}

static inline struct hmap_link *hmap_again(struct hmap_link *l)
{
	uint64_t hash = l->hash;
	for (l = l->next; l && l->hash != hash;)
		l = l->next;
	return l;
}

static inline int hmap_grow(struct hmap *m)
{
	size_t n = m->n_slots ? m->n_slots * 2 : 64;
	struct hmap_link **slots = calloc(n, sizeof(struct hmap_link *));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->n_slots; i++) {
		for (struct hmap_link *l = m->slots[i], *next; l; l = next) {
			next = l->next;
			l->next = slots[l->hash & (n - 1)];
			slots[l->hash & (n - 1)] = l;
		}
	}
	free(m->slots);
	m->slots = slots;
	m->n_slots = n;
	return 0;
}

/* 0 or -ENOMEM; l->hash is set here. */
static inline int hmap_put(struct hmap *m, struct hmap_link *l, uint64_t hash)
{
	if (m->n >= m->n_slots && hmap_grow(m) && !m->n_slots)
		return -ENOMEM;
	l->hash = hash;
	l->next = m->slots[hash & (m->n_slots - 1)];
	m->slots[hash & (m->n_slots - 1)] = l;
	m->n++;
	return 0;
}

static inline void hmap_remove(struct hmap *m, struct hmap_link *l)
{
	struct hmap_link **p = &m->slots[l->hash & (m->n_slots - 1)];
	while (*p != l)
		p = &(*p)->next;
	*p = l->next;
	m->n--;
}

#endif
