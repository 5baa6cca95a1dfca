#include "detect/app/teller.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "detect/app/pending.h"

enum { MAX_FLOWS = 131072, MAX_BYTES = 256 << 20 };

/* A batch waits 200 ms for company on its way to Redis; a second also covers an event that comes just behind
 * its flow. */
static const uint64_t hold_ns = CLOCK_NS_PER_S;

struct teller {
	struct run *run;
	struct pending *pending;
	TAILQ_HEAD(teller_held, pending_flow) held; /* in order of hold_until_ns, monotonic */
	uint64_t keep_ns;
	uint64_t now_ns; /* wall clock of the last tick */
	struct teller_stats stats;
	struct verdict told, known; /* too large for the stack of one frame */
};

int teller_new(struct teller **ret_t, const struct teller_conf *conf, struct err *err)
{
	struct teller *t = calloc(1, sizeof *t);
	if (!t)
		return err_set(err, -ENOMEM, "no memory for waiting flows");
	t->pending = pending_new(conf->max_flows ? conf->max_flows : MAX_FLOWS,
				 conf->max_bytes ? conf->max_bytes : MAX_BYTES);
	if (!t->pending) {
		free(t);
		return err_set(err, -ENOMEM, "no memory for waiting flows");
	}
	TAILQ_INIT(&t->held);
	t->run = conf->run;
	t->keep_ns = ((uint64_t)conf->run->config.grace_s + conf->run->config.cell_ttl_s) * CLOCK_NS_PER_S;
	t->now_ns = clock_wall_ns();
	*ret_t = t;
	return 0;
}

void teller_free(struct teller *t)
{
	if (!t)
		return;
	pending_free(t->pending);
	free(t);
}

/* What the join has said so far; until it has, evidence may still come. */
static void set_owners(struct teller *t, struct verdict *v, const struct pending_flow *pf)
{
	run_no_owner(t->run, v);
	v->initiator.cause = OWNER_CAUSE_LATE;
	if (!pf || !pf->owners)
		return;
	keep_verdict(pf->owners, &t->known);
	if (pf->has_initiator)
		v->initiator = t->known.initiator;
	v->has_responder = t->known.has_responder;
	if (v->has_responder)
		v->responder = t->known.responder;
}

static void tell(struct teller *t, struct pending_flow *pf)
{
	struct flow_facts facts;
	if (pf->hold_until_ns)
		TAILQ_REMOVE(&t->held, pf, by_hold);
	pf->hold_until_ns = 0;
	if (facts_unpack(&facts, pf->facts, pf->n_facts))
		return;
	run_classify(t->run, &facts, &t->told);
	set_owners(t, &t->told, pf);
	pf->version = pf->version ? pf->version : 1;
	t->told.version = pf->version;
	run_deliver(t->run, &t->told);
}

static void forget(struct teller *t, struct pending_flow *pf)
{
	if (pf->hold_until_ns)
		tell(t, pf);
	pending_drop(t->pending, pf);
}

static void make_room(struct teller *t)
{
	while (pending_full(t->pending)) {
		forget(t, pending_oldest(t->pending));
		t->stats.forgotten++;
	}
}

void teller_record(struct teller *t, const struct flow_facts *facts)
{
	struct verdict *v = &t->told;
	make_room(t);
	struct pending_flow *pf = pending_find(t->pending, facts->flow_id);
	if (!run_classify(t->run, facts, v) && !pf) {
		if (t->run->attrib)
			run_join(t->run, facts, false);
		run_no_owner(t->run, v);
		run_deliver(t->run, v);
		return;
	}
	run_join(t->run, facts, true);
	if (pf && pf->hold_until_ns)
		tell(t, pf);
	bool first = !pf;
	pf = pending_put(t->pending, facts);
	if (!pf) {
		run_classify(t->run, facts, v);
		set_owners(t, v, NULL);
		run_deliver(t->run, v);
		return;
	}
	pf->until_ns = t->now_ns + t->keep_ns;
	if (!first) {
		tell(t, pf);
		return;
	}
	pf->hold_until_ns = clock_monotonic_ns() + hold_ns;
	TAILQ_INSERT_TAIL(&t->held, pf, by_hold);
}

