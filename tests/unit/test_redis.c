#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "capture/base/redis.h"

/* ---- addresses ---- */

static void url__forms__parsed(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		unsigned kind;
		const char *host;
		uint16_t port;
		const char *user, *password;
	} good[] = {
		{"redis://localhost", REDIS_URL_TCP, "localhost", 6379, "", ""},
		{"redis://h:7000/", REDIS_URL_TCP, "h", 7000, "", ""},
		{"redis://me:a%40b%3a@h:1", REDIS_URL_TCP, "h", 1, "me", "a@b:"},
		{"redis://:pw@[fe80::1]:65535", REDIS_URL_TCP, "fe80::1", 65535, "", "pw"},
		{"rediss://h", REDIS_URL_TLS, "h", 6379, "", ""},
		{"unix:///run/redis/s", REDIS_URL_UNIX, "/run/redis/s", 6379, "", ""},
		{"cluster://a:1,b:2", REDIS_URL_CLUSTER, "a", 1, "", ""},
		{"redis://a:1,redis://b:2", REDIS_URL_TCP, "a", 1, "", ""},
		{"unix:///a,unix:///b", REDIS_URL_UNIX, "/a", 6379, "", ""},
	};
	static const char *const bad[] = {"", "localhost", "http://h", "redis://", "redis://h:0", "redis://h:65536", "redis://h:x",
					  "redis://h/3", "redis://h?x", "unix://s", "redis://[::1", "redis://a%0:b@h", "redis://[::1]x",
					  "redis://a,", "redis://a,cluster://b", "redis://a,x"};
	struct redis_url u;
	struct err err;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(redis_url_parse(&u, good[i].text, &err), 0);
		assert_int_equal(u.kind, good[i].kind);
		assert_string_equal(u.host, good[i].host);
		assert_int_equal(u.port, good[i].port);
		assert_string_equal(u.user, good[i].user);
		assert_string_equal(u.password, good[i].password);
	}
	assert_int_equal(redis_url_parse(&u, "cluster://a:1,b:2", &err), 0);
	assert_string_equal(u.nodes, "a:1,b:2");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(redis_url_parse(&u, bad[i], &err), LT_EUSAGE);
	redis_url_parse(&u, "redis://me:secret@h:99999", &err);
	assert_null(strstr(err.text, "secret"));
}

static void open__tls_and_cluster__clear_errors(void **state)
{
	(void)state;
	struct redis *r;
	struct redis_url u;
	struct err err;
	redis_url_parse(&u, "rediss://h", NULL);
	assert_int_equal(redis_open(&r, &u, 100, &err), LT_EUNSUPPORTED);
	assert_non_null(strstr(err.text, "TLS"));
	redis_url_parse(&u, "cluster://h", NULL);
	assert_int_equal(redis_open(&r, &u, 100, &err), LT_EUNSUPPORTED);
	redis_url_parse(&u, "unix:///nonexistent/s", NULL);
	assert_int_equal(redis_open(&r, &u, 100, &err), -ENOENT);
}

/* ---- a server that does as the test says ---- */

struct fake {
	pid_t pid;
	char dir[64];
	struct redis_url url;
};

/* After the first bytes arrive writes `answer` (repeated `times` times), then waits `linger_ms` and closes. */
static struct fake fake_start(const char *answer, unsigned times, unsigned linger_ms)
{
	struct fake f = {.url = {.kind = REDIS_URL_UNIX}};
	snprintf(f.dir, sizeof f.dir, "/tmp/leaktap-test-XXXXXX");
	assert_non_null(mkdtemp(f.dir));
	snprintf(f.url.host, sizeof f.url.host, "%s/s", f.dir);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", f.dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(fd, 4), 0);
	f.pid = fork();
	if (f.pid == 0) {
		char buf[1024];
		signal(SIGPIPE, SIG_IGN);
		int c = accept(fd, NULL, NULL);
		if (recv(c, buf, sizeof buf, 0) > 0)
			for (unsigned i = 0; i < times; i++)
				if (send(c, answer, strlen(answer), MSG_NOSIGNAL) < 0)
					break;
		usleep(linger_ms * 1000);
		_exit(0);
	}
	close(fd);
	return f;
}

static void fake_stop(struct fake *f)
{
	kill(f->pid, SIGKILL);
	waitpid(f->pid, NULL, 0);
	unlink(f->url.host);
	rmdir(f->dir);
}

