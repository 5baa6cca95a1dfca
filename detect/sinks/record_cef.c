/* ArcSight CEF 0, for collectors without a JSON parser: findings and flows. Extension keys by the CEF dictionary; ours in cs1..cs6 and cn1..cn2. */
#include <stdio.h>
#include <string.h>

#include "detect/sinks/record.h"
#include "detect/sinks/textbuf.h"

static void key_text(struct textbuf *b, const char *key, const char *value)
{
	if (!value || !*value)
		return;
	textbuf_f(b, " %s=", key);
	textbuf_cef(b, value, false);
}

static void labelled(struct textbuf *b, const char *key, const char *label, const char *value)
{
	if (!value || !*value)
		return;
	textbuf_f(b, " %sLabel=%s", key, label);
	key_text(b, key, value);
}

static void key_number(struct textbuf *b, const char *key, uint64_t v)
{
	textbuf_f(b, " %s=%llu", key, (unsigned long long)v);
}

static void put_header(struct textbuf *b, const char *id, const char *name, unsigned severity)
{
	textbuf_f(b, "CEF:0|leaktap|leaktap|%s|%s|", LEAKTAP_VERSION, id);
	textbuf_cef(b, name, true);
	textbuf_f(b, "|%u|", severity);
}

static void put_extension(struct textbuf *b, const struct record_conf *conf, const struct verdict *v, const struct facts_dir *up,
			  const struct facts_dir *down, uint64_t t_ns)
{
	const struct flow_facts *f = v->facts;
	char ip[46], number[24], grade[2] = {v->initiator.grade, '\0'}, buf[8];
	bool six = f->src.family == 6, ports = f->proto == 6 || f->proto == 17;
	textbuf_f(b, "rt=%llu", (unsigned long long)(t_ns / 1000000));
	key_text(b, "dvchost", conf->sensor);
	record_address(ip, &f->src);
	labelled(b, six ? "c6a2" : "", six ? "Source IPv6 Address" : "", six ? ip : NULL);
	key_text(b, "src", six ? NULL : ip);
	if (ports)
		key_number(b, "spt", f->src.port);
	record_address(ip, &f->dst);
	labelled(b, six ? "c6a3" : "", six ? "Destination IPv6 Address" : "", six ? ip : NULL);
	key_text(b, "dst", six ? NULL : ip);
	if (ports)
		key_number(b, "dpt", f->dst.port);
	key_text(b, "proto", record_protocol(f->proto, buf));
	key_text(b, "app", f->app_proto);
	key_text(b, "dhost", f->name_source == FACTS_NAME_ECH_OUTER ? NULL : f->name);
	key_number(b, "out", up->bytes);
	key_number(b, "in", down->bytes);
	snprintf(number, sizeof number, "%llu", (unsigned long long)f->flow_id);
	key_text(b, "externalId", number);
	if (v->initiator.outcome == OWNER_ATTRIBUTED) {
		key_text(b, "sproc", v->initiator.process.name);
		key_number(b, "spid", v->initiator.process.pid);
		key_text(b, "suser", v->initiator.process.user);
		key_text(b, "shost", v->initiator.process.device);
	}
	labelled(b, "cs2", "nameSource", record_name_source(v));
	labelled(b, "cs3", "service", v->has_destination ? v->destination.row->service : NULL);
	labelled(b, "cs4", "account", v->has_destination ? v->destination.account : NULL);
	labelled(b, "cs5", "grade", grade);
	labelled(b, "cs6", "cause", owner_cause_names[v->initiator.cause]);
}

static void hand_over(struct jsonout *j, struct textbuf *b)
{
	if (b->failed)
		j->failed = true;
	else
		jsonout_raw(j, b->text, b->n);
	textbuf_done(b);
}

static void put_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v, const char *id, uint64_t t_ns)
{
	struct textbuf b = {0};
	put_header(&b, id, id, 1);
	put_extension(&b, conf, v, &v->facts->up, &v->facts->down, t_ns);
	textbuf_put(&b, "\n");
	hand_over(j, &b);
}

static void cef_flow(struct jsonout *j, const struct record_conf *conf, const struct verdict *v)
{
	put_flow(j, conf, v, "flow", v->facts->end_ns);
}

static void cef_attribution(struct jsonout *j, const struct record_conf *conf, const struct sink_attribution *a)
{
	put_flow(j, conf, a->verdict, "attribution", a->time_ns);
}

static void cef_finding(struct jsonout *j, const struct record_conf *conf, const struct finding *f)
{
	static const unsigned severities[] = {0, 9, 6, 3};
	struct textbuf b = {0};
	char id[16], techniques[128] = "";
	snprintf(id, sizeof id, "%u", f->rules[0]);
	for (size_t i = 0; i < f->n_techniques; i++) {
		size_t at = strlen(techniques);
		snprintf(techniques + at, sizeof techniques - at, "%s%s", i ? " " : "", f->techniques[i]);
	}
	put_header(&b, id, f->title ? f->title : "", severities[f->severity & 3]);
	put_extension(&b, conf, f->flow, &f->up, &f->down, f->last_ns);
	labelled(&b, "cs1", "mitreTechniques", techniques);
	key_text(&b, "msg", f->sentence);
	textbuf_put(&b, "\n");
	hand_over(j, &b);
}

const struct record_format record_cef = {
	.name = "cef",
	.flow = cef_flow,
	.finding = cef_finding,
	.attribution = cef_attribution,
};
