/* sink_records: lines into a file, in every format; files planted in its place refused; failures told. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "detect/sinks/sinks.h"
#include "tests/unit/tell.h"

static char dir[] = "/tmp/leaktap-sink.XXXXXX", path[128];

static int make_dir(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "%s/records", mkdtemp(dir) ? dir : "");
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct sink *opened(const char *target, const char *format, unsigned records)
{
	struct sink_conf conf = {.target = target, .format = format, .records = records, .sensor = "tap1"};
	struct err err = {0};
	struct sink *s = NULL;
	int r = sink_records.open(&s, &conf, &err);
	if (r)
		print_message("%s\n", err.text);
	assert_int_equal(r, 0);
	return s;
}

static void tell_all(struct sink *s, bool hostile)
{
	struct flow_facts f = tell_facts(7);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	if (hostile) {
		tell_hostile_facts(&f);
		tell_hostile_verdict(&v);
		tell_hostile_finding(&fi);
		fi.title = TELL_HOSTILE;
	}
	struct sink_attribution a = {.time_ns = f.end_ns, .verdict = &v};
	struct sink_stats st = {.time_ns = f.end_ns};
	assert_int_equal(sink_records.flow(s, &v), 0);
	assert_int_equal(sink_records.finding(s, &fi), 0);
	assert_int_equal(sink_records.attribution(s, &a), 0);
	assert_int_equal(sink_records.stats(s, &st), 0);
}

static char *told(const char *format, unsigned records, bool hostile, size_t *ret_lines)
{
	struct sink *s = opened(path, format, records);
	struct err err = {0};
	size_t n;
	tell_all(s, hostile);
	assert_int_equal(sink_records.close(s, &err), 0);
	char *text = tell_read(path, &n);
	assert_non_null(text);
	*ret_lines = 0;
	for (size_t i = 0; i < n; i++)
		*ret_lines += text[i] == '\n';
	assert_true(n == 0 || text[n - 1] == '\n');
	return text;
}

static void records__lists__only_what_was_asked_for(void **state)
{
	(void)state;
	static const char *const names[] = {"\"event_type\":\"flow\"", "\"event_type\":\"alert\"", "\"event_type\":\"attribution\"",
					    "\"event_type\":\"stats\""};
	for (unsigned mask = 0; mask <= SINK_ALL; mask++) {
		size_t lines;
		char *text = told("eve", mask, false, &lines);
		assert_int_equal(lines, __builtin_popcount(mask));
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(strstr(text, names[i]) != NULL, mask >> i & 1);
		free(text);
	}
}

static void records__ecs_and_ocsf_hostile__lines_of_json(void **state)
{
	(void)state;
	static const char *const formats[] = {"eve", "ecs", "ocsf"};
	static const size_t wanted[] = {4, 3, 3}; /* only EVE has statistics */
	for (size_t i = 0; i < 3; i++) {
		size_t lines;
		char *text = told(formats[i], SINK_ALL, true, &lines), *at = text;
		assert_int_equal(lines, wanted[i]);
		assert_true(tell_is_tame(text, strlen(text)));
		for (; *at; at = strchr(at, '\n') + 1) {
			json_t *doc = json_loadb(at, strcspn(at, "\n"), JSON_REJECT_DUPLICATES, NULL);
			assert_non_null(doc);
			json_decref(doc);
		}
		free(text);
	}
}

/* A CEF line has seven unescaped pipes in front of its extension and, in it, no unescaped = inside a value. */
static void records__cef_hostile__fields_stay_apart(void **state)
{
	(void)state;
	size_t lines;
	char *text = told("cef", SINK_ALL, true, &lines), *at = text;
	assert_int_equal(lines, 3);
	assert_true(tell_is_tame(text, strlen(text)));
	for (size_t i = 0; i < 3; i++, at = strchr(at, '\n') + 1) {
		assert_memory_equal(at, "CEF:0|leaktap|leaktap|", 22);
		unsigned pipes = 0;
		char *p = at;
		for (; pipes < 7; p++) {
			assert_true(*p != '\n');
			if (*p == '\\')
				p++;
			else
				pipes += *p == '|';
		}
		assert_memory_equal(p, "rt=17724429", 11);
		assert_null(strstr(p, "alert(1)>\"'`&|=1")); /* the = is escaped */
	}
	assert_non_null(strstr(text, "\\=1+1\\\\%n%s"));
	assert_non_null(strstr(text, " cs1Label=mitreTechniques cs1=T1567.002 T1560.001"));
	free(text);
}

