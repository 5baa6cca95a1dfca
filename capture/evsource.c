#include "capture/evsource.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/evinlet.h"
#include "capture/filelist.h"
#include "capture/zfile.h"

/* Where the current file stands: FRESH -> READING -> (ENDING) -> FRESH of the next. */
enum phase { PHASE_FRESH, PHASE_READING, PHASE_ENDING };

enum { MAX_INLETS = 64, IDLE_MS = 50 };
#define LIST   "redis-list:"
#define STREAM "redis-stream:"
#define KAFKA  "kafka://"

struct evsource {
	/* followed; else files are read once */
	struct evinlet *inlets[MAX_INLETS];
	size_t n_inlets, turn;
	bool midway; /* the origin of inlets[turn] has begun and not ended */
	uint64_t last_number;
	_Atomic uint64_t confirmed;
	/* read once */
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

static bool begins_with(const char *text, const char *beginning)
{
	return strncmp(text, beginning, strlen(beginning)) == 0;
}

static bool is_queue(const char *source)
{
	return begins_with(source, LIST) || begins_with(source, STREAM) || begins_with(source, KAFKA);
}

bool evsource_lasts(const char *source)
{
	struct stat st;
	return is_queue(source) || (stat(source, &st) == 0 && S_ISDIR(st.st_mode));
}

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
	for (size_t i = 0; i < n_paths; i++)
		if (is_queue(paths[i]))
			return err_set(err, LT_EUSAGE, "%s: goes on for ever; it is for leaktap ingest and live sensors", paths[i]);
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
	    .bytes = es->buf, .n = n, .origin = es->files.paths[es->at], .begins = !es->began, .ends = ends,
	    .number = ++es->last_number};
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

static int poll_once(struct evsource *es, struct evchunk *ret_chunk, struct err *err)
{
	if (es->at == es->files.n)
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

/* ---- followed ---- */

static int open_inlet(struct evsource *es, const struct evsource_conf *conf, const char *source, struct err *err)
{
	struct evinlet **in = &es->inlets[es->n_inlets];
	int r;
	if (es->n_inlets == MAX_INLETS)
		return err_set(err, LT_EUSAGE, "more than %d sources", MAX_INLETS);
	if (begins_with(source, LIST))
		r = evredis_open(in, conf, source + strlen(LIST), false, err);
	else if (begins_with(source, STREAM))
		r = evredis_open(in, conf, source + strlen(STREAM), true, err);
	else
		r = evkafka_open(in, conf, source + strlen(KAFKA), err);
	es->n_inlets += r == 0;
	return r;
}

static int open_inlets(struct evsource *es, const struct evsource_conf *conf, struct err *err)
{
	const char **paths = calloc(conf->n_sources, sizeof *paths);
	size_t n_paths = 0;
	int r = paths ? 0 : err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r == 0 && i < conf->n_sources; i++) {
		const char *source = conf->sources[i];
		struct stat st;
		if (is_queue(source))
			r = open_inlet(es, conf, source, err);
		else if (strcmp(source, "-") == 0 || (stat(source, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
			r = err_set(err, LT_EUSAGE, "%s: a pipe ends and cannot be followed beside sources that last", source);
		else
			paths[n_paths++] = source;
	}
	if (r == 0 && n_paths && es->n_inlets == MAX_INLETS)
		r = err_set(err, LT_EUSAGE, "more than %d sources", MAX_INLETS);
	if (r == 0 && n_paths) {
		r = evfollow_open(&es->inlets[es->n_inlets], conf, paths, n_paths, &es->stop, err);
		es->n_inlets += r == 0;
	}
	free(paths);
	return r;
}

int evsource_follow(struct evsource **ret_es, const struct evsource_conf *conf, struct err *err)
{
	struct evsource *es = calloc(1, sizeof *es);
	if (!es)
		return err_set(err, -ENOMEM, "out of memory");
	int r = conf->n_sources ? open_inlets(es, conf, err) : err_set(err, LT_EUSAGE, "no source to follow");
	if (r) {
		evsource_close(es);
		return r;
	}
	*ret_es = es;
	return 0;
}

/* One inlet after the other, but an origin that has begun is ended first. */
static int poll_inlets(struct evsource *es, struct evchunk *ret_chunk, struct err *err)
{
	uint64_t confirmed = atomic_load_explicit(&es->confirmed, memory_order_acquire);
	int r = 0;
	for (size_t i = 0; i < es->n_inlets && r == 0; i++)
		r = es->inlets[i]->ops->confirm(es->inlets[i], confirmed, err);
	for (size_t i = 0; i < es->n_inlets && r == 0; i++) {
		if (!es->midway)
			es->turn = (es->turn + 1) % es->n_inlets;
		struct evinlet *in = es->inlets[es->turn];
		r = in->ops->poll(in, es->last_number + 1, ret_chunk, err);
		if (r == 1) {
			es->last_number++;
			es->midway = !ret_chunk->ends;
		}
	}
	if (r == 0)
		poll(NULL, 0, IDLE_MS);
	return r;
}

int evsource_poll(struct evsource *es, struct evchunk *ret_chunk, struct err *err)
{
	if (atomic_load_explicit(&es->stop, memory_order_relaxed))
		return err_set(err, -ENODATA, "no more events");
	return es->n_inlets ? poll_inlets(es, ret_chunk, err) : poll_once(es, ret_chunk, err);
}

void evsource_confirm(struct evsource *es, uint64_t number)
{
	if (number > atomic_load_explicit(&es->confirmed, memory_order_relaxed))
		atomic_store_explicit(&es->confirmed, number, memory_order_release);
}

void evsource_break(struct evsource *es)
{
	atomic_store_explicit(&es->stop, true, memory_order_relaxed);
}

void evsource_stats(const struct evsource *es, struct evsource_stats *ret_stats)
{
	*ret_stats = es->stats;
	for (size_t i = 0; i < es->n_inlets; i++)
		es->inlets[i]->ops->stats(es->inlets[i], ret_stats);
	if (es->n_inlets)
		ret_stats->unconfirmed = es->last_number - atomic_load_explicit(&es->confirmed, memory_order_relaxed);
	ret_stats->offset_bytes = es->done_bytes + (es->z ? zfile_offset_bytes(es->z) : 0);
}

void evsource_close(struct evsource *es)
{
	if (!es)
		return;
	for (size_t i = 0; i < es->n_inlets; i++) {
		es->inlets[i]->ops->confirm(es->inlets[i], atomic_load(&es->confirmed), NULL);
		es->inlets[i]->ops->close(es->inlets[i]);
	}
	zfile_close(es->z);
	filelist_done(&es->files);
	free(es->buf);
	free(es);
}
