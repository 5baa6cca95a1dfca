#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "detect/attrib/attrib.h"

#define T0 UINT64_C(1770000000000000000) /* 2026-02-02T02:40:00Z */
#define SEC UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static struct slice text(const char *s)
{
	return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

static struct facts_addr addr(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	return (struct facts_addr){.ip = {a, b, c, d}, .port = port, .family = 4};
}

static struct attrib *start(bool live)
{
	struct err err = {0};
	struct attrib *at;
	if (access("/usr/bin/redis-server", X_OK) != 0) {
		print_message("SKIPPED: redis-server is not installed\n");
		skip();
	}
	if (attrib_new(&at, &(struct attrib_conf){.live = live, .sensor = "unit", .grace_ns = 60 * SEC}, &err))
		fail_msg("%s", err.text);
	return at;
}

static void settle(struct attrib *at)
{
	struct err err = {0};
	if (attrib_settle(at, NULL, NULL, &err))
		fail_msg("%s", err.text);
}

static unsigned next_id;

/* A Sysmon 3 like row of powershell.exe, pid 4188, on ws-0417; the caller changes what differs. */
static struct procevent connect_event(uint64_t t_ns, uint16_t lport, struct facts_addr remote)
{
	static char ids[4096][16];
	char *id = ids[next_id++ % 4096];
	snprintf(id, 16, "e%u", next_id);
	return (struct procevent){
		.kind = PROCEVENT_CONNECT, .source = PROCEVENT_SOURCE_SYSMON, .clock = PROCEVENT_CLOCK_SYSMON_NET, .time_ns = t_ns,
		.device_name = text("WS-0417.corp.example"), .event_id = text(id), .local = addr(10, 20, 4, 17, lport), .remote = remote,
		.proto = 6, .user = text("employee"),
		.process = {.path = text("C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe"), .pid = 4188,
			    .uid = text("{b34bc01c-8000-697f-0100-000000000400}")},
	};
}

static struct attrib_flow flow(uint64_t id, uint64_t t_ns, uint16_t lport, struct facts_addr remote)
{
	return (struct attrib_flow){.flow_id = id, .src = addr(10, 20, 4, 17, lport), .dst = remote, .proto = 6, .start_ns = t_ns,
				    .end_ns = t_ns + 2 * SEC, .up_bytes = 1000, .down_bytes = 2000};
}

#define BLOB addr(20, 60, 133, 132, 443)

/* Three connects that calibrate the clock of connect_event's rows to offset_ns. */
static void calibrate(struct attrib *at, int64_t offset_ns)
{
	for (unsigned i = 0; i < 3; i++) {
		uint64_t t = T0 - 300 * SEC + i * 20 * SEC;
		struct attrib_flow f = flow(9000 + i, t, (uint16_t)(60001 + i), addr(20, 0, 0, 1, 443));
		struct procevent e = connect_event((uint64_t)((int64_t)t + offset_ns), (uint16_t)(60001 + i), addr(20, 0, 0, 1, 443));
		assert_int_equal(attrib_flow(at, &f), 0);
		assert_int_equal(attrib_event(at, &e), 0);
	}
}

static struct owner owner_of(struct attrib *at, uint64_t id, enum attrib_side side)
{
	struct owner o;
	assert_true(attrib_owner(at, id, side, &o));
	return o;
}

static void owner__calibrated_connect__grade_a_with_evidence(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	calibrate(at, -1200 * (int64_t)MS);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	struct procevent e = connect_event(T0 - 1200 * MS + 3 * MS, 50412, BLOB);
	attrib_flow(at, &f);
	attrib_event(at, &e);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_ATTRIBUTED);
	assert_int_equal(o.grade, 'A');
	assert_int_equal(o.cause, OWNER_CAUSE_NONE);
	assert_string_equal(o.process.name, "powershell.exe");
	assert_string_equal(o.process.device, "ws-0417.corp.example");
	assert_string_equal(o.process.user, "employee");
	assert_int_equal(o.process.pid, 4188);
	assert_int_equal(o.n_evidence, 1);
	assert_string_equal(o.evidence[0].source, "sysmon");
	assert_string_equal(o.evidence[0].key, "5tuple");
	assert_memory_equal(o.evidence[0].id, e.event_id.p, e.event_id.n);
	assert_int_equal((int)o.evidence[0].delta_ms, -1197);
	assert_true(o.evidence[0].corrected_ms > -1 && o.evidence[0].corrected_ms < 4);
	assert_false(attrib_owner(at, 1, ATTRIB_RESPONDER, &o)); /* nobody reports from there */
	assert_false(attrib_owner(at, 77, ATTRIB_INITIATOR, &o));
	attrib_free(at);
}