static int ask(const struct fake *f, int timeout_ms, struct redis **ret_r)
{
	struct redis_reply *rr;
	assert_int_equal(redis_open(ret_r, &f->url, timeout_ms, NULL), 0);
	int rc = redis_do(*ret_r, &rr, NULL, "PING", (char *)NULL);
	if (rc == 0)
		redis_reply_free(rr);
	return rc;
}

static void get__no_answer__times_out_and_connection_dies(void **state)
{
	(void)state;
	struct fake f = fake_start("", 0, 600000);
	struct redis *r;
	struct redis_reply *rr;
	uint64_t before = clock_monotonic_ns();
	assert_int_equal(ask(&f, 100, &r), -ETIMEDOUT);
	assert_in_range(clock_monotonic_ns() - before, 90 * CLOCK_NS_PER_MS, 60 * CLOCK_NS_PER_S);
	assert_false(redis_alive(r));
	assert_int_equal(redis_do(r, &rr, NULL, "PING", (char *)NULL), LT_EGONE);
	redis_close(r);
	fake_stop(&f);
}

static void get__hostile_answers__refused_without_memory(void **state)
{
	(void)state;
	static const struct {
		const char *answer;
		unsigned times;
		int want;
	} cases[] = {
		{"*2147483647\r\n", 1, LT_EREDIS},
		{"$-7\r\n", 1, LT_EREDIS},
		{"?what\r\n", 1, LT_EREDIS},
		{"*1\r\n", 100, LT_EREDIS},
		{"+aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1, LT_EGONE},
		{"$100\r\nhalf", 1, LT_EGONE},
		{"+OK\r\n+OK\r\n", 1, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct fake f = fake_start(cases[i].answer, cases[i].times, 50);
		struct redis *r;
		assert_int_equal(ask(&f, 1000, &r), cases[i].want);
		assert_int_equal(redis_alive(r), cases[i].want == 0);
		redis_close(r);
		fake_stop(&f);
	}
}

static void get__reply_above_16_mib__refused(void **state)
{
	(void)state;
	char *piece = malloc(1 << 20);
	memset(piece, 'a', (1 << 20) - 1);
	piece[(1 << 20) - 1] = 0;
	piece[0] = '+';
	struct fake f = fake_start(piece, 20, 200);
	struct redis *r;
	assert_int_equal(ask(&f, 5000, &r), LT_EREDIS);
	assert_false(redis_alive(r));
	redis_close(r);
	fake_stop(&f);
	free(piece);
}

static void append__peer_gone__no_sigpipe(void **state)
{
	(void)state;
	struct fake f = fake_start("+OK\r\n", 1, 0);
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(ask(&f, 1000, &r), 0);
	waitpid(f.pid, NULL, 0);
	int rc = redis_do(r, &rr, NULL, "PING", (char *)NULL);
	assert_true(rc == LT_EGONE);
	assert_false(redis_alive(r));
	redis_close(r);
	unlink(f.url.host);
	rmdir(f.dir);
}

static void poll__nothing_yet__returns_at_once(void **state)
{
	(void)state;
	struct fake f = fake_start("+OK\r\n", 1, 500);
	struct redis *r;
	struct redis_reply *rr;
	assert_int_equal(redis_open(&r, &f.url, 1000, NULL), 0);
	assert_int_equal(redis_poll(r, &rr, NULL), 0);
	assert_int_equal(redis_append(r, 1, &(struct redis_arg){"PING", 4}, NULL), 0);
	int rc = 0;
	for (int i = 0; i < 500 && rc == 0; i++) {
		rc = redis_poll(r, &rr, NULL);
		usleep(1000);
	}
	assert_int_equal(rc, 1);
	assert_string_equal(redis_reply_string(rr, NULL), "OK");
	assert_int_equal(redis_outstanding(r), 0);
	redis_reply_free(rr);
	redis_close(r);
	fake_stop(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(url__forms__parsed),
		cmocka_unit_test(open__tls_and_cluster__clear_errors),
		cmocka_unit_test(get__no_answer__times_out_and_connection_dies),
		cmocka_unit_test(get__hostile_answers__refused_without_memory),
		cmocka_unit_test(get__reply_above_16_mib__refused),
		cmocka_unit_test(append__peer_gone__no_sigpipe),
		cmocka_unit_test(poll__nothing_yet__returns_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
