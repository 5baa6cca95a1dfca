#include "detect/attrib/spill.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A record on its way: what precedes the ledger, then n_ledger entries. */
#define HEAD_BYTES offsetof(struct spill_flow, ledger)

struct spill {
	char *memory;
	size_t used, size, max;
	FILE *file; /* what no longer fits */
	uint64_t n;
	size_t at; /* reading */
};

struct spill *spill_new(size_t max_memory_bytes)
{
	struct spill *s = calloc(1, sizeof *s);
	if (s)
		s->max = max_memory_bytes;
	return s;
}

void spill_free(struct spill *s)
{
	if (!s)
		return;
	if (s->file)
		fclose(s->file);
	free(s->memory);
	free(s);
}

uint64_t spill_count(const struct spill *s)
{
	return s->n;
}

size_t spill_bytes(const struct spill *s)
{
	return s->size;
}

static bool fits(struct spill *s, size_t n)
{
	if (s->file || s->used + n > s->max)
		return false;
	if (s->used + n <= s->size)
		return true;
	size_t size = s->size ? s->size * 2 : 1 << 16;
	while (size < s->used + n)
		size *= 2;
	char *grown = realloc(s->memory, size);
	if (!grown)
		return false;
	s->memory = grown;
	s->size = size;
	return true;
}

int spill_add(struct spill *s, const struct spill_flow *flow)
{
	size_t n = HEAD_BYTES + flow->n_ledger * sizeof flow->ledger[0];
	s->n++;
	if (fits(s, n)) {
		memcpy(s->memory + s->used, flow, n);
		s->used += n;
		return 0;
	}
	if (!s->file)
		s->file = tmpfile();
	if (!s->file || fwrite(flow, n, 1, s->file) != 1)
		return errno ? -errno : -EIO;
	return 0;
}

int spill_rewind(struct spill *s)
{
	s->at = 0;
	if (s->file && (fflush(s->file) != 0 || fseek(s->file, 0, SEEK_SET) != 0))
		return -errno;
	return 0;
}

static int next_in_file(struct spill *s, struct spill_flow *ret)
{
	if (!s->file || fread(ret, HEAD_BYTES, 1, s->file) != 1)
		return s->file && ferror(s->file) ? -EIO : 0;
	if (ret->n_ledger > CELL_MAX_LEDGER || fread(ret->ledger, sizeof ret->ledger[0], ret->n_ledger, s->file) != ret->n_ledger)
		return -EIO;
	return 1;
}

int spill_next(struct spill *s, struct spill_flow *ret)
{
	if (s->at >= s->used)
		return next_in_file(s, ret);
	memcpy(ret, s->memory + s->at, HEAD_BYTES);
	s->at += HEAD_BYTES;
	memcpy(ret->ledger, s->memory + s->at, ret->n_ledger * sizeof ret->ledger[0]);
	s->at += ret->n_ledger * sizeof ret->ledger[0];
	return 1;
}
