/* Live: revisions, owners that come late, and the caps. */
#include "tests/unit/scene.h"

static const char *const blob = "acct.blob.core.windows.net";

static struct scene *live(size_t max_flows)
{
	struct scene *sc = scene_new();
	sc->conf.revise = true;
	sc->conf.max_flows = max_flows;
	scene_begin(sc, NULL);
	return sc;
}

/* One growing upload; each call is one record. */
static struct scene_flow record(uint32_t seq, uint64_t total, uint64_t delta, uint64_t at_ns)
{
	struct scene_flow fl = scene_tls(1, blob, T0, 0, 300);
	fl.f.seq = seq;
	fl.f.last = false;
	fl.f.state = FACTS_STATE_ESTABLISHED;
	scene_minute(&fl, at_ns, delta);
	fl.f.up.bytes = fl.f.up.bytes_min = fl.f.up.bytes_max = fl.f.up.app_bytes = total;
	fl.f.end_ns = at_ns;
	fl.owner = scene_process("backup.exe", 900, 'A');
	return fl;
}

static void tick__growth__one_revision_per_minute(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	scene_told(sc, record(1, 9 * MIB, 9 * MIB, T0 + S_NS));
	judge_tick(sc->judge, T0 + S_NS);
	assert_int_equal(sc->n_found, 0);
	scene_told(sc, record(2, 12 * MIB, 3 * MIB, T0 + 2 * S_NS));
	judge_tick(sc->judge, T0 + 2 * S_NS);
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.version, 1);
	assert_int_equal(sc->found[0].f.bytes, 12 * MIB);
	scene_told(sc, record(3, 15 * MIB, 3 * MIB, T0 + 30 * S_NS));
	judge_tick(sc->judge, T0 + 30 * S_NS);
	judge_tick(sc->judge, T0 + 61 * S_NS);
	assert_int_equal(sc->n_found, 1);
	judge_tick(sc->judge, T0 + 62 * S_NS); /* no new record came: what waited is told all the same */
	assert_int_equal(sc->n_found, 2);
	assert_int_equal(sc->found[1].f.version, 2);
	assert_int_equal(sc->found[1].f.bytes, 15 * MIB);
	assert_string_equal(sc->found[1].f.id, sc->found[0].f.id);
	judge_tick(sc->judge, T0 + 600 * S_NS); /* nothing new, nothing told */
	assert_int_equal(sc->n_found, 2);
	scene_told(sc, record(4, 16 * MIB, MIB, T0 + 601 * S_NS));
	scene_told(sc, record(5, 17 * MIB, MIB, T0 + 602 * S_NS));
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 3);
	assert_int_equal(sc->found[2].f.bytes, 17 * MIB);
	struct judge_stats st;
	judge_stats(sc->judge, &st);
	assert_int_equal(st.findings, 1);
	assert_int_equal(st.revisions, 2);
	scene_free(sc);
}

static void tick__owner_comes_late__same_id_at_once(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	struct scene_flow fl = record(1, 12 * MIB, 12 * MIB, T0 + S_NS);
	fl.owner = (struct owner){.cause = OWNER_CAUSE_LATE, .grade = 'U'};
	scene_tell(sc, &fl);
	judge_tick(sc->judge, T0 + 2 * S_NS);
	assert_int_equal(sc->n_found, 1);
	assert_string_equal(sc->found[0].f.verdict, "upload_unattributed");
	fl.owner = scene_process("curl.exe", 9, 'A');
	fl.version = 2;
	scene_tell(sc, &fl);
	judge_tick(sc->judge, T0 + 3 * S_NS);
	assert_int_equal(sc->n_found, 2);
	assert_string_equal(sc->found[1].f.verdict, "upload_by_process");
	assert_string_equal(sc->found[1].f.id, sc->found[0].f.id);
	assert_int_equal(sc->found[1].f.version, 2);
	assert_true(scene_fired(&sc->found[1], 1002)); /* and what only a process can tell */
	assert_int_equal(sc->found[1].f.bytes, 12 * MIB);
	scene_free(sc);
}

static void tick__better_grade__revised(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	struct scene_flow fl = record(1, 12 * MIB, 12 * MIB, T0 + S_NS);
	fl.owner.grade = 'C';
	scene_tell(sc, &fl);
	judge_tick(sc->judge, T0 + 2 * S_NS);
	fl.owner.grade = 'A';
	fl.version = 2;
	scene_tell(sc, &fl);
	judge_tick(sc->judge, T0 + 3 * S_NS);
	assert_int_equal(sc->n_found, 2);
	assert_non_null(strstr(sc->found[0].sentence, "inferred"));
	assert_null(strstr(sc->found[1].sentence, "inferred"));
	scene_free(sc);
}

static void verdict__same_record_again__bytes_count_once(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	struct scene_flow fl = record(1, 6 * MIB, 6 * MIB, T0 + S_NS);
	for (fl.version = 1; fl.version < 5; fl.version++)
		scene_tell(sc, &fl);
	scene_told(sc, record(1, 6 * MIB, 6 * MIB, T0 + S_NS)); /* and an older version */
	judge_tick(sc->judge, T0 + 2 * S_NS);
	assert_int_equal(sc->n_found, 0);
	scene_told(sc, record(2, 10 * MIB, 4 * MIB, T0 + 3 * S_NS));
	scene_told(sc, record(1, 6 * MIB, 6 * MIB, T0 + S_NS)); /* an older record comes late */
	judge_tick(sc->judge, T0 + 4 * S_NS);
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.bytes, 10 * MIB);
	scene_free(sc);
}

