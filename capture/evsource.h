/* evsource: where endpoint events come from, as chunks of bytes; understands nothing of them.
 *
 * One thread. Files may be plain, gzip or zstd. Chunks of one origin arrive in order, the first with begins
 * set, the last (possibly empty) with ends set. */
#ifndef LEAKTAP_CAPTURE_EVSOURCE_H
#define LEAKTAP_CAPTURE_EVSOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

struct evchunk {
	const char *bytes; /* borrowed until the next poll */
	size_t n;
	const char *origin; /* file name as given or found, "-" for standard input; borrowed until close */
	bool begins, ends;
};

struct evsource_stats {
	uint64_t files, bytes;             /* finished files; bytes after decompression */
	uint64_t offset_bytes, size_bytes; /* over all files as stored; size 0 if unknown */
	uint64_t unreadable;               /* files that could not be opened or decompressed to their end */
};

struct evsource;

/* paths: files, directories (every regular file in them, by name, not recursive, dot files left out) or "-".
 * 0, or a negative code with err naming the path. An empty directory is an error. */
int evsource_open(struct evsource **ret_es, const char *const *paths, size_t n_paths, struct err *err);

/* 1: one chunk; -ENODATA: all done; other negative: this file could not be read further (err says which and
 * why, its ends chunk is delivered by the next call, with begins set where it could not even be opened),
 * polling may go on. LT_ETRUNCATED: it is compressed and cut short or corrupt. */
int evsource_poll(struct evsource *es, struct evchunk *ret_chunk, struct err *err);

/* Async-signal-safe, any thread: the next poll, also one that waits for a pipe, returns -ENODATA. */
void evsource_break(struct evsource *es);
void evsource_stats(const struct evsource *es, struct evsource_stats *ret_stats);
void evsource_close(struct evsource *es); /* NULL is fine */

#endif
