/* Several capture files as one source in time order.
 *
 * Every file is looked at once for the time of its first packet and closed again; it is opened for good when
 * the merge reaches that time. So of a month of rotated files one is open, and of files that overlap as many
 * as overlap. Of the open files the one whose next packet is oldest gives the next packet; within a file the
 * order is the file's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "capture/bpf.h"
#include "capture/source_kind.h"

enum {
	MERGE_MAX_OPEN = 256,         /* far below the usual limit of 1,024 descriptors; 80 MiB of buffers */
	MERGE_PEEK_BYTES = 16 * 1024, /* a first packet nearly always lies in the first page */
};

/* A file that has not been begun. Only FIFOs and standard input, which cannot be opened twice, are open
 * already. */
struct waiting {
	uint64_t first_ts_ns;
	struct source *src;
	uint64_t size_bytes;
	uint16_t index;
};

/* An open file. at < n while it is in the heap. */
struct merge_input {
	struct source *src;
	size_t at, n;
	uint16_t index;
	struct packet pkts[SOURCE_BURST];
};

struct source_merge {
	struct source base;
	char **paths;
	size_t n_paths;
	char *filter;
	source_failed_fn *failed;
	void *failed_ctx;
	uint16_t first_input;
	struct waiting *waiting; /* by time, then number; [waiting_at, n_waiting) are left */
	size_t waiting_at, n_waiting;
	struct merge_input **heap; /* min-heap of n_heap <= MERGE_MAX_OPEN */
	size_t n_heap;
	struct merge_input *empty; /* has handed out its burst and must be polled before the next packet */
	struct source_stats done;  /* of files that are closed */
	uint64_t size_bytes;       /* of all; 0: one of them has no size */
	bool late;                 /* the next waiting file has been counted as late */
	struct err end;
};

static struct source_merge *merge_of(struct source *src)
{
	return (struct source_merge *)src;
}

static void tell_failure(struct source_merge *m, uint16_t index, const struct err *why)
{
	m->done.files_failed++;
	if (m->failed)
		m->failed(m->failed_ctx, (uint16_t)(m->first_input + index), m->paths[index], why);
}

static void add_stats(struct source_stats *sum, struct source *src)
{
	struct source_stats s;
	source_stats(src, &s);
	sum->packets += s.packets;
	sum->bytes += s.bytes;
	sum->filtered += s.filtered;
	sum->offset_bytes += s.offset_bytes;
	sum->bad_records += s.bad_records;
	sum->undecoded += s.undecoded;
}

static bool older(const struct merge_input *a, const struct merge_input *b)
{
	uint64_t x = a->pkts[a->at].ts_ns, y = b->pkts[b->at].ts_ns;
	return x != y ? x < y : a->index < b->index;
}

static void sift_down(struct source_merge *m, size_t at)
{
	struct merge_input *moving = m->heap[at];
	for (;;) {
		size_t child = 2 * at + 1;
		if (child >= m->n_heap)
			break;
		if (child + 1 < m->n_heap && older(m->heap[child + 1], m->heap[child]))
			child++;
		if (!older(m->heap[child], moving))
			break;
		m->heap[at] = m->heap[child];
		at = child;
	}
	m->heap[at] = moving;
}

static void heap_push(struct source_merge *m, struct merge_input *in)
{
	size_t at = m->n_heap++;
	for (; at > 0 && older(in, m->heap[(at - 1) / 2]); at = (at - 1) / 2)
		m->heap[at] = m->heap[(at - 1) / 2];
	m->heap[at] = in;
}

static void heap_pop(struct source_merge *m)
{
	m->heap[0] = m->heap[--m->n_heap];
	if (m->n_heap)
		sift_down(m, 0);
}

static void close_input(struct source_merge *m, struct merge_input *in)
{
	add_stats(&m->done, in->src);
	source_close(in->src);
	free(in);
}

/* Polls until the file gives packets (true: in the heap) or ends (false: closed). ret_fatal: of all. */
static bool advance(struct source_merge *m, struct merge_input *in, int *ret_fatal, struct err *err)
{
	struct err why;
	int n;
	do {
		n = source_poll(in->src, in->pkts, &why);
	} while (n == 0);
	if (n > 0) {
		in->at = 0;
		in->n = (size_t)n;
		heap_push(m, in);
		return true;
	}
	if (n == LT_EFILTER)
		*ret_fatal = err_set(err, n, "%s", why.text);
	else if (n != -ENODATA)
		tell_failure(m, in->index, &why);
	close_input(m, in);
	return false;
}