static void owner__one_connect_two_uses_of_the_tuple__only_the_nearer_has_an_owner(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	calibrate(at, 0);
	struct attrib_flow one = flow(1, T0, 50412, BLOB), two = flow(2, T0 + 40 * SEC, 50412, BLOB);
	struct procevent e = connect_event(T0, 50412, BLOB);
	attrib_flow(at, &one);
	attrib_flow(at, &two);
	attrib_event(at, &e);
	settle(at);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).grade, 'A');
	struct owner o = owner_of(at, 2, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_UNATTRIBUTED);
	assert_int_equal(o.cause, OWNER_CAUSE_NO_EVENT);
	attrib_free(at);
}

static void owner__port_went_on_to_another_remote__its_event_is_not_the_first_flows(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	calibrate(at, 0);
	struct attrib_flow silent = flow(1, T0, 50412, BLOB), told = flow(2, T0 + SEC, 50412, addr(20, 0, 0, 9, 443));
	struct procevent e = connect_event(T0 + SEC, 50412, addr(20, 0, 0, 9, 443));
	attrib_flow(at, &silent);
	attrib_flow(at, &told);
	attrib_event(at, &e);
	settle(at);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).outcome, OWNER_UNATTRIBUTED);
	assert_int_equal(owner_of(at, 2, ATTRIB_INITIATOR).grade, 'A');
	attrib_free(at);
}

/* Two sites with one private range: their laptops speak in turns. */
static void owner__two_devices_one_address__the_5tuple_or_nobody(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	for (unsigned i = 0; i < 6; i++) {
		struct procevent e = connect_event(T0 + i * 30 * SEC, (uint16_t)(51000 + i), BLOB);
		e.device_name = text("laptop");
		e.device_id = text(i % 2 ? "aaaa" : "bbbb");
		e.process.uid = text(i % 2 ? "{b34bc01c-8000-697f-0100-00000000aaaa}" : "{b34bc01c-8000-697f-0100-00000000bbbb}");
		e.event_id = text((const char *[]){"t0", "t1", "t2", "t3", "t4", "t5"}[i]);
		struct attrib_flow f = flow(1 + i, T0 + i * 30 * SEC, (uint16_t)(51000 + i), BLOB);
		if (i == 3)
			e.remote = (struct facts_addr){0}; /* port and address only: the other laptop's, as well */
		if (i != 4)
			attrib_event(at, &e);
		attrib_flow(at, &f);
	}
	settle(at);
	struct owner o = owner_of(at, 2, ATTRIB_INITIATOR);
	assert_string_equal(o.process.device, "laptop#aaaa");
	assert_string_equal(owner_of(at, 3, ATTRIB_INITIATOR).process.device, "laptop#bbbb");
	o = owner_of(at, 4, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_AMBIGUOUS);
	assert_int_equal(o.grade, 'D');
	assert_int_equal(o.n_candidates, 1);
	o = owner_of(at, 5, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_UNATTRIBUTED);
	assert_int_equal(o.cause, OWNER_CAUSE_NO_EVENT);
	struct facts_addr own = addr(10, 20, 4, 17, 0);
	assert_null(attrib_device(at, &own, T0 + 60 * SEC));
	attrib_free(at);
}

static bool is_pool(const void *ctx, const struct facts_addr *a)
{
	(void)ctx;
	return a->family == 4 && a->ip[0] == 10 && a->ip[1] == 99;
}

