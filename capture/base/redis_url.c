#include "capture/base/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_PORT = 6379 };

/* Copies [p, end) to dst, undoing %xx; false when it does not fit, is empty of sense or would hide a NUL. */
static bool take_text(char *dst, size_t size, const char *p, const char *end)
{
	size_t n = 0;
	while (p < end) {
		char c = *p++;
		if (c == '%') {
			char hex[3] = {0}, *stop;
			if (end - p < 2)
				return false;
			memcpy(hex, p, 2);
			unsigned long v = strtoul(hex, &stop, 16);
			if (stop != hex + 2 || v == 0)
				return false;
			c = (char)v;
			p += 2;
		}
		if (n + 1 >= size)
			return false;
		dst[n++] = c;
	}
	dst[n] = 0;
	return true;
}

static bool take_port(uint16_t *ret_port, const char *p, const char *end)
{
	unsigned v = 0;
	if (p == end)
		return false;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9')
			return false;
		v = v * 10 + (unsigned)(*p - '0');
		if (v > 65535)
			return false;
	}
	*ret_port = (uint16_t)v;
	return v != 0;
}

/* The first c in [p, end), NULL: none. */
static const char *find(const char *p, const char *end, char c)
{
	while (p < end && *p != c)
		p++;
	return p < end ? p : NULL;
}

/* host, host:port, [v6], [v6]:port */
static bool take_host(struct redis_url *u, const char *p, const char *end)
{
	const char *host_end, *colon;
	if (p < end && *p == '[') {
		p++;
		host_end = find(p, end, ']');
		if (!host_end)
			return false;
		colon = host_end + 1;
		if (colon != end && *colon != ':')
			return false;
	} else {
		colon = find(p, end, ':');
		host_end = colon ? colon : end;
		colon = host_end;
	}
	if (host_end == p || !take_text(u->host, sizeof u->host, p, host_end))
		return false;
	return colon == end || take_port(&u->port, colon + 1, end);
}

static bool take_login(struct redis_url *u, const char *p, const char *at)
{
	const char *colon = find(p, at, ':');
	if (!colon)
		return take_text(u->user, sizeof u->user, p, at);
	return take_text(u->user, sizeof u->user, p, colon) &&
	       take_text(u->password, sizeof u->password, colon + 1, at);
}

/* host:port,host:port,... */
static bool take_list(struct redis_url *u, const char *p, const char *end)
{
	size_t n = (size_t)(end - p);
	if (n >= sizeof u->nodes)
		return false;
	memcpy(u->nodes, p, n);
	const char *stop = p - 1;
	for (const char *at = p; stop < end; at = stop + 1) {
		stop = find(at, end, ',');
		stop = stop ? stop : end;
		if (!take_host(u, at, stop))
			return false;
	}
	stop = find(p, end, ',');
	u->port = DEFAULT_PORT;
	return take_host(u, p, stop ? stop : end); /* the first stands for all */
}

static bool take_authority(struct redis_url *u, const char *p)
{
	const char *end = p + strcspn(p, "/?#");
	if (*end == '/' && end[1])
		return false; /* a database number: the join lives in database 0, as a cluster demands */
	if (*end && *end != '/')
		return false;
	const char *at = memrchr(p, '@', (size_t)(end - p));
	if (at && !take_login(u, p, at))
		return false;
	p = at ? at + 1 : p;
	if (u->kind != REDIS_URL_CLUSTER)
		return take_host(u, p, end);
	return take_list(u, p, end);
}

static int parse_one(struct redis_url *ret_url, const char *text, struct err *err)
{
	static const struct {
		const char *prefix;
		unsigned kind;
	} kinds[] = {
		{"redis://", REDIS_URL_TCP},
		{"rediss://", REDIS_URL_TLS},
		{"cluster://", REDIS_URL_CLUSTER},
		{"unix://", REDIS_URL_UNIX},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		size_t n = strlen(kinds[i].prefix);
		if (strncmp(text, kinds[i].prefix, n) != 0)
			continue;
		struct redis_url u = {.port = DEFAULT_PORT};
		u.kind = kinds[i].kind;
		const char *rest = text + n;
		bool good = u.kind == REDIS_URL_UNIX
				    ? *rest == '/' && take_text(u.host, sizeof u.host, rest, rest + strlen(rest))
				    : take_authority(&u, rest);
		if (!good) /* the text may hold a password: not repeated */
			return err_set(err, LT_EUSAGE, "not a Redis address after %s (%s)", kinds[i].prefix,
				       u.kind == REDIS_URL_UNIX ? "an absolute socket path is needed"
								: "[user:password@]host[:port] is needed");
		*ret_url = u;
		return 0;
	}
	return err_set(err, LT_EUSAGE,
		       "a Redis address starts with redis://, rediss://, unix:// or cluster://");
}

/* Copies the part of a list before the comma at or behind *at; false at the end. */
static bool next_part(const char *text, size_t *at, char *part, size_t size)
{
	size_t n = strcspn(text + *at, ",");
	if (!text[*at] || n >= size)
		return false;
	memcpy(part, text + *at, n);
	part[n] = 0;
	*at += n + (text[*at + n] == ',');
	return true;
}

int redis_url_parse(struct redis_url *ret_url, const char *text, struct err *err)
{
	struct redis_url u;
	char part[sizeof u.nodes];
	size_t at = 0;
	int rc = 0;
	if (!strchr(text, ',') || strncmp(text, "cluster://", 10) == 0)
		return parse_one(ret_url, text, err);
	if (strlen(text) >= sizeof part || text[strlen(text) - 1] == ',')
		return err_set(err, LT_EUSAGE, "a list of Redis servers is too long or ends with a comma");
	while (rc == 0 && next_part(text, &at, part, sizeof part)) {
		rc = parse_one(&u, part, err);
		if (rc == 0 && u.kind == REDIS_URL_CLUSTER)
			rc = err_set(err, LT_EUSAGE, "a cluster cannot be one of several Redis servers");
	}
	at = 0;
	if (rc < 0 || !next_part(text, &at, part, sizeof part) || (rc = parse_one(&u, part, err)) < 0)
		return rc; /* the first stands for all */
	memcpy(u.nodes, text, strlen(text) + 1);
	*ret_url = u;
	return 0;
}

bool redis_url_node(const struct redis_url *url, size_t i, struct redis_url *ret_node)
{
	char part[sizeof url->nodes];
	size_t at = 0;
	if (!url->nodes[0]) {
		*ret_node = *url;
		return i == 0;
	}
	do {
		if (!next_part(url->nodes, &at, part, sizeof part))
			return false;
	} while (i--);
	if (url->kind != REDIS_URL_CLUSTER)
		return parse_one(ret_node, part, NULL) == 0;
	*ret_node = *url;
	ret_node->kind = REDIS_URL_TCP;
	ret_node->nodes[0] = 0;
	ret_node->port = DEFAULT_PORT;
	return take_host(ret_node, part, part + strlen(part));
}
