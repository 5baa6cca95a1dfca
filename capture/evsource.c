#include "capture/evsource.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "capture/filelist.h"
#include "capture/zfile.h"

/* Where the current file stands: FRESH -> READING -> (ENDING) -> FRESH of the next. */
enum phase { PHASE_FRESH, PHASE_READING, PHASE_ENDING };

struct evsource {
	struct filelist files;
	size_t at; /* files.n: all done */
	enum phase phase;
	bool began; /* the current file's first chunk has been handed out */
	struct zfile *z;
	char *buf; /* ZFILE_CHUNK_BYTES */
	atomic_bool stop;
	uint64_t done_bytes; /* stored size of the files behind at */
	struct evsource_stats stats;
};

/* 0 where one of them has no size. */
static uint64_t total_size(const struct filelist *files)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < files->n; i++) {
		struct stat st;
		if (stat(files->paths[i], &st) || !S_ISREG(st.st_mode))
			return 0;
		sum += (uint64_t)st.st_size;
	}
	return sum;
}

int evsource_open(struct evsource **ret_es, const char *const *paths, size_t n_paths, struct err *err)
{
	struct evsource *es = calloc(1, sizeof *es);
	char *buf = malloc(ZFILE_CHUNK_BYTES);
	int r = es && buf ? filelist_expand(&es->files, paths, n_paths, err)
			  : err_set(err, -ENOMEM, "out of memory");
	if (r) {
		free(buf);
		free(es);
		return r;
	}
	es->buf = buf;
	es->stats.size_bytes = total_size(&es->files);
	*ret_es = es;
	return 0;
}

static int chunk(struct evsource *es, struct evchunk *ret_chunk, size_t n, bool ends)
{
	*ret_chunk = (struct evchunk){
	    .bytes = es->buf, .n = n, .origin = es->files.paths[es->at], .begins = !es->began, .ends = ends};
	es->began = true;
	es->stats.bytes += n;
	return 1;
}

/* The last chunk of the current file; on to the next. */
static int end_file(struct evsource *es, struct evchunk *ret_chunk)
{
	chunk(es, ret_chunk, 0, true);
	if (es->z)
		es->done_bytes += zfile_offset_bytes(es->z);
	zfile_close(es->z);
	es->z = NULL;
	es->began = false;
	es->phase = PHASE_FRESH;
	es->at++;
	return 1;
}

static int give_up(struct evsource *es, int code)
{
	es->stats.unreadable++;
	es->phase = PHASE_ENDING;
	return code;
}

int evsource_poll(struct evsource *es, struct evchunk *ret_chunk, struct err *err)
{
	if (es->at == es->files.n || atomic_load_explicit(&es->stop, memory_order_relaxed))
		return err_set(err, -ENODATA, "no more events");
	if (es->phase == PHASE_ENDING)
		return end_file(es, ret_chunk);
	if (es->phase == PHASE_FRESH) {
		int r = zfile_open(&es->z, es->files.paths[es->at], &es->stop, err);
		if (r)
			return give_up(es, r);
		es->phase = PHASE_READING;
	}
	ssize_t n = zfile_read(es->z, es->buf, ZFILE_CHUNK_BYTES, err);
	if (n == -ECANCELED)
		return err_set(err, -ENODATA, "stopped");
	if (n < 0)
		return give_up(es, (int)n);
	if (n > 0)
		return chunk(es, ret_chunk, (size_t)n, false);
	es->stats.files++;
	return end_file(es, ret_chunk);
}

void evsource_break(struct evsource *es)
{
	atomic_store_explicit(&es->stop, true, memory_order_relaxed);
}

void evsource_stats(const struct evsource *es, struct evsource_stats *ret_stats)
{
	*ret_stats = es->stats;
	ret_stats->offset_bytes = es->done_bytes + (es->z ? zfile_offset_bytes(es->z) : 0);
}

void evsource_close(struct evsource *es)
{
	if (!es)
		return;
	zfile_close(es->z);
	filelist_done(&es->files);
	free(es->buf);
	free(es);
}
