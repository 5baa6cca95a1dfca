/* hiredis lends its version-proof half, the reply reader. The socket is ours: hiredis 0.14 writes with write(2), which can raise
 * SIGPIPE, waits per system call instead of per reply, and has no bound on a reply's size. */
#include "capture/base/redis.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <hiredis/read.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "capture/base/clock.h"

enum {
	MAX_REPLY_BYTES = 16 << 20,
	MAX_REPLY_ELEMENTS = 1 << 20,
	READ_CHUNK_BYTES = 64 << 10,
	MAX_ARGS = 4096,
};

struct redis {
	int fd; /* -1: dead */
	int timeout_ms;
	redisReader *reader;
	redisReplyObjectFunctions fn; /* hiredis' own, but for a bound on arrays */
	char *out;
	size_t out_at, out_end, out_size; /* out_at <= out_end <= out_size; [at, end) waits to be sent */
	size_t outstanding;
	size_t reply_bytes;     /* fed since the last whole reply */
	uint64_t progress_ns;   /* when bytes last moved or waiting began: redis_poll's deadline */
	char *in;
};

/* A hostile server may announce 2^31 elements; hiredis would allocate their table at once. Atomic: each connection sets it, to the
 * same. */
#if HIREDIS_MAJOR >= 1
static void *(*_Atomic default_array)(const redisReadTask *, size_t);
static void *bounded_array(const redisReadTask *task, size_t n)
{
	void *(*make)(const redisReadTask *, size_t) = atomic_load(&default_array); /* a call through it would not load it atomically */
	return n > MAX_REPLY_ELEMENTS ? NULL : make(task, n);
}
#else
static void *(*_Atomic default_array)(const redisReadTask *, int);
static void *bounded_array(const redisReadTask *task, int n)
{
	void *(*make)(const redisReadTask *, int) = atomic_load(&default_array);
	return n > MAX_REPLY_ELEMENTS ? NULL : make(task, n);
}
#endif

static int dead(struct redis *r, struct err *err, int code, const char *what, const char *why)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->outstanding = 0;
	r->out_at = r->out_end = 0;
	return err_set(err, code, "Redis: %s: %s", what, why);
}

static int wait_fd(int fd, short events, uint64_t deadline_ns)
{
	for (;;) {
		uint64_t now = clock_monotonic_ns();
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, (int)((deadline_ns - now) / CLOCK_NS_PER_MS) + 1);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int connect_fd(int family, const struct sockaddr *sa, socklen_t n, uint64_t deadline_ns, int *ret_fd)
{
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int rc = connect(fd, sa, n) == 0 ? 0 : -errno;
	if (rc == -EINPROGRESS) {
		rc = wait_fd(fd, POLLOUT, deadline_ns);
		int so = 0;
		socklen_t len = sizeof so;
		if (rc == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &so, &len) == 0)
			rc = -so;
	}
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

static int connect_unix(const struct redis_url *url, uint64_t deadline_ns, int *ret_fd)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	if (strlen(url->host) >= sizeof sa.sun_path)
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, url->host, strlen(url->host) + 1);
	return connect_fd(AF_UNIX, (const struct sockaddr *)&sa, sizeof sa, deadline_ns, ret_fd);
}

static int connect_tcp(const struct redis_url *url, uint64_t deadline_ns, int *ret_fd, struct err *err)
{
	char port[8];
	snprintf(port, sizeof port, "%u", url->port);
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
	int gai = getaddrinfo(url->host, port, &hints, &list);
	if (gai)
		return err_set(err, LT_EREDIS, "Redis: %s: %s", url->host, gai_strerror(gai));
	int rc = -EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && rc < 0; a = a->ai_next)
		rc = connect_fd(a->ai_family, a->ai_addr, a->ai_addrlen, deadline_ns, ret_fd);
	freeaddrinfo(list);
	if (rc == 0)
		setsockopt(*ret_fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	return rc;
}

