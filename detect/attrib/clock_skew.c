#include "detect/attrib/clock_skew.h"

#include <stdlib.h>
#include <string.h>

#define S INT64_C(1000000)
#define NEAR_US       (15 * 60 * S)   /* small skews */
#define HALF_HOUR_US  (30 * 60 * S)
#define ZONE_US       (24 * 3600 * S) /* time zones and lost PMs lie within */
#define ZONE_SLACK_US (65 * S)        /* a zone error comes on top of an ordinary skew */
#define AGREE_US      (S / 10)
#define WINDOW_US     (10 * 60 * S)
#define EXPIRY_US     (30 * 60 * S)
#define STEP_US       (S / 4)
#define SPREAD_US     (S / 20)
#define FLOORED_SPREAD_US (350 * S / 1000)

enum { FINE_PAIRS = 15, MIN_PAIRS = 3, MIN_FAR = 5 };

struct pair {
	int64_t event_us, delta_us;
	unsigned flags;
	uint32_t segment; /* which stretch between two steps; fine pairs only */
};

struct clock_skew {
	struct pair *pairs;
	uint32_t n, size, max;
	bool dirty;      /* pairs came since the last vote */
	int64_t coarse_us;
	bool have_coarse;
	uint32_t n_fine; /* the first n_fine pairs are fine, in order of time */
};

struct clock_skew *clock_skew_new(uint32_t max_pairs)
{
	struct clock_skew *cs = calloc(1, sizeof *cs);
	if (cs)
		cs->max = max_pairs;
	return cs;
}

void clock_skew_free(struct clock_skew *cs)
{
	if (cs)
		free(cs->pairs);
	free(cs);
}

uint32_t clock_skew_pairs(const struct clock_skew *cs)
{
	return cs->n;
}

int64_t clock_skew_last(const struct clock_skew *cs)
{
	int64_t last = 0;
	for (uint32_t i = 0; i < cs->n; i++)
		last = cs->pairs[i].event_us > last ? cs->pairs[i].event_us : last;
	return last;
}

static int by_time(const void *va, const void *vb)
{
	const struct pair *a = va, *b = vb;
	if (a->event_us != b->event_us)
		return a->event_us < b->event_us ? -1 : 1;
	if (a->delta_us != b->delta_us)
		return a->delta_us < b->delta_us ? -1 : 1;
	return a->flags < b->flags ? -1 : a->flags > b->flags;
}

static int by_value(const void *va, const void *vb)
{
	int64_t a = *(const int64_t *)va, b = *(const int64_t *)vb;
	return a < b ? -1 : a > b;
}

void clock_skew_add(struct clock_skew *cs, int64_t event_us, int64_t packet_us, unsigned flags)
{
	if (cs->n == cs->max) { /* the older half goes */
		qsort(cs->pairs, cs->n, sizeof *cs->pairs, by_time);
		cs->n /= 2;
		memmove(cs->pairs, cs->pairs + cs->n, cs->n * sizeof *cs->pairs);
	}
	if (cs->n == cs->size) {
		uint32_t size = cs->size ? cs->size * 2 : 16;
		struct pair *grown = realloc(cs->pairs, size * sizeof *grown);
		if (!grown)
			return; /* one sample less */
		cs->pairs = grown;
		cs->size = size;
	}
	cs->pairs[cs->n++] = (struct pair){event_us, event_us - packet_us, flags, 0};
	cs->dirty = true;
}

static int64_t magnitude(int64_t v)
{
	return v < 0 ? -v : v;
}

/* Votes a window of this width around a delta needs before it may be believed. */
static uint32_t votes_needed(int64_t delta)
{
	if (magnitude(delta) <= NEAR_US)
		return 1;
	int64_t off = magnitude(delta) % HALF_HOUR_US;
	off = off > HALF_HOUR_US / 2 ? HALF_HOUR_US - off : off;
	/* No zone is a whole day away: yesterday's events of the same ports are not today's with a wrong clock. */
	if (magnitude(magnitude(delta) - 48 * HALF_HOUR_US) <= ZONE_SLACK_US)
		return MIN_FAR;
	return magnitude(delta) <= ZONE_US + ZONE_SLACK_US && off <= ZONE_SLACK_US ? MIN_PAIRS : MIN_FAR;
}

