/* The picture of a finding: lanes for processes, files and network on one time axis; below, each flow as a bar, up above the line and down below it,
 * so that a download and an upload cannot be taken for each other. Bars are on a logarithmic scale and say their bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "detect/sinks/html_parts.h"
#include "detect/sinks/jsonout.h"

enum { WIDTH = 960, LEFT = 90, RIGHT = 20, LANE = 30, LANES = 3, BARS = 150, FOOT = 24, BARS_MAX = 40 };

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
	*h = (struct html_flow){.start_ns = f->start_ns, .end_ns = f->end_ns,
				.up_bytes = f->app_known ? f->up.app_bytes : f->up.bytes,
				.down_bytes = f->app_known ? f->down.app_bytes : f->down.bytes};
	strncpy(h->name, f->name ? f->name : "", sizeof h->name - 1);
	if (v->initiator.outcome != OWNER_ATTRIBUTED)
		return;
	h->principal = v->initiator.process.principal;
	strncpy(h->process, v->initiator.process.name ? v->initiator.process.name : "", sizeof h->process - 1);
	strncpy(h->device, v->initiator.process.device ? v->initiator.process.device : "", sizeof h->device - 1);
}

void html_flows_done(struct html_flows *fl)
{
	free(fl->list);
	*fl = (struct html_flows){0};
}

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

/* Bars of the same process, or, where the process is unknown, of the same device, inside the time shown. */
static bool belongs(const struct html_flow *h, const struct finding *f, const struct axis *a)
{
	if (h->end_ns < a->from_ns || h->start_ns > a->to_ns)
		return false;
	const struct owner *o = &f->flow->initiator;
	if (o->outcome != OWNER_ATTRIBUTED)
		return f->flow->facts->name && !strcmp(h->name, f->flow->facts->name);
	return o->process.device && !strcmp(h->device, o->process.device);
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
	if (!strncmp(kind, "file", 4))
		return 1;
	return !strcmp(kind, "process") ? 0 : 2;
}

static void put_lanes(struct textbuf *b, const struct finding *f, const struct axis *a)
{
	static const char *const names[LANES] = {"process", "file", "network"};
	for (int i = 0; i < LANES; i++) {
		int y = 14 + i * LANE;
		textbuf_f(b, "<text class=\"lane\" x=\"4\" y=\"%d\">%s</text><line class=\"rail\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n",
			  y + 4, names[i], LEFT, y, WIDTH - RIGHT, y);
	}
	for (size_t i = 0; i < f->n_timeline; i++) {
		const struct finding_time *t = &f->timeline[i];
		int lane = lane_of(t->kind), y = 14 + lane * LANE;
		textbuf_f(b, "<circle class=\"mark l%d\" cx=\"%d\" cy=\"%d\" r=\"6\"><title>", lane, x_of(a, t->t_ns), y);
		textbuf_time(b, t->t_ns);
		textbuf_put(b, " ");
		textbuf_html(b, t->text);
		textbuf_put(b, "</title></circle>\n");
	}
}

static int height_of(const struct axis *a, uint64_t bytes)
{
	return bytes ? (int)(log10((double)bytes + 1) / a->max_log * (BARS / 2 - 16)) + 2 : 0;
}

static void put_bar(struct textbuf *b, const struct axis *a, const struct html_flow *h, int mid)
{
	int x = x_of(a, h->start_ns), w = x_of(a, h->end_ns) - x, up = height_of(a, h->up_bytes), down = height_of(a, h->down_bytes);
	w = w < 5 ? 5 : w;
	textbuf_f(b, "<g><title>");
	textbuf_html(b, *h->process ? h->process : "?");
	textbuf_put(b, " to ");
	textbuf_html(b, h->name);
	textbuf_put(b, ": ");
	textbuf_grouped(b, h->up_bytes);
	textbuf_put(b, " bytes up, ");
	textbuf_grouped(b, h->down_bytes);
	textbuf_f(b, " down</title><rect class=\"up\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>", x, mid - up, w, up);
	textbuf_f(b, "<rect class=\"down\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></g>\n", x, mid, w, down);
	textbuf_f(b, "<text class=\"bytes\" x=\"%d\" y=\"%d\">", x, mid - up - 3);
	textbuf_grouped(b, h->up_bytes);
	textbuf_f(b, "</text><text class=\"bytes\" x=\"%d\" y=\"%d\">", x, mid + down + 11);
	textbuf_grouped(b, h->down_bytes);
	textbuf_put(b, "</text>\n");
}

static void put_axis(struct textbuf *b, const struct axis *a, int y)
{
	char text[33];
	for (int i = 0; i <= 4; i++) {
		uint64_t t = a->from_ns + (a->to_ns - a->from_ns) / 4 * (uint64_t)i;
		jsonout_time_text(text, t);
		textbuf_f(b, "<text class=\"tick\" x=\"%d\" y=\"%d\" text-anchor=\"%s\">%.8s</text>\n", x_of(a, t), y,
			  i == 4 ? "end" : i ? "middle" : "start", text + 11);
	}
}

void html_timeline(struct textbuf *b, const struct finding *f, const struct html_flows *flows)
{
	struct axis a = axis_of(f);
	const struct html_flow *shown[BARS_MAX];
	size_t n = 0;
	uint64_t most = 10;
	for (size_t i = 0; i < flows->n && n < BARS_MAX; i++) {
		const struct html_flow *h = &flows->list[i];
		if (!belongs(h, f, &a))
			continue;
		shown[n++] = h;
		most = h->up_bytes > most ? h->up_bytes : most;
		most = h->down_bytes > most ? h->down_bytes : most;
	}
	a.max_log = log10((double)most + 1);
	int top = LANES * LANE + 4, mid = top + BARS / 2, high = top + BARS + FOOT;
	textbuf_f(b, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"timeline of processes, files and flows\">\n", WIDTH, high);
	put_lanes(b, f, &a);
	textbuf_f(b, "<text class=\"lane\" x=\"4\" y=\"%d\">bytes up</text><text class=\"lane\" x=\"4\" y=\"%d\">bytes down</text>", mid - 20, mid + 28);
	textbuf_f(b, "<line class=\"rail\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", LEFT, mid, WIDTH - RIGHT, mid);
	for (size_t i = 0; i < n; i++)
		put_bar(b, &a, shown[i], mid);
	put_axis(b, &a, high - 6);
	textbuf_put(b, "</svg>\n<p class=\"note\">Bars are flows of this device: application data up above the line, down below it, logarithmic. UTC.</p>\n");
}
