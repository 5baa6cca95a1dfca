/* source: where frames come from - a file, standard input, a live interface, memory (tests).
 *
 * A source hands out bursts of borrowed views. Sources are used by one thread; only source_break may be called
 * from another thread or a signal handler. */
#ifndef LEAKTAP_CAPTURE_SOURCE_H
#define LEAKTAP_CAPTURE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/packet.h"

enum { SOURCE_BURST = 32 };

struct source_conf {
	const char *path;       /* capture file or "-"; or NULL */
	const char *iface;      /* live interface; or NULL */
	const char *filter;     /* BPF text; NULL or "" for none */
	uint32_t ring_bytes;    /* live: kernel buffer, 0 = 64 MiB */
	uint32_t snaplen_bytes; /* live: 0 = 262144 */
	uint16_t input;         /* number put into every packet */
	const struct packet *frames; /* memory source: frames in order, borrowed until close */
	size_t n_frames;
};

struct source_stats {
	uint64_t packets, bytes;            /* handed out; bytes = sum of len */
	uint64_t filtered;                  /* files: frames the filter left out */
	uint64_t kernel_drops, iface_drops; /* live, 64-bit, accumulated over the 32-bit counters of libpcap */
	uint64_t offset_bytes, size_bytes;  /* files: position in the file as stored (compressed), size or 0 if unknown */
	uint64_t bad_records;               /* skipped blocks or records that were unreadable */
};

struct source;

/* 0, or a negative code with err->text naming the file or interface. LT_EFORMAT: not a capture or link type
 * unsupported (exit 2); -ENOENT, -EACCES, ...: cannot be opened. */
int source_open(struct source **ret_src, const struct source_conf *conf, struct err *err);

/* Fills up to SOURCE_BURST views, valid until the next call. > 0: that many; 0: nothing now (live only; the call
 * has waited up to 100 ms); -ENODATA: clean end; LT_ETRUNCATED: the file ends inside a record (all complete packets were
 * handed out before); LT_EGONE: the interface disappeared; other negative: read error. err tells. */
int source_poll(struct source *src, struct packet pkts[SOURCE_BURST], struct err *err);

void source_stats(struct source *src, struct source_stats *ret_stats);
void source_break(struct source *src); /* async-signal-safe; the next poll returns -ENODATA */
void source_close(struct source *src); /* NULL is fine */

#endif
