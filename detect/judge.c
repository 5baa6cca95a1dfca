#include "detect/judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture/base/clock.h"
#include "detect/destination.h"
#include "detect/episode.h"
#include "detect/outcomes.h"
#include "detect/part.h"
#include "detect/peers.h"
#include "detect/prefix.h"
#include "detect/protocol.h"
#include "detect/sentence.h"
#include "detect/told.h"

enum {
	MAX_FLOWS = 65536,
	MAX_OUTCOME_FLOWS = 1048576,
	MAX_TOLD = 65536,
	EVICT_TRIES = 16,
	EVICT_PAUSE = 1024
};
enum {
	MIN_PART_BYTES = 256,
	MIN_UNOWNED_BYTES = 65536
}; /* below these no rule could ever fire on the flow */

static const uint64_t hour_ns = 3600 * CLOCK_NS_PER_S;
static const uint64_t default_revise_ns = 60 * CLOCK_NS_PER_S;
static const uint64_t outcome_memory_ns =
    4 * 3600 * CLOCK_NS_PER_S; /* longer than the join's grace and look-back */

const struct judge_limits judge_defaults = {
    .volume_short_bytes = UINT64_C(10000000),
    .volume_short_ns = 600 * CLOCK_NS_PER_S,
    .volume_long_bytes = UINT64_C(50) << 20,
    .volume_long_ns = 24 * 3600 * CLOCK_NS_PER_S,
    .lol_min_app_bytes = 1000,
    .archive_window_ns = 600 * CLOCK_NS_PER_S,
    .archive_min_app_bytes = 256,
    .unknown_bytes = UINT64_C(50) << 20,
    .unknown_ns = 3600 * CLOCK_NS_PER_S,
    .drip_bytes = UINT64_C(5) << 20,
    .drip_ns = 24 * 3600 * CLOCK_NS_PER_S,
    .drip_gap_ns = 3600 * CLOCK_NS_PER_S,
    .drip_uploads = 12,
    .protocol_bytes = UINT64_C(1) << 20,
    .protocol_baseline_ns = 3600 * CLOCK_NS_PER_S,
    .episode_gap_ns = 1800 * CLOCK_NS_PER_S,
};

struct judge {
	struct judge_conf conf;
	struct judge_limits limits;
	struct judge_stats stats;
	struct ledgers ledgers;
	struct outcomes outcomes;
	struct peers peers;
	struct tolds tolds;
	struct draft *drafts; /* replay: found by judge_finish */
	size_t n_drafts, cap_drafts;
	uint64_t begin_ns, clock_ns; /* first and latest time of a flow */
	bool flush, waiting;  /* live: of the group that is being judged, something is to be told later */
	uint32_t no_eviction; /* flows to refuse before trying again */
	char text[DESTINATION_TEXT]; /* the last verdict's explanation */
	struct sentence sentence;
	struct finding finding;
};

int judge_new(struct judge **ret_j, const struct judge_conf *conf, struct err *err)
{
	struct judge *j = calloc(1, sizeof *j);
	if (!j)
		return err_set(err, -ENOMEM, "judge: out of memory");
	j->conf = *conf;
	j->limits = conf->limits ? *conf->limits : judge_defaults;
	j->begin_ns = UINT64_MAX;
	if (!j->conf.max_flows)
		j->conf.max_flows = MAX_FLOWS;
	if (!j->conf.revise_ns)
		j->conf.revise_ns = default_revise_ns;
	j->tolds.max = MAX_TOLD;
	ledgers_begin(&j->ledgers);
	j->peers.key = j->ledgers.key;
	outcomes_begin(&j->outcomes, MAX_OUTCOME_FLOWS, conf->revise);
	*ret_j = j;
	return 0;
}

static void free_drafts(struct judge *j)
{
	for (size_t i = 0; i < j->n_drafts; i++)
		draft_free(&j->drafts[i]);
	j->n_drafts = 0;
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	free_drafts(j);
	free(j->drafts);
	ledgers_free(&j->ledgers);
	outcomes_free(&j->outcomes);
	peers_free(&j->peers);
	tolds_free(&j->tolds);
	free(j);
}