/* More than fits any buffer on the way: a value is told whole. */
static void records__cef_long_sentence__not_cut(void **state)
{
	(void)state;
	enum { N = 20000 };
	static char sentence[N + 1];
	memset(sentence, '=', N);
	struct flow_facts f = tell_facts(7);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	fi.sentence = sentence;
	struct sink *s = opened(path, "cef", SINK_ALL);
	struct err err;
	assert_int_equal(sink_records.finding(s, &fi), 0);
	assert_int_equal(sink_records.close(s, &err), 0);
	size_t n;
	char *text = tell_read(path, &n), *msg = strstr(text, " msg=");
	assert_non_null(msg);
	assert_int_equal(strlen(msg + 5), 2 * N + 1);
	free(text);
}

static void records_open__planted_targets__refused(void **state)
{
	(void)state;
	char other[140];
	struct sink_conf conf = {.target = path, .format = "eve", .records = SINK_ALL, .sensor = "t"};
	struct sink *s;
	struct err err;
	snprintf(other, sizeof other, "%s.other", path);
	unlink(path);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(sink_records.open(&s, &conf, &err), -ELOOP);
	assert_int_equal(access(other, F_OK), -1);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(sink_records.open(&s, &conf, &err) < 0); /* and does not wait for a reader */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(sink_records.open(&s, &conf, &err) < 0);
	rmdir(path);
	conf.format = "xml";
	assert_int_equal(sink_records.open(&s, &conf, &err), LT_EUSAGE);
}

static void records_open__a_new_file__is_nobody_elses(void **state)
{
	(void)state;
	struct stat st;
	struct err err;
	mode_t old = umask(0);
	unlink(path);
	struct sink *s = opened(path, "eve", SINK_ALL);
	assert_int_equal(sink_records.close(s, &err), 0);
	umask(old);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
}

static void records__disk_full__told_and_sticky(void **state)
{
	(void)state;
	int saved = dup(STDOUT_FILENO), full = open("/dev/full", O_WRONLY);
	assert_true(saved >= 0 && full >= 0);
	struct sink *s = opened("-", "eve", SINK_ALL);
	fflush(stdout);
	dup2(full, STDOUT_FILENO);
	tell_all(s, false);
	int ticked = sink_records.tick(s, 0), again = sink_records.tick(s, 0);
	struct err err = {0};
	int closed = sink_records.close(s, &err);
	dup2(saved, STDOUT_FILENO);
	close(full);
	close(saved);
	assert_int_equal(ticked, -ENOSPC);
	assert_int_equal(again, -ENOSPC);
	assert_int_equal(closed, -ENOSPC);
	assert_non_null(strstr(err.text, "No space left"));
}

/* A pipe that somebody else made non-blocking, read slowly: waited for, nothing lost. */
static void records__pipe_that_would_block__waits(void **state)
{
	(void)state;
	enum { FLOWS = 400 };
	int ends[2], saved = dup(STDOUT_FILENO);
	assert_int_equal(pipe(ends), 0);
	fflush(stdout);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) { /* counts lines */
		char buf[4096];
		int lines = 0;
		close(ends[1]);
		usleep(200000);
		for (ssize_t n; (n = read(ends[0], buf, sizeof buf)) > 0;)
			for (ssize_t i = 0; i < n; i++)
				lines += buf[i] == '\n';
		_exit(lines == FLOWS ? 0 : 1);
	}
	close(ends[0]);
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	dup2(ends[1], STDOUT_FILENO);
	close(ends[1]);
	struct sink *s = opened("-", "eve", SINK_ALL);
	struct flow_facts f = tell_facts(7);
	struct verdict v = tell_verdict(&f);
	int r = 0;
	struct err err;
	for (int i = 0; i < FLOWS; i++)
		r |= sink_records.flow(s, &v);
	r |= sink_records.close(s, &err);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	int status;
	waitpid(child, &status, 0);
	assert_int_equal(r, 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records__lists__only_what_was_asked_for),
		cmocka_unit_test(records__ecs_and_ocsf_hostile__lines_of_json),
		cmocka_unit_test(records__cef_hostile__fields_stay_apart),
		cmocka_unit_test(records__cef_long_sentence__not_cut),
		cmocka_unit_test(records_open__planted_targets__refused),
		cmocka_unit_test(records_open__a_new_file__is_nobody_elses),
		cmocka_unit_test(records__disk_full__told_and_sticky),
		cmocka_unit_test(records__pipe_that_would_block__waits),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
