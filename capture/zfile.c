#include "capture/zfile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

enum zfile_kind { KIND_UNKNOWN, KIND_PLAIN, KIND_GZIP, KIND_ZSTD };

/* What zstd --long writes at most without being told; a frame that wants more is refused, memory stays
 * bounded. */
enum { ZSTD_WINDOW_LOG_MAX = 27, HEAD_BYTES = 4 };

struct zfile {
	char *path;
	int fd;
	bool owns_fd, waits; /* waits: a pipe or terminal, poll(2) before read(2) */
	const atomic_bool *stop;
	uint64_t offset_bytes, size_bytes;
	enum zfile_kind kind;
	uint8_t head[HEAD_BYTES]; /* the bytes that told the kind; head_at <= head_n */
	size_t head_at, head_n;
	/* compressed only */
	uint8_t *in; /* in_at <= in_n <= ZFILE_CHUNK_BYTES */
	size_t in_at, in_n;
	bool in_ended;
	bool between;       /* no member or frame is open: the file may end here */
	bool padding;       /* zeros after the last gzip member, as tape blocks leave them */
	const char *damage; /* what is wrong with the compressed bytes; sticky */
	z_stream gz;
	ZSTD_DStream *zs;
};

static bool stopped(const struct zfile *z)
{
	return z->stop && atomic_load_explicit(z->stop, memory_order_relaxed);
}

static int refuse_kind(const char *path, const struct stat *st, bool is_stdin, struct err *err)
{
	if (S_ISDIR(st->st_mode))
		return err_set(err, -EISDIR, "%s: is a directory", path);
	if (S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode) || is_stdin)
		return 0;
	return err_set(err, LT_EFORMAT, "%s: is a device or socket, not a file", path);
}

