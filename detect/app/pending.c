#include "detect/app/pending.h"

#include <stdlib.h>
#include <string.h>

/* Slots form a ring in order of first put, which is close to the order of expiry; the index is open addressing by flow id with backward-shift
 * deletion. count <= max, index at most half full. */
struct pending {
	struct pending_flow **slots;
	uint32_t *index; /* slot + 1, 0 empty */
	size_t max, head, count, mask;
	uint64_t evicted;
};

struct pending *pending_new(size_t max_flows)
{
	struct pending *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	p->max = max_flows;
	size_t n = 16;
	while (n < 2 * max_flows)
		n *= 2;
	p->mask = n - 1;
	p->slots = calloc(max_flows, sizeof *p->slots);
	p->index = calloc(n, sizeof *p->index);
	if (!p->slots || !p->index) {
		pending_free(p);
		return NULL;
	}
	return p;
}

void pending_free(struct pending *p)
{
	if (!p)
		return;
	for (size_t i = 0; p->slots && i < p->max; i++)
		free(p->slots[i]);
	free(p->slots);
	free(p->index);
	free(p);
}

/* Flow ids are keyed hashes already. */
static size_t home(const struct pending *p, uint64_t flow_id)
{
	return (size_t)(flow_id ^ flow_id >> 29) & p->mask;
}

static size_t lookup(const struct pending *p, uint64_t flow_id)
{
	size_t i = home(p, flow_id);
	while (p->index[i] && p->slots[p->index[i] - 1]->flow_id != flow_id)
		i = (i + 1) & p->mask;
	return i;
}

static void unindex(struct pending *p, uint64_t flow_id)
{
	size_t hole = lookup(p, flow_id);
	for (size_t i = (hole + 1) & p->mask; p->index[i]; i = (i + 1) & p->mask) {
		size_t h = home(p, p->slots[p->index[i] - 1]->flow_id);
		if (((i - h) & p->mask) >= ((i - hole) & p->mask)) {
			p->index[hole] = p->index[i];
			hole = i;
		}
	}
	p->index[hole] = 0;
}

static void drop_oldest(struct pending *p)
{
	unindex(p, p->slots[p->head]->flow_id);
	free(p->slots[p->head]);
	p->slots[p->head] = NULL;
	p->head = (p->head + 1) % p->max;
	p->count--;
}

struct pending_flow *pending_find(struct pending *p, uint64_t flow_id)
{
	size_t i = lookup(p, flow_id);
	return p->index[i] ? p->slots[p->index[i] - 1] : NULL;
}

struct pending_flow *pending_put(struct pending *p, const struct flow_facts *facts, uint64_t until_ns)
{
	size_t n = facts_pack(facts, NULL, 0), at = lookup(p, facts->flow_id);
	struct pending_flow *old = p->index[at] ? p->slots[p->index[at] - 1] : NULL;
	struct pending_flow *pf = calloc(1, sizeof *pf + n);
	if (!pf)
		return NULL;
	if (old)
		*pf = *old;
	pf->flow_id = facts->flow_id;
	pf->until_ns = until_ns;
	pf->n_facts = n;
	facts_pack(facts, pf->facts, n);
	if (old) {
		p->slots[p->index[at] - 1] = pf;
		free(old);
		return pf;
	}
	if (p->count == p->max) {
		drop_oldest(p);
		p->evicted++;
		at = lookup(p, facts->flow_id);
	}
	size_t slot = (p->head + p->count++) % p->max;
	p->slots[slot] = pf;
	p->index[at] = (uint32_t)slot + 1;
	return pf;
}

void pending_expire(struct pending *p, uint64_t now_ns)
{
	while (p->count && p->slots[p->head]->until_ns < now_ns)
		drop_oldest(p);
}

uint64_t pending_evicted(const struct pending *p)
{
	return p->evicted;
}
