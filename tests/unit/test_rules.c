/* Each rule at its limits. */
#include "detect/hmap.h"
#include "detect/rule.h"
#include "tests/unit/scene.h"

static const char *const blob = "acct.blob.core.windows.net";
/* 09:00:00Z of that day, a whole minute */
static const uint64_t base = T0 / (3600 * S_NS) * (3600 * S_NS);

static struct scene *fresh(void)
{
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	return sc;
}

/* Finishes, frees, tells which of the first finding's rules is there (0: no finding). */
static size_t finish(struct scene *sc, uint32_t rule, struct scene_finding *ret)
{
	judge_finish(sc->judge);
	size_t n = 0;
	for (size_t i = 0; i < sc->n_found; i++)
		n += scene_fired(&sc->found[i], rule);
	if (ret && sc->n_found)
		*ret = sc->found[0];
	scene_free(sc);
	return n;
}

static struct scene_flow upload_at(uint64_t id, const char *host, uint64_t at_ns, uint64_t up)
{
	struct scene_flow fl = scene_tls(id, host, at_ns, 0, 300);
	fl.owner = scene_process("backup.exe", 900, 'A');
	scene_minute(&fl, at_ns, up);
	return fl;
}

static void volume__short_window__inclusive_limit(void **state)
{
	(void)state;
	for (int less = 0; less < 2; less++) {
		struct scene *sc = fresh();
		scene_told(sc, upload_at(1, blob, base, 10000000 - (unsigned)less));
		assert_int_equal(finish(sc, 1001, NULL), less ? 0 : 1);
	}
}

static void volume__window_edges__ten_minutes_not_eleven(void **state)
{
	(void)state;
	for (unsigned minutes = 9; minutes < 11; minutes++) {
		struct scene *sc = fresh();
		scene_told(sc, upload_at(1, blob, base, 5 * MIB));
		scene_told(sc, upload_at(2, blob, base + minutes * MIN_NS, 5 * MIB));
		assert_int_equal(finish(sc, 1001, NULL), minutes == 9);
	}
}

static void volume__one_long_flow__minutes_decide(void **state)
{
	(void)state;
	for (int spread = 0; spread < 2; spread++) {
		struct scene *sc = fresh();
		struct scene_flow fl = upload_at(1, blob, base, 4 * MIB);
		scene_minute(&fl, base + (spread ? 20 : 5) * MIN_NS, 4 * MIB);
		scene_minute(&fl, base + (spread ? 40 : 8) * MIN_NS, 2 * MIB);
		scene_tell(sc, &fl);
		assert_int_equal(finish(sc, 1001, NULL), !spread);
	}
}

static void volume__long_window__trailing_sum(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 3;
	     k++) { /* 7 x 8 MiB: 50 MiB is passed by the 7th; spaced 40 min: episodes apart */
		struct scene *sc = fresh();
		uint64_t step = k == 2 ? 5 * 3600 * S_NS : 40 * MIN_NS; /* 7 x 5 h do not fit into 24 h */
		for (unsigned i = 0; i < (k == 1 ? 6 : 7); i++)
			scene_told(sc, upload_at(i + 1, blob, base + i * step, 8 * MIB));
		struct scene_finding f;
		assert_int_equal(finish(sc, 1001, &f), k == 0 ? 1 : 0);
		if (!k) {
			assert_int_equal(f.f.flows[0], 7);
			assert_int_equal(f.f.n_flows, 1);
			assert_non_null(strstr(
			    f.reasons,
			    "56.0 MiB of payload left the device for this account within 24 h, 8.0 MiB"));
		}
	}
}

/* Down never counts, whatever it is: 1 GiB fetched is 0 uploaded. */
static void volume__download__no_finding(void **state)
{
	(void)state;
	struct scene *sc = fresh();
	scene_told(sc, scene_tls(1, blob, base, 90000, 1024 * MIB));
	assert_int_equal(finish(sc, 1001, NULL), 0);
}

static void volume__roles__upload_and_web_only(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		size_t want;
	} cases[] = {{"content.dropboxapi.com", 1},
		     {"www.dropbox.com", 1},
		     {"client.dropbox.com", 0},
		     {"dl.dropboxusercontent.com", 0},
		     {"raw.githubusercontent.com", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		scene_told(sc, upload_at(1, cases[i].host, base, 20 * MIB));
		if (finish(sc, 1001, NULL) != cases[i].want)
			fail_msg("%s", cases[i].host);
	}
}