static int make_reader(struct redis *r)
{
	r->reader = redisReaderCreate();
	r->in = malloc(READ_CHUNK_BYTES);
	if (!r->reader || !r->in)
		return -ENOMEM;
	r->fn = *r->reader->fn;
	atomic_store(&default_array, r->fn.createArray);
	r->fn.createArray = bounded_array;
	r->reader->fn = &r->fn;
	return 0;
}

static int log_in(struct redis *r, const struct redis_url *url, struct err *err)
{
	if (!url->password[0])
		return 0;
	struct redis_reply *rr;
	int rc = url->user[0] ? redis_do(r, &rr, err, "AUTH", url->user, url->password, (char *)NULL)
			      : redis_do(r, &rr, err, "AUTH", url->password, (char *)NULL);
	if (rc < 0)
		return rc;
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_)
		rc = err_set(err, LT_EREDIS, "Redis refused the login: %s", redis_reply_string(rr, NULL));
	redis_reply_free(rr);
	return rc;
}

static int open_socket(struct redis *r, const struct redis_url *url, struct err *err)
{
	uint64_t deadline = clock_monotonic_ns() + (uint64_t)r->timeout_ms * CLOCK_NS_PER_MS;
	bool local = url->kind == REDIS_URL_UNIX;
	int rc = local ? connect_unix(url, deadline, &r->fd) : connect_tcp(url, deadline, &r->fd, err);
	if (rc < 0 && rc != LT_EREDIS) {
		r->fd = -1;
		if (local)
			return err_set(err, rc, "Redis: cannot connect to %s: %s", url->host, strerror(-rc));
		return err_set(err, rc, "Redis: cannot connect to %s port %u: %s", url->host, url->port, strerror(-rc));
	}
	return rc;
}

int redis_open(struct redis **ret_r, const struct redis_url *url, int timeout_ms, struct err *err)
{
	if (url->kind == REDIS_URL_TLS)
		return err_set(err, LT_EUNSUPPORTED,
			       "TLS to Redis (rediss://) is not in this build (hiredis %d.%d); use a Unix socket or stunnel",
			       HIREDIS_MAJOR, HIREDIS_MINOR);
	if (url->nodes[0])
		return err_set(err, LT_EUNSUPPORTED, "one Redis server is needed here, not several or a cluster");
	struct redis *r = calloc(1, sizeof *r);
	if (!r)
		return err_set(err, -ENOMEM, "out of memory");
	r->fd = -1;
	r->timeout_ms = timeout_ms > 0 ? timeout_ms : 1000;
	int rc = make_reader(r);
	if (rc == 0)
		rc = open_socket(r, url, err);
	if (rc == 0)
		rc = log_in(r, url, err);
	if (rc < 0) {
		redis_close(r);
		return rc;
	}
	*ret_r = r;
	return 0;
}

void redis_close(struct redis *r)
{
	if (!r)
		return;
	if (r->fd >= 0)
		close(r->fd);
	if (r->reader)
		redisReaderFree(r->reader);
	free(r->out);
	free(r->in);
	free(r);
}

bool redis_alive(const struct redis *r)
{
	return r && r->fd >= 0;
}

void redis_wait(const struct redis *r, int timeout_ms)
{
	struct pollfd p = {.fd = r->fd, .events = POLLIN};
	if (r->out_at < r->out_end)
		p.events |= POLLOUT;
	if (r->fd >= 0)
		poll(&p, 1, timeout_ms);
}

size_t redis_outstanding(const struct redis *r)
{
	return r->outstanding;
}

static bool reserve_out(struct redis *r, size_t n)
{
	if (r->out_at == r->out_end)
		r->out_at = r->out_end = 0;
	if (r->out_size - r->out_end >= n)
		return true;
	if (r->out_at) {
		memmove(r->out, r->out + r->out_at, r->out_end - r->out_at);
		r->out_end -= r->out_at;
		r->out_at = 0;
	}
	size_t size = r->out_size ? r->out_size : 4096;
	while (size - r->out_end < n)
		size *= 2;
	if (size == r->out_size)
		return true;
	char *grown = realloc(r->out, size);
	if (!grown)
		return false;
	r->out = grown;
	r->out_size = size;
	return true;
}

