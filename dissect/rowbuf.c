#include "dissect/rowbuf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void rowbuf_free(struct rowbuf *rb)
{
	free(rb->kept);
	rb->kept = NULL;
	rb->size = 0;
	rowbuf_drop(rb);
}

void rowbuf_open(struct rowbuf *rb, const char *at, uint64_t line)
{
	rb->n_kept = 0;
	rb->at = at;
	rb->line = line;
	rb->open = true;
	rb->over = false;
}

void rowbuf_drop(struct rowbuf *rb)
{
	rb->n_kept = 0;
	rb->at = NULL;
	rb->open = false;
	rb->over = false;
}

size_t rowbuf_length(const struct rowbuf *rb, const char *to)
{
	return rb->n_kept + (rb->at ? (size_t)(to - rb->at) : 0);
}

bool rowbuf_is_over(const struct rowbuf *rb, const char *to)
{
	return rb->over || rowbuf_length(rb, to) > rb->max;
}

static int grow(struct rowbuf *rb, size_t need)
{
	if (need <= rb->size)
		return 0;
	size_t size = rb->size ? rb->size : 4096;
	while (size < need)
		size *= 2;
	if (size > rb->max)
		size = rb->max;
	char *kept = realloc(rb->kept, size);
	if (!kept)
		return -ENOMEM;
	rb->kept = kept;
	rb->size = size;
	return 0;
}

int rowbuf_spill(struct rowbuf *rb, const char *end)
{
	if (!rb->open || !rb->at)
		return 0;
	if (rowbuf_is_over(rb, end)) {
		rb->over = true;
		rb->n_kept = 0;
		rb->at = NULL;
		return 0;
	}
	size_t n = (size_t)(end - rb->at);
	int r = grow(rb, rb->n_kept + n);
	if (r)
		return r;
	if (n)
		memcpy(rb->kept + rb->n_kept, rb->at, n);
	rb->n_kept += n;
	rb->at = NULL;
	return 0;
}

void rowbuf_resume(struct rowbuf *rb, const char *at)
{
	if (rb->open && !rb->over)
		rb->at = at;
}

int rowbuf_close(struct rowbuf *rb, const char *end, struct slice *ret)
{
	rb->over = rowbuf_is_over(rb, end);
	rb->open = false;
	*ret = (struct slice){NULL, 0};
	if (rb->over)
		return 0;
	if (!rb->n_kept) {
		*ret = (struct slice){(const uint8_t *)rb->at, rowbuf_length(rb, end)};
		return 0;
	}
	rb->open = true;
	int r = rowbuf_spill(rb, end);
	rb->open = false;
	if (!r)
		*ret = (struct slice){(const uint8_t *)rb->kept, rb->n_kept};
	return r;
}
