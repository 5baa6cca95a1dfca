#include "capture/source.h"

#include "capture/source_kind.h"

int source_open(struct source **ret_src, const struct source_conf *conf, struct err *err)
{
	int kinds =
	    (conf->path != NULL) + (conf->n_paths > 0) + (conf->iface != NULL) + (conf->frames != NULL);
	if (kinds != 1)
		return err_set(err, LT_EUSAGE, "name one thing to read packets from");
	if (conf->iface)
		return source_live_open(ret_src, conf, err);
	if (conf->frames)
		return source_mem_open(ret_src, conf, err);
	if (conf->n_paths > 1)
		return source_merge_open(ret_src, conf, err);
	struct source_file_conf file = {
	    .path = conf->path ? conf->path : conf->paths[0],
	    .filter = conf->filter,
	    .input = conf->input,
	};
	return source_file_open(ret_src, &file, err);
}

int source_poll(struct source *src, struct packet pkts[SOURCE_BURST], struct err *err)
{
	return src->ops->poll(src, pkts, err);
}

void source_stats(struct source *src, struct source_stats *ret_stats)
{
	*ret_stats = (struct source_stats){0};
	src->ops->stats(src, ret_stats);
}

const char *source_input_name(const struct source *src, uint16_t input)
{
	return src->ops->input_name(src, input);
}

void source_break(struct source *src)
{
	atomic_store_explicit(&src->stop, true, memory_order_relaxed);
}

void source_close(struct source *src)
{
	if (src)
		src->ops->close(src);
}
