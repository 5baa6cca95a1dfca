/* 1005: a slow drip: many small uploads of one device to one account, none further from the last than an
 * hour, none of them found by another rule. Flows that overlap or follow within a minute are one upload. */
#include "detect/rule.h"

#include <stdio.h>
#include <stdlib.h>

static const uint64_t same_upload_ns = UINT64_C(60000000000);

struct upload {
	uint64_t first_ns, last_ns, bytes;
	size_t from_part; /* its parts end where the next one's begin */
};

static bool wanted(const struct part *p)
{
	return p->known && p->direction == VERDICT_UPLOAD;
}

/* The parts come by start. */
static size_t cut_uploads(const struct episode *ep, struct upload *ret)
{
	size_t n = 0;
	for (size_t i = 0; i < ep->n; i++) {
		const struct part *p = ep->parts[i];
		if (!wanted(p))
			continue;
		if (!n || p->start_ns >= ret[n - 1].last_ns + same_upload_ns)
			ret[n++] = (struct upload){p->start_ns, p->end_ns, 0, i};
		ret[n - 1].bytes += p->out_bytes;
		if (p->end_ns > ret[n - 1].last_ns)
			ret[n - 1].last_ns = p->end_ns;
	}
	return n;
}

/* The longest run that ends at some upload: no pause longer than the limit, all within the window. */
static bool find_run(const struct judge_limits *l, const struct upload *u, size_t n, size_t *ret_from,
		     size_t *ret_to)
{
	size_t from = 0;
	uint64_t bytes = 0, most = 0;
	for (size_t i = 0; i < n; i++) {
		if (i && u[i].first_ns > u[i - 1].last_ns &&
		    u[i].first_ns - u[i - 1].last_ns > l->drip_gap_ns) {
			from = i;
			bytes = 0;
		}
		bytes += u[i].bytes;
		for (; u[i].last_ns > u[from].first_ns + l->drip_ns && from < i; from++)
			bytes -= u[from].bytes;
		if (i - from + 1 < l->drip_uploads || bytes < l->drip_bytes || bytes <= most)
			continue;
		most = bytes;
		*ret_from = from;
		*ret_to = i;
	}
	return most > 0;
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	struct upload *u = ep->n >= view->limits->drip_uploads ? calloc(ep->n + 1, sizeof *u) : NULL;
	if (!u)
		return false;
	size_t n = cut_uploads(ep, u), from = 0, to = 0;
	bool found = find_run(view->limits, u, n, &from, &to);
	if (found) {
		*ret_hit = (struct rule_hit){.from_ns = u[from].first_ns,
					     .to_ns = u[to].last_ns,
					     .count = to - from + 1,
					     .window_ns = view->limits->drip_ns};
		size_t end = to + 1 < n ? u[to + 1].from_part : ep->n;
		for (size_t i = u[from].from_part; i < end; i++) {
			supports[i] = wanted(ep->parts[i]);
			ret_hit->bytes += supports[i] ? ep->parts[i]->out_bytes : 0;
		}
		ret_hit->part = rule_largest(ep, supports);
	}
	free(u);
	return found;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	char size[32], span[32];
	snprintf(ret_text, RULE_REASON_SIZE,
		 "1005: %zu uploads in %s, %s of payload together, each too small for the other rules",
		 hit->count, rule_span_text(span, hit->to_ns - hit->from_ns),
		 rule_size_text(size, hit->bytes));
}

const struct rule rule_drip = {.id = RULE_DRIP,
			       .severity = 3,
			       .of_device = true,
			       .title = "Slow drip to cloud storage",
			       .technique = "T1030",
			       .fires = fires,
			       .explain = explain};
