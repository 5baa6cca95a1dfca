/* The EVE records: members and values as page "records and command line" has them, and every record written here held against deploy/schema. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "detect/sinks/record.h"
#include "tests/unit/tell.h"

static const struct record_conf conf = {.sensor = "tap1", .zone = 3};
static FILE *all; /* every record of every test */
static char all_path[] = "/tmp/leaktap-records.XXXXXX";

/* The line parsed; what it holds is also kept for the schemas. */
static json_t *taken(struct jsonout *j)
{
	json_error_t e;
	assert_false(j->failed);
	assert_int_equal(j->text[j->n - 1], '\n');
	assert_null(memchr(j->text, '\n', j->n - 1));
	json_t *doc = json_loadb(j->text, j->n, JSON_REJECT_DUPLICATES, &e);
	assert_non_null(doc);
	assert_int_equal(fwrite(j->text, 1, j->n, all), j->n);
	jsonout_done(j);
	return doc;
}

static json_t *flow_record(const struct verdict *v)
{
	struct jsonout j = {0};
	record_eve.flow(&j, &conf, v);
	return taken(&j);
}

/* path: members and indices, "leaktap.minutes.0.1". */
static json_t *at(json_t *doc, const char *path)
{
	char word[64];
	while (*path) {
		size_t n = strcspn(path, ".");
		snprintf(word, sizeof word, "%.*s", (int)n, path);
		doc = json_is_array(doc) ? json_array_get(doc, strtoul(word, NULL, 10)) : json_object_get(doc, word);
		path += n + (path[n] == '.');
	}
	return doc;
}

static void assert_is(json_t *doc, const char *path, const char *want)
{
	json_t *v = at(doc, path);
	if (!json_is_string(v) || strcmp(json_string_value(v), want))
		fail_msg("%s is %s, not %s", path, json_is_string(v) ? json_string_value(v) : "no string", want);
}

static void assert_num(json_t *doc, const char *path, json_int_t want)
{
	json_t *v = at(doc, path);
	if (!json_is_integer(v) || json_integer_value(v) != want)
		fail_msg("%s is %lld, not %lld", path, json_integer_value(v), want);
}

static void assert_absent(json_t *doc, const char *path)
{
	if (at(doc, path))
		fail_msg("%s is there", path);
}

