/* The lab scenario and what surrounds it: who is blamed, for what, in which words, and who is not. */
#include "tests/unit/scene.h"

static const char *const put_host = "sacyberrangedanger.blob.core.windows.net";
static const char *const get_host = "sacyberrange00.blob.core.windows.net";

static void with_archive(struct scene *sc, uint32_t pid, uint64_t at_ns, uint8_t relation)
{
	size_t n = sc->attrib.n_archives++;
	sc->attrib.askers[n] = UINT64_C(0xabc00000) + pid;
	sc->attrib.archives[n] = (struct attrib_archive){.time_ns = at_ns,
							 .principal = 77,
							 .process = "7z.exe",
							 .file = "employee-data-20260302091418.zip",
							 .source = "mde",
							 .id = "file-9",
							 .relation = relation};
}

/* (a)..(i) of the acceptance scenario, in this order. */
static size_t lab(struct scene_flow *fl)
{
	size_t n = 0;
	fl[n] = scene_tls(1, "raw.githubusercontent.com", T0 - 30 * S_NS, 310, 4200);
	fl[n++].owner = scene_process("powershell.exe", 2960, 'A');
	fl[n] = scene_tls(2, get_host, T0 - 12 * S_NS, 260, 1600000);
	fl[n++].owner = scene_process("powershell.exe", 4188, 'A');
	fl[n] = scene_tls(3, put_host, T0, 1752, 412);
	fl[n++].owner = scene_process("powershell.exe", 4188, 'A');
	fl[n] = scene_tls(4, "t8.dropbox.com", T0 + 60 * S_NS, 200000, 9000);
	fl[n++].owner = scene_process("Dropbox.exe", 5000, 'A');
	fl[n] = scene_tls(5, "ceuswatcab01.blob.core.windows.net", T0 + 90 * S_NS, 5 * MIB, 2000);
	fl[n++].owner = scene_process("WerFault.exe", 5100, 'A');
	fl[n] = scene_tls(6, "browser.events.data.microsoft.com", T0 + 95 * S_NS, 90000, 3000);
	fl[n++].owner = scene_process("msedge.exe", 5200, 'A');
	fl[n] = scene_tls(7, "content.dropboxapi.com", T0 + 7200 * S_NS, 50 * MIB, 4000);
	fl[n++].owner = scene_process("powershell.exe", 6000, 'A');
	fl[n] = scene_tls(8, "cloudflare-ech.com", T0 + 100 * S_NS, 3000, 700);
	fl[n].f.name_source = FACTS_NAME_ECH_OUTER;
	fl[n++].owner = scene_process("chrome.exe", 5300, 'A');
	fl[n] = scene_tls(9, "acct.blob.core.windows.net", T0 + 110 * S_NS, 300, 800);
	fl[n].f.sni = NULL;
	fl[n].f.name_source = FACTS_NAME_DNS_ANSWER;
	fl[n++].owner = scene_process("backup.exe", 5400, 'A');
	return n;
}

static struct scene *play(const size_t *order, size_t n_order)
{
	struct scene_flow fl[9];
	size_t n = lab(fl);
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	with_archive(sc, 4188, T0 - 1500 * S_NS / 1000, ATTRIB_CHILD);
	for (size_t i = 0; i < n; i++)
		scene_tell(sc, &fl[order && i < n_order ? order[i] : i]);
	judge_finish(sc->judge);
	return sc;
}

