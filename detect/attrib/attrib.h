/* attrib: who owned a flow. Holds the endpoint side (devices, processes, clocks, archives) and the join in Redis behind one door.
 *
 * One thread. Two ways of use, the same state merge in Redis:
 * replay - every event by attrib_event, every joined flow by attrib_flow while packets run (it goes to a spill file, not to memory), then
 *          attrib_settle: clocks are estimated over the whole input, both sides shipped, owners read back; attrib_owner answers for good.
 * live   - attrib_event and attrib_flow ship in batches without waiting; attrib_poll reads results and revisions. */
#ifndef LEAKTAP_DETECT_ATTRIB_ATTRIB_H
#define LEAKTAP_DETECT_ATTRIB_ATTRIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/base/redis.h"
#include "detect/attrib/owner.h"
#include "dissect/procevent.h"

enum attrib_side { ATTRIB_INITIATOR, ATTRIB_RESPONDER, ATTRIB_SIDES };

struct attrib_conf {
	const struct redis_url *redis; /* NULL: start a private redis-server */
	bool live;
	uint64_t grace_ns;          /* live: before "late" turns into no_event; 0 = 15 min */
	uint64_t cell_ttl_s;        /* 0 = 7200, at most 86400 */
	uint8_t zone;
	/* Declared addresses of NAT, proxies and VPN pools, each of which stands for several machines; NULL: none. */
	bool (*is_pool)(const void *ctx, const struct facts_addr *addr);
	const void *is_pool_ctx;
	const char *sensor;         /* name of this source in Redis */
	const char *spool;          /* live, with redis: directory where flows and events wait for Redis, also over a restart; NULL: in memory */
	size_t max_processes;       /* 0 = 1,048,576; least recently used out, counted */
	size_t max_devices;         /* 0 = 131,072 */
};

/* What the join needs of a flow; cumulative. */
struct attrib_flow {
	uint64_t flow_id;
	struct facts_addr src, dst;
	uint8_t proto;
	bool midstream;            /* the connect was not seen */
	bool bystander;            /* not joined: its start only helps to measure the clocks */
	uint64_t start_ns, end_ns;
	uint64_t up_bytes, down_bytes; /* cumulative acknowledged */
	uint16_t service;          /* row of the catalogue for rollups, 0 none */
	const struct facts_minute *minutes; /* of this delta */
	size_t n_minutes;
};

/* One archive a process made, for rule 1003. */
struct attrib_archive {
	uint64_t time_ns;          /* corrected */
	uint64_t principal;        /* who made it */
	const char *process;       /* "7z.exe" */
	const char *file;          /* file name without folder, or the command line's, NULL if unknown */
	const char *source, *id;   /* evidence */
	uint8_t relation;          /* of the maker to the asked process */
};
enum attrib_relation { ATTRIB_SAME, ATTRIB_CHILD, ATTRIB_PARENT, ATTRIB_SIBLING };

struct attrib_clock {
	const char *device, *source, *domain; /* borrowed until the next call */
	bool calibrated;
	double offset_ms, spread_ms;
	uint32_t samples;
};

struct attrib_stats {
	uint64_t events_unjoinable; /* of connections, but without the local address and port that a join needs */
	uint64_t events, events_joinable, events_duplicate, flows, batches, bytes_shipped;
	uint64_t sides[3][6]; /* [owner_outcome][grade A..D,U = 0..4] */
	uint64_t cell_overflow, processes_evicted, devices_evicted, redis_errors, reconnects;
	uint64_t batches_forced;   /* Redis had forgotten them and they were no longer kept: lost to the join */
	uint64_t batches_recalled; /* times Redis had forgotten something and got it again */
	uint64_t spool_bytes;      /* on disk, waiting for Redis or kept in case it forgets */
	uint64_t spool_dropped;    /* batches the disk had no room for: lost to the join */
	size_t memory_bytes;
	size_t unacknowledged_bytes; /* live: shipped or waiting, and Redis has not said that it has them */
};

struct attrib;

int attrib_new(struct attrib **ret_at, const struct attrib_conf *conf, struct err *err);
void attrib_free(struct attrib *at); /* stops the private server, leaves nothing behind */

int attrib_event(struct attrib *at, const struct procevent *ev);
/* Copies. side is derived: both sides are joined where the address belongs to a known device (replay: decided at settle). */
int attrib_flow(struct attrib *at, const struct attrib_flow *flow);

/* progress may be NULL: done/total of steps. */
int attrib_settle(struct attrib *at, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx, struct err *err);

/* Replay, after settle: fills ret for flow_id and side; false: that side was not joined (its address is no known device's, or
 * attrib_flow never saw it). Strings stay until attrib_free. Deterministic: the same input gives the same answer. */
bool attrib_owner(struct attrib *at, uint64_t flow_id, enum attrib_side side, struct owner *ret);

/* Live: calls fn for every (flow, side) whose owner is new or changed, with a version that only grows. Never blocks. */
typedef void attrib_fn(void *ctx, uint64_t flow_id, enum attrib_side side, uint32_t version, const struct owner *owner);
int attrib_poll(struct attrib *at, uint64_t now_ns, attrib_fn *fn, void *ctx, struct err *err);

/* Live: a mark stands behind all events and flows given so far; stored: Redis has everything before it. */
struct attrib_mark {
	uint64_t records, processes;
};
struct attrib_mark attrib_mark(const struct attrib *at);
bool attrib_stored(const struct attrib *at, struct attrib_mark mark);
/* Live: what waits for Redis. At 64 MiB records are refused; who can wait gives none before it has sunk. */
size_t attrib_queued_bytes(const struct attrib *at);

/* Archives made by the same process tree in [from_ns, to_ns], newest first; returns how many (at most max). Strings borrowed until free. */
size_t attrib_archives(struct attrib *at, uint64_t principal, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret, size_t max);

/* What an operator should know about the Redis in use, "": nothing. */
const char *attrib_remark(const struct attrib *at);

/* The device that had this address at that time, NULL if none reports. */
const char *attrib_device(struct attrib *at, const struct facts_addr *addr, uint64_t at_ns);
size_t attrib_clocks(struct attrib *at, struct attrib_clock *ret, size_t max);
void attrib_stats(const struct attrib *at, struct attrib_stats *ret);

#endif
