/* redis_router: which server has which of the 256 tags, and one connection to each server.
 *
 * One server, a fixed list of independent servers (tag t of n servers: number t * n / 256), or a Redis Cluster, whose map is asked
 * for with CLUSTER SLOTS and corrected by MOVED. ASK is not followed: the join's script may write keys that it could not declare.
 * Servers keep their number for the router's life. One thread. */
#ifndef LEAKTAP_CAPTURE_BASE_REDIS_ROUTER_H
#define LEAKTAP_CAPTURE_BASE_REDIS_ROUTER_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/base/redis.h"

enum { REDIS_ROUTER_TAGS = 256, REDIS_ROUTER_MAX_NODES = 128 };

struct redis_router;

/* Connects to nothing yet but, of a cluster, to the first node that answers. url is copied. */
int redis_router_new(struct redis_router **ret_rt, const struct redis_url *url, int timeout_ms, struct err *err);
void redis_router_free(struct redis_router *rt); /* NULL is fine */

size_t redis_router_nodes(const struct redis_router *rt);
size_t redis_router_node_of(const struct redis_router *rt, uint32_t tag); /* < nodes */
const char *redis_router_name(const struct redis_router *rt, size_t node); /* "host:port" or a path, no login */

/* NULL or dead: to be connected. */
struct redis *redis_router_at(struct redis_router *rt, size_t node);
/* Opens the connection anew; it may wait for as long as the timeout. */
int redis_router_connect(struct redis_router *rt, size_t node, struct err *err);
void redis_router_drop(struct redis_router *rt, size_t node);

/* The text of a MOVED error; 0, or -EINVAL when it is none or names too many servers. */
int redis_router_moved(struct redis_router *rt, const char *error, size_t from);
/* Asks a cluster for its map again; nothing to do elsewhere. Uses a connection of its own. */
int redis_router_learn(struct redis_router *rt, struct err *err);

uint16_t redis_router_slot(const char *key, size_t n); /* CRC16 (XMODEM) of the part between braces, mod 16384 */

#endif