static void finish__lab_scenario__the_put_and_the_big_upload_only(void **state)
{
	(void)state;
	struct scene *sc = play(NULL, 0);
	assert_int_equal(sc->n_found, 2);
	const struct scene_finding *put = &sc->found[0], *big = &sc->found[1];
	assert_string_equal(put->f.verdict, "upload_by_process");
	assert_int_equal(put->f.n_rules, 2);
	assert_int_equal(put->f.rules[0], 1003);
	assert_int_equal(put->f.rules[1], 1002);
	assert_int_equal(put->f.severity, 1);
	assert_int_equal(put->f.version, 1);
	assert_string_equal(put->account, "sacyberrangedanger");
	assert_int_equal(put->f.app_bytes, 1752);
	assert_true(put->f.app_known);
	assert_int_equal(put->f.bytes, 2147);
	assert_int_equal(put->f.n_flows, 1);
	assert_int_equal(put->f.flows[0], 3);
	assert_int_equal(put->f.n_techniques, 2);
	assert_string_equal(put->f.techniques[0], "T1567.002");
	assert_string_equal(put->f.techniques[1], "T1560.001");
	assert_int_equal(put->f.n_tactics, 1);
	assert_string_equal(put->f.tactics[0], "TA0010");
	assert_string_equal(put->sentence,
			    "powershell.exe (pid 4188, employee) on ws-0417 sent 1,752 bytes of application "
			    "data to Azure Blob "
			    "account sacyberrangedanger at 09:14:22Z, 1.5 s after 7z.exe, its child, created "
			    "employee-data-20260302091418.zip");
	assert_int_equal(strlen(put->f.id), 16);
	assert_int_equal(big->f.n_rules, 2);
	assert_true(scene_fired(big, 1001) && scene_fired(big, 1002));
	assert_int_equal(big->f.severity, 2);
	assert_string_equal(big->service, "dropbox");
	assert_int_equal(big->f.app_bytes, 50 * MIB);
	scene_free(sc);
}

static void finish__lab_scenario__download_is_in_the_timeline_as_one(void **state)
{
	(void)state;
	struct scene *sc = play(NULL, 0);
	const char *tl = sc->found[0].timeline;
	const char *down = strstr(
	    tl,
	    "download: fetched 1,600,000 bytes of application data from Azure Blob account sacyberrange00\n");
	const char *zip = strstr(tl, "file_created: 7z.exe created employee-data-20260302091418.zip\n");
	const char *up = strstr(
	    tl, "upload: 1,752 bytes of application data sent to Azure Blob account sacyberrangedanger\n");
	assert_true(down && zip && up && down < zip && zip < up);
	assert_null(strstr(tl, "GitHub")); /* fetched by another process */
	scene_free(sc);
}

static void verdict__lab_scenario__records_say_why_nothing_fires(void **state)
{
	(void)state;
	struct scene_flow fl[9];
	lab(fl);
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	static const struct {
		size_t flow;
		const char *explanation, *pattern;
		enum verdict_direction direction;
	} want[] = {
	    {0, NULL, "raw.githubusercontent.com", VERDICT_DOWNLOAD},
	    {1, NULL, ".blob.core.windows.net", VERDICT_DOWNLOAD},
	    {2, NULL, ".blob.core.windows.net", VERDICT_UPLOAD},
	    {3, "telemetry: Dropbox.exe to t8.dropbox.com, catalogue row t8.dropbox.com (capture)",
	     "t8.dropbox.com", VERDICT_UPLOAD},
	    {4,
	     "telemetry: WerFault.exe to ceuswatcab01.blob.core.windows.net, catalogue row "
	     "ceuswatcab01.blob.core.windows.net (official)",
	     "ceuswatcab01.blob.core.windows.net", VERDICT_UPLOAD},
	    {5,
	     "telemetry: msedge.exe to browser.events.data.microsoft.com, catalogue row "
	     ".events.data.microsoft.com "
	     "(official)",
	     ".events.data.microsoft.com", VERDICT_UPLOAD},
	    {7, NULL, NULL, VERDICT_UPLOAD},
	    {8, NULL, ".blob.core.windows.net", VERDICT_BOTH},
	};
	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct verdict v = scene_tell(sc, &fl[want[i].flow]);
		assert_int_equal(v.direction, want[i].direction);
		assert_int_equal(v.has_destination, want[i].pattern != NULL);
		if (want[i].pattern)
			assert_string_equal(v.destination.row->pattern, want[i].pattern);
		if (want[i].explanation)
			assert_string_equal(v.explanation, want[i].explanation);
		else
			assert_null(v.explanation);
	}
	struct judge_stats st;
	judge_stats(sc->judge, &st);
	assert_int_equal(st.suppressed, 3);
	assert_int_equal(st.flows, 8);
	scene_free(sc);
}

