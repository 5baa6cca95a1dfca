#include "detect/app/pending.h"

#include <errno.h>
#include <stdlib.h>

struct pending {
	struct hmap flows;
	TAILQ_HEAD(pending_ages, pending_flow) ages; /* oldest first */
	size_t max_flows, bytes, max_bytes;
};

struct pending *pending_new(size_t max_flows, size_t max_bytes)
{
	struct pending *p = calloc(1, sizeof *p);
	if (!p)
		return NULL;
	TAILQ_INIT(&p->ages);
	p->max_flows = max_flows;
	p->max_bytes = max_bytes;
	return p;
}

void pending_free(struct pending *p)
{
	if (!p)
		return;
	for (struct pending_flow *pf; (pf = TAILQ_FIRST(&p->ages));)
		pending_drop(p, pf);
	free(p->flows.slots);
	free(p);
}

/* Flow ids are keyed hashes already. */
static uint64_t hash_of(uint64_t flow_id)
{
	return flow_id ^ flow_id >> 29;
}

struct pending_flow *pending_find(const struct pending *p, uint64_t flow_id)
{
	for (struct hmap_link *l = hmap_first(&p->flows, hash_of(flow_id)); l; l = hmap_again(l)) {
		struct pending_flow *pf = HMAP_ENTRY(l, struct pending_flow, link);
		if (pf->flow_id == flow_id)
			return pf;
	}
	return NULL;
}

static void weigh(struct pending *p, struct pending_flow *pf)
{
	size_t bytes = sizeof *pf + pf->n_facts + (pf->owners ? pf->owners->bytes : 0);
	p->bytes += bytes - pf->bytes;
	pf->bytes = bytes;
}

static struct pending_flow *add(struct pending *p, uint64_t flow_id)
{
	struct pending_flow *pf = calloc(1, sizeof *pf);
	if (!pf || hmap_put(&p->flows, &pf->link, hash_of(flow_id))) {
		free(pf);
		return NULL;
	}
	pf->flow_id = flow_id;
	return pf;
}

struct pending_flow *pending_put(struct pending *p, const struct flow_facts *facts)
{
	size_t n = facts_pack(facts, NULL, 0);
	uint64_t *packed = malloc(n);
	struct pending_flow *known = pending_find(p, facts->flow_id), *pf = known;
	if (!packed || (!pf && !(pf = add(p, facts->flow_id)))) {
		free(packed);
		return NULL;
	}
	facts_pack(facts, packed, n);
	free(pf->facts);
	pf->facts = packed;
	pf->n_facts = n;
	weigh(p, pf);
	if (known)
		TAILQ_REMOVE(&p->ages, pf, by_age);
	TAILQ_INSERT_TAIL(&p->ages, pf, by_age);
	return pf;
}

int pending_own(struct pending *p, struct pending_flow *pf, const struct verdict *v)
{
	struct keep *k = keep_new(v);
	if (!k)
		return -ENOMEM;
	free(pf->owners);
	pf->owners = k;
	weigh(p, pf);
	return 0;
}

struct pending_flow *pending_oldest(const struct pending *p)
{
	return TAILQ_FIRST(&p->ages);
}

bool pending_full(const struct pending *p)
{
	return p->flows.n >= p->max_flows || p->bytes >= p->max_bytes;
}

void pending_drop(struct pending *p, struct pending_flow *pf)
{
	hmap_remove(&p->flows, &pf->link);
	TAILQ_REMOVE(&p->ages, pf, by_age);
	p->bytes -= pf->bytes;
	free(pf->facts);
	free(pf->owners);
	free(pf);
}
