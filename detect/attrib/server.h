/* server: the private redis-server of a run without --redis. It listens on a Unix socket in a directory of its own (0700) and
 * never touches the disk otherwise.
 *
 * A forked janitor holds the read end of a pipe whose write end only this process has: however this process ends, also by
 * SIGKILL, the janitor reads end-of-file, kills the server, removes the directory and exits. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_SERVER_H
#define LEAKTAP_DETECT_ATTRIB_SERVER_H

#include "capture/base/err.h"
#include "capture/base/redis.h"

struct server;

/* Waits until the server answers, at most 10 s. LT_EREDIS with the server's last words, or that it is not installed. */
int server_start(struct server **ret_s, struct err *err);
/* Kills the server and waits until its directory is gone. NULL is fine. */
void server_stop(struct server *s);

const struct redis_url *server_url(const struct server *s); /* lives as long as s */
const char *server_directory(const struct server *s);

#endif