static void finish__flows_in_any_order__same_findings(void **state)
{
	(void)state;
	struct scene *first = play(NULL, 0);
	size_t order[9];
	for (size_t i = 0; i < 9; i++)
		order[i] = i;
	srand(5);
	for (int round = 0; round < 30; round++) {
		for (size_t i = 8; i; i--) {
			size_t k = (size_t)rand() % (i + 1), t = order[i];
			order[i] = order[k];
			order[k] = t;
		}
		struct scene *sc = play(order, 9);
		assert_int_equal(sc->n_found, first->n_found);
		for (size_t i = 0; i < sc->n_found; i++) {
			assert_string_equal(sc->found[i].f.id, first->found[i].f.id);
			assert_string_equal(sc->found[i].sentence, first->found[i].sentence);
			assert_string_equal(sc->found[i].reasons, first->found[i].reasons);
			assert_string_equal(sc->found[i].timeline, first->found[i].timeline);
		}
		scene_free(sc);
	}
	scene_free(first);
}

/* Less evidence, weaker words. */
static void finish__owner_known_less_well__weaker_text(void **state)
{
	(void)state;
	for (int k = 0; k < 4; k++) {
		struct scene *sc = scene_new();
		scene_begin(sc, NULL);
		struct scene_flow fl = scene_tls(3, "content.dropboxapi.com", T0, 12 * MIB, 100);
		fl.owner = scene_process("curl.exe", 9, "ACDU"[k]);
		if (k == 2) {
			fl.owner.outcome = OWNER_AMBIGUOUS;
			fl.owner.cause = OWNER_CAUSE_RIVALS;
			fl.owner.candidates[0] = fl.owner.process;
			fl.owner.candidates[1] = scene_process("python.exe", 10, 'D').process;
			fl.owner.n_candidates = 2;
			fl.owner.process = (struct owner_process){0};
		} else if (k == 3) {
			fl.owner = (struct owner){.cause = OWNER_CAUSE_ENDPOINT_SILENT, .grade = 'U'};
		}
		scene_tell(sc, &fl);
		judge_finish(sc->judge);
		assert_int_equal(sc->n_found, 1);
		const struct scene_finding *f = &sc->found[0];
		static const char *const begin[] = {
		    "curl.exe (pid 9, employee) on ws-0417 sent",
		    "curl.exe (pid 9, employee; inferred) on ws-0417 sent",
		    "one of 2 processes (curl.exe, python.exe) on ws-0417 sent",
		    "an unknown process on ws-0417 sent"};
		static const char *const verdicts[] = {"upload_by_process", "upload_by_process",
						       "upload_ambiguous", "upload_unattributed"};
		static const char *const reason[] = {
		    "grade A: the same 5-tuple", "grade C: not the same 5-tuple",
		    "candidate: python.exe (pid 10, employee)", "the device reported nothing at all"};
		if (strncmp(f->sentence, begin[k], strlen(begin[k])))
			fail_msg("%s", f->sentence);
		assert_string_equal(f->f.verdict, verdicts[k]);
		if (!strstr(f->reasons, reason[k]))
			fail_msg("%s", f->reasons);
		assert_int_equal(scene_fired(f, 1002),
				 k < 2); /* a process that is not known cannot be on the list */
		assert_true(scene_fired(f, 1001));
		scene_free(sc);
	}
}

static void finish__no_device_known__address_is_told(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	sc->attrib.devices = false;
	scene_told(sc, scene_tls(3, "content.dropboxapi.com", T0, 12 * MIB, 100));
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_string_equal(sc->found[0].sentence,
			    "an unknown process on 10.20.4.17 sent 12,582,912 bytes of application data to "
			    "Dropbox (content.dropboxapi.com) at 09:14:22Z");
	scene_free(sc);
}

/* A name is an endpoint's text: told as it is, whatever stands in it. */
static void finish__device_name_with_a_slash__told_whole(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	sc->attrib.device = "ward/7/ws-1";
	scene_told(sc, scene_tls(3, "content.dropboxapi.com", T0, 12 * MIB, 100));
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_non_null(strstr(sc->found[0].sentence, "an unknown process on ward/7/ws-1 sent 12,582,912 bytes"));
	scene_free(sc);
}

static void finish__payload_only__names_the_layer(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(3, put_host, T0, 4000, 600);
	fl.f.app_known = false;
	scene_bytes(&fl.f.down, 0, 600);
	fl.f.up.gap_bytes = 1200;
	fl.f.up.bytes_max = 5000;
	fl.f.flags = FACTS_MIDSTREAM;
	fl.owner = scene_process("curl.exe", 9, 'B');
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	const struct scene_finding *f = &sc->found[0];
	assert_false(f->f.app_known);
	assert_non_null(strstr(f->sentence, "sent 4,395 bytes of payload to Azure Blob account"));
	assert_non_null(strstr(f->reasons, "between 4,395 and 5,000 bytes of payload are possible"));
	assert_non_null(strstr(f->reasons, "1,200 of these bytes were acknowledged but not captured"));
	assert_non_null(strstr(f->reasons, "earlier bytes are not counted"));
	scene_free(sc);
}

