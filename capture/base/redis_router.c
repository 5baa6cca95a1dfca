#include "capture/base/redis_router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 16384 };

struct node {
	struct redis_url url;
	struct redis *r;
	char name[280];
};

struct redis_router {
	struct redis_url url;
	int timeout_ms;
	struct node *nodes[REDIS_ROUTER_MAX_NODES];
	size_t n_nodes;
	uint8_t of_tag[REDIS_ROUTER_TAGS];
	uint16_t slot_of_tag[REDIS_ROUTER_TAGS];
};

uint16_t redis_router_slot(const char *key, size_t n)
{
	const char *open = memchr(key, '{', n);
	const char *close = open ? memchr(open, '}', n - (size_t)(open - key)) : NULL;
	if (close && close > open + 1) {
		key = open + 1;
		n = (size_t)(close - key);
	}
	unsigned crc = 0;
	for (size_t i = 0; i < n; i++) {
		crc ^= (unsigned)(uint8_t)key[i] << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc << 1 ^ (crc & 0x8000 ? 0x1021u : 0)) & 0xffff;
	}
	return (uint16_t)(crc % SLOTS);
}

/* The node's number, made when it is new; -ENOMEM, -E2BIG. */
static int node_at(struct redis_router *rt, const struct redis_url *url)
{
	for (size_t i = 0; i < rt->n_nodes; i++)
		if (rt->nodes[i]->url.port == url->port && strcmp(rt->nodes[i]->url.host, url->host) == 0)
			return (int)i;
	if (rt->n_nodes == REDIS_ROUTER_MAX_NODES)
		return -E2BIG;
	struct node *n = calloc(1, sizeof *n);
	if (!n)
		return -ENOMEM;
	n->url = *url;
	if (url->kind == REDIS_URL_UNIX)
		snprintf(n->name, sizeof n->name, "%s", url->host);
	else
		snprintf(n->name, sizeof n->name, "%s:%u", url->host, url->port);
	rt->nodes[rt->n_nodes] = n;
	return (int)rt->n_nodes++;
}

static int host_at(struct redis_router *rt, const char *host, size_t host_n, int64_t port)
{
	struct redis_url u = rt->url;
	if (host_n == 0 || host_n >= sizeof u.host || port < 1 || port > 65535)
		return -EINVAL;
	u.kind = REDIS_URL_TCP;
	u.nodes[0] = 0;
	memcpy(u.host, host, host_n);
	u.host[host_n] = 0;
	u.port = (uint16_t)port;
	return node_at(rt, &u);
}

static void give_slots(struct redis_router *rt, int64_t first, int64_t last, int node)
{
	for (size_t tag = 0; tag < REDIS_ROUTER_TAGS; tag++)
		if (rt->slot_of_tag[tag] >= first && rt->slot_of_tag[tag] <= last)
			rt->of_tag[tag] = (uint8_t)node;
}

/* One row of CLUSTER SLOTS: first, last, [host, port, ...] of the master. A host may be left out: the one that was asked. */
static int take_row(struct redis_router *rt, const struct redis_reply *row, const struct redis_url *asked)
{
	const struct redis_reply *master = redis_reply_at(row, 2);
	if (!master || redis_reply_count(master) < 2)
		return -EINVAL;
	size_t n;
	const char *host = redis_reply_string(redis_reply_at(master, 0), &n);
	if (n == 0) {
		host = asked->host;
		n = strlen(host);
	}
	int node = host_at(rt, host, n, redis_reply_integer(redis_reply_at(master, 1)));
	if (node >= 0)
		give_slots(rt, redis_reply_integer(redis_reply_at(row, 0)), redis_reply_integer(redis_reply_at(row, 1)), node);
	return node < 0 ? node : 0;
}

static int learn_from(struct redis_router *rt, const struct redis_url *url, struct err *err)
{
	struct redis *r;
	struct redis_reply *rr;
	int rc = redis_open(&r, url, rt->timeout_ms, err);
	if (rc < 0)
		return rc;
	rc = redis_do(r, &rr, err, "CLUSTER", "SLOTS", (char *)NULL);
	if (rc == 0) {
		if (redis_reply_type(rr) != REDIS_REPLY_ARRAY_ || redis_reply_count(rr) == 0)
			rc = err_set(err, LT_EREDIS, "Redis: %s port %u is no node of a working cluster: %s", url->host, url->port,
				     redis_reply_string(rr, NULL));
		for (size_t i = 0; rc == 0 && i < redis_reply_count(rr); i++)
			if (take_row(rt, redis_reply_at(rr, i), url) < 0)
				rc = err_set(err, LT_EREDIS, "Redis: the cluster's map does not make sense");
		redis_reply_free(rr);
	}
	redis_close(r);
	return rc;
}