static void flow__of_the_contract__has_its_members(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(4417703915);
	f.flags = FACTS_MIDSTREAM | FACTS_QUIC_UNDECRYPTED | FACTS_MINUTES_MERGED;
	f.connect_host = "proxy.example";
	struct verdict v = tell_verdict(&f);
	json_t *r = flow_record(&v);
	assert_is(r, "timestamp", "2026-03-02T09:15:23.726787+00:00");
	assert_is(r, "event_type", "flow");
	assert_num(r, "flow_id", 4417703915);
	assert_is(r, "src_ip", "10.20.4.17");
	assert_num(r, "src_port", 50412);
	assert_is(r, "dest_ip", "20.60.133.132");
	assert_num(r, "dest_port", 443);
	assert_is(r, "proto", "TCP");
	assert_is(r, "app_proto", "tls");
	assert_num(r, "vlan.0", 12);
	assert_num(r, "flow.pkts_toserver", 12);
	assert_num(r, "flow.pkts_toclient", 11);
	assert_num(r, "flow.bytes_toserver", 3004);
	assert_num(r, "flow.bytes_toclient", 6120);
	assert_is(r, "flow.start", "2026-03-02T09:14:22.226787+00:00");
	assert_is(r, "flow.end", "2026-03-02T09:15:23.726787+00:00");
	assert_num(r, "flow.age", 61);
	assert_is(r, "flow.state", "closed");
	assert_is(r, "flow.reason", "fin");
	assert_is(r, "tls.sni", "sacyberrangedanger.blob.core.windows.net");
	assert_is(r, "tls.version", "TLS 1.2");
	assert_is(r, "tls.ja3.hash", "c0220cd64849a629397a9cb68f78a0ea");
	assert_is(r, "tls.ja4", "t12d560700_99d8c53049f3_e7e480e5a997");
	assert_is(r, "tls.client_alpns.0", "h2");
	assert_is(r, "tls.client_alpns.1", "http/1.1");
	assert_num(r, "leaktap.version", 1);
	assert_is(r, "leaktap.sensor", "tap1");
	assert_num(r, "leaktap.zone", 3);
	assert_num(r, "leaktap.bytes_up", 2147);
	assert_num(r, "leaktap.bytes_down_max", 5497);
	assert_num(r, "leaktap.unacked_down", 31);
	assert_is(r, "leaktap.basis_up", "ack");
	assert_num(r, "leaktap.app_up", 1752);
	assert_num(r, "leaktap.app_down", 412);
	assert_num(r, "leaktap.delta_up", 2147);
	assert_num(r, "leaktap.seq", 1);
	assert_is(r, "leaktap.minutes.0.0", "2026-03-02T09:14:00Z");
	assert_num(r, "leaktap.minutes.1.2", 466);
	assert_int_equal(json_array_size(at(r, "leaktap.flags")), 3);
	assert_is(r, "leaktap.flags.0", "midstream");
	assert_is(r, "leaktap.flags.2", "minutes_merged");
	assert_is(r, "leaktap.name_source", "tls_sni");
	assert_is(r, "leaktap.connect_host", "proxy.example");
	assert_is(r, "leaktap.ndpi.protocol", "TLS.Azure");
	assert_is(r, "leaktap.service", "azure_blob");
	assert_is(r, "leaktap.account", "sacyberrangedanger");
	assert_is(r, "leaktap.role", "upload");
	assert_is(r, "leaktap.catalogue", ".blob.core.windows.net");
	assert_is(r, "leaktap.direction", "upload");
	assert_is(r, "leaktap.outcome", "attributed");
	assert_is(r, "leaktap.grade", "A");
	assert_absent(r, "leaktap.cause");
	assert_num(r, "leaktap.process.pid", 4188);
	assert_is(r, "leaktap.process.start", "2026-03-02T09:14:21.226787+00:00");
	assert_is(r, "leaktap.process.parent.name", "cmd.exe");
	assert_is(r, "leaktap.evidence.0.key", "5tuple");
	assert_true(json_real_value(at(r, "leaktap.evidence.0.delta_ms")) == 388.0);
	assert_absent(r, "leaktap.dest");
	assert_absent(r, "leaktap.explanation");
	assert_absent(r, "leaktap.sanctioned");
	json_decref(r);
}

/* Absent means unknown, never 0 or "". */
static void flow__nothing_known__members_are_absent(void **state)
{
	(void)state;
	struct flow_facts f = {.flow_id = 1, .src = tell_v4(10, 0, 0, 1, 1024), .dst = tell_v4(10, 0, 0, 2, 9), .proto = 17, .seq = 1, .last = true,
			       .reason = FACTS_REASON_EOF, .start_ns = 0, .end_ns = 5};
	f.up.basis = f.down.basis = FACTS_BASIS_UDP_PAYLOAD;
	struct verdict v = {.facts = &f, .version = 1, .direction = VERDICT_IDLE,
			    .initiator = {.outcome = OWNER_UNATTRIBUTED, .cause = OWNER_CAUSE_NO_ENDPOINT_INPUT, .grade = 'U'}};
	json_t *r = flow_record(&v);
	static const char *const absent[] = {"app_proto", "vlan", "tls", "leaktap.app_up", "leaktap.app_down", "leaktap.name", "leaktap.name_source",
					     "leaktap.connect_host", "leaktap.ndpi", "leaktap.service", "leaktap.account", "leaktap.role",
					     "leaktap.catalogue", "leaktap.process", "leaktap.dest", "leaktap.explanation"};
	for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
		assert_absent(r, absent[i]);
	assert_num(r, "leaktap.bytes_up", 0); /* known to be none */
	assert_is(r, "timestamp", "1970-01-01T00:00:00.000000+00:00"); /* a clock that was never set is still a time */
	assert_is(r, "leaktap.cause", "no_endpoint_input");
	json_decref(r);
}

