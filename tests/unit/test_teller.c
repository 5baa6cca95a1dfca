/* When a live flow is told: the hold, the order, the cap. What the join makes of it is held against packets
 * in tests/live/join.py. */
#include "detect/app/teller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/base/clock.h"
#include "tests/unit/tell.h"

enum { MAX_TOLD = 16 };

/* A run with a join of its own that writes into a file. */
struct stage {
	struct cli cli;
	struct run run;
	struct teller *teller;
	char path[64];
	struct {
		unsigned long long id;
		unsigned seq, version;
	} told[MAX_TOLD];
	size_t n_told;
};

static struct stage stage;

static void open_stage(size_t max_flows)
{
	struct err err = {0};
	memset(&stage, 0, sizeof stage);
	snprintf(stage.path, sizeof stage.path, "/tmp/lt-teller-XXXXXX");
	int fd = mkstemp(stage.path);
	assert_true(fd >= 0);
	close(fd);
	stage.cli = (struct cli){
	    .command = CLI_LIVE, .output = stage.path, .format = "eve", .records = SINK_ALL, .quiet = true};
	int r = run_open(&stage.run, &stage.cli, true, true, &err);
	if (r == LT_EREDIS && strstr(err.text, "not installed")) {
		printf("SKIPPED: %s\n", err.text);
		run_close(&stage.run, false);
		unlink(stage.path);
		skip();
	}
	assert_int_equal(r, 0);
	struct teller_conf tc = {.run = &stage.run, .max_flows = max_flows};
	assert_int_equal(teller_new(&stage.teller, &tc, &err), 0);
}

/* The flow records written so far. */
static size_t look(void)
{
	outlets_tick(&stage.run.outlets, 0);
	FILE *f = fopen(stage.path, "r");
	assert_non_null(f);
	static char line[16384];
	stage.n_told = 0;
	while (fgets(line, sizeof line, f)) {
		const char *id = strstr(line, "\"flow_id\":"), *seq = strstr(line, "\"seq\":"),
			   *version = strstr(line, "\"version\":");
		if (!strstr(line, "\"event_type\":\"flow\""))
			continue;
		assert_true(id && seq && version && stage.n_told < MAX_TOLD);
		version = strstr(line, "\"leaktap\":{\"version\":");
		assert_non_null(version);
		stage.told[stage.n_told].id = strtoull(id + strlen("\"flow_id\":"), NULL, 10);
		stage.told[stage.n_told].seq = (unsigned)strtoul(seq + strlen("\"seq\":"), NULL, 10);
		stage.told[stage.n_told++].version =
		    (unsigned)strtoul(version + strlen("\"leaktap\":{\"version\":"), NULL, 10);
	}
	fclose(f);
	return stage.n_told;
}

static void close_stage(void)
{
	teller_free(stage.teller);
	run_close(&stage.run, false);
	unlink(stage.path);
}

static void record(uint64_t id, uint32_t seq, bool joined)
{
	struct flow_facts f = tell_facts(id);
	f.seq = seq;
	if (!joined) /* a name nobody lists, and too few bytes */
		f.name = f.sni = "www.example.org";
	teller_record(stage.teller, &f);
}

static void record__not_joined__told_at_once(void **state)
{
	(void)state;
	open_stage(0);
	record(1, 1, false);
	assert_int_equal(look(), 1);
	assert_int_equal(stage.told[0].id, 1);
	close_stage();
}

static void record__joined__held_for_a_second(void **state)
{
	(void)state;
	struct err err;
	open_stage(0);
	uint64_t began_ns = clock_monotonic_ns();
	record(1, 1, true);
	assert_int_equal(teller_tick(stage.teller, clock_wall_ns(), &err), 0);
	assert_int_equal(look(), 0);
	while (!look()) {
		nanosleep(&(struct timespec){0, 10000000}, NULL);
		assert_int_equal(teller_tick(stage.teller, clock_wall_ns(), &err), 0);
		assert_true(clock_monotonic_ns() - began_ns < 60 * CLOCK_NS_PER_S);
	}
	assert_true(clock_monotonic_ns() - began_ns >= CLOCK_NS_PER_S);
	assert_int_equal(stage.told[0].version, 1);
	record(1, 2, true); /* nothing more is known, and nothing is waited for again */
	assert_int_equal(look(), 2);
	assert_int_equal(stage.told[1].seq, 2);
	assert_int_equal(stage.told[1].version, 1);
	close_stage();
}

static void record__update_of_a_held_flow__both_in_order(void **state)
{
	(void)state;
	open_stage(0);
	record(1, 1, true);
	assert_int_equal(look(), 0);
	record(1, 2, true);
	assert_int_equal(look(), 2);
	assert_int_equal(stage.told[0].seq, 1);
	assert_int_equal(stage.told[1].seq, 2);
	close_stage();
}

static void finish__held__told_in_order(void **state)
{
	(void)state;
	open_stage(0);
	for (uint64_t id = 1; id <= 5; id++)
		record(id, 1, true);
	assert_int_equal(look(), 0);
	teller_finish(stage.teller);
	assert_int_equal(look(), 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(stage.told[i].id, i + 1);
	teller_finish(stage.teller);
	assert_int_equal(look(), 5);
	close_stage();
}

static void record__table_full__longest_quiet_told_and_forgotten(void **state)
{
	(void)state;
	struct teller_stats st;
	open_stage(2);
	record(1, 1, true);
	record(2, 1, true);
	teller_stats(stage.teller, &st);
	assert_int_equal(st.forgotten, 0);
	assert_int_equal(look(), 0);
	record(3, 1, true);
	teller_stats(stage.teller, &st);
	assert_int_equal(st.forgotten, 1);
	assert_int_equal(look(), 1);
	assert_int_equal(stage.told[0].id, 1);
	teller_finish(stage.teller);
	assert_int_equal(look(), 3);
	close_stage();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(record__not_joined__told_at_once),
	    cmocka_unit_test(record__joined__held_for_a_second),
	    cmocka_unit_test(record__update_of_a_held_flow__both_in_order),
	    cmocka_unit_test(finish__held__told_in_order),
	    cmocka_unit_test(record__table_full__longest_quiet_told_and_forgotten),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
