#include "dissect/quicmove.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/nhash.h"

struct quicmove_cid {
	struct quicmove_flow flow;
	uint8_t server[16];
	uint16_t port;
	uint8_t n;
	uint8_t cid[QUICMOVE_MAX_CID];
};

struct quicmove_pair {
	struct quicmove_flow flow;
	uint8_t client[16], server[16];
	uint16_t port;
};

struct quicmove {
	struct nhash hash;
	uint64_t overwritten;
	struct quicmove_cid cids[QUICMOVE_ENTRIES];
	struct quicmove_pair pairs[QUICMOVE_ENTRIES];
};

struct quicmove *quicmove_new(struct hash_key key)
{
	struct quicmove *qm = calloc(1, sizeof *qm); /* pages never used cost nothing */
	if (qm)
		nhash_init(&qm->hash, key);
	return qm;
}

void quicmove_free(struct quicmove *qm)
{
	free(qm);
}

/* The length of an id cannot be read off a short header: the place follows from its first bytes. */
static size_t cid_slot(const struct quicmove *qm, const struct facts_addr *server, const uint8_t *cid)
{
	uint8_t x[16 + 2 + QUICMOVE_MIN_CID];
	memcpy(x, server->ip, 16);
	memcpy(x + 16, &server->port, 2);
	memcpy(x + 18, cid, QUICMOVE_MIN_CID);
	return nhash_bytes(&qm->hash, x, sizeof x) % QUICMOVE_ENTRIES;
}

static size_t pair_slot(const struct quicmove *qm, const struct facts_addr *client,
			const struct facts_addr *server)
{
	uint8_t x[16 + 16 + 2];
	memcpy(x, client->ip, 16);
	memcpy(x + 16, server->ip, 16);
	memcpy(x + 32, &server->port, 2);
	return nhash_bytes(&qm->hash, x, sizeof x) % QUICMOVE_ENTRIES;
}

void quicmove_learn_cid(struct quicmove *qm, const struct facts_addr *server, const uint8_t *cid, size_t n,
			struct quicmove_flow flow)
{
	if (n < QUICMOVE_MIN_CID || n > QUICMOVE_MAX_CID)
		return;
	struct quicmove_cid *c = &qm->cids[cid_slot(qm, server, cid)];
	qm->overwritten += c->n && (c->n != n || c->port != server->port || memcmp(c->server, server->ip, 16) != 0 ||
				    memcmp(c->cid, cid, n) != 0);
	*c = (struct quicmove_cid){.flow = flow, .port = server->port, .n = (uint8_t)n};
	memcpy(c->server, server->ip, 16);
	memcpy(c->cid, cid, n);
}

void quicmove_learn_pair(struct quicmove *qm, const struct facts_addr *client,
			 const struct facts_addr *server, struct quicmove_flow flow)
{
	struct quicmove_pair *p = &qm->pairs[pair_slot(qm, client, server)];
	qm->overwritten += p->flow.id && (p->port != server->port || memcmp(p->client, client->ip, 16) != 0 ||
					  memcmp(p->server, server->ip, 16) != 0);
	*p = (struct quicmove_pair){.flow = flow, .port = server->port};
	memcpy(p->client, client->ip, 16);
	memcpy(p->server, server->ip, 16);
}

struct quicmove_flow quicmove_find_cid(const struct quicmove *qm, const struct facts_addr *server,
				       const uint8_t *payload, size_t n)
{
	struct quicmove_flow none = {0, 0};
	if (n < 1 + QUICMOVE_MIN_CID)
		return none;
	const struct quicmove_cid *c = &qm->cids[cid_slot(qm, server, payload + 1)];
	if (!c->n || n < (size_t)1 + c->n || c->port != server->port ||
	    memcmp(c->server, server->ip, 16) != 0)
		return none;
	return memcmp(c->cid, payload + 1, c->n) == 0 ? c->flow : none;
}

struct quicmove_flow quicmove_find_pair(const struct quicmove *qm, const struct facts_addr *client,
					const struct facts_addr *server)
{
	struct quicmove_flow none = {0, 0};
	const struct quicmove_pair *p = &qm->pairs[pair_slot(qm, client, server)];
	if (p->port != server->port || memcmp(p->client, client->ip, 16) != 0 ||
	    memcmp(p->server, server->ip, 16) != 0)
		return none;
	return p->flow;
}

uint64_t quicmove_overwritten(const struct quicmove *qm)
{
	return qm->overwritten;
}

size_t quicmove_memory_bytes(void)
{
	return sizeof(struct quicmove);
}
