#include "detect/app/outlets.h"

#include <string.h>

#include "detect/app/log.h"

static const struct sink_ops *find_kind(const char *kind)
{
	for (const struct sink_ops *const *ops = sink_kinds; *ops; ops++)
		if (!strcmp((*ops)->kind, kind))
			return *ops;
	return NULL;
}

int outlets_add(struct outlets *o, const char *kind, const struct sink_conf *conf, struct err *err)
{
	const struct sink_ops *ops = find_kind(kind);
	if (!ops)
		return err_set(err, LT_EUNSUPPORTED, "no output of kind %s in this build", kind);
	struct sink *sink;
	int r = ops->open(&sink, conf, err);
	if (r)
		return r;
	o->list[o->n].ops = ops;
	o->list[o->n].sink = sink;
	o->list[o->n].failed = false;
	o->n++;
	return 0;
}

static void note(struct outlets *o, size_t i, int r)
{
	if (r >= 0 || o->list[i].failed)
		return;
	o->list[i].failed = true;
	o->failures++;
	log_error("output %s: %s; nothing more is written there", o->list[i].ops->kind, lt_strerror(r));
}

#define EACH(o, member, ...)                                                                                   \
	for (size_t i = 0; i < (o)->n; i++)                                                                    \
		if (!(o)->list[i].failed && (o)->list[i].ops->member)                                          \
			note(o, i, (o)->list[i].ops->member((o)->list[i].sink, __VA_ARGS__))

void outlets_flow(struct outlets *o, const struct verdict *v)
{
	EACH(o, flow, v);
}

void outlets_finding(struct outlets *o, const struct finding *f)
{
	EACH(o, finding, f);
}

void outlets_attribution(struct outlets *o, const struct sink_attribution *a)
{
	EACH(o, attribution, a);
}

void outlets_stats(struct outlets *o, const struct sink_stats *st)
{
	EACH(o, stats, st);
}

void outlets_tick(struct outlets *o, uint64_t now_ns)
{
	EACH(o, tick, now_ns);
}

void outlets_feed(struct outlets *o, struct sink_stats *st)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->list[i].ops->counters)
			o->list[i].ops->counters(o->list[i].sink, &st->feed_written, &st->feed_lost, &st->feed_spooled);
}

void outlets_close(struct outlets *o)
{
	for (size_t i = 0; i < o->n; i++) {
		struct err err = {0};
		int r = o->list[i].ops->close(o->list[i].sink, &err);
		if (r < 0 && !o->list[i].failed) {
			o->failures++;
			log_error("output %s: %s", o->list[i].ops->kind, err.text);
		}
	}
	o->n = 0;
}
