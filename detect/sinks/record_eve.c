/* EVE-shaped NDJSON. Contract: page "records and command line" and deploy/schema; Suricata's fields keep their meaning, ours lie in "leaktap". */
#include <string.h>

#include "detect/sinks/community_id.h"
#include "detect/sinks/record.h"

static void put_endpoints(struct jsonout *j, const struct flow_facts *f)
{
	char text[46], id[COMMUNITY_ID_SIZE], number[8];
	jsonout_u64(j, "flow_id", f->flow_id);
	community_id(id, &f->src, &f->dst, f->proto);
	jsonout_string(j, "community_id", id);
	record_address(text, &f->src);
	jsonout_string(j, "src_ip", text);
	bool ports = f->proto == 6 || f->proto == 17;
	if (ports)
		jsonout_u64(j, "src_port", f->src.port);
	record_address(text, &f->dst);
	jsonout_string(j, "dest_ip", text);
	if (ports)
		jsonout_u64(j, "dest_port", f->dst.port);
	jsonout_string(j, "proto", record_protocol(f->proto, number));
	jsonout_string(j, "app_proto", f->app_proto);
	if (!f->n_vlan)
		return;
	jsonout_open_array(j, "vlan");
	for (unsigned i = 0; i < f->n_vlan; i++)
		jsonout_u64(j, NULL, f->vlan[i]);
	jsonout_close_array(j);
}

static void put_flow(struct jsonout *j, const struct flow_facts *f, const struct facts_dir *up, const struct facts_dir *down)
{
	jsonout_open(j, "flow");
	jsonout_u64(j, "pkts_toserver", up->packets);
	jsonout_u64(j, "pkts_toclient", down->packets);
	jsonout_u64(j, "bytes_toserver", up->wire_bytes);
	jsonout_u64(j, "bytes_toclient", down->wire_bytes);
	jsonout_time(j, "start", f->start_ns);
	jsonout_time(j, "end", f->end_ns);
	jsonout_u64(j, "age", f->end_ns > f->start_ns ? (f->end_ns - f->start_ns) / 1000000000 : 0);
	jsonout_string(j, "state", facts_state_names[f->state]);
	jsonout_string(j, "reason", facts_reason_names[f->reason]);
	jsonout_close(j);
}

static void put_list(struct jsonout *j, const char *key, const char *commas)
{
	char word[128];
	jsonout_open_array(j, key);
	while (*commas) {
		size_t n = strcspn(commas, ",");
		size_t kept = n < sizeof word ? n : sizeof word - 1;
		memcpy(word, commas, kept);
		word[kept] = '\0';
		jsonout_string(j, NULL, word);
		commas += n;
		commas += *commas == ',';
	}
	jsonout_close_array(j);
}

static void put_tls(struct jsonout *j, const struct flow_facts *f)
{
	if (!f->sni && !f->tls_version && !f->ja3 && !f->ja4 && !f->alpn)
		return;
	jsonout_open(j, "tls");
	jsonout_string(j, "sni", f->sni);
	jsonout_string(j, "version", record_tls_version(f->tls_version));
	if (f->ja3 && *f->ja3) {
		jsonout_open(j, "ja3");
		jsonout_string(j, "hash", f->ja3);
		jsonout_close(j);
	}
	jsonout_string(j, "ja4", f->ja4);
	if (f->alpn && *f->alpn)
		put_list(j, "client_alpns", f->alpn);
	jsonout_close(j);
}

/* Keys of one direction, "bytes_up" and so on; literal, because building them costs. */
struct dir_keys {
	const char *bytes, *min, *max, *gap, *unacked, *dup, *basis;
};
static const struct dir_keys up_keys = {"bytes_up", "bytes_up_min", "bytes_up_max", "gap_up", "unacked_up", "dup_up", "basis_up"};
static const struct dir_keys down_keys = {"bytes_down", "bytes_down_min", "bytes_down_max", "gap_down", "unacked_down", "dup_down",
					  "basis_down"};

static void put_dir(struct jsonout *j, const struct dir_keys *k, const struct facts_dir *d)
{
	jsonout_u64(j, k->bytes, d->bytes);
	jsonout_u64(j, k->min, d->bytes_min);
	jsonout_u64(j, k->max, d->bytes_max);
	jsonout_u64(j, k->gap, d->gap_bytes);
	jsonout_u64(j, k->unacked, d->unacked_bytes);
	jsonout_u64(j, k->dup, d->dup_bytes);
	jsonout_string(j, k->basis, facts_basis_names[d->basis]);
}

static void put_bytes(struct jsonout *j, bool app_known, const struct facts_dir *up, const struct facts_dir *down)
{
	put_dir(j, &up_keys, up);
	put_dir(j, &down_keys, down);
	if (app_known) {
		jsonout_u64(j, "app_up", up->app_bytes);
		jsonout_u64(j, "app_down", down->app_bytes);
	}
}

