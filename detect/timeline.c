/* What happened in which order: see detect/sentence.h. */
#include "detect/sentence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/part.h"

enum { MAX_ARCHIVES = 6, MAX_DOWNLOADS = 6, MAX_UPLOADS = 4 };
static const uint64_t before_ns = UINT64_C(3600000000000); /* how far back downloads and archives are told */

static void add(struct finding *f, uint64_t t_ns, const char *kind, const char *text)
{
	if (f->n_timeline < FINDING_MAX_TIMELINE)
		f->timeline[f->n_timeline++] = (struct finding_time){t_ns, kind, text};
}

static int by_time(const void *a, const void *b)
{
	const struct finding_time *x = a, *y = b;
	if (x->t_ns != y->t_ns)
		return x->t_ns < y->t_ns ? -1 : 1;
	int c = strcmp(x->kind, y->kind);
	return c ? c : strcmp(x->text, y->text);
}

static const struct owner_process *process_of(const struct draft *d)
{
	return d->ledger->principal ? &part_owner(d->parts[0])->process : NULL;
}

static void process_start(struct sentence *s, const struct draft *d, struct finding *f)
{
	const struct owner_process *p = process_of(d);
	if (!p || !p->start_ns || p->start_ns > f->last_ns)
		return;
	const char *by = p->parent_name ? p->parent_name : "";
	add(f, p->start_ns, "process",
	    sentence_add(s, "%s started%s%.80s%s%.300s", sentence_process(s, p, 'A'), *by ? " by " : "", by,
			 p->command_line ? ": " : "", p->command_line ? p->command_line : ""));
}

static bool same_archive(const struct attrib_archive *a, const struct attrib_archive *b)
{
	return a->file && b->file && a->principal == b->principal && !strcmp(a->file, b->file);
}

/* Newest first: of the events about one file (the command, then the file itself) the last is told. */
static void archives(struct sentence *s, const struct telling *t, struct finding *f)
{
	struct attrib_archive a[MAX_ARCHIVES];
	const struct draft *d = t->draft;
	if (!t->attrib || !d->ledger->principal)
		return;
	uint64_t from = f->first_ns > before_ns ? f->first_ns - before_ns : 0;
	size_t n = attrib_archives(t->attrib, d->ledger->principal, from, f->last_ns, a, MAX_ARCHIVES);
	for (size_t i = 0; i < n; i++) {
		bool told = false;
		for (size_t k = 0; k < i; k++)
			told = told || same_archive(&a[i], &a[k]);
		if (!told)
			add(f, a[i].time_ns, "file_created",
			    sentence_add(s, "%.80s created %.200s",
					 a[i].process ? a[i].process : "a process of the tree",
					 a[i].file ? a[i].file : "an archive"));
	}
}

static int by_start(const void *a, const void *b)
{
	const struct part *x = *(struct part *const *)a, *y = *(struct part *const *)b;
	if (x->start_ns != y->start_ns)
		return x->start_ns < y->start_ns ? -1 : 1;
	return (x->flow_id > y->flow_id) - (x->flow_id < y->flow_id);
}

/* The last few before the upload ended, by start. */
static size_t take_download(struct part **best, size_t n, struct part *p)
{
	if (n == MAX_DOWNLOADS) {
		if (by_start(&p, &best[0]) < 0)
			return n;
		best[0] = p;
	} else {
		best[n++] = p;
	}
	qsort(best, n, sizeof(struct part *), by_start);
	return n;
}

/* What the same process fetched from catalogued hosts: a sibling account is told as a download, never as part
 * of the upload. */
static void downloads(struct sentence *s, const struct telling *t, struct finding *f)
{
	struct part *best[MAX_DOWNLOADS] = {0};
	size_t n = 0;
	for (struct ledger *l = ledgers_of_process(t->ledgers, t->draft->ledger->principal); l;
	     l = l->next_of_process) {
		struct part *lists[] = {l->downloads, l->parts};
		for (int i = 0; i < 2; i++)
			for (struct part *p = lists[i]; p; p = p->next)
				if (p->known && p->direction == VERDICT_DOWNLOAD &&
				    p->start_ns <= f->last_ns && p->end_ns + before_ns >= f->first_ns)
					n = take_download(best, n, p);
	}
	for (size_t i = 0; i < n; i++) {
		char size[SENTENCE_WORD];
		const char *layer = best[i]->app_known ? "application data" : "payload";
		add(f, best[i]->start_ns, "download",
		    sentence_add(s, "fetched %s bytes of %s from %s", sentence_count(size, best[i]->in_app),
				 layer, sentence_destination(s, best[i])));
	}
}

static void uploads(struct sentence *s, const struct draft *d, struct finding *f)
{
	for (size_t i = 0; i < d->n_parts && i < MAX_UPLOADS; i++) {
		const struct part *p = d->parts[i];
		const struct flow_facts *facts = &p->keep->facts;
		char size[SENTENCE_WORD], addr[SENTENCE_WORD];
		const struct facts_addr *peer = p->side == ATTRIB_RESPONDER ? &facts->src : &facts->dst;
		add(f, p->start_ns, "connect",
		    sentence_add(s, "%s %s (%.253s)",
				 p->side == ATTRIB_RESPONDER ? "connection from" : "connect to",
				 sentence_address(addr, peer, true), facts->name ? facts->name : "no name"));
		add(f, p->end_ns, "upload",
		    sentence_add(s, "%s bytes of %s sent to %s", sentence_count(size, p->out_app),
				 p->app_known ? "application data" : "payload", sentence_destination(s, p)));
	}
	if (d->n_parts > MAX_UPLOADS)
		add(f, f->last_ns, "upload", sentence_add(s, "last of %zu connections ends", d->n_parts));
}

void sentence_timeline(struct sentence *s, const struct telling *t, struct finding *f)
{
	process_start(s, t->draft, f);
	archives(s, t, f);
	downloads(s, t, f);
	uploads(s, t->draft, f);
	qsort(f->timeline, f->n_timeline, sizeof *f->timeline, by_time);
}
