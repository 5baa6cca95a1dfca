#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/bpf.h"
#include "capture/classic.h"
#include "capture/linktype.h"
#include "capture/pcapng.h"
#include "capture/source_kind.h"
#include "capture/window.h"

/* A shorter file is no capture rather than one cut short. */
enum { MAGIC_BYTES = 4, NG_HEADER_BYTES = 28 };

struct source_file {
	struct source base;
	const atomic_bool *stop;
	char *path;
	char *filter;                           /* NULL: none */
	struct bpf *filters[PACKET_LINK_COUNT]; /* compiled when the first packet of a link type comes */
	struct zfile *z;
	struct window w;
	bool is_ng;
	struct classic classic;
	struct pcapng ng;
	uint64_t packets, bytes, filtered;
	uint16_t input;
	struct err end; /* end.code: what every further poll returns */
};

static struct source_file *file_of(struct source *src)
{
	return (struct source_file *)src;
}

/* Both are kept up to date by the readers; a filter's work is not in them. */
static uint64_t packets_read(const struct source_file *f)
{
	return f->is_ng ? f->ng.packets : f->classic.packets;
}

static int finish(struct source_file *f, const struct err *why, struct err *err)
{
	f->end = *why;
	if (err)
		*err = *why;
	return why->code;
}

static int finish_clean(struct source_file *f, struct err *err)
{
	struct err end = {.code = -ENODATA, .text = "no more packets"};
	if (f->is_ng && f->ng.packets == 0 && f->ng.undecoded > 0)
		linktype_refuse(f->path, f->ng.refused_number, &end);
	return finish(f, &end, err);
}

/* The stream is at its end and the readers want more. */
static int finish_at_end(struct source_file *f, struct err *err)
{
	if (window_left(&f->w) == 0 && !(f->is_ng && f->ng.skip_bytes))
		return finish_clean(f, err);
	struct err end;
	err_set(&end, LT_ETRUNCATED, "%s: cut short at byte %llu after %llu packets", f->path,
		(unsigned long long)(window_offset(&f->w) + window_left(&f->w)),
		(unsigned long long)packets_read(f));
	return finish(f, &end, err);
}

/* zfile has told what is wrong; a damaged compressed file also tells how far it was good. */
static int finish_failed(struct source_file *f, struct err *why, struct err *err)
{
	size_t n = strlen(why->text);
	if (why->code == -ECANCELED)
		return finish_clean(f, err);
	if (why->code == LT_ETRUNCATED && n < sizeof why->text - 1) {
		struct err tail;
		err_set(&tail, 0, " after %llu packets", (unsigned long long)packets_read(f));
		size_t room = sizeof why->text - 1 - n, take = strlen(tail.text);
		memcpy(why->text + n, tail.text, take < room ? take : room);
		why->text[n + (take < room ? take : room)] = '\0';
	}
	return finish(f, why, err);
}

/* BSD loopback frames carry the address family in the writer's order, and libpcap compiles for this
 * machine's. Written by a big-endian machine they look like LOOP, whose order is always the network's. */
static enum packet_link filter_link(const struct source_file *f, uint16_t link)
{
	bool swapped = f->is_ng ? f->ng.swapped : f->classic.swapped;
	return link == PACKET_LINK_NULL && swapped ? PACKET_LINK_LOOP : (enum packet_link)link;
}

static int need_filter(struct source_file *f, uint16_t link, const struct bpf **ret_bpf, struct err *err)
{
	enum packet_link as = filter_link(f, link);
	if (!f->filters[as]) {
		int r = bpf_new(&f->filters[as], f->filter, as, err);
		if (r)
			return r;
	}
	*ret_bpf = f->filters[as];
	return 0;
}

/* Closes the ranks of those that match. How many, or LT_EFILTER. */
static int apply_filter(struct source_file *f, struct packet *pkts, int n, struct err *err)
{
	int kept = 0;
	for (int i = 0; i < n; i++) {
		const struct bpf *bpf = NULL;
		int r = need_filter(f, pkts[i].link, &bpf, err);
		if (r)
			return r;
		if (bpf_match(bpf, &pkts[i]))
			pkts[kept++] = pkts[i];
		else
			f->filtered++;
	}
	return kept;
}

static int deliver(struct source_file *f, struct packet *pkts, int n, struct err *err)
{
	if (f->filter) {
		struct err why;
		n = apply_filter(f, pkts, n, &why);
		if (n < 0)
			return finish(f, &why, err);
	}
	uint64_t bytes = 0;
	for (int i = 0; i < n; i++)
		bytes += pkts[i].len;
	f->packets += (uint64_t)n;
	f->bytes += bytes;
	return n;
}

