#include "detect/episode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"

void draft_free(struct draft *d)
{
	free(d->parts);
	*d = (struct draft){0};
}

static int by_start(const void *a, const void *b)
{
	const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	if (x->flow_id != y->flow_id)
		return x->flow_id < y->flow_id ? -1 : 1;
	return x->side - y->side;
}

/* What belongs together lies together: for cutting one ledger after the other. */
static int by_ledger_and_start(const void *a, const void *b)
{
	const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;
	int c = x->ledger == y->ledger ? 0 : strcmp(x->ledger->key, y->ledger->key);
	return c ? c : by_start(a, b);
}

struct judging {
	struct rule_view *view;
	struct part **parts;  /* of one episode after the other */
	bool *supports, *one; /* of all rules so far, of the current rule */
	void (*found)(void *ctx, struct draft *d);
	void *ctx;
	int failed;
};

static void make_id(struct draft *d)
{
	uint64_t key = hash_bytes(HASH_KEY_FIXED, d->of_device ? d->ledger->group->key : d->ledger->key,
				  strlen(d->of_device ? d->ledger->group->key : d->ledger->key));
	uint64_t words[4] = {key, d->parts[0]->flow_id, d->parts[0]->side, d->of_device};
	d->id = hash_bytes(HASH_KEY_FIXED, words, sizeof words);
	d->id += !d->id;
}

static void emit(struct judging *jg, const struct episode *ep, struct draft *d)
{
	size_t n = 0;
	for (size_t i = 0; i < ep->n; i++)
		n += jg->supports[i];
	d->parts = calloc(n, sizeof *d->parts);
	if (!d->parts) {
		jg->failed = -ENOMEM;
		return;
	}
	d->first_ns = UINT64_MAX;
	bool by_address = true;
	for (size_t i = 0; i < ep->n; i++) {
		struct part *p = ep->parts[i];
		if (!jg->supports[i])
			continue;
		d->parts[d->n_parts++] = p;
		p->fired = true;
		d->first_ns = p->start_ns < d->first_ns ? p->start_ns : d->first_ns;
		d->last_ns = p->end_ns > d->last_ns ? p->end_ns : d->last_ns;
		by_address = by_address && p->keep->by_address;
	}
	d->ledger = d->parts[0]->ledger;
	qsort(d->hits, d->n_hits, sizeof *d->hits, rule_graver);
	d->severity = by_address ? 3 : d->hits[0].rule->severity;
	make_id(d);
	jg->found(jg->ctx, d);
}

/* Where something fired, every upload of the episode belongs to the finding. */
static void add_uploads(struct judging *jg, const struct episode *ep)
{
	for (size_t i = 0; i < ep->n; i++)
		jg->supports[i] = jg->supports[i] || ep->parts[i]->direction == VERDICT_UPLOAD;
}

static void ask_rules(struct judging *jg, const struct episode *ep, bool of_device)
{
	struct draft d = {.of_device = of_device};
	memset(jg->supports, 0, ep->n * sizeof *jg->supports);
	for (size_t r = 0; rules[r] && d.n_hits < FINDING_MAX_RULES; r++) {
		struct rule_hit hit;
		memset(jg->one, 0, ep->n * sizeof *jg->one);
		if (rules[r]->of_device != of_device || !rules[r]->fires(jg->view, ep, jg->one, &hit))
			continue;
		hit.rule = rules[r];
		d.hits[d.n_hits++] = hit;
		for (size_t i = 0; i < ep->n; i++)
			jg->supports[i] = jg->supports[i] || jg->one[i];
	}
	if (!d.n_hits)
		return;
	if (!of_device)
		add_uploads(jg, ep);
	emit(jg, ep, &d);
}

static void cut_and_ask(struct judging *jg, size_t n)
{
	uint64_t gap = jg->view->limits->episode_gap_ns;
	for (size_t from = 0, to; from < n; from = to) {
		struct episode ep = {.ledger = jg->parts[from]->ledger,
				     .parts = jg->parts + from,
				     .first_ns = jg->parts[from]->start_ns,
				     .last_ns = jg->parts[from]->end_ns};
		for (to = from + 1; to < n && jg->parts[to]->ledger == ep.ledger; to++) {
			if (jg->parts[to]->start_ns >= ep.last_ns &&
			    jg->parts[to]->start_ns - ep.last_ns >= gap)
				break;
			if (jg->parts[to]->end_ns > ep.last_ns)
				ep.last_ns = jg->parts[to]->end_ns;
		}
		ep.n = to - from;
		ask_rules(jg, &ep, false);
	}
}

static void ask_of_device(struct judging *jg)
{
	struct episode ep = {.parts = jg->parts};
	for (size_t i = 0; i < jg->view->n_group_parts; i++)
		if (!jg->view->group_parts[i]->fired)
			jg->parts[ep.n++] = jg->view->group_parts[i];
	if (!ep.n)
		return;
	ep.ledger = ep.parts[0]->ledger;
	ep.first_ns = ep.parts[0]->start_ns;
	ep.last_ns = ep.parts[ep.n - 1]->end_ns;
	ask_rules(jg, &ep, true);
}

int episode_judge(struct rule_view *view, void (*found)(void *ctx, struct draft *d), void *ctx)
{
	size_t n = 0;
	for (const struct ledger *l = view->group->ledgers; l; l = l->next_in_group)
		for (const struct part *p = l->parts; p; p = p->next)
			n++;
	if (!n)
		return 0;
	struct part **parts = calloc(n * 2, sizeof *parts);
	bool *flags = calloc(n * 2, sizeof *flags);
	struct judging jg = {
	    .view = view, .found = found, .ctx = ctx, .failed = parts && flags ? 0 : -ENOMEM};
	if (jg.failed)
		goto out;
	size_t k = 0;
	for (const struct ledger *l = view->group->ledgers; l; l = l->next_in_group)
		for (struct part *p = l->parts; p; p = p->next) {
			p->fired = false;
			parts[k++] = p;
		}
	jg.parts = parts + n;
	jg.supports = flags;
	jg.one = flags + n;
	memcpy(jg.parts, parts, n * sizeof *parts);
	qsort(parts, n, sizeof *parts, by_start);
	qsort(jg.parts, n, sizeof *parts, by_ledger_and_start);
	view->group_parts = parts;
	view->n_group_parts = n;
	cut_and_ask(&jg, n);
	ask_of_device(&jg);
	view->group_parts = NULL;
	view->n_group_parts = 0;
out:
	free(parts);
	free(flags);
	return jg.failed;
}
