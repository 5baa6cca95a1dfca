#include "detect/attrib/server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/base/clock.h"

#define SOCKET_NAME "redis.sock"
#define LOG_NAME    "redis.log"

enum { START_TIMEOUT_S = 10, EXIT_NOT_FOUND = 127, MAX_SOCKET_PATH = 107 };

struct server {
	struct redis_url url;
	char directory[128];
	pid_t janitor;
	int life_fd;   /* write end: the janitor watches the other one */
	int status_fd; /* read end: one byte when the server ends by itself */
};

/* ---- the janitor's side: only async-signal-safe calls, the parent may have had threads ---- */

static void run_server(const char *directory)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the janitor itself may be killed */
	if (chdir(directory) < 0)
		_exit(EXIT_NOT_FOUND);
	umask(0077);
	int log_fd = open(LOG_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd < 0 || dup2(log_fd, STDOUT_FILENO) < 0 || dup2(log_fd, STDERR_FILENO) < 0)
		_exit(EXIT_NOT_FOUND);
	static const char *const programs[] = {"redis-server", "valkey-server"};
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
		execlp(programs[i], programs[i], "--port", "0", "--unixsocket", SOCKET_NAME, "--unixsocketperm", "700",
		       "--daemonize", "no", "--dir", ".", "--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
		       "--hash-max-listpack-entries", "512", "--hash-max-listpack-value", "1024", "--loglevel", "warning",
		       (char *)NULL);
	_exit(EXIT_NOT_FOUND);
}

static void sweep(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		unlinkat(fd, SOCKET_NAME, 0);
		unlinkat(fd, LOG_NAME, 0);
		close(fd);
	}
	rmdir(directory);
}

static void keep_only(int a, int b)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; fd <= 2 && null_fd >= 0; fd++)
		dup2(null_fd, fd);
	int low = a < b ? a : b, high = a < b ? b : a;
	if (low > 3)
		close_range(3, (unsigned)low - 1, 0);
	if (high > low + 1)
		close_range((unsigned)low + 1, (unsigned)high - 1, 0);
	close_range((unsigned)high + 1, ~0u, 0);
}