/* A declared address stands for many machines: silence there has that cause, and an owner is grade C at best. */
static void owner__declared_pool__nat_or_proxy_and_grade_c_at_best(void **state)
{
	(void)state;
	struct err err = {0};
	attrib_free(start(false)); /* skips without a server */
	struct attrib *at;
	if (attrib_new(&at, &(struct attrib_conf){.sensor = "unit", .is_pool = is_pool}, &err))
		fail_msg("%s", err.text);
	struct attrib_flow f[4];
	for (unsigned i = 0; i < 4; i++)
		f[i] = flow(1 + i, T0 + i * 100 * SEC, (uint16_t)(50000 + i), BLOB);
	f[0].src = f[1].src = addr(10, 99, 0, 1, 50000);
	f[1].src.port = 50001;
	f[2].dst = addr(10, 99, 0, 9, 3128); /* to the proxy: named by its own 5-tuple, or not at all */
	f[3].dst = addr(10, 99, 0, 9, 3128);
	struct procevent e = connect_event(T0 + 100 * SEC, 50001, BLOB), p = connect_event(T0 + 200 * SEC, 50002, addr(10, 99, 0, 9, 3128));
	e.local = f[1].src;
	attrib_event(at, &p);
	for (unsigned i = 0; i < 4; i++)
		attrib_flow(at, &f[i]);
	attrib_event(at, &e);
	struct attrib_flow nobody = flow(5, T0, 51000, BLOB);
	nobody.src = addr(10, 99, 7, 7, 51000); /* no device has ever claimed it */
	attrib_flow(at, &nobody);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_UNATTRIBUTED);
	assert_int_equal(o.cause, OWNER_CAUSE_NAT_OR_PROXY);
	o = owner_of(at, 2, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_ATTRIBUTED);
	assert_int_equal(o.grade, 'C');
	assert_int_equal(o.cause, OWNER_CAUSE_NAT_OR_PROXY);
	assert_int_equal(owner_of(at, 3, ATTRIB_INITIATOR).grade, 'B');
	assert_int_equal(owner_of(at, 4, ATTRIB_INITIATOR).cause, OWNER_CAUSE_NAT_OR_PROXY);
	assert_int_equal(owner_of(at, 5, ATTRIB_INITIATOR).cause, OWNER_CAUSE_NAT_OR_PROXY);
	assert_false(attrib_owner(at, 5, ATTRIB_RESPONDER, &o));
	attrib_free(at);
}

/* The port alone never joins: the same local port on another address, with and without the remote. */
static void owner__same_local_port_on_another_address__nobody(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	calibrate(at, 0);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	f.src = addr(10, 20, 4, 18, 50412); /* a second address of the same device */
	struct procevent claim = connect_event(T0 - 100 * SEC, 59999, BLOB), same = connect_event(T0, 50412, BLOB), bare = connect_event(T0, 50412, (struct facts_addr){0}),
			 none = connect_event(T0, 50412, BLOB), zero = connect_event(T0, 0, BLOB);
	claim.local = addr(10, 20, 4, 18, 59999);
	none.local = (struct facts_addr){.port = 50412};
	zero.local = addr(10, 20, 4, 18, 0);
	attrib_event(at, &claim);
	attrib_event(at, &same);
	attrib_event(at, &bare);
	attrib_event(at, &none);
	attrib_event(at, &zero);
	attrib_flow(at, &f);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_UNATTRIBUTED);
	assert_int_equal(o.cause, OWNER_CAUSE_NO_EVENT);
	struct attrib_stats st;
	attrib_stats(at, &st);
	assert_int_equal(st.events_unjoinable, 2);
	attrib_free(at);
}

static void owner__uncalibrated__grade_b_within_its_window(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	static const struct {
		int64_t delta_ns;
		char grade;
	} cases[] = {{-65 * (int64_t)SEC, 'B'}, {-65 * (int64_t)SEC - (int64_t)MS, 'U'}, {15 * (int64_t)SEC, 'B'}, {15 * (int64_t)SEC + (int64_t)MS, 'U'}};
	for (unsigned i = 0; i < 4; i++) { /* a clock each, or the four would calibrate one */
		struct attrib_flow f = flow(10 + i, T0, (uint16_t)(50000 + i), BLOB);
		struct procevent e = connect_event((uint64_t)((int64_t)T0 + cases[i].delta_ns), (uint16_t)(50000 + i), BLOB);
		char name[16];
		snprintf(name, sizeof name, "host%u", i);
		e.device_name = text(name);
		e.local = f.src = addr(10, 0, 0, (uint8_t)(i + 1), f.src.port);
		attrib_flow(at, &f);
		attrib_event(at, &e);
	}
	settle(at);
	for (unsigned i = 0; i < 4; i++) {
		struct owner o = owner_of(at, 10 + i, ATTRIB_INITIATOR);
		assert_int_equal(o.grade, cases[i].grade);
		assert_int_equal(o.cause, cases[i].grade == 'B' ? OWNER_CAUSE_UNCALIBRATED : OWNER_CAUSE_NO_EVENT);
	}
	attrib_free(at);
}