void judge_classify(const struct judge *j, const struct flow_facts *facts, struct verdict *ret_verdict)
{
	enum owner_cause cause = j->conf.attrib ? OWNER_CAUSE_NOT_JOINED : OWNER_CAUSE_NO_ENDPOINT_INPUT;
	ret_verdict->facts = facts;
	ret_verdict->version = 1;
	ret_verdict->has_destination = ret_verdict->by_address = ret_verdict->has_responder = false;
	ret_verdict->destination = (struct catalogue_match){0};
	ret_verdict->explanation = NULL;
	owner_none(&ret_verdict->initiator, cause);
	owner_none(&ret_verdict->responder, cause);
	ret_verdict->direction = (uint8_t)part_direction(facts, false);
	destination_classify(j->conf.catalogue, facts, ret_verdict);
}

/* Where a part is filed. */

struct place_text {
	char device[128], destination[400], owner[24];
};

static const struct facts_addr *own_address(const struct verdict *v, uint8_t side)
{
	return side == ATTRIB_RESPONDER ? &v->facts->dst : &v->facts->src;
}

static const char *known_device(const struct judge *j, const struct verdict *v, uint8_t side)
{
	const struct facts_addr *a = own_address(v, side);
	return j->conf.attrib ? attrib_device(j->conf.attrib, a, v->facts->start_ns) : NULL;
}

static void name_destination(char *text, size_t size, const struct verdict *v, uint8_t side)
{
	char addr[SENTENCE_WORD];
	const struct catalogue_match *m = &v->destination;
	const struct facts_addr *peer = side == ATTRIB_RESPONDER ? &v->facts->src : &v->facts->dst;
	sentence_address(addr, peer, false);
	if (v->has_destination)
		snprintf(text, size, "%s/%s", m->row->service, v->by_address ? addr : m->account);
	else
		snprintf(text, size, "?%s",
			 v->facts->name && side == ATTRIB_INITIATOR ? v->facts->name : addr);
}

static void make_place(const struct judge *j, const struct verdict *v, uint8_t side, struct place_text *t,
		       struct ledger_place *ret)
{
	const struct owner *o = side == ATTRIB_RESPONDER ? &v->responder : &v->initiator;
	const char *device = known_device(j, v, side);
	char addr[SENTENCE_WORD];
	if (!device && o->outcome == OWNER_ATTRIBUTED)
		device = o->process.device;
	if (device)
		snprintf(t->device, sizeof t->device, "%s", device);
	else
		snprintf(t->device, sizeof t->device, "%u/%s", v->facts->zone,
			 sentence_address(addr, own_address(v, side), false));
	name_destination(t->destination, sizeof t->destination, v, side);
	uint64_t principal = o->outcome == OWNER_ATTRIBUTED ? o->process.principal : 0;
	snprintf(t->owner, sizeof t->owner, principal ? "p%016" PRIx64 : "u", principal);
	*ret = (struct ledger_place){t->device, t->destination, t->owner, principal};
}

/* Keeping a flow. */

static void note_fired(void *ctx, struct draft *d)
{
	(void)ctx;
	draft_free(d); /* the parts' fired flags say all */
}

static bool holds_finding(const struct ledger *l)
{
	for (const struct part *p = l->parts; p; p = p->next)
		if (p->fired)
			return true;
	return false;
}

static struct rule_view view_of(const struct judge *j, struct group *g)
{
	return (struct rule_view){.limits = &j->limits,
				  .attrib = j->conf.attrib,
				  .group = g,
				  .peers = &j->peers,
				  .begin_ns = j->begin_ns};
}

/* The longest idle ledger goes, unless it makes a finding. false: the oldest few all do. */
static bool evict(struct judge *j)
{
	for (int i = 0; i < EVICT_TRIES; i++) {
		struct ledger *l = j->ledgers.oldest;
		struct rule_view view = view_of(j, l->group);
		episode_judge(&view, note_fired, NULL);
		if (!holds_finding(l)) {
			ledgers_remove(&j->ledgers, l);
			j->stats.episodes_evicted++;
			return true;
		}
		ledgers_touch(&j->ledgers, l);
	}
	return false;
}

/* Room for one more; where findings fill the table the new flow is refused, and eviction is not tried again
 * for a while. */
static bool make_room(struct judge *j)
{
	while (j->ledgers.parts.n >= j->conf.max_flows) {
		if (j->no_eviction) {
			j->no_eviction--;
			return false;
		}
		if (!evict(j))
			j->no_eviction = EVICT_PAUSE;
	}
	return true;
}

