/* spool: records on disk, in order, until their reader has acknowledged them - and a while longer, for a far end that forgets.
 *
 * A directory of append-only segments, each record with its number and CRC-32C, and a small file that holds the reader's position.
 * Numbers only grow, from 1, also over restarts; they are contiguous but where records were lost (dropped at the cap, corrupt, or
 * possibly lost with the power: an opening that follows an unclean end leaves a gap, so that no number is ever given twice).
 * One thread; it calls spool_sync once a second: what was appended since the last one a power loss may take, a crash of the
 * program nothing. One process per directory. */
#ifndef LEAKTAP_CAPTURE_BASE_SPOOL_H
#define LEAKTAP_CAPTURE_BASE_SPOOL_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

enum { SPOOL_MAX_RECORD_BYTES = 4 << 20 };
#define SPOOL_MAX_NUMBER (UINT64_C(1) << 53) /* none is higher; a record that says so is damage */

struct spool_conf {
	const char *directory;   /* made when missing, its parent must exist */
	uint64_t cap_bytes;      /* of all segments; beyond, the oldest segment goes. 0 = 1 GiB */
	uint64_t segment_bytes;  /* 0 = 8 MiB; at most an eighth of the cap */
	uint64_t keep_ns;        /* how long acknowledged records stay readable; 0 = 5 min */
};

struct spool_stats {
	uint64_t appended;       /* by this process */
	uint64_t waiting;        /* not acknowledged */
	uint64_t dropped;        /* went unacknowledged at the cap */
	uint64_t corrupt;        /* records passed over because their check did not fit */
	uint64_t torn_bytes;     /* cut off the end at opening */
	uint64_t bytes;          /* on disk */
};

struct spool;

/* -EBUSY: another process has it. What an earlier process left is read and checked once. */
int spool_open(struct spool **ret_sp, const struct spool_conf *conf, struct err *err);
void spool_close(struct spool *sp); /* syncs; NULL is fine */

/* Drawn when the spool was created: with it a number names a record for good. */
uint64_t spool_epoch(const struct spool *sp);

/* 0 and the record's number, or a negative errno (-ENOSPC, -EIO, -EMSGSIZE): then nothing was kept. */
int spool_append(struct spool *sp, const void *bytes, size_t n, uint64_t *ret_number);
int spool_sync(struct spool *sp); /* 0 or a negative errno */

/* The reader stands after what was acknowledged when the spool was opened. 1: the next record, borrowed until the next call of
 * any function but spool_ack; 0: none; negative errno. */
int spool_next(struct spool *sp, uint64_t *ret_number, const void **ret_bytes, size_t *ret_n);
/* The next record read is the first kept one with this number or a higher. */
void spool_rewind(struct spool *sp, uint64_t number);
/* All up to and including number have arrived. A number below an earlier one is ignored. */
void spool_ack(struct spool *sp, uint64_t number);
uint64_t spool_acked(const struct spool *sp);
void spool_stats(const struct spool *sp, struct spool_stats *ret);

#endif
