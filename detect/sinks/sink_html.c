/* sink_html: the report: one static page without script, without any request, that opens from an e-mail and prints. Kind "html".
 *
 * Findings come first as sentences a manager can read, then what is not known, then the evidence. Everything from packets and logs is escaped text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "detect/sinks/html_parts.h"
#include "detect/sinks/sinks.h"

enum { FINDINGS_MAX = 200, SENTENCE_BYTES = 250 << 10, DETAIL_BYTES = 700 << 10, PAGE_BYTES = 900 << 10 };

/* The newest version of a finding, written; the numbers come when all are known. */
struct told {
	char id[24];
	uint8_t severity;
	uint64_t first_ns;
	const char *title; /* owned by the rules */
	struct textbuf sentence, detail;
};

struct sink {
	char target[1024];
	const char *const *inputs;
	size_t n_inputs;
	struct told *findings[FINDINGS_MAX];
	size_t n_kept;
	uint64_t n_findings;
	uint64_t first_ns; /* of all flows; 0: none yet */
	struct html_flows flows;
	bool nat_one_side;
	struct tally *tally;
	struct sink_stats stats;
};

static int html_open(struct sink **ret_s, const struct sink_conf *conf, struct err *err)
{
	struct stat st;
	if (!lstat(conf->target, &st) && !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: not a regular file", conf->target);
	struct sink *s = calloc(1, sizeof *s);
	if (s)
		s->tally = tally_new();
	if (!s || !s->tally) {
		free(s);
		return err_set(err, -ENOMEM, "no memory for the report");
	}
	snprintf(s->target, sizeof s->target, "%s", conf->target);
	s->inputs = conf->inputs;
	s->nat_one_side = conf->nat_one_side;
	s->n_inputs = conf->n_inputs;
	*ret_s = s;
	return 0;
}

static int html_flow(struct sink *s, const struct verdict *v)
{
	if (!s->first_ns || v->facts->start_ns < s->first_ns)
		s->first_ns = v->facts->start_ns;
	if (!v->facts->last || (s->nat_one_side && v->facts->nat_second))
		return 0;
	tally_add(s->tally, v);
	html_flows_add(&s->flows, v);
	return 0;
}

static void told_free(struct told *t)
{
	if (!t)
		return;
	textbuf_done(&t->sentence);
	textbuf_done(&t->detail);
	free(t);
}

/* Gravest first, then by time. */
static int by_gravity(const void *a, const void *b)
{
	const struct told *x = *(struct told *const *)a, *y = *(struct told *const *)b;
	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	if (x->first_ns != y->first_ns)
		return x->first_ns < y->first_ns ? -1 : 1;
	return strcmp(x->id, y->id);
}

/* The place of f: that of its last version, a new one, or the least grave one's where the report is full; NULL: none is less grave, or no memory. */
static struct told *place_of(struct sink *s, const struct finding *f)
{
	for (size_t i = 0; i < s->n_kept; i++)
		if (!strcmp(s->findings[i]->id, f->id))
			return s->findings[i];
	if (s->n_kept < FINDINGS_MAX) {
		struct told *t = calloc(1, sizeof *t);
		if (t)
			s->findings[s->n_kept++] = t;
		return t;
	}
	qsort(s->findings, s->n_kept, sizeof *s->findings, by_gravity);
	struct told *least = s->findings[s->n_kept - 1];
	return least->severity > f->severity ? least : NULL;
}

static int html_finding(struct sink *s, const struct finding *f)
{
	s->n_findings += f->version == 1;
	struct told *t = place_of(s, f);
	if (!t)
		return 0;
	snprintf(t->id, sizeof t->id, "%s", f->id);
	t->severity = f->severity;
	t->first_ns = f->first_ns;
	t->title = f->title;
	textbuf_clear(&t->sentence);
	textbuf_clear(&t->detail);
	textbuf_html(&t->sentence, f->sentence, HTML_MAX_TEXT);
	html_finding_part(&t->detail, f, &s->flows);
	return 0;
}

static int html_stats(struct sink *s, const struct sink_stats *st)
{
	s->stats = *st;
	return 0;
}

static void put_text(struct textbuf *page, struct textbuf *part)
{
	page->failed |= part->failed;
	if (part->text)
		textbuf_put(page, part->text);
}

static void sentences(struct sink *s, struct textbuf *page)
{
	size_t i = 0;
	for (; i < s->n_kept && page->n < SENTENCE_BYTES; i++) {
		struct told *t = s->findings[i];
		textbuf_f(page, "<p class=\"verdict s%u\"><span class=\"tag\">%s</span>", t->severity, html_severity(t->severity));
		put_text(page, &t->sentence);
		textbuf_f(page, " <a href=\"#f-%s\">evidence %zu</a></p>\n", t->id, i + 1);
	}
	if (s->n_findings > i)
		textbuf_f(page, "<p>%llu more findings are in the records.</p>\n", (unsigned long long)(s->n_findings - i));
}

static void details(struct sink *s, struct textbuf *page)
{
	size_t i = 0;
	for (; i < s->n_kept && (!i || page->n + s->findings[i]->detail.n < DETAIL_BYTES); i++) {
		struct told *t = s->findings[i];
		textbuf_f(page, "<h2 id=\"f-%s\">%zu. ", t->id, i + 1);
		textbuf_html(page, t->title, HTML_MAX_TEXT);
		textbuf_put(page, "</h2>\n");
		if (s->n_kept > 1) { /* a single one has just been said */
			textbuf_put(page, "<p>");
			put_text(page, &t->sentence);
			textbuf_put(page, "</p>\n");
		}
		put_text(page, &t->detail);
	}
	if (i < s->n_kept)
		textbuf_f(page, "<p>The evidence of findings %zu to %zu is in the records.</p>\n", i + 1, s->n_kept);
}

static void build(struct sink *s, struct textbuf *page)
{
	qsort(s->findings, s->n_kept, sizeof *s->findings, by_gravity);
	html_head(page);
	html_title(page, s->n_findings, s->first_ns, &s->stats);
	sentences(s, page);
	html_unknowns(page, s->n_findings, &s->stats);
	details(s, page);
	html_destinations(page, s->tally, PAGE_BYTES);
	html_join(page, &s->stats);
	html_capture(page, &s->stats);
	html_method(page, s->inputs, s->n_inputs);
	textbuf_put(page, "</main></body></html>\n");
}

static int write_fd(int fd, const char *text, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, text + done, n - done);
		if (w < 0 && errno != EINTR)
			return -errno;
		done += w > 0 ? (size_t)w : 0;
	}
	return fsync(fd) ? -errno : 0;
}

/* A reader sees the old report or the new one, never half of it. */
static int replace_file(const char *target, const struct textbuf *page)
{
	char temp[1100];
	snprintf(temp, sizeof temp, "%s.XXXXXX", target);
	int fd = mkstemp(temp);
	if (fd < 0)
		return -errno;
	int r = fchmod(fd, 0640) ? -errno : write_fd(fd, page->text, page->n);
	if (close(fd) && !r)
		r = -errno;
	if (!r && rename(temp, target))
		r = -errno;
	if (r)
		unlink(temp);
	return r;
}

static int html_close(struct sink *s, struct err *err)
{
	struct textbuf page = {0};
	build(s, &page);
	int r = page.failed ? -ENOMEM : replace_file(s->target, &page);
	if (r)
		err_set(err, r, "%s: %s", s->target, strerror(-r));
	textbuf_done(&page);
	for (size_t i = 0; i < s->n_kept; i++)
		told_free(s->findings[i]);
	html_flows_done(&s->flows);
	tally_free(s->tally);
	free(s);
	return r;
}

const struct sink_ops sink_html = {
	.kind = "html",
	.open = html_open,
	.flow = html_flow,
	.finding = html_finding,
	.stats = html_stats,
	.close = html_close,
};
