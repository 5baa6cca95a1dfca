/* Following files: every line once, whatever happens to the file. Lines are numbers, so that the truth is counting. */
#include "capture/evsource.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"

static struct capdir dir;
static char keep[128]; /* checkpoint, outside of the followed directory */

static int enter(void **state)
{
	(void)state;
	capfile_enter(&dir);
	snprintf(keep, sizeof keep, "%s.checkpoint", dir.path);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	char cmd[512];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'/* '%s' '%s.lock' '%s.new'", dir.path, keep, keep, keep);
	assert_int_equal(system(cmd), 0);
	capfile_leave(&dir);
	return 0;
}

static const char *in(const char *name)
{
	static char path[4][256];
	static int turn;
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir.path, name);
	return path[turn];
}

static void append(const char *name, const char *text)
{
	FILE *f = fopen(in(name), "a");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void append_numbers(const char *name, unsigned from, unsigned to)
{
	FILE *f = fopen(in(name), "a");
	for (unsigned i = from; i < to; i++)
		fprintf(f, "line %u, and so that marks have something to hold on to: %u\n", i, i * 7919u);
	fclose(f);
}

static void sh(const char *fmt, const char *a, const char *b)
{
	char cmd[1024];
	char *p = cmd, *end = cmd + sizeof cmd;
	for (; *fmt; fmt++) {
		if (*fmt == 'A' || *fmt == 'B')
			p += snprintf(p, (size_t)(end - p), "%s/%s", dir.path, *fmt == 'A' ? a : b);
		else
			*p++ = *fmt;
	}
	*p = 0;
	assert_int_equal(system(cmd), 0);
}

static enum evsource_form form_of(const char *head, size_t n)
{
	if (n && head[0] == '#')
		return EVSOURCE_HEADED;
	return n && head[0] == '{' ? EVSOURCE_WHOLE : EVSOURCE_LINES;
}

static struct evsource *follow(const char *path, bool with_checkpoint)
{
	struct evsource *es = NULL;
	struct err err = {0};
	struct evsource_conf conf = {.sources = &path, .n_sources = 1, .checkpoint = with_checkpoint ? keep : NULL, .form = form_of};
	if (evsource_follow(&es, &conf, &err))
		fail_msg("%s", err.text);
	return es;
}

/* Polls until nothing has come for a while, and several polls long (on a busy machine one alone may take that while); all bytes to
 * out, terminated. Confirms all when asked. */
static size_t drain_for(struct evsource *es, char *out, size_t room, bool confirm, unsigned quiet_ms)
{
	enum { QUIET_POLLS = 6 };
	unsigned n_quiet = 0;
	size_t n = 0;
	bool open = false;
	struct timespec last, now;
	clock_gettime(CLOCK_MONOTONIC, &last);
	for (;;) {
		struct evchunk c;
		struct err err;
		int r = evsource_poll(es, &c, &err);
		clock_gettime(CLOCK_MONOTONIC, &now);
		n_quiet = r ? 0 : n_quiet + 1;
		if (r == 1) {
			assert_int_equal(c.begins, !open);
			open = !c.ends;
			assert_true(n + c.n < room);
			if (c.n)
				memcpy(out + n, c.bytes, c.n);
			n += c.n;
			if (confirm)
				evsource_confirm(es, c.number);
			last = now;
		} else if (r < 0) {
			n += (size_t)snprintf(out + n, room - n, "!%d", r);
			last = now;
		}
		if ((now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 > (long)quiet_ms && !open && n_quiet >= QUIET_POLLS)
			break;
	}
	out[n] = 0;
	return n;
}

static size_t drain(struct evsource *es, char *out, size_t room, bool confirm)
{
	return drain_for(es, out, room, confirm, 400);
}

enum { MANY = 20000 };
static unsigned times[MANY];

/* Counts which numbered lines are in text; a line that is not whole fails. */
static void count_lines(const char *text)
{
	unsigned number, check;
	int used;
	while (*text) {
		used = 0;
		if (sscanf(text, "line %u, and so that marks have something to hold on to: %u\n%n", &number, &check, &used) != 2 || !used)
			fail_msg("not a line of ours: %.80s", text);
		assert_int_equal(check, number * 7919u);
		assert_true(number < MANY);
		times[number]++;
		text += used;
	}
}

static void expect_once(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (times[i] != 1)
			fail_msg("line %u came %u times", i, times[i]);
	for (unsigned i = n; i < MANY; i++)
		assert_int_equal(times[i], 0);
}

static char text[4 << 20];

static void read_more(struct evsource *es)
{
	drain(es, text, sizeof text, true);
	count_lines(text);
}

static int enter_counting(void **state)
{
	memset(times, 0, sizeof times);
	return enter(state);
}

/* ---- growth ---- */

static void poll__file_created_late_and_growing__each_line_once(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), false);
	struct evchunk c;
	struct err err;
	assert_int_equal(evsource_poll(es, &c, &err), 0);
	append_numbers("log", 0, 10);
	read_more(es);
	append_numbers("log", 10, 5000); /* larger than a chunk */
	read_more(es);
	evsource_close(es);
	expect_once(5000);
}

