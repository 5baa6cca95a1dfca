#include "detect/app/intake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "detect/app/log.h"

enum { NOTES_SHOWN = 20, ZONE_MAX_BYTES = 65536 };
/* A zone name is a path below the zone folder; no dots, so it cannot leave it. */
#define ZONE_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/"

struct intake {
	struct evsource *source;
	struct evparse *parse;
	struct attrib *attrib;
	uint64_t notes, unreadable;
	bool skip;       /* the rest of this origin is unusable */
	int failed;      /* attrib refused an event */
};

static void note(void *ctx, enum evparse_reason why, const char *text)
{
	struct intake *in = ctx;
	(void)why;
	if (in->notes++ < NOTES_SHOWN)
		log_warn("%s", text);
}

/* The TZif file of an IANA zone name; an offset has none. 0 with *ret_n 0 when there is no such file: the parser judges the name. */
static int load_zone(const char *zone, void **ret_bytes, size_t *ret_n, struct err *err)
{
	char path[256];
	*ret_bytes = NULL;
	*ret_n = 0;
	if (!zone || zone[strspn(zone, ZONE_LETTERS)] || *zone == '+' || *zone == '-')
		return 0;
	snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", zone);
	struct stat st;
	FILE *f = stat(path, &st) || !S_ISREG(st.st_mode) ? NULL : fopen(path, "rb");
	if (!f)
		return 0;
	void *bytes = malloc(ZONE_MAX_BYTES);
	if (bytes)
		*ret_n = fread(bytes, 1, ZONE_MAX_BYTES, f);
	int r = !bytes ? -ENOMEM : ferror(f) ? -EIO : 0;
	fclose(f);
	if (r) {
		free(bytes);
		return err_set(err, r, "%s: %s", path, lt_strerror(r));
	}
	*ret_bytes = bytes;
	return 0;
}

static int open_parser(struct intake *in, const char *zone, struct err *err)
{
	void *tzif;
	size_t n;
	struct err e = {0};
	int r = load_zone(zone, &tzif, &n, err);
	if (r)
		return r;
	struct evparse_conf pc = {.zone = zone, .tzif = tzif, .tzif_bytes = n, .note = note, .note_ctx = in};
	in->parse = evparse_new(&pc, &e);
	free(tzif);
	return in->parse ? 0 : err_set(err, e.code ? e.code : -ENOMEM, "%s", e.code ? e.text : "no memory for endpoint events");
}

int intake_open(struct intake **ret_in, const struct intake_conf *conf, struct err *err)
{
	struct intake *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(err, -ENOMEM, "no memory for endpoint events");
	in->attrib = conf->attrib;
	int r = conf->n_paths ? evsource_open(&in->source, conf->paths, conf->n_paths, err) : 0;
	if (r)
		goto undo_intake;
	r = open_parser(in, conf->zone, err);
	if (r)
		goto undo_source;
	*ret_in = in;
	return 0;
undo_source:
	evsource_close(in->source);
undo_intake:
	free(in);
	return r;
}

static void on_event(void *ctx, const struct procevent *ev)
{
	struct intake *in = ctx;
	int r = attrib_event(in->attrib, ev);
	if (r < 0 && !in->failed)
		in->failed = r;
}

int intake_chunk(struct intake *in, const struct evchunk *chunk, struct err *err)
{
	struct err e = {0};
	int r = 0;
	if (chunk->begins) {
		in->skip = false;
		r = evparse_begin(in->parse, chunk->origin, &e);
	}
	if (!r && !in->skip && chunk->n)
		r = evparse_feed(in->parse, chunk->bytes, chunk->n, on_event, in, &e);
	if (!r && !in->skip && chunk->ends)
		r = evparse_end(in->parse, on_event, in, &e);
	if (in->failed)
		return err_set(err, in->failed, "endpoint events cannot be kept: %s", lt_strerror(in->failed));
	in->skip |= r != 0;
	if (r == LT_EZONE)
		return err_set(err, r, "%s", e.text);
	if (r)
		intake_note_unreadable(in, &e);
	return 0;
}

void intake_note_unreadable(struct intake *in, const struct err *err)
{
	in->unreadable++;
	log_warn("%s", err->text);
}

int intake_step(struct intake *in, struct err *err)
{
	struct evchunk chunk;
	struct err e = {0};
	int r = evsource_poll(in->source, &chunk, &e);
	if (r == -ENODATA)
		return 0;
	if (r < 0) {
		intake_note_unreadable(in, &e);
		return 1;
	}
	r = intake_chunk(in, &chunk, err);
	return r ? r : 1;
}

void intake_stats(const struct intake *in, struct evsource_stats *ret_source, struct evparse_stats *ret_parse)
{
	evsource_stats(in->source, ret_source);
	*ret_parse = *evparse_stats(in->parse);
}

const struct evparse_stats *intake_parsed(const struct intake *in)
{
	return evparse_stats(in->parse);
}

bool intake_damaged(const struct intake *in)
{
	static const enum evparse_reason broken[] = {EVPARSE_OVERSIZE, EVPARSE_NESTING, EVPARSE_SYNTAX, EVPARSE_DUP_KEY,
						     EVPARSE_ENCODING, EVPARSE_NUL_IN_KEY, EVPARSE_CUT_SHORT};
	const struct evparse_stats *st = evparse_stats(in->parse);
	uint64_t n = in->unreadable;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		n += st->rejected[broken[i]];
	return n != 0;
}

void intake_close(struct intake *in)
{
	if (!in)
		return;
	if (in->notes > NOTES_SHOWN)
		log_warn("%llu more endpoint rows were refused; the stats record counts them by reason",
			 (unsigned long long)(in->notes - NOTES_SHOWN));
	evparse_free(in->parse);
	evsource_close(in->source);
	free(in);
}
