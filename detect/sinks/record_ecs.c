/* Elastic Common Schema 8: flow = event/network/connection, finding = alert. Field crosswalk: page "outputs". */
#include <stdio.h>

#include "detect/sinks/community_id.h"
#include "detect/sinks/record.h"

static void put_side(struct jsonout *j, const char *key, const struct facts_addr *a, const struct facts_dir *d, bool ports)
{
	char ip[46];
	record_address(ip, a);
	jsonout_open(j, key);
	jsonout_string(j, "ip", ip);
	if (ports)
		jsonout_u64(j, "port", a->port);
	jsonout_u64(j, "bytes", d->wire_bytes);
	jsonout_u64(j, "packets", d->packets);
	jsonout_close(j);
}

static const char *lower_protocol(uint8_t proto)
{
	return proto == 6 ? "tcp" : proto == 17 ? "udp" : proto == 1 ? "icmp" : proto == 58 ? "ipv6-icmp" : NULL;
}

static void put_event(struct jsonout *j, const char *kind, const char *type, uint64_t start_ns, uint64_t end_ns)
{
	jsonout_open(j, "event");
	jsonout_string(j, "kind", kind);
	jsonout_open_array(j, "category");
	jsonout_string(j, NULL, "network");
	jsonout_close_array(j);
	jsonout_open_array(j, "type");
	jsonout_string(j, NULL, type);
	jsonout_close_array(j);
	jsonout_string(j, "module", "leaktap");
	jsonout_time(j, "start", start_ns);
	jsonout_time(j, "end", end_ns);
	jsonout_u64(j, "duration", end_ns > start_ns ? end_ns - start_ns : 0);
	jsonout_close(j);
}

static void put_network(struct jsonout *j, const struct flow_facts *f)
{
	char id[COMMUNITY_ID_SIZE];
	community_id(id, &f->src, &f->dst, f->proto);
	jsonout_open(j, "network");
	jsonout_string(j, "community_id", id);
	jsonout_string(j, "transport", lower_protocol(f->proto));
	jsonout_string(j, "type", f->src.family == 6 ? "ipv6" : "ipv4");
	jsonout_string(j, "protocol", f->app_proto);
	jsonout_u64(j, "bytes", f->up.wire_bytes + f->down.wire_bytes);
	jsonout_u64(j, "packets", f->up.packets + f->down.packets);
	jsonout_close(j);
}

static void put_names(struct jsonout *j, const struct flow_facts *f)
{
	if (!f->sni && !f->ja3)
		return;
	jsonout_open(j, "tls");
	jsonout_open(j, "client");
	jsonout_string(j, "server_name", f->sni);
	jsonout_string(j, "ja3", f->ja3);
	jsonout_close(j);
	jsonout_close(j);
}

static void put_process(struct jsonout *j, const struct owner *o)
{
	const struct owner_process *p = &o->process;
	if (o->outcome != OWNER_ATTRIBUTED)
		return;
	jsonout_open(j, "process");
	jsonout_string(j, "name", p->name);
	if (p->pid)
		jsonout_u64(j, "pid", p->pid);
	jsonout_string(j, "executable", p->path);
	jsonout_string(j, "command_line", p->command_line);
	if (p->start_ns)
		jsonout_time(j, "start", p->start_ns);
	if (p->parent_name || p->parent_pid) {
		jsonout_open(j, "parent");
		jsonout_string(j, "name", p->parent_name);
		if (p->parent_pid)
			jsonout_u64(j, "pid", p->parent_pid);
		jsonout_close(j);
	}
	jsonout_close(j);
	if (p->user) {
		jsonout_open(j, "user");
		jsonout_string(j, "name", p->user);
		jsonout_close(j);
	}
	if (p->device) {
		jsonout_open(j, "host");
		jsonout_string(j, "name", p->device);
		jsonout_close(j);
	}
}