static void put_increments(struct jsonout *j, const struct flow_facts *f)
{
	jsonout_u64(j, "delta_up", f->up.delta_bytes);
	jsonout_u64(j, "delta_down", f->down.delta_bytes);
	jsonout_u64(j, "seq", f->seq);
	jsonout_open_array(j, "minutes");
	for (size_t i = 0; i < f->n_minutes; i++) {
		jsonout_open_array(j, NULL);
		jsonout_second(j, NULL, f->minutes[i].start_s);
		jsonout_u64(j, NULL, f->minutes[i].up_bytes);
		jsonout_u64(j, NULL, f->minutes[i].down_bytes);
		jsonout_close_array(j);
	}
	jsonout_close_array(j);
}

static void put_flags(struct jsonout *j, const struct verdict *v)
{
	static const char *const names[32] = {
#define X(name, bit, text) [bit] = text,
		FACTS_FLAGS(X)
#undef X
	};
	jsonout_open_array(j, "flags");
	for (unsigned i = 0; i < 32; i++)
		if (v->facts->flags & (1u << i))
			jsonout_string(j, NULL, names[i]);
	if (v->facts->nat_second)
		jsonout_string(j, NULL, "nat_second");
	if (v->sni_ip_mismatch)
		jsonout_string(j, NULL, "sni_ip_mismatch");
	jsonout_close_array(j);
}

static void put_name(struct jsonout *j, const struct verdict *v)
{
	const struct flow_facts *f = v->facts;
	jsonout_string(j, "name", f->name);
	jsonout_string(j, "name_source", record_name_source(v));
	jsonout_open_array(j, "name_candidates");
	for (size_t i = 0; i < f->n_name_candidates; i++)
		jsonout_string(j, NULL, f->name_candidates[i]);
	jsonout_close_array(j);
	jsonout_string(j, "connect_host", f->connect_host);
	if (f->ndpi_protocol || f->ndpi_name) {
		jsonout_open(j, "ndpi");
		jsonout_string(j, "protocol", f->ndpi_protocol);
		jsonout_string(j, "name", f->ndpi_name);
		jsonout_close(j);
	}
	if (!v->has_destination)
		return;
	jsonout_string(j, "service", v->destination.row->service);
	jsonout_string(j, "account", v->destination.account);
	jsonout_string(j, "role", catalogue_role_names[v->destination.row->role]);
	jsonout_string(j, "catalogue", v->destination.row->pattern);
	if (v->destination.sanctioned)
		jsonout_bool(j, "sanctioned", true);
}

static void put_process_members(struct jsonout *j, const struct owner_process *p)
{
	jsonout_string(j, "name", p->name);
	jsonout_string(j, "original_name", p->original_name);
	if (p->pid)
		jsonout_u64(j, "pid", p->pid);
	jsonout_string(j, "path", p->path);
	jsonout_string(j, "command_line", p->command_line);
	jsonout_string(j, "user", p->user);
	jsonout_string(j, "device", p->device);
	if (p->start_ns)
		jsonout_time(j, "start", p->start_ns);
	jsonout_string(j, "sha256", p->sha256);
	if (!p->parent_name && !p->parent_pid)
		return;
	jsonout_open(j, "parent");
	jsonout_string(j, "name", p->parent_name);
	if (p->parent_pid)
		jsonout_u64(j, "pid", p->parent_pid);
	jsonout_close(j);
}

static void put_evidence(struct jsonout *j, const struct owner *o)
{
	jsonout_open_array(j, "evidence");
	for (size_t i = 0; i < o->n_evidence; i++) {
		jsonout_open(j, NULL);
		jsonout_string(j, "source", o->evidence[i].source);
		jsonout_string(j, "id", o->evidence[i].id);
		jsonout_string(j, "key", o->evidence[i].key);
		jsonout_ms(j, "delta_ms", o->evidence[i].delta_ms);
		jsonout_ms(j, "corrected_ms", o->evidence[i].corrected_ms);
		jsonout_close(j);
	}
	jsonout_close_array(j);
}

static void put_owner(struct jsonout *j, const struct owner *o)
{
	char grade[2] = {o->grade, '\0'};
	jsonout_string(j, "outcome", owner_outcome_names[o->outcome]);
	jsonout_string(j, "grade", grade);
	jsonout_string(j, "cause", owner_cause_names[o->cause]);
	jsonout_u64(j, "rivals", o->rivals);
	jsonout_open_array(j, "candidates");
	for (size_t i = 0; i < o->n_candidates; i++) {
		jsonout_open(j, NULL);
		put_process_members(j, &o->candidates[i]);
		jsonout_close(j);
	}
	jsonout_close_array(j);
	if (o->outcome == OWNER_ATTRIBUTED) {
		jsonout_open(j, "process");
		put_process_members(j, &o->process);
		jsonout_close(j);
	}
	put_evidence(j, o);
}

static void put_head(struct jsonout *j, uint64_t t_ns, const char *type)
{
	j->comma = false;
	jsonout_open(j, NULL);
	jsonout_time(j, "timestamp", t_ns);
	jsonout_string(j, "event_type", type);
}

