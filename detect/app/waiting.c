#include "detect/app/waiting.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct waiting {
	FILE *file;
	uint64_t count;
	uint64_t *buf; /* one packed record, 8-byte aligned */
	size_t size;
};

struct waiting_head {
	uint32_t bytes;
	uint32_t mark;
};

static FILE *open_unlinked(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	char path[1024];
	snprintf(path, sizeof path, "%s/leaktap-flows-XXXXXX", dir && *dir ? dir : "/tmp");
	int fd = mkstemp(path);
	if (fd < 0) {
		err_set(err, -errno, "%s: %s", path, strerror(errno));
		return NULL;
	}
	unlink(path);
	FILE *f = fdopen(fd, "w+b");
	if (!f) {
		err_set(err, -errno, "%s: %s", path, strerror(errno));
		close(fd);
	}
	return f;
}

int waiting_new(struct waiting **ret_wt, struct err *err)
{
	struct waiting *wt = calloc(1, sizeof *wt);
	if (!wt)
		return err_set(err, -ENOMEM, "no memory for waiting flows");
	wt->file = open_unlinked(err);
	if (!wt->file) {
		free(wt);
		return err ? err->code : -EIO;
	}
	setvbuf(wt->file, NULL, _IOFBF, 1 << 18);
	*ret_wt = wt;
	return 0;
}

void waiting_free(struct waiting *wt)
{
	if (!wt)
		return;
	fclose(wt->file);
	free(wt->buf);
	free(wt);
}

static int make_room(struct waiting *wt, size_t size)
{
	if (size <= wt->size)
		return 0;
	uint64_t *grown = realloc(wt->buf, (size + 4095) & ~(size_t)4095);
	if (!grown)
		return -ENOMEM;
	wt->buf = grown;
	wt->size = (size + 4095) & ~(size_t)4095;
	return 0;
}

int waiting_add(struct waiting *wt, const struct flow_facts *facts, bool mark, struct err *err)
{
	size_t n = facts_pack(facts, wt->buf, wt->size);
	if (n > wt->size) {
		if (make_room(wt, n))
			return err_set(err, -ENOMEM, "no memory for a waiting flow of %zu bytes", n);
		n = facts_pack(facts, wt->buf, wt->size);
	}
	struct waiting_head head = {(uint32_t)n, mark};
	if (fwrite(&head, sizeof head, 1, wt->file) != 1 || fwrite(wt->buf, 1, n, wt->file) != n)
		return err_set(err, -errno, "temporary file for waiting flows: %s", strerror(errno));
	wt->count++;
	return 0;
}

int waiting_rewind(struct waiting *wt, struct err *err)
{
	if (fflush(wt->file) || fseek(wt->file, 0, SEEK_SET))
		return err_set(err, -errno, "temporary file for waiting flows: %s", strerror(errno));
	return 0;
}

int waiting_next(struct waiting *wt, struct flow_facts *ret_facts, bool *ret_mark, struct err *err)
{
	struct waiting_head head;
	size_t got = fread(&head, 1, sizeof head, wt->file);
	if (got == 0 && feof(wt->file))
		return 0;
	if (got != sizeof head || make_room(wt, head.bytes) || fread(wt->buf, 1, head.bytes, wt->file) != head.bytes)
		return err_set(err, -EIO, "temporary file for waiting flows cannot be read back");
	int r = facts_unpack(ret_facts, wt->buf, head.bytes);
	if (r)
		return err_set(err, r, "temporary file for waiting flows is damaged");
	*ret_mark = head.mark;
	return 1;
}

uint64_t waiting_count(const struct waiting *wt)
{
	return wt->count;
}
