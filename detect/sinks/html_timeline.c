/* The picture of a finding: lanes for process, files and network on one time axis, each event with its number in the sequence below; under them each
 * flow as a bar, up above the line and down below it, so that a download and an upload cannot be taken for each other. Bars are on a logarithmic scale
 * and say their bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "detect/sinks/html_parts.h"
#include "detect/sinks/jsonout.h"

enum { WIDTH = 1040, LEFT = 84, RIGHT = 16, LANE = 28, LANES = 3, BARS = 150, NAMES = 16, FOOT = 22, MARK = 9, TITLE = 200 };

struct axis {
	uint64_t from_ns, to_ns;
	double max_log;
};

static int x_of(const struct axis *a, uint64_t t_ns)
{
	if (t_ns < a->from_ns)
		t_ns = a->from_ns;
	if (t_ns > a->to_ns)
		t_ns = a->to_ns;
	double share = (double)(t_ns - a->from_ns) / (double)(a->to_ns - a->from_ns);
	return LEFT + (int)(share * (WIDTH - LEFT - RIGHT));
}

static struct axis axis_of(const struct finding *f)
{
	uint64_t from = f->first_ns, to = f->last_ns;
	for (size_t i = 0; i < f->n_timeline; i++) {
		if (f->timeline[i].t_ns < from)
			from = f->timeline[i].t_ns;
		if (f->timeline[i].t_ns > to)
			to = f->timeline[i].t_ns;
	}
	uint64_t pad = (to - from) / 12 + CLOCK_NS_PER_S;
	return (struct axis){from > pad ? from - pad : 0, to + pad, 1};
}

static int lane_of(const char *kind)
{
	if (!strcmp(kind, "file_created"))
		return 1;
	return !strcmp(kind, "process") ? 0 : 2;
}

static const char *class_of(const char *kind)
{
	return !strcmp(kind, "file_created") ? "file" : !strcmp(kind, "process") ? "process" : !strcmp(kind, "connect") ? "connect"
	     : !strcmp(kind, "download") ? "download" : "upload";
}

/* Marks of one lane stand where their time is, but never on each other: pushed right, then back from the edge. */
static void place_marks(const struct axis *a, const struct finding *f, int lane, int ret_x[FINDING_MAX_TIMELINE])
{
	int least = 0, most = WIDTH - MARK;
	for (size_t i = 0; i < f->n_timeline; i++) {
		if (lane_of(f->timeline[i].kind) != lane)
			continue;
		int x = x_of(a, f->timeline[i].t_ns);
		ret_x[i] = x < least ? least : x;
		least = ret_x[i] + 2 * MARK + 1;
	}
	for (size_t i = f->n_timeline; i-- > 0;) {
		if (lane_of(f->timeline[i].kind) != lane)
			continue;
		ret_x[i] = ret_x[i] > most ? most : ret_x[i];
		most = ret_x[i] - 2 * MARK - 1;
	}
}

static void put_mark(struct textbuf *b, const struct finding_time *t, size_t number, int x, int y)
{
	textbuf_f(b, "<g><title>");
	textbuf_time(b, t->t_ns);
	textbuf_put(b, " ");
	textbuf_html(b, t->text, TITLE);
	textbuf_f(b, "</title><circle class=\"m-%s\" cx=\"%d\" cy=\"%d\" r=\"%d\"/>", class_of(t->kind), x, y, MARK);
	textbuf_f(b, "<text class=\"no\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%zu</text></g>\n", x, y + 4, number);
}

static void put_lanes(struct textbuf *b, const struct finding *f, const struct axis *a)
{
	static const char *const names[LANES] = {"process", "file", "network"};
	int x[FINDING_MAX_TIMELINE] = {0};
	for (int i = 0; i < LANES; i++) {
		int y = 16 + i * LANE;
		textbuf_f(b, "<text class=\"lane\" x=\"6\" y=\"%d\">%s</text><line class=\"rail\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
			  y + 4, names[i], LEFT, y, WIDTH - RIGHT, y);
		place_marks(a, f, i, x);
	}
	for (size_t i = 0; i < f->n_timeline; i++)
		put_mark(b, &f->timeline[i], i + 1, x[i], 16 + lane_of(f->timeline[i].kind) * LANE);
}

static int height_of(const struct axis *a, uint64_t bytes)
{
	return bytes ? (int)(log10((double)bytes + 1) / a->max_log * (BARS / 2 - 16)) + 2 : 0;
}

