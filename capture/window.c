#include "capture/window.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The kernel copies fastest to whole pages, so chunks start at one. */
enum { PAGE_BYTES = 4096, FIRST_SLACK_BYTES = 64 * 1024 };

static int resize(struct window *w, size_t slack_bytes, struct err *err)
{
	size_t cap = slack_bytes + w->chunk_bytes;
	uint8_t *buf = aligned_alloc(PAGE_BYTES, cap);
	if (!buf)
		return err_set(err, -ENOMEM, "out of memory for %zu bytes of file", cap);
	size_t left = window_left(w), at = slack_bytes - left;
	if (left)
		memcpy(buf + at, w->buf + w->at, left);
	free(w->buf);
	w->base += w->at - at; /* modulo 2^64: the sum window_offset does not change */
	w->buf = buf;
	w->cap = cap;
	w->slack_bytes = slack_bytes;
	w->at = at;
	w->end = slack_bytes;
	return 0;
}

int window_init(struct window *w, struct zfile *z, size_t chunk_bytes, struct err *err)
{
	size_t chunk = chunk_bytes ? chunk_bytes : ZFILE_CHUNK_BYTES;
	*w = (struct window){.z = z, .chunk_bytes = (chunk + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES};
	int r = resize(w, FIRST_SLACK_BYTES, err);
	w->base = 0 - w->at;
	return r;
}

void window_done(struct window *w)
{
	free(w->buf);
	w->buf = NULL;
}

/* Moves what is left to just before the place of the next chunk. */
static int make_room(struct window *w, struct err *err)
{
	size_t left = window_left(w);
	size_t slack = w->slack_bytes;
	while (slack < left)
		slack *= 2;
	if (slack > w->slack_bytes)
		return resize(w, slack, err);
	size_t at = slack - left;
	memmove(w->buf + at, w->buf + w->at, left);
	w->base += w->at - at;
	w->at = at;
	w->end = slack;
	return 0;
}

int window_more(struct window *w, size_t need, struct err *err)
{
	/* A pipe gives little at a time: go on behind it while the record fits, so that bytes are not moved
	 * for each read. */
	if (w->end == w->cap || w->at + need > w->cap || w->end < w->slack_bytes) {
		int r = make_room(w, err);
		if (r)
			return r;
	}
	ssize_t n = zfile_read(w->z, w->buf + w->end, w->cap - w->end, err);
	if (n <= 0)
		return (int)n;
	w->end += (size_t)n;
	return (int)n;
}