static void put_ours(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, const struct facts_dir *up, const struct facts_dir *down,
		     uint32_t version)
{
	const struct flow_facts *f = v->facts;
	char grade[2] = {v->initiator.grade, '\0'};
	jsonout_open(j, "leaktap");
	jsonout_u64(j, "version", version);
	jsonout_u64(j, "zone", conf->zone);
	jsonout_u64(j, "flow_id", f->flow_id);
	jsonout_u64(j, "bytes_up", up->bytes);
	jsonout_u64(j, "bytes_down", down->bytes);
	if (f->app_known) {
		jsonout_u64(j, "app_up", up->app_bytes);
		jsonout_u64(j, "app_down", down->app_bytes);
	}
	jsonout_string(j, "name", f->name);
	jsonout_string(j, "name_source", record_name_source(v));
	if (v->has_destination) {
		jsonout_string(j, "service", v->destination.row->service);
		jsonout_string(j, "account", v->destination.account);
		jsonout_string(j, "role", catalogue_role_names[v->destination.row->role]);
	}
	jsonout_string(j, "direction", verdict_direction_names[v->direction]);
	jsonout_string(j, "outcome", owner_outcome_names[v->initiator.outcome]);
	jsonout_string(j, "grade", grade);
	jsonout_string(j, "cause", owner_cause_names[v->initiator.cause]);
	jsonout_close(j);
}

static void put_common(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, const struct facts_dir *up, const struct facts_dir *down)
{
	const struct flow_facts *f = v->facts;
	bool ports = f->proto == 6 || f->proto == 17;
	put_side(j, "source", &f->src, up, ports);
	put_side(j, "destination", &f->dst, down, ports);
	put_network(j, f);
	put_names(j, f);
	put_process(j, &v->initiator);
	jsonout_open(j, "observer");
	jsonout_string(j, "name", conf->sensor);
	jsonout_string(j, "product", "leaktap");
	jsonout_close(j);
}

static void put_head(struct jsonout *j, uint64_t t_ns)
{
	j->comma = false;
	jsonout_open(j, NULL);
	jsonout_time(j, "@timestamp", t_ns);
	jsonout_open(j, "ecs");
	jsonout_string(j, "version", "8.11.0");
	jsonout_close(j);
}

static void put_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, uint64_t t_ns)
{
	const struct flow_facts *f = v->facts;
	put_head(j, t_ns);
	put_event(j, "event", "connection", f->start_ns, f->end_ns);
	put_common(j, conf, v, &f->up, &f->down);
	put_ours(j, conf, v, &f->up, &f->down, v->version);
	jsonout_close(j);
	jsonout_newline(j);
}

static void ecs_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v)
{
	put_flow(j, conf, v, v->facts->end_ns);
}

static void ecs_attribution(struct jsonout *j, const struct record_conf *conf, const struct sink_attribution *a)
{
	put_flow(j, conf, a->verdict, a->time_ns);
}

static void ecs_finding(struct jsonout *j, const struct record_conf *conf, const struct finding *f)
{
	char id[16];
	put_head(j, f->last_ns);
	put_event(j, "alert", "info", f->first_ns, f->last_ns);
	jsonout_open(j, "rule");
	snprintf(id, sizeof id, "%u", f->rules[0]);
	jsonout_string(j, "id", id);
	jsonout_string(j, "name", f->title);
	jsonout_close(j);
	jsonout_string(j, "message", f->sentence);
	jsonout_open(j, "threat");
	jsonout_string(j, "framework", "MITRE ATT&CK");
	jsonout_open(j, "technique");
	jsonout_open_array(j, "id");
	for (size_t i = 0; i < f->n_techniques; i++)
		jsonout_string(j, NULL, f->techniques[i]);
	jsonout_close_array(j);
	jsonout_close(j);
	jsonout_close(j);
	put_common(j, conf, f->flow, &f->up, &f->down);
	put_ours(j, conf, f->flow, &f->up, &f->down, f->version);
	jsonout_close(j);
	jsonout_newline(j);
}

const struct record_format record_ecs = {
	.name = "ecs",
	.flow = ecs_flow,
	.finding = ecs_finding,
	.attribution = ecs_attribution,
};