static void put_bar(struct textbuf *b, const struct axis *a, const struct html_flow *h, bool own, int mid)
{
	int x = x_of(a, h->start_ns), w = x_of(a, h->end_ns) - x, up = height_of(a, h->up_bytes), down = height_of(a, h->down_bytes);
	w = w < 6 ? 6 : w;
	textbuf_f(b, "<g%s><title>", own ? "" : " class=\"other\"");
	textbuf_html(b, *h->process ? h->process : "?", HTML_MAX_TEXT);
	textbuf_put(b, " to ");
	textbuf_html(b, h->name, HTML_MAX_TEXT);
	textbuf_put(b, ": ");
	textbuf_grouped(b, h->up_bytes);
	textbuf_put(b, " bytes up, ");
	textbuf_grouped(b, h->down_bytes);
	textbuf_f(b, " down</title><rect class=\"up\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, mid - up, w, up);
	textbuf_f(b, "<rect class=\"down\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></g>\n", x, mid, w, down);
}

/* Labels already written: a further one so near would lie on them. */
struct labels {
	int x[HTML_MAX_SHOWN];
	size_t n;
};

enum { LABEL_WIDTH = 190 };

static bool take_place(struct labels *l, int x)
{
	for (size_t i = 0; i < l->n; i++)
		if (abs(l->x[i] - x) < LABEL_WIDTH)
			return false;
	l->x[l->n++] = x;
	return true;
}

/* The host's first labels above, the bytes at both ends of the bar. */
static void put_label(struct textbuf *b, const struct axis *a, const struct html_flow *h, int top, int mid)
{
	int x = x_of(a, h->start_ns);
	bool left = x > WIDTH - LABEL_WIDTH;
	const char *anchor = left ? "end" : "start";
	if (left)
		x = x_of(a, h->end_ns) + 6;
	x = x > WIDTH - 2 ? WIDTH - 2 : x;
	char name[31];
	size_t n = strnlen(h->name, sizeof name);
	memcpy(name, h->name, n < sizeof name ? n : sizeof name - 1);
	name[n < sizeof name ? n : sizeof name - 1] = '\0';
	textbuf_f(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, top + 11, anchor);
	textbuf_html(b, name, sizeof name);
	textbuf_put(b, n == sizeof name ? "\xe2\x80\xa6" : "");
	textbuf_f(b, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, mid - height_of(a, h->up_bytes) - 3, anchor);
	textbuf_grouped(b, h->up_bytes);
	textbuf_f(b, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"%s\">", x, mid + height_of(a, h->down_bytes) + 11, anchor);
	textbuf_grouped(b, h->down_bytes);
	textbuf_put(b, "</text>\n");
}

static void put_axis(struct textbuf *b, const struct axis *a, int y)
{
	char text[33];
	uint64_t span = a->to_ns - a->from_ns;
	bool days = span > 20 * 3600 * CLOCK_NS_PER_S, fine = span < 10 * CLOCK_NS_PER_S;
	for (int i = 0; i <= 4; i++) {
		uint64_t t = a->from_ns + span / 4 * (uint64_t)i;
		jsonout_time_text(text, t);
		text[10] = ' ';
		textbuf_f(b, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.*s</text>\n", x_of(a, t), y,
			  i == 4 ? "end" : i ? "middle" : "start", fine ? 12 : days ? 11 : 8, text + (days ? 5 : 11));
	}
}

static void put_flows(struct textbuf *b, const struct html_shown *s, const struct axis *a, int top, int mid)
{
	struct labels labels = {0};
	textbuf_f(b, "<text class=\"lane\" x=\"6\" y=\"%d\">bytes up</text><text class=\"lane\" x=\"6\" y=\"%d\">bytes down</text>", mid - 20, mid + 28);
	textbuf_f(b, "<line class=\"rail\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, mid, WIDTH - RIGHT, mid);
	for (size_t i = s->n; i-- > 0;) /* the finding's own last: on top */
		put_bar(b, a, s->flow[i], s->own[i], mid);
	for (size_t i = 0; i < s->n; i++)
		if (take_place(&labels, x_of(a, s->flow[i]->start_ns)))
			put_label(b, a, s->flow[i], top, mid);
}

void html_timeline(struct textbuf *b, const struct finding *f, const struct html_flows *flows)
{
	struct axis a = axis_of(f);
	struct html_shown s;
	uint64_t most = 10;
	html_flows_shown(flows, f, a.from_ns, a.to_ns, &s);
	for (size_t i = 0; i < s.n; i++) {
		most = s.flow[i]->up_bytes > most ? s.flow[i]->up_bytes : most;
		most = s.flow[i]->down_bytes > most ? s.flow[i]->down_bytes : most;
	}
	a.max_log = log10((double)most + 1);
	int top = LANES * LANE + 4, mid = top + NAMES + BARS / 2, high = top + NAMES + BARS + FOOT;
	textbuf_f(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"timeline of processes, files and flows\">\n", WIDTH, high);
	put_lanes(b, f, &a);
	put_flows(b, &s, &a, top, mid);
	put_axis(b, &a, high - 6);
	textbuf_put(b, "</svg>\n<p class=\"note\">Numbers are the sequence below. Bars are flows: up above the line, down below it, logarithmic; pale ones are "
		       "others of the same device.");
	if (s.left_out)
		textbuf_f(b, " %llu more are not drawn.", (unsigned long long)s.left_out);
	textbuf_put(b, "</p>\n");
}
