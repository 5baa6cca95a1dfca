#include "capture/base/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "capture/base/crc32c.h"
#include "capture/base/spool_segment.h"

enum { MAX_SEGMENTS = 1 << 16, SLOT_BYTES = 64, MIN_SEGMENT_BYTES = 4096 };
#define DEFAULT_CAP_BYTES     (UINT64_C(1) << 30)
#define DEFAULT_SEGMENT_BYTES (UINT64_C(8) << 20)
#define DEFAULT_KEEP_NS       (300 * CLOCK_NS_PER_S)
#define LEAP                  (UINT64_C(1) << 24) /* more than one second's records; 2^53 (a script's numbers) is 2^29 unclean ends away */

/* The reader's file: two slots written in turn, the newer good one counts. Native byte order: it never leaves the machine. */
struct slot {
	char magic[8];
	uint64_t turn, epoch, acked;
	uint64_t next; /* the number to go on with; 0: the spool is in use, or was left without a word */
	uint64_t reserved[2];
	uint32_t zero, crc;
};
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "a slot's place in the file");
static const char slot_magic[8] = {'L', 'T', 'S', 'P', 'R', 'D', 'R', '1'};

struct spool {
	int dir, reader, fd; /* fd: the segment that grows, -1 none */
	struct spool_conf conf;
	struct slot state;
	struct segment *segments; /* ascending */
	size_t n_segments, size_segments;
	uint64_t next;
	bool dirty, state_dirty;
	struct window window;
	uint64_t read_segment, read_at, read_number; /* first number of the open window's segment (0 none), place, last number read */
	struct spool_stats stats;
};

/* ---- the reader's file ---- */

static int write_state(struct spool *sp)
{
	struct slot s = sp->state;
	s.turn = ++sp->state.turn;
	s.crc = crc32c(0, &s, offsetof(struct slot, crc));
	ssize_t n = pwrite(sp->reader, &s, sizeof s, (off_t)(s.turn % 2 * SLOT_BYTES));
	return n == sizeof s ? 0 : n < 0 ? -errno : -EIO;
}

static bool read_state(struct spool *sp)
{
	struct slot s;
	bool found = false;
	for (int i = 0; i < 2; i++) {
		if (pread(sp->reader, &s, sizeof s, i * SLOT_BYTES) != sizeof s || memcmp(s.magic, slot_magic, 8) != 0 ||
		    s.crc != crc32c(0, &s, offsetof(struct slot, crc)))
			continue;
		if (!found || s.turn > sp->state.turn)
			sp->state = s;
		found = true;
	}
	return found;
}

