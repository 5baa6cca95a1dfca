/* source_kind: what every kind of source offers to source.c. Only capture/source*.c include this. */
#ifndef LEAKTAP_CAPTURE_SOURCE_KIND_H
#define LEAKTAP_CAPTURE_SOURCE_KIND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/source.h"

/* The contracts are those of source.h. */
struct source_ops {
	int (*poll)(struct source *src, struct packet *pkts, struct err *err);
	void (*stats)(struct source *src, struct source_stats *ret_stats); /* fills a zeroed struct */
	const char *(*input_name)(const struct source *src, uint16_t input);
	void (*close)(struct source *src);
};

/* First member of every kind. */
struct source {
	const struct source_ops *ops;
	atomic_bool stop;
};

static inline bool source_stopped(const struct source *src)
{
	return atomic_load_explicit(&src->stop, memory_order_relaxed);
}

struct source_file_conf {
	const char *path;
	const char *filter;
	const atomic_bool *stop; /* of a source that holds this one; NULL: its own */
	size_t chunk_bytes;      /* 0 = ZFILE_CHUNK_BYTES */
	uint16_t input;
};

int source_file_open(struct source **ret_src, const struct source_file_conf *conf, struct err *err);
int source_merge_open(struct source **ret_src, const struct source_conf *conf, struct err *err);
int source_mem_open(struct source **ret_src, const struct source_conf *conf, struct err *err);
int source_live_open(struct source **ret_src, const struct source_conf *conf, struct err *err);

#endif