static void put(struct redis *r, const void *p, size_t n)
{
	if (n)
		memcpy(r->out + r->out_end, p, n);
	r->out_end += n;
}

static void put_length(struct redis *r, char kind, size_t n)
{
	char text[32];
	int len = snprintf(text, sizeof text, "%c%zu\r\n", kind, n);
	put(r, text, (size_t)len);
}

int redis_append(struct redis *r, size_t argc, const struct redis_arg *argv, struct err *err)
{
	if (!redis_alive(r))
		return err_set(err, LT_EGONE, "Redis: not connected");
	if (argc == 0 || argc > MAX_ARGS)
		return err_set(err, -E2BIG, "Redis: a command of %zu arguments", argc);
	size_t bytes = 32;
	for (size_t i = 0; i < argc; i++)
		bytes += argv[i].n + 32;
	if (!reserve_out(r, bytes))
		return err_set(err, -ENOMEM, "out of memory");
	put_length(r, '*', argc);
	for (size_t i = 0; i < argc; i++) {
		put_length(r, '$', argv[i].n);
		put(r, argv[i].p, argv[i].n);
		put(r, "\r\n", 2);
	}
	if (r->outstanding++ == 0)
		r->progress_ns = clock_monotonic_ns();
	return 0;
}

/* 0 all sent, 1 the socket is full, negative: dead. */
static int send_some(struct redis *r, struct err *err)
{
	while (r->out_at < r->out_end) {
		ssize_t n = send(r->fd, r->out + r->out_at, r->out_end - r->out_at, MSG_NOSIGNAL);
		if (n >= 0) {
			r->out_at += (size_t)n;
			r->progress_ns = clock_monotonic_ns();
		} else if (errno == EAGAIN) {
			return 1;
		} else if (errno != EINTR) {
			return dead(r, err, LT_EGONE, "sending", strerror(errno));
		}
	}
	return 0;
}

/* 0 something read, 1 nothing there, negative: dead. */
static int read_some(struct redis *r, struct err *err)
{
	ssize_t n = recv(r->fd, r->in, READ_CHUNK_BYTES, 0);
	if (n == 0)
		return dead(r, err, LT_EGONE, "reading", "the server closed the connection");
	if (n < 0) {
		if (errno == EAGAIN || errno == EINTR)
			return 1;
		return dead(r, err, LT_EGONE, "reading", strerror(errno));
	}
	r->progress_ns = clock_monotonic_ns();
	r->reply_bytes += (size_t)n;
	if (r->reply_bytes > MAX_REPLY_BYTES + READ_CHUNK_BYTES)
		return dead(r, err, LT_EREDIS, "reading", "a reply is larger than 16 MiB");
	if (redisReaderFeed(r->reader, r->in, (size_t)n) != REDIS_OK)
		return dead(r, err, LT_EREDIS, "reading", r->reader->errstr);
	return 0;
}

/* 1 a whole reply, 0 none yet. */
static int take_reply(struct redis *r, struct redis_reply **ret_rr, struct err *err)
{
	void *reply = NULL;
	if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
		return dead(r, err, LT_EREDIS, "reading", r->reader->errstr);
	if (!reply)
		return 0;
	r->reply_bytes = 0;
	if (r->outstanding == 0) {
		freeReplyObject(reply);
		return dead(r, err, LT_EREDIS, "reading", "a reply nobody asked for");
	}
	r->outstanding--;
	*ret_rr = (struct redis_reply *)reply;
	return 1;
}

