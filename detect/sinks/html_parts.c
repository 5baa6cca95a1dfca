#include "detect/sinks/html_parts.h"

#include <stdio.h>
#include <string.h>

#include "detect/sinks/community_id.h"
#include "detect/sinks/digest.h"
#include "detect/sinks/record.h"

static const char style[] =
	":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#5b6570;--line:#d5dae0;--up:#c2410c;--down:#2563a8;--high:#b42318;--med:#b54708;"
	"--low:#175cd3}"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14181d;--soft:#9aa5b1;--line:#333b45;--up:#fb923c;--down:#7cb7f5;--high:#f97066;"
	"--med:#fdb022;--low:#84adff}}"
	"body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
	"main{max-width:1080px;margin:0 auto;padding:24px}"
	"h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:32px 0 8px;border-bottom:1px solid var(--line);padding-bottom:4px}h3{font-size:15px;margin:16px 0 4px}"
	".verdict{border-left:6px solid var(--low);padding:10px 14px;margin:14px 0;font-size:17px;overflow-wrap:anywhere}"
	".s1{border-color:var(--high)}.s2{border-color:var(--med)}.none{border-color:var(--line)}"
	".tag{display:inline-block;font-size:12px;font-weight:600;padding:0 7px;border:1px solid currentColor;border-radius:9px;margin-right:6px}"
	".s1 .tag{color:var(--high)}.s2 .tag{color:var(--med)}.s3 .tag{color:var(--low)}"
	".note{color:var(--soft);font-size:13px;margin:4px 0}"
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:4px 8px;border-bottom:1px solid var(--line);"
	"vertical-align:top;overflow-wrap:anywhere}th{color:var(--soft);font-weight:600;white-space:nowrap}"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"code{font:12px/1.4 ui-monospace,monospace;background:color-mix(in srgb,var(--line) 40%,transparent);padding:1px 4px;overflow-wrap:anywhere}"
	"svg{width:100%;height:auto;background:color-mix(in srgb,var(--line) 18%,transparent)}"
	"svg text{fill:var(--ink);font:11px system-ui,sans-serif}svg .lane{fill:var(--soft)}svg .tick{fill:var(--soft)}svg .bytes{font-size:10px}"
	".rail{stroke:var(--line);stroke-width:1}.mark{fill:var(--soft)}.l1{fill:var(--med)}.l2{fill:var(--up)}"
	"rect.up{fill:var(--up)}rect.down{fill:var(--down)}"
	"@media print{main{padding:0}h2{break-after:avoid}svg,.verdict{break-inside:avoid}}";

