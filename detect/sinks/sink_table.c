/* sink_table: for people at a terminal: the findings as sentences, then who sent how much to where. Kind "table". */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/sinks/sinks.h"
#include "detect/sinks/tally.h"
#include "detect/sinks/textbuf.h"

enum { DESTINATIONS_SHOWN = 15, FINDINGS_SHOWN = 100 };

struct sink {
	FILE *out;
	bool color, live, nat_one_side;
	struct tally *tally;
	struct textbuf safe; /* the text being written, made harmless */
	uint64_t findings;
	struct sink_stats stats; /* the newest */
};

static int table_open(struct sink **ret_s, const struct sink_conf *conf, struct err *err)
{
	struct sink *s = calloc(1, sizeof *s);
	if (s)
		s->tally = tally_new();
	if (!s || !s->tally) {
		free(s);
		return err_set(err, -ENOMEM, "no memory for the table");
	}
	s->out = stdout;
	s->color = conf->color;
	s->live = conf->live;
	s->nat_one_side = conf->nat_one_side;
	*ret_s = s;
	return 0;
}

static void put_text(struct sink *s, const char *text)
{
	textbuf_clear(&s->safe);
	textbuf_terminal(&s->safe, text);
	if (s->safe.n)
		fwrite(s->safe.text, 1, s->safe.n, s->out);
}

static const char *colored(const struct sink *s, const char *code)
{
	return s->color ? code : "";
}

/* Thousands apart: 52,428,800. */
static const char *grouped(char out[32], uint64_t v)
{
	char plain[24];
	int n = snprintf(plain, sizeof plain, "%" PRIu64, v), k = 0;
	for (int i = 0; i < n; i++) {
		if (i && (n - i) % 3 == 0)
			out[k++] = ',';
		out[k++] = plain[i];
	}
	out[k] = '\0';
	return out;
}

static int table_finding(struct sink *s, const struct finding *f)
{
	static const char *const words[] = {"", "HIGH", "MEDIUM", "LOW"};
	static const char *const colors[] = {"", "\033[1;31m", "\033[1;33m", "\033[1;36m"};
	if (s->findings++ >= FINDINGS_SHOWN && !s->live)
		return 0;
	fprintf(s->out, "%s%-6s%s ", colored(s, colors[f->severity]), words[f->severity], colored(s, "\033[0m"));
	put_text(s, f->sentence);
	fputc('\n', s->out);
	fputs("       rules", s->out);
	for (size_t i = 0; i < f->n_rules; i++)
		fprintf(s->out, " %u", f->rules[i]);
	fputs(f->n_techniques ? "; ATT&CK" : "", s->out);
	for (size_t i = 0; i < f->n_techniques; i++)
		fprintf(s->out, " %s", f->techniques[i]);
	fputc('\n', s->out);
	for (size_t i = 0; i < f->n_reasons; i++) {
		fputs("       - ", s->out);
		put_text(s, f->reasons[i]);
		fputc('\n', s->out);
	}
	return s->live && fflush(s->out) ? -errno : 0;
}

static int table_stats(struct sink *s, const struct sink_stats *st)
{
	s->stats = *st;
	return 0;
}

static int table_flow(struct sink *s, const struct verdict *v)
{
	if (v->facts->last && !(s->nat_one_side && v->facts->nat_second))
		tally_add(s->tally, v);
	return 0;
}

static void put_cell(struct sink *s, const char *text, int width)
{
	textbuf_clear(&s->safe);
	textbuf_terminal(&s->safe, text);
	bool cut = s->safe.n > (size_t)width;
	fprintf(s->out, "%-*.*s%s ", cut ? width - 2 : width, cut ? width - 2 : width, s->safe.n ? s->safe.text : "", cut ? ".." : "");
}

static void put_row(struct sink *s, const struct tally_row *r)
{
	char up[32], down[32], where[192];
	bool app = r->app_flows == r->flows;
	put_cell(s, r->name, 44);
	snprintf(where, sizeof where, "%s%s%s", r->service ? r->service : "-", *r->account ? " " : "", r->account);
	put_cell(s, where, 30);
	put_cell(s, *r->process ? r->process : "-", 18);
	fprintf(s->out, "%14s %14s %-3s %-8s %5" PRIu64 "\n", grouped(up, app ? r->app_up_bytes : r->up_bytes),
		grouped(down, app ? r->app_down_bytes : r->down_bytes), app ? "app" : "pay", tally_direction(r), r->flows);
	if (!*r->explanation)
		return;
	fputs("    ", s->out);
	put_text(s, r->explanation);
	fputc('\n', s->out);
}

static void put_destinations(struct sink *s)
{
	const struct tally_row *const *rows;
	size_t n = tally_sorted(s->tally, &rows), shown = n < DESTINATIONS_SHOWN ? n : DESTINATIONS_SHOWN;
	if (!n)
		return;
	fprintf(s->out, "\n%s%-44s %-30s %-18s %14s %14s %-3s %-8s %5s%s\n", colored(s, "\033[1m"), "destination", "service, account",
		"process", "bytes up", "bytes down", "of", "way", "flows", colored(s, "\033[0m"));
	for (size_t i = 0; i < shown; i++)
		put_row(s, rows[i]);
	if (n > shown)
		fprintf(s->out, "and %zu more destinations; records and report list them\n", n - shown);
	fputs("bytes: app = TLS application data, pay = acknowledged payload with TLS overhead inside\n", s->out);
}

/* "No finding" is an answer: it says what it does not cover, and is not given where the run ended before its end. */
static void put_no_finding(struct sink *s)
{
	const struct source_stats *in = &s->stats.source;
	if (!s->stats.last)
		return;
	if (!s->stats.track.packets) {
		fputs(in->filtered ? "no finding: the packet filter let none of " : "no finding: no packet was read\n", s->out);
		if (in->filtered)
			fprintf(s->out, "%" PRIu64 " packets through\n", in->filtered);
		return;
	}
	fputs("no finding", s->out);
	if (s->stats.partial)
		fputs(" in what could be read; part of the input is missing", s->out);
	if (in->kernel_drops + in->iface_drops)
		fprintf(s->out, "; %" PRIu64 " packets were dropped before capture", in->kernel_drops + in->iface_drops);
	fputc('\n', s->out);
}

static int table_close(struct sink *s, struct err *err)
{
	if (!s->findings)
		put_no_finding(s);
	else if (s->findings > FINDINGS_SHOWN && !s->live)
		fprintf(s->out, "and %" PRIu64 " more findings; records and report list them\n", s->findings - FINDINGS_SHOWN);
	put_destinations(s);
	int r = fflush(s->out) || ferror(s->out) ? err_set(err, -errno, "standard output: %s", strerror(errno)) : 0;
	textbuf_done(&s->safe);
	tally_free(s->tally);
	free(s);
	return r;
}

const struct sink_ops sink_table = {
	.kind = "table",
	.open = table_open,
	.flow = table_flow,
	.finding = table_finding,
	.stats = table_stats,
	.close = table_close,
};