static void flow__other_protocols__no_ports(void **state)
{
	(void)state;
	static const struct {
		uint8_t proto;
		const char *text;
		bool id;
	} rows[] = {{1, "ICMP", false}, {58, "IPv6-ICMP", false}, {47, "GRE", true}, {50, "ESP", true}, {132, "SCTP", false}, {253, "253", true}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct flow_facts f = tell_facts(100 + i);
		struct verdict v = tell_verdict(&f);
		f.proto = rows[i].proto;
		f.src.family = f.dst.family = rows[i].proto == 58 ? 6 : 4;
		json_t *r = flow_record(&v);
		assert_is(r, "proto", rows[i].text);
		assert_absent(r, "src_port");
		assert_absent(r, "dest_port");
		assert_int_equal(at(r, "community_id") != NULL, rows[i].id);
		json_decref(r);
	}
}

static void flow__ipv6_quic__told(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(200);
	struct verdict v = tell_verdict(&f);
	f.src = (struct facts_addr){.ip = {0x20, 1, 0xd, 0xb8, [15] = 1}, .port = 5000, .family = 6};
	f.dst = (struct facts_addr){.ip = {0x20, 1, 0xd, 0xb8, [14] = 1}, .port = 443, .family = 6};
	f.proto = 17;
	f.app_proto = "quic";
	f.name_source = FACTS_NAME_QUIC_SNI;
	f.tls_version = 0x0304;
	f.n_vlan = 0;
	json_t *r = flow_record(&v);
	assert_is(r, "src_ip", "2001:db8::1");
	assert_is(r, "dest_ip", "2001:db8::100");
	assert_is(r, "tls.version", "TLS 1.3");
	assert_absent(r, "vlan");
	json_decref(r);
}

static void flow__outer_name__classifies_nothing(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(201);
	struct verdict v = tell_verdict(&f);
	f.name = f.sni = "cloudflare-ech.com";
	f.name_source = FACTS_NAME_ECH_OUTER;
	f.flags = FACTS_ECH;
	v.has_destination = false;
	json_t *r = flow_record(&v);
	assert_is(r, "leaktap.name_source", "ech_outer");
	assert_is(r, "leaktap.flags.0", "ech");
	assert_absent(r, "leaktap.service");
	json_decref(r);
}

static void flow__known_by_address__source_without_a_name(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(202);
	struct verdict v = tell_verdict(&f);
	f.name = f.sni = NULL;
	f.name_source = FACTS_NAME_NONE;
	v.by_address = true;
	v.destination.account[0] = '\0';
	v.destination.sanctioned = true;
	json_t *r = flow_record(&v);
	assert_is(r, "leaktap.name_source", "ip_prefix");
	assert_absent(r, "leaktap.name");
	assert_absent(r, "leaktap.account");
	assert_true(json_is_true(at(r, "leaktap.sanctioned")));
	json_decref(r);
}

static void flow__several_owners__candidates_and_no_process(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(203);
	struct verdict v = tell_verdict(&f);
	struct owner *o = &v.initiator;
	*o = (struct owner){.outcome = OWNER_AMBIGUOUS, .cause = OWNER_CAUSE_RIVALS, .grade = 'D', .rivals = 1, .n_candidates = 2,
			    .candidates = {{.name = "a.exe", .pid = 1}, {.name = "b.exe", .parent_pid = 7}}};
	v.has_responder = true;
	v.responder = tell_owner();
	v.responder.grade = 'B';
	v.responder.cause = OWNER_CAUSE_UNCALIBRATED;
	json_t *r = flow_record(&v);
	assert_is(r, "leaktap.outcome", "ambiguous");
	assert_num(r, "leaktap.rivals", 1);
	assert_is(r, "leaktap.candidates.1.name", "b.exe");
	assert_absent(r, "leaktap.candidates.1.pid");
	assert_num(r, "leaktap.candidates.1.parent.pid", 7);
	assert_absent(r, "leaktap.process");
	assert_is(r, "leaktap.dest.outcome", "attributed");
	assert_is(r, "leaktap.dest.cause", "uncalibrated_clock");
	assert_num(r, "leaktap.dest.process.pid", 4188);
	json_decref(r);
}

