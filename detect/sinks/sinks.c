#include "detect/sinks/sinks.h"

/* The one list of outputs: a new one is a file sink_x.c, its name in sinks.h, and a line here. */
const struct sink_ops *const sink_kinds[] = {&sink_records, &sink_table, &sink_html, &sink_feed, &sink_hunt, NULL};

static void add_source(struct source_stats *to, const struct source_stats *s)
{
	to->packets += s->packets;
	to->bytes += s->bytes;
	to->filtered += s->filtered;
	to->kernel_drops += s->kernel_drops;
	to->iface_drops += s->iface_drops;
	to->bad_records += s->bad_records;
	to->undecoded += s->undecoded;
	to->files_failed += s->files_failed;
	to->merge_late += s->merge_late;
}

static_assert(sizeof(struct track_stats) % sizeof(uint64_t) == 0 && sizeof(size_t) == sizeof(uint64_t),
	      "track_stats is nothing but 64-bit counters, so it can be added as an array");

void sink_stats_add(struct sink_stats *st, const struct source_stats *source, const struct track_stats *track)
{
	add_source(&st->source, source);
	uint64_t *to = (uint64_t *)&st->track;
	const uint64_t *from = (const uint64_t *)track;
	for (size_t i = 0; i < sizeof *track / sizeof *to; i++)
		to[i] += from[i];
}
