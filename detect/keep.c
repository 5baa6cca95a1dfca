#include "detect/keep.h"

#include <assert.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct keep) % 8 == 0 && sizeof(struct keep_owner) % 8 == 0 &&
		  alignof(struct owner_evidence) <= 8,
	      "arrays behind the fixed part stay aligned");

/* Two walks over the same list of strings: the first adds up, the second copies. */
struct walk {
	char *to; /* NULL: adding up */
	size_t n;
};

static void string(struct walk *w, const char **s)
{
	if (!*s)
		return;
	size_t n = strlen(*s) + 1;
	if (w->to) {
		memcpy(w->to + w->n, *s, n);
		*s = w->to + w->n;
	}
	w->n += n;
}

static void process(struct walk *w, struct owner_process *p)
{
	const char **strings[] = {&p->name, &p->original_name, &p->path,   &p->command_line,
				  &p->user, &p->device,        &p->sha256, &p->parent_name};
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		string(w, strings[i]);
}

/* A copy of an array in the block; while adding up, the array itself. */
static void *array(struct walk *w, const void *from, size_t n)
{
	w->n = (w->n + 7) & ~(size_t)7;
	void *to = w->to ? w->to + w->n : NULL;
	if (to && n)
		memcpy(to, from, n);
	w->n += n;
	return to;
}

static void owner(struct walk *w, struct keep_owner *ko, const struct owner *o)
{
	struct owner_process p = o->process;
	struct owner_process *candidates = array(w, o->candidates, o->n_candidates * sizeof *candidates);
	struct owner_evidence *evidence = array(w, o->evidence, o->n_evidence * sizeof *evidence);
	process(w, &p);
	for (size_t i = 0; i < o->n_candidates; i++) {
		struct owner_process c = o->candidates[i];
		process(w, candidates ? &candidates[i] : &c);
	}
	for (size_t i = 0; i < o->n_evidence; i++) {
		struct owner_evidence e = o->evidence[i], *to = evidence ? &evidence[i] : &e;
		string(w, &to->source);
		string(w, &to->id);
		string(w, &to->key);
	}
	if (ko)
		*ko = (struct keep_owner){.outcome = o->outcome,
					  .cause = o->cause,
					  .grade = o->grade,
					  .rivals = o->rivals,
					  .process = p,
					  .candidates = candidates,
					  .evidence = evidence,
					  .n_candidates = o->n_candidates,
					  .n_evidence = o->n_evidence};
}

static void facts(struct walk *w, struct flow_facts *f)
{
	const char **strings[] = {&f->name, &f->sni,  &f->connect_host, &f->http_host,     &f->ja3,
				  &f->ja4,  &f->alpn, &f->app_proto,    &f->ndpi_protocol, &f->ndpi_name};
	for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
		string(w, strings[i]);
	for (size_t i = 0; i < f->n_name_candidates; i++)
		string(w, &f->name_candidates[i]);
}

static void everything(struct walk *w, const struct verdict *v, struct flow_facts *f,
		       const char **explanation, struct keep_owner *sides)
{
	owner(w, sides, &v->initiator); /* arrays first: they are aligned */
	if (v->has_responder)
		owner(w, sides ? sides + 1 : NULL, &v->responder);
	facts(w, f);
	string(w, explanation);
}

struct keep *keep_new(const struct verdict *v)
{
	struct flow_facts f = *v->facts;
	const char *explanation = v->explanation;
	struct walk w = {0};
	everything(&w, v, &f, &explanation, NULL);
	size_t fixed = sizeof(struct keep) + (v->has_responder ? 2 : 1) * sizeof(struct keep_owner);
	struct keep *k = malloc(fixed + w.n);
	if (!k)
		return NULL;
	*k = (struct keep){.bytes = fixed + w.n,
			   .facts = *v->facts,
			   .destination = v->destination,
			   .explanation = v->explanation,
			   .version = v->version,
			   .has_destination = v->has_destination,
			   .by_address = v->by_address,
			   .has_responder = v->has_responder,
			   .direction = v->direction};
	k->facts.minutes = NULL;
	k->facts.n_minutes = 0;
	w = (struct walk){.to = (char *)k + fixed};
	everything(&w, v, &k->facts, &k->explanation, k->sides);
	return k;
}

static void owner_again(const struct keep_owner *ko, struct owner *ret)
{
	*ret = (struct owner){.outcome = ko->outcome,
			      .cause = ko->cause,
			      .grade = ko->grade,
			      .rivals = ko->rivals,
			      .process = ko->process,
			      .n_candidates = ko->n_candidates,
			      .n_evidence = ko->n_evidence};
	for (size_t i = 0; i < ko->n_candidates; i++)
		ret->candidates[i] = ko->candidates[i];
	for (size_t i = 0; i < ko->n_evidence; i++)
		ret->evidence[i] = ko->evidence[i];
}

void keep_verdict(const struct keep *k, struct verdict *ret)
{
	*ret = (struct verdict){.facts = &k->facts,
				.version = k->version,
				.has_destination = k->has_destination,
				.by_address = k->by_address,
				.destination = k->destination,
				.has_responder = k->has_responder,
				.direction = k->direction,
				.explanation = k->explanation};
	owner_again(&k->sides[0], &ret->initiator);
	if (k->has_responder)
		owner_again(&k->sides[1], &ret->responder);
}
