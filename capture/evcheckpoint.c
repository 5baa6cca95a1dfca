#include "capture/evcheckpoint.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/crc32c.h"

/* A line per file: dev ino, bytes and hash of the first mark, offset, bytes of an unfinished line before it, bytes and hash of the
 * mark before it, path to the end of the line, percent-encoded. The last line carries the check of all before. */
#define FIRST_LINE "leaktap checkpoint 1\n"
enum { MAX_BYTES = 64 << 20 };

static void write_path(FILE *f, const char *path)
{
	for (const unsigned char *p = (const unsigned char *)path; *p; p++)
		fprintf(f, *p <= ' ' || *p == '%' || *p >= 0x7f ? "%%%02x" : "%c", *p);
}

static int compose(char **ret_text, size_t *ret_n, struct evtail *const *tails, size_t n)
{
	FILE *f = open_memstream(ret_text, ret_n);
	if (!f)
		return -ENOMEM;
	fputs(FIRST_LINE, f);
	for (size_t i = 0; i < n; i++) {
		const struct evtail *t = tails[i];
		if (!t->confirmed.offset)
			continue;
		fprintf(f, "%" PRIu64 " %" PRIu64 " %u %016" PRIx64 " %" PRIu64 " %" PRIu64 " %u %016" PRIx64 " ", t->dev, t->ino,
			t->head.n, t->head.hash, t->confirmed.offset, t->confirmed.partial, t->confirmed.last.n,
			t->confirmed.last.hash);
		write_path(f, t->path);
		fputc('\n', f);
	}
	fflush(f);
	fprintf(f, "end %08x\n", crc32c(0, *ret_text, *ret_n));
	bool failed = ferror(f) != 0;
	if (fclose(f) || failed) {
		free(*ret_text);
		return -ENOMEM;
	}
	return 0;
}

static int sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int rc = fd < 0 || fsync(fd) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(copy);
	return rc;
}

static int write_file(const char *path, const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (fd < 0)
		return -errno;
	int rc = 0;
	for (size_t at = 0; at < n && rc == 0;) {
		ssize_t w = write(fd, text + at, n - at);
		if (w >= 0)
			at += (size_t)w;
		else if (errno != EINTR)
			rc = -errno;
	}
	if (rc == 0 && fdatasync(fd))
		rc = -errno;
	close(fd);
	return rc;
}

int evcheckpoint_save(const char *path, struct evtail *const *tails, size_t n, struct err *err)
{
	char *text, *temporary;
	size_t n_text;
	if (asprintf(&temporary, "%s.new", path) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	int rc = compose(&text, &n_text, tails, n);
	if (rc == 0) {
		rc = write_file(temporary, text, n_text);
		if (rc == 0 && rename(temporary, path))
			rc = -errno;
		if (rc == 0)
			rc = sync_directory(path);
		free(text);
	}
	free(temporary);
	return rc ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

static bool read_path(char *text)
{
	char *to = text;
	for (const char *p = text; *p; p++) {
		unsigned byte;
		if (*p != '%') {
			*to++ = *p;
		} else if (isxdigit((unsigned char)p[1]) && sscanf(p + 1, "%2x", &byte) == 1 && byte && p[2]) {
			*to++ = (char)byte;
			p += 2;
		} else {
			return false;
		}
	}
	*to = 0;
	return to > text;
}

static struct evtail *read_line(char *line)
{
	struct evtail t = {0};
	unsigned head_n, last_n;
	int at = 0;
	if (sscanf(line, "%" SCNu64 " %" SCNu64 " %u %" SCNx64 " %" SCNu64 " %" SCNu64 " %u %" SCNx64 " %n", &t.dev, &t.ino, &head_n,
		   &t.head.hash, &t.confirmed.offset, &t.confirmed.partial, &last_n, &t.confirmed.last.hash, &at) != 8 ||
	    !at || head_n > EVTAIL_MARK_BYTES || last_n > EVTAIL_MARK_BYTES || last_n > t.confirmed.offset ||
	    t.confirmed.partial > t.confirmed.offset || !read_path(line + at))
		return NULL;
	struct evtail *made = evtail_new(line + at, 0);
	if (!made)
		return NULL;
	made->dev = t.dev;
	made->ino = t.ino;
	made->head = (struct evmark){t.head.hash, (uint16_t)head_n};
	made->confirmed = t.confirmed;
	made->confirmed.last.n = (uint16_t)last_n;
	made->at = made->confirmed;
	return made;
}

static int read_file(const char *path, char **ret_text, size_t *ret_n)
{
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	char *text = NULL;
	size_t n = 0, size = 0;
	for (;;) {
		if (size - n < 65536) {
			char *grown = size < MAX_BYTES ? realloc(text, size += 1 << 20) : NULL;
			if (!grown)
				break;
			text = grown;
		}
		size_t got = fread(text + n, 1, size - n - 1, f);
		n += got;
		if (!got)
			break;
	}
	bool failed = ferror(f) || !feof(f) || !text;
	fclose(f);
	if (failed) {
		free(text);
		return -EIO;
	}
	text[n] = 0;
	*ret_text = text;
	*ret_n = n;
	return 0;
}

static bool sound(const char *text, size_t n)
{
	const char *last = n > 13 ? text + n - 13 : text;
	unsigned crc;
	return strncmp(text, FIRST_LINE, strlen(FIRST_LINE)) == 0 && strlen(text) == n && sscanf(last, "end %8x\n", &crc) == 1 &&
	       crc == crc32c(0, text, (size_t)(last - text));
}

int evcheckpoint_load(const char *path, int (*add)(void *ctx, struct evtail *t), void *ctx, struct err *err)
{
	char *text = NULL;
	size_t n = 0;
	int rc = read_file(path, &text, &n);
	if (rc == -ENOENT)
		return 1;
	if (rc) {
		err_set(err, rc, "%s: %s; reading starts anew", path, strerror(-rc));
		return 1;
	}
	if (!sound(text, n)) {
		free(text);
		err_set(err, LT_EFORMAT, "%s: is not a checkpoint this version reads, or damaged; reading starts anew", path);
		return 1;
	}
	size_t files = 0;
	char *rest = text + strlen(FIRST_LINE);
	for (char *line; (line = strsep(&rest, "\n")) && strncmp(line, "end ", 4) != 0 && files < EVCHECKPOINT_MAX_FILES; files++) {
		struct evtail *t = read_line(line);
		if (t && (rc = add(ctx, t)))
			break;
	}
	free(text);
	return rc;
}