static void poll__unfinished_line__waits_for_its_newline(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), false);
	append("log", "one\ntw");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "one\n");
	append("log", "o");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "");
	append("log", "\n");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "two\n");
	evsource_close(es);
}

static void poll__unfinished_line_of_a_file_that_goes__handed_out(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), false);
	append("log", "one\ntwo");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "one\n");
	unlink(in("log"));
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "two");
	evsource_close(es);
}

static void poll__unfinished_line_idle_then_completed__whole_line_comes(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), true);
	append("log", "one\ntw");
	drain_for(es, text, sizeof text, true, 10600);
	assert_string_equal(text, "one\ntw");
	evsource_close(es);
	es = follow(in("log"), true);
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "");
	append("log", "o\nthree\n");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "two\nthree\n");
	evsource_close(es);
}

static void poll__headed_file_resumed__first_line_again(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), false);
	append("log", "#a,b\n1,2\n");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "#a,b\n1,2\n");
	append("log", "3,4\n");
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "#a,b\n3,4\n");
	evsource_close(es);
}

static void poll__whole_file_changed__all_again(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), true);
	append("log", "{\n1");
	drain_for(es, text, sizeof text, true, 2000);
	assert_string_equal(text, "{\n1");
	append("log", "\n2}");
	drain_for(es, text, sizeof text, true, 2000);
	assert_string_equal(text, "{\n1\n2}");
	evsource_close(es);
	es = follow(in("log"), true);
	drain_for(es, text, sizeof text, true, 2000);
	assert_string_equal(text, "");
	evsource_close(es);
}

/* ---- rotation ---- */

static void rotate__rename_with_unread_lines__none_lost(void **state)
{
	(void)state;
	struct evsource *es = follow(dir.path, true);
	append_numbers("log", 0, 100);
	read_more(es);
	append_numbers("log", 100, 200);
	sh("mv A B", "log", "log.1");
	append_numbers("log", 200, 300);
	read_more(es);
	append_numbers("log.1", 300, 310); /* a writer that still has it open */
	read_more(es);
	evsource_close(es);
	expect_once(310);
}

static void rotate__single_file_renamed_away__rest_then_the_new_one(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), true);
	append_numbers("log", 0, 100);
	read_more(es);
	append_numbers("log", 100, 200);
	sh("mv A B", "log", "log.1");
	append_numbers("log", 200, 300);
	read_more(es);
	evsource_close(es);
	expect_once(300);
}

static void rotate__copytruncate__copy_not_read_again_its_rest_is(void **state)
{
	(void)state;
	struct evsource *es = follow(dir.path, true);
	append_numbers("log", 0, 100);
	read_more(es);
	append_numbers("log", 100, 120); /* never read from the original */
	sh("cp A B && : >A", "log", "log.1");
	append_numbers("log", 120, 130);
	drain_for(es, text, sizeof text, true, 2000);
	count_lines(text);
	evsource_close(es);
	expect_once(130);
}

static void rotate__truncated_and_grown_beyond__noticed(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), false);
	append_numbers("log", 0, 50);
	read_more(es);
	sh(": >A", "log", NULL);
	append_numbers("log", 50, 500);
	read_more(es);
	evsource_close(es);
	expect_once(500);
}

