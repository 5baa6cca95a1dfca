/* zfile: the one door to zlib and libzstd - a file, FIFO or standard input as a stream of decompressed bytes.
 *
 * gzip and zstd are known by their first bytes, never by the name; members and frames that follow one another
 * are one stream. Bytes of a plain file go from read(2) straight into the caller's buffer. One thread. */
#ifndef LEAKTAP_CAPTURE_ZFILE_H
#define LEAKTAP_CAPTURE_ZFILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "capture/base/err.h"

enum {
	ZFILE_CHUNK_BYTES =
	    256 * 1024,      /* how much is asked of the kernel at a time, and what callers should ask for */
	ZFILE_TICK_MS = 100, /* a wait for a pipe looks at stop this often */
};

struct zfile;

/* path: "-" is standard input. Directories (-EISDIR), devices and sockets (LT_EFORMAT) are refused. stop may
 * be NULL; when it becomes true a read that waits for a pipe ends with -ECANCELED; borrowed until close.
 * Reads nothing yet. */
int zfile_open(struct zfile **ret_z, const char *path, const atomic_bool *stop, struct err *err);

/* > 0: that many bytes, fewer than n where no more is at hand; 0: clean end, for good; LT_ETRUNCATED: the
 * compressed stream is cut short or corrupt, all bytes before the damage have been handed out; other
 * negative: read error. */
ssize_t zfile_read(struct zfile *z, void *ret_bytes, size_t n, struct err *err);

uint64_t zfile_offset_bytes(const struct zfile *z); /* taken from the file as stored */
uint64_t zfile_size_bytes(const struct zfile *z);   /* as stored; 0 = unknown (pipe) */
void zfile_close(struct zfile *z);                  /* NULL is fine; standard input stays open */

#endif
