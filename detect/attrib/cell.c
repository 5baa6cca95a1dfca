#include "detect/attrib/cell.h"

#include <assert.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/owner.h"
#include "dissect/bytes.h"

/* The script writes these numbers into its results. */
static_assert(OWNER_CAUSE_CONNECT_BEFORE_CAPTURE == 3 && OWNER_CAUSE_UNCALIBRATED == 8 && OWNER_CAUSE_TIME_APART == 9 &&
		      OWNER_CAUSE_NO_REMOTE == 10 && OWNER_CAUSE_AGGREGATED == 11 && OWNER_CAUSE_INFERRED == 12 &&
		      OWNER_CAUSE_RIVALS == 13,
	      "causes in cell.lua");
static_assert((int)CELL_MAX_OWNERS == (int)OWNER_MAX_CANDIDATES && (int)CELL_MAX_EVIDENCE == (int)OWNER_MAX_EVIDENCE,
	      "lists in cell.lua");

const char *const cell_key_names[CELL_KEY_COUNT] = {"", "5tuple", "ip_port", "aggregated", "destination"};

#define US_PER_S UINT64_C(1000000)

struct writer {
	uint8_t *at;
};

static void put(struct writer *w, const void *p, size_t n)
{
	memcpy(w->at, p, n);
	w->at += n;
}

static void put_uint(struct writer *w, uint64_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0;)
		*w->at++ = (uint8_t)(v >> (8 * i));
}

static size_t addr_bytes(const struct facts_addr *a)
{
	return a->family == 4 ? 4 : 16;
}

/* Address and port in 48 bits: IPv4 exactly, IPv6 by a hash that is good enough within one port of one host. */
static void put_remote(struct writer *w, const struct facts_addr *a)
{
	if (a->family == 4) {
		put(w, a->ip, 4);
		put_uint(w, a->port, 2);
		return;
	}
	uint8_t key[18];
	memcpy(key, a->ip, 16);
	key[16] = (uint8_t)(a->port >> 8);
	key[17] = (uint8_t)a->port;
	put_uint(w, hash_bytes(HASH_KEY_FIXED, key, sizeof key) >> 16, 6);
}

static bool serves(const struct cell_tuple *t)
{
	return t->remote.family && (t->local.port < 1024 || t->local.port <= t->remote.port);
}

static size_t tuple_field(uint8_t *field, const struct cell_tuple *t)
{
	struct writer w = {field};
	bool whole = serves(t);
	put_uint(&w, whole ? 's' : 'p', 1);
	put_uint(&w, t->zone, 1);
	put_uint(&w, t->proto, 1);
	put_uint(&w, t->local.port, 2);
	if (whole)
		put_remote(&w, &t->remote);
	put(&w, t->local.ip, addr_bytes(&t->local));
	return (size_t)(w.at - field);
}

static size_t destination_field(uint8_t *field, const struct cell_tuple *t)
{
	struct writer w = {field};
	put_uint(&w, 'd', 1);
	put_uint(&w, t->zone, 1);
	put_uint(&w, t->proto, 1);
	put_remote(&w, &t->remote);
	put(&w, t->local.ip, addr_bytes(&t->local));
	return (size_t)(w.at - field);
}

uint32_t cell_tag(uint8_t zone, const struct facts_addr *addr)
{
	uint8_t key[18] = {zone, addr->family};
	memcpy(key + 2, addr->ip, addr_bytes(addr));
	return (uint32_t)(hash_bytes(HASH_KEY_FIXED, key, 2 + addr_bytes(addr)) % CELL_TAGS);
}

uint64_t cell_hash(const struct cell_tuple *t)
{
	uint8_t field[CELL_MAX_FIELD];
	return hash_bytes(HASH_KEY_FIXED, field, tuple_field(field, t));
}

uint64_t cell_destination_hash(const struct cell_tuple *t)
{
	uint8_t field[CELL_MAX_FIELD];
	return hash_bytes(HASH_KEY_FIXED, field, destination_field(field, t));
}

/* Kind, sub-hash, bucket, field. The sub-hash is a sum, because the script computes it too for destinations. */
static void put_head(struct writer *w, char kind, uint32_t bucket, const uint8_t *field, size_t n)
{
	unsigned sum = 0;
	for (size_t i = 0; i < n; i++)
		sum += field[i];
	sum %= CELL_SUBS;
	put_uint(w, (uint8_t)kind, 1);
	put_uint(w, (uint8_t)("0123456789abcdef"[sum >> 4]), 1);
	put_uint(w, (uint8_t)("0123456789abcdef"[sum & 15]), 1);
	put_uint(w, bucket, 4);
	put_uint(w, n, 1);
	put(w, field, n);
}

static uint32_t bucket_of(uint64_t t_us)
{
	return (uint32_t)(t_us / (CELL_BUCKET_S * US_PER_S));
}