static int open_reader(struct spool *sp, struct err *err)
{
	sp->reader = openat(sp->dir, "reader", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	struct stat st;
	if (sp->reader < 0 || fstat(sp->reader, &st))
		return err_set(err, -errno, "%s/reader: %s", sp->conf.directory, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, LT_EFORMAT, "%s/reader: is not a regular file", sp->conf.directory);
	if (flock(sp->reader, LOCK_EX | LOCK_NB))
		return err_set(err, errno == EWOULDBLOCK ? -EBUSY : -errno, "%s: another process uses this spool", sp->conf.directory);
	if (read_state(sp))
		return 0;
	sp->state = (struct slot){.next = 1};
	memcpy(sp->state.magic, slot_magic, sizeof slot_magic);
	if (getrandom(&sp->state.epoch, sizeof sp->state.epoch, 0) != sizeof sp->state.epoch)
		return err_set(err, -EIO, "no random numbers for the spool");
	return 0;
}

/* ---- segments ---- */

static struct segment *add_segment(struct spool *sp, uint64_t first)
{
	if (sp->n_segments == sp->size_segments) {
		size_t size = sp->size_segments ? sp->size_segments * 2 : 64;
		struct segment *grown = reallocarray(sp->segments, size, sizeof *grown);
		if (!grown)
			return NULL;
		sp->segments = grown;
		sp->size_segments = size;
	}
	struct segment *s = &sp->segments[sp->n_segments++];
	*s = (struct segment){.first = first, .last = first - 1, .bytes = SEGMENT_HEADER_BYTES};
	return s;
}

static int open_segment(const struct spool *sp, uint64_t first, int flags)
{
	char name[24];
	segment_name(name, first);
	int fd = openat(sp->dir, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0640);
	return fd < 0 ? -errno : fd;
}

static void remove_segment(struct spool *sp, size_t i)
{
	struct segment *s = &sp->segments[i];
	char name[24];
	segment_name(name, s->first);
	unlinkat(sp->dir, name, 0);
	sp->stats.bytes -= s->bytes;
	if (sp->read_segment == s->first)
		sp->read_segment = 0;
	memmove(s, s + 1, (sp->n_segments - i - 1) * sizeof *s);
	sp->n_segments--;
}

/* How many of a segment's records are not acknowledged. */
static uint64_t waiting_in(const struct spool *sp, const struct segment *s)
{
	if (s->last <= sp->state.acked)
		return 0;
	uint64_t behind = s->last - sp->state.acked;
	return behind < s->n ? behind : s->n;
}

/* Reads a segment through: what is good in it, and where its good part ends. */
static int survey(struct spool *sp, struct segment *s)
{
	uint8_t head[SEGMENT_HEADER_BYTES];
	struct stat st;
	struct record r;
	if (fstat(sp->window.fd, &st))
		return -errno;
	uint64_t size = (uint64_t)st.st_size, at = SEGMENT_HEADER_BYTES;
	if (pread(sp->window.fd, head, sizeof head, 0) != sizeof head || !segment_check_header(head, sp->state.epoch, s->first)) {
		sp->stats.torn_bytes += size;
		return 0;
	}
	int rc;
	while ((rc = segment_find(&sp->window, at, size, s->last, &r)) > 0) {
		sp->stats.corrupt += r.number - s->last - 1;
		s->last = r.number;
		s->n++;
		at = r.at + RECORD_HEADER_BYTES + r.n;
	}
	sp->stats.torn_bytes += size - at;
	s->bytes = at;
	return rc;
}

static void reset_window(struct spool *sp, int fd)
{
	if (sp->window.fd >= 0)
		close(sp->window.fd);
	sp->window.fd = fd;
	sp->window.n = 0;
	sp->window.at = 0;
}

static int by_first(const void *a, const void *b)
{
	const struct segment *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

static int list_segments(struct spool *sp)
{
	int fd = openat(sp->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return -errno;
	const struct dirent *e;
	uint64_t first;
	while ((e = readdir(d)))
		if (segment_parse_name(e->d_name, &first) && !add_segment(sp, first)) {
			closedir(d);
			return -ENOMEM;
		}
	closedir(d);
	if (sp->n_segments)
		qsort(sp->segments, sp->n_segments, sizeof *sp->segments, by_first);
	return 0;
}

/* Checks what an earlier process left; empty and foreign segments go. */
static int recover(struct spool *sp)
{
	int rc = list_segments(sp);
	for (size_t i = 0; i < sp->n_segments && rc >= 0;) {
		struct segment *s = &sp->segments[i];
		int fd = open_segment(sp, s->first, O_RDWR);
		if (fd < 0)
			return fd;
		reset_window(sp, fd);
		if (i && s[-1].last > s->last) /* numbers grow from one to the next, whatever their names say */
			s->last = s[-1].last;
		rc = survey(sp, s);
		if (rc < 0)
			return rc;
		if (ftruncate(fd, (off_t)s->bytes))
			return -errno;
		sp->stats.bytes += s->bytes;
		if (s->n && s->last >= sp->next)
			sp->next = s->last + 1;
		if (s->n)
			i++;
		else
			remove_segment(sp, i);
	}
	return rc;
}

static int open_files(struct spool *sp, struct err *err)
{
	const char *path = sp->conf.directory;
	if (mkdir(path, 0750) && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	sp->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sp->dir < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int rc = open_reader(sp, err);
	if (rc)
		return rc;
	sp->window.seed = (uint32_t)sp->state.epoch;
	sp->next = sp->state.acked + 1;
	rc = recover(sp);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	if (sp->state.next > sp->next)
		sp->next = sp->state.next;
	else if (!sp->state.next)
		sp->next += LEAP; /* numbers given out after the last sync may be known to the far end */
	sp->state.next = 0;
	rc = write_state(sp);
	return rc || (fdatasync(sp->reader) && (rc = -errno)) ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

static void set_limits(struct spool *sp)
{
	struct spool_conf *c = &sp->conf;
	c->cap_bytes = c->cap_bytes ? c->cap_bytes : DEFAULT_CAP_BYTES;
	c->segment_bytes = c->segment_bytes ? c->segment_bytes : DEFAULT_SEGMENT_BYTES;
	c->segment_bytes = c->segment_bytes < c->cap_bytes / 8 ? c->segment_bytes : c->cap_bytes / 8;
	c->segment_bytes = c->segment_bytes > MIN_SEGMENT_BYTES ? c->segment_bytes : MIN_SEGMENT_BYTES;
	c->keep_ns = c->keep_ns ? c->keep_ns : DEFAULT_KEEP_NS;
}

int spool_open(struct spool **ret_sp, const struct spool_conf *conf, struct err *err)
{
	struct spool *sp = calloc(1, sizeof *sp);
	if (!sp)
		return err_set(err, -ENOMEM, "no memory for the spool");
	sp->conf = *conf;
	sp->dir = sp->reader = sp->fd = sp->window.fd = -1;
	set_limits(sp);
	int rc = open_files(sp, err);
	if (rc) {
		sp->dirty = sp->state_dirty = false;
		sp->state.magic[0] = 0; /* not ours to mark as cleanly left */
		spool_close(sp);
		return rc;
	}
	sp->conf.directory = NULL; /* borrowed for opening only */
	spool_rewind(sp, sp->state.acked + 1);
	*ret_sp = sp;
	return 0;
}

void spool_close(struct spool *sp)
{
	if (!sp)
		return;
	if (sp->state.magic[0] && spool_sync(sp) == 0) {
		sp->state.next = sp->next;
		if (write_state(sp) == 0)
			fdatasync(sp->reader);
	}
	int fds[] = {sp->fd, sp->window.fd, sp->reader, sp->dir};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(sp->window.bytes);
	free(sp->segments);
	free(sp);
}

uint64_t spool_epoch(const struct spool *sp)
{
	return sp->state.epoch;
}

/* ---- writing ---- */

/* Acknowledged long enough ago, or over the cap: from the oldest on. The segment that grows stays. */
static void make_room(struct spool *sp, uint64_t more)
{
	while (sp->n_segments > (sp->fd >= 0)) {
		const struct segment *s = sp->segments;
		bool old = s->done_ns && clock_monotonic_ns() - s->done_ns >= sp->conf.keep_ns;
		if (!old && sp->stats.bytes + more <= sp->conf.cap_bytes && sp->n_segments < MAX_SEGMENTS)
			return;
		sp->stats.dropped += waiting_in(sp, s);
		remove_segment(sp, 0);
	}
}

static int close_segment(struct spool *sp)
{
	int rc = fdatasync(sp->fd) ? -errno : 0;
	close(sp->fd);
	sp->fd = -1;
	return rc;
}

static int begin_segment(struct spool *sp)
{
	uint8_t head[SEGMENT_HEADER_BYTES];
	char name[24];
	int fd = open_segment(sp, sp->next, O_WRONLY | O_CREAT | O_EXCL);
	if (fd < 0)
		return fd;
	segment_pack_header(head, sp->state.epoch, sp->next);
	ssize_t n = pwrite(fd, head, sizeof head, 0);
	if (n != sizeof head || !add_segment(sp, sp->next)) {
		int rc = n < 0 ? -errno : n == sizeof head ? -ENOMEM : -ENOSPC;
		close(fd);
		segment_name(name, sp->next);
		unlinkat(sp->dir, name, 0);
		return rc;
	}
	sp->fd = fd;
	sp->stats.bytes += SEGMENT_HEADER_BYTES;
	return fsync(sp->dir) ? -errno : 0; /* a name that is not on disk takes its records with it */
}

/* A short write is taken back, so that the segment ends with a whole record. */
static int write_record(struct spool *sp, struct segment *s, const void *bytes, size_t n)
{
	uint8_t head[RECORD_HEADER_BYTES];
	segment_pack_record(head, sp->window.seed, sp->next, bytes, n);
	struct iovec v[2] = {{head, sizeof head}, {(void *)(uintptr_t)bytes, n}};
	ssize_t wrote = pwritev(sp->fd, v, 2, (off_t)s->bytes);
	if (wrote == (ssize_t)(sizeof head + n))
		return 0;
	int rc = wrote < 0 ? -errno : -ENOSPC;
	if (ftruncate(sp->fd, (off_t)s->bytes))
		close_segment(sp);
	return rc;
}

int spool_append(struct spool *sp, const void *bytes, size_t n, uint64_t *ret_number)
{
	uint64_t need = RECORD_HEADER_BYTES + n;
	if (n > SPOOL_MAX_RECORD_BYTES)
		return -EMSGSIZE;
	int rc = 0;
	if (sp->fd >= 0 && sp->segments[sp->n_segments - 1].bytes + need > sp->conf.segment_bytes)
		rc = close_segment(sp);
	make_room(sp, need + SEGMENT_HEADER_BYTES);
	if (sp->fd < 0 && rc == 0)
		rc = begin_segment(sp);
	struct segment *s = sp->n_segments ? &sp->segments[sp->n_segments - 1] : NULL;
	if (rc == 0 && s)
		rc = write_record(sp, s, bytes, n);
	if (rc)
		return rc;
	s->bytes += need;
	s->last = sp->next;
	s->n++;
	sp->stats.bytes += need;
	sp->stats.appended++;
	sp->dirty = true;
	*ret_number = sp->next++;
	return 0;
}

int spool_sync(struct spool *sp)
{
	int rc = 0;
	if (sp->dirty && sp->fd >= 0 && fdatasync(sp->fd))
		rc = -errno;
	sp->dirty = sp->dirty && rc;
	if (sp->state_dirty && !rc)
		rc = write_state(sp);
	sp->state_dirty = sp->state_dirty && rc;
	make_room(sp, 0);
	return rc;
}

/* ---- reading ---- */

/* The first segment with a number above; NULL: none. */
static const struct segment *segment_above(const struct spool *sp, uint64_t number)
{
	size_t lo = 0, hi = sp->n_segments;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (sp->segments[mid].last > number)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo < sp->n_segments ? &sp->segments[lo] : NULL;
}

void spool_rewind(struct spool *sp, uint64_t number)
{
	sp->read_number = number ? number - 1 : 0;
	sp->read_segment = 0;
}

int spool_next(struct spool *sp, uint64_t *ret_number, const void **ret_bytes, size_t *ret_n)
{
	const struct segment *s;
	while ((s = segment_above(sp, sp->read_number))) {
		struct record r;
		if (sp->read_segment != s->first) {
			int fd = open_segment(sp, s->first, O_RDONLY);
			if (fd < 0)
				return fd;
			reset_window(sp, fd);
			sp->read_segment = s->first;
			sp->read_at = SEGMENT_HEADER_BYTES;
		}
		int rc = segment_find(&sp->window, sp->read_at, s->bytes, sp->read_number, &r);
		if (rc < 0)
			return rc;
		if (rc == 0) { /* went bad after it was surveyed */
			sp->stats.corrupt += s->last - sp->read_number;
			sp->read_number = s->last;
			continue;
		}
		sp->read_at = r.at + RECORD_HEADER_BYTES + r.n;
		sp->read_number = r.number;
		*ret_number = r.number;
		*ret_bytes = r.bytes;
		*ret_n = r.n;
		return 1;
	}
	return 0;
}

void spool_ack(struct spool *sp, uint64_t number)
{
	if (number <= sp->state.acked)
		return;
	sp->state.acked = number;
	sp->state_dirty = true;
	for (size_t i = 0; i < sp->n_segments && sp->segments[i].last <= number; i++)
		if (!sp->segments[i].done_ns)
			sp->segments[i].done_ns = clock_monotonic_ns();
}

uint64_t spool_acked(const struct spool *sp)
{
	return sp->state.acked;
}

void spool_stats(const struct spool *sp, struct spool_stats *ret)
{
	*ret = sp->stats;
	for (size_t i = sp->n_segments; i-- && sp->segments[i].last > sp->state.acked;)
		ret->waiting += waiting_in(sp, &sp->segments[i]);
}