/* The sum is the device's, the findings are of those that sent a good share of it. */
static void volume__two_processes__device_sum_and_shares(void **state)
{
	(void)state;
	struct scene *sc = fresh();
	static const uint64_t sent[] = {7 * MIB, 4 * MIB, 2000};
	for (unsigned i = 0; i < 3; i++) {
		struct scene_flow fl = upload_at(i + 1, blob, base + (2 - i) * MIN_NS, sent[i]);
		fl.owner = scene_process("backup.exe", 100 + i, 'A');
		scene_tell(sc, &fl);
	}
	struct scene_finding f;
	assert_int_equal(finish(sc, 1001, &f), 2);
	assert_int_equal(f.f.bytes, 4 * MIB);
	assert_non_null(strstr(
	    f.reasons,
	    "11.0 MiB of payload left the device for this account within 10 min, 4.0 MiB of it from here"));
}

static void volume__two_accounts_or_devices__not_added(void **state)
{
	(void)state;
	struct scene *sc = fresh();
	scene_told(sc, upload_at(1, "a1.blob.core.windows.net", base, 6 * MIB));
	scene_told(sc, upload_at(2, "a2.blob.core.windows.net", base, 6 * MIB));
	struct scene_flow fl = upload_at(3, "a1.blob.core.windows.net", base, 6 * MIB);
	fl.f.src.ip[3] = 18;
	fl.owner.process.device = "ws-0418";
	scene_tell(sc, &fl);
	assert_int_equal(finish(sc, 1001, NULL), 0);
}

