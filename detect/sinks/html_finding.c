/* One finding of the report: what it rests on, in the order in which an analyst asks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/sinks/community_id.h"
#include "detect/sinks/html_parts.h"
#include "detect/sinks/record.h"

const char *html_severity(uint8_t severity)
{
	return severity == 1 ? "high" : severity == 2 ? "medium" : "low";
}

void html_flows_add(struct html_flows *fl, const struct verdict *v)
{
	const struct flow_facts *f = v->facts;
	if (!v->has_destination && v->initiator.outcome != OWNER_ATTRIBUTED)
		return;
	if (fl->n == HTML_MAX_FLOWS) {
		fl->left_out++;
		return;
	}
	if (fl->n == fl->size) {
		size_t size = fl->size ? fl->size * 2 : 256;
		struct html_flow *grown = realloc(fl->list, size * sizeof *grown);
		if (!grown) {
			fl->left_out++;
			return;
		}
		fl->list = grown;
		fl->size = size;
	}
	struct html_flow *h = &fl->list[fl->n++];
	*h = (struct html_flow){.flow_id = f->flow_id, .start_ns = f->start_ns, .end_ns = f->end_ns, .app_known = f->app_known,
				.up_bytes = f->app_known ? f->up.app_bytes : f->up.bytes,
				.down_bytes = f->app_known ? f->down.app_bytes : f->down.bytes};
	char ip[46];
	record_address(ip, &f->dst);
	snprintf(h->name, sizeof h->name, "%s", f->name ? f->name : ip);
	if (v->initiator.outcome != OWNER_ATTRIBUTED)
		return;
	const struct owner_process *p = &v->initiator.process;
	snprintf(h->process, sizeof h->process, "%s", p->name ? p->name : "");
	snprintf(h->device, sizeof h->device, "%s", p->device ? p->device : "");
}

void html_flows_done(struct html_flows *fl)
{
	free(fl->list);
	*fl = (struct html_flows){0};
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* Of the same device or, where no process is known, to the same destination. */
static bool is_near(const struct html_flow *h, const struct finding *f)
{
	const struct owner *o = &f->flow->initiator;
	char device[sizeof h->device], name[sizeof h->name];
	if (o->outcome == OWNER_ATTRIBUTED) {
		snprintf(device, sizeof device, "%s", o->process.device ? o->process.device : "");
		return *device && !strcmp(h->device, device);
	}
	snprintf(name, sizeof name, "%s", f->flow->facts->name ? f->flow->facts->name : "");
	return *name && !strcmp(h->name, name);
}

static uint64_t size_of(const struct html_flow *h)
{
	return h->up_bytes > h->down_bytes ? h->up_bytes : h->down_bytes;
}

static void show(struct html_shown *s, const struct html_flow *h, bool own)
{
	size_t at = s->n;
	while (at && (own > s->own[at - 1] || (own == s->own[at - 1] && size_of(h) > size_of(s->flow[at - 1]))))
		at--;
	if (s->n == HTML_MAX_SHOWN)
		s->left_out++;
	else
		s->n++;
	for (size_t i = s->n - 1; i > at; i--) {
		s->flow[i] = s->flow[i - 1];
		s->own[i] = s->own[i - 1];
	}
	if (at < s->n) {
		s->flow[at] = h;
		s->own[at] = own;
	}
}

void html_flows_shown(const struct html_flows *fl, const struct finding *f, uint64_t from_ns, uint64_t to_ns, struct html_shown *ret)
{
	uint64_t ids[FINDING_MAX_FLOWS];
	memcpy(ids, f->flows, f->n_flows * sizeof *ids);
	qsort(ids, f->n_flows, sizeof *ids, by_id);
	*ret = (struct html_shown){0};
	for (size_t i = 0; i < fl->n; i++) {
		const struct html_flow *h = &fl->list[i];
		if (h->end_ns < from_ns || h->start_ns > to_ns)
			continue;
		bool own = bsearch(&h->flow_id, ids, f->n_flows, sizeof *ids, by_id) != NULL;
		if (own || is_near(h, f))
			show(ret, h, own);
	}
}