int redis_poll(struct redis *r, struct redis_reply **ret_rr, struct err *err)
{
	if (!redis_alive(r))
		return err_set(err, LT_EGONE, "Redis: not connected");
	int rc = send_some(r, err);
	if (rc < 0 || !ret_rr || r->outstanding == 0)
		return rc < 0 ? rc : 0;
	rc = take_reply(r, ret_rr, err);
	if (rc != 0)
		return rc;
	rc = read_some(r, err);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return take_reply(r, ret_rr, err);
	if (clock_monotonic_ns() - r->progress_ns > (uint64_t)r->timeout_ms * CLOCK_NS_PER_MS)
		return dead(r, err, -ETIMEDOUT, "waiting for a reply", strerror(ETIMEDOUT));
	return 0;
}

int redis_get(struct redis *r, struct redis_reply **ret_rr, struct err *err)
{
	if (!redis_alive(r))
		return err_set(err, LT_EGONE, "Redis: not connected");
	if (r->outstanding == 0)
		return err_set(err, -EINVAL, "Redis: no command is waiting for a reply");
	uint64_t deadline = clock_monotonic_ns() + (uint64_t)r->timeout_ms * CLOCK_NS_PER_MS;
	for (;;) {
		int full = send_some(r, err);
		if (full < 0)
			return full;
		int rc = take_reply(r, ret_rr, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		rc = read_some(r, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		rc = wait_fd(r->fd, full ? POLLIN | POLLOUT : POLLIN, deadline);
		if (rc < 0)
			return dead(r, err, rc, "waiting for a reply", strerror(-rc));
	}
}

int redis_command(struct redis *r, struct redis_reply **ret_rr, struct err *err, size_t argc, const struct redis_arg *argv)
{
	if (redis_alive(r) && r->outstanding)
		return err_set(err, -EBUSY, "Redis: replies of a pipeline are still to be read");
	int rc = redis_append(r, argc, argv, err);
	return rc ? rc : redis_get(r, ret_rr, err);
}

int redis_do(struct redis *r, struct redis_reply **ret_rr, struct err *err, ...)
{
	struct redis_arg argv[32];
	size_t argc = 0;
	va_list ap;
	va_start(ap, err);
	const char *text;
	while ((text = va_arg(ap, const char *)) && argc < sizeof argv / sizeof argv[0])
		argv[argc++] = (struct redis_arg){text, strlen(text)};
	va_end(ap);
	if (text)
		return err_set(err, -E2BIG, "Redis: too many arguments");
	return redis_command(r, ret_rr, err, argc, argv);
}

static const redisReply *raw(const struct redis_reply *rr)
{
	return (const redisReply *)rr;
}

enum redis_reply_type redis_reply_type(const struct redis_reply *rr)
{
	switch (raw(rr)->type) {
	case REDIS_REPLY_STRING:
		return REDIS_REPLY_STRING_;
	case REDIS_REPLY_STATUS:
		return REDIS_REPLY_STATUS_;
	case REDIS_REPLY_ERROR:
		return REDIS_REPLY_ERROR_;
	case REDIS_REPLY_INTEGER:
		return REDIS_REPLY_INTEGER_;
	case REDIS_REPLY_ARRAY:
		return REDIS_REPLY_ARRAY_;
	}
	return REDIS_REPLY_NIL_;
}

const char *redis_reply_string(const struct redis_reply *rr, size_t *ret_n)
{
	const redisReply *reply = raw(rr);
	bool text = reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS || reply->type == REDIS_REPLY_ERROR;
	if (ret_n)
		*ret_n = text ? reply->len : 0;
	return text ? reply->str : "";
}

int64_t redis_reply_integer(const struct redis_reply *rr)
{
	return raw(rr)->type == REDIS_REPLY_INTEGER ? (int64_t)raw(rr)->integer : 0;
}

size_t redis_reply_count(const struct redis_reply *rr)
{
	return raw(rr)->type == REDIS_REPLY_ARRAY ? raw(rr)->elements : 0;
}

const struct redis_reply *redis_reply_at(const struct redis_reply *rr, size_t i)
{
	return i < redis_reply_count(rr) ? (const struct redis_reply *)raw(rr)->element[i] : NULL;
}

void redis_reply_free(struct redis_reply *rr)
{
	if (rr)
		freeReplyObject(rr);
}