/* The two sources' rows of one connection name one process, however little each tells. */
static void owner__two_sources_one_process__no_rivals(void **state)
{
	(void)state;
	static const struct {
		uint32_t sysmon_pid;
		const char *uid;
	} cases[] = {{4188, "{b34bc01c-8000-697f-0100-000000000400}"}, {0, "{b34bc01c-8000-697f-0100-000000000400}"}, {4188, ""}};
	for (unsigned i = 0; i < 3; i++) {
		struct attrib *at = start(false);
		calibrate(at, 0);
		struct attrib_flow f = flow(1, T0, 50412, BLOB);
		struct procevent a = connect_event(T0 + 5 * MS, 50412, BLOB), b = connect_event(T0 + 2 * MS, 50412, BLOB);
		a.process.pid = cases[i].sysmon_pid;
		a.process.uid = text(cases[i].uid);
		b.source = PROCEVENT_SOURCE_SECURITY;
		b.clock = PROCEVENT_CLOCK_SECURITY;
		b.process = (struct procevent_process){
			.path = text("\\device\\harddiskvolume2\\windows\\system32\\windowspowershell\\v1.0\\powershell.exe"), .pid = 4188};
		b.user = text("");
		attrib_flow(at, &f);
		attrib_event(at, &b);
		attrib_event(at, &a);
		settle(at);
		struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
		assert_int_equal(o.grade, 'A');
		assert_int_equal(o.rivals, 0);
		assert_int_equal(o.process.pid, 4188);
		assert_string_equal(o.process.path, "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe");
		assert_int_equal(o.n_evidence, 2);
		attrib_free(at);
	}
}

static void owner__two_processes_within_10_s__ambiguous(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	calibrate(at, 0);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	struct procevent a = connect_event(T0, 50412, BLOB), b = connect_event(T0 - 10 * SEC, 50412, BLOB);
	b.process.uid = text("{b34bc01c-8001-697f-0100-000000000400}");
	b.process.path = text("C:\\x\\curl.exe");
	b.process.pid = 99;
	attrib_flow(at, &f);
	attrib_event(at, &a);
	attrib_event(at, &b);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_AMBIGUOUS);
	assert_int_equal(o.grade, 'D');
	assert_int_equal(o.rivals, 1);
	assert_int_equal(o.n_candidates, 2);
	assert_string_equal(o.candidates[0].name, "powershell.exe");
	assert_string_equal(o.candidates[1].name, "curl.exe");
	attrib_free(at);
}

/* Sysmon on a DNS server calls the client's address its source: the client must not be charged with dns.exe. */
static void owner__server_side_row_told_backwards__client_not_charged(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct facts_addr server = addr(10, 20, 0, 5, 53);
	struct attrib_flow f = flow(1, T0, 60436, server);
	static struct procevent own, tcp, dns;
	own = connect_event(T0 - 50 * SEC, 50001, BLOB);
	tcp = connect_event(T0 - 40 * SEC, 389, addr(10, 20, 4, 17, 51000));
	dns = connect_event(T0, 60436, server);
	f.proto = dns.proto = 17;
	tcp.device_name = dns.device_name = text("DC.corp.example");
	tcp.local = addr(10, 20, 0, 5, 389);
	dns.process = tcp.process = (struct procevent_process){.path = text("C:\\Windows\\System32\\dns.exe"), .pid = 3340};
	attrib_flow(at, &f);
	attrib_event(at, &own);
	attrib_event(at, &tcp);
	attrib_event(at, &dns);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.outcome, OWNER_UNATTRIBUTED);
	o = owner_of(at, 1, ATTRIB_RESPONDER);
	assert_int_equal(o.outcome, OWNER_ATTRIBUTED);
	assert_string_equal(o.process.name, "dns.exe");
	attrib_free(at);
}