static void lolbin__conditions__one_by_one(void **state)
{
	(void)state;
	static const struct {
		const char *host, *name, *original;
		uint64_t up, down;
		char grade;
		size_t want;
	} cases[] = {
	    {"acct.blob.core.windows.net", "powershell.exe", NULL, 1000, 400, 'A', 1},
	    {"acct.blob.core.windows.net", "powershell.exe", NULL, 999, 0, 'A', 0},
	    {"acct.blob.core.windows.net", "powershell.exe", NULL, 1000, 501, 'A', 0},
	    {"acct.blob.core.windows.net", "POWERSHELL.EXE", "PowerShell.EXE", 1000, 0, 'B', 1},
	    {"acct.blob.core.windows.net", "updater.exe", "rclone.exe", 1000, 0, 'A', 1}, /* renamed */
	    {"acct.blob.core.windows.net", "curl.exe", "notcurl.exe", 1000, 0, 'A', 0},
	    {"acct.blob.core.windows.net", "curl.exe", "?", 1000, 0, 'A', 1},
	    {"acct.blob.core.windows.net", "python3.11", NULL, 1000, 0, 'A', 1},
	    {"acct.blob.core.windows.net", "cmd.exe", "Cmd.Exe.MUI", 1000, 0, 'A', 1},
	    {"acct.blob.core.windows.net", "pwsh.exe", "pwsh.dll", 1000, 0, 'A', 1},
	    {"acct.blob.core.windows.net", "chrome.exe", NULL, 9000, 0, 'A', 0},
	    {"acct.blob.core.windows.net", "mycurl.exe", NULL, 9000, 0, 'A', 0},
	    {"acct.blob.core.windows.net", "powershell.exe", NULL, 9000, 0, 'D', 0},
	    {"acct.blob.core.windows.net", "powershell.exe", NULL, 9000, 0, 'U', 0},
	    {"www.dropbox.com", "powershell.exe", NULL, 9000, 0, 'A', 0}, /* role web */
	    {"unknown.example", "powershell.exe", NULL, 9000, 0, 'A', 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		struct scene_flow fl = scene_tls(1, cases[i].host, base, cases[i].up, cases[i].down);
		fl.owner = scene_process(cases[i].name, 5, cases[i].grade);
		fl.owner.process.original_name = cases[i].original;
		if (cases[i].grade == 'D') {
			fl.owner.outcome = OWNER_AMBIGUOUS;
			fl.owner.candidates[0] = fl.owner.process;
			fl.owner.n_candidates = 1;
		} else if (cases[i].grade == 'U') {
			fl.owner = (struct owner){.grade = 'U'};
		}
		scene_tell(sc, &fl);
		if (finish(sc, 1002, NULL) != cases[i].want)
			fail_msg("%zu: %s", i, cases[i].name);
	}
}

static void lolbin__every_listed_binary__listed(void **state)
{
	(void)state;
	static const char *const names[] = {
	    "powershell", "pwsh",        "cmd",      "wscript",   "cscript", "mshta", "rundll32", "regsvr32",
	    "msbuild",    "installutil", "certutil", "bitsadmin", "curl",    "wget",  "python",   "node",
	    "rclone",     "azcopy",      "winscp",   "ftp",       "7z",      "rar"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char exe[64];
		snprintf(exe, sizeof exe, "%s.EXE", names[i]);
		struct owner_process bare = {.name = names[i]}, win = {.name = exe};
		assert_true(rule_is_lolbin(&bare) && rule_is_lolbin(&win));
	}
	struct owner_process none = {0}, empty = {.name = ".exe"};
	assert_false(rule_is_lolbin(&none) || rule_is_lolbin(&empty));
}

static void archive__window_and_size__at_the_edges(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		int64_t before_ns;
		uint64_t up, down;
		size_t want;
	} cases[] = {
	    {"acct.blob.core.windows.net", 600 * (int64_t)S_NS, 256, 128, 1},
	    {"acct.blob.core.windows.net", 600 * (int64_t)S_NS + 1, 256, 128, 0},
	    {"acct.blob.core.windows.net", 0, 256, 128, 1},
	    {"acct.blob.core.windows.net", -1, 256, 128, 0}, /* archived after the upload began */
	    {"acct.blob.core.windows.net", 1, 255, 0, 0},
	    {"acct.blob.core.windows.net", 1, 256, 129, 0},
	    {"unknown.example", 1, 300, 100, 1}, /* an unknown destination counts */
	    {"www.dropbox.com", 1, 9000, 100, 0},
	    {"client.dropbox.com", 1, 9000, 100, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		struct scene_flow fl = scene_tls(1, cases[i].host, T0, cases[i].up, cases[i].down);
		fl.owner = scene_process("chrome.exe", 5, 'A');
		sc->attrib.n_archives = 1;
		sc->attrib.askers[0] = fl.owner.process.principal;
		sc->attrib.archives[0] =
		    (struct attrib_archive){.time_ns = (uint64_t)((int64_t)T0 - cases[i].before_ns),
					    .process = "chrome.exe",
					    .file = "a.zip"};
		scene_tell(sc, &fl);
		if (finish(sc, 1003, NULL) != cases[i].want)
			fail_msg("%zu", i);
	}
}

static void archive__other_process_or_no_owner__nothing(void **state)
{
	(void)state;
	for (int k = 0; k < 3; k++) {
		struct scene *sc = fresh();
		struct scene_flow fl = scene_tls(1, blob, T0, 5000, 100);
		fl.owner = scene_process("chrome.exe", 5, 'A');
		sc->attrib.n_archives = 1;
		sc->attrib.askers[0] = fl.owner.process.principal + (k == 1);
		sc->attrib.archives[0] = (struct attrib_archive){.time_ns = T0 - 1};
		if (k == 2)
			fl.owner = (struct owner){.grade = 'U'};
		scene_tell(sc, &fl);
		assert_int_equal(finish(sc, 1003, NULL), k == 0);
	}
}

/* A connection kept open: the archive is made after the connect, the bytes leave after the archive. */
static void archive__made_while_connected__bulk_decides(void **state)
{
	(void)state;
	struct scene *sc = fresh();
	struct scene_flow fl = upload_at(1, blob, base, 300);
	scene_minute(&fl, base + 5 * MIN_NS, 90000);
	fl.owner = scene_process("chrome.exe", 5, 'A');
	sc->attrib.n_archives = 1;
	sc->attrib.askers[0] = fl.owner.process.principal;
	sc->attrib.archives[0] = (struct attrib_archive){.time_ns = base + 4 * MIN_NS, .file = "late.zip"};
	scene_tell(sc, &fl);
	struct scene_finding f;
	assert_int_equal(finish(sc, 1003, &f), 1);
	assert_non_null(strstr(f.sentence, ", 60 s after it created late.zip"));
}

static void unknown__limits_and_places__at_the_edges(void **state)
{
	(void)state;
	static const struct {
		const char *host;
		uint64_t up, down;
		unsigned ip;
		uint8_t source;
		size_t want;
	} cases[] = {
	    {"unknown.example", 50 * MIB, 100, 203, FACTS_NAME_TLS_SNI, 1},
	    {"unknown.example", 50 * MIB - 1, 100, 203, FACTS_NAME_TLS_SNI, 0},
	    {"unknown.example", 50 * MIB, 26 * MIB, 203, FACTS_NAME_TLS_SNI, 0}, /* both ways */
	    {NULL, 50 * MIB, 100, 203, FACTS_NAME_NONE, 1},
	    {NULL, 50 * MIB, 100, 10, FACTS_NAME_NONE, 0}, /* an inside host */
	    {"files.corp.example", 50 * MIB, 100, 10, FACTS_NAME_DNS_ANSWER, 0},
	    {"unknown.example", 50 * MIB, 100, 10, FACTS_NAME_TLS_SNI, 1}, /* a front of somebody */
	    {"acct.blob.core.windows.net", 50 * MIB, 100, 10, FACTS_NAME_TLS_SNI, 0}, /* has a row */
	    {"cloudflare-ech.com", 50 * MIB, 100, 203, FACTS_NAME_ECH_OUTER, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		struct scene_flow fl = upload_at(1, cases[i].host, base, cases[i].up);
		scene_bytes(&fl.f.down, cases[i].down, cases[i].down);
		fl.f.dst.ip[0] = (uint8_t)cases[i].ip;
		fl.f.name_source = cases[i].source;
		scene_tell(sc, &fl);
		if (finish(sc, 1004, NULL) != cases[i].want)
			fail_msg("%zu", i);
	}
}

static void drip__count_size_and_pauses__at_the_edges(void **state)
{
	(void)state;
	static const struct {
		unsigned uploads;
		uint64_t each, pause_ns;
		size_t want;
	} cases[] = {
	    {12, 5 * MIB / 12 + 1, 45 * MIN_NS, 1},     {11, 5 * MIB / 11 + 1, 45 * MIN_NS, 0},
	    {12, 5 * MIB / 12 - 1, 45 * MIN_NS, 0},     {12, 5 * MIB / 12 + 1, 60 * MIN_NS, 1},
	    {12, 5 * MIB / 12 + 1, 60 * MIN_NS + 1, 0}, {12, 5 * MIB / 12 + 1, 30 * S_NS, 0}, /* one upload */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		uint64_t at = base;
		for (unsigned k = 0; k < cases[i].uploads; k++) {
			struct scene_flow fl = upload_at(k + 1, blob, at, cases[i].each);
			fl.f.end_ns = fl.f.start_ns + S_NS;
			at = fl.f.end_ns + cases[i].pause_ns;
			scene_tell(sc, &fl);
		}
		struct scene_finding f;
		if (finish(sc, 1005, &f) != cases[i].want)
			fail_msg("%zu", i);
		if (cases[i].want) {
			assert_int_equal(f.f.n_flows_total, 12);
			assert_int_equal(f.f.severity, 3);
			assert_string_equal(f.f.verdict, "upload_by_process");
			assert_string_equal(f.f.techniques[1], "T1030");
		}
	}
}

static void drip__uploads_that_another_rule_found__not_again(void **state)
{
	(void)state;
	struct scene *sc = fresh();
	for (unsigned k = 0; k < 14; k++) {
		struct scene_flow fl = upload_at(k + 1, blob, base + k * 45 * MIN_NS, MIB);
		fl.owner = scene_process("curl.exe", 5, 'A');
		scene_tell(sc, &fl);
	}
	assert_int_equal(finish(sc, 1005, NULL), 0);
}

static void protocol__ways_out__at_the_limit(void **state)
{
	(void)state;
	static const struct {
		const char *app, *ndpi;
		uint16_t port;
		uint64_t up;
		unsigned ip;
		size_t want;
	} cases[] = {
	    {"ftp-data", NULL, 20, MIB, 203, 1},    {"ftp-data", NULL, 20, MIB - 1, 203, 0},
	    {"smtp", NULL, 587, MIB, 203, 1},       {"ssh", NULL, 22, MIB, 203, 1},
	    {NULL, "HTTP.WebDAV", 80, MIB, 203, 1}, {"tls", "TLS", 443, MIB, 203, 0},
	    {NULL, NULL, 22, MIB, 203, 1},          {"tls", NULL, 22, MIB, 203, 0},
	    {"ssh", NULL, 22, MIB, 10, 0},          {"smb", "SMBv23", 445, MIB, 203, 1},
	    {"smb", NULL, 445, MIB, 10, 0}, /* inside, nothing is known before */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = fresh();
		struct scene_flow fl = upload_at(1, NULL, base, cases[i].up);
		fl.f.app_proto = cases[i].app;
		fl.f.ndpi_protocol = cases[i].ndpi;
		fl.f.dst.port = cases[i].port;
		fl.f.dst.ip[0] = (uint8_t)cases[i].ip;
		scene_tell(sc, &fl);
		if (finish(sc, 1006, NULL) != cases[i].want)
			fail_msg("%zu", i);
	}
}

static void protocol__smb_inside__only_to_a_host_first_seen(void **state)
{
	(void)state;
	for (int known = 0; known < 2; known++) {
		struct scene *sc = fresh();
		struct scene_flow early = upload_at(1, NULL, base, 300),
				  late = upload_at(2, NULL, base + 3600 * S_NS, 2 * MIB);
		early.f.app_proto = late.f.app_proto = "smb";
		early.f.dst = late.f.dst = scene_v4(10, 20, 9, 9, 445);
		if (!known)
			early.f.dst.ip[3] = 8;
		scene_tell(sc, &late);
		scene_tell(sc, &early);
		assert_int_equal(finish(sc, 1006, NULL), !known);
	}
}

static void list__order_and_gravity__as_the_contract_says(void **state)
{
	(void)state;
	for (size_t i = 1; rules[i]; i++)
		assert_true(rules[i - 1]->id < rules[i]->id);
	struct rule_hit hits[] = {
	    {.rule = &rule_volume}, {.rule = &rule_unknown}, {.rule = &rule_lolbin}, {.rule = &rule_archive}};
	qsort(hits, 4, sizeof *hits, rule_graver);
	assert_int_equal(hits[0].rule->id, 1003);
	assert_int_equal(hits[1].rule->id, 1002);
	assert_int_equal(hits[2].rule->id, 1001);
	assert_int_equal(hits[3].rule->id, 1004);
}

static void texts__sizes_and_spans__rounded(void **state)
{
	(void)state;
	char b[32];
	assert_string_equal(rule_size_text(b, 999), "999 bytes");
	assert_string_equal(rule_size_text(b, 10240), "10.0 KiB");
	assert_string_equal(rule_size_text(b, 10 * MIB), "10.0 MiB");
	assert_string_equal(rule_span_text(b, 1500000000), "1.5 s");
	assert_string_equal(rule_span_text(b, 90 * S_NS), "90 s");
	assert_string_equal(rule_span_text(b, 600 * S_NS), "10 min");
	assert_string_equal(rule_span_text(b, 24 * 3600 * S_NS), "24 h");
	assert_string_equal(rule_span_text(b, 3000000), "3 ms");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(volume__short_window__inclusive_limit),
	    cmocka_unit_test(volume__window_edges__ten_minutes_not_eleven),
	    cmocka_unit_test(volume__one_long_flow__minutes_decide),
	    cmocka_unit_test(volume__long_window__trailing_sum),
	    cmocka_unit_test(volume__download__no_finding),
	    cmocka_unit_test(volume__roles__upload_and_web_only),
	    cmocka_unit_test(volume__two_processes__device_sum_and_shares),
	    cmocka_unit_test(volume__two_accounts_or_devices__not_added),
	    cmocka_unit_test(lolbin__conditions__one_by_one),
	    cmocka_unit_test(lolbin__every_listed_binary__listed),
	    cmocka_unit_test(archive__window_and_size__at_the_edges),
	    cmocka_unit_test(archive__other_process_or_no_owner__nothing),
	    cmocka_unit_test(archive__made_while_connected__bulk_decides),
	    cmocka_unit_test(unknown__limits_and_places__at_the_edges),
	    cmocka_unit_test(drip__count_size_and_pauses__at_the_edges),
	    cmocka_unit_test(drip__uploads_that_another_rule_found__not_again),
	    cmocka_unit_test(protocol__ways_out__at_the_limit),
	    cmocka_unit_test(protocol__smb_inside__only_to_a_host_first_seen),
	    cmocka_unit_test(list__order_and_gravity__as_the_contract_says),
	    cmocka_unit_test(texts__sizes_and_spans__rounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