static int open_fd(struct zfile *z, struct err *err)
{
	bool is_stdin = strcmp(z->path, "-") == 0;
	/* Nonblocking: a FIFO without a writer must not hang open(2), where stop could not be seen. */
	z->fd = is_stdin ? STDIN_FILENO : open(z->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	z->owns_fd = !is_stdin;
	if (z->fd < 0)
		return err_set(err, -errno, "%s: %s", z->path, strerror(errno));
	struct stat st;
	if (fstat(z->fd, &st))
		return err_set(err, -errno, "%s: %s", z->path, strerror(errno));
	int r = refuse_kind(z->path, &st, is_stdin, err);
	if (r)
		return r;
	z->waits = !S_ISREG(st.st_mode);
	if (S_ISREG(st.st_mode)) {
		z->size_bytes = (uint64_t)st.st_size;
		off_t at = lseek(z->fd, 0, SEEK_CUR);
		z->offset_bytes = at > 0 ? (uint64_t)at : 0;
		posix_fadvise(z->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	}
	return 0;
}

int zfile_open(struct zfile **ret_z, const char *path, const atomic_bool *stop, struct err *err)
{
	struct zfile *z = calloc(1, sizeof *z);
	if (!z)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	z->fd = -1;
	z->stop = stop;
	z->path = strdup(path);
	int r = z->path ? open_fd(z, err) : err_set(err, -ENOMEM, "%s: out of memory", path);
	if (r) {
		zfile_close(z);
		return r;
	}
	*ret_z = z;
	return 0;
}

void zfile_close(struct zfile *z)
{
	if (!z)
		return;
	if (z->kind == KIND_GZIP)
		inflateEnd(&z->gz);
	ZSTD_freeDStream(z->zs);
	free(z->in);
	if (z->owns_fd && z->fd >= 0)
		close(z->fd);
	free(z->path);
	free(z);
}

uint64_t zfile_offset_bytes(const struct zfile *z)
{
	return z->offset_bytes;
}

uint64_t zfile_size_bytes(const struct zfile *z)
{
	return z->size_bytes;
}

/* Waits until read(2) on a pipe would not block. 0 or -ECANCELED. */
static int wait_readable(const struct zfile *z, struct err *err)
{
	for (;;) {
		if (stopped(z))
			return err_set(err, -ECANCELED, "%s: stopped", z->path);
		struct pollfd p = {.fd = z->fd, .events = POLLIN};
		int r = poll(&p, 1, ZFILE_TICK_MS);
		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_set(err, -errno, "%s: %s", z->path, strerror(errno));
	}
}

/* Stored bytes. > 0, 0 at the end of the file, negative on error. */
static ssize_t read_stored(struct zfile *z, void *bytes, size_t n, struct err *err)
{
	for (;;) {
		int w = z->waits ? wait_readable(z, err) : 0;
		if (w)
			return w;
		ssize_t r = read(z->fd, bytes, n);
		if (r >= 0) {
			z->offset_bytes += (uint64_t)r;
			return r;
		}
		if (errno != EINTR && errno != EAGAIN)
			return err_set(err, -errno, "%s: %s", z->path, strerror(errno));
	}
}

static enum zfile_kind kind_of(const uint8_t *head, size_t n)
{
	if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return KIND_GZIP;
	if (n < 4)
		return KIND_PLAIN;
	if (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd)
		return KIND_ZSTD;
	/* RFC 8878, 3.1.2: a skippable frame may come first. */
	if ((head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18)
		return KIND_ZSTD;
	return KIND_PLAIN;
}

static int start_decoder(struct zfile *z, enum zfile_kind kind, struct err *err)
{
	z->in = malloc(ZFILE_CHUNK_BYTES);
	if (!z->in)
		return err_set(err, -ENOMEM, "%s: out of memory", z->path);
	memcpy(z->in, z->head, z->head_n);
	z->in_n = z->head_n;
	z->head_at = z->head_n;
	if (kind == KIND_GZIP) {
		if (inflateInit2(&z->gz, 15 + 16) != Z_OK)
			return err_set(err, -ENOMEM, "%s: out of memory", z->path);
		return 0;
	}
	z->zs = ZSTD_createDStream();
	if (!z->zs)
		return err_set(err, -ENOMEM, "%s: out of memory", z->path);
	ZSTD_DCtx_setParameter(z->zs, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
	return 0;
}

static int detect(struct zfile *z, struct err *err)
{
	while (z->head_n < HEAD_BYTES) {
		ssize_t r = read_stored(z, z->head + z->head_n, HEAD_BYTES - z->head_n, err);
		if (r < 0)
			return (int)r;
		if (r == 0)
			break;
		z->head_n += (size_t)r;
	}
	enum zfile_kind kind = kind_of(z->head, z->head_n);
	int r = kind == KIND_PLAIN ? 0 : start_decoder(z, kind, err);
	if (r == 0)
		z->kind = kind;
	return r;
}

static ssize_t read_plain(struct zfile *z, void *bytes, size_t n, struct err *err)
{
	size_t left = z->head_n - z->head_at;
	if (left == 0)
		return read_stored(z, bytes, n, err);
	size_t took = left < n ? left : n;
	memcpy(bytes, z->head + z->head_at, took);
	z->head_at += took;
	if (took == n || z->waits)
		return (ssize_t)took;
	/* A regular file: fill the buffer in the same call, so that its reads stay large. An error here comes
	 * back by itself with the next call. */
	ssize_t r = read_stored(z, (uint8_t *)bytes + took, n - took, NULL);
	return r > 0 ? (ssize_t)took + r : (ssize_t)took;
}

/* Makes in non-empty or sets in_ended. */
static int refill(struct zfile *z, struct err *err)
{
	if (z->in_at < z->in_n || z->in_ended)
		return 0;
	ssize_t r = read_stored(z, z->in, ZFILE_CHUNK_BYTES, err);
	if (r < 0)
		return (int)r;
	z->in_at = 0;
	z->in_n = (size_t)r;
	z->in_ended = r == 0;
	return 0;
}

static int damaged(struct zfile *z, const char *what, struct err *err)
{
	z->damage = what;
	uint64_t at = z->offset_bytes - (z->in_n - z->in_at);
	return err_set(err, LT_ETRUNCATED, "%s: %s data %s at stored byte %llu", z->path,
		       z->kind == KIND_GZIP ? "gzip" : "zstd", what, (unsigned long long)at);
}

/* Between members: swallows zero padding; anything else must be another member. */
static int open_member(struct zfile *z, struct err *err)
{
	while (z->padding || z->in[z->in_at] == 0) {
		z->padding = true;
		while (z->in_at < z->in_n && z->in[z->in_at] == 0)
			z->in_at++;
		if (z->in_at < z->in_n)
			return damaged(z, "is followed by something else", err);
		int r = refill(z, err);
		if (r || z->in_ended)
			return r;
	}
	inflateReset(&z->gz);
	z->between = false;
	return 0;
}

/* One step of inflate. Bytes written, or negative. */
static ssize_t step_gzip(struct zfile *z, void *bytes, size_t n, struct err *err)
{
	if (z->between) {
		int r = open_member(z, err);
		if (r || z->in_ended)
			return r;
	}
	unsigned room = n > ZFILE_CHUNK_BYTES * 4 ? ZFILE_CHUNK_BYTES * 4 : (unsigned)n;
	z->gz.next_in = z->in + z->in_at;
	z->gz.avail_in = (unsigned)(z->in_n - z->in_at);
	z->gz.next_out = bytes;
	z->gz.avail_out = room;
	int r = inflate(&z->gz, Z_NO_FLUSH);
	z->in_at = z->in_n - z->gz.avail_in;
	size_t made = room - z->gz.avail_out;
	if (r == Z_STREAM_END)
		z->between = true;
	else if (r != Z_OK && r != Z_BUF_ERROR)
		z->damage = "is corrupt";
	return made || !z->damage ? (ssize_t)made : damaged(z, z->damage, err);
}

static ssize_t step_zstd(struct zfile *z, void *bytes, size_t n, struct err *err)
{
	ZSTD_inBuffer in = {z->in, z->in_n, z->in_at};
	ZSTD_outBuffer out = {bytes, n, 0};
	size_t r = ZSTD_decompressStream(z->zs, &out, &in);
	z->in_at = in.pos;
	if (!ZSTD_isError(r))
		z->between = r == 0;
	else if (ZSTD_getErrorCode(r) == ZSTD_error_frameParameter_windowTooLarge)
		z->damage = "wants a window above 128 MiB";
	else
		z->damage = "is corrupt";
	return out.pos || !z->damage ? (ssize_t)out.pos : damaged(z, z->damage, err);
}

static ssize_t read_compressed(struct zfile *z, void *bytes, size_t n, struct err *err)
{
	if (z->damage)
		return damaged(z, z->damage, err);
	for (;;) {
		int r = refill(z, err);
		if (r)
			return r;
		if (z->in_ended && z->between)
			return 0;
		/* At the end of the file the decoder may still hold bytes that did not fit before. */
		ssize_t made =
		    z->kind == KIND_GZIP ? step_gzip(z, bytes, n, err) : step_zstd(z, bytes, n, err);
		if (made)
			return made;
		if (z->in_ended && z->between)
			return 0;
		if (z->in_ended)
			return damaged(z, "is cut short", err);
	}
}

ssize_t zfile_read(struct zfile *z, void *ret_bytes, size_t n, struct err *err)
{
	if (z->kind == KIND_UNKNOWN) {
		int r = detect(z, err);
		if (r)
			return r;
	}
	if (n == 0)
		return 0;
	return z->kind == KIND_PLAIN ? read_plain(z, ret_bytes, n, err)
				     : read_compressed(z, ret_bytes, n, err);
}