static void janitor(const char *directory, int life_fd, int status_fd)
{
	setsid(); /* a terminal's Ctrl-C is not for us: the parent's end is */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	keep_only(life_fd, status_fd);
	sigset_t child_set, before;
	sigemptyset(&child_set);
	sigaddset(&child_set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &child_set, &before);
	int child_fd = signalfd(-1, &child_set, SFD_CLOEXEC);
	pid_t child = fork();
	if (child == 0) {
		sigemptyset(&before);
		sigprocmask(SIG_SETMASK, &before, NULL);
		for (int sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		run_server(directory);
	}
	bool child_ended = child < 0;
	for (;;) {
		struct pollfd fds[2] = {{.fd = life_fd, .events = POLLIN}, {.fd = child_ended ? -1 : child_fd, .events = POLLIN}};
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			break;
		int status;
		if (waitpid(child, &status, WNOHANG) == child) {
			child_ended = true;
			uint8_t code = WIFEXITED(status) ? (uint8_t)WEXITSTATUS(status) : 1;
			if (write(status_fd, &code, 1) < 0)
				break;
		}
	}
	if (!child_ended) {
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	sweep(directory);
	_exit(0);
}

/* ---- the program's side ---- */

static int make_directory(struct server *s, struct err *err)
{
	const char *base = getenv("TMPDIR");
	if (!base || base[0] != '/' || strlen(base) + sizeof "/leaktap-XXXXXX/" SOCKET_NAME > MAX_SOCKET_PATH)
		base = "/tmp"; /* a socket's path has room for 107 bytes */
	snprintf(s->directory, sizeof s->directory, "%s/leaktap-XXXXXX", base);
	if (!mkdtemp(s->directory))
		return err_set(err, -errno, "cannot make a directory in %s: %s", base, strerror(errno));
	s->url.kind = REDIS_URL_UNIX;
	snprintf(s->url.host, sizeof s->url.host, "%s/" SOCKET_NAME, s->directory);
	return 0;
}

static void last_line(const struct server *s, char *text, size_t size)
{
	char path[160];
	snprintf(path, sizeof path, "%s/" LOG_NAME, s->directory);
	FILE *f = fopen(path, "re");
	char line[256];
	snprintf(text, size, "no message");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\r\n")] = 0;
		if (line[0])
			snprintf(text, size, "%s", line);
	}
	if (f)
		fclose(f);
}

static int not_up(const struct server *s, int exit_code, struct err *err)
{
	char text[256];
	if (exit_code == EXIT_NOT_FOUND)
		return err_set(err, LT_EREDIS, "redis-server is not installed (apt install redis-server), or give --redis URL");
	last_line(s, text, sizeof text);
	if (exit_code >= 0)
		return err_set(err, LT_EREDIS, "the private redis-server ended with status %d: %s", exit_code, text);
	return err_set(err, LT_EREDIS, "the private redis-server did not answer within %d s: %s", START_TIMEOUT_S, text);
}

static bool answers(const struct server *s)
{
	struct redis *r;
	struct redis_reply *rr;
	if (redis_open(&r, &s->url, 1000, NULL) < 0)
		return false;
	bool good = redis_do(r, &rr, NULL, "PING", (char *)NULL) == 0;
	if (good) {
		good = redis_reply_type(rr) == REDIS_REPLY_STATUS_;
		redis_reply_free(rr);
	}
	redis_close(r);
	return good;
}

static int wait_up(const struct server *s, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + START_TIMEOUT_S * CLOCK_NS_PER_S;
	while (clock_monotonic_ns() < deadline) {
		uint8_t code;
		struct pollfd p = {.fd = s->status_fd, .events = POLLIN};
		if (poll(&p, 1, 10) > 0)
			return not_up(s, read(s->status_fd, &code, 1) == 1 ? code : 1, err);
		if (answers(s))
			return 0;
	}
	return not_up(s, -1, err);
}

static int start_janitor(struct server *s, struct err *err)
{
	int life[2], status[2];
	if (pipe2(life, O_CLOEXEC) < 0)
		return err_set(err, -errno, "pipe: %s", strerror(errno));
	if (pipe2(status, O_CLOEXEC) < 0) {
		int rc = err_set(err, -errno, "pipe: %s", strerror(errno));
		close(life[0]);
		close(life[1]);
		return rc;
	}
	s->janitor = fork();
	if (s->janitor == 0)
		janitor(s->directory, life[0], status[1]);
	int rc = s->janitor < 0 ? err_set(err, -errno, "fork: %s", strerror(errno)) : 0;
	close(life[0]);
	close(status[1]);
	s->life_fd = life[1];
	s->status_fd = status[0];
	return rc;
}

int server_start(struct server **ret_s, struct err *err)
{
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->life_fd = s->status_fd = s->janitor = -1;
	int rc = make_directory(s, err);
	if (rc < 0) {
		free(s);
		return rc;
	}
	rc = start_janitor(s, err);
	if (rc == 0)
		rc = wait_up(s, err);
	if (rc < 0) {
		server_stop(s);
		return rc;
	}
	*ret_s = s;
	return 0;
}

void server_stop(struct server *s)
{
	if (!s)
		return;
	if (s->life_fd >= 0)
		close(s->life_fd);
	if (s->status_fd >= 0)
		close(s->status_fd);
	if (s->janitor > 0)
		while (waitpid(s->janitor, NULL, 0) < 0 && errno == EINTR)
			;
	sweep(s->directory); /* nothing to do, unless there was no janitor */
	free(s);
}

const struct redis_url *server_url(const struct server *s)
{
	return &s->url;
}

const char *server_directory(const struct server *s)
{
	return s->directory;
}
