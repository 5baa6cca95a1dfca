#include "detect/ledger.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "detect/part.h"

/* Lists whose elements know what points at them. */
#define PUSH(list, x, next, at)                                                                              \
	do {                                                                                                 \
		(x)->at = (list);                                                                            \
		(x)->next = *(x)->at;                                                                        \
		if ((x)->next)                                                                               \
			(x)->next->at = &(x)->next;                                                          \
		*(x)->at = (x);                                                                              \
	} while (0)
#define CUT(x, next, at)                                                                                     \
	do {                                                                                                 \
		*(x)->at = (x)->next;                                                                        \
		if ((x)->next)                                                                               \
			(x)->next->at = (x)->at;                                                             \
		(x)->at = NULL;                                                                              \
	} while (0)

void ledgers_begin(struct ledgers *ls)
{
	if (getrandom(&ls->key, sizeof ls->key, 0) != sizeof ls->key)
		ls->key = HASH_KEY_FIXED; /* too early in the boot of the machine: work all the same */
}

static uint64_t hash_text(const struct ledgers *ls, const char *s)
{
	return hash_bytes(ls->key, s, strlen(s));
}

static uint64_t hash_part(const struct ledgers *ls, uint64_t flow_id, uint8_t side)
{
	uint64_t k[2] = {flow_id, side};
	return hash_bytes(ls->key, k, sizeof k);
}

struct part *ledgers_find(const struct ledgers *ls, uint64_t flow_id, uint8_t side)
{
	for (struct hmap_link *l = hmap_first(&ls->parts, hash_part(ls, flow_id, side)); l;
	     l = hmap_again(l)) {
		struct part *p = HMAP_ENTRY(l, struct part, link);
		if (p->flow_id == flow_id && p->side == side)
			return p;
	}
	return NULL;
}

static struct process_ledgers *find_process(const struct ledgers *ls, uint64_t principal)
{
	for (struct hmap_link *l = hmap_first(&ls->processes, principal); l; l = hmap_again(l))
		return HMAP_ENTRY(l, struct process_ledgers, link); /* the hash is the key */
	return NULL;
}

struct ledger *ledgers_of_process(const struct ledgers *ls, uint64_t principal)
{
	struct process_ledgers *pl = principal ? find_process(ls, principal) : NULL;
	return pl ? pl->first : NULL;
}

/* Lists by last change. */

static void unlink_ledger(struct ledgers *ls, struct ledger *l)
{
	*(l->newer ? &l->newer->older : &ls->newest) = l->older;
	*(l->older ? &l->older->newer : &ls->oldest) = l->newer;
}

static void link_newest(struct ledgers *ls, struct ledger *l)
{
	l->newer = NULL;
	l->older = ls->newest;
	*(ls->newest ? &ls->newest->newer : &ls->oldest) = l;
	ls->newest = l;
}

void ledgers_touch(struct ledgers *ls, struct ledger *l)
{
	unlink_ledger(ls, l);
	link_newest(ls, l);
}

static void changed(struct ledgers *ls, struct ledger *l, uint64_t at_ns)
{
	ledgers_touch(ls, l);
	if (at_ns > l->last_ns)
		l->last_ns = at_ns;
	if (!l->group->at_changed)
		PUSH(&ls->changed, l->group, next_changed, at_changed);
}

struct group *ledgers_take_changed(struct ledgers *ls)
{
	struct group *g = ls->changed;
	if (!g)
		return NULL;
	CUT(g, next_changed, at_changed);
	return g;
}

void ledgers_later(struct ledgers *ls, struct group *g)
{
	if (!g->at_changed)
		PUSH(&ls->later, g, next_changed, at_changed);
}

void ledgers_again(struct ledgers *ls)
{
	while (ls->later) {
		struct group *g = ls->later;
		CUT(g, next_changed, at_changed);
		PUSH(&ls->changed, g, next_changed, at_changed);
	}
}

/* Removal, from the part up. */

static void remove_group(struct ledgers *ls, struct group *g)
{
	if (g->at_changed)
		CUT(g, next_changed, at_changed);
	hmap_remove(&ls->groups, &g->link);
	free(g);
}

static void leave_process(struct ledgers *ls, struct ledger *l)
{
	struct process_ledgers *pl = l->principal ? find_process(ls, l->principal) : NULL;
	if (!pl)
		return;
	CUT(l, next_of_process, at_of_process);
	if (pl->first)
		return;
	hmap_remove(&ls->processes, &pl->link);
	free(pl);
}

static void remove_empty(struct ledgers *ls, struct ledger *l)
{
	CUT(l, next_in_group, at_in_group);
	if (!l->group->ledgers)
		remove_group(ls, l->group);
	leave_process(ls, l);
	unlink_ledger(ls, l);
	hmap_remove(&ls->ledgers, &l->link);
	free(l);
}

static void detach(struct ledgers *ls, struct part *p)
{
	struct ledger *l = p->ledger;
	CUT(p, next, at);
	p->ledger = NULL;
	if (!--l->n_parts)
		remove_empty(ls, l);
	else
		changed(ls, l, 0);
}

static void remove_part(struct ledgers *ls, struct part *p)
{
	hmap_remove(&ls->parts, &p->link);
	part_free(p);
}

void ledgers_drop(struct ledgers *ls, uint64_t flow_id, uint8_t side)
{
	struct part *p = ledgers_find(ls, flow_id, side);
	if (!p)
		return;
	detach(ls, p);
	remove_part(ls, p);
}

