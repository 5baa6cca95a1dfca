#include <errno.h>
#include <stdlib.h>

#include "capture/source_kind.h"

struct source_mem {
	struct source base;
	const struct packet *frames; /* borrowed */
	size_t n_frames, at;
	uint64_t bytes;
	uint16_t input;
};

static int mem_poll(struct source *src, struct packet *pkts, struct err *err)
{
	struct source_mem *m = (struct source_mem *)src;
	if (m->at == m->n_frames || source_stopped(src))
		return err_set(err, -ENODATA, "no more packets");
	int n = 0;
	while (n < SOURCE_BURST && m->at < m->n_frames) {
		struct packet *pkt = &pkts[n++];
		*pkt = m->frames[m->at++];
		if (pkt->len < pkt->caplen)
			pkt->len = pkt->caplen;
		pkt->input = m->input;
		pkt->number = (uint32_t)m->at;
		m->bytes += pkt->len;
	}
	return n;
}

static void mem_stats(struct source *src, struct source_stats *ret_stats)
{
	const struct source_mem *m = (struct source_mem *)src;
	ret_stats->packets = m->at;
	ret_stats->bytes = m->bytes;
}

static const char *mem_input_name(const struct source *src, uint16_t input)
{
	return input == ((const struct source_mem *)src)->input ? "memory" : NULL;
}

static void mem_close(struct source *src)
{
	free(src);
}

static const struct source_ops mem_ops = {mem_poll, mem_stats, mem_input_name, mem_close};

int source_mem_open(struct source **ret_src, const struct source_conf *conf, struct err *err)
{
	if (conf->filter && conf->filter[0])
		return err_set(err, LT_EUNSUPPORTED, "frames in memory are not filtered");
	struct source_mem *m = calloc(1, sizeof *m);
	if (!m)
		return err_set(err, -ENOMEM, "out of memory");
	m->base.ops = &mem_ops;
	m->frames = conf->frames;
	m->n_frames = conf->n_frames;
	m->input = conf->input;
	*ret_src = &m->base;
	return 0;
}
