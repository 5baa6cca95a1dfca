/* What is there, and what of it is known. A new file may be the continuation of a known content: the file under another name, a
 * copy made before the original was truncated, its gzip. Whatever was read of the content is then not read again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/clock.h"
#include "capture/base/hash.h"
#include "capture/evfollow.h"

enum { MAX_PAST = 1024 };

/* (dev, ino) -> place in tails + 1. */
struct index {
	uint32_t *slots;
	size_t n; /* power of two */
	size_t n_tails; /* those that came later are looked through one by one */
};

static size_t slot_of(const struct index *ix, uint64_t dev, uint64_t ino)
{
	uint64_t key[2] = {dev, ino};
	return hash_bytes(HASH_KEY_FIXED, key, sizeof key) & (ix->n - 1);
}

static int index_files(struct index *ix, const struct evfollow *f)
{
	for (ix->n = 64; ix->n < f->n_tails * 2; ix->n *= 2)
		;
	ix->slots = calloc(ix->n, sizeof *ix->slots);
	if (!ix->slots)
		return -ENOMEM;
	ix->n_tails = f->n_tails;
	for (size_t i = 0; i < f->n_tails; i++) {
		const struct evtail *t = f->tails[i];
		if (t->state == EVTAIL_PAST)
			continue;
		size_t at = slot_of(ix, t->dev, t->ino);
		while (ix->slots[at])
			at = (at + 1) & (ix->n - 1);
		ix->slots[at] = (uint32_t)i + 1;
	}
	return 0;
}

static struct evtail *find(const struct index *ix, const struct evfollow *f, const struct stat *st)
{
	for (size_t at = slot_of(ix, (uint64_t)st->st_dev, (uint64_t)st->st_ino); ix->slots[at]; at = (at + 1) & (ix->n - 1)) {
		struct evtail *t = f->tails[ix->slots[at] - 1];
		if (t->dev == (uint64_t)st->st_dev && t->ino == (uint64_t)st->st_ino)
			return t;
	}
	for (size_t i = ix->n_tails; i < f->n_tails; i++)
		if (f->tails[i]->dev == (uint64_t)st->st_dev && f->tails[i]->ino == (uint64_t)st->st_ino)
			return f->tails[i];
	return NULL;
}

static void take_size(struct evtail *t, const struct stat *st, uint64_t now_ns)
{
	uint64_t mtime = (uint64_t)st->st_mtim.tv_sec * CLOCK_NS_PER_S + (uint64_t)st->st_mtim.tv_nsec;
	if (t->size == (uint64_t)st->st_size && t->mtime_ns == mtime)
		return;
	t->size = (uint64_t)st->st_size;
	t->mtime_ns = mtime;
	t->changed_ns = now_ns;
}