static void put_tail(struct writer *w, const struct cell_event *e)
{
	if (e->stop_us)
		put_uint(w, e->stop_us, 8);
	if (e->last_us)
		put_uint(w, e->last_us, 8);
}

static unsigned event_flags(const struct cell_event *e)
{
	return (e->calibrated ? CELL_CALIBRATED : 0u) | (e->found ? CELL_FOUND : 0u) | (e->stop_us ? CELL_STOP : 0u) |
	       (e->last_us ? CELL_INTERVAL : 0u);
}

size_t cell_pack_event(uint8_t *buf, const struct cell_event *e)
{
	struct writer w = {buf};
	uint8_t field[CELL_MAX_FIELD];
	uint32_t bucket = bucket_of(e->t_us);
	bool remote = e->tuple.remote.family && !serves(&e->tuple);
	put_head(&w, 'E', bucket, field, tuple_field(field, &e->tuple));
	put_uint(&w, e->ref, 4);
	put_uint(&w, e->principal, 8);
	put_uint(&w, e->t_us - bucket * CELL_BUCKET_S * US_PER_S, 4);
	put_uint(&w, event_flags(e) | (remote ? CELL_REMOTE : 0u), 1);
	if (remote)
		put_remote(&w, &e->tuple.remote);
	put_tail(&w, e);
	return (size_t)(w.at - buf);
}

size_t cell_pack_destination(uint8_t *buf, const struct cell_event *e)
{
	struct writer w = {buf};
	uint8_t field[CELL_MAX_FIELD];
	uint32_t bucket = bucket_of(e->t_us);
	put_head(&w, 'D', bucket, field, destination_field(field, &e->tuple));
	put_uint(&w, e->principal, 8);
	put_uint(&w, event_flags(e), 1);
	put_uint(&w, e->t_us - bucket * CELL_BUCKET_S * US_PER_S, 4);
	put_uint(&w, e->ref, 4);
	put_tail(&w, e);
	return (size_t)(w.at - buf);
}

size_t cell_pack_flow(uint8_t *buf, const struct cell_flow *f)
{
	struct writer w = {buf};
	uint8_t field[CELL_MAX_FIELD];
	uint32_t bucket = bucket_of(f->start_us);
	uint64_t base = bucket * CELL_BUCKET_S * US_PER_S;
	size_t n = f->n_ledger < CELL_MAX_LEDGER ? f->n_ledger : CELL_MAX_LEDGER;
	put_head(&w, 'F', bucket, field, tuple_field(field, &f->tuple));
	put_uint(&w, (f->midstream ? 1u : 0) | (f->seek ? 2u : 0) | (f->responder ? 4u : 0), 1);
	put_uint(&w, f->start_us - base, 4);
	uint64_t last_ms = f->last_us > base ? (f->last_us - base) / 1000 : 0;
	put_uint(&w, last_ms < UINT32_MAX ? last_ms : UINT32_MAX, 4);
	put_uint(&w, f->service, 2);
	put_uint(&w, f->source, 2);
	put_uint(&w, f->flow_id, 8);
	put_remote(&w, &f->tuple.remote);
	put_uint(&w, n, 2);
	for (size_t i = f->n_ledger - n; i < f->n_ledger; i++) {
		put_uint(&w, f->ledger[i].at - bucket * (CELL_BUCKET_S / CELL_LEDGER_S), 2);
		put_uint(&w, f->ledger[i].up, 6);
		put_uint(&w, f->ledger[i].down, 6);
	}
	return (size_t)(w.at - buf);
}

bool cell_unpack_change(struct cell_change *ret, const uint8_t **at, const uint8_t *end)
{
	struct bytes b = bytes_of(*at, (size_t)(end - *at));
	struct cell_change c = {0};
	c.source = bytes_u16(&b);
	c.flow_id = bytes_u64(&b);
	c.side = bytes_u8(&b);
	c.version = bytes_u32(&b);
	c.grade = (char)bytes_u8(&b);
	c.key = bytes_u8(&b);
	c.cause = bytes_u8(&b);
	c.rivals = bytes_u8(&b);
	c.service = bytes_u16(&b);
	c.up = bytes_u64(&b);
	c.down = bytes_u64(&b);
	c.start_us = bytes_u64(&b);
	c.n_owners = bytes_u8(&b);
	if (c.n_owners > CELL_MAX_OWNERS)
		return false;
	for (size_t i = 0; i < c.n_owners; i++)
		c.owners[i] = bytes_u64(&b);
	c.n_evidence = bytes_u8(&b);
	if (c.n_evidence > CELL_MAX_EVIDENCE)
		return false;
	for (size_t i = 0; i < c.n_evidence; i++) {
		c.evidence[i].ref = bytes_u32(&b);
		c.evidence[i].delta_us = (int64_t)bytes_u64(&b);
	}
	if (b.failed || c.side > 1 || c.key >= CELL_KEY_COUNT || c.cause >= OWNER_CAUSE_COUNT)
		return false;
	*ret = c;
	*at = b.at;
	return true;
}
