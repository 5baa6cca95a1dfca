/* scene: a judge with a made-up endpoint side, flows by hand, findings collected with their texts. */
#ifndef LEAKTAP_TESTS_UNIT_SCENE_H
#define LEAKTAP_TESTS_UNIT_SCENE_H

/* Flows by hand lie on the stack, 2.5 KB each. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wframe-larger-than"
#else
#pragma GCC diagnostic ignored "-Wframe-larger-than="
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "detect/judge.h"

#define S_NS   UINT64_C(1000000000)
#define MIN_NS (60 * S_NS)
#define MIB    (UINT64_C(1) << 20)
/* 2026-03-02T09:14:22.226787Z */
#define T0 (UINT64_C(1772442862) * S_NS + 226787000)

/* The endpoint side: link-time stand-ins for detect/attrib. */

struct attrib {
	struct attrib_archive archives[4];
	uint64_t askers[4]; /* of whose tree each is */
	size_t n_archives;
	bool devices; /* 10.20.4.x is ws-04xx */
	const char *device; /* instead of that name, if not NULL */
};

size_t attrib_archives(struct attrib *at, uint64_t principal, uint64_t from_ns, uint64_t to_ns,
		       struct attrib_archive *ret, size_t max)
{
	size_t n = 0;
	for (size_t i = at->n_archives; i-- && n < max;)
		if (at->askers[i] == principal && at->archives[i].time_ns >= from_ns &&
		    at->archives[i].time_ns <= to_ns)
			ret[n++] = at->archives[i];
	return n;
}

const char *attrib_device(struct attrib *at, const struct facts_addr *addr, uint64_t at_ns)
{
	static char name[16];
	(void)at_ns;
	if (!at->devices || addr->family != 4 || addr->ip[0] != 10 || addr->ip[1] != 20)
		return NULL;
	if (at->device)
		return at->device;
	snprintf(name, sizeof name, "ws-%02u%02u", addr->ip[2], addr->ip[3]);
	return name;
}

struct scene_finding {
	struct finding f; /* its pointers are stale; their texts follow */
	char sentence[1024], explanation[512], service[64], account[128], process[64];
	char reasons[8192], timeline[8192];
};

struct scene {
	struct catalogue *catalogue;
	struct judge *judge;
	struct attrib attrib;
	struct judge_conf conf;
	struct scene_finding found[16];
	size_t n_found;
};

static void scene_on_finding(void *ctx, const struct finding *f)
{
	struct scene *sc = ctx;
	assert_true(sc->n_found < 16);
	struct scene_finding *to = &sc->found[sc->n_found++];
	to->f = *f;
	snprintf(to->sentence, sizeof to->sentence, "%s", f->sentence);
	const struct verdict *v = f->flow;
	snprintf(to->service, sizeof to->service, "%s",
		 v->has_destination ? v->destination.row->service : "");
	snprintf(to->account, sizeof to->account, "%s", v->has_destination ? v->destination.account : "");
	snprintf(to->process, sizeof to->process, "%s",
		 v->initiator.process.name ? v->initiator.process.name : "");
	to->reasons[0] = to->timeline[0] = '\0';
	for (size_t i = 0, n = 0; i < f->n_reasons && n < sizeof to->reasons; i++)
		n += (size_t)snprintf(to->reasons + n, sizeof to->reasons - n, "%s\n", f->reasons[i]);
	for (size_t i = 0, n = 0; i < f->n_timeline && n < sizeof to->timeline; i++)
		n += (size_t)snprintf(to->timeline + n, sizeof to->timeline - n, "%s: %s\n",
				      f->timeline[i].kind, f->timeline[i].text);
	for (size_t i = 1; i < f->n_timeline; i++)
		assert_true(f->timeline[i - 1].t_ns <= f->timeline[i].t_ns);
}

static void scene_begin(struct scene *sc, const struct catalogue_conf *cc)
{
	struct err err = {0};
	const struct catalogue_conf none = {0};
	if (catalogue_new(&sc->catalogue, cc ? cc : &none, &err))
		fail_msg("%s", err.text);
	sc->attrib.devices = true;
	sc->conf.catalogue = sc->catalogue;
	sc->conf.attrib = &sc->attrib;
	sc->conf.on_finding = scene_on_finding;
	sc->conf.ctx = sc;
	assert_int_equal(judge_new(&sc->judge, &sc->conf, &err), 0);
}