static void rotate__inode_used_again__new_content_read(void **state)
{
	(void)state;
	append_numbers("log", 0, 100);
	struct evsource *es = follow(in("log"), true);
	read_more(es);
	evsource_close(es);
	struct stat st, now;
	stat(in("log"), &st);
	/* the same inode with other content is what a reuse looks like, whatever the file system does */
	sh(": >A", "log", NULL);
	append_numbers("log", 100, 300);
	stat(in("log"), &now);
	assert_int_equal(st.st_ino, now.st_ino);
	es = follow(in("log"), true);
	read_more(es);
	evsource_close(es);
	expect_once(300);
}

static void rotate__gzip_of_what_was_read_in_part__rest_only(void **state)
{
	(void)state;
	append_numbers("log", 0, 100);
	struct evsource *es = follow(dir.path, true);
	read_more(es);
	evsource_close(es);
	append_numbers("log", 100, 200);
	sh("mv A B && gzip B", "log", "log.1");
	append_numbers("log", 200, 250);
	es = follow(dir.path, true);
	drain_for(es, text, sizeof text, true, 2000);
	count_lines(text);
	evsource_close(es);
	expect_once(250);
}

static void rotate__gzip_while_running__nothing_twice(void **state)
{
	(void)state;
	append_numbers("log", 0, 300);
	struct evsource *es = follow(dir.path, true);
	read_more(es);
	sh("mv A B && gzip B", "log", "log.1");
	append_numbers("log", 300, 350);
	drain_for(es, text, sizeof text, true, 2000);
	count_lines(text);
	sh("mv A B", "log.1.gz", "log.2.gz");
	drain_for(es, text, sizeof text, true, 2000);
	count_lines(text);
	evsource_close(es);
	expect_once(350);
}

static void rotate__while_nobody_runs_single_file__found_beside(void **state)
{
	(void)state;
	append_numbers("log", 0, 100);
	append_numbers("logs.txt", 5000, 5010); /* another file of somebody else's */
	append_numbers("log.old", 6000, 6010);
	struct evsource *es = follow(in("log"), true);
	read_more(es);
	evsource_close(es);
	append_numbers("log", 100, 150);
	sh("mv A B", "log", "log.1");
	append_numbers("log", 150, 200);
	es = follow(in("log"), true);
	read_more(es);
	evsource_close(es);
	expect_once(200);
}

/* ---- checkpoint ---- */

static void checkpoint__only_confirmed__rest_comes_again(void **state)
{
	(void)state;
	append("log", "one\n");
	struct evsource *es = follow(in("log"), true);
	drain(es, text, sizeof text, true);
	append("log", "two\n");
	drain(es, text, sizeof text, false);
	assert_string_equal(text, "two\n");
	evsource_close(es);
	es = follow(in("log"), true);
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "two\n");
	evsource_close(es);
}

static void checkpoint__damaged_or_of_another_version__starts_clean(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "leaktap checkpoint 2\nend 00000000\n", "leaktap checkpoint 1\n1 2 3 4\nend 12345678\n", "\1\2\3"};
	append("log", "one\n");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		FILE *f = fopen(keep, "w");
		fputs(bad[i], f);
		fclose(f);
		struct evsource *es = follow(in("log"), true);
		drain(es, text, sizeof text, true);
		assert_string_equal(text, "one\n");
		evsource_close(es);
	}
	struct evsource *es = follow(in("log"), true);
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "");
	evsource_close(es);
}

static void checkpoint__second_reader__busy(void **state)
{
	(void)state;
	struct evsource *es = follow(in("log"), true), *other;
	struct err err;
	const char *path = in("log");
	struct evsource_conf conf = {.sources = &path, .n_sources = 1, .checkpoint = keep};
	assert_int_equal(evsource_follow(&other, &conf, &err), -EBUSY);
	evsource_close(es);
}

static void checkpoint__names_with_strange_bytes__kept(void **state)
{
	(void)state;
	append("a b%20\n\xff", "one\n");
	struct evsource *es = follow(dir.path, true);
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "one\n");
	evsource_close(es);
	append("a b%20\n\xff", "two\n");
	es = follow(dir.path, true);
	drain(es, text, sizeof text, true);
	assert_string_equal(text, "two\n");
	evsource_close(es);
}

/* A reader killed at random moments while a writer appends and rotates. What the reader confirmed it wrote down before; a line may come
 * twice only when it was not confirmed, and none may be missing. */
