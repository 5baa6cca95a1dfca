/* The frame of the report and what it says of the whole run: title, what is not known, destinations, the join, the capture, the method. */
#include <stdio.h>
#include <string.h>

#include "capture/filelist.h"
#include "detect/sinks/digest.h"
#include "detect/sinks/html_parts.h"
#include "detect/sinks/record.h"

static const char style[] =
	":root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--soft:#59636e;--line:#d5dae0;--wash:#f5f7f9;--up:#c2410c;--down:#1f5f9e;--high:#b42318;"
	"--med:#a4490a;--low:#175cd3}"
	"@media(prefers-color-scheme:dark){:root{--ink:#e6e9ed;--paper:#14181d;--soft:#9aa5b1;--line:#39424d;--wash:#1c2229;--up:#fb923c;--down:#7cb7f5;"
	"--high:#f97066;--med:#fdb022;--low:#84adff}}"
	"body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}"
	"main{max-width:1120px;margin:0 auto;padding:24px}a{color:inherit}"
	"h1{font-size:24px;margin:0 0 4px}h2{font-size:18px;margin:36px 0 8px;border-bottom:1px solid var(--line);padding-bottom:4px}"
	"h3{font-size:15px;margin:18px 0 4px}ol,ul{margin:4px 0;padding-left:28px}"
	".verdict{border-left:6px solid var(--low);padding:8px 14px;margin:12px 0;font-size:17px;overflow-wrap:anywhere}"
	".s1{border-color:var(--high)}.s2{border-color:var(--med)}.none{border-color:var(--line)}"
	".tag{display:inline-block;font-size:12px;font-weight:600;padding:0 7px;border:1px solid currentColor;border-radius:9px;margin-right:8px}"
	".s1 .tag{color:var(--high)}.s2 .tag{color:var(--med)}.s3 .tag{color:var(--low)}.verdict a{font-size:13px;white-space:nowrap}"
	".note{color:var(--soft);font-size:13px;margin:4px 0;overflow-wrap:anywhere}li{overflow-wrap:anywhere}"
	".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:4px 12px 4px 0;"
	"border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:break-word}td.t{overflow-wrap:anywhere;min-width:12em}"
	"th{color:var(--soft);font-weight:600;white-space:nowrap}td small{display:block;color:var(--soft);font-size:12px}"
	"td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}td.w{white-space:nowrap}tr.more td{border-bottom:0;padding-bottom:0}td.why{color:var(--soft);font-size:12px;padding-top:0}"
	"time{font-variant-numeric:tabular-nums;color:var(--soft);margin-right:6px}"
	"code{font:12px/1.5 ui-monospace,monospace;background:var(--wash);border:1px solid var(--line);border-radius:3px;padding:1px 4px;overflow-wrap:anywhere}"
	"svg{display:block;width:100%;height:auto;background:var(--wash);margin:8px 0}"
	"svg text{fill:var(--ink);font:11px system-ui,sans-serif}svg .lane,svg .tick{fill:var(--soft)}svg .no{fill:var(--paper);font-weight:600}"
	".rail{stroke:var(--line);stroke-width:1}.stem{stroke:var(--line);stroke-dasharray:2 3}.m-process,.m-connect{fill:var(--soft)}.m-file{fill:var(--med)}"
	".m-upload,rect.up{fill:var(--up)}.m-download,rect.down{fill:var(--down)}g.other{opacity:.45}"
	"@media print{:root{--ink:#000;--paper:#fff;--soft:#444;--line:#bbb;--wash:#fff;--up:#c2410c;--down:#1f5f9e;--high:#b42318;--med:#a4490a;--low:#175cd3}"
	"body{font-size:11px}main{padding:0}h1{font-size:20px}h2{font-size:15px;margin-top:20px}h3{font-size:12px}.verdict{font-size:13px}.verdict a{display:none}"
	"table{font-size:9px}th,td{padding-right:6px}th,td.w{white-space:normal}td.t{min-width:10em}.note,td small,td.why,code{font-size:9px}.wide{overflow:visible}"
	"h2,h3{break-after:avoid}svg,.verdict,tr{break-inside:avoid}svg,.tag,.verdict{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

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

