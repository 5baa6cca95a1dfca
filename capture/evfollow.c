#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "capture/evcheckpoint.h"
#include "capture/evfollow.h"
#include "capture/zfile.h"

_Static_assert((int)ZFILE_CHUNK_BYTES >= (int)EVTAIL_HEAD_LINE_BYTES, "one buffer serves both");
enum { MAX_BACK = 1 << 20 }; /* a longer line is refused anyway: no use in reading its start again */

int evfollow_add(struct evfollow *f, struct evtail *t)
{
	int rc = f->n_tails == EVFOLLOW_MAX_FILES ? -E2BIG : 0;
	if (rc == 0 && f->n_tails == f->size_tails) {
		size_t size = f->size_tails ? f->size_tails * 2 : 64;
		struct evtail **grown = reallocarray(f->tails, size, sizeof *grown);
		if (!grown)
			rc = -ENOMEM;
		else
			f->tails = grown;
		if (grown)
			f->size_tails = size;
	}
	if (rc) {
		evtail_free(t);
		return rc;
	}
	t->id = ++f->last_id;
	f->tails[f->n_tails++] = t;
	return 0;
}

int evfollow_restart(struct evfollow *f, struct evtail *t)
{
	if (t->at.offset || t->confirmed.offset) {
		struct evtail *past = evtail_new(t->path, 0);
		if (!past)
			return -ENOMEM;
		past->state = EVTAIL_PAST;
		past->head = t->head;
		past->at = t->state == EVTAIL_CHECK ? t->at : evtail_place(t);
		past->confirmed = t->confirmed;
		past->form = t->form;
		int rc = evfollow_add(f, past);
		if (rc)
			return rc;
		uint32_t id = past->id; /* what is under way was the old content's */
		past->id = t->id;
		t->id = id;
		f->stats.rotations++;
	}
	evtail_close(t);
	t->head = (struct evmark){0};
	t->at = t->confirmed = (struct evplace){0};
	t->held_size = 0;
	t->form = 0;
	t->state = EVTAIL_NEW;
	return 0;
}

/* ---- positions ---- */