static int open_path(struct source_merge *m, uint16_t index, size_t chunk_bytes, const char *filter,
		     struct source **ret_src, struct err *err)
{
	struct source_file_conf conf = {
	    .path = m->paths[index],
	    .filter = filter,
	    .stop = &m->base.stop,
	    .chunk_bytes = chunk_bytes,
	    .input = (uint16_t)(m->first_input + index),
	};
	return source_file_open(ret_src, &conf, err);
}

/* Opens the next waiting file for good and puts it into the heap if it has packets. 0 or a fatal error. */
static int begin_next(struct source_merge *m, struct err *err)
{
	struct waiting *wait = &m->waiting[m->waiting_at++];
	struct source *src = wait->src;
	struct err why;
	int fatal = 0;
	m->late = false;
	wait->src = NULL;
	int r = src ? 0 : open_path(m, wait->index, 0, m->filter, &src, &why);
	if (r) {
		tell_failure(m, wait->index, &why);
		return 0;
	}
	struct merge_input *in = calloc(1, sizeof *in);
	if (!in) {
		source_close(src);
		return err_set(err, -ENOMEM, "out of memory");
	}
	in->src = src;
	in->index = wait->index;
	advance(m, in, &fatal, err);
	return fatal;
}

/* Begins every file whose first packet is not younger than the oldest at hand. 0 or a fatal error. */
static int begin_due(struct source_merge *m, struct err *err)
{
	while (m->waiting_at < m->n_waiting) {
		const struct waiting *wait = &m->waiting[m->waiting_at];
		if (m->n_heap && m->heap[0]->pkts[m->heap[0]->at].ts_ns < wait->first_ts_ns)
			return 0;
		if (m->n_heap == MERGE_MAX_OPEN) {
			m->done.merge_late += !m->late;
			m->late = true;
			return 0;
		}
		int r = begin_next(m, err);
		if (r)
			return r;
	}
	return 0;
}

/* Moves packets out of the heap until the burst is full, or until a file must be polled again: its views,
 * which this burst may hold, would not outlive that. */
static int drain_heap(struct source_merge *m, struct packet *pkts)
{
	int n = 0;
	while (n < SOURCE_BURST && m->n_heap) {
		struct merge_input *in = m->heap[0];
		pkts[n++] = in->pkts[in->at++];
		if (in->at == in->n) {
			heap_pop(m);
			m->empty = in;
			break;
		}
		sift_down(m, 0);
		if (begin_due(m, &m->end))
			break; /* the packets first; the next poll tells */
	}
	return n;
}

static int merge_poll(struct source *src, struct packet *pkts, struct err *err)
{
	struct source_merge *m = merge_of(src);
	struct err why = {0};
	int r = m->end.code;
	if (r)
		return err_set(err, r, "%s", m->end.text);
	if (m->empty) {
		struct merge_input *in = m->empty;
		m->empty = NULL;
		advance(m, in, &r, &why);
	}
	if (r == 0)
		r = begin_due(m, &why);
	if (r == 0 && source_stopped(src))
		r = err_set(&why, -ENODATA, "stopped");
	if (r == 0 && m->n_heap == 0)
		r = err_set(&why, -ENODATA, "no more packets");
	if (r == 0)
		r = drain_heap(m, pkts);
	if (r < 0) {
		m->end = why;
		return err_set(err, r, "%s", why.text);
	}
	return r;
}

static void merge_stats(struct source *src, struct source_stats *ret_stats)
{
	struct source_merge *m = merge_of(src);
	*ret_stats = m->done;
	for (size_t i = 0; i < m->n_heap; i++)
		add_stats(ret_stats, m->heap[i]->src);
	if (m->empty)
		add_stats(ret_stats, m->empty->src);
	ret_stats->size_bytes = m->size_bytes;
}

static const char *merge_input_name(const struct source *src, uint16_t input)
{
	const struct source_merge *m = (const struct source_merge *)src;
	size_t index = (uint16_t)(input - m->first_input);
	return index < m->n_paths ? m->paths[index] : NULL;
}

static void merge_close(struct source *src)
{
	struct source_merge *m = merge_of(src);
	for (size_t i = m->waiting_at; i < m->n_waiting; i++)
		source_close(m->waiting[i].src);
	for (size_t i = 0; i < m->n_heap; i++)
		close_input(m, m->heap[i]);
	if (m->empty)
		close_input(m, m->empty);
	for (size_t i = 0; i < m->n_paths; i++)
		free(m->paths[i]);
	free(m->paths);
	free(m->waiting);
	free(m->heap);
	free(m->filter);
	free(m);
}

static const struct source_ops merge_ops = {merge_poll, merge_stats, merge_input_name, merge_close};

