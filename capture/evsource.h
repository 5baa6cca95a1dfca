/* evsource: where endpoint events come from, as chunks of bytes; understands nothing of them.
 *
 * A source is written as on the command line: a file, a directory, "-" (standard input), redis-list:KEY, redis-stream:KEY,
 * kafka://broker[,broker...]/topic. Opened with evsource_open it is read once to its end (files only); with evsource_follow it
 * lasts: files grow and rotate, keys and topics are emptied as they fill, and what the consumer has confirmed is not read again,
 * also after a restart.
 * One thread, but where said. Files may be plain, gzip or zstd. Chunks of one origin arrive in order, the first with begins
 * set, the last (possibly empty) with ends set; another origin begins only then. */
#ifndef LEAKTAP_CAPTURE_EVSOURCE_H
#define LEAKTAP_CAPTURE_EVSOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/base/redis.h"

struct evchunk {
	const char *bytes; /* borrowed until the next poll */
	size_t n;
	const char *origin; /* file name as given or found, "-" for standard input; borrowed until close, followed: until the next poll */
	bool begins, ends;
	uint64_t number; /* for evsource_confirm; grows by one with each chunk */
};

struct evsource_stats {
	uint64_t files, bytes;             /* finished files; bytes after decompression */
	uint64_t offset_bytes, size_bytes; /* over all files as stored; size 0 if unknown, followed: always */
	uint64_t unreadable;               /* files, or items of a queue, that could not be opened or decompressed to their end */
	uint64_t rotations;                /* followed: files that were truncated, replaced or taken up under another name */
	uint64_t unconfirmed;              /* chunks handed out and not confirmed; counted while following only */
};

struct evsource;

/* paths: files, directories (every regular file in them, by name, not recursive, dot files left out) or "-".
 * 0, or a negative code with err naming the path. An empty directory is an error. */
int evsource_open(struct evsource **ret_es, const char *const *paths, size_t n_paths, struct err *err);

/* How much of a file means something by itself. */
enum evsource_form {
	EVSOURCE_LINES = 1, /* any line */
	EVSOURCE_HEADED,    /* any line after the first, which says what they mean: handed out again before each part */
	EVSOURCE_WHOLE,     /* nothing less than all: read from the start again whenever it has changed */
};

struct evsource_conf {
	const char *const *sources; /* borrowed while opening */
	size_t n_sources;
	const char *checkpoint;     /* file; NULL: what was read is remembered until close only */
	const char *consumer;       /* stable name of this reader in Redis and Kafka, different from every other reader's */
	const struct redis_url *redis; /* of redis-list and redis-stream; borrowed until close; NULL: those are refused */
	/* Told by the start of a file (its first line, or 64 KiB of it); NULL: lines. */
	enum evsource_form (*form)(const char *head, size_t n);
};

/* Sources that last may not be there yet. -EBUSY: another process has the checkpoint. LT_EUSAGE: a source that cannot be followed
 * ("-" and pipes; read them with evsource_open). */
int evsource_follow(struct evsource **ret_es, const struct evsource_conf *conf, struct err *err);
/* Does this source go on after what is there now - is it a directory, a Redis key or a Kafka topic? */
bool evsource_lasts(const char *source);

/* 1: one chunk; -ENODATA: all done; other negative: this file could not be read further (err says which and
 * why, its ends chunk is delivered by the next call, with begins set where it could not even be opened),
 * polling may go on. LT_ETRUNCATED: it is compressed and cut short or corrupt. Followed: also 0, nothing now (after
 * waiting for at most 100 ms), and no ends chunk follows an error outside of an origin. */
int evsource_poll(struct evsource *es, struct evchunk *ret_chunk, struct err *err);

/* All chunks up to and including number have been stored: they need not be read again. Any thread, may be called late or never; a
 * later number confirms the earlier. Takes effect with the next poll or close. */
void evsource_confirm(struct evsource *es, uint64_t number);

/* Async-signal-safe, any thread: the next poll, also one that waits for a pipe, returns -ENODATA. */
void evsource_break(struct evsource *es);
void evsource_stats(const struct evsource *es, struct evsource_stats *ret_stats);
void evsource_close(struct evsource *es); /* NULL is fine */

#endif