/* The techniques that detect/finding.c knows, by the names of ATT&CK. */
static const char *technique_name(const char *id)
{
	static const struct {
		const char *id, *name;
	} known[] = {
		{"T1567", "Exfiltration Over Web Service"},
		{"T1567.001", "Exfiltration to Code Repository"},
		{"T1567.002", "Exfiltration to Cloud Storage"},
		{"T1567.003", "Exfiltration to Text Storage Sites"},
		{"T1567.004", "Exfiltration Over Webhook"},
		{"T1048", "Exfiltration Over Alternative Protocol"},
		{"T1048.002", "Exfiltration Over Asymmetric Encrypted Non-C2 Protocol"},
		{"T1030", "Data Transfer Size Limits"},
		{"T1572", "Protocol Tunneling"},
		{"T1219", "Remote Access Software"},
		{"T1560.001", "Archive via Utility"},
	};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(known[i].id, id))
			return known[i].name;
	return "";
}

static void rules_line(struct textbuf *b, const struct finding *f)
{
	textbuf_f(b, "<p class=\"note\">%s; rule%s", html_severity(f->severity), f->n_rules == 1 ? "" : "s");
	for (size_t i = 0; i < f->n_rules; i++)
		textbuf_f(b, "%s %u", i ? "," : "", f->rules[i]);
	for (size_t i = 0; i < f->n_techniques; i++)
		textbuf_f(b, "%s%s %s", i ? ", " : "; ATT&amp;CK ", f->techniques[i], technique_name(f->techniques[i]));
	textbuf_f(b, "; grade %c; %zu flow%s; finding %s</p>\n", f->flow->initiator.grade, f->n_flows_total, f->n_flows_total == 1 ? "" : "s", f->id);
}

static void lists(struct textbuf *b, const struct finding *f)
{
	textbuf_put(b, "<h3>Sequence</h3><ol>\n");
	for (size_t i = 0; i < f->n_timeline; i++) {
		textbuf_put(b, "<li><time>");
		textbuf_time(b, f->timeline[i].t_ns);
		textbuf_put(b, "</time>");
		textbuf_html(b, f->timeline[i].text, HTML_MAX_TEXT);
		textbuf_put(b, "</li>\n");
	}
	textbuf_put(b, "</ol>\n<h3>Why</h3><ul>\n");
	for (size_t i = 0; i < f->n_reasons; i++) {
		textbuf_put(b, "<li>");
		textbuf_html(b, f->reasons[i], HTML_MAX_TEXT);
		textbuf_put(b, "</li>\n");
	}
	textbuf_put(b, "</ul>\n");
}

static void process_line(struct textbuf *b, const struct owner_process *p)
{
	textbuf_put(b, "<p>Process <b>");
	textbuf_html(b, p->name ? p->name : "?", HTML_MAX_TEXT);
	textbuf_put(b, "</b>");
	if (p->pid)
		textbuf_f(b, " pid %u", p->pid);
	textbuf_put(b, ", user ");
	textbuf_html(b, p->user ? p->user : "?", HTML_MAX_TEXT);
	textbuf_put(b, ", device ");
	textbuf_html(b, p->device ? p->device : "?", HTML_MAX_TEXT);
	if (p->parent_name) {
		textbuf_put(b, ", started by ");
		textbuf_html(b, p->parent_name, HTML_MAX_TEXT);
	}
	textbuf_put(b, "</p>\n");
	if (!p->command_line || !*p->command_line)
		return;
	textbuf_put(b, "<p><code>");
	textbuf_html(b, p->command_line, HTML_MAX_TEXT);
	textbuf_put(b, "</code></p>\n");
}