static struct procevent mde_event(uint64_t t_ns, uint16_t lport, struct facts_addr remote)
{
	struct procevent e = connect_event(t_ns, lport, remote);
	e.source = PROCEVENT_SOURCE_MDE;
	e.clock = PROCEVENT_CLOCK_MDE;
	e.process.uid = text("13510798882112217");
	e.process.start_ns = T0 - 3600 * SEC;
	return e;
}

static void owner__defender_silent_on_a_repeat__inferred_from_its_first(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50500, BLOB);
	struct procevent e = mde_event(T0 - 1800 * SEC, 50100, BLOB);
	attrib_flow(at, &f);
	attrib_event(at, &e);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.grade, 'C');
	assert_int_equal(o.cause, OWNER_CAUSE_INFERRED);
	assert_string_equal(o.evidence[0].key, "destination");
	assert_int_equal((int)o.evidence[0].delta_ms, -1800000);
	attrib_free(at);
}

static void owner__sysmon_silent__not_inferred(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50500, BLOB);
	struct procevent e = connect_event(T0 - 800 * SEC, 50100, BLOB);
	attrib_flow(at, &f);
	attrib_event(at, &e);
	settle(at);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).cause, OWNER_CAUSE_NO_EVENT);
	attrib_free(at);
}

static void owner__aggregated_report_covers_start__grade_c(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50500, BLOB);
	struct procevent e = mde_event(T0 - 1800 * SEC, 0, BLOB);
	e.kind = PROCEVENT_AGGREGATED;
	e.flags = PROCEVENT_INTERVAL;
	e.time_end_ns = T0 + 1800 * SEC;
	attrib_flow(at, &f);
	attrib_event(at, &e);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	assert_int_equal(o.grade, 'C');
	assert_int_equal(o.cause, OWNER_CAUSE_AGGREGATED);
	assert_string_equal(o.evidence[0].key, "aggregated");
	attrib_free(at);
}

static void owner__kinds_that_own_nothing__unattributed(void **state)
{
	(void)state;
	static const uint8_t kinds[] = {PROCEVENT_FAILED, PROCEVENT_ATTEMPT, PROCEVENT_LISTEN, PROCEVENT_INSPECT};
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	struct procevent other = connect_event(T0, 40000, addr(9, 9, 9, 9, 80));
	attrib_event(at, &other);
	attrib_flow(at, &f);
	for (size_t i = 0; i < sizeof kinds; i++) {
		struct procevent e = connect_event(T0, 50412, BLOB);
		e.kind = kinds[i];
		attrib_event(at, &e);
	}
	settle(at);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).outcome, OWNER_UNATTRIBUTED);
	attrib_free(at);
}

static void owner__midstream__newest_connect_unless_its_process_ended(void **state)
{
	(void)state;
	for (int ended = 0; ended < 2; ended++) {
		struct attrib *at = start(false);
		struct attrib_flow f = flow(1, T0, 50412, BLOB);
		struct procevent e = connect_event(T0 - 3000 * SEC, 50412, BLOB), near = connect_event(T0, 40000, addr(9, 9, 9, 9, 80));
		struct procevent stop = connect_event(T0 - 100 * SEC, 0, (struct facts_addr){0});
		f.midstream = true;
		stop.kind = PROCEVENT_PROC_END;
		attrib_flow(at, &f);
		attrib_event(at, &e);
		near.process = (struct procevent_process){.path = text("C:\\a.exe"), .pid = 5};
		attrib_event(at, &near);
		if (ended)
			attrib_event(at, &stop);
		settle(at);
		struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
		assert_int_equal(o.grade, ended ? 'U' : 'B');
		assert_int_equal(o.cause, OWNER_CAUSE_CONNECT_BEFORE_CAPTURE);
		attrib_free(at);
	}
}

static void cause__device_silent_15_min__endpoint_silent(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow soon = flow(1, T0 + 10 * 60 * SEC, 50412, BLOB), late = flow(2, T0 + 20 * 60 * SEC, 50413, BLOB);
	struct procevent e = connect_event(T0, 40000, addr(9, 9, 9, 9, 80));
	attrib_flow(at, &soon);
	attrib_flow(at, &late);
	attrib_event(at, &e);
	settle(at);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).cause, OWNER_CAUSE_NO_EVENT);
	assert_int_equal(owner_of(at, 2, ATTRIB_INITIATOR).cause, OWNER_CAUSE_ENDPOINT_SILENT);
	attrib_free(at);
}