/* Sliced packets: the TLS records were lost from sight after a few KB. */
static void finish__application_bytes_implausible__payload_is_told(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(3, "content.dropboxapi.com", T0, 16510, 0);
	fl.f.up.bytes = fl.f.up.bytes_min = fl.f.up.bytes_max = fl.f.up.delta_bytes = 52499969;
	fl.f.flags = FACTS_APP_ESTIMATED | FACTS_SLICED;
	fl.owner = scene_process("powershell.exe", 12, 'B');
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_false(sc->found[0].f.app_known);
	assert_non_null(strstr(sc->found[0].sentence, "sent 52,499,969 bytes of payload to Dropbox"));
	assert_non_null(strstr(sc->found[0].reasons, "could not be followed throughout"));
	scene_free(sc);
}

static void finish__command_and_file_event_of_one_archive__told_once(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	with_archive(sc, 9, T0 - 2 * S_NS, ATTRIB_CHILD);
	with_archive(sc, 9, T0 - S_NS, ATTRIB_CHILD);
	struct scene_flow fl = scene_tls(3, put_host, T0, 1752, 412);
	fl.owner = scene_process("powershell.exe", 9, 'A');
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	const char *first = strstr(sc->found[0].timeline, "file_created");
	assert_non_null(first);
	assert_null(strstr(first + 1, "file_created"));
	assert_non_null(strstr(sc->found[0].sentence, ", 1.0 s after 7z.exe"));
	scene_free(sc);
}

/* A telemetry account used by somebody else is what it is: Blob storage. */
static void finish__powershell_to_crash_dump_account__judged_as_blob(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(5, "ceuswatcab01.blob.core.windows.net", T0, 5 * MIB, 2000);
	fl.owner = scene_process("powershell.exe", 12, 'A');
	struct verdict v = scene_tell(sc, &fl);
	assert_null(v.explanation);
	assert_string_equal(v.destination.row->pattern, "ceuswatcab01.blob.core.windows.net");
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_string_equal(sc->found[0].service, "azure_blob");
	assert_string_equal(sc->found[0].account, "ceuswatcab01");
	assert_non_null(strstr(sc->found[0].reasons,
			       "explains werfault.exe wermgr.exe werfaultsecure.exe, not powershell.exe"));
	scene_free(sc);
}

static void verdict__telemetry_by_unexpected_or_unknown__as_documented(void **state)
{
	(void)state;
	static const struct {
		const char *host, *process, *original;
		bool suppressed;
	} cases[] = {
	    {"ceuswatcab01.blob.core.windows.net", "werfault.exe", NULL, true},
	    {"ceuswatcab01.blob.core.windows.net", "WERFAULT.EXE", "WerFault.exe", true},
	    {"ceuswatcab01.blob.core.windows.net", "werfault.exe", "PowerShell.EXE", false}, /* renamed */
	    {"ceuswatcab01.blob.core.windows.net", NULL, NULL, true}, /* Microsoft's own account */
	    {"md-abc.z1.blob.storage.azure.net", NULL, NULL, false},  /* anybody's */
	    {"md-abc.z1.blob.storage.azure.net", "WaAppAgent.exe", NULL, true},
	    {"umsa1.blob.core.windows.net", "curl.exe", NULL, false},
	    {"v10.events.data.microsoft.com", "powershell.exe", NULL, true}, /* nobody else's */
	    {"t8.dropbox.com", "chrome.exe", NULL, false},
	    {"w1.ods.opinsights.azure.com", "powershell.exe", NULL, false},
	    {"w1.ods.opinsights.azure.com", "MonitoringHost.exe", NULL, true},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct scene *sc = scene_new();
		scene_begin(sc, NULL);
		struct scene_flow fl = scene_tls(5, cases[i].host, T0, 5 * MIB, 2000);
		if (cases[i].process)
			fl.owner = scene_process(cases[i].process, 12, 'A');
		fl.owner.process.original_name = cases[i].original;
		struct verdict v = scene_tell(sc, &fl);
		if ((v.explanation != NULL) != cases[i].suppressed)
			fail_msg("%s by %s: %s", cases[i].host, cases[i].process, v.explanation);
		scene_free(sc);
	}
}