void html_head(struct textbuf *b)
{
	uint8_t sum[32];
	char hash[45];
	digest_sha256(style, sizeof style - 1, sum);
	digest_base64(hash, sum, sizeof sum);
	textbuf_put(b, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
	textbuf_f(b, "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'\">\n", hash);
	textbuf_put(b, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"referrer\" content=\"no-referrer\">\n"
		       "<title>leaktap report</title>\n<style>");
	textbuf_put(b, style);
	textbuf_put(b, "</style></head>\n<body><main>\n");
}

void html_title(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st)
{
	textbuf_f(b, "<h1>%llu finding%s</h1>\n<p class=\"note\">", (unsigned long long)n_findings, n_findings == 1 ? "" : "s");
	textbuf_grouped(b, st->track.flows_ended);
	textbuf_put(b, " flows in ");
	textbuf_grouped(b, st->track.packets);
	textbuf_put(b, " packets; last packet ");
	textbuf_time(b, st->time_ns);
	textbuf_put(b, "</p>\n");
	if (!n_findings)
		textbuf_put(b, "<p class=\"verdict none\">No rule fired on what was captured. What that does not prove is said below.</p>\n");
}

static const char *severity_word(uint8_t severity)
{
	return severity == 1 ? "high" : severity == 2 ? "medium" : "low";
}

void html_verdict(struct textbuf *b, const struct finding *f)
{
	textbuf_f(b, "<p class=\"verdict s%u\"><span class=\"tag\">%s</span>", f->severity, severity_word(f->severity));
	textbuf_html(b, f->sentence);
	textbuf_put(b, "</p>\n");
}

static void item(struct textbuf *b, uint64_t n, const char *one, const char *what)
{
	if (!n)
		return;
	textbuf_put(b, "<li>");
	textbuf_grouped(b, n);
	textbuf_put(b, " ");
	textbuf_put(b, one);
	textbuf_put(b, what);
	textbuf_put(b, "</li>\n");
}

void html_unknowns(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st)
{
	const struct judge_stats *j = &st->judge;
	textbuf_put(b, "<h2>What is not known</h2>\n<ul>\n<li>What the bytes were: traffic is not decrypted.</li>\n");
	if (n_findings)
		textbuf_put(b, "<li>Whether the account is your own, unless it is on the list of sanctioned accounts.</li>\n");
	item(b, j->bytes_by_outcome[OWNER_UNATTRIBUTED][0], "bytes went up in flows ", "that no process could be named for; their causes are in the table of the join.");
	item(b, j->bytes_by_outcome[OWNER_AMBIGUOUS][0], "bytes went up in flows ", "that more than one process may own; nobody is charged with them.");
	item(b, st->track.names[FACTS_NAME_NONE], "flows ", "have no destination name.");
	item(b, st->track.names[FACTS_NAME_ECH_OUTER], "flows ", "show only the outer name of an encrypted hello; where they went is hidden.");
	item(b, st->source.kernel_drops + st->source.iface_drops, "packets ", "were dropped before they could be read.");
	item(b, st->records_lost, "flow records ", "were lost because the judging thread was behind.");
	textbuf_put(b, "<li>Traffic that did not pass this tap.</li>\n</ul>\n");
}

static void head_row(struct textbuf *b, const char *const *titles)
{
	textbuf_put(b, "<div class=\"wide\"><table><thead><tr>");
	for (; *titles; titles++) {
		bool number = **titles == '#';
		textbuf_f(b, "<th%s>%s</th>", number ? " class=\"n\"" : "", *titles + number);
	}
	textbuf_put(b, "</tr></thead><tbody>\n");
}

static void text_cell(struct textbuf *b, const char *text)
{
	textbuf_put(b, "<td>");
	textbuf_html(b, text && *text ? text : "-");
	textbuf_put(b, "</td>");
}

static void number_cell(struct textbuf *b, uint64_t v)
{
	textbuf_put(b, "<td class=\"n\">");
	textbuf_grouped(b, v);
	textbuf_put(b, "</td>");
}

static void time_cell(struct textbuf *b, uint64_t t_ns)
{
	textbuf_put(b, "<td class=\"n\">");
	textbuf_time(b, t_ns);
	textbuf_put(b, "</td>");
}

static void end_table(struct textbuf *b)
{
	textbuf_put(b, "</tbody></table></div>\n");
}

static void evidence_table(struct textbuf *b, const struct owner *o)
{
	static const char *const titles[] = {"source", "event", "matched by", "#event - flow start, ms", "#after clock correction, ms", NULL};
	if (!o->n_evidence)
		return;
	head_row(b, titles);
	for (size_t i = 0; i < o->n_evidence; i++) {
		textbuf_put(b, "<tr>");
		text_cell(b, o->evidence[i].source);
		text_cell(b, o->evidence[i].id);
		text_cell(b, o->evidence[i].key);
		textbuf_f(b, "<td class=\"n\">%.1f</td><td class=\"n\">%.1f</td></tr>\n", o->evidence[i].delta_ms, o->evidence[i].corrected_ms);
	}
	end_table(b);
}

static void process_line(struct textbuf *b, const struct owner_process *p)
{
	textbuf_put(b, "<p>Process <b>");
	textbuf_html(b, p->name ? p->name : "?");
	textbuf_f(b, "</b> pid %u, user ", p->pid);
	textbuf_html(b, p->user ? p->user : "?");
	textbuf_put(b, ", device ");
	textbuf_html(b, p->device ? p->device : "?");
	if (p->parent_name) {
		textbuf_put(b, ", started by ");
		textbuf_html(b, p->parent_name);
	}
	textbuf_put(b, "</p>\n");
	if (!p->command_line || !*p->command_line)
		return;
	textbuf_put(b, "<p><code>");
	textbuf_html(b, p->command_line);
	textbuf_put(b, "</code></p>\n");
}

/* Pivots are built from addresses and numbers only, never from names. */
static void pivots(struct textbuf *b, const struct flow_facts *f)
{
	char src[46], dst[46], id[COMMUNITY_ID_SIZE];
	record_address(src, &f->src);
	record_address(dst, &f->dst);
	community_id(id, &f->src, &f->dst, f->proto);
	textbuf_f(b, "<p class=\"note\">flow %llu, community id <code>%s</code>, <code>tshark -r CAPTURE -Y '%s.addr==%s &amp;&amp; %s.addr==%s &amp;&amp; "
		     "%s.port==%u'</code></p>\n",
		  (unsigned long long)f->flow_id, id, f->src.family == 6 ? "ipv6" : "ip", src, f->src.family == 6 ? "ipv6" : "ip", dst,
		  f->proto == 17 ? "udp" : "tcp", f->src.port);
}

static void rules_line(struct textbuf *b, const struct finding *f)
{
	textbuf_put(b, "<p class=\"note\">rules");
	for (size_t i = 0; i < f->n_rules; i++)
		textbuf_f(b, " %u", f->rules[i]);
	for (size_t i = 0; i < f->n_techniques; i++)
		textbuf_f(b, "%s%s", i ? ", " : "; ATT&amp;CK ", f->techniques[i]);
	textbuf_f(b, "; finding %s; grade %c; %zu flow%s</p>\n", f->id, f->flow->initiator.grade, f->n_flows_total, f->n_flows_total == 1 ? "" : "s");
}

void html_finding_part(struct textbuf *b, const struct finding *f, const struct html_flows *flows)
{
	textbuf_put(b, "<h2>");
	textbuf_html(b, f->title);
	textbuf_put(b, "</h2>\n");
	rules_line(b, f);
	html_timeline(b, f, flows);
	textbuf_put(b, "<h3>Sequence</h3><ol>\n");
	for (size_t i = 0; i < f->n_timeline; i++) {
		textbuf_put(b, "<li>");
		textbuf_time(b, f->timeline[i].t_ns);
		textbuf_put(b, " ");
		textbuf_html(b, f->timeline[i].text);
		textbuf_put(b, "</li>\n");
	}
	textbuf_put(b, "</ol>\n<h3>Why</h3><ul>\n");
	for (size_t i = 0; i < f->n_reasons; i++) {
		textbuf_put(b, "<li>");
		textbuf_html(b, f->reasons[i]);
		textbuf_put(b, "</li>\n");
	}
	textbuf_put(b, "</ul>\n<h3>Evidence</h3>\n");
	if (f->flow->initiator.outcome == OWNER_ATTRIBUTED)
		process_line(b, &f->flow->initiator.process);
	evidence_table(b, &f->flow->initiator);
	pivots(b, f->flow->facts);
}

enum { DESTINATIONS_SHOWN = 200 };

static void destination_row(struct textbuf *b, const struct tally_row *r)
{
	bool app = r->app_flows == r->flows;
	textbuf_put(b, "<tr>");
	text_cell(b, r->name);
	textbuf_put(b, "<td>");
	textbuf_html(b, r->service ? r->service : "-");
	textbuf_put(b, " ");
	textbuf_html(b, r->account);
	textbuf_put(b, "</td>");
	text_cell(b, r->role);
	text_cell(b, r->process);
	text_cell(b, r->device);
	number_cell(b, app ? r->app_up_bytes : r->up_bytes);
	number_cell(b, app ? r->app_down_bytes : r->down_bytes);
	textbuf_f(b, "<td>%s</td><td>%s</td>", app ? "application" : "payload", tally_direction(r));
	number_cell(b, r->flows);
	time_cell(b, r->first_ns);
	text_cell(b, r->name_source);
	text_cell(b, r->explanation);
	textbuf_put(b, "</tr>\n");
}

void html_destinations(struct textbuf *b, struct tally *t)
{
	static const char *const titles[] = {"destination", "service, account", "role", "process", "device", "#bytes up", "#bytes down", "layer", "direction",
					     "#flows", "#first", "named by", "explained by", NULL};
	const struct tally_row *const *rows;
	size_t n = tally_sorted(t, &rows);
	textbuf_put(b, "<h2>Destinations</h2>\n");
	head_row(b, titles);
	for (size_t i = 0; i < n && i < DESTINATIONS_SHOWN; i++)
		destination_row(b, rows[i]);
	end_table(b);
	if (n > DESTINATIONS_SHOWN)
		textbuf_f(b, "<p class=\"note\">%zu more are in the records.</p>\n", n - DESTINATIONS_SHOWN);
}

static void join_row(struct textbuf *b, const char *what, const char *cause, uint64_t up, uint64_t down)
{
	textbuf_put(b, "<tr>");
	text_cell(b, what);
	text_cell(b, cause);
	number_cell(b, up);
	number_cell(b, down);
	textbuf_put(b, "</tr>\n");
}

void html_join(struct textbuf *b, const struct sink_stats *st)
{
	static const char *const titles[] = {"outcome", "cause", "#bytes up", "#bytes down", NULL};
	const struct judge_stats *j = &st->judge;
	textbuf_put(b, "<h2>Who owns the bytes</h2>\n<p class=\"note\">Every byte of every flow is in exactly one row.</p>\n");
	head_row(b, titles);
	for (int o = OWNER_ATTRIBUTED; o <= OWNER_AMBIGUOUS; o++)
		join_row(b, owner_outcome_names[o], "", j->bytes_by_outcome[o][0], j->bytes_by_outcome[o][1]);
	for (int c = OWNER_CAUSE_NONE; c < OWNER_CAUSE_COUNT; c++)
		if (j->bytes_by_cause[c][0] || j->bytes_by_cause[c][1])
			join_row(b, owner_outcome_names[OWNER_UNATTRIBUTED], owner_cause_names[c], j->bytes_by_cause[c][0], j->bytes_by_cause[c][1]);
	end_table(b);
}

void html_capture(struct textbuf *b, const struct sink_stats *st)
{
	static const char *const titles[] = {"frames", "#packets", "#bytes", NULL};
	textbuf_put(b, "<h2>What the capture held</h2>\n");
	head_row(b, titles);
	for (int v = 0; v < DECODE_VERDICT_COUNT; v++) {
		if (!st->track.verdicts[v])
			continue;
		textbuf_put(b, "<tr>");
		text_cell(b, decode_verdict_names[v]);
		number_cell(b, st->track.verdicts[v]);
		number_cell(b, st->track.verdict_bytes[v]);
		textbuf_put(b, "</tr>\n");
	}
	end_table(b);
	uint64_t refused = 0;
	for (int r = 0; r < EVPARSE_REASON_COUNT; r++)
		refused += st->events.rejected[r];
	textbuf_put(b, "<p class=\"note\">Endpoint rows read: ");
	textbuf_grouped(b, st->events.rows);
	textbuf_put(b, ", refused: ");
	textbuf_grouped(b, refused);
	textbuf_put(b, ".</p>\n");
}

void html_method(struct textbuf *b, const char *const *inputs, size_t n_inputs)
{
	static const char *const titles[] = {"input", "SHA-256", NULL};
	textbuf_put(b, "<h2>Method</h2>\n<p>Bytes are what the far end acknowledged; application bytes are the TLS records' contents. A process is named only by "
		       "endpoint events that carry the flow's addresses and ports near its start, after each clock was measured against the packets. Grades: "
		       "A the same 5-tuple and a calibrated clock within 2 s; B the same 5-tuple, weaker in time; C inferred; D several processes possible; "
		       "U none.</p>\n");
	head_row(b, titles);
	for (size_t i = 0; i < n_inputs; i++) {
		char hash[65];
		textbuf_put(b, "<tr>");
		text_cell(b, inputs[i]);
		text_cell(b, digest_file(inputs[i], hash) ? "" : hash);
		textbuf_put(b, "</tr>\n");
	}
	end_table(b);
	textbuf_f(b, "<p class=\"note\">leaktap %s</p>\n", LEAKTAP_VERSION);
}