static int file_poll(struct source *src, struct packet *pkts, struct err *err)
{
	struct source_file *f = file_of(src);
	if (f->end.code)
		return finish(f, &f->end, err);
	for (;;) {
		struct err why;
		if (atomic_load_explicit(f->stop, memory_order_relaxed))
			return finish_clean(f, err);
		int n = f->is_ng ? pcapng_burst(&f->ng, &f->w, pkts, &why)
				 : classic_burst(&f->classic, &f->w, pkts, &why);
		if (n > 0)
			return deliver(f, pkts, n, err);
		if (n < 0)
			return finish(f, &why, err);
		int more = window_more(&f->w, f->is_ng ? f->ng.need : f->classic.need, &why);
		if (more == 0)
			return finish_at_end(f, err);
		if (more < 0)
			return finish_failed(f, &why, err);
	}
}

static void file_stats(struct source *src, struct source_stats *ret_stats)
{
	const struct source_file *f = file_of(src);
	ret_stats->packets = f->packets;
	ret_stats->bytes = f->bytes;
	ret_stats->filtered = f->filtered;
	ret_stats->offset_bytes = zfile_offset_bytes(f->z);
	ret_stats->size_bytes = zfile_size_bytes(f->z);
	ret_stats->bad_records = f->ng.bad_records;
	ret_stats->undecoded = f->ng.undecoded;
}

static const char *file_input_name(const struct source *src, uint16_t input)
{
	const struct source_file *f = (const struct source_file *)src;
	return input == f->input ? f->path : NULL;
}

static void file_close(struct source *src)
{
	struct source_file *f = file_of(src);
	for (int i = 0; i < PACKET_LINK_COUNT; i++)
		bpf_free(f->filters[i]);
	pcapng_done(&f->ng);
	window_done(&f->w);
	zfile_close(f->z);
	free(f->filter);
	free(f->path);
	free(f);
}

static const struct source_ops file_ops = {file_poll, file_stats, file_input_name, file_close};

/* Reads until n bytes are in the window or the stream ends. */
static int want(struct source_file *f, size_t n, struct err *err)
{
	while (window_left(&f->w) < n) {
		int r = window_more(&f->w, n, err);
		if (r < 0)
			return r;
		if (r == 0)
			break;
	}
	return 0;
}

static int refuse_format(const struct source_file *f, struct err *err)
{
	const uint8_t *p = f->w.buf + f->w.at;
	size_t n = window_left(&f->w);
	if (n == 0)
		return err_set(err, LT_EFORMAT, "%s: is empty", f->path);
	if (n < MAGIC_BYTES)
		return err_set(err, LT_EFORMAT, "%s: not a pcap or pcapng capture (%zu bytes long)", f->path,
			       n);
	return err_set(err, LT_EFORMAT, "%s: not a pcap or pcapng capture (starts with %02x %02x %02x %02x)",
		       f->path, p[0], p[1], p[2], p[3]);
}

static int start_classic(struct source_file *f, struct err *err)
{
	int r = want(f, CLASSIC_HEADER_BYTES, err);
	if (r)
		return r;
	if (window_left(&f->w) < CLASSIC_HEADER_BYTES)
		return err_set(err, LT_EFORMAT, "%s: the pcap header is cut short at byte %zu", f->path,
			       window_left(&f->w));
	r = classic_init(&f->classic, f->w.buf + f->w.at, f->path, f->input, err);
	if (r)
		return r;
	f->w.at += CLASSIC_HEADER_BYTES;
	/* A filter that does not fit the link type shall fail here and not with the first packet. */
	const struct bpf *bpf;
	return f->filter ? need_filter(f, f->classic.link, &bpf, err) : 0;
}

static int start(struct source_file *f, struct err *err)
{
	int r = want(f, MAGIC_BYTES, err);
	if (r)
		return r;
	if (window_left(&f->w) >= MAGIC_BYTES && classic_knows(f->w.buf + f->w.at))
		return start_classic(f, err);
	if (window_left(&f->w) < MAGIC_BYTES || !pcapng_knows(f->w.buf + f->w.at))
		return refuse_format(f, err);
	f->is_ng = true;
	pcapng_init(&f->ng, f->path, f->input);
	r = want(f, NG_HEADER_BYTES, err);
	if (r == 0 && window_left(&f->w) < NG_HEADER_BYTES)
		r = err_set(err, LT_EFORMAT, "%s: the pcapng header is cut short at byte %zu", f->path,
			    window_left(&f->w));
	return r;
}

int source_file_open(struct source **ret_src, const struct source_file_conf *conf, struct err *err)
{
	struct source_file *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, -ENOMEM, "%s: out of memory", conf->path);
	f->base.ops = &file_ops;
	f->stop = conf->stop ? conf->stop : &f->base.stop;
	f->input = conf->input;
	f->path = strdup(conf->path);
	bool filters = conf->filter && conf->filter[0];
	if (filters)
		f->filter = strdup(conf->filter);
	int r = f->path && (f->filter || !filters) ? zfile_open(&f->z, conf->path, f->stop, err)
						   : err_set(err, -ENOMEM, "%s: out of memory", conf->path);
	if (r == 0)
		r = window_init(&f->w, f->z, conf->chunk_bytes, err);
	if (r == 0)
		r = start(f, err);
	if (r) {
		file_close(&f->base);
		return r;
	}
	*ret_src = &f->base;
	return 0;
}