void ledgers_prune(struct ledgers *ls, struct group *g, uint64_t before_ns)
{
	for (struct ledger *l = g->ledgers, *after; l; l = after) {
		after = l->next_in_group;
		struct part *lists[] = {l->parts, l->downloads};
		size_t left = l->n_parts;
		for (int i = 0; i < 2; i++)
			for (struct part *p = lists[i], *next; p && left > 1;
			     p = next) { /* the last one keeps the ledger */
				next = p->next;
				if (p->fired || p->end_ns >= before_ns)
					continue;
				CUT(p, next, at);
				l->n_parts--;
				left--;
				remove_part(ls, p);
			}
	}
}

static void remove_list(struct ledgers *ls, struct part *p)
{
	for (struct part *next; p; p = next) {
		next = p->next;
		remove_part(ls, p);
	}
}

void ledgers_remove(struct ledgers *ls, struct ledger *l)
{
	remove_list(ls, l->parts);
	remove_list(ls, l->downloads);
	remove_empty(ls, l);
}

void ledgers_free(struct ledgers *ls)
{
	while (ls->oldest)
		ledgers_remove(ls, ls->oldest);
	free(ls->parts.slots);
	free(ls->ledgers.slots);
	free(ls->groups.slots);
	free(ls->processes.slots);
	*ls = (struct ledgers){0};
}

/* Making what is missing, from the group down. */

static struct group *group_of(struct ledgers *ls, const char *key, size_t n)
{
	uint64_t hash = hash_bytes(ls->key, key, n);
	for (struct hmap_link *l = hmap_first(&ls->groups, hash); l; l = hmap_again(l)) {
		struct group *g = HMAP_ENTRY(l, struct group, link);
		if (strlen(g->key) == n && !memcmp(g->key, key, n))
			return g;
	}
	struct group *g = calloc(1, sizeof *g + n + 1);
	if (!g || hmap_put(&ls->groups, &g->link, hash)) {
		free(g);
		return NULL;
	}
	memcpy(g->key, key, n);
	return g;
}

static bool join_process(struct ledgers *ls, struct ledger *l)
{
	struct process_ledgers *pl = find_process(ls, l->principal);
	if (!pl) {
		pl = calloc(1, sizeof *pl);
		if (!pl || hmap_put(&ls->processes, &pl->link, l->principal)) {
			free(pl);
			return false;
		}
		pl->principal = l->principal;
	}
	PUSH(&pl->first, l, next_of_process, at_of_process);
	return true;
}

static struct ledger *new_ledger(struct ledgers *ls, const char *key, size_t group_n, uint64_t hash,
				 uint64_t principal)
{
	struct group *g = group_of(ls, key, group_n);
	size_t n = strlen(key) + 1;
	struct ledger *l = g ? calloc(1, sizeof *l + n) : NULL;
	if (!l)
		goto drop_group;
	memcpy(l->key, key, n);
	l->principal = principal;
	if (principal && !join_process(ls, l))
		goto free_ledger;
	if (hmap_put(&ls->ledgers, &l->link, hash))
		goto leave;
	l->group = g;
	PUSH(&g->ledgers, l, next_in_group, at_in_group);
	link_newest(ls, l);
	return l;
leave:
	leave_process(ls, l);
free_ledger:
	free(l);
drop_group:
	if (g && !g->ledgers)
		remove_group(ls, g);
	return NULL;
}

enum { FIELD_MAX = 400, KEY_MAX = 3 * FIELD_MAX + 3 };

/* One field of a key and, but for the last, what ends it. */
static size_t put_field(char *key, size_t n, const char *text, bool last)
{
	for (size_t i = 0; text[i] && i < FIELD_MAX; i++)
		key[n++] = text[i] == '\x1f' ? '?' : text[i];
	if (!last)
		key[n++] = '\x1f';
	key[n] = '\0';
	return n;
}

static struct ledger *ledger_of(struct ledgers *ls, const struct ledger_place *place)
{
	char key[KEY_MAX];
	size_t group_n = put_field(key, put_field(key, 0, place->device, false), place->destination, false);
	put_field(key, group_n, place->owner, true);
	uint64_t hash = hash_text(ls, key);
	for (struct hmap_link *l = hmap_first(&ls->ledgers, hash); l; l = hmap_again(l)) {
		struct ledger *ledger = HMAP_ENTRY(l, struct ledger, link);
		if (!strcmp(ledger->key, key))
			return ledger;
	}
	return new_ledger(ls, key, group_n, hash, place->principal);
}

static struct part *new_part(struct ledgers *ls, uint64_t flow_id, uint8_t side)
{
	struct part *p = calloc(1, sizeof *p);
	if (!p || hmap_put(&ls->parts, &p->link, hash_part(ls, flow_id, side))) {
		free(p);
		return NULL;
	}
	p->flow_id = flow_id;
	p->side = side;
	return p;
}

struct part *ledgers_put(struct ledgers *ls, const struct ledger_place *place, const struct verdict *v,
			 uint8_t side, bool download)
{
	struct part *p = ledgers_find(ls, v->facts->flow_id, side);
	if (!p)
		p = new_part(ls, v->facts->flow_id, side);
	if (!p)
		return NULL;
	struct ledger *to = part_fill(p, v) ? ledger_of(ls, place) : NULL;
	if (!to) {
		if (p->ledger)
			detach(ls, p);
		remove_part(ls, p);
		return NULL;
	}
	to->n_parts++; /* first in, then out: a ledger that it only passes through stays */
	if (p->ledger)
		detach(ls, p);
	PUSH(download ? &to->downloads : &to->parts, p, next, at);
	p->ledger = to;
	changed(ls, to, p->end_ns);
	return p;
}