void html_title(struct textbuf *b, uint64_t n_findings, uint64_t first_ns, const struct sink_stats *st)
{
	textbuf_put(b, "<h1>");
	if (n_findings)
		textbuf_grouped(b, n_findings);
	else
		textbuf_put(b, "No");
	textbuf_f(b, " finding%s</h1>\n<p class=\"note\">", n_findings == 1 ? "" : "s");
	textbuf_grouped(b, st->track.flows_ended);
	textbuf_put(b, " flows in ");
	textbuf_grouped(b, st->track.packets);
	textbuf_put(b, " packets");
	if (first_ns && st->time_ns) {
		textbuf_put(b, " from ");
		textbuf_time(b, first_ns);
		textbuf_put(b, " to ");
		textbuf_time(b, st->time_ns);
		textbuf_put(b, "; all times are UTC");
	}
	textbuf_put(b, "</p>\n");
	if (!n_findings)
		textbuf_put(b, "<p class=\"verdict none\">No rule fired on what was captured. What that does not prove is said below.</p>\n");
}

static void item(struct textbuf *b, uint64_t n, const char *what)
{
	if (!n)
		return;
	textbuf_put(b, "<li>");
	textbuf_grouped(b, n);
	textbuf_put(b, what);
	textbuf_put(b, "</li>\n");
}

void html_unknowns(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st)
{
	const struct judge_stats *j = &st->judge;
	textbuf_put(b, "<h2>What is not known</h2>\n<ul>\n<li>What the bytes were: traffic is not decrypted.</li>\n");
	if (n_findings)
		textbuf_put(b, "<li>Whether the account is your own, unless it is on the list of sanctioned accounts.</li>\n");
	item(b, j->bytes_by_outcome[OWNER_UNATTRIBUTED][0], " bytes went up in flows that no process could be named for; why, is said under \"Who owns the bytes\".");
	item(b, j->bytes_by_outcome[OWNER_AMBIGUOUS][0], " bytes went up in flows that more than one process may own; nobody is charged with them.");
	item(b, st->track.names[FACTS_NAME_NONE], " flows have no destination name, name lookups among them.");
	item(b, st->track.names[FACTS_NAME_ECH_OUTER], " flows show only the outer name of an encrypted hello; where they went is hidden.");
	item(b, st->source.kernel_drops + st->source.iface_drops, " packets were dropped before they could be read.");
	if (st->partial)
		textbuf_put(b, "<li>What part of the input held that is missing or could not be read: it was cut short or damaged.</li>\n");
	item(b, st->source.filtered, " packets were left out by the packet filter.");
	item(b, st->records_lost, " flow records were lost because the judging thread was behind.");
	textbuf_put(b, "<li>Traffic that did not pass this tap.</li>\n</ul>\n");
}

void html_table(struct textbuf *b, const char *const *titles)
{
	textbuf_put(b, "<div class=\"wide\"><table><thead><tr>");
	for (; *titles; titles++) {
		bool number = **titles == '#';
		textbuf_f(b, "<th%s>%s</th>", number ? " class=\"n\"" : "", *titles + number);
	}
	textbuf_put(b, "</tr></thead><tbody>\n");
}

void html_table_end(struct textbuf *b)
{
	textbuf_put(b, "</tbody></table></div>\n");
}

void html_cell(struct textbuf *b, const char *text)
{
	textbuf_put(b, "<td>");
	textbuf_html(b, text && *text ? text : "-", HTML_MAX_TEXT);
	textbuf_put(b, "</td>");
}

void html_cell_number(struct textbuf *b, uint64_t v)
{
	textbuf_put(b, "<td class=\"n\">");
	textbuf_grouped(b, v);
	textbuf_put(b, "</td>");
}

void html_cell_time(struct textbuf *b, uint64_t t_ns)
{
	textbuf_put(b, "<td class=\"w\">");
	textbuf_time(b, t_ns);
	textbuf_put(b, "</td>");
}

