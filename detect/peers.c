#include "detect/peers.h"

#include <string.h>

struct pair {
	struct hmap_link link;
	uint64_t first_ns;
	uint8_t key[35]; /* zone, source, destination, families */
};

static void make_key(uint8_t key[35], const struct flow_facts *f)
{
	memset(key, 0, 35);
	key[0] = f->zone;
	memcpy(key + 1, f->src.ip, f->src.family == 6 ? 16 : 4);
	memcpy(key + 17, f->dst.ip, f->dst.family == 6 ? 16 : 4);
	key[33] = f->src.family;
	key[34] = f->dst.family;
}

static struct pair *find(const struct peers *ps, const uint8_t key[35], uint64_t hash)
{
	for (struct hmap_link *l = hmap_first(&ps->pairs, hash); l; l = hmap_again(l)) {
		struct pair *p = HMAP_ENTRY(l, struct pair, link);
		if (!memcmp(p->key, key, sizeof p->key))
			return p;
	}
	return NULL;
}

void peers_note(struct peers *ps, const struct flow_facts *f)
{
	uint8_t key[35];
	make_key(key, f);
	uint64_t hash = hash_bytes(ps->key, key, sizeof key);
	struct pair *p = find(ps, key, hash);
	if (p) {
		p->first_ns = f->start_ns < p->first_ns ? f->start_ns : p->first_ns;
		return;
	}
	p = ps->pairs.n < PEERS_MAX ? calloc(1, sizeof *p) : NULL;
	if (!p || hmap_put(&ps->pairs, &p->link, hash)) {
		free(p);
		return;
	}
	memcpy(p->key, key, sizeof key);
	p->first_ns = f->start_ns;
}

uint64_t peers_first_ns(const struct peers *ps, const struct flow_facts *f)
{
	uint8_t key[35];
	make_key(key, f);
	const struct pair *p = find(ps, key, hash_bytes(ps->key, key, sizeof key));
	return p ? p->first_ns : f->start_ns;
}

void peers_free(struct peers *ps)
{
	for (size_t i = 0; i < ps->pairs.n_slots; i++)
		for (struct hmap_link *l = ps->pairs.slots[i], *next; l; l = next) {
			next = l->next;
			free(HMAP_ENTRY(l, struct pair, link));
		}
	free(ps->pairs.slots);
	ps->pairs = (struct hmap){0};
}
