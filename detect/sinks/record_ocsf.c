/* OCSF 1.3: flow = Network Activity (4001), finding = Detection Finding (2004) whose evidences hold process and endpoints side by side. */

#include "detect/sinks/community_id.h"
#include "detect/sinks/record.h"

enum { CLASS_NETWORK = 4001, CLASS_FINDING = 2004, ACTIVITY_CLOSE = 2, ACTIVITY_TRAFFIC = 6, ACTIVITY_CREATE = 1, ACTIVITY_UPDATE = 2 };

static void put_class(struct jsonout *j, uint64_t t_ns, unsigned category, unsigned class_uid, unsigned activity, unsigned severity)
{
	j->comma = false;
	jsonout_open(j, NULL);
	jsonout_u64(j, "time", t_ns / 1000000);
	jsonout_u64(j, "category_uid", category);
	jsonout_u64(j, "class_uid", class_uid);
	jsonout_u64(j, "activity_id", activity);
	jsonout_u64(j, "type_uid", (uint64_t)class_uid * 100 + activity);
	jsonout_u64(j, "severity_id", severity);
}

static void put_metadata(struct jsonout *j, const struct record_conf *conf)
{
	jsonout_open(j, "metadata");
	jsonout_string(j, "version", "1.3.0");
	jsonout_open(j, "product");
	jsonout_string(j, "name", "leaktap");
	jsonout_string(j, "vendor_name", "leaktap");
	jsonout_string(j, "version", LEAKTAP_VERSION);
	jsonout_close(j);
	jsonout_string(j, "log_provider", conf->sensor);
	jsonout_close(j);
}

static void put_endpoint(struct jsonout *j, const char *key, const struct facts_addr *a, bool ports, const char *hostname)
{
	char ip[46];
	record_address(ip, a);
	jsonout_open(j, key);
	jsonout_string(j, "ip", ip);
	if (ports)
		jsonout_u64(j, "port", a->port);
	jsonout_string(j, "hostname", hostname);
	jsonout_close(j);
}

static void put_connection(struct jsonout *j, const struct flow_facts *f)
{
	char id[COMMUNITY_ID_SIZE];
	bool ports = f->proto == 6 || f->proto == 17;
	put_endpoint(j, "src_endpoint", &f->src, ports, NULL);
	put_endpoint(j, "dst_endpoint", &f->dst, ports, f->name_source == FACTS_NAME_ECH_OUTER ? NULL : f->name);
	community_id(id, &f->src, &f->dst, f->proto);
	jsonout_open(j, "connection_info");
	jsonout_u64(j, "protocol_num", f->proto);
	jsonout_string(j, "community_uid", id);
	jsonout_u64(j, "direction_id", 2);
	jsonout_close(j);
}

/* Acknowledged payload; "cumulative_traffic" would be its running total. */
static void put_traffic(struct jsonout *j, const char *key, const struct facts_dir *up, const struct facts_dir *down)
{
	jsonout_open(j, key);
	jsonout_u64(j, "bytes_out", up->bytes);
	jsonout_u64(j, "bytes_in", down->bytes);
	jsonout_u64(j, "packets_out", up->packets);
	jsonout_u64(j, "packets_in", down->packets);
	jsonout_close(j);
}

static void put_process(struct jsonout *j, const struct owner_process *p)
{
	jsonout_open(j, "process");
	jsonout_string(j, "name", p->name);
	if (p->pid)
		jsonout_u64(j, "pid", p->pid);
	jsonout_string(j, "cmd_line", p->command_line);
	if (p->start_ns)
		jsonout_u64(j, "created_time", p->start_ns / 1000000);
	if (p->path) {
		jsonout_open(j, "file");
		jsonout_string(j, "path", p->path);
		jsonout_close(j);
	}
	if (p->user) {
		jsonout_open(j, "user");
		jsonout_string(j, "name", p->user);
		jsonout_close(j);
	}
	jsonout_close(j);
}

static void put_tls(struct jsonout *j, const struct flow_facts *f)
{
	if (!f->sni)
		return;
	jsonout_open(j, "tls");
	jsonout_string(j, "sni", f->sni);
	jsonout_string(j, "version", record_tls_version(f->tls_version));
	jsonout_close(j);
}

static void put_unmapped(struct jsonout *j, const struct verdict *v)
{
	char grade[2] = {v->initiator.grade, '\0'};
	jsonout_open(j, "unmapped");
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

static void put_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, uint64_t t_ns)
{
	const struct flow_facts *f = v->facts;
	put_class(j, t_ns, 4, CLASS_NETWORK, f->last ? ACTIVITY_CLOSE : ACTIVITY_TRAFFIC, 1);
	jsonout_u64(j, "start_time", f->start_ns / 1000000);
	jsonout_u64(j, "end_time", f->end_ns / 1000000);
	put_metadata(j, conf);
	put_connection(j, f);
	put_traffic(j, "cumulative_traffic", &f->up, &f->down);
	put_tls(j, f);
	jsonout_string(j, "app_name", f->app_proto);
	if (v->initiator.outcome == OWNER_ATTRIBUTED) {
		jsonout_open(j, "actor");
		put_process(j, &v->initiator.process);
		jsonout_close(j);
	}
	jsonout_u64(j, "observation_point_id", 3);
	put_unmapped(j, v);
	jsonout_close(j);
	jsonout_newline(j);
}

static void ocsf_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v)
{
	put_flow(j, conf, v, v->facts->end_ns);
}

static void ocsf_attribution(struct jsonout *j, const struct record_conf *conf, const struct sink_attribution *a)
{
	put_flow(j, conf, a->verdict, a->time_ns);
}

static void put_finding_info(struct jsonout *j, const struct finding *f)
{
	jsonout_open(j, "finding_info");
	jsonout_string(j, "uid", f->id);
	jsonout_string(j, "title", f->title);
	jsonout_string(j, "desc", f->sentence);
	jsonout_u64(j, "first_seen_time", f->first_ns / 1000000);
	jsonout_u64(j, "last_seen_time", f->last_ns / 1000000);
	jsonout_open_array(j, "attacks");
	for (size_t i = 0; i < f->n_techniques; i++) {
		jsonout_open(j, NULL);
		jsonout_open(j, "technique");
		jsonout_string(j, "uid", f->techniques[i]);
		jsonout_close(j);
		jsonout_close(j);
	}
	jsonout_close_array(j);
	jsonout_close(j);
}

static void ocsf_finding(struct jsonout *j, const struct record_conf *conf, const struct finding *f)
{
	const struct verdict *v = f->flow;
	put_class(j, f->last_ns, 2, CLASS_FINDING, f->version == 1 ? ACTIVITY_CREATE : ACTIVITY_UPDATE, 5u - f->severity);
	put_metadata(j, conf);
	put_finding_info(j, f);
	jsonout_open_array(j, "evidences");
	jsonout_open(j, NULL);
	put_connection(j, v->facts);
	put_tls(j, v->facts);
	if (v->initiator.outcome == OWNER_ATTRIBUTED)
		put_process(j, &v->initiator.process);
	jsonout_close(j);
	jsonout_close_array(j);
	put_unmapped(j, v);
	jsonout_close(j);
	jsonout_newline(j);
}

const struct record_format record_ocsf = {
	.name = "ocsf",
	.flow = ocsf_flow,
	.finding = ocsf_finding,
	.attribution = ocsf_attribution,
};