static int pass(struct evfollow *f, uint64_t number)
{
	if (f->n_passed == f->size_passed) {
		size_t size = f->size_passed ? f->size_passed * 2 : 256;
		struct evpassed *grown = calloc(size, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		for (size_t i = 0; i < f->n_passed; i++)
			grown[i] = f->passed[(f->head + i) % f->size_passed];
		free(f->passed);
		f->passed = grown;
		f->size_passed = size;
		f->head = 0;
	}
	f->passed[(f->head + f->n_passed++) % f->size_passed] = (struct evpassed){number, f->current->id, evtail_place(f->current)};
	return 0;
}

static struct evtail *by_id(struct evfollow *f, uint32_t id)
{
	for (size_t i = f->n_tails; i--;)
		if (f->tails[i]->id == id)
			return f->tails[i];
	return NULL;
}

static int confirm(struct evinlet *in, uint64_t number, struct err *err)
{
	struct evfollow *f = (struct evfollow *)in;
	for (; f->n_passed && f->passed[f->head].number <= number; f->n_passed--, f->head = (f->head + 1) % f->size_passed) {
		struct evtail *t = by_id(f, f->passed[f->head].id);
		if (t)
			t->confirmed = f->passed[f->head].place;
		f->dirty = true;
	}
	uint64_t now = clock_monotonic_ns();
	if (!f->dirty || !f->checkpoint || now - f->saved_ns < CLOCK_NS_PER_S)
		return 0;
	f->saved_ns = now;
	int rc = evcheckpoint_save(f->checkpoint, f->tails, f->n_tails, err);
	f->dirty = rc != 0;
	return rc;
}

/* ---- visits ---- */

/* Is the line at the end, whose newline has not come, to be handed out as it is? */
static bool line_is_over(const struct evtail *t, uint64_t now_ns)
{
	return !t->named || now_ns - t->changed_ns >= EVFOLLOW_IDLE_NS;
}

static bool has_work(const struct evtail *t, uint64_t now_ns)
{
	if (t->state != EVTAIL_READ)
		return false;
	if (t->packed || t->form == EVSOURCE_WHOLE)
		return t->held_size != t->size && now_ns - t->changed_ns >= (t->named ? EVFOLLOW_SETTLE_NS : 0);
	if (t->size <= t->at.offset)
		return false;
	return t->held_size != t->size || line_is_over(t, now_ns);
}

static struct evtail *next_tail(struct evfollow *f, uint64_t now_ns)
{
	for (size_t i = 0; i < f->n_tails; i++) {
		struct evtail *t = f->tails[(f->turn + i) % f->n_tails];
		if (has_work(t, now_ns)) {
			f->turn = (f->turn + i + 1) % f->n_tails;
			return t;
		}
	}
	return NULL;
}

static void close_idle(struct evfollow *f)
{
	size_t open = 0;
	struct evtail *oldest = NULL;
	for (size_t i = 0; i < f->n_tails; i++) {
		struct evtail *t = f->tails[i];
		if (t->fd < 0 || t == f->current)
			continue;
		open++;
		if (t->named && (!oldest || t->used_ns < oldest->used_ns))
			oldest = t;
	}
	if (open > EVFOLLOW_MAX_OPEN && oldest)
		evtail_close(oldest);
}

/* The first line, without a limit of what is a line but its length. 0: not there yet. */
static size_t first_line(struct evtail *t, char *ret, size_t room)
{
	ssize_t n = evtail_peek(t, ret, room);
	const char *end = n > 0 ? memchr(ret, '\n', (size_t)n) : NULL;
	if (end)
		return (size_t)(end - ret) + 1;
	return n == (ssize_t)room ? room : 0;
}

/* An unfinished line was handed out; now its newline has come, or the rest of it. */
static int take_back_line(struct evtail *t, struct err *err)
{
	uint8_t byte;
	uint64_t partial = t->at.partial;
	if (!partial)
		return 0;
	ssize_t n = evtail_read(t, NULL, &byte, 1, err);
	if (n <= 0)
		return (int)n;
	t->at.partial = 0;
	if (byte == '\n') {
		evtail_advance(t, &byte, 1);
		return 0;
	}
	return evtail_seek(t, partial > MAX_BACK ? t->at.offset : t->at.offset - partial, err);
}

static int find_form(struct evfollow *f, struct evtail *t, uint64_t now_ns)
{
	if (t->form)
		return 0;
	size_t n = first_line(t, f->buf, EVTAIL_HEAD_LINE_BYTES);
	if (!n && !line_is_over(t, now_ns) && !t->packed)
		return 1;
	if (!n) {
		ssize_t all = evtail_peek(t, f->buf, EVTAIL_HEAD_LINE_BYTES);
		n = all > 0 ? (size_t)all : 0;
	}
	t->form = f->conf.form ? (uint8_t)f->conf.form(f->buf, n) : EVSOURCE_LINES;
	return 0;
}

static int fill_chunk(struct evfollow *f, uint64_t number, struct evchunk *ret, size_t n, bool ends)
{
	*ret = (struct evchunk){.bytes = f->buf, .n = n, .origin = f->current->path, .begins = !f->began, .ends = ends, .number = number};
	f->began = true;
	f->stats.bytes += n;
	return 1;
}

static int end_visit(struct evfollow *f, uint64_t number, struct evchunk *ret, int code)
{
	struct evtail *t = f->current;
	t->held_size = t->size;
	zfile_close(t->z);
	t->z = NULL;
	int r = 0;
	if (f->began)
		r = fill_chunk(f, number, ret, 0, true);
	if (code == 0 && t->form == EVSOURCE_WHOLE && f->began && pass(f, number))
		t->held_size = 0; /* it will be read again */
	f->current = NULL;
	f->began = f->over = false;
	return r;
}

/* 1: the visit has begun, with or without a chunk of its own in *ret (n > 0); 0: not now; negative. */
static int begin_visit(struct evfollow *f, uint64_t now_ns, struct err *err)
{
	struct evtail *t = f->current;
	int rc = evtail_open(t, err);
	if (rc == 0 && !evtail_intact(t)) {
		f->current = NULL;
		return evfollow_restart(f, t);
	}
	if (rc == 0)
		rc = find_form(f, t, now_ns);
	if (rc == 0 && t->form == EVSOURCE_WHOLE)
		rc = evtail_seek(t, 0, err);
	else if (rc == 0)
		rc = take_back_line(t, err);
	if (rc == 0) {
		t->used_ns = now_ns;
		evtail_learn_head(t);
	}
	if (rc == 0)
		return 1;
	f->current = NULL;
	if (rc == -ESTALE || rc == -ENOENT)
		return 0; /* renamed since the last look */
	t->held_size = t->size;
	f->stats.unreadable += rc < 0;
	return rc < 0 ? rc : 0;
}

/* How many of the bytes read are to be handed out: whole lines, or what there is of one that will not end soon. */
static size_t cut(const struct evtail *t, const char *bytes, size_t n, size_t room, uint64_t now_ns, uint64_t *ret_partial)
{
	const char *end = t->form == EVSOURCE_WHOLE ? NULL : memrchr(bytes, '\n', n);
	*ret_partial = 0;
	if (end)
		return (size_t)(end - bytes) + 1;
	if (t->form == EVSOURCE_WHOLE)
		return n;
	*ret_partial = t->at.partial + n;
	return n == room || t->packed || line_is_over(t, now_ns) ? n : 0;
}

static int read_visit(struct evfollow *f, uint64_t number, struct evchunk *ret, uint64_t now_ns, struct err *err)
{
	struct evtail *t = f->current;
	if (f->over)
		return end_visit(f, number, ret, -EIO);
	if (!f->began && t->form == EVSOURCE_HEADED && t->at.offset) {
		size_t n = first_line(t, f->buf, EVTAIL_HEAD_LINE_BYTES);
		if (n && t->at.offset >= n)
			return fill_chunk(f, number, ret, n, false);
	}
	ssize_t n = evtail_read(t, f->stop, f->buf, ZFILE_CHUNK_BYTES, err);
	if (n < 0) {
		f->stats.unreadable++;
		f->over = f->began;
		t->held_size = t->size;
		if (!f->began)
			f->current = NULL;
		return (int)n;
	}
	if (n > 0 && !evtail_intact(t)) { /* truncated under our hands: these bytes are of another content */
		end_visit(f, number, ret, -ESTALE);
		int rc = evfollow_restart(f, t);
		return rc ? rc : ret->ends && ret->number == number;
	}
	uint64_t partial;
	size_t out = n > 0 ? cut(t, f->buf, (size_t)n, ZFILE_CHUNK_BYTES, now_ns, &partial) : 0;
	if (!out)
		return end_visit(f, number, ret, 0);
	evtail_advance(t, (const uint8_t *)f->buf, out);
	t->at.partial = partial;
	fill_chunk(f, number, ret, out, false);
	return t->form == EVSOURCE_WHOLE ? 1 : pass(f, number) ? -ENOMEM : 1;
}

static int poll_files(struct evinlet *in, uint64_t number, struct evchunk *ret, struct err *err)
{
	struct evfollow *f = (struct evfollow *)in;
	uint64_t now = clock_monotonic_ns();
	ret->number = 0;
	if (!f->current) {
		if (!f->scanned_ns || now - f->scanned_ns >= EVFOLLOW_SCAN_NS) {
			f->scanned_ns = now;
			int rc = evfollow_scan(f, now, err), before = f->scan_rc;
			f->scan_rc = rc;
			close_idle(f);
			if (rc && rc != before) /* told once, not four times a second */
				return rc;
		}
		f->current = next_tail(f, now);
		int rc = f->current ? begin_visit(f, now, err) : 0;
		if (rc <= 0)
			return rc;
	}
	return read_visit(f, number, ret, now, err);
}

static void add_stats(const struct evinlet *in, struct evsource_stats *st)
{
	const struct evfollow *f = (const struct evfollow *)in;
	st->files += f->stats.files;
	st->bytes += f->stats.bytes;
	st->unreadable += f->stats.unreadable;
	st->rotations += f->stats.rotations;
}

static void close_files(struct evinlet *in)
{
	struct evfollow *f = (struct evfollow *)in;
	if (f->dirty && f->checkpoint)
		evcheckpoint_save(f->checkpoint, f->tails, f->n_tails, NULL);
	for (size_t i = 0; i < f->n_tails; i++)
		evtail_free(f->tails[i]);
	for (size_t i = 0; i < f->n_paths; i++)
		free(f->paths[i]);
	if (f->lock >= 0)
		close(f->lock);
	free(f->tails);
	free(f->paths);
	free(f->passed);
	free(f->checkpoint);
	free(f->buf);
	free(f);
}

/* ---- opening ---- */

static const struct evinlet_ops file_ops = {.poll = poll_files, .confirm = confirm, .stats = add_stats, .close = close_files};

static int remember(void *ctx, struct evtail *t)
{
	return evfollow_add(ctx, t);
}

static int open_checkpoint(struct evfollow *f, const char *path, struct err *err)
{
	char *lock;
	f->checkpoint = strdup(path);
	if (!f->checkpoint || asprintf(&lock, "%s.lock", path) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	f->lock = open(lock, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0640);
	int rc = 0;
	if (f->lock < 0)
		rc = err_set(err, -errno, "%s: %s", lock, strerror(errno));
	else if (flock(f->lock, LOCK_EX | LOCK_NB))
		rc = err_set(err, -EBUSY, "%s: another process follows with this checkpoint", path);
	free(lock);
	if (rc == 0)
		rc = evcheckpoint_load(path, remember, f, err);
	return rc < 0 ? rc : 0;
}

int evfollow_open(struct evinlet **ret_in, const struct evsource_conf *conf, const char *const *paths, size_t n_paths,
		  const atomic_bool *stop, struct err *err)
{
	struct evfollow *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, -ENOMEM, "out of memory");
	f->inlet.ops = &file_ops;
	f->conf = *conf;
	f->stop = stop;
	f->lock = -1;
	f->buf = malloc(ZFILE_CHUNK_BYTES);
	f->paths = calloc(n_paths, sizeof *f->paths);
	int rc = f->buf && f->paths ? 0 : -ENOMEM;
	for (; rc == 0 && f->n_paths < n_paths; f->n_paths++)
		if (!(f->paths[f->n_paths] = strdup(paths[f->n_paths])))
			rc = -ENOMEM;
	if (rc)
		err_set(err, rc, "out of memory");
	if (rc == 0 && conf->checkpoint)
		rc = open_checkpoint(f, conf->checkpoint, err);
	if (rc) {
		close_files(&f->inlet);
		return rc;
	}
	*ret_in = &f->inlet;
	return 0;
}