static void archives__child_7z_before_upload__found(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	struct procevent e = connect_event(T0, 50412, BLOB), zip = connect_event(T0 - 3 * SEC, 0, (struct facts_addr){0});
	zip.kind = PROCEVENT_PROC_START;
	zip.clock = PROCEVENT_CLOCK_SYSMON;
	zip.parent = zip.process;
	zip.process = (struct procevent_process){.path = text("C:\\Program Files\\7-Zip\\7z.exe"), .pid = 5000,
						 .uid = text("{b34bc01c-8004-697f-0100-000000000400}"),
						 .command_line = text("\"C:\\Program Files\\7-Zip\\7z.exe\" a \"C:\\t\\employee data.zip\" x.csv")};
	attrib_flow(at, &f);
	attrib_event(at, &zip);
	attrib_event(at, &e);
	settle(at);
	struct owner o = owner_of(at, 1, ATTRIB_INITIATOR);
	struct attrib_archive a[4];
	assert_int_equal(attrib_archives(at, o.process.principal, T0 - 600 * SEC, T0, a, 4), 1);
	assert_string_equal(a[0].process, "7z.exe");
	assert_string_equal(a[0].file, "employee data.zip");
	assert_int_equal(a[0].relation, ATTRIB_CHILD);
	assert_int_equal(a[0].time_ns, T0 - 3 * SEC);
	assert_int_equal(attrib_archives(at, o.process.principal, T0 - 2 * SEC, T0, a, 4), 0);
	assert_int_equal(attrib_archives(at, 12345, 0, UINT64_MAX, a, 4), 0);
	attrib_free(at);
}

static void settle__bytes_of_one_id_twice__one_event(void **state)
{
	(void)state;
	struct attrib *at = start(false);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	struct procevent e = connect_event(T0, 50412, BLOB);
	struct attrib_stats stats;
	attrib_flow(at, &f);
	for (int i = 0; i < 3; i++)
		attrib_event(at, &e);
	settle(at);
	attrib_stats(at, &stats);
	assert_int_equal(stats.events, 3);
	assert_int_equal(stats.events_duplicate, 2);
	assert_int_equal(owner_of(at, 1, ATTRIB_INITIATOR).n_evidence, 1);
	assert_int_equal(stats.sides[OWNER_ATTRIBUTED][1], 1);
	attrib_free(at);
}

/* ---- live ---- */

struct told {
	unsigned n;
	uint64_t flow_id;
	uint32_t version;
	enum attrib_side side;
	char grade;
	uint8_t cause;
	char name[64], id[32];
};

static void keep(void *ctx, uint64_t flow_id, enum attrib_side side, uint32_t version, const struct owner *o)
{
	struct told *t = ctx;
	assert_true(version > t->version || flow_id != t->flow_id);
	t->n++;
	t->flow_id = flow_id;
	t->side = side;
	t->version = version;
	t->grade = o->grade;
	t->cause = o->cause;
	snprintf(t->name, sizeof t->name, "%s", o->process.name ? o->process.name : "");
	snprintf(t->id, sizeof t->id, "%s", o->n_evidence ? o->evidence[0].id : "");
}

static void poll_until(struct attrib *at, struct told *t, unsigned n, uint64_t *now)
{
	struct err err = {0};
	for (int i = 0; i < 400 && t->n < n; i++) {
		*now += 10 * MS;
		if (attrib_poll(at, *now, keep, t, &err))
			fail_msg("%s", err.text);
		usleep(1000);
	}
	assert_int_equal(t->n, n);
}

static void poll__flow_first_then_event__late_then_owner(void **state)
{
	(void)state;
	struct attrib *at = start(true);
	struct told t = {0};
	uint64_t now = T0 + 5 * SEC;
	struct procevent other = connect_event(T0 - 60 * SEC, 40000, addr(9, 9, 9, 9, 80)), e = connect_event(T0, 50412, BLOB);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	attrib_event(at, &other);
	attrib_flow(at, &f);
	poll_until(at, &t, 1, &now);
	assert_int_equal(t.grade, 'U');
	assert_int_equal(t.cause, OWNER_CAUSE_LATE);
	attrib_event(at, &e);
	poll_until(at, &t, 2, &now);
	assert_int_equal(t.grade, 'B');
	assert_string_equal(t.name, "powershell.exe");
	assert_memory_equal(t.id, e.event_id.p, e.event_id.n);
	attrib_free(at);
}

