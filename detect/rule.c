#include "detect/rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const uint64_t ns_per_minute = UINT64_C(60000000000);

const struct rule *const rules[] = {&rule_volume, &rule_lolbin,   &rule_archive, &rule_unknown,
				    &rule_drip,   &rule_protocol, NULL};

int rule_graver(const void *a, const void *b)
{
	const struct rule *x = ((const struct rule_hit *)a)->rule, *y = ((const struct rule_hit *)b)->rule;
	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	return (x->id < y->id) - (x->id > y->id);
}

struct minute_sum {
	uint32_t minute;
	uint64_t all, own;
};

static int by_minute(const void *a, const void *b)
{
	const struct minute_sum *x = a, *y = b;
	return (x->minute > y->minute) - (x->minute < y->minute);
}

static bool in_episode(const struct episode *ep, const struct part *p)
{
	return p->ledger == ep->ledger && p->start_ns >= ep->first_ns && p->start_ns <= ep->last_ns;
}

/* Sorted sums per minute of the wanted parts; NULL: none, or out of memory. */
static struct minute_sum *sum_minutes(const struct rule_view *view, const struct episode *ep,
				      bool (*wanted)(const struct part *p), size_t *ret_n)
{
	size_t n = 0, k = 0;
	for (size_t i = 0; i < view->n_group_parts; i++)
		n += wanted(view->group_parts[i]) ? view->group_parts[i]->n_minutes : 0;
	struct minute_sum *sums = n ? calloc(n, sizeof *sums) : NULL;
	if (!sums)
		return NULL;
	for (size_t i = 0; i < view->n_group_parts; i++) {
		const struct part *p = view->group_parts[i];
		bool own = in_episode(ep, p);
		for (uint32_t m = 0; wanted(p) && m < p->n_minutes; m++)
			sums[k++] = (struct minute_sum){p->minutes[m].minute, p->minutes[m].bytes,
							own ? p->minutes[m].bytes : 0};
	}
	qsort(sums, n, sizeof *sums, by_minute);
	k = 0;
	for (size_t i = 1; i < n; i++) {
		if (sums[i].minute != sums[k].minute) {
			sums[++k] = sums[i];
			continue;
		}
		sums[k].all += sums[i].all;
		sums[k].own += sums[i].own;
	}
	*ret_n = k + 1;
	return sums;
}

bool rule_peak(const struct rule_view *view, const struct episode *ep, bool (*wanted)(const struct part *p),
	       uint64_t window_ns, uint64_t limit_bytes, bool by_share, struct rule_peak *ret)
{
	size_t n = 0, from = 0;
	struct minute_sum *sums = sum_minutes(view, ep, wanted, &n);
	uint32_t window = (uint32_t)((window_ns + ns_per_minute - 1) / ns_per_minute);
	struct rule_peak best = {0};
	uint64_t all = 0, own = 0;
	for (size_t i = 0; i < n; i++) {
		all += sums[i].all;
		own += sums[i].own;
		for (; sums[from].minute + window <= sums[i].minute; from++) {
			all -= sums[from].all;
			own -= sums[from].own;
		}
		bool counts = sums[i].own || (by_share && own && own >= all / 10);
		if (counts && all >= limit_bytes && all > best.bytes)
			best = (struct rule_peak){all, own, sums[from].minute * ns_per_minute,
						  (sums[i].minute + 1) * ns_per_minute};
	}
	free(sums);
	if (best.bytes)
		*ret = best;
	return best.bytes > 0;
}

size_t rule_support(const struct episode *ep, bool (*wanted)(const struct part *p),
		    const struct rule_peak *peak, bool *supports)
{
	size_t n = 0;
	for (size_t i = 0; i < ep->n; i++) {
		const struct part *p = ep->parts[i];
		for (uint32_t m = 0; wanted(p) && m < p->n_minutes && !supports[i]; m++) {
			uint64_t at = p->minutes[m].minute * ns_per_minute;
			supports[i] = at >= peak->from_ns && at < peak->to_ns;
		}
		n += supports[i];
	}
	return n;
}

const struct part *rule_largest(const struct episode *ep, const bool *supports)
{
	const struct part *best = NULL;
	for (size_t i = 0; i < ep->n; i++)
		if (supports[i] && (!best || ep->parts[i]->out_app > best->out_app))
			best = ep->parts[i];
	return best;
}

const char *rule_size_text(char *buf, uint64_t bytes)
{
	if (bytes >= 1 << 20)
		snprintf(buf, 32, "%.1f MiB", (double)bytes / (1 << 20));
	else if (bytes >= 10240)
		snprintf(buf, 32, "%.1f KiB", (double)bytes / 1024);
	else
		snprintf(buf, 32, "%" PRIu64 " bytes", bytes);
	return buf;
}

const char *rule_span_text(char *buf, uint64_t ns)
{
	double s = (double)ns / 1e9;
	if (s < 0.0995)
		snprintf(buf, 32, "%.0f ms", s * 1e3);
	else if (s < 99.95)
		snprintf(buf, 32, "%.*f s", s < 59.95 ? 1 : 0, s);
	else if (s < 5999.5)
		snprintf(buf, 32, "%.*f min", (uint64_t)s % 60 ? 1 : 0, s / 60);
	else
		snprintf(buf, 32, "%.*f h", (uint64_t)s % 3600 ? 1 : 0, s / 3600);
	return buf;
}