int redis_router_learn(struct redis_router *rt, struct err *err)
{
	if (rt->url.kind != REDIS_URL_CLUSTER)
		return 0;
	int rc = LT_EREDIS;
	struct redis_url u;
	for (size_t i = 0; rc < 0 && i < rt->n_nodes; i++)
		rc = learn_from(rt, &rt->nodes[i]->url, err);
	for (size_t i = 0; rc < 0 && redis_url_node(&rt->url, i, &u); i++)
		rc = learn_from(rt, &u, err);
	return rc;
}

static int fill_list(struct redis_router *rt, struct err *err)
{
	struct redis_url u;
	for (size_t i = 0; redis_url_node(&rt->url, i, &u); i++)
		if (node_at(rt, &u) < 0)
			return err_set(err, LT_EUSAGE, "more than %d Redis servers", REDIS_ROUTER_MAX_NODES);
	for (size_t tag = 0; tag < REDIS_ROUTER_TAGS; tag++)
		rt->of_tag[tag] = (uint8_t)(tag * rt->n_nodes / REDIS_ROUTER_TAGS);
	return 0;
}

int redis_router_new(struct redis_router **ret_rt, const struct redis_url *url, int timeout_ms, struct err *err)
{
	struct redis_router *rt = calloc(1, sizeof *rt);
	if (!rt)
		return err_set(err, -ENOMEM, "out of memory");
	rt->url = *url;
	rt->timeout_ms = timeout_ms;
	for (unsigned tag = 0; tag < REDIS_ROUTER_TAGS; tag++) {
		char text[16];
		rt->slot_of_tag[tag] = redis_router_slot(text, (size_t)snprintf(text, sizeof text, "{%03u}", tag));
	}
	int rc = url->kind == REDIS_URL_CLUSTER ? redis_router_learn(rt, err) : fill_list(rt, err);
	if (rc < 0) {
		redis_router_free(rt);
		return rc;
	}
	*ret_rt = rt;
	return 0;
}

void redis_router_free(struct redis_router *rt)
{
	if (!rt)
		return;
	for (size_t i = 0; i < rt->n_nodes; i++) {
		redis_close(rt->nodes[i]->r);
		free(rt->nodes[i]);
	}
	free(rt);
}

size_t redis_router_nodes(const struct redis_router *rt)
{
	return rt->n_nodes;
}

size_t redis_router_node_of(const struct redis_router *rt, uint32_t tag)
{
	return rt->of_tag[tag % REDIS_ROUTER_TAGS];
}

const char *redis_router_name(const struct redis_router *rt, size_t node)
{
	return rt->nodes[node]->name;
}

struct redis *redis_router_at(struct redis_router *rt, size_t node)
{
	return rt->nodes[node]->r;
}

void redis_router_drop(struct redis_router *rt, size_t node)
{
	redis_close(rt->nodes[node]->r);
	rt->nodes[node]->r = NULL;
}

int redis_router_connect(struct redis_router *rt, size_t node, struct err *err)
{
	redis_router_drop(rt, node);
	return redis_open(&rt->nodes[node]->r, &rt->nodes[node]->url, rt->timeout_ms, err);
}

/* "MOVED 3999 127.0.0.1:6381"; the host may be empty. */
int redis_router_moved(struct redis_router *rt, const char *error, size_t from)
{
	char *end;
	if (rt->url.kind != REDIS_URL_CLUSTER || strncmp(error, "MOVED ", 6) != 0)
		return -EINVAL;
	unsigned long slot = strtoul(error + 6, &end, 10);
	const char *host = end + (*end == ' '), *colon = strrchr(host, ':');
	if (slot >= SLOTS || !colon)
		return -EINVAL;
	long port = strtol(colon + 1, NULL, 10);
	int node = colon == host ? host_at(rt, rt->nodes[from]->url.host, strlen(rt->nodes[from]->url.host), port)
				 : host_at(rt, host, (size_t)(colon - host), port);
	if (node < 0)
		return -EINVAL;
	give_slots(rt, (int64_t)slot, (int64_t)slot, node);
	return 0;
}