static void small(struct textbuf *b, const char *lead, const char *text)
{
	textbuf_put(b, "<small>");
	textbuf_put(b, lead);
	textbuf_html(b, text, HTML_MAX_TEXT);
	textbuf_put(b, "</small>");
}

static void destination_cells(struct textbuf *b, const struct tally_row *r)
{
	textbuf_put(b, "<td class=\"t\">");
	textbuf_html(b, r->name, HTML_MAX_TEXT);
	if (r->name_source)
		small(b, "named by ", r->name_source);
	textbuf_put(b, "</td><td>");
	textbuf_html(b, r->service ? r->service : "-", HTML_MAX_TEXT);
	if (*r->account)
		small(b, "account ", r->account);
	if (r->role)
		small(b, "role ", r->role);
	textbuf_put(b, "</td><td>");
	textbuf_html(b, *r->process ? r->process : "-", HTML_MAX_TEXT);
	if (*r->device)
		small(b, "on ", r->device);
	textbuf_put(b, "</td>");
}

static void destination_row(struct textbuf *b, const struct tally_row *r)
{
	bool app = r->app_flows == r->flows;
	textbuf_f(b, "<tr%s>", *r->explanation ? " class=\"more\"" : "");
	destination_cells(b, r);
	html_cell_number(b, app ? r->app_up_bytes : r->up_bytes);
	html_cell_number(b, app ? r->app_down_bytes : r->down_bytes);
	textbuf_f(b, "<td>%s</td><td>%s</td>", app ? "application" : "payload", tally_direction(r));
	html_cell_number(b, r->flows);
	textbuf_put(b, "<td class=\"w\">");
	textbuf_second(b, r->first_ns);
	textbuf_put(b, "</td></tr>\n");
	if (!*r->explanation)
		return;
	textbuf_put(b, "<tr><td class=\"why\" colspan=\"9\">no finding: ");
	textbuf_html(b, r->explanation, HTML_MAX_TEXT);
	textbuf_put(b, "</td></tr>\n");
}

enum { DESTINATIONS_SHOWN = 200 };

void html_destinations(struct textbuf *b, struct tally *t, size_t limit_bytes)
{
	static const char *const titles[] = {"destination", "service", "process", "#bytes up", "#bytes down", "layer", "direction", "#flows", "first seen", NULL};
	const struct tally_row *const *rows;
	size_t n = tally_sorted(t, &rows), i = 0;
	textbuf_put(b, "<h2>Destinations</h2>\n");
	html_table(b, titles);
	for (; i < n && i < DESTINATIONS_SHOWN && b->n < limit_bytes; i++)
		destination_row(b, rows[i]);
	html_table_end(b);
	if (n > i)
		textbuf_f(b, "<p class=\"note\">%zu more are in the records.</p>\n", n - i);
	textbuf_put(b, "<p class=\"note\">application: contents of TLS records; payload: acknowledged bytes with the overhead of TLS among them.</p>\n");
}

/* Of the causes that leave bytes without an owner. */
static const char *const cause_texts[OWNER_CAUSE_COUNT] = {
	[OWNER_CAUSE_NO_EVENT] = "the device reports, but no event of it fits the flow",
	[OWNER_CAUSE_ENDPOINT_SILENT] = "no event of any kind from the device around that time",
	[OWNER_CAUSE_CONNECT_BEFORE_CAPTURE] = "the connection was made before the capture began",
	[OWNER_CAUSE_NAT_OR_PROXY] = "addresses were rewritten between the device and the tap",
	[OWNER_CAUSE_LATE] = "the event may still come",
	[OWNER_CAUSE_NOT_JOINED] = "small flow to an uncatalogued destination; --join all joins it too",
	[OWNER_CAUSE_NO_ENDPOINT_INPUT] = "no endpoint events were given",
};

static void join_row(struct textbuf *b, const char *what, int cause, const uint64_t bytes[2])
{
	textbuf_put(b, "<tr>");
	html_cell(b, what);
	html_cell(b, owner_cause_names[cause]);
	html_cell(b, cause_texts[cause]);
	html_cell_number(b, bytes[0]);
	html_cell_number(b, bytes[1]);
	textbuf_put(b, "</tr>\n");
}