static void evidence_table(struct textbuf *b, const struct owner *o)
{
	static const char *const titles[] = {"source", "event", "matched by", "#event - flow start, ms", "#after clock correction, ms", NULL};
	if (!o->n_evidence)
		return;
	html_table(b, titles);
	for (size_t i = 0; i < o->n_evidence; i++) {
		textbuf_put(b, "<tr>");
		html_cell(b, o->evidence[i].source);
		html_cell(b, o->evidence[i].id);
		html_cell(b, o->evidence[i].key);
		textbuf_f(b, "<td class=\"n\">%+.1f</td>", o->evidence[i].delta_ms);
		if (o->evidence[i].corrected_ms == o->evidence[i].delta_ms) /* there was no correction to be had */
			textbuf_put(b, "<td class=\"n\">not calibrated</td></tr>\n");
		else
			textbuf_f(b, "<td class=\"n\">%+.1f</td></tr>\n", o->evidence[i].corrected_ms);
	}
	html_table_end(b);
}

/* Where a finding is made of several flows, its largest. */
static void flow_table(struct textbuf *b, const struct finding *f, const struct html_flows *flows)
{
	static const char *const titles[] = {"start", "destination", "process", "#bytes up", "#bytes down", "layer", "#flow id", NULL};
	enum { ROWS = 20 };
	struct html_shown s;
	if (f->n_flows_total < 2)
		return;
	html_flows_shown(flows, f, f->first_ns, f->last_ns, &s);
	html_table(b, titles);
	size_t i = 0;
	for (; i < s.n && s.own[i] && i < ROWS; i++) {
		const struct html_flow *h = s.flow[i];
		textbuf_put(b, "<tr>");
		html_cell_time(b, h->start_ns);
		html_cell(b, h->name);
		html_cell(b, h->process);
		html_cell_number(b, h->up_bytes);
		html_cell_number(b, h->down_bytes);
		textbuf_f(b, "<td>%s</td><td class=\"n\">%llu</td></tr>\n", h->app_known ? "application" : "payload", (unsigned long long)h->flow_id);
	}
	html_table_end(b);
	if (i < f->n_flows_total)
		textbuf_f(b, "<p class=\"note\">%zu more are in the records.</p>\n", f->n_flows_total - i);
}

/* Pivots are built from addresses and numbers only, never from names. */
static void pivots(struct textbuf *b, const struct flow_facts *f)
{
	char src[46], dst[46], id[COMMUNITY_ID_SIZE];
	const char *ip = f->src.family == 6 ? "ipv6" : "ip";
	record_address(src, &f->src);
	record_address(dst, &f->dst);
	community_id(id, &f->src, &f->dst, f->proto);
	textbuf_f(b, "<p class=\"note\">The flow that fired: %s &rarr; %s, flow id %llu", src, dst, (unsigned long long)f->flow_id);
	if (*id)
		textbuf_f(b, ", community id <code>%s</code>", id);
	textbuf_f(b, ".<br>Its packets: <code>tshark -r CAPTURE -Y '%s.addr==%s &amp;&amp; %s.addr==%s", ip, src, ip, dst);
	if (f->proto == 6 || f->proto == 17)
		textbuf_f(b, " &amp;&amp; %s.port==%u", f->proto == 17 ? "udp" : "tcp", f->src.port);
	textbuf_put(b, "'</code></p>\n");
}

void html_finding_part(struct textbuf *b, const struct finding *f, const struct html_flows *flows)
{
	rules_line(b, f);
	html_timeline(b, f, flows);
	lists(b, f);
	textbuf_put(b, "<h3>Evidence</h3>\n");
	if (f->flow->initiator.outcome == OWNER_ATTRIBUTED)
		process_line(b, &f->flow->initiator.process);
	evidence_table(b, &f->flow->initiator);
	flow_table(b, f, flows);
	pivots(b, f->flow->facts);
}
