/* The stats record: every counter that says what was seen, lost, joined, by name. */
#include "detect/sinks/record.h"

void record_eve_stats(struct jsonout *j, const struct record_conf *conf, const struct sink_stats *st);

static void put_capture(struct jsonout *j, const struct sink_stats *st)
{
	jsonout_open(j, "stats");
	jsonout_open(j, "capture");
	jsonout_u64(j, "kernel_packets", st->source.packets);
	jsonout_u64(j, "kernel_drops", st->source.kernel_drops);
	jsonout_close(j);
	jsonout_open(j, "decoder");
	jsonout_u64(j, "pkts", st->track.packets);
	jsonout_u64(j, "bytes", st->track.wire_bytes);
	jsonout_close(j);
	jsonout_close(j);
}

static void put_input(struct jsonout *j, const struct sink_stats *st)
{
	jsonout_open(j, "input");
	jsonout_u64(j, "packets", st->source.packets);
	jsonout_u64(j, "bytes", st->source.bytes);
	jsonout_u64(j, "filtered", st->source.filtered);
	jsonout_u64(j, "kernel_drops", st->source.kernel_drops);
	jsonout_u64(j, "interface_drops", st->source.iface_drops);
	jsonout_u64(j, "bad_records", st->source.bad_records);
	jsonout_u64(j, "undecoded", st->source.undecoded);
	jsonout_u64(j, "files_failed", st->source.files_failed);
	jsonout_u64(j, "merge_late", st->source.merge_late);
	jsonout_u64(j, "records_lost", st->records_lost);
	jsonout_close(j);
}

static void put_verdicts(struct jsonout *j, const struct track_stats *t)
{
	jsonout_open(j, "decode");
	for (int v = 0; v < DECODE_VERDICT_COUNT; v++) {
		if (!t->verdicts[v])
			continue;
		jsonout_open(j, decode_verdict_names[v]);
		jsonout_u64(j, "packets", t->verdicts[v]);
		jsonout_u64(j, "bytes", t->verdict_bytes[v]);
		jsonout_close(j);
	}
	jsonout_close(j);
}

/* X(key, member of track_stats) */
#define TABLE(X)                                                                                               \
	X(flows_new) X(flows_ended) X(flows_evicted) X(flows_timed_out) X(flows_reused)                        \
	X(flows_half_open_evicted) X(flows_refused) X(nat_pairs) X(minutes_refused) X(vantages_refused)        \
	X(tls_evicted) X(quicmove_overwritten) X(copies_overwritten) X(natpair_overwritten)                    \
	X(offload_overwritten) X(time_backwards)                                                                                      \
	X(time_jumps) X(frag_datagrams) X(frag_expired) X(frag_overlaps) X(frag_evicted) X(frag_oversize)      \
	X(segments_dup) X(segments_oow) X(ack_beyond_window) X(overlap_diff) X(isn_conflicts)                  \
	X(intervals_full) X(udp_duplicates) X(span_duplicates) X(quic_migrated) X(quic_undecryptable)          \
	X(assembly_refused) X(ext_refused) X(names_refused) X(appid_refused) X(dns_evicted)                    \
	X(appid_packets) X(appid_flows) X(flows_active) X(max_flows) X(memory_bytes)

static void put_table(struct jsonout *j, const struct track_stats *t)
{
	jsonout_open(j, "table");
#define X(member) jsonout_u64(j, #member, t->member);
	TABLE(X)
#undef X
	jsonout_close(j);
	jsonout_open(j, "names");
	for (int i = 0; i < FACTS_NAME_SOURCE_COUNT; i++)
		if (t->names[i])
			jsonout_u64(j, i ? facts_name_source_names[i] : "none", t->names[i]);
	jsonout_close(j);
}

static uint64_t ppm(uint64_t part, uint64_t whole)
{
	return whole ? (uint64_t)((double)part * 1e6 / (double)whole + 0.5) : 0;
}

static void put_quality(struct jsonout *j, const struct track_stats *t)
{
	const struct quality_counts *q = &t->quality;
	jsonout_open(j, "quality");
	jsonout_u64(j, "judged_flows", q->judged_flows);
	jsonout_u64(j, "one_sided_flows", q->one_sided_flows);
	jsonout_u64(j, "one_sided_ppm", ppm(q->one_sided_flows, q->judged_flows));
	jsonout_u64(j, "delivered_bytes", q->delivered_bytes);
	jsonout_u64(j, "gap_bytes", q->gap_bytes);
	jsonout_u64(j, "capture_loss_ppm", ppm(q->gap_bytes, q->delivered_bytes));
	jsonout_u64(j, "payload_packets", q->payload_packets);
	jsonout_u64(j, "copied_packets", q->copied_packets);
	jsonout_u64(j, "dup_ratio_ppm", ppm(q->copied_packets, q->payload_packets));
	jsonout_open(j, "alarms");
	jsonout_u64(j, "possible_split_routing", t->alarms.possible_split_routing);
	jsonout_u64(j, "capture_loss", t->alarms.capture_loss);
	jsonout_u64(j, "duplicates", t->alarms.duplicates);
	jsonout_close(j);
	jsonout_close(j);
}

