/* 1003: an archive made, then an upload by the same process tree. No size floor: a stolen list is small. */
#include "detect/rule.h"

#include <stdio.h>

#include "detect/part.h"

static bool wanted(const struct rule_view *view, const struct part *p)
{
	const struct keep *v = p->keep;
	bool there = p->known ? !v->by_address && v->destination.row->role == CATALOGUE_UPLOAD : true;
	return there && part_up_twice_down(p) && p->out_app >= view->limits->archive_min_app_bytes &&
	       part_owner(p)->outcome == OWNER_ATTRIBUTED;
}

/* The newest archive before one of the flow's uploads. Of a minute in the middle of a flow only the end is sure to come after. */
static bool archive_before(const struct rule_view *view, const struct part *p, struct rule_hit *ret)
{
	uint64_t window = view->limits->archive_window_ns, principal = part_owner(p)->process.principal;
	struct part_burst b;
	for (uint32_t at = 0; part_burst(p, &at, &b);) {
		uint64_t from = b.from_ns > window ? b.from_ns - window : 0;
		if (!attrib_archives(view->attrib, principal, from, b.to_ns, &ret->archive, 1))
			continue;
		ret->upload_ns = ret->archive.time_ns <= b.from_ns ? b.from_ns : 0;
		return true;
	}
	return false;
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	*ret_hit = (struct rule_hit){0};
	for (size_t i = 0; view->attrib && i < ep->n; i++) {
		struct rule_hit hit = {0};
		supports[i] = wanted(view, ep->parts[i]) && archive_before(view, ep->parts[i], &hit);
		if (!supports[i])
			continue;
		ret_hit->count++;
		ret_hit->bytes += ep->parts[i]->out_app;
		if (ret_hit->part)
			continue;
		ret_hit->part =
		    ep->parts[i]; /* the first upload after the archive: what the sentence tells of */
		ret_hit->archive = hit.archive;
		ret_hit->upload_ns = hit.upload_ns;
	}
	return ret_hit->part != NULL;
}

static const char *maker(uint8_t relation)
{
	static const char *const words[] = {[ATTRIB_SAME] = "the same process",
					    [ATTRIB_CHILD] = "a child of the process",
					    [ATTRIB_PARENT] = "the parent of the process",
					    [ATTRIB_SIBLING] = "a sibling of the process"};
	return relation <= ATTRIB_SIBLING ? words[relation] : "the process tree";
}

const char *rule_archive_span(char *buf, const struct rule_hit *hit)
{
	if (hit->upload_ns)
		return rule_span_text(buf, hit->upload_ns - hit->archive.time_ns);
	snprintf(buf, 32, "less than a minute");
	return buf;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	const struct attrib_archive *a = &hit->archive;
	char span[32];
	snprintf(ret_text, RULE_REASON_SIZE,
		 "1003: %s, %.60s, created %.120s %s before the upload began (%.16s event %.64s)",
		 maker(a->relation), a->process ? a->process : "name unknown",
		 a->file ? a->file : "an archive", rule_archive_span(span, hit),
		 a->source ? a->source : "endpoint", a->id ? a->id : "without id");
}

const struct rule rule_archive = {.id = RULE_ARCHIVE,
				  .severity = 1,
				  .title = "Archive created, then uploaded to cloud storage",
				  .technique = "T1560.001",
				  .fires = fires,
				  .explain = explain};