static void finish__sanctioned__nothing_and_the_record_says_so(void **state)
{
	(void)state;
	const char *own[] = {"azure_blob/sacyberrangedanger", "*.corp.example"};
	struct catalogue_conf cc = {.sanctioned = own, .n_sanctioned = 2};
	struct scene *sc = scene_new();
	scene_begin(sc, &cc);
	struct scene_flow fl = scene_tls(3, put_host, T0, 60 * MIB, 400);
	fl.owner = scene_process("powershell.exe", 4188, 'A');
	assert_string_equal(scene_tell(sc, &fl).explanation,
			    "sanctioned: Azure Blob account sacyberrangedanger is on the operator's list");
	struct scene_flow host = scene_tls(4, "files.corp.example", T0, 60 * MIB, 400);
	assert_string_equal(scene_tell(sc, &host).explanation,
			    "sanctioned: this host is on the operator's list");
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 0);
	scene_free(sc);
}

static void finish__parallel_flows_of_one_upload__one_finding_with_sums(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	for (unsigned i = 0; i < 300; i++) {
		struct scene_flow fl = scene_tls(100 + i, put_host, T0 + i * S_NS / 100, 40000, 300);
		fl.owner = scene_process("azcopy.exe", 70, 'A');
		scene_tell(sc, &fl);
	}
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	const struct finding *f = &sc->found[0].f;
	assert_int_equal(f->n_flows_total, 300);
	assert_int_equal(f->n_flows, FINDING_MAX_FLOWS);
	assert_int_equal(f->app_bytes, 300 * 40000);
	assert_int_equal(f->bytes, 300 * 40395);
	assert_int_equal(f->up.bytes, 300 * 40395);
	assert_int_equal(f->down.app_bytes, 300 * 300);
	assert_non_null(strstr(sc->found[0].sentence,
			       "to Azure Blob account sacyberrangedanger over 300 connections at"));
	assert_true(scene_fired(&sc->found[0], 1001)); /* 11.6 MiB together */
	scene_free(sc);
}

static void finish__pause_of_the_gap__two_episodes(void **state)
{
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct scene *sc = scene_new();
		scene_begin(sc, NULL);
		struct scene_flow a = scene_tls(1, put_host, T0, 5000, 100), b;
		b = scene_tls(2, put_host, a.f.end_ns + 30 * MIN_NS - (k ? 1 : 0), 6000, 100);
		a.owner = b.owner = scene_process("curl.exe", 9, 'A');
		scene_tell(sc, &b);
		scene_tell(sc, &a);
		judge_finish(sc->judge);
		assert_int_equal(sc->n_found, k ? 1 : 2);
		assert_int_equal(sc->found[0].f.app_bytes, k ? 11000 : 5000);
		assert_true(sc->found[0].f.first_ns == T0);
		if (!k)
			assert_string_not_equal(sc->found[0].f.id, sc->found[1].f.id);
		scene_free(sc);
	}
}

static void finish__two_processes_two_accounts__findings_apart(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	static const char *const hosts[] = {"a1.blob.core.windows.net", "a2.blob.core.windows.net"};
	for (unsigned i = 0; i < 4; i++) {
		struct scene_flow fl = scene_tls(i + 1, hosts[i / 2], T0 + i * S_NS, 5000, 100);
		fl.owner = scene_process("curl.exe", 9 + i % 2, 'A');
		scene_tell(sc, &fl);
	}
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 4);
	for (size_t i = 1; i < 4; i++)
		assert_true(sc->found[i - 1].f.first_ns < sc->found[i].f.first_ns);
	scene_free(sc);
}

static void finish__get_then_put_same_account__only_the_put_counts(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow get = scene_tls(1, put_host, T0 - 20 * S_NS, 300, 900000),
			  put = scene_tls(2, put_host, T0, 1752, 412);
	get.owner = put.owner = scene_process("powershell.exe", 4188, 'A');
	scene_tell(sc, &get);
	scene_tell(sc, &put);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.app_bytes, 1752);
	assert_int_equal(sc->found[0].f.n_flows, 1);
	scene_free(sc);
}

