#include "detect/sentence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "detect/part.h"

const char *sentence_add(struct sentence *s, const char *fmt, ...)
{
	size_t room = sizeof s->text - s->n;
	if (room < 2)
		return "";
	char *at = s->text + s->n;
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(at, room, fmt, ap);
	va_end(ap);
	if (n < 0)
		return "";
	s->n += (size_t)n < room ? (size_t)n + 1 : room;
	return at;
}

/* The process, or what there is instead of one. */

static const char *device_of(const struct draft *d)
{
	const char *key = d->ledger->key;
	size_t zone = strspn(key, "0123456789"); /* "zone/address" where no device is known */
	return zone && key[zone] == '/' ? key + zone + 1 : key;
}

static int device_length(const char *device)
{
	return (int)strcspn(device, "\x1f");
}

const char *sentence_process(struct sentence *s, const struct owner_process *p, char grade)
{
	char pid[24] = "";
	if (p->pid)
		snprintf(pid, sizeof pid, "pid %" PRIu32, p->pid);
	const char *user = p->user && *p->user ? p->user : "";
	const char *comma = *pid && *user ? ", " : "";
	const char *inferred = grade == 'C' ? (*pid || *user ? "; inferred" : "inferred") : "";
	const char *name = p->name && *p->name ? p->name : "a process without a name";
	if (!*pid && !*user && !*inferred)
		return sentence_add(s, "%.120s", name);
	return sentence_add(s, "%.120s (%s%s%.120s%s)", name, pid, comma, user, inferred);
}

/* The weakest grade among the flows: a finding is no better attributed than its worst flow. */
static char weakest_grade(const struct draft *d)
{
	char grade = 'A';
	for (size_t i = 0; i < d->n_parts; i++)
		if (part_owner(d->parts[i])->grade > grade)
			grade = part_owner(d->parts[i])->grade;
	return grade;
}

static const struct part *ambiguous_part(const struct draft *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		if (part_owner(d->parts[i])->outcome == OWNER_AMBIGUOUS)
			return d->parts[i];
	return NULL;
}

static bool one_process(const struct draft *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		if (!d->parts[i]->ledger->principal || d->parts[i]->ledger->principal != d->ledger->principal)
			return false;
	return true;
}

const char *sentence_verdict(const struct draft *d)
{
	for (size_t i = 0; i < d->n_parts; i++)
		if (!d->parts[i]->ledger->principal)
			return ambiguous_part(d) ? "upload_ambiguous" : "upload_unattributed";
	return "upload_by_process";
}

static const char *who(struct sentence *s, const struct draft *d)
{
	if (one_process(d))
		return sentence_process(s, &part_owner(d->hits[0].part)->process, weakest_grade(d));
	const struct part *p = ambiguous_part(d);
	const struct keep_owner *o = p ? part_owner(p) : NULL;
	if (o && o->n_candidates)
		return sentence_add(s, "one of %zu processes (%.80s%s%.80s%s)", o->n_candidates,
				    o->candidates[0].name ? o->candidates[0].name : "?",
				    o->n_candidates > 1 ? ", " : "",
				    o->n_candidates > 1 && o->candidates[1].name ? o->candidates[1].name : "",
				    o->n_candidates > 2 ? ", ..." : "");
	if (!strcmp(sentence_verdict(d), "upload_by_process"))
		return "several processes";
	return p ? "one of several processes" : "an unknown process";
}

