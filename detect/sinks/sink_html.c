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

enum { FINDINGS_MAX = 200 };

struct sink {
	char target[1024];
	const char *const *inputs;
	size_t n_inputs;
	struct textbuf findings, verdicts;
	uint64_t n_findings;
	struct html_flows flows;
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
	s->n_inputs = conf->n_inputs;
	*ret_s = s;
	return 0;
}

static int html_flow(struct sink *s, const struct verdict *v)
{
	if (!v->facts->last)
		return 0;
	tally_add(s->tally, v);
	html_flows_add(&s->flows, v);
	return 0;
}

static int html_finding(struct sink *s, const struct finding *f)
{
	if (s->n_findings++ >= FINDINGS_MAX)
		return 0;
	html_verdict(&s->verdicts, f);
	html_finding_part(&s->findings, f, &s->flows);
	return 0;
}

static int html_stats(struct sink *s, const struct sink_stats *st)
{
	s->stats = *st;
	return 0;
}

static void build(struct sink *s, struct textbuf *page)
{
	html_head(page);
	html_title(page, s->n_findings, &s->stats);
	if (s->verdicts.text)
		textbuf_put(page, s->verdicts.text);
	if (s->n_findings > FINDINGS_MAX)
		textbuf_f(page, "<p>%llu more findings are in the records.</p>\n", (unsigned long long)(s->n_findings - FINDINGS_MAX));
	html_unknowns(page, s->n_findings, &s->stats);
	if (s->findings.text)
		textbuf_put(page, s->findings.text);
	html_destinations(page, s->tally);
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
	textbuf_done(&s->findings);
	textbuf_done(&s->verdicts);
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
