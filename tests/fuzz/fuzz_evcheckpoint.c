/* Any bytes as a checkpoint file, and once more with the closing line that makes them sound, so that the reader of lines
 * sees them too. What is taken over must be saved and loaded again as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/base/crc32c.h"
#include "capture/evcheckpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TAILS = 64 };

struct taken {
	struct evtail *at[MAX_TAILS];
	size_t n;
};

static int take(void *ctx, struct evtail *t)
{
	struct taken *to = ctx;
	if (to->n == MAX_TAILS) {
		evtail_free(t);
		return 0;
	}
	if (t->state != EVTAIL_CHECK || !*t->path || t->head.n > EVTAIL_MARK_BYTES ||
	    t->confirmed.last.n > EVTAIL_MARK_BYTES || t->confirmed.partial > t->confirmed.offset)
		abort();
	to->at[to->n++] = t;
	return 0;
}

static void release(struct taken *tk)
{
	while (tk->n)
		evtail_free(tk->at[--tk->n]);
}

static void same(const struct taken *a, const struct taken *b)
{
	size_t k = 0;
	for (size_t i = 0; i < a->n; i++) {
		const struct evtail *x = a->at[i];
		if (!x->confirmed.offset)
			continue; /* nothing read, nothing remembered */
		const struct evtail *y = k < b->n ? b->at[k++] : NULL;
		if (!y || strcmp(x->path, y->path) || x->dev != y->dev || x->ino != y->ino ||
		    x->head.hash != y->head.hash || x->head.n != y->head.n ||
		    x->confirmed.offset != y->confirmed.offset || x->confirmed.partial != y->confirmed.partial ||
		    x->confirmed.last.hash != y->confirmed.last.hash || x->confirmed.last.n != y->confirmed.last.n)
			abort();
	}
	if (k != b->n)
		abort();
}

static void load(const char *bytes, size_t n, struct taken *ret)
{
	char path[64];
	struct err err = {0};
	int fd = memfd_create("checkpoint", MFD_CLOEXEC);
	if (fd < 0 || write(fd, bytes, n) != (ssize_t)n)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	evcheckpoint_load(path, take, ret, &err);
	close(fd);
}

static void save_and_load(const struct taken *tk)
{
	char directory[32], path[64];
	struct err err = {0};
	struct taken again = {.n = 0};
	/* in memory where there is such a place: saving waits for the disk */
	snprintf(directory, sizeof directory, "%s/leaktap-fuzz-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof path, "%s/checkpoint", directory);
	if (evcheckpoint_save(path, tk->at, tk->n, &err) || evcheckpoint_load(path, take, &again, &err))
		abort();
	same(tk, &again);
	release(&again);
	unlink(path);
	rmdir(directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char first_line[] = "leaktap checkpoint 1\n";
	struct taken tk = {.n = 0};
	load((const char *)data, size, &tk);
	release(&tk);

	size_t head = sizeof first_line - 1, n = head + size;
	char *text = malloc(n + 14);
	if (!text)
		abort();
	memcpy(text, first_line, head);
	if (size)
		memcpy(text + head, data, size);
	snprintf(text + n, 14, "end %08x\n", crc32c(0, text, n));
	load(text, n + 13, &tk);
	free(text);
	if (tk.n && tk.n < MAX_TAILS)
		save_and_load(&tk);
	release(&tk);
	return 0;
}
