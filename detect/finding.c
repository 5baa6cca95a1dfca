#include "detect/finding.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "detect/part.h"
#include "detect/sentence.h"

const char *const verdict_direction_names[] = {"upload", "download", "both", "idle"};

static void add_dir(struct facts_dir *sum, const struct facts_dir *d)
{
	sum->packets += d->packets;
	sum->wire_bytes += d->wire_bytes;
	sum->bytes += d->bytes;
	sum->bytes_min += d->bytes_min;
	sum->bytes_max += d->bytes_max;
	sum->gap_bytes += d->gap_bytes;
	sum->unacked_bytes += d->unacked_bytes;
	sum->dup_bytes += d->dup_bytes;
	sum->oow_bytes += d->oow_bytes;
	sum->app_bytes += d->app_bytes;
	sum->delta_bytes += d->delta_bytes;
	sum->basis = d->basis > sum->basis ? d->basis : sum->basis; /* the weakest */
}

static void sum_flows(struct finding *f, const struct draft *d)
{
	f->app_known = true;
	for (size_t i = 0; i < d->n_parts; i++) {
		const struct part *p = d->parts[i];
		const struct flow_facts *facts = &p->keep->facts;
		add_dir(&f->up, &facts->up);
		add_dir(&f->down, &facts->down);
		f->bytes += p->out_bytes;
		f->app_bytes += p->out_app;
		f->app_known = f->app_known && p->app_known;
		if (f->n_flows < FINDING_MAX_FLOWS)
			f->flows[f->n_flows++] = p->flow_id;
	}
	f->n_flows_total = d->n_parts;
	if (!f->app_known)
		f->app_bytes = 0;
}

static void add_technique(struct finding *f, const char *technique, size_t n)
{
	static const struct {
		const char *technique, *tactic;
	} known[] = {
	    {"T1567.001", "TA0010"}, {"T1567.002", "TA0010"}, {"T1567.003", "TA0010"},
	    {"T1567.004", "TA0010"}, {"T1567", "TA0010"},     {"T1048.002", "TA0010"},
	    {"T1048", "TA0010"},     {"T1030", "TA0010"},     {"T1572", "TA0011"},
	    {"T1219", "TA0011"},     {"T1560.001", ""}}; /* collected for the exfiltration that is told */
	for (size_t i = 0; i < f->n_techniques; i++)
		if (strlen(f->techniques[i]) == n && !memcmp(f->techniques[i], technique, n))
			return;
	for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
		if (strlen(known[k].technique) != n || memcmp(known[k].technique, technique, n) ||
		    f->n_techniques == FINDING_MAX_TECHNIQUES)
			continue;
		f->techniques[f->n_techniques++] = known[k].technique;
		for (size_t i = 0; i < f->n_tactics; i++)
			if (!strcmp(f->tactics[i], known[k].tactic))
				return;
		if (*known[k].tactic)
			f->tactics[f->n_tactics++] = known[k].tactic;
		return;
	}
}

/* Of the destination's row: T1567.002 stands only on rows that store files (a test holds that). */
static const char *destination_technique(const struct part *p)
{
	const struct keep *v = p->keep;
	if (!v->has_destination || p->side == ATTRIB_RESPONDER)
		return "T1048";
	return *v->destination.row->technique ? v->destination.row->technique : "T1567";
}

static void techniques(struct finding *f, const struct draft *d)
{
	const char *t = destination_technique(d->hits[0].part);
	add_technique(f, t, strlen(t));
	for (size_t i = 0; i < d->n_hits; i++)
		add_technique(f, d->hits[i].rule->technique, strlen(d->hits[i].rule->technique));
}

void sentence_finding(struct sentence *s, const struct telling *t, struct finding *ret_f)
{
	const struct draft *d = t->draft;
	struct finding *f = ret_f;
	s->n = 0;
	memset(f, 0, sizeof *f);
	snprintf(f->id, sizeof f->id, "%016" PRIx64, d->id);
	f->verdict = sentence_verdict(d);
	for (size_t i = 0; i < d->n_hits; i++)
		f->rules[f->n_rules++] = d->hits[i].rule->id;
	f->title = d->hits[0].rule->title;
	f->severity = d->severity;
	f->first_ns = d->first_ns;
	f->last_ns = d->last_ns;
	keep_verdict(d->hits[0].part->keep, &s->flow);
	f->flow = &s->flow;
	sum_flows(f, d);
	techniques(f, d);
	f->sentence = sentence_write(s, t, f);
	sentence_reasons(s, t, f);
	sentence_timeline(s, t, f);
}

enum verdict_direction verdict_direction_of(uint64_t up_bytes, uint64_t down_bytes)
{
	if (up_bytes < 256 && down_bytes < 256)
		return VERDICT_IDLE;
	if (up_bytes >= 1000 && up_bytes / 2 >= down_bytes)
		return VERDICT_UPLOAD;
	if (down_bytes >= 1000 && down_bytes / 2 >= up_bytes)
		return VERDICT_DOWNLOAD;
	return VERDICT_BOTH;
}
