/* dnscache: the names a client's DNS answers gave to addresses, with TTL and a grace time. Bounded; oldest out first, counted.
 * One thread. Keyed by (zone, client address, answered address): another client's answer is no evidence. */
#ifndef LEAKTAP_DISSECT_DNSCACHE_H
#define LEAKTAP_DISSECT_DNSCACHE_H

#include "dissect/dns.h"

struct dnscache_stats {
	uint64_t stored, evicted, expired, hits, misses;
	size_t entries, max_entries, memory_bytes;
};

struct dnscache;

/* 0, 0: 65,536 entries (name and address), 2 h grace past the TTL. NULL: out of memory. */
struct dnscache *dnscache_new(size_t max_entries, uint64_t grace_ns);
void dnscache_free(struct dnscache *dc);

/* msg: a response with answers seen going to client at now_ns. */
void dnscache_store(struct dnscache *dc, uint8_t zone, const struct facts_addr *client, const struct dns_message *msg, uint64_t now_ns);

/* Names valid at now_ns for client -> server (given by an answer not later than it, and not older than its TTL and the grace
 * time): newest first, at most max; returns how many. At most 8 are kept. Borrowed until the next store. */
size_t dnscache_find(struct dnscache *dc, uint8_t zone, const struct facts_addr *client, const struct facts_addr *server,
		     uint64_t now_ns, const char **ret_names, size_t max);

void dnscache_stats(const struct dnscache *dc, struct dnscache_stats *ret);

#endif