static void keep_part(struct judge *j, const struct verdict *v, uint8_t side, bool download)
{
	struct place_text text;
	struct ledger_place place;
	make_place(j, v, side, &text, &place);
	const struct part *before = ledgers_find(&j->ledgers, v->facts->flow_id, side);
	const struct ledger *from = before ? before->ledger : NULL;
	struct part *p = before || make_room(j) ? ledgers_put(&j->ledgers, &place, v, side, download) : NULL;
	if (!p) {
		j->stats.flows_refused++;
		return;
	}
	if (from && from != p->ledger)
		tolds_release(&j->tolds, p->told_id);
}

/* Whether any rule could ever fire on this side of the flow. */
static bool worth_keeping(const struct verdict *v, uint8_t side)
{
	const struct flow_facts *f = v->facts;
	bool answered = side == ATTRIB_RESPONDER;
	const struct facts_dir *out = answered ? &f->down : &f->up, *in = answered ? &f->up : &f->down;
	const struct owner *o = answered ? &v->responder : &v->initiator;
	if (out->bytes < MIN_PART_BYTES)
		return false;
	if (v->has_destination)
		return true;
	bool app = part_app_known(f);
	uint64_t sent = app ? out->app_bytes : out->bytes, got = app ? in->app_bytes : in->bytes;
	return sent / 2 >= got && (o->outcome == OWNER_ATTRIBUTED || out->bytes >= MIN_UNOWNED_BYTES);
}

/* The initiator is one of ours: its device reports, or it lies inside, or what it talks to does not. */
static bool initiated_by_device(const struct judge *j, const struct verdict *v)
{
	return prefix_internal(&v->facts->src) || !prefix_internal(&v->facts->dst) ||
	       v->initiator.outcome == OWNER_ATTRIBUTED || known_device(j, v, ATTRIB_INITIATOR);
}

static bool judge_initiator(struct judge *j, struct verdict *v)
{
	struct verdict judged = *v;
	enum destination_use use = destination_use(j->conf.catalogue, &judged, j->text);
	bool download = use != DESTINATION_IGNORED && use != DESTINATION_SUPPRESSED && v->has_destination &&
			v->direction == VERDICT_DOWNLOAD && v->initiator.outcome == OWNER_ATTRIBUTED;
	bool counts = use == DESTINATION_COUNTS && worth_keeping(&judged, ATTRIB_INITIATOR) &&
		      initiated_by_device(j, v);
	if (use == DESTINATION_COUNTS)
		judged.explanation = *j->text ? j->text : NULL; /* becomes a reason of the finding */
	else
		v->explanation = *j->text ? j->text : NULL;
	if (counts || download)
		keep_part(j, &judged, ATTRIB_INITIATOR, !counts);
	else
		ledgers_drop(&j->ledgers, v->facts->flow_id, ATTRIB_INITIATOR);
	return use == DESTINATION_SUPPRESSED;
}

static void judge_responder(struct judge *j, const struct verdict *v)
{
	if (!v->has_responder || v->responder.outcome != OWNER_ATTRIBUTED) {
		ledgers_drop(&j->ledgers, v->facts->flow_id, ATTRIB_RESPONDER);
		return;
	}
	struct verdict judged = *v;
	if (destination_use_answered(j->conf.catalogue, &judged) == DESTINATION_COUNTS &&
	    worth_keeping(&judged, ATTRIB_RESPONDER))
		keep_part(j, &judged, ATTRIB_RESPONDER, false);
	else
		ledgers_drop(&j->ledgers, v->facts->flow_id, ATTRIB_RESPONDER);
}

/* Nearly every flow: too small for a destination nobody lists, sent by nobody known. No rule can fire on it and
 * nothing explains it. */
static bool matters_to_none(const struct verdict *v)
{
	return !v->has_destination && !v->destination.sanctioned && !v->has_responder &&
	       v->initiator.outcome != OWNER_ATTRIBUTED && v->facts->up.bytes < MIN_UNOWNED_BYTES;
}

static void drop_parts(struct judge *j, uint64_t flow_id)
{
	if (!j->ledgers.parts.n)
		return;
	ledgers_drop(&j->ledgers, flow_id, ATTRIB_INITIATOR);
	ledgers_drop(&j->ledgers, flow_id, ATTRIB_RESPONDER);
}