static void put_pair(struct jsonout *j, const char *key, const uint64_t pair[2])
{
	jsonout_open(j, key);
	jsonout_u64(j, "up", pair[0]);
	jsonout_u64(j, "down", pair[1]);
	jsonout_close(j);
}

static void put_join(struct jsonout *j, const struct sink_stats *st)
{
	const struct judge_stats *js = &st->judge;
	jsonout_open(j, "join");
	jsonout_open(j, "flows");
	for (int o = 0; o < OWNER_OUTCOME_COUNT; o++)
		jsonout_u64(j, owner_outcome_names[o], js->flows_by_outcome[o]);
	jsonout_close(j);
	jsonout_open(j, "bytes");
	for (int o = 0; o < OWNER_OUTCOME_COUNT; o++)
		put_pair(j, owner_outcome_names[o], js->bytes_by_outcome[o]);
	jsonout_close(j);
	jsonout_open(j, "unattributed");
	for (int c = OWNER_CAUSE_NONE + 1; c < OWNER_CAUSE_COUNT; c++)
		if (js->bytes_by_cause[c][0] || js->bytes_by_cause[c][1])
			put_pair(j, owner_cause_names[c], js->bytes_by_cause[c]);
	jsonout_close(j);
	jsonout_u64(j, "events_unjoinable", st->attrib.events_unjoinable);
	jsonout_u64(j, "cell_overflow", st->attrib.cell_overflow);
	jsonout_u64(j, "processes_evicted", st->attrib.processes_evicted);
	jsonout_u64(j, "devices_evicted", st->attrib.devices_evicted);
	jsonout_u64(j, "redis_errors", st->attrib.redis_errors);
	jsonout_u64(j, "batches_recalled", st->attrib.batches_recalled);
	jsonout_u64(j, "batches_forced", st->attrib.batches_forced);
	jsonout_u64(j, "waiting_bytes", st->attrib.unacknowledged_bytes);
	jsonout_u64(j, "spool_bytes", st->attrib.spool_bytes);
	jsonout_u64(j, "spool_dropped", st->attrib.spool_dropped);
	jsonout_close(j);
}

static void put_events(struct jsonout *j, const struct evparse_stats *ev)
{
	jsonout_open(j, "events");
	jsonout_u64(j, "rows", ev->rows);
	jsonout_open(j, "accepted");
	for (int k = 0; k < PROCEVENT_KIND_COUNT; k++)
		if (ev->accepted[k])
			jsonout_u64(j, procevent_kind_names[k], ev->accepted[k]);
	jsonout_close(j);
	jsonout_open(j, "refused");
	for (int r = 0; r < EVPARSE_REASON_COUNT; r++)
		if (ev->rejected[r])
			jsonout_u64(j, evparse_reason_names[r], ev->rejected[r]);
	jsonout_close(j);
	jsonout_close(j);
}

void record_eve_stats(struct jsonout *j, const struct record_conf *conf, const struct sink_stats *st)
{
	j->comma = false;
	jsonout_open(j, NULL);
	if (st->time_ns) /* a capture without a packet has no time */
		jsonout_time(j, "timestamp", st->time_ns);
	jsonout_string(j, "event_type", "stats");
	put_capture(j, st);
	jsonout_open(j, "leaktap");
	jsonout_string(j, "sensor", conf->sensor);
	jsonout_u64(j, "zone", conf->zone);
	jsonout_bool(j, "last", st->last);
	put_input(j, st);
	put_verdicts(j, &st->track);
	put_table(j, &st->track);
	put_quality(j, &st->track);
	put_join(j, st);
	put_events(j, &st->events);
	jsonout_open(j, "findings");
	jsonout_u64(j, "count", st->judge.findings);
	jsonout_u64(j, "revisions", st->judge.revisions);
	jsonout_u64(j, "suppressed", st->judge.suppressed);
	jsonout_u64(j, "episodes_evicted", st->judge.episodes_evicted);
	jsonout_u64(j, "flows_refused", st->judge.flows_refused);
	jsonout_close(j);
	jsonout_open(j, "feed");
	jsonout_u64(j, "written", st->feed_written);
	jsonout_u64(j, "lost", st->feed_lost);
	jsonout_u64(j, "spooled", st->feed_spooled);
	jsonout_close(j);
	jsonout_close(j);
	jsonout_close(j);
	jsonout_newline(j);
}