/* A name that comes with a later record: what went before is not lost. */
static void verdict__name_comes_late__earlier_bytes_count(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	struct scene_flow early = record(1, 300, 300, T0 + S_NS);
	early.f.name = early.f.sni = NULL;
	early.f.name_source = FACTS_NAME_NONE;
	scene_tell(sc, &early);
	scene_told(sc, record(2, 10 * MIB, 10 * MIB - 300, T0 + 2 * S_NS));
	judge_tick(sc->judge, T0 + 3 * S_NS);
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.bytes, 10 * MIB);
	scene_free(sc);
}

static void tick__flow_turns_out_to_be_telemetry__no_further_word(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	struct scene_flow fl = record(1, 12 * MIB, 12 * MIB, T0 + S_NS);
	fl.f.name = fl.f.sni = "md-x.z1.blob.storage.azure.net";
	fl.owner = (struct owner){.cause = OWNER_CAUSE_LATE, .grade = 'U'};
	scene_tell(sc, &fl);
	fl.owner = scene_process("WaAppAgent.exe", 9, 'A');
	fl.version = 2;
	assert_non_null(scene_tell(sc, &fl).explanation);
	judge_tick(sc->judge, T0 + 2 * S_NS);
	assert_int_equal(sc->n_found, 0);
	scene_free(sc);
}

static void tick__two_days_of_idle__forgotten(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	scene_told(sc, record(1, 9 * MIB, 9 * MIB, T0 + S_NS));
	judge_tick(sc->judge, T0 + 48 * 3600 * S_NS);
	struct scene_flow fl =
	    scene_tls(2, blob, T0 + 30 * S_NS, 0, 300); /* would complete 10 MiB in 10 min */
	scene_minute(&fl, T0 + 31 * S_NS, 2 * MIB);
	fl.owner = scene_process("backup.exe", 900, 'A');
	scene_tell(sc, &fl);
	judge_tick(sc->judge, T0 + 48 * 3600 * S_NS + 1);
	assert_int_equal(sc->n_found, 0);
	scene_free(sc);
}

/* An upload that goes on for longer than the memory of single flows: its finding keeps all of them. */
static void tick__episode_of_thirty_hours__nothing_of_it_forgotten(void **state)
{
	(void)state;
	struct scene *sc = live(0);
	for (unsigned i = 0; i < 75; i++) {
		uint64_t at = T0 + i * 24 * MIN_NS;
		struct scene_flow fl = scene_tls(i + 1, blob, at, 5000, 300);
		fl.owner = scene_process("curl.exe", 9, 'A');
		scene_tell(sc, &fl);
		sc->n_found = 0;
		judge_tick(sc->judge, at + S_NS);
	}
	assert_int_equal(sc->n_found, 1);
	assert_int_equal(sc->found[0].f.version, 75);
	assert_int_equal(sc->found[0].f.app_bytes, 75 * 5000);
	scene_free(sc);
}

static void verdict__table_full__longest_idle_without_finding_goes(void **state)
{
	(void)state;
	struct scene *sc = live(4);
	for (unsigned i = 0; i < 6; i++) {
		char host[64];
		snprintf(host, sizeof host, "acct%u.blob.core.windows.net", i);
		struct scene_flow fl = scene_tls(i + 1, host, T0 + i * S_NS, i ? 600 : 5000, 300);
		fl.owner = scene_process("curl.exe", 9, 'A'); /* the first makes a finding */
		scene_tell(sc, &fl);
	}
	struct judge_stats st;
	judge_stats(sc->judge, &st);
	assert_int_equal(st.episodes_evicted, 2);
	assert_int_equal(st.flows_refused, 0);
	judge_tick(sc->judge, T0 + 60 * S_NS);
	assert_int_equal(sc->n_found, 1);
	assert_string_equal(sc->found[0].account, "acct0");
	scene_free(sc);
}

static void verdict__table_full_of_findings__new_flow_refused(void **state)
{
	(void)state;
	struct scene *sc = live(4);
	for (unsigned i = 0; i < 6; i++) {
		char host[64];
		snprintf(host, sizeof host, "acct%u.blob.core.windows.net", i);
		struct scene_flow fl = scene_tls(i + 1, host, T0 + i * S_NS, 5000, 300);
		fl.owner = scene_process("curl.exe", 9, 'A');
		scene_tell(sc, &fl);
	}
	struct judge_stats st;
	judge_stats(sc->judge, &st);
	assert_int_equal(st.flows_refused, 2);
	assert_int_equal(st.episodes_evicted, 0);
	judge_finish(sc->judge);
	assert_int_equal(sc->n_found, 4);
	scene_free(sc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(tick__growth__one_revision_per_minute),
	    cmocka_unit_test(tick__owner_comes_late__same_id_at_once),
	    cmocka_unit_test(tick__better_grade__revised),
	    cmocka_unit_test(verdict__same_record_again__bytes_count_once),
	    cmocka_unit_test(verdict__name_comes_late__earlier_bytes_count),
	    cmocka_unit_test(tick__flow_turns_out_to_be_telemetry__no_further_word),
	    cmocka_unit_test(tick__two_days_of_idle__forgotten),
	    cmocka_unit_test(tick__episode_of_thirty_hours__nothing_of_it_forgotten),
	    cmocka_unit_test(verdict__table_full__longest_idle_without_finding_goes),
	    cmocka_unit_test(verdict__table_full_of_findings__new_flow_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
