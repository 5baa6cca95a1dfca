/* redis: the one door to hiredis (0.14 and 1.x). Connections, pipelines, reply reading. Everything goes through argv, lengths given.
 *
 * One thread per connection. After any I/O error or timeout the connection is closed and must be opened again: a late reply would be
 * taken for the next command's (hiredis #306). No call blocks longer than timeout_ms. */
#ifndef LEAKTAP_CAPTURE_BASE_REDIS_H
#define LEAKTAP_CAPTURE_BASE_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

/* redis://[user:password@]host[:port][/], rediss://..., unix:///path: one server. Several of them with commas in between
 * (redis://a:6379,redis://b:6379) are independent servers that share the tags. cluster://[user:password@]host:port,host:port,... is a
 * Redis Cluster known by some of its nodes. A comma, @ or % that is meant is written %2C, %40, %25. */
struct redis_url {
	enum { REDIS_URL_TCP, REDIS_URL_TLS, REDIS_URL_UNIX, REDIS_URL_CLUSTER } kind;
	char host[256]; /* or socket path; of several the first */
	uint16_t port;
	char user[64], password[256];
	char nodes[1024]; /* of several: the list as given, else "" */
};
int redis_url_parse(struct redis_url *ret_url, const char *text, struct err *err); /* LT_EUSAGE */
/* Server i of the address: false when there are not so many. */
bool redis_url_node(const struct redis_url *url, size_t i, struct redis_url *ret_node);

struct redis;

/* One server; of an address with several LT_EUNSUPPORTED, see redis_router.h. */
int redis_open(struct redis **ret_r, const struct redis_url *url, int timeout_ms, struct err *err);
void redis_close(struct redis *r); /* NULL is fine */
bool redis_alive(const struct redis *r);

struct redis_arg {
	const void *p;
	size_t n;
};

enum redis_reply_type { REDIS_REPLY_NIL_, REDIS_REPLY_STRING_, REDIS_REPLY_INTEGER_, REDIS_REPLY_ARRAY_, REDIS_REPLY_STATUS_,
			REDIS_REPLY_ERROR_ };

/* Owned by whoever received it; free with redis_reply_free. */
struct redis_reply;
enum redis_reply_type redis_reply_type(const struct redis_reply *rr);
const char *redis_reply_string(const struct redis_reply *rr, size_t *ret_n); /* STRING, STATUS, ERROR; terminated */
int64_t redis_reply_integer(const struct redis_reply *rr);
size_t redis_reply_count(const struct redis_reply *rr);                       /* ARRAY */
const struct redis_reply *redis_reply_at(const struct redis_reply *rr, size_t i); /* borrowed */
void redis_reply_free(struct redis_reply *rr);

/* Pipeline: append any number, then get the replies in order. append copies; get flushes what was appended and waits.
 * get: 0 and a reply (also an ERROR reply), or LT_EREDIS / LT_EGONE / -ETIMEDOUT and the connection is dead. */
int redis_append(struct redis *r, size_t argc, const struct redis_arg *argv, struct err *err);
int redis_get(struct redis *r, struct redis_reply **ret_rr, struct err *err);
/* Never waits: sends what the socket takes, reads what is there. 1 and a reply, 0 nothing yet, negative: the connection is dead.
 * With ret_rr NULL it only sends. A reply overdue by more than timeout_ms kills the connection. */
int redis_poll(struct redis *r, struct redis_reply **ret_rr, struct err *err);
/* Waits until bytes can be read or the time is over. */
void redis_wait(const struct redis *r, int timeout_ms);
size_t redis_outstanding(const struct redis *r); /* commands appended whose reply has not been taken */
/* One command, one reply. */
int redis_command(struct redis *r, struct redis_reply **ret_rr, struct err *err, size_t argc, const struct redis_arg *argv);
/* The same from C strings, ended by NULL. */
__attribute__((sentinel)) int redis_do(struct redis *r, struct redis_reply **ret_rr, struct err *err, ...);

#endif