static int see_file(struct evfollow *f, const struct index *ix, char *path, const struct stat *st, bool sibling, uint64_t now_ns)
{
	struct evtail *t = find(ix, f, st);
	if (!t) {
		t = evtail_new(path, 0);
		if (!t)
			return -ENOMEM;
		t->state = EVTAIL_NEW;
		t->sibling = sibling;
		t->dev = (uint64_t)st->st_dev;
		t->ino = (uint64_t)st->st_ino;
		t->size = UINT64_MAX; /* so that it counts as changed now */
		int rc = evfollow_add(f, t);
		if (rc)
			return rc == -E2BIG ? 0 : rc;
	}
	t->named = true;
	t->sibling = t->sibling && sibling;
	take_size(t, st, now_ns);
	if (strcmp(t->path, path) != 0) {
		char *copy = strdup(path);
		if (!copy)
			return -ENOMEM;
		free(t->path);
		t->path = copy;
	}
	if (t->state == EVTAIL_READ && !t->packed && t->size < t->at.offset)
		return evfollow_restart(f, t);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a directory, sorted: files that come at once are read in that order. */
static int list_names(const char *dir, const char *beginning, char ***ret_names, size_t *ret_n)
{
	DIR *d = opendir(dir);
	if (!d)
		return -errno;
	char **names = NULL;
	size_t n = 0, size = 0;
	const struct dirent *e;
	int rc = 0;
	while (rc == 0 && (e = readdir(d))) {
		if (e->d_name[0] == '.' || strncmp(e->d_name, beginning, strlen(beginning)) != 0)
			continue;
		if (n == size) {
			char **grown = reallocarray(names, size = size ? size * 2 : 64, sizeof *names);
			if (!grown) {
				rc = -ENOMEM;
				break;
			}
			names = grown;
		}
		names[n] = strdup(e->d_name);
		rc = names[n] ? 0 : -ENOMEM;
		n += rc == 0;
	}
	closedir(d);
	if (n)
		qsort(names, n, sizeof *names, by_text);
	*ret_names = names;
	*ret_n = n;
	return rc;
}

static int see_directory(struct evfollow *f, const struct index *ix, const char *dir, const char *beginning, bool sibling, uint64_t now_ns)
{
	char **names = NULL, *path;
	size_t n = 0, skip = strlen(beginning);
	int rc = list_names(dir, beginning, &names, &n);
	for (size_t i = 0; i < n; i++) {
		struct stat st;
		bool fits = !sibling || names[i][skip] == '.' || names[i][skip] == '-';
		if (rc == 0 && fits && asprintf(&path, "%s/%s", dir, names[i]) >= 0) {
			if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
				rc = see_file(f, ix, path, &st, sibling, now_ns);
			free(path);
		}
		free(names[i]);
	}
	free(names);
	return rc;
}

/* Where a followed file's older parts would be: beside it, its name and more. */
static int see_siblings(struct evfollow *f, const struct index *ix, const char *path, uint64_t now_ns)
{
	char *dir = strdup(path), *base = strdup(path);
	int rc = dir && base ? see_directory(f, ix, dirname(dir), basename(base), true, now_ns) : -ENOMEM;
	free(dir);
	free(base);
	return rc == -ENOENT ? 0 : rc;
}

static int see_path(struct evfollow *f, const struct index *ix, char *path, uint64_t now_ns, struct err *err)
{
	struct stat st;
	int rc = 0;
	if (stat(path, &st)) {
		rc = errno == ENOENT ? 0 : -errno; /* it may come later */
		st.st_mode = S_IFREG;
	} else if (S_ISREG(st.st_mode)) {
		rc = see_file(f, ix, path, &st, false, now_ns);
	} else if (S_ISDIR(st.st_mode)) {
		rc = see_directory(f, ix, path, "", false, now_ns);
	} else {
		return err_set(err, LT_EFORMAT, "%s: is a device, pipe or socket and cannot be followed", path);
	}
	if (rc == 0 && S_ISREG(st.st_mode))
		rc = see_siblings(f, ix, path, now_ns);
	return rc ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

/* ---- which content is it? ---- */

enum answer { ANOTHER, SAME, WAIT };

/* t, shorter than what was read of o: is it a copy of o's beginning? */
static bool is_beginning(struct evtail *t, struct evtail *o)
{
	uint8_t a[EVTAIL_MARK_BYTES], b[EVTAIL_MARK_BYTES];
	size_t n = t->size < sizeof a ? (size_t)t->size : sizeof a;
	off_t at = (off_t)(t->size - n);
	return evtail_open(o, NULL) == 0 && pread(t->fd, a, n, at) == (ssize_t)n && pread(o->fd, b, n, at) == (ssize_t)n &&
	       memcmp(a, b, n) == 0;
}

static uint64_t size_now(const struct evtail *o)
{
	struct stat st;
	return (o->fd >= 0 ? fstat(o->fd, &st) : stat(o->path, &st)) == 0 ? (uint64_t)st.st_size : o->size;
}

/* SAME: t holds o's content and may go on where o stands; WAIT: that will show. */
static enum answer compare(struct evtail *t, struct evtail *o, uint64_t now_ns)
{
	bool idle = now_ns - t->changed_ns >= EVFOLLOW_IDLE_NS;
	if (o->state == EVTAIL_CHECK)
		return WAIT;
	struct evplace place = o->state == EVTAIL_PAST ? o->at : evtail_place(o);
	if (!t->packed && t->size < place.offset) {
		if (!idle)
			return WAIT;
		return o->state == EVTAIL_READ && !o->packed && is_beginning(t, o) ? WAIT : ANOTHER;
	}
	if (evtail_matches(t, &o->head, &place) != 1)
		return ANOTHER;
	if (o->state == EVTAIL_PAST)
		return SAME;
	/* The original is still there and is read first; only what a copy has beyond it counts. */
	bool more = t->packed ? false : t->size > place.offset;
	return more && size_now(o) == place.offset && now_ns - t->changed_ns >= EVFOLLOW_SETTLE_NS ? SAME : WAIT;
}

static void forget(struct evfollow *f, struct evtail *t)
{
	for (size_t i = 0; i < f->n_tails; i++) {
		if (f->tails[i] != t)
			continue;
		memmove(&f->tails[i], &f->tails[i + 1], (f->n_tails - i - 1) * sizeof *f->tails);
		f->n_tails--;
		break;
	}
	if (f->current == t)
		f->current = NULL;
	evtail_free(t);
}

static void take_over(struct evfollow *f, struct evtail *t, struct evtail *o)
{
	uint64_t partial = o->at.partial;
	t->state = EVTAIL_READ;
	t->at.partial = partial;
	t->head = o->head;
	t->form = o->form;
	t->confirmed = o->confirmed;
	t->held_size = 0;
	f->stats.rotations++;
	if (o->state != EVTAIL_PAST)
		return;
	t->id = o->id; /* what is under way of it is t's from now on */
	forget(f, o);
}

static size_t contents(const struct evfollow *f)
{
	return (size_t)f->stats.rotations + f->stats.files + 1;
}

/* A NEW file: the continuation of a content, a fresh one, or that will show later. */
static void judge(struct evfollow *f, struct evtail *t, uint64_t now_ns)
{
	uint8_t first[EVTAIL_MARK_BYTES];
	if (!t->size || (t->judged == contents(f) && t->held_size == t->size))
		return;
	if (evtail_open(t, NULL) || (t->packed && now_ns - t->changed_ns < EVFOLLOW_SETTLE_NS))
		return;
	ssize_t n = evtail_peek(t, first, sizeof first);
	bool wait = n < 0;
	for (size_t i = f->n_tails; n > 0 && i--;) {
		struct evtail *o = f->tails[i];
		if (o == t || o->state == EVTAIL_NEW || !o->at.offset || !o->head.n || !evtail_begins(&o->head, first, (size_t)n))
			continue;
		enum answer is = compare(t, o, now_ns);
		if (is == SAME) {
			take_over(f, t, o);
			return;
		}
		wait |= is == WAIT;
	}
	if (wait || t->sibling) {
		if (!wait) {
			t->judged = contents(f);
			t->held_size = t->size;
		}
		evtail_close(t);
		t->at = (struct evplace){0};
		return;
	}
	t->at = (struct evplace){0};
	t->held_size = 0;
	t->state = EVTAIL_READ;
}

/* A file of the checkpoint, met again. */
static int check(struct evfollow *f, struct evtail *t)
{
	struct evplace place = t->at;
	int rc = evtail_open(t, NULL);
	if (rc)
		return 0;
	rc = evtail_matches(t, &t->head, &place);
	if (rc == 1) {
		t->at.partial = place.partial;
		t->state = EVTAIL_READ;
		return 0;
	}
	t->at = place;
	return rc < 0 ? 0 : evfollow_restart(f, t);
}

/* No name leads to it any more. What an open file still holds is read first. */
static void leave(struct evfollow *f, struct evtail *t)
{
	struct stat st;
	bool more = t->fd >= 0 && fstat(t->fd, &st) == 0 && t->state == EVTAIL_READ;
	if (more) {
		t->size = (uint64_t)st.st_size;
		more = t->packed || t->form == EVSOURCE_WHOLE ? t->held_size != t->size : t->size > t->at.offset;
	}
	if (more)
		return;
	if (t->state == EVTAIL_READ)
		t->at = evtail_place(t);
	evtail_close(t);
	f->stats.files += t->state == EVTAIL_READ;
	t->state = EVTAIL_PAST;
	t->dev = t->ino = 0;
}

static int settle(struct evfollow *f, uint64_t now_ns)
{
	size_t past = 0;
	for (size_t i = 0; i < f->n_tails; i++) {
		struct evtail *t = f->tails[i];
		int rc = t->named && t->state == EVTAIL_CHECK ? check(f, t) : 0;
		if (rc)
			return rc;
	}
	for (size_t i = f->n_tails; i--;) {
		struct evtail *t = f->tails[i];
		if (!t->named && t->state == EVTAIL_NEW)
			forget(f, t);
		else if (!t->named && t->state != EVTAIL_PAST)
			leave(f, t);
	}
	for (size_t i = 0; i < f->n_tails; i++)
		past += f->tails[i]->state == EVTAIL_PAST;
	for (size_t i = 0; i < f->n_tails && past > MAX_PAST;) {
		if (f->tails[i]->state != EVTAIL_PAST) {
			i++;
			continue;
		}
		forget(f, f->tails[i]);
		past--;
	}
	/* judge may take one out before or after the place looked at: begin anew then */
	for (size_t i = 0, n = f->n_tails; i < f->n_tails; i++) {
		if (f->tails[i]->state == EVTAIL_NEW)
			judge(f, f->tails[i], now_ns);
		if (f->n_tails != n) {
			n = f->n_tails;
			i = (size_t)-1;
		}
	}
	return 0;
}

int evfollow_scan(struct evfollow *f, uint64_t now_ns, struct err *err)
{
	struct index ix;
	int rc = index_files(&ix, f);
	if (rc)
		return err_set(err, rc, "out of memory");
	for (size_t i = 0; i < f->n_tails; i++)
		f->tails[i]->named = false;
	for (size_t i = 0; i < f->n_paths; i++) {
		int r = see_path(f, &ix, f->paths[i], now_ns, err);
		rc = rc ? rc : r;
	}
	free(ix.slots);
	if (rc) /* what could not be looked at is not gone */
		for (size_t i = 0; i < f->n_tails; i++)
			f->tails[i]->named = true;
	int r = settle(f, now_ns);
	return rc ? rc : r ? err_set(err, r, "out of memory") : 0;
}