static void attribution__later_owner__flow_record_with_its_version_and_time(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(204);
	struct verdict v = tell_verdict(&f);
	v.version = 2;
	struct sink_attribution a = {.time_ns = f.end_ns + 1000000000, .verdict = &v};
	struct jsonout j = {0};
	record_eve.attribution(&j, &conf, &a);
	json_t *r = taken(&j);
	assert_is(r, "event_type", "attribution");
	assert_is(r, "timestamp", "2026-03-02T09:15:24.726787+00:00");
	assert_num(r, "leaktap.version", 2);
	assert_is(r, "leaktap.process.name", "powershell.exe");
	json_decref(r);
}

static void alert__finding__has_its_members(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(205);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	fi.version = 4;
	fi.up.bytes = fi.up.bytes_min = fi.up.bytes_max = 9000; /* sums over its flows */
	struct jsonout j = {0};
	record_eve.finding(&j, &conf, &fi);
	json_t *r = taken(&j);
	assert_is(r, "event_type", "alert");
	assert_is(r, "timestamp", "2026-03-02T09:15:23.726787+00:00");
	assert_is(r, "alert.action", "allowed");
	assert_num(r, "alert.gid", 1);
	assert_num(r, "alert.signature_id", 1003);
	assert_is(r, "alert.signature", "Archive created, then uploaded to cloud storage");
	assert_is(r, "alert.category", "Exfiltration");
	assert_num(r, "alert.severity", 1);
	assert_is(r, "alert.metadata.mitre_tactic_id.0", "TA0010");
	assert_is(r, "alert.metadata.mitre_technique_id.1", "T1560.001");
	assert_num(r, "leaktap.version", 4);
	assert_num(r, "leaktap.bytes_up", 9000);
	assert_absent(r, "leaktap.delta_up");
	assert_is(r, "leaktap.finding.id", "2f103d32d513c408");
	assert_is(r, "leaktap.finding.verdict", "upload_by_process");
	assert_num(r, "leaktap.finding.rules.0", 1003);
	assert_num(r, "leaktap.finding.rules.1", 1002);
	assert_num(r, "leaktap.finding.flows.0", 205);
	assert_num(r, "leaktap.finding.flows_total", 1);
	assert_is(r, "leaktap.finding.timeline.0.kind", "file_created");
	assert_is(r, "leaktap.finding.timeline.0.t", "2026-03-02T09:14:20.726787+00:00");
	assert_is(r, "leaktap.process.user", "employee");
	json_decref(r);
}

static void records__hostile_texts__one_tame_line_each(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(206);
	tell_hostile_facts(&f);
	f.alpn = "h2," TELL_HOSTILE ",," TELL_HOSTILE;
	struct verdict v = tell_verdict(&f);
	tell_hostile_verdict(&v);
	struct finding fi = tell_finding(&v);
	tell_hostile_finding(&fi);
	fi.id[0] = 'f';
	struct jsonout j = {0};
	record_eve.flow(&j, &conf, &v);
	record_eve.finding(&j, &conf, &fi);
	char *text = strndup(j.text, j.n);
	assert_non_null(text);
	assert_true(tell_is_tame(text, j.n));
	size_t lines = 0;
	for (size_t i = 0; i < j.n; i++)
		lines += text[i] == '\n';
	assert_int_equal(lines, 2);
	free(text);
	assert_int_equal(fwrite(j.text, 1, j.n, all), j.n);
	jsonout_done(&j);
}

