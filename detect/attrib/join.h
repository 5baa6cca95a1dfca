/* join: carries records to the script in Redis, one batch per tag and call, and hands back the changes it reports.
 *
 * Delivery is at least once and in order per tag; the script makes it exactly once. A batch is kept until it is acknowledged and then
 * for keep_ns more: a server that lost what it had acknowledged (power, a failover) answers with a gap, and the join goes back to what
 * the server has. A question every 5 s finds that out where there is nothing to send. With a spool the batches wait and are kept on disk,
 * those of earlier runs too, under the names and numbers that the server knows them by. One thread. Replay waits (join_put,
 * join_flush); live never does (join_offer, join_pump), but for connecting. */
#ifndef LEAKTAP_DETECT_ATTRIB_JOIN_H
#define LEAKTAP_DETECT_ATTRIB_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/base/redis.h"
#include "detect/attrib/cell.h"

typedef void join_fn(void *ctx, const struct cell_change *change);

struct join_conf {
	const struct redis_url *url; /* borrowed until join_close */
	const char *source;    /* name of this sensor in Redis; an epoch is added, so that a new run never reads as a duplicate */
	uint64_t cell_ttl_s;   /* also how far back mid-stream flows look; 0: cells live for ever (a private server) */
	uint64_t rollup_ttl_s; /* 0: for ever */
	unsigned stream_cap;   /* entries kept of {tag}:out; 0: no stream */
	size_t queue_bytes;    /* live: records waiting beyond this are refused; 0 = 64 MiB */
	uint64_t keep_ns;      /* how long acknowledged batches are kept, 0: not */
	size_t keep_bytes;     /* of acknowledged batches; beyond, the oldest go. 0 = 64 MiB */
	const char *spool;     /* live: directory where batches wait, also over a restart of ours; NULL: in memory */
	uint64_t spool_cap_bytes; /* 0 = 4 GiB; beyond, the oldest go, counted */
	bool tell_all;         /* report every flow of a batch, not only the changed (replay) */
	join_fn *fn;           /* called inside join_put, join_flush and join_pump */
	void *ctx;
};

struct join_stats {
	uint64_t records, batches, bytes_shipped, refused, overflow, duplicates, gaps, errors, reconnects;
	uint64_t moved;  /* a cluster's tag had another server */
	uint64_t forced; /* batches the server had forgotten and that were no longer kept: lost to the join */
	size_t queued_bytes, kept_bytes;
	uint64_t spool_bytes;   /* on disk */
	uint64_t spool_dropped; /* batches that went from the disk at its cap, were spoiled there, or found no room on it */
};

struct join;

int join_open(struct join **ret_jn, const struct join_conf *conf, struct err *err);
void join_close(struct join *jn); /* NULL is fine; what is queued is dropped */

/* Queues one record (cell_pack_*); waits when enough is under way. */
int join_put(struct join *jn, uint32_t tag, const uint8_t *record, size_t n, struct err *err);
/* Sends everything and waits until all is acknowledged. */
int join_flush(struct join *jn, struct err *err);

/* Queues one record, false: the queue is full and the record was counted as refused. */
bool join_offer(struct join *jn, uint32_t tag, const uint8_t *record, size_t n);
/* Sends what is due (full batches, and all older than 200 ms), reads what has come, reconnects when the time is right. */
int join_pump(struct join *jn, uint64_t now_ns, struct err *err);
/* Waits until an answer may be there, some milliseconds at most. */
void join_wait(struct join *jn);

/* Records taken so far, and how many of the first of them are all in Redis. */
uint64_t join_records(const struct join *jn);
uint64_t join_stored(const struct join *jn);

void join_stats(const struct join *jn, struct join_stats *ret);
/* One line of what an operator should know about the server, "": nothing. */
const char *join_remark(const struct join *jn);

#endif