static void poll__event_first_then_flow__owner_at_once(void **state)
{
	(void)state;
	struct attrib *at = start(true);
	struct told t = {0};
	uint64_t now = T0 + 5 * SEC;
	struct procevent e = connect_event(T0, 50412, BLOB);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	attrib_event(at, &e);
	attrib_flow(at, &f);
	poll_until(at, &t, 1, &now);
	assert_int_equal(t.grade, 'B');
	assert_int_equal(t.side, ATTRIB_INITIATOR);
	attrib_free(at);
}

static void poll__grace_over__no_event_then_inferred(void **state)
{
	(void)state;
	struct attrib *at = start(true);
	struct told t = {0};
	uint64_t now = T0 + 5 * SEC;
	struct procevent other = mde_event(T0 - 1200 * SEC, 40000, BLOB), sign = mde_event(T0, 0, (struct facts_addr){0});
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	attrib_event(at, &other);
	sign.kind = PROCEVENT_OTHER;
	attrib_event(at, &sign);
	attrib_flow(at, &f);
	poll_until(at, &t, 1, &now);
	assert_int_equal(t.cause, OWNER_CAUSE_LATE);
	now += 61 * SEC;
	poll_until(at, &t, 2, &now);
	assert_int_equal(t.cause, OWNER_CAUSE_NO_EVENT);
	poll_until(at, &t, 3, &now);
	assert_int_equal(t.grade, 'C');
	assert_int_equal(t.cause, OWNER_CAUSE_INFERRED);
	attrib_free(at);
}

static void poll__connects_seen__clock_calibrates_to_grade_a(void **state)
{
	(void)state;
	struct attrib *at = start(true);
	struct told t = {0};
	uint64_t now = T0 + 5 * SEC;
	calibrate(at, 10 * 1000 * (int64_t)MS);
	poll_until(at, &t, 3, &now);
	struct procevent e = connect_event(T0 + 10 * SEC, 50412, BLOB);
	struct attrib_flow f = flow(1, T0, 50412, BLOB);
	attrib_event(at, &e);
	attrib_flow(at, &f);
	poll_until(at, &t, 4, &now);
	assert_int_equal(t.flow_id, 1);
	assert_int_equal(t.grade, 'A');
	attrib_free(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(owner__calibrated_connect__grade_a_with_evidence),
		cmocka_unit_test(owner__one_connect_two_uses_of_the_tuple__only_the_nearer_has_an_owner),
		cmocka_unit_test(owner__port_went_on_to_another_remote__its_event_is_not_the_first_flows),
		cmocka_unit_test(owner__two_devices_one_address__the_5tuple_or_nobody),
		cmocka_unit_test(owner__declared_pool__nat_or_proxy_and_grade_c_at_best),
		cmocka_unit_test(owner__same_local_port_on_another_address__nobody),
		cmocka_unit_test(owner__uncalibrated__grade_b_within_its_window),
		cmocka_unit_test(owner__two_sources_one_process__no_rivals),
		cmocka_unit_test(owner__two_processes_within_10_s__ambiguous),
		cmocka_unit_test(owner__server_side_row_told_backwards__client_not_charged),
		cmocka_unit_test(owner__defender_silent_on_a_repeat__inferred_from_its_first),
		cmocka_unit_test(owner__sysmon_silent__not_inferred),
		cmocka_unit_test(owner__aggregated_report_covers_start__grade_c),
		cmocka_unit_test(owner__kinds_that_own_nothing__unattributed),
		cmocka_unit_test(owner__midstream__newest_connect_unless_its_process_ended),
		cmocka_unit_test(cause__device_silent_15_min__endpoint_silent),
		cmocka_unit_test(archives__child_7z_before_upload__found),
		cmocka_unit_test(settle__bytes_of_one_id_twice__one_event),
		cmocka_unit_test(poll__flow_first_then_event__late_then_owner),
		cmocka_unit_test(poll__event_first_then_flow__owner_at_once),
		cmocka_unit_test(poll__grace_over__no_event_then_inferred),
		cmocka_unit_test(poll__connects_seen__clock_calibrates_to_grade_a),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