const char *sentence_destination(struct sentence *s, const struct part *p)
{
	const struct keep *v = p->keep;
	const struct flow_facts *f = &v->facts;
	char addr[SENTENCE_WORD];
	if (p->side == ATTRIB_RESPONDER)
		return sentence_add(s, "%s, which had connected to port %u",
				    sentence_address(addr, &f->src, false), f->dst.port);
	sentence_address(addr, &f->dst, !p->known);
	if (v->has_destination && v->by_address)
		return sentence_add(s, "%s (%s, known by its address only)", addr, v->destination.row->title);
	if (v->has_destination && *v->destination.account)
		return sentence_add(s, "%s account %.128s", v->destination.row->title,
				    v->destination.account);
	if (f->n_name_candidates > 1)
		return sentence_add(s, "%s%s, by DNS one of %zu names (%.128s, %.128s%s)",
				    v->has_destination ? v->destination.row->title : "unknown destination ",
				    v->has_destination ? "" : addr, f->n_name_candidates, f->name_candidates[0],
				    f->name_candidates[1], f->n_name_candidates > 2 ? ", ..." : "");
	if (v->has_destination)
		return sentence_add(s, "%s (%.253s)", v->destination.row->title, f->name ? f->name : addr);
	if (f->name && f->name_source == FACTS_NAME_ECH_OUTER)
		return sentence_add(s, "%s, its name hidden by ECH behind %.253s", addr, f->name);
	if (f->name)
		return sentence_add(s, "unknown destination %.253s", f->name);
	return sentence_add(s, "unknown destination %s, which has no name", addr);
}

static const char *how_much(struct sentence *s, const struct draft *d, const struct finding *f)
{
	char n[SENTENCE_WORD];
	uint32_t flags = 0;
	for (size_t i = 0; i < d->n_parts; i++)
		flags |= d->parts[i]->keep->facts.flags;
	if (f->app_known)
		return sentence_add(s, "%s%s bytes of application data",
				    flags & FACTS_APP_ESTIMATED ? "about " : "",
				    sentence_count(n, f->app_bytes));
	return sentence_add(s, "%s%s bytes of payload", flags & FACTS_UNCERTAIN ? "about " : "",
			    sentence_count(n, f->bytes));
}

static const char *when(struct sentence *s, const struct finding *f)
{
	char a[SENTENCE_WORD], b[SENTENCE_WORD];
	const uint64_t minute_ns = UINT64_C(60000000000), day_ns = minute_ns * 1440;
	bool days = f->first_ns / day_ns != f->last_ns / day_ns;
	if (f->last_ns - f->first_ns < minute_ns)
		return sentence_add(s, "at %s", sentence_time(a, f->first_ns, false));
	return sentence_add(s, "between %s and %s", sentence_time(a, f->first_ns, days),
			    sentence_time(b, f->last_ns, days));
}

static const char *after_archive(struct sentence *s, const struct draft *d)
{
	static const char *const kin[] = {[ATTRIB_SAME] = "",
					  [ATTRIB_CHILD] = ", its child,",
					  [ATTRIB_PARENT] = ", its parent,",
					  [ATTRIB_SIBLING] = ", its sibling,"};
	const struct rule_hit *hit = NULL;
	for (size_t i = 0; i < d->n_hits && !hit; i++)
		hit = d->hits[i].rule->id == RULE_ARCHIVE ? &d->hits[i] : NULL;
	if (!hit)
		return "";
	const struct attrib_archive *a = &hit->archive;
	char span[32];
	rule_archive_span(span, hit);
	const char *file = a->file ? a->file : "an archive";
	if (a->relation == ATTRIB_SAME)
		return sentence_add(s, ", %s after it created %.200s", span, file);
	return sentence_add(s, ", %s after %.80s%s created %.200s", span,
			    a->process ? a->process : "another process",
			    a->relation <= ATTRIB_SIBLING ? kin[a->relation] : "", file);
}

const char *sentence_write(struct sentence *s, const struct telling *t, const struct finding *f)
{
	const struct draft *d = t->draft;
	const char *device = device_of(d);
	char over[48] = "";
	if (d->n_parts > 1)
		snprintf(over, sizeof over, " over %zu connections", d->n_parts);
	return sentence_add(s, "%s on %.*s sent %s to %s%s %s%s", who(s, d), device_length(device), device,
			    how_much(s, d, f), sentence_destination(s, d->hits[0].part), over, when(s, f),
			    after_archive(s, d));
}