/* Every counter set, each to a number of its own: all rows of the record, none twice, none left out of the schema. */
static void stats__every_counter__has_a_row(void **state)
{
	(void)state;
	struct sink_stats st = {.time_ns = tell_t0_ns, .records_lost = 5, .feed_written = 6, .feed_lost = 7, .feed_spooled = 8, .elapsed_ns = 999};
	uint64_t *track = (uint64_t *)&st.track;
	for (size_t i = 0; i < sizeof st.track / sizeof *track; i++)
		track[i] = 1000 + i;
	for (int k = 0; k < PROCEVENT_KIND_COUNT; k++)
		st.events.accepted[k] = 1;
	for (int k = 0; k < EVPARSE_REASON_COUNT; k++)
		st.events.rejected[k] = 2;
	for (int c = OWNER_CAUSE_NO_EVENT; c <= OWNER_CAUSE_NO_ENDPOINT_INPUT; c++)
		st.judge.bytes_by_cause[c][1] = 3;
	st.judge.bytes_by_outcome[OWNER_AMBIGUOUS][0] = 77;
	struct jsonout j = {0};
	record_eve.stats(&j, &conf, &st);
	json_t *r = taken(&j);
	assert_num(r, "stats.decoder.pkts", 1000);
	assert_num(r, "stats.decoder.bytes", 1001);
	assert_num(r, "leaktap.decode.ok.packets", 1002);
	assert_num(r, "leaktap.decode.ok.bytes", 1002 + DECODE_VERDICT_COUNT);
	assert_num(r, "leaktap.table.flows_new", (json_int_t)st.track.flows_new);
	assert_num(r, "leaktap.table.memory_bytes", (json_int_t)st.track.memory_bytes);
	assert_num(r, "leaktap.names.ech_outer", (json_int_t)st.track.names[FACTS_NAME_ECH_OUTER]);
	assert_num(r, "leaktap.join.bytes.ambiguous.up", 77);
	assert_num(r, "leaktap.join.unattributed.endpoint_silent.down", 3);
	assert_num(r, "leaktap.events.accepted.proc_start", 1);
	assert_num(r, "leaktap.events.refused.syntax", 2);
	assert_num(r, "leaktap.input.records_lost", 5);
	assert_num(r, "leaktap.feed.spooled", 8);
	assert_true(json_is_false(at(r, "leaktap.last")));
	assert_num(r, "leaktap.quality.gap_bytes", (json_int_t)st.track.quality.gap_bytes);
	assert_num(r, "leaktap.quality.alarms.possible_split_routing", (json_int_t)st.track.alarms.possible_split_routing);
	/* its own counters and three shares, and the object of alarms */
	assert_int_equal(json_object_size(at(r, "leaktap.quality")), sizeof st.track.quality / sizeof *track + 3 + 1);
	assert_int_equal(json_object_size(at(r, "leaktap.quality.alarms")), sizeof st.track.alarms / sizeof *track);
	/* decode: two numbers a verdict; packets and bytes in front; names; quality */
	size_t in_track = sizeof st.track / sizeof *track - 2 - 2 * DECODE_VERDICT_COUNT - FACTS_NAME_SOURCE_COUNT -
			  (sizeof st.track.quality + sizeof st.track.alarms) / sizeof *track;
	assert_int_equal(json_object_size(at(r, "leaktap.table")), in_track);
	json_decref(r);
}

static void stats__quality__parts_per_million(void **state)
{
	(void)state;
	struct sink_stats st = {.last = true};
	st.track.quality = (struct quality_counts){.judged_flows = 8, .one_sided_flows = 1, .delivered_bytes = 3000, .gap_bytes = 1000};
	struct jsonout j = {0};
	record_eve.stats(&j, &conf, &st);
	json_t *r = taken(&j);
	assert_num(r, "leaktap.quality.one_sided_ppm", 125000);
	assert_num(r, "leaktap.quality.capture_loss_ppm", 333333);
	assert_num(r, "leaktap.quality.dup_ratio_ppm", 0);
	json_decref(r);
}