static struct scene *scene_new(void)
{
	struct scene *sc = calloc(1, sizeof *sc);
	assert_non_null(sc);
	return sc;
}

static void scene_free(struct scene *sc)
{
	judge_free(sc->judge);
	catalogue_free(sc->catalogue);
	free(sc);
}

/* A flow and its owner by hand. */

struct scene_flow {
	struct flow_facts f;
	struct facts_minute minutes[8];
	struct owner owner, responder;
	bool has_responder;
	uint32_t version;
};

static struct facts_addr scene_v4(unsigned a, unsigned b, unsigned c, unsigned d, unsigned port)
{
	return (struct facts_addr){
	    .ip = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d}, .port = (uint16_t)port, .family = 4};
}

static void scene_bytes(struct facts_dir *d, uint64_t app, uint64_t payload)
{
	d->bytes = d->bytes_min = d->bytes_max = d->delta_bytes = payload;
	d->app_bytes = app;
	d->packets = payload / 1000 + 3;
	d->wire_bytes = payload + d->packets * 54;
}

/* One TLS flow of ws-0417; app bytes known, 395 bytes of handshake up and 5054 down above them. */
static struct scene_flow scene_tls(uint64_t id, const char *name, uint64_t start_ns, uint64_t app_up,
				   uint64_t app_down)
{
	struct scene_flow fl = {0};
	struct flow_facts *f = &fl.f;
	f->flow_id = id;
	f->src = scene_v4(10, 20, 4, 17, 50000 + (unsigned)(id % 10000));
	f->dst = scene_v4(203, 0, 113, (unsigned)(id % 250) + 1, 443);
	f->proto = 6;
	f->last = f->saw_syn = f->app_known = true;
	f->reason = FACTS_REASON_FIN;
	f->state = FACTS_STATE_CLOSED;
	f->seq = 1;
	f->start_ns = start_ns;
	f->end_ns = start_ns + 700 * S_NS / 1000;
	scene_bytes(&f->up, app_up, app_up + 395);
	scene_bytes(&f->down, app_down, app_down + 5054);
	f->name = f->sni = name;
	f->name_source = name ? FACTS_NAME_TLS_SNI : FACTS_NAME_NONE;
	f->app_proto = "tls";
	fl.version = 1;
	fl.owner = (struct owner){.outcome = OWNER_UNATTRIBUTED, .cause = OWNER_CAUSE_NO_EVENT, .grade = 'U'};
	return fl;
}

static struct owner scene_process(const char *name, uint32_t pid, char grade)
{
	struct owner o = {.outcome = OWNER_ATTRIBUTED, .grade = grade};
	o.process = (struct owner_process){.principal = UINT64_C(0xabc00000) + pid,
					   .name = name,
					   .user = "employee",
					   .device = "ws-0417",
					   .pid = pid};
	o.evidence[0] = (struct owner_evidence){
	    .source = "mde", .id = "evt-1", .key = "5tuple", .delta_ms = 388, .corrected_ms = 0.1};
	o.n_evidence = 1;
	return o;
}

/* At most 8 minutes of what went up; bytes become their sum. */
__attribute__((unused)) static void scene_minute(struct scene_flow *fl, uint64_t at_ns, uint64_t up)
{
	size_t n = fl->f.n_minutes++;
	assert_true(n < 8);
	fl->minutes[n] = (struct facts_minute){at_ns / MIN_NS * 60, up, 0};
	uint64_t sum = 0;
	for (size_t i = 0; i <= n; i++)
		sum += fl->minutes[i].up_bytes;
	scene_bytes(&fl->f.up, sum, sum);
	if (fl->f.end_ns < at_ns)
		fl->f.end_ns = at_ns;
}

/* Returns the verdict as every sink would get it. */
static struct verdict scene_tell(struct scene *sc, struct scene_flow *fl)
{
	struct verdict v;
	fl->f.minutes = fl->minutes;
	judge_classify(sc->judge, &fl->f, &v);
	v.version = fl->version;
	v.initiator = fl->owner;
	v.has_responder = fl->has_responder;
	v.responder = fl->responder;
	judge_verdict(sc->judge, &v);
	return v;
}

static struct verdict scene_told(struct scene *sc, struct scene_flow fl)
{
	return scene_tell(sc, &fl);
}

__attribute__((unused)) static bool scene_fired(const struct scene_finding *f, uint32_t rule)
{
	for (size_t i = 0; i < f->f.n_rules; i++)
		if (f->f.rules[i] == rule)
			return true;
	return false;
}

#endif