static bool same_process(const struct owner_process *a, const struct owner_process *b)
{
	return a->principal == b->principal;
}

static bool same_evidence(const struct owner_evidence *a, const struct owner_evidence *b)
{
	return a->id && b->id ? !strcmp(a->id, b->id) : a->id == b->id;
}

static bool same_owner(const struct owner *a, const struct owner *b)
{
	bool same = a->outcome == b->outcome && a->cause == b->cause && a->grade == b->grade &&
		    a->rivals == b->rivals && a->n_candidates == b->n_candidates &&
		    a->n_evidence == b->n_evidence;
	if (same && a->outcome == OWNER_ATTRIBUTED)
		same = same_process(&a->process, &b->process);
	for (size_t i = 0; same && i < a->n_candidates; i++)
		same = same_process(&a->candidates[i], &b->candidates[i]);
	for (size_t i = 0; same && i < a->n_evidence; i++)
		same = same_evidence(&a->evidence[i], &b->evidence[i]);
	return same;
}

/* The join's word about one side, put over what was known. False: it said nothing new. */
static bool learn(struct teller *t, struct pending_flow *pf, enum attrib_side side, const struct owner *owner)
{
	struct verdict *v = &t->told;
	set_owners(t, v, pf);
	if (side == ATTRIB_INITIATOR ? same_owner(&v->initiator, owner)
				     : v->has_responder && same_owner(&v->responder, owner))
		return false;
	*(side == ATTRIB_INITIATOR ? &v->initiator : &v->responder) = *owner;
	v->has_responder |= side == ATTRIB_RESPONDER;
	if (pending_own(t->pending, pf, v))
		return false;
	pf->has_initiator |= side == ATTRIB_INITIATOR;
	return true;
}

static void on_owner(void *ctx, uint64_t flow_id, enum attrib_side side, uint32_t version,
		     const struct owner *owner)
{
	struct teller *t = ctx;
	struct verdict *v = &t->told;
	struct flow_facts facts;
	(void)version; /* the versions told here count what is told */
	struct pending_flow *pf = pending_find(t->pending, flow_id);
	if (!pf || facts_unpack(&facts, pf->facts, pf->n_facts)) {
		t->stats.strays++;
		return;
	}
	run_classify(t->run, &facts, v);
	if (!learn(t, pf, side, owner))
		return;
	if (pf->hold_until_ns) {
		if (owner->outcome != OWNER_UNATTRIBUTED)
			tell(t, pf);
		return;
	}
	v->version = ++pf->version;
	judge_verdict(t->run->judge, v);
	struct sink_attribution change = {.time_ns = t->now_ns, .verdict = v};
	outlets_attribution(&t->run->outlets, &change);
}

int teller_tick(struct teller *t, uint64_t now_ns, struct err *err)
{
	t->now_ns = now_ns;
	int r = t->run->attrib ? attrib_poll(t->run->attrib, now_ns, on_owner, t, err) : 0;
	uint64_t monotonic_ns = clock_monotonic_ns();
	struct pending_flow *pf;
	while ((pf = TAILQ_FIRST(&t->held)) && pf->hold_until_ns <= monotonic_ns)
		tell(t, pf);
	while ((pf = pending_oldest(t->pending)) && pf->until_ns < now_ns)
		forget(t, pf);
	return r;
}

void teller_finish(struct teller *t)
{
	for (struct pending_flow *pf; (pf = TAILQ_FIRST(&t->held));)
		tell(t, pf);
}

void teller_stats(const struct teller *t, struct teller_stats *ret)
{
	*ret = t->stats;
}