/* Flags that are no bit: said by the pairing of flows, and by catalogue and address. */
static void flow__pair_and_mismatch__in_flags(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(7099);
	f.flags = FACTS_NAT_PAIR;
	f.nat_second = true;
	struct verdict v = tell_verdict(&f);
	v.sni_ip_mismatch = true;
	struct jsonout j = {0};
	record_eve.flow(&j, &conf, &v);
	json_t *r = taken(&j), *flags = at(r, "leaktap.flags");
	static const char *const words[] = {"suspected_nat_pair", "nat_second", "sni_ip_mismatch"};
	assert_int_equal(json_array_size(flags), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(json_string_value(json_array_get(flags, i)), words[i]);
	json_decref(r);
}

static void flow__datagram_versions__by_name(void **state)
{
	(void)state;
	static const struct {
		uint16_t version;
		const char *text;
	} kinds[] = {{0x0303, "TLS 1.2"}, {0xfeff, "DTLS 1.0"}, {0x0100, "DTLS 1.0"}, {0xfefd, "DTLS 1.2"}, {0xfefc, "DTLS 1.3"}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct flow_facts f = tell_facts(7100 + i);
		f.tls_version = kinds[i].version;
		struct verdict v = tell_verdict(&f);
		struct jsonout j = {0};
		record_eve.flow(&j, &conf, &v);
		json_t *r = taken(&j);
		assert_string_equal(json_string_value(at(r, "tls.version")), kinds[i].text);
		json_decref(r);
	}
}

static void stats__no_packet__no_time(void **state)
{
	(void)state;
	struct sink_stats st = {.last = true};
	struct jsonout j = {0};
	record_eve.stats(&j, &conf, &st);
	json_t *r = taken(&j);
	assert_absent(r, "timestamp");
	assert_true(json_is_true(at(r, "leaktap.last")));
	json_decref(r);
}

static void schemas__all_records_of_these_tests__valid(void **state)
{
	(void)state;
	char cmd[128];
	assert_int_equal(fflush(all), 0);
	snprintf(cmd, sizeof cmd, "python3 tests/schema_check.py --partial %s", all_path);
	int status = system(cmd);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77 || WEXITSTATUS(status) == 127) {
		print_message("SKIPPED: no python3 with jsonschema\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_all(void **state)
{
	(void)state;
	int fd = mkstemp(all_path);
	all = fd < 0 ? NULL : fdopen(fd, "w");
	return all ? 0 : -1;
}

static int close_all(void **state)
{
	(void)state;
	fclose(all);
	return unlink(all_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flow__of_the_contract__has_its_members),
		cmocka_unit_test(flow__nothing_known__members_are_absent),
		cmocka_unit_test(flow__other_protocols__no_ports),
		cmocka_unit_test(flow__ipv6_quic__told),
		cmocka_unit_test(flow__outer_name__classifies_nothing),
		cmocka_unit_test(flow__known_by_address__source_without_a_name),
		cmocka_unit_test(flow__several_owners__candidates_and_no_process),
		cmocka_unit_test(attribution__later_owner__flow_record_with_its_version_and_time),
		cmocka_unit_test(alert__finding__has_its_members),
		cmocka_unit_test(records__hostile_texts__one_tame_line_each),
		cmocka_unit_test(stats__every_counter__has_a_row),
		cmocka_unit_test(stats__quality__parts_per_million), cmocka_unit_test(flow__pair_and_mismatch__in_flags),
		cmocka_unit_test(flow__datagram_versions__by_name), cmocka_unit_test(stats__no_packet__no_time),
		cmocka_unit_test(schemas__all_records_of_these_tests__valid),
	};
	return cmocka_run_group_tests(tests, open_all, close_all);
}
