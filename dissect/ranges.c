#include "dissect/ranges.h"

#include <string.h>

static void drop(struct ranges *r, uint32_t at, uint32_t n)
{
	if (!n)
		return;
	memmove(r->at + at, r->at + at + n, (r->n - at - n) * sizeof *r->at);
	r->n -= n;
}

bool ranges_add(struct ranges *r, uint32_t from, uint32_t to, uint32_t *ret_new)
{
	uint32_t first = 0;
	while (first < r->n && r->at[first].to < from)
		first++;
	uint32_t last = first; /* one past the ranges that touch [from, to) */
	uint32_t had = 0;
	struct flow_range merged = {from, to};
	for (; last < r->n && r->at[last].from <= to; last++) {
		const struct flow_range *x = &r->at[last];
		uint32_t lo = x->from > from ? x->from : from;
		uint32_t hi = x->to < to ? x->to : to;
		had += hi > lo ? hi - lo : 0;
		merged.from = x->from < merged.from ? x->from : merged.from;
		merged.to = x->to > merged.to ? x->to : merged.to;
	}
	if (first == last) {
		if (r->n == r->max)
			return false;
		memmove(r->at + first + 1, r->at + first, (r->n - first) * sizeof *r->at);
		r->n++;
	} else {
		drop(r, first + 1, last - first - 1);
	}
	r->at[first] = merged;
	*ret_new = to - from - had;
	return true;
}

uint32_t ranges_within(const struct ranges *r, uint32_t from, uint32_t to)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < r->n && r->at[i].from < to; i++) {
		uint32_t lo = r->at[i].from > from ? r->at[i].from : from;
		uint32_t hi = r->at[i].to < to ? r->at[i].to : to;
		sum += hi > lo ? hi - lo : 0;
	}
	return sum;
}

uint32_t ranges_join(struct ranges *r, uint32_t low)
{
	uint32_t n = 0;
	for (; n < r->n && r->at[n].from <= low; n++)
		low = r->at[n].to > low ? r->at[n].to : low;
	drop(r, 0, n);
	return low;
}

void ranges_drop_first(struct ranges *r)
{
	drop(r, 0, 1);
}
