#include "capture/evtail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/hash.h"
#include "capture/zfile.h"

static struct evmark mark_of(const uint8_t *bytes, size_t n)
{
	return (struct evmark){hash_bytes(HASH_KEY_FIXED, bytes, n), (uint16_t)n};
}

struct evtail *evtail_new(const char *path, uint32_t id)
{
	struct evtail *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	t->id = id;
	t->fd = -1;
	t->path = strdup(path);
	if (t->path)
		return t;
	free(t);
	return NULL;
}

void evtail_close(struct evtail *t)
{
	zfile_close(t->z);
	t->z = NULL;
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

void evtail_free(struct evtail *t)
{
	if (!t)
		return;
	evtail_close(t);
	free(t->path);
	free(t);
}

static ssize_t read_at(int fd, uint64_t at, void *bytes, size_t n)
{
	size_t got = 0;
	while (got < n) {
		ssize_t r = pread(fd, (uint8_t *)bytes + got, n - got, (off_t)(at + got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

int evtail_open(struct evtail *t, struct err *err)
{
	if (t->fd >= 0)
		return 0;
	t->fd = open(t->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (t->fd < 0 || fstat(t->fd, &st)) {
		int code = -errno;
		evtail_close(t);
		return err_set(err, code, "%s: %s", t->path, strerror(-code));
	}
	/* Between the look at the directory and here the name may have gone to another file. */
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_dev != t->dev || (uint64_t)st.st_ino != t->ino) {
		evtail_close(t);
		return -ESTALE;
	}
	uint8_t head[4];
	ssize_t n = read_at(t->fd, 0, head, sizeof head);
	t->packed = n == 4 && ((head[0] == 0x1f && head[1] == 0x8b) || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0);
	return 0;
}

static int open_packed(struct evtail *t, const atomic_bool *stop, struct err *err)
{
	char path[32];
	zfile_close(t->z);
	t->z = NULL;
	/* Through the descriptor: the name may belong to another file by now. */
	snprintf(path, sizeof path, "/proc/self/fd/%d", t->fd);
	return zfile_open(&t->z, path, stop, err);
}

ssize_t evtail_peek(struct evtail *t, void *ret_bytes, size_t n)
{
	if (!t->packed)
		return read_at(t->fd, 0, ret_bytes, n);
	int rc = open_packed(t, NULL, NULL);
	size_t got = 0;
	while (rc == 0 && got < n) {
		ssize_t r = zfile_read(t->z, (uint8_t *)ret_bytes + got, n - got, NULL);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	zfile_close(t->z);
	t->z = NULL;
	return rc ? rc : (ssize_t)got;
}

void evtail_advance(struct evtail *t, const uint8_t *bytes, size_t n)
{
	size_t keep = EVTAIL_MARK_BYTES;
	if (n >= keep) {
		memcpy(t->last, bytes + n - keep, keep);
		t->at.last.n = (uint16_t)keep;
	} else {
		size_t old = t->at.last.n + n > keep ? keep - n : t->at.last.n;
		memmove(t->last, t->last + (t->at.last.n - old), old);
		if (n)
			memcpy(t->last + old, bytes, n);
		t->at.last.n = (uint16_t)(old + n);
	}
	t->at.offset += n;
}

/* Decompresses up to offset. */
static int skip_packed(struct evtail *t, uint64_t offset, struct err *err)
{
	uint8_t buf[2048];
	int rc = open_packed(t, NULL, err);
	while (rc == 0 && t->at.offset < offset) {
		uint64_t left = offset - t->at.offset;
		ssize_t n = zfile_read(t->z, buf, left < sizeof buf ? (size_t)left : sizeof buf, err);
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		evtail_advance(t, buf, (size_t)n);
	}
	return rc;
}

int evtail_seek(struct evtail *t, uint64_t offset, struct err *err)
{
	t->at = (struct evplace){0};
	if (t->packed)
		return skip_packed(t, offset, err);
	size_t n = offset < EVTAIL_MARK_BYTES ? (size_t)offset : EVTAIL_MARK_BYTES;
	ssize_t got = read_at(t->fd, offset - n, t->last, n);
	if (got != (ssize_t)n)
		return err_set(err, got < 0 ? (int)got : -ENODATA, "%s: is shorter than it was", t->path);
	t->at.offset = offset;
	t->at.last.n = (uint16_t)n;
	return 0;
}

bool evtail_begins(const struct evmark *head, const uint8_t *bytes, size_t n)
{
	return head->n <= n && mark_of(bytes, head->n).hash == head->hash;
}

void evtail_learn_head(struct evtail *t)
{
	uint8_t first[EVTAIL_MARK_BYTES];
	ssize_t n = t->head.n < EVTAIL_MARK_BYTES ? evtail_peek(t, first, sizeof first) : 0;
	if (n > t->head.n)
		t->head = mark_of(first, (size_t)n);
}

int evtail_matches(struct evtail *t, const struct evmark *head, const struct evplace *place)
{
	uint8_t first[EVTAIL_MARK_BYTES];
	ssize_t n = evtail_peek(t, first, head->n);
	if (n < 0)
		return (int)n;
	if (!evtail_begins(head, first, (size_t)n))
		return 0;
	int rc = evtail_seek(t, place->offset, NULL);
	if (rc == -ENODATA || rc == LT_ETRUNCATED)
		return 0;
	if (rc)
		return rc;
	return t->at.last.n >= place->last.n &&
	       mark_of(t->last + (t->at.last.n - place->last.n), place->last.n).hash == place->last.hash;
}

ssize_t evtail_read(struct evtail *t, const atomic_bool *stop, void *bytes, size_t n, struct err *err)
{
	ssize_t r;
	if (t->packed) {
		if (!t->z) {
			uint64_t offset = t->at.offset;
			int rc = evtail_seek(t, offset, err);
			if (rc)
				return rc == -ENODATA ? 0 : rc;
		}
		(void)stop;
		return zfile_read(t->z, bytes, n, err);
	}
	r = read_at(t->fd, t->at.offset, bytes, n);
	return r < 0 ? err_set(err, (int)r, "%s: %s", t->path, strerror((int)-r)) : r;
}

bool evtail_intact(struct evtail *t)
{
	uint8_t now[EVTAIL_MARK_BYTES];
	size_t n = t->at.last.n;
	return t->packed || (read_at(t->fd, t->at.offset - n, now, n) == (ssize_t)n && memcmp(now, t->last, n) == 0);
}

struct evplace evtail_place(const struct evtail *t)
{
	struct evplace p = t->at;
	p.last = mark_of(t->last, t->at.last.n);
	return p;
}
