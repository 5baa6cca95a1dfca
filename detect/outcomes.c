#include "detect/outcomes.h"

struct outcome_flow {
	struct hmap_link link; /* hash: of the flow id */
	struct outcome_flow *newer, *older;
	uint64_t flow_id, told_ns, bytes[2]; /* what is booked */
	uint8_t outcome, cause;
	bool suppressed;
};

void outcomes_begin(struct outcomes *o, size_t max_flows, bool revise)
{
	o->max_flows = max_flows;
	o->revise = revise;
}

static void unlink_flow(struct outcomes *o, struct outcome_flow *of)
{
	*(of->newer ? &of->newer->older : &o->newest) = of->older;
	*(of->older ? &of->older->newer : &o->oldest) = of->newer;
}

static void link_newest(struct outcomes *o, struct outcome_flow *of)
{
	of->newer = NULL;
	of->older = o->newest;
	*(o->newest ? &o->newest->newer : &o->oldest) = of;
	o->newest = of;
}

static void forget(struct outcomes *o, struct outcome_flow *of)
{
	hmap_remove(&o->flows, &of->link);
	unlink_flow(o, of);
	free(of);
}

void outcomes_forget(struct outcomes *o, uint64_t before_ns)
{
	while (o->oldest && o->oldest->told_ns < before_ns)
		forget(o, o->oldest);
}

void outcomes_free(struct outcomes *o)
{
	while (o->oldest)
		forget(o, o->oldest);
	free(o->flows.slots);
	o->flows = (struct hmap){0};
}

static uint64_t hash_id(uint64_t id)
{
	return (id ^ id >> 29) * UINT64_C(0x9e3779b97f4a7c15) >> 8; /* ids are hashes already */
}

static struct outcome_flow *find(const struct outcomes *o, uint64_t id)
{
	for (struct hmap_link *l = hmap_first(&o->flows, hash_id(id)); l; l = hmap_again(l)) {
		struct outcome_flow *of = HMAP_ENTRY(l, struct outcome_flow, link);
		if (of->flow_id == id)
			return of;
	}
	return NULL;
}

static void add(struct judge_stats *st, const struct outcome_flow *of, int sign)
{
	uint64_t one = sign < 0 ? UINT64_MAX : 1;
	st->flows_by_outcome[of->outcome] += one;
	st->suppressed += of->suppressed ? one : 0;
	for (int d = 0; d < 2; d++) {
		uint64_t n = sign < 0 ? 0 - of->bytes[d] : of->bytes[d];
		st->bytes_by_outcome[of->outcome][d] += n;
		if (of->outcome == OWNER_UNATTRIBUTED)
			st->bytes_by_cause[of->cause][d] += n;
	}
}

static struct outcome_flow *remember(struct outcomes *o, uint64_t id)
{
	struct outcome_flow *of = calloc(1, sizeof *of);
	if (!of || hmap_put(&o->flows, &of->link, hash_id(id))) {
		free(of);
		return NULL;
	}
	of->flow_id = id;
	link_newest(o, of);
	if (o->flows.n > o->max_flows)
		forget(o, o->oldest);
	return of;
}

void outcomes_book(struct outcomes *o, struct judge_stats *st, const struct verdict *v, bool suppressed)
{
	const struct flow_facts *f = v->facts;
	struct outcome_flow now = {.flow_id = f->flow_id,
				   .told_ns = f->end_ns,
				   .bytes = {f->up.bytes, f->down.bytes},
				   .outcome = v->initiator.outcome,
				   .cause = v->initiator.cause,
				   .suppressed = suppressed};
	struct outcome_flow *of = find(o, f->flow_id);
	bool first = !of && f->seq <= 1 && v->version <= 1;
	if (of) {
		add(st, of, -1);
	} else if (!first) { /* forgotten: its earlier bytes stay where they were booked */
		now.bytes[0] = v->version <= 1 ? f->up.delta_bytes : 0;
		now.bytes[1] = v->version <= 1 ? f->down.delta_bytes : 0;
		st->flows_by_outcome[now.outcome]--;
		now.suppressed = false;
	}
	st->flows += first;
	add(st, &now, 1);
	bool over = f->last && !o->revise;
	if (first && !over)
		of = remember(o, f->flow_id);
	if (of && over) {
		forget(o, of);
	} else if (of) {
		unlink_flow(o, of);
		link_newest(o, of);
		of->told_ns = now.told_ns;
		of->bytes[0] = now.bytes[0];
		of->bytes[1] = now.bytes[1];
		of->outcome = now.outcome;
		of->cause = now.cause;
		of->suppressed = now.suppressed;
	}
}