static void put_sensor(struct jsonout *j, const struct record_conf *conf, uint32_t version)
{
	jsonout_u64(j, "version", version);
	jsonout_string(j, "sensor", conf->sensor);
	jsonout_u64(j, "zone", conf->zone);
}

static void put_owners(struct jsonout *j, const struct verdict *v)
{
	jsonout_string(j, "direction", verdict_direction_names[v->direction]);
	put_owner(j, &v->initiator);
	if (v->has_responder) {
		jsonout_open(j, "dest");
		put_owner(j, &v->responder);
		jsonout_close(j);
	}
	jsonout_string(j, "explanation", v->explanation);
}

static void put_flow_record(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, const char *type, uint64_t t_ns)
{
	const struct flow_facts *f = v->facts;
	put_head(j, t_ns, type);
	put_endpoints(j, f);
	put_flow(j, f, &f->up, &f->down);
	put_tls(j, f);
	jsonout_open(j, "leaktap");
	put_sensor(j, conf, v->version);
	put_bytes(j, f->app_known, &f->up, &f->down);
	put_increments(j, f);
	put_flags(j, v);
	put_name(j, v);
	put_owners(j, v);
	jsonout_close(j);
	jsonout_close(j);
	jsonout_newline(j);
}

static void eve_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v)
{
	put_flow_record(j, conf, v, "flow", v->facts->end_ns);
}

static void eve_attribution(struct jsonout *j, const struct record_conf *conf, const struct sink_attribution *a)
{
	put_flow_record(j, conf, a->verdict, "attribution", a->time_ns);
}

static void put_strings(struct jsonout *j, const char *key, const char *const *list, size_t n)
{
	jsonout_open_array(j, key);
	for (size_t i = 0; i < n; i++)
		jsonout_string(j, NULL, list[i]);
	jsonout_close_array(j);
}

static void put_alert(struct jsonout *j, const struct finding *f)
{
	jsonout_open(j, "alert");
	jsonout_string(j, "action", "allowed");
	jsonout_u64(j, "gid", 1);
	jsonout_u64(j, "signature_id", f->rules[0]);
	jsonout_u64(j, "rev", 1);
	jsonout_string(j, "signature", f->title);
	jsonout_string(j, "category", "Exfiltration");
	jsonout_u64(j, "severity", f->severity);
	jsonout_open(j, "metadata");
	put_strings(j, "mitre_tactic_id", f->tactics, f->n_tactics);
	put_strings(j, "mitre_technique_id", f->techniques, f->n_techniques);
	jsonout_close(j);
	jsonout_close(j);
}

static void put_timeline(struct jsonout *j, const struct finding *f)
{
	jsonout_open_array(j, "timeline");
	for (size_t i = 0; i < f->n_timeline; i++) {
		jsonout_open(j, NULL);
		jsonout_time(j, "t", f->timeline[i].t_ns);
		jsonout_string(j, "kind", f->timeline[i].kind);
		jsonout_string(j, "text", f->timeline[i].text);
		jsonout_close(j);
	}
	jsonout_close_array(j);
}

static void put_finding(struct jsonout *j, const struct finding *f)
{
	jsonout_open(j, "finding");
	jsonout_string(j, "id", f->id);
	jsonout_string(j, "verdict", f->verdict);
	jsonout_open_array(j, "rules");
	for (size_t i = 0; i < f->n_rules; i++)
		jsonout_u64(j, NULL, f->rules[i]);
	jsonout_close_array(j);
	jsonout_string(j, "sentence", f->sentence);
	put_strings(j, "reasons", f->reasons, f->n_reasons);
	jsonout_time(j, "first", f->first_ns);
	jsonout_time(j, "last", f->last_ns);
	jsonout_open_array(j, "flows");
	for (size_t i = 0; i < f->n_flows; i++)
		jsonout_u64(j, NULL, f->flows[i]);
	jsonout_close_array(j);
	jsonout_u64(j, "flows_total", f->n_flows_total);
	put_timeline(j, f);
	jsonout_close(j);
}

static void eve_finding(struct jsonout *j, const struct record_conf *conf, const struct finding *f)
{
	const struct verdict *v = f->flow;
	put_head(j, f->last_ns, "alert");
	put_endpoints(j, v->facts);
	put_flow(j, v->facts, &f->up, &f->down);
	put_tls(j, v->facts);
	put_alert(j, f);
	jsonout_open(j, "leaktap");
	put_sensor(j, conf, f->version);
	put_bytes(j, f->app_known, &f->up, &f->down);
	put_flags(j, v);
	put_name(j, v);
	put_owners(j, v);
	put_finding(j, f);
	jsonout_close(j);
	jsonout_close(j);
	jsonout_newline(j);
}

/* record_eve_stats.c */
void record_eve_stats(struct jsonout *j, const struct record_conf *conf, const struct sink_stats *st);

const struct record_format record_eve = {
	.name = "eve",
	.flow = eve_flow,
	.finding = eve_finding,
	.attribution = eve_attribution,
	.stats = record_eve_stats,
};