/* What a device that answered sent down leaves it too. */
static void finish__pulled_from_a_device__counted_down(void **state)
{
	(void)state;
	for (int inside = 0; inside < 2; inside++) {
		struct scene *sc = scene_new();
		scene_begin(sc, NULL);
		struct scene_flow fl = scene_tls(1, NULL, T0, 3000, 60 * MIB);
		fl.f.src = inside ? scene_v4(10, 20, 9, 9, 40000) : scene_v4(198, 51, 100, 7, 40000);
		fl.f.dst = scene_v4(10, 20, 4, 17, 8443);
		fl.has_responder = true;
		fl.responder = scene_process("python.exe", 44, 'A');
		scene_tell(sc, &fl);
		judge_finish(sc->judge);
		assert_int_equal(sc->n_found, inside ? 0 : 1);
		if (!inside) {
			assert_string_equal(sc->found[0].sentence,
					    "python.exe (pid 44, employee) on ws-0417 sent 62,914,560 bytes "
					    "of application data "
					    "to 198.51.100.7, which had connected to port 8443 at 09:14:22Z");
			assert_int_equal(sc->found[0].f.rules[0], 1004);
		}
		scene_free(sc);
	}
}

static void finish__upload_from_outside_to_our_server__no_finding(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(1, "www.corp.example", T0, 80 * MIB, 3000);
	fl.f.src = scene_v4(198, 51, 100, 7, 40000);
	fl.f.dst = scene_v4(10, 20, 4, 17, 443);
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 0);
	scene_free(sc);
}

/* A machine with a public address of its own: what it sends out counts, whether its device is known or not.
 */
static void finish__public_address_uploads__finding(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(1, put_host, T0, 20 * MIB, 300);
	fl.f.src = scene_v4(198, 51, 100, 7, 40000);
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	scene_free(sc);
}

static void finish__process_uploads_to_two_accounts__neither_told_as_download(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	for (unsigned i = 0; i < 2; i++) {
		struct scene_flow fl = scene_tls(1 + i, i ? put_host : get_host, T0 + i * S_NS, 5000, 300);
		fl.owner = scene_process("curl.exe", 9, 'A');
		scene_tell(sc, &fl);
	}
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 2);
	for (size_t i = 0; i < 2; i++)
		assert_null(strstr(sc->found[i].timeline, "download"));
	scene_free(sc);
}

static void finish__address_only__low_severity_and_no_1002(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	with_archive(sc, 9, T0 - S_NS, ATTRIB_SAME);
	for (unsigned i = 0; i < 2; i++) {
		struct scene_flow fl = scene_tls(1 + i, NULL, T0, i ? 12 * MIB : 5000, 400);
		fl.f.dst = scene_v4(20, 60, 133, 132 + i, 443);
		fl.owner = scene_process("powershell.exe", 9, 'A');
		struct verdict v = scene_tell(sc, &fl);
		assert_true(v.by_address && v.has_destination);
	}
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.n_rules, 1);
	assert_int_equal(sc->found[0].f.rules[0], 1001);
	assert_int_equal(sc->found[0].f.severity, 3);
	assert_non_null(strstr(sc->found[0].sentence,
			       "20.60.133.133 (Azure Storage, owner unknown, known by its address only)"));
	scene_free(sc);
}

/* DNS gave one address to two names of one service: neither is told as the one. */
static void finish__two_names_by_dns__the_sentence_names_both(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct scene_flow fl = scene_tls(1, put_host, T0, 12 * MIB, 400);
	fl.f.name_source = FACTS_NAME_DNS_ANSWER;
	fl.f.name_candidates[0] = get_host;
	fl.f.name_candidates[1] = put_host;
	fl.f.n_name_candidates = 2;
	fl.owner = scene_process("backup.exe", 9, 'A');
	scene_tell(sc, &fl);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 1);
	assert_non_null(strstr(sc->found[0].sentence,
			       "by DNS one of 2 names (sacyberrange00.blob.core.windows.net, "
			       "sacyberrangedanger.blob.core.windows.net)"));
	scene_free(sc);
}