/* Time of the first packet. 1: told; 0: there is none; negative: cannot be read. */
static int peek(struct source_merge *m, uint16_t index, uint64_t *ret_ts_ns, struct err *err)
{
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	int r = open_path(m, index, MERGE_PEEK_BYTES, NULL, &src, err);
	if (r)
		return r;
	r = source_poll(src, pkts, err);
	if (r > 0)
		*ret_ts_ns = pkts[0].ts_ns;
	source_close(src);
	return r == -ENODATA ? 0 : r > 0 ? 1 : r;
}

/* Adds one path to the waiting files. 0, or why it is given up. */
static int look_at(struct source_merge *m, uint16_t index, struct err *err)
{
	struct waiting *wait = &m->waiting[m->n_waiting];
	struct stat st;
	*wait = (struct waiting){.index = index};
	bool once =
	    strcmp(m->paths[index], "-") == 0 || (stat(m->paths[index], &st) == 0 && !S_ISREG(st.st_mode));
	int r;
	if (once) {
		/* Begun at once: its first packet cannot be looked at without taking it. */
		m->size_bytes = 0;
		r = open_path(m, index, 0, m->filter, &wait->src, err);
		m->n_waiting += r == 0;
		return r;
	}
	r = peek(m, index, &wait->first_ts_ns, err);
	m->n_waiting += r > 0;
	return r > 0 ? 0 : r;
}

static int by_time(const void *a, const void *b)
{
	const struct waiting *x = a, *y = b;
	if (x->first_ts_ns != y->first_ts_ns)
		return x->first_ts_ns < y->first_ts_ns ? -1 : 1;
	return x->index < y->index ? -1 : 1;
}

/* 0 where any could be read, else what the first failed with. */
static int look_at_all(struct source_merge *m, struct err *err)
{
	struct err first = {0};
	for (size_t i = 0; i < m->n_paths; i++) {
		struct err why;
		int r = look_at(m, (uint16_t)i, &why);
		if (r == LT_EFILTER || r == -ENOMEM)
			return err_set(err, r, "%s", why.text);
		if (r == 0)
			continue;
		if (!first.code)
			first = why;
		tell_failure(m, (uint16_t)i, &why);
	}
	if (m->done.files_failed == m->n_paths)
		return err_set(err, first.code, "none of %zu files can be read; %s", m->n_paths, first.text);
	qsort(m->waiting, m->n_waiting, sizeof *m->waiting, by_time);
	return 0;
}

static uint64_t total_size(const struct source_merge *m)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < m->n_paths; i++) {
		struct stat st;
		if (stat(m->paths[i], &st) == 0 && S_ISREG(st.st_mode))
			sum += (uint64_t)st.st_size;
	}
	return sum;
}

static int copy_conf(struct source_merge *m, const struct source_conf *conf)
{
	m->base.ops = &merge_ops;
	m->failed = conf->failed;
	m->failed_ctx = conf->failed_ctx;
	m->first_input = conf->input;
	m->paths = calloc(conf->n_paths, sizeof *m->paths);
	m->waiting = calloc(conf->n_paths, sizeof *m->waiting);
	m->heap = calloc(MERGE_MAX_OPEN, sizeof *m->heap);
	bool filters = conf->filter && conf->filter[0];
	m->filter = filters ? strdup(conf->filter) : NULL;
	if (!m->paths || !m->waiting || !m->heap || (filters && !m->filter))
		return -ENOMEM;
	for (; m->n_paths < conf->n_paths; m->n_paths++) {
		m->paths[m->n_paths] = strdup(conf->paths[m->n_paths]);
		if (!m->paths[m->n_paths])
			return -ENOMEM;
	}
	return 0;
}

/* A filter with a mistake in it shall fail before a single file is read. */
static int check_filter(const char *filter, struct err *err)
{
	struct bpf *bpf;
	int r = filter ? bpf_new(&bpf, filter, PACKET_LINK_ETHERNET, err) : 0;
	if (filter && r == 0)
		bpf_free(bpf);
	return r;
}

int source_merge_open(struct source **ret_src, const struct source_conf *conf, struct err *err)
{
	if (conf->n_paths > UINT16_MAX)
		return err_set(err, -E2BIG, "more than %d capture files", UINT16_MAX);
	struct source_merge *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(err, -ENOMEM, "out of memory");
	int r = copy_conf(m, conf);
	if (r)
		err_set(err, r, "out of memory");
	if (r == 0)
		r = check_filter(m->filter, err);
	if (r == 0) {
		m->size_bytes = total_size(m);
		r = look_at_all(m, err);
	}
	if (r) {
		merge_close(&m->base);
		return r;
	}
	*ret_src = &m->base;
	return 0;
}
