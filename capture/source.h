/* source: where frames come from - a file, standard input, a live interface, memory (tests).
 *
 * A source hands out bursts of borrowed views. Sources are used by one thread; only source_break may be
 * called from another thread or a signal handler. */
#ifndef LEAKTAP_CAPTURE_SOURCE_H
#define LEAKTAP_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/packet.h"

enum { SOURCE_BURST = 32 };

/* One file of several could not be opened, or not be read to its end; the others go on. */
typedef void source_failed_fn(void *ctx, uint16_t input, const char *path, const struct err *err);

/* Exactly one of path, paths, iface, frames says where from. What is pointed to is borrowed until close. */
struct source_conf {
	const char *path;         /* capture file or "-"; or NULL */
	const char *const *paths; /* capture files read as one in time order (see filelist.h); or NULL */
	size_t n_paths;
	const char *iface;           /* live interface; or NULL */
	const struct packet *frames; /* memory: frames in order; or NULL */
	size_t n_frames;
	const char *filter;     /* BPF text; NULL or "" for none */
	uint32_t ring_bytes;    /* live: kernel buffer, 0 = 64 MiB */
	uint32_t snaplen_bytes; /* live: 0 = 262144 */
	uint16_t input;         /* number put into every packet; of several paths that of the first */
	/* Of two or more paths, told of each that fails; a lone file's error comes back. May be NULL. */
	source_failed_fn *failed;
	void *failed_ctx;
};

struct source_stats {
	uint64_t packets, bytes; /* handed out; bytes = sum of len */
	uint64_t filtered;       /* files: frames the filter left out */
	/* Live; 64 bits accumulated over the 32-bit counters of libpcap. */
	uint64_t kernel_drops, iface_drops;
	/* Files: position in the file as stored (compressed), size or 0 if unknown. */
	uint64_t offset_bytes, size_bytes;
	uint64_t bad_records;  /* skipped blocks or records that were unreadable */
	uint64_t undecoded;    /* pcapng: frames of interfaces whose link type is not decoded */
	uint64_t files_failed; /* of several: files given up, at open or before their end */
	uint64_t merge_late;   /* of several: files begun late because too many overlap in time */
};

struct source;

/* 0, or a negative code with err->text naming the file or interface. LT_EFORMAT: not a capture or link type
 * unsupported (exit 2); LT_EFILTER; -ENOENT, -EACCES, ...: cannot be opened; live also -EPERM, -ENODEV,
 * -ENETDOWN. Of several files it fails only where none can be read. */
int source_open(struct source **ret_src, const struct source_conf *conf, struct err *err);

/* Fills up to SOURCE_BURST views, valid until the next call. > 0: that many; 0: nothing now, call again
 * (live: the call has waited up to 100 ms; file: the filter left out all of a stretch); -ENODATA: clean end;
 * LT_ETRUNCATED: the file ends inside a record (all complete packets were handed out before); -EBADMSG: it is
 * corrupt from here on (the same); LT_EFORMAT: nothing in it could be read after all; LT_EGONE: the interface
 * disappeared; other negative: read error. err tells. After a negative code every further call returns it
 * again. */
int source_poll(struct source *src, struct packet pkts[SOURCE_BURST], struct err *err);

void source_stats(struct source *src, struct source_stats *ret_stats);
/* File, interface or "memory" behind a packet's input; borrowed until close. NULL: no such input. */
const char *source_input_name(const struct source *src, uint16_t input);
/* Async-signal-safe. Files: the next poll returns -ENODATA. Live: polls go on handing out what the kernel has
 * captured so far, for at most a second, and then return -ENODATA. */
void source_break(struct source *src);
void source_close(struct source *src); /* NULL is fine */

#endif
