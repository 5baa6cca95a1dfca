/* told: collects what track publishes, for tests: every record, with the strings kept. */
#ifndef LEAKTAP_TESTS_UNIT_TOLD_H
#define LEAKTAP_TESTS_UNIT_TOLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/track.h"

struct told {
	struct flow_facts *at; /* strings are dropped; minutes are summed up */
	char (*names)[256];
	uint64_t *minutes_up, *minutes_down;
	size_t n, room;
};

#define TOLD_FN static inline __attribute__((unused))

TOLD_FN void told_take(void *ctx, const struct flow_facts *f)
{
	struct told *t = ctx;
	if (t->n == t->room) {
		t->room = t->room ? 2 * t->room : 64;
		t->at = realloc(t->at, t->room * sizeof *t->at);
		t->names = realloc(t->names, t->room * sizeof *t->names);
		t->minutes_up = realloc(t->minutes_up, t->room * sizeof *t->minutes_up);
		t->minutes_down = realloc(t->minutes_down, t->room * sizeof *t->minutes_down);
		if (!t->at || !t->names || !t->minutes_up || !t->minutes_down)
			abort();
	}
	t->at[t->n] = *f;
	snprintf(t->names[t->n], sizeof *t->names, "%s", f->name ? f->name : "");
	t->minutes_up[t->n] = t->minutes_down[t->n] = 0;
	for (size_t i = 0; i < f->n_minutes; i++) {
		t->minutes_up[t->n] += f->minutes[i].up_bytes;
		t->minutes_down[t->n] += f->minutes[i].down_bytes;
	}
	t->n++;
}

TOLD_FN void told_free(struct told *t)
{
	free(t->at);
	free(t->names);
	free(t->minutes_up);
	free(t->minutes_down);
	*t = (struct told){0};
}

TOLD_FN struct track *told_track(struct told *t, struct track_conf conf)
{
	struct err err;
	struct track *tr = NULL;
	conf.publish = told_take;
	conf.publish_ctx = t;
	if (track_new(&tr, &conf, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return tr;
}

/* Sum of the wire bytes of the last records, and of the verdicts that have no flow. */
TOLD_FN uint64_t told_wire_bytes(const struct told *t, const struct track_stats *s)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < t->n; i++)
		if (t->at[i].last)
			sum += t->at[i].up.wire_bytes + t->at[i].down.wire_bytes;
	for (int v = 0; v < DECODE_VERDICT_COUNT; v++)
		if (v != DECODE_OK && v != DECODE_OTHER_L4)
			sum += s->verdict_bytes[v];
	return sum;
}

#endif