/* The connection is kept alive: opened long before the archive, its upload comes in a later minute. */
static void finish__upload_after_a_pause__archive_before_the_burst_counts(void **state)
{
	(void)state;
	const uint64_t minute = T0 / MIN_NS * MIN_NS;
	static const struct {
		int64_t archive_s; /* from the minute of the burst */
		bool fires;
	} cases[] = {{-601, false}, {-600, true}, {-5, true}, {20, true}, {61, false}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct scene *sc = scene_new();
		scene_begin(sc, NULL);
		with_archive(sc, 9, (uint64_t)((int64_t)minute + cases[i].archive_s * (int64_t)S_NS), ATTRIB_CHILD);
		struct scene_flow fl = scene_tls(1, put_host, minute - 1500 * S_NS, 0, 400);
		scene_minute(&fl, minute - 1500 * S_NS, 600);
		scene_minute(&fl, minute - 60 * S_NS, 200);
		scene_minute(&fl, minute, 40000);
		scene_minute(&fl, minute + 60 * S_NS, 90000); /* the fullest, but no beginning */
		scene_minute(&fl, minute + 120 * S_NS, 80000);
		fl.owner = scene_process("backup.exe", 9, 'A');
		scene_tell(sc, &fl);
		judge_finish(sc->judge);
		assert_int_equal(sc->n_found, cases[i].fires);
		if (cases[i].archive_s == 20)
			assert_non_null(strstr(sc->found[0].sentence, ", less than a minute after 7z.exe, its child, created"));
		scene_free(sc);
	}
}

static void classify__names__decide_before_addresses(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	struct verdict v;
	struct scene_flow fl = scene_tls(1, "intranet.example", T0, 5000, 100);
	fl.f.dst = scene_v4(20, 60, 133, 132, 443);
	judge_classify(sc->judge, &fl.f, &v);
	assert_false(v.has_destination); /* an address never overrules a name */
	fl.f.name = put_host;
	fl.f.name_source = FACTS_NAME_ECH_OUTER;
	judge_classify(sc->judge, &fl.f, &v);
	assert_false(v.has_destination); /* an outer name never classifies, nor does the front's address */
	fl.f.name_source = FACTS_NAME_DNS_ANSWER;
	fl.f.name_candidates[0] = get_host;
	fl.f.name_candidates[1] = put_host;
	fl.f.n_name_candidates = 2;
	judge_classify(sc->judge, &fl.f, &v);
	assert_true(v.has_destination);
	assert_string_equal(v.destination.row->service, "azure_blob");
	assert_string_equal(v.destination.account, ""); /* one of two: not known */
	fl.f.name_candidates[0] = "cdn.example";
	judge_classify(sc->judge, &fl.f, &v);
	assert_false(v.has_destination);
	scene_free(sc);
}

/* The name says whose host it is, the address whose network: where only one service's own network fits the name, another
 * address is told. */
static void classify__name_at_another_networks_address__mismatch(void **state)
{
	(void)state;
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	static const struct {
		const char *name;
		uint8_t ip[4], source;
		bool mismatch;
	} kinds[] = {
	    {"content.dropboxapi.com", {162, 125, 21, 3}, FACTS_NAME_TLS_SNI, false}, /* at home */
	    {"content.dropboxapi.com", {203, 0, 113, 66}, FACTS_NAME_TLS_SNI, true},  /* nobody's */
	    {"content.dropboxapi.com", {203, 0, 113, 66}, FACTS_NAME_QUIC_SNI, true},
	    {"content.dropboxapi.com", {20, 60, 133, 132}, FACTS_NAME_TLS_SNI, true}, /* Azure's */
	    {"acme.blob.core.windows.net", {162, 125, 21, 3}, FACTS_NAME_TLS_SNI, true},
	    {"acme.blob.core.windows.net", {203, 0, 113, 66}, FACTS_NAME_TLS_SNI, false}, /* Azure is wide: unknown */
	    {"acme.blob.core.windows.net", {20, 60, 133, 132}, FACTS_NAME_TLS_SNI, false},
	    {"cfl.dropboxstatic.com", {104, 16, 100, 29}, FACTS_NAME_TLS_SNI, false}, /* rented from a front */
	    {"content.dropboxapi.com", {10, 0, 0, 8}, FACTS_NAME_TLS_SNI, false},     /* a proxy inside */
	    {"content.dropboxapi.com", {203, 0, 113, 66}, FACTS_NAME_DNS_ANSWER, false}, /* the resolver said so */
	    {"intranet.example", {162, 125, 21, 3}, FACTS_NAME_TLS_SNI, false},       /* nothing known of it */
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		struct verdict v;
		struct scene_flow fl = scene_tls(1, kinds[i].name, T0, 5000, 100);
		const uint8_t *ip = kinds[i].ip;
		fl.f.dst = scene_v4(ip[0], ip[1], ip[2], ip[3], 443);
		fl.f.name_source = kinds[i].source;
		judge_classify(sc->judge, &fl.f, &v);
		assert_int_equal(v.sni_ip_mismatch, kinds[i].mismatch);
		fl.f.connect_host = "upload.example";
		judge_classify(sc->judge, &fl.f, &v);
		assert_false(v.sni_ip_mismatch); /* the address is the proxy's */
	}
	scene_free(sc);
}