/* The most popular delta: votes are counted in windows of 1 s (for far ones of 100 ms) that start at a pair's delta. Far from zero only
 * unambiguous pairs vote: a tuple that recurs every minute agrees with itself at any distance. */
static void vote(struct clock_skew *cs)
{
	int64_t *d = malloc(cs->n * sizeof *d);
	uint32_t n = 0, best = 0, end = 0, agree_end = 0;
	cs->have_coarse = false;
	if (!d)
		return;
	for (uint32_t i = 0; i < cs->n; i++)
		if (cs->pairs[i].flags & CLOCK_SKEW_UNIQUE || magnitude(cs->pairs[i].delta_us) <= NEAR_US)
			d[n++] = cs->pairs[i].delta_us;
	qsort(d, n, sizeof *d, by_value);
	for (uint32_t i = 0; i < n; i++) {
		while (end < n && d[end] - d[i] <= S)
			end++;
		while (agree_end < n && d[agree_end] - d[i] <= AGREE_US)
			agree_end++;
		uint32_t needed = votes_needed(d[i]), votes = needed == MIN_FAR ? agree_end - i : end - i;
		int64_t middle = d[i + votes / 2];
		if (votes < needed || votes < best || (votes == best && magnitude(middle) >= magnitude(cs->coarse_us)))
			continue;
		best = votes;
		cs->coarse_us = middle;
		cs->have_coarse = true;
	}
	free(d);
}

static int64_t median_of(int64_t *v, uint32_t n)
{
	qsort(v, n, sizeof *v, by_value);
	return n % 2 ? v[n / 2] : v[n / 2 - 1] + (v[n / 2] - v[n / 2 - 1]) / 2;
}

static int64_t spread_of(const int64_t *v, uint32_t n, int64_t median)
{
	int64_t dev[FINE_PAIRS];
	for (uint32_t i = 0; i < n; i++)
		dev[i] = magnitude(v[i] - median);
	return median_of(dev, n);
}

/* Cuts the fine pairs where three in a row leave the running median the same way: there the clock was set. */
static void cut_segments(struct clock_skew *cs)
{
	int64_t window[FINE_PAIRS], sorted[FINE_PAIRS];
	uint32_t n = 0, away = 0, segment = 0;
	int sign = 0;
	for (uint32_t i = 0; i < cs->n_fine; i++) {
		struct pair *p = &cs->pairs[i];
		p->segment = segment;
		if (n >= MIN_PAIRS) {
			memcpy(sorted, window, n * sizeof *sorted);
			int64_t median = median_of(sorted, n), limit = 5 * spread_of(sorted, n, median);
			int64_t floor_us = p->flags & CLOCK_SKEW_FLOORED ? 3 * S / 2 : STEP_US;
			limit = limit > floor_us ? limit : floor_us;
			int64_t residual = p->delta_us - median;
			int way = magnitude(residual) <= limit ? 0 : residual < 0 ? -1 : 1;
			away = way && way == sign ? away + 1 : way ? 1 : 0;
			sign = way;
			if (away == MIN_PAIRS) {
				segment++;
				n = 0;
				for (uint32_t j = i + 1 - MIN_PAIRS; j <= i; j++) {
					cs->pairs[j].segment = segment;
					window[n++] = cs->pairs[j].delta_us;
				}
				away = 0;
				continue;
			}
			if (way)
				continue; /* an outlier until two more agree */
		}
		if (n == FINE_PAIRS)
			memmove(window, window + 1, --n * sizeof *window);
		window[n++] = p->delta_us;
	}
}

