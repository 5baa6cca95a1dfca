#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detect/attrib/server.h"

static struct server *start(void)
{
	struct server *s;
	struct err err = {0};
	if (access("/usr/bin/redis-server", X_OK) != 0) {
		print_message("SKIPPED: redis-server is not installed\n");
		skip();
	}
	if (server_start(&s, &err))
		fail_msg("%s", err.text);
	return s;
}

static long server_pid(const struct redis_url *url)
{
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, url, 1000, NULL), 0);
	assert_int_equal(redis_do(r, &rr, NULL, "INFO", "server", (char *)NULL), 0);
	const char *at = strstr(redis_reply_string(rr, NULL), "process_id:");
	assert_non_null(at);
	long pid = strtol(at + 11, NULL, 10);
	redis_reply_free(rr);
	redis_close(r);
	return pid;
}

static bool gone_soon(long pid, const char *dir)
{
	for (int i = 0; i < 300; i++) {
		if (kill((pid_t)pid, 0) != 0 && access(dir, F_OK) != 0)
			return true;
		usleep(10000);
	}
	return false;
}

static void start__private__settings_hold(void **state)
{
	(void)state;
	static const char *const want[][2] = {{"port", "0"}, {"save", ""}, {"appendonly", "no"}, {"maxmemory-policy", "noeviction"},
					      {"hash-max-listpack-entries", "512"}, {"hash-max-listpack-value", "1024"}};
	struct server *s = start();
	struct stat st;
	struct redis *r;
	assert_int_equal(stat(server_directory(s), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(stat(server_url(s)->host, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(redis_open(&r, server_url(s), 1000, NULL), 0);
	for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		struct redis_reply *rr;
		assert_int_equal(redis_do(r, &rr, NULL, "CONFIG", "GET", want[i][0], (char *)NULL), 0);
		assert_string_equal(redis_reply_string(redis_reply_at(rr, 1), NULL), want[i][1]);
		redis_reply_free(rr);
	}
	redis_close(r);
	server_stop(s);
}

static void stop__always__nothing_left(void **state)
{
	(void)state;
	struct server *s = start();
	char dir[128];
	snprintf(dir, sizeof dir, "%s", server_directory(s));
	long pid = server_pid(server_url(s));
	server_stop(s);
	assert_int_not_equal(access(dir, F_OK), 0);
	assert_int_not_equal(kill((pid_t)pid, 0), 0);
}

/* The one that owns it dies by `sig`: neither process nor directory remains. */
static void die_by(int sig)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	pid_t owner = fork();
	if (owner == 0) {
		struct server *s;
		if (server_start(&s, NULL))
			_exit(1);
		dprintf(fds[1], "%ld %s\n", server_pid(server_url(s)), server_directory(s));
		pause();
		_exit(0);
	}
	close(fds[1]);
	char line[256], dir[200];
	long pid;
	FILE *f = fdopen(fds[0], "r");
	assert_non_null(fgets(line, sizeof line, f));
	assert_int_equal(sscanf(line, "%ld %199s", &pid, dir), 2);
	assert_int_equal(kill((pid_t)pid, 0), 0);
	assert_int_equal(access(dir, F_OK), 0);
	kill(owner, sig);
	waitpid(owner, NULL, 0);
	fclose(f);
	assert_true(gone_soon(pid, dir));
}

static void owner_killed__kill_9_or_term__no_orphan_no_leftovers(void **state)
{
	(void)state;
	server_stop(start());
	die_by(SIGKILL);
	die_by(SIGTERM);
	die_by(SIGHUP);
}

static void start__not_installed__says_so(void **state)
{
	(void)state;
	struct server *s;
	struct err err = {0};
	char *path = strdup(getenv("PATH"));
	setenv("PATH", "/nonexistent", 1);
	assert_int_equal(server_start(&s, &err), LT_EREDIS);
	setenv("PATH", path, 1);
	free(path);
	assert_non_null(strstr(err.text, "not installed"));
}

/* A program of that name which fails: its last line is told. */
static void start__server_fails__its_last_words(void **state)
{
	(void)state;
	char dir[] = "/tmp/leaktap-test-XXXXXX", program[64], path[128];
	struct server *s;
	struct err err = {0};
	assert_non_null(mkdtemp(dir));
	snprintf(program, sizeof program, "%s/redis-server", dir);
	FILE *f = fopen(program, "w");
	fputs("#!/bin/sh\necho first >&2\necho 'Fatal: no luck today' >&2\nexit 3\n", f);
	fchmod(fileno(f), 0755);
	fclose(f);
	char *old = strdup(getenv("PATH"));
	snprintf(path, sizeof path, "%s:/bin:/usr/bin", dir);
	setenv("PATH", path, 1);
	assert_int_equal(server_start(&s, &err), LT_EREDIS);
	setenv("PATH", old, 1);
	free(old);
	assert_non_null(strstr(err.text, "no luck today"));
	assert_non_null(strstr(err.text, "status 3"));
	unlink(program);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(start__private__settings_hold),
		cmocka_unit_test(stop__always__nothing_left),
		cmocka_unit_test(owner_killed__kill_9_or_term__no_orphan_no_leftovers),
		cmocka_unit_test(start__not_installed__says_so),
		cmocka_unit_test(start__server_fails__its_last_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