static void reader(int out)
{
	struct evsource *es = NULL;
	const char *path = dir.path;
	struct evsource_conf conf = {.sources = &path, .n_sources = 1, .checkpoint = keep, .form = form_of};
	if (evsource_follow(&es, &conf, NULL))
		_exit(1);
	for (;;) {
		struct evchunk c;
		if (evsource_poll(es, &c, NULL) != 1)
			continue;
		if (c.n && write(out, c.bytes, c.n) != (ssize_t)c.n)
			_exit(1);
		evsource_confirm(es, c.number);
	}
}

static void take_pipe(int fd, bool *all)
{
	static char part[1 << 16];
	static char line[256];
	size_t at = 0;
	for (ssize_t n; (n = read(fd, part, sizeof part)) > 0;)
		for (ssize_t i = 0; i < n; i++) {
			line[at < sizeof line - 1 ? at++ : at] = part[i];
			if (part[i] != '\n')
				continue;
			unsigned number, check;
			line[at] = 0;
			assert_int_equal(sscanf(line, "line %u, and so that marks have something to hold on to: %u", &number, &check), 2);
			assert_int_equal(check, number * 7919u);
			all[number] = true;
			at = 0;
		}
}

static void kill__at_random_moments_with_rotation__nothing_lost(void **state)
{
	(void)state;
	static bool all[MANY];
	unsigned written = 0;
	memset(all, 0, sizeof all);
	srand(4711);
	for (unsigned round = 0; round < 8; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t pid = fork();
		if (pid == 0)
			reader(ends[1]);
		close(ends[1]);
		for (int step = 0; step < 6; step++) {
			unsigned more = (unsigned)rand() % 100;
			append_numbers("log", written, written + more);
			written += more;
			usleep((unsigned)rand() % 150000);
			if (rand() % 3 == 0) {
				char name[32];
				snprintf(name, sizeof name, "log.%u-%d", round, step);
				sh("mv A B", "log", name);
				if (rand() % 2)
					sh("gzip A", name, NULL);
			}
		}
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		take_pipe(ends[0], all);
		close(ends[0]);
	}
	struct evsource *es = follow(dir.path, true);
	drain_for(es, text, sizeof text, true, 2000);
	evsource_close(es);
	count_lines(text);
	for (unsigned i = 0; i < written; i++)
		if (!all[i] && !times[i])
			fail_msg("line %u of %u never came", i, written);
}

/* ---- misuse ---- */

static void open__pipe_or_queue__told_where_it_belongs(void **state)
{
	(void)state;
	struct evsource *es;
	struct err err;
	struct evsource_conf conf = {.sources = (const char *[]){"-"}, .n_sources = 1};
	assert_int_equal(evsource_follow(&es, &conf, &err), LT_EUSAGE);
	assert_int_equal(evsource_open(&es, (const char *[]){"redis-list:x"}, 1, &err), LT_EUSAGE);
	conf.sources = (const char *[]){"redis-stream:x"};
	assert_int_equal(evsource_follow(&es, &conf, &err), LT_EUSAGE); /* no Redis given */
	assert_true(evsource_lasts("redis-list:x") && evsource_lasts("kafka://b/t") && evsource_lasts(dir.path));
	assert_false(evsource_lasts("-"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter_counting, leave)
	const struct CMUnitTest tests[] = {
		T(poll__file_created_late_and_growing__each_line_once),
		T(poll__unfinished_line__waits_for_its_newline),
		T(poll__unfinished_line_of_a_file_that_goes__handed_out),
		T(poll__unfinished_line_idle_then_completed__whole_line_comes),
		T(poll__headed_file_resumed__first_line_again),
		T(poll__whole_file_changed__all_again),
		T(rotate__rename_with_unread_lines__none_lost),
		T(rotate__single_file_renamed_away__rest_then_the_new_one),
		T(rotate__copytruncate__copy_not_read_again_its_rest_is),
		T(rotate__truncated_and_grown_beyond__noticed),
		T(rotate__inode_used_again__new_content_read),
		T(rotate__gzip_of_what_was_read_in_part__rest_only),
		T(rotate__gzip_while_running__nothing_twice),
		T(rotate__while_nobody_runs_single_file__found_beside),
		T(checkpoint__only_confirmed__rest_comes_again),
		T(checkpoint__damaged_or_of_another_version__starts_clean),
		T(checkpoint__second_reader__busy),
		T(checkpoint__names_with_strange_bytes__kept),
		T(kill__at_random_moments_with_rotation__nothing_lost),
		T(open__pipe_or_queue__told_where_it_belongs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
