/* sink_hunt: the answer to "did this device upload", above all when it must not be "no". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "detect/sinks/sinks.h"
#include "tests/unit/tell.h"

static const uint64_t second_ns = UINT64_C(1000000000);

/* A world in which the answer is "no": a download by the device, seen from before the window to after it. */
struct world {
	struct flow_facts facts;
	struct verdict verdict;
	struct sink_stats stats;
	struct catalogue_row row;
	bool answered; /* the device is the responder */
};

static struct world quiet_world(void)
{
	struct world w = {.facts = tell_facts(1), .stats = {.last = true, .track.packets = 23}, .row = tell_blob};
	w.facts.start_ns = tell_t0_ns - 60 * second_ns;
	w.facts.end_ns = tell_t0_ns + 60 * second_ns;
	w.facts.up.app_bytes = 464;
	w.facts.down.app_bytes = 1600658;
	return w;
}

static char *answer(struct world *w)
{
	struct sink_conf conf = {.hunt_device = "ws-0417", .hunt_from_ns = tell_t0_ns - second_ns, .hunt_to_ns = tell_t0_ns + second_ns};
	char path[] = "/tmp/leaktap-hunt.XXXXXX";
	struct sink *s;
	struct err err;
	size_t n;
	w->verdict = tell_verdict(&w->facts);
	w->verdict.destination.row = &w->row;
	if (w->answered) {
		owner_none(&w->verdict.initiator, OWNER_CAUSE_NO_EVENT);
		w->verdict.responder = tell_owner();
		w->verdict.responder.process.name = "nginx.exe";
		w->verdict.has_responder = true;
	}
	w->verdict.direction = (uint8_t)verdict_direction_of(w->facts.up.app_bytes, w->facts.down.app_bytes);
	assert_int_equal(sink_hunt.open(&s, &conf, &err), 0);
	sink_hunt.flow(s, &w->verdict);
	sink_hunt.stats(s, &w->stats);
	int fd = mkstemp(path), saved = dup(STDOUT_FILENO);
	assert_true(fd >= 0);
	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	int r = sink_hunt.close(s, &err);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	char *text = tell_read(path, &n);
	unlink(path);
	assert_int_equal(r, 0);
	assert_non_null(text);
	return text;
}

static void says(struct world w, const char *want)
{
	char *text = answer(&w);
	const char *last = strrchr(text, '\n') == text + strlen(text) - 1 ? text + strlen(text) - 1 : text;
	while (last > text && last[-1] != '\n')
		last--;
	if (strncmp(last, want, strlen(want)))
		fail_msg("says %s, not %s", last, want);
	free(text);
}

static void answer__all_of_it_seen__no_upload(void **state)
{
	(void)state;
	says(quiet_world(), "no_upload_observed\n");
}

static void answer__upload__counted(void **state)
{
	(void)state;
	struct world w = quiet_world();
	w.facts.up.app_bytes = 1752;
	w.facts.down.app_bytes = 412;
	says(w, "1 upload, 1752 bytes\n");
}

static void answer__much_both_ways__not_no(void **state)
{
	(void)state;
	struct world w = quiet_world();
	w.facts.up.app_bytes = 900300;
	w.facts.down.app_bytes = 600200;
	says(w, "not established: connections that are no upload as a whole carried bytes up; at most 900300 unexplained");
	w.facts.up.app_bytes = 800; /* a small archive: 1003 fires on it, yet it is no upload by direction */
	w.facts.down.app_bytes = 60;
	says(w, "not established: connections that are no upload as a whole carried bytes up; at most 800 unexplained");
	w.row.role = CATALOGUE_TELEMETRY;
	says(w, "no_upload_observed\n");
}

static void answer__download_then_upload_on_one_connection__not_no(void **state)
{
	(void)state;
	struct world w = quiet_world();
	w.facts.up.app_bytes = 5300;
	w.facts.down.app_bytes = 2000200;
	says(w, "not established: connections that are no upload as a whole carried bytes up; at most 5300 unexplained");
	w.row.role = CATALOGUE_WEB; /* requests of a browser */
	says(w, "no_upload_observed\n");
}

static void answer__something_unseen__not_no(void **state)
{
	(void)state;
	static const struct {
		struct sink_stats stats;
		const char *want;
	} cases[] = {
		{{.last = true, .source.kernel_drops = 1}, "not established: packets were dropped before capture; at most 0"},
		{{.last = true, .source.filtered = 1}, "not established: the packet filter left packets out; at most 0"},
		{{.last = true, .partial = true}, "not established: part of the input could not be read; at most 0"},
		{{.last = true, .source.undecoded = 1}, "not established: part of the input could not be read; at most 0"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct world w = quiet_world();
		w.stats = cases[i].stats;
		says(w, cases[i].want);
	}
	struct world w = quiet_world();
	w.facts.end_ns = tell_t0_ns;
	says(w, "not established: the capture does not cover the whole window; at most 0");
	w = quiet_world();
	w.facts.name_source = FACTS_NAME_ECH_OUTER;
	says(w, "not established: bytes went to destinations without a name; at most 2147 unexplained");
}

static void answer__pulled_from_the_device__its_process_and_what_went_down(void **state)
{
	(void)state;
	struct world w = quiet_world();
	w.answered = true;
	char *text = answer(&w);
	assert_non_null(strstr(text, "nginx.exe 4188           A "));
	assert_non_null(strstr(text, "\n1 upload, 1600658 bytes\n"));
	free(text);
}

static void answer__run_failed__none(void **state)
{
	(void)state;
	struct world w = quiet_world();
	w.stats.last = false;
	char *text = answer(&w);
	assert_string_equal(text, "");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answer__all_of_it_seen__no_upload),
	    cmocka_unit_test(answer__upload__counted),
	    cmocka_unit_test(answer__much_both_ways__not_no),
	    cmocka_unit_test(answer__download_then_upload_on_one_connection__not_no),
	    cmocka_unit_test(answer__something_unseen__not_no),
	    cmocka_unit_test(answer__pulled_from_the_device__its_process_and_what_went_down),
	    cmocka_unit_test(answer__run_failed__none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