void judge_verdict(struct judge *j, struct verdict *v)
{
	const struct flow_facts *f = v->facts;
	if (f->start_ns < j->begin_ns)
		j->begin_ns = f->start_ns;
	if (f->end_ns > j->clock_ns)
		j->clock_ns = f->end_ns;
	v->explanation = NULL;
	if (protocol_of(f) == PROTOCOL_SMB)
		peers_note(&j->peers, f);
	bool suppressed = false;
	if (matters_to_none(v)) {
		drop_parts(j, f->flow_id);
	} else {
		suppressed = judge_initiator(j, v);
		judge_responder(j, v);
	}
	outcomes_book(&j->outcomes, &j->stats, v, suppressed);
}

/* Telling. */

static void tell(struct judge *j, const struct draft *d, uint32_t version)
{
	struct telling t = {.draft = d, .attrib = j->conf.attrib, .ledgers = &j->ledgers};
	sentence_finding(&j->sentence, &t, &j->finding);
	j->finding.version = version;
	j->stats.findings += version == 1;
	j->stats.revisions += version > 1;
	j->conf.on_finding(j->conf.ctx, &j->finding);
}

static void tell_now(void *ctx, struct draft *d)
{
	struct judge *j = ctx;
	uint64_t revise_ns = j->flush ? 0 : j->conf.revise_ns;
	uint32_t version = tolds_version(&j->tolds, d, j->clock_ns, revise_ns, &j->waiting);
	if (version)
		tell(j, d, version);
	draft_free(d);
}

static void store(void *ctx, struct draft *d)
{
	struct judge *j = ctx;
	if (j->n_drafts == j->cap_drafts) {
		size_t cap = j->cap_drafts ? j->cap_drafts * 2 : 64;
		struct draft *grown = reallocarray(j->drafts, cap, sizeof *grown);
		if (!grown) {
			j->stats.flows_refused++;
			draft_free(d);
			return;
		}
		j->drafts = grown;
		j->cap_drafts = cap;
	}
	j->drafts[j->n_drafts++] = *d;
}

static void judge_changed(struct judge *j, void (*found)(void *ctx, struct draft *d), uint64_t prune_ns)
{
	for (struct group *g; (g = ledgers_take_changed(&j->ledgers));) {
		struct rule_view view = view_of(j, g);
		j->waiting = false;
		if (episode_judge(&view, found, j))
			j->stats.flows_refused++;
		ledgers_prune(&j->ledgers, g, prune_ns);
		if (j->waiting)
			ledgers_later(&j->ledgers, g);
	}
	ledgers_again(&j->ledgers);
}

void judge_tick(struct judge *j, uint64_t now_ns)
{
	if (!j->conf.revise)
		return;
	if (now_ns > j->clock_ns)
		j->clock_ns = now_ns;
	uint64_t window =
	    j->limits.volume_long_ns > j->limits.drip_ns ? j->limits.volume_long_ns : j->limits.drip_ns;
	uint64_t memory = window + j->limits.episode_gap_ns + hour_ns;
	uint64_t before = j->clock_ns > memory ? j->clock_ns - memory : 0;
	judge_changed(j, tell_now, before);
	while (j->ledgers.oldest && j->ledgers.oldest->last_ns < before)
		ledgers_remove(&j->ledgers, j->ledgers.oldest);
	outcomes_forget(&j->outcomes, j->clock_ns > outcome_memory_ns ? j->clock_ns - outcome_memory_ns : 0);
}

static int by_first_flow(const void *a, const void *b)
{
	const struct draft *x = a, *y = b;
	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

void judge_finish(struct judge *j)
{
	if (j->conf.revise) {
		j->flush = true;
		judge_changed(j, tell_now, 0);
		j->flush = false;
		return;
	}
	judge_changed(j, store, 0);
	if (j->n_drafts)
		qsort(j->drafts, j->n_drafts, sizeof *j->drafts, by_first_flow);
	for (size_t i = 0; i < j->n_drafts; i++)
		tell(j, &j->drafts[i], 1);
	free_drafts(j);
}

void judge_stats(const struct judge *j, struct judge_stats *ret)
{
	*ret = j->stats;
}