static void classify__direction__at_the_edges(void **state)
{
	(void)state;
	static const struct {
		uint64_t up, down;
		enum verdict_direction want;
	} cases[] = {{255, 255, VERDICT_IDLE},      {256, 255, VERDICT_BOTH},  {0, 256, VERDICT_BOTH},
		     {999, 0, VERDICT_BOTH},        {1000, 0, VERDICT_UPLOAD}, {1000, 500, VERDICT_UPLOAD},
		     {1000, 501, VERDICT_BOTH},     {1001, 501, VERDICT_BOTH}, {0, 1000, VERDICT_DOWNLOAD},
		     {500, 1000, VERDICT_DOWNLOAD}, {501, 1000, VERDICT_BOTH}, {0, 0, VERDICT_IDLE}};
	struct scene *sc = scene_new();
	scene_begin(sc, NULL);
	for (int app = 0; app < 2; app++)
		for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
			struct scene_flow fl = scene_tls(1, NULL, T0, 0, 0);
			scene_bytes(&fl.f.up, app ? cases[i].up : 7, app ? 90000 : cases[i].up);
			scene_bytes(&fl.f.down, app ? cases[i].down : 7, app ? 10 : cases[i].down);
			fl.f.app_known = app;
			struct verdict v;
			judge_classify(sc->judge, &fl.f, &v);
			if (v.direction != cases[i].want)
				fail_msg("%d/%d: %s", (int)cases[i].up, (int)cases[i].down,
					 verdict_direction_names[v.direction]);
		}
	scene_free(sc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(finish__lab_scenario__the_put_and_the_big_upload_only),
	    cmocka_unit_test(finish__lab_scenario__download_is_in_the_timeline_as_one),
	    cmocka_unit_test(verdict__lab_scenario__records_say_why_nothing_fires),
	    cmocka_unit_test(finish__flows_in_any_order__same_findings),
	    cmocka_unit_test(finish__owner_known_less_well__weaker_text),
	    cmocka_unit_test(finish__no_device_known__address_is_told),
	    cmocka_unit_test(finish__device_name_with_a_slash__told_whole),
	    cmocka_unit_test(finish__payload_only__names_the_layer),
	    cmocka_unit_test(finish__application_bytes_implausible__payload_is_told),
	    cmocka_unit_test(finish__command_and_file_event_of_one_archive__told_once),
	    cmocka_unit_test(finish__powershell_to_crash_dump_account__judged_as_blob),
	    cmocka_unit_test(verdict__telemetry_by_unexpected_or_unknown__as_documented),
	    cmocka_unit_test(finish__sanctioned__nothing_and_the_record_says_so),
	    cmocka_unit_test(finish__parallel_flows_of_one_upload__one_finding_with_sums),
	    cmocka_unit_test(finish__pause_of_the_gap__two_episodes),
	    cmocka_unit_test(finish__two_processes_two_accounts__findings_apart),
	    cmocka_unit_test(finish__get_then_put_same_account__only_the_put_counts),
	    cmocka_unit_test(finish__pulled_from_a_device__counted_down),
	    cmocka_unit_test(finish__upload_from_outside_to_our_server__no_finding),
	    cmocka_unit_test(finish__public_address_uploads__finding),
	    cmocka_unit_test(finish__process_uploads_to_two_accounts__neither_told_as_download),
	    cmocka_unit_test(finish__address_only__low_severity_and_no_1002),
	    cmocka_unit_test(finish__two_names_by_dns__the_sentence_names_both),
	    cmocka_unit_test(finish__upload_after_a_pause__archive_before_the_burst_counts),
	    cmocka_unit_test(classify__names__decide_before_addresses),
	    cmocka_unit_test(classify__name_at_another_networks_address__mismatch),
	    cmocka_unit_test(classify__direction__at_the_edges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
