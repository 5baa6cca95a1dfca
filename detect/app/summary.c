#include "detect/app/summary.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t named_flows(const struct track_stats *t)
{
	uint64_t n = 0;
	for (int i = FACTS_NAME_NONE + 1; i < FACTS_NAME_SOURCE_COUNT; i++)
		n += t->names[i];
	return n;
}

static void print_packets(const struct sink_stats *st)
{
	const struct track_stats *t = &st->track;
	fprintf(stderr, "packets   %" PRIu64 " (%" PRIu64 " bytes)", t->packets, t->wire_bytes);
	uint64_t drops = st->source.kernel_drops + st->source.iface_drops;
	if (drops)
		fprintf(stderr, ", %" PRIu64 " dropped before capture", drops);
	for (int v = DECODE_OK + 1; v < DECODE_VERDICT_COUNT; v++)
		if (t->verdicts[v] && v != DECODE_FRAGMENT && v != DECODE_OTHER_L4)
			fprintf(stderr, ", %" PRIu64 " %s", t->verdicts[v], decode_verdict_names[v]);
	fputc('\n', stderr);
}

static void print_flows(const struct sink_stats *st)
{
	const struct track_stats *t = &st->track;
	uint64_t ended = t->flows_ended, named = named_flows(t);
	fprintf(stderr, "flows     %" PRIu64 ", %" PRIu64 " with a name", ended, named);
	const char *sep = ": ";
	for (int i = FACTS_NAME_NONE + 1; i < FACTS_NAME_SOURCE_COUNT; i++) {
		if (!t->names[i])
			continue;
		fprintf(stderr, "%s%" PRIu64 " %s", sep, t->names[i], facts_name_source_names[i]);
		sep = ", ";
	}
	if (t->flows_evicted)
		fprintf(stderr, "; %" PRIu64 " evicted", t->flows_evicted);
	fputc('\n', stderr);
}

static void print_join(const struct sink_stats *st)
{
	const struct judge_stats *j = &st->judge;
	for (int o = 0; o < OWNER_OUTCOME_COUNT; o++)
		fprintf(stderr, "%s%" PRIu64 " flows %s (%" PRIu64 " bytes up)", o ? ", " : "join      ", j->flows_by_outcome[o],
			owner_outcome_names[o], j->bytes_by_outcome[o][0]);
	fputc('\n', stderr);
	uint64_t rows = 0, refused = 0;
	for (int k = 0; k < PROCEVENT_KIND_COUNT; k++)
		rows += st->events.accepted[k];
	for (int r = 0; r < EVPARSE_REASON_COUNT; r++)
		refused += st->events.rejected[r];
	if (!rows && !refused)
		return;
	fprintf(stderr, "events    %" PRIu64 " read", rows);
	for (int r = 0; r < EVPARSE_REASON_COUNT; r++)
		if (st->events.rejected[r])
			fprintf(stderr, ", %" PRIu64 " refused: %s", st->events.rejected[r], evparse_reason_names[r]);
	if (st->attrib.events_unjoinable)
		fprintf(stderr, ", %" PRIu64 " of connections without a local address and port: nothing to join them by",
			st->attrib.events_unjoinable);
	fputc('\n', stderr);
}

void summary_print(const struct sink_stats *st, uint64_t findings)
{
	print_packets(st);
	print_flows(st);
	print_join(st);
	fprintf(stderr, "findings  %" PRIu64 "; %" PRIu64 " uploads explained by telemetry or sanctioned accounts\n", findings,
		st->judge.suppressed);
}
