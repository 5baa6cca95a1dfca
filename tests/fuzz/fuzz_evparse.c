/* The first byte picks the size of the chunks; the rest is a log. Fed whole and in chunks it must give the
 * same counts. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/evparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *ctx, const struct procevent *ev)
{
	uint64_t *sum = ctx;
	const struct slice texts[] = {ev->process.path, ev->process.command_line, ev->event_id,
				      ev->device_name, ev->file_path};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		for (size_t k = 0; k < texts[i].n; k++)
			*sum = *sum * 31 + texts[i].p[k];
	*sum = *sum * 31 + ev->line + ev->time_ns;
}

static void on_note(void *ctx, enum evparse_reason why, const char *text)
{
	(void)ctx;
	(void)why;
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			abort();
}

static uint64_t run(const uint8_t *data, size_t size, size_t chunk, struct evparse_stats *ret)
{
	struct err err;
	uint64_t sum = 0;
	struct evparse *ep = evparse_new(
	    &(struct evparse_conf){.max_record_bytes = 2048, .note = on_note, .zone = "+01:00"}, &err);
	if (!ep)
		abort();
	int r = evparse_begin(ep, "fuzz", &err);
	for (size_t at = 0; at < size && !r; at += chunk)
		r = evparse_feed(ep, (const char *)data + at, size - at < chunk ? size - at : chunk, on_event,
				 &sum, &err);
	if (!r)
		evparse_end(ep, on_event, &sum, &err);
	*ret = *evparse_stats(ep);
	evparse_free(ep);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct evparse_stats whole, pieces;
	uint64_t a = run(data + 1, size - 1, size, &whole);
	uint64_t b = run(data + 1, size - 1, data[0] % 16 + 1, &pieces);
	uint64_t told = 0;
	for (int i = 0; i < PROCEVENT_KIND_COUNT; i++)
		told += whole.accepted[i];
	for (int i = 0; i < EVPARSE_REASON_COUNT; i++)
		told += whole.rejected[i];
	if (a != b || memcmp(&whole, &pieces, sizeof whole) != 0 || told != whole.rows)
		abort();
	return 0;
}
