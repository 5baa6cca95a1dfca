/* What of a flow a part keeps: see detect/ledger.h. */
#include "detect/part.h"

#include <string.h>

enum { MINUTE_S = 60 };
static const uint64_t ns_per_s = UINT64_C(1000000000);

/* A place for one more minute; where the table is at its cap the oldest goes. */
static bool make_room(struct part *p)
{
	if (p->n_minutes == LEDGER_MINUTES_MAX) {
		memmove(p->minutes, p->minutes + 1, --p->n_minutes * sizeof *p->minutes);
		return true;
	}
	if (p->n_minutes < p->cap_minutes)
		return true;
	uint32_t cap = p->cap_minutes ? p->cap_minutes * 2 : 2;
	struct part_minute *grown = reallocarray(p->minutes, cap, sizeof *grown);
	if (!grown)
		return false;
	p->minutes = grown;
	p->cap_minutes = cap;
	return true;
}

static void add_minute(struct part *p, uint64_t start_s, uint64_t bytes)
{
	uint32_t minute = (uint32_t)(start_s / MINUTE_S);
	if (!bytes)
		return;
	p->accounted_bytes += bytes;
	uint32_t i = p->n_minutes;
	while (i && p->minutes[i - 1].minute > minute)
		i--;
	if (i && p->minutes[i - 1].minute == minute) {
		p->minutes[i - 1].bytes += bytes;
		return;
	}
	uint32_t before = p->n_minutes;
	if ((!i && before == LEDGER_MINUTES_MAX) || !make_room(p))
		return;
	i -= before > p->n_minutes; /* the oldest went */
	memmove(p->minutes + i + 1, p->minutes + i, (p->n_minutes - i) * sizeof *p->minutes);
	p->minutes[i] = (struct part_minute){minute, bytes};
	p->n_minutes++;
}

static void add_minutes(struct part *p, const struct flow_facts *f)
{
	bool up = p->side == ATTRIB_INITIATOR;
	for (size_t i = 0; i < f->n_minutes; i++)
		add_minute(p, f->minutes[i].start_s, up ? f->minutes[i].up_bytes : f->minutes[i].down_bytes);
	if (p->out_bytes >
	    p->accounted_bytes) /* sent before the flow was of interest, or told without minutes */
		add_minute(p, f->end_ns / ns_per_s, p->out_bytes - p->accounted_bytes);
}

/* A quarter of the fullest minute, and four times what the minute before had: the pause between two requests of one connection, its
 * heartbeats among them, ends there. */
static bool begins_burst(const struct part *p, uint32_t i, uint64_t fullest_bytes)
{
	const struct part_minute *m = &p->minutes[i];
	bool follows = i && m[-1].minute + 1 == m->minute;
	return m->bytes >= fullest_bytes / 4 && (!follows || m[-1].bytes < m->bytes / 4);
}

bool part_burst(const struct part *p, uint32_t *at, struct part_burst *ret)
{
	uint64_t fullest_bytes = 0;
	for (uint32_t i = 0; i < p->n_minutes; i++)
		if (p->minutes[i].bytes > fullest_bytes)
			fullest_bytes = p->minutes[i].bytes;
	while (*at < p->n_minutes && !begins_burst(p, *at, fullest_bytes))
		++*at;
	if (*at >= p->n_minutes && (*at || p->n_minutes))
		return false;
	uint64_t minute_ns = p->n_minutes ? p->minutes[*at].minute * MINUTE_S * ns_per_s : 0;
	uint64_t end_ns = minute_ns + MINUTE_S * ns_per_s;
	if (minute_ns <= p->start_ns)
		*ret = (struct part_burst){p->start_ns, p->start_ns};
	else
		*ret = (struct part_burst){minute_ns, p->end_ns > minute_ns && p->end_ns < end_ns ? p->end_ns : end_ns};
	++*at;
	return true;
}

static bool lost_from_sight(const struct facts_dir *d)
{
	enum { HANDSHAKE_BYTES = 65536 };
	return d->bytes > HANDSHAKE_BYTES && d->bytes / 2 > d->app_bytes;
}

bool part_app_known(const struct flow_facts *f)
{
	bool estimated = f->flags & FACTS_APP_ESTIMATED;
	return f->app_known && !(estimated && (lost_from_sight(&f->up) || lost_from_sight(&f->down)));
}

enum verdict_direction part_direction(const struct flow_facts *f, bool device_answered)
{
	bool app = part_app_known(f);
	uint64_t up = app ? f->up.app_bytes : f->up.bytes;
	uint64_t down = app ? f->down.app_bytes : f->down.bytes;
	if (device_answered) {
		uint64_t t = up;
		up = down;
		down = t;
	}
	return verdict_direction_of(up, down);
}

bool part_fill(struct part *p, const struct verdict *v)
{
	const struct flow_facts *f = v->facts;
	bool again = p->keep != NULL;
	if (again && (f->seq < p->seq || (f->seq == p->seq && v->version < p->keep->version)))
		return true; /* older than what is here */
	struct keep *k = keep_new(v);
	if (!k)
		return false;
	free(p->keep);
	p->keep = k;
	bool answered = p->side == ATTRIB_RESPONDER;
	const struct facts_dir *out = answered ? &f->down : &f->up, *in = answered ? &f->up : &f->down;
	p->start_ns = f->start_ns;
	p->end_ns = f->end_ns;
	p->out_bytes = out->bytes;
	p->in_bytes = in->bytes;
	p->app_known = part_app_known(f);
	p->out_app = p->app_known ? out->app_bytes : out->bytes;
	p->in_app = p->app_known ? in->app_bytes : in->bytes;
	p->direction = (uint8_t)part_direction(f, answered);
	p->known = v->has_destination;
	if (!again || f->seq > p->seq)
		add_minutes(p, f);
	p->seq = f->seq;
	return true;
}

const struct keep_owner *part_owner(const struct part *p)
{
	return &p->keep->sides[p->side == ATTRIB_RESPONDER]; /* a part of that side has a responder */
}

bool part_up_twice_down(const struct part *p)
{
	return p->out_app / 2 >= p->in_app;
}

void part_free(struct part *p)
{
	free(p->minutes);
	free(p->keep);
	free(p);
}