static bool is_fine(const struct clock_skew *cs, const struct pair *p)
{
	const unsigned both = CLOCK_SKEW_UNIQUE | CLOCK_SKEW_SYN;
	return (p->flags & both) == both && magnitude(p->delta_us - cs->coarse_us) <= NEAR_US;
}

static void settle(struct clock_skew *cs)
{
	cs->dirty = false;
	qsort(cs->pairs, cs->n, sizeof *cs->pairs, by_time);
	vote(cs);
	struct pair *sorted = malloc(cs->n * sizeof *sorted);
	cs->n_fine = 0;
	if (!sorted || !cs->have_coarse) {
		free(sorted);
		return;
	}
	uint32_t rest = 0;
	for (uint32_t i = 0; i < cs->n; i++)
		cs->n_fine += is_fine(cs, &cs->pairs[i]);
	for (uint32_t i = 0, fine = 0; i < cs->n; i++) {
		bool good = is_fine(cs, &cs->pairs[i]);
		sorted[good ? fine++ : cs->n_fine + rest++] = cs->pairs[i];
	}
	memcpy(cs->pairs, sorted, cs->n * sizeof *sorted);
	free(sorted);
	cut_segments(cs);
}

/* First fine pair at or after t. */
static uint32_t seek(const struct clock_skew *cs, int64_t t)
{
	uint32_t lo = 0, hi = cs->n_fine;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (cs->pairs[mid].event_us < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* The up to FINE_PAIRS pairs of one segment nearest in time to t, no farther than reach. */
static uint32_t nearest(const struct clock_skew *cs, int64_t t, int64_t reach, int64_t *d, bool *floored)
{
	uint32_t right = seek(cs, t), left = right, n = 0;
	const struct pair *p = cs->pairs;
	if (cs->n_fine == 0)
		return 0;
	bool from_left = right == cs->n_fine || (right > 0 && t - p[right - 1].event_us < p[right].event_us - t);
	uint32_t segment = p[from_left ? right - 1 : right].segment;
	*floored = p[from_left ? right - 1 : right].flags & CLOCK_SKEW_FLOORED;
	while (n < FINE_PAIRS) {
		while (left > 0 && p[left - 1].segment > segment)
			left--;
		while (right < cs->n_fine && p[right].segment < segment)
			right++;
		bool can_left = left > 0 && p[left - 1].segment == segment && t - p[left - 1].event_us <= reach;
		bool can_right = right < cs->n_fine && p[right].segment == segment && p[right].event_us - t <= reach;
		if (!can_left && !can_right)
			break;
		bool go_left = can_left && (!can_right || t - p[left - 1].event_us <= p[right].event_us - t);
		d[n++] = go_left ? p[--left].delta_us : p[right++].delta_us;
	}
	return n;
}

struct clock_skew_state clock_skew_at(struct clock_skew *cs, int64_t event_us)
{
	struct clock_skew_state state = {0};
	int64_t d[FINE_PAIRS], sorted[FINE_PAIRS];
	bool floored = false;
	if (cs->n == 0)
		return state;
	if (cs->dirty)
		settle(cs);
	uint32_t n = nearest(cs, event_us, WINDOW_US, d, &floored);
	if (n < MIN_PAIRS)
		n = nearest(cs, event_us, EXPIRY_US, d, &floored);
	state.samples = n;
	if (n) {
		memcpy(sorted, d, n * sizeof *d);
		int64_t median = median_of(sorted, n);
		state.spread_us = spread_of(sorted, n, median);
		state.calibrated = n >= MIN_PAIRS && state.spread_us <= (floored ? FLOORED_SPREAD_US : SPREAD_US);
		if (n >= MIN_PAIRS)
			state.offset_us = median;
	}
	if (n < MIN_PAIRS && cs->have_coarse && cs->n >= MIN_PAIRS)
		state.offset_us = cs->coarse_us;
	return state;
}