void html_join(struct textbuf *b, const struct sink_stats *st)
{
	static const char *const titles[] = {"outcome", "cause", "which means", "#bytes up", "#bytes down", NULL};
	const struct judge_stats *j = &st->judge;
	textbuf_put(b, "<h2>Who owns the bytes</h2>\n<p class=\"note\">Every byte of every flow is in exactly one row; acknowledged payload.</p>\n");
	html_table(b, titles);
	for (int o = OWNER_ATTRIBUTED; o <= OWNER_AMBIGUOUS; o++)
		join_row(b, owner_outcome_names[o], OWNER_CAUSE_NONE, j->bytes_by_outcome[o]);
	for (int c = OWNER_CAUSE_NONE; c < OWNER_CAUSE_COUNT; c++)
		if (j->bytes_by_cause[c][0] || j->bytes_by_cause[c][1])
			join_row(b, owner_outcome_names[OWNER_UNATTRIBUTED], c, j->bytes_by_cause[c]);
	html_table_end(b);
}

static void event_rows(struct textbuf *b, const struct evparse_stats *ev)
{
	const char *sep = "; refused: ";
	textbuf_put(b, "<p class=\"note\">Endpoint rows read: ");
	textbuf_grouped(b, ev->rows);
	for (int r = 0; r < EVPARSE_REASON_COUNT; r++) {
		if (!ev->rejected[r])
			continue;
		textbuf_f(b, "%s%s ", sep, evparse_reason_names[r]);
		textbuf_grouped(b, ev->rejected[r]);
		sep = ", ";
	}
	textbuf_put(b, ".</p>\n");
}

void html_capture(struct textbuf *b, const struct sink_stats *st)
{
	static const char *const titles[] = {"frames", "#packets", "#bytes", NULL};
	textbuf_put(b, "<h2>What the capture held</h2>\n");
	html_table(b, titles);
	for (int v = 0; v < DECODE_VERDICT_COUNT; v++) {
		if (!st->track.verdicts[v])
			continue;
		textbuf_put(b, "<tr>");
		html_cell(b, decode_verdict_names[v]);
		html_cell_number(b, st->track.verdicts[v]);
		html_cell_number(b, st->track.verdict_bytes[v]);
		textbuf_put(b, "</tr>\n");
	}
	html_table_end(b);
	event_rows(b, &st->events);
}

static void input_row(struct textbuf *b, const char *path)
{
	char hash[65];
	textbuf_put(b, "<tr>");
	html_cell(b, path);
	textbuf_put(b, "<td><code>");
	textbuf_put(b, digest_file(path, hash) ? "-" : hash);
	textbuf_put(b, "</code></td></tr>\n");
}

/* A directory is told by its files, as it was read. */
static void input_rows(struct textbuf *b, const char *input)
{
	struct filelist files = {0};
	struct err err;
	if (filelist_expand(&files, &input, 1, &err)) {
		input_row(b, input);
		return;
	}
	for (size_t i = 0; i < files.n; i++)
		input_row(b, files.paths[i]);
	filelist_done(&files);
}

void html_method(struct textbuf *b, const char *const *inputs, size_t n_inputs)
{
	static const char *const titles[] = {"input", "SHA-256", NULL};
	textbuf_put(b, "<h2>Method</h2>\n<p>Bytes are what the far end acknowledged; application bytes are the TLS records' contents. A process is named only by "
		       "endpoint events that carry the flow's addresses and ports near its start, after each clock was measured against the packets. Grades: "
		       "A the same 5-tuple and a calibrated clock within 2 s; B the same 5-tuple, weaker in time; C inferred; D several processes possible; "
		       "U none.</p>\n");
	html_table(b, titles);
	for (size_t i = 0; i < n_inputs; i++)
		input_rows(b, inputs[i]);
	html_table_end(b);
	textbuf_f(b, "<p class=\"note\">leaktap %s</p>\n", LEAKTAP_VERSION);
}
