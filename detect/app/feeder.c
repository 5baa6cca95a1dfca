#include "detect/app/feeder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { QUEUE = 8 };

struct feeder_item {
	struct evchunk chunk;
	char *copy;
	int code; /* 0 a chunk, else what evsource_poll returned */
	struct err err;
};

struct feeder {
	const char *path;
	int fifo_fd; /* of a FIFO a second reading end: between two writers nothing that was written is lost;
			-1 */
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below but lent */
	pthread_cond_t room;
	struct evsource *source; /* changed by the thread alone, under the lock; polled by it without */
	struct feeder_item items[QUEUE];
	size_t head, count; /* count <= QUEUE */
	bool stop;
	char *lent; /* what feeder_take gave out last */
};

static bool queue(struct feeder *f, const struct feeder_item *item)
{
	pthread_mutex_lock(&f->lock);
	while (f->count == QUEUE && !f->stop)
		pthread_cond_wait(&f->room, &f->lock);
	bool go_on = !f->stop;
	if (go_on)
		f->items[(f->head + f->count++) % QUEUE] = *item;
	pthread_mutex_unlock(&f->lock);
	return go_on;
}

static bool copy_chunk(struct feeder_item *item)
{
	item->copy = malloc(item->chunk.n ? item->chunk.n : 1);
	if (!item->copy)
		return false;
	memcpy(item->copy, item->chunk.bytes, item->chunk.n);
	item->chunk.bytes = item->copy;
	return true;
}

/* A FIFO whose writer is gone is opened again for the next one. False: the end. */
static bool follow(struct feeder *f, struct err *err)
{
	struct evsource *next = NULL;
	if (f->fifo_fd < 0 || evsource_open(&next, &f->path, 1, err))
		return false;
	pthread_mutex_lock(&f->lock);
	struct evsource *last = f->stop ? next : f->source;
	if (!f->stop)
		f->source = next;
	bool go_on = !f->stop;
	pthread_mutex_unlock(&f->lock);
	evsource_close(last);
	return go_on;
}

/* A writer that came and went before the FIFO was opened again leaves its bytes behind but no end that a
 * reader could see. Where no writer is there, opening one and going does for it; without the right to write
 * its end is seen when the next writer goes. */
static void let_end_be_seen(const struct feeder *f)
{
	struct pollfd p = {.fd = f->fifo_fd};
	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLHUP))
		return;
	int fd = open(f->path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		close(fd);
}

/* Reads one item; false: the thread is to end. */
static bool feed_one(struct feeder *f, bool *failed)
{
	struct feeder_item item = {0};
	int r = evsource_poll(f->source, &item.chunk, &item.err);
	if (r == 0 || (r == -ENODATA && !*failed && follow(f, &item.err)))
		return true; /* nothing now */
	*failed |= r < 0;
	if (f->fifo_fd >= 0) {
		item.chunk.origin = f->path; /* the source's own copy goes with it */
		let_end_be_seen(f);
	}
	if (r < 0)
		item.code = r;
	else if (!copy_chunk(&item))
		item.code = err_set(&item.err, -ENOMEM, "no memory for endpoint events");
	if (queue(f, &item))
		return r != -ENODATA;
	free(item.copy);
	return false;
}

static void *feed(void *arg)
{
	struct feeder *f = arg;
	bool failed = false; /* a FIFO that failed is not opened again */
	while (feed_one(f, &failed))
		;
	return NULL;
}

static int open_source(struct feeder *f, struct err *err)
{
	struct stat st;
	if (strcmp(f->path, "-") != 0 && !stat(f->path, &st) && S_ISFIFO(st.st_mode))
		f->fifo_fd = open(f->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return evsource_open(&f->source, &f->path, 1, err);
}

static void free_all(struct feeder *f)
{
	for (; f->count; f->count--, f->head = (f->head + 1) % QUEUE)
		free(f->items[f->head].copy);
	free(f->lent);
	evsource_close(f->source);
	if (f->fifo_fd >= 0)
		close(f->fifo_fd);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->room);
	free(f);
}

int feeder_start(struct feeder **ret_f, const char *path, struct err *err)
{
	struct feeder *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, -ENOMEM, "no memory for the event reader");
	f->path = path;
	f->fifo_fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->room, NULL);
	int r = open_source(f, err);
	if (r)
		goto undo;
	/* Signals are for the thread that judges. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&f->thread, NULL, feed, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r) {
		r = err_set(err, -r, "cannot start a thread for endpoint events: %s", lt_strerror(-r));
		goto undo;
	}
	*ret_f = f;
	return 0;
undo:
	free_all(f);
	return r;
}

int feeder_take(struct feeder *f, struct evchunk *ret_chunk, struct err *err)
{
	free(f->lent);
	f->lent = NULL;
	pthread_mutex_lock(&f->lock);
	if (!f->count) {
		pthread_mutex_unlock(&f->lock);
		return 0;
	}
	struct feeder_item item = f->items[f->head];
	if (item.code != -ENODATA) { /* the end stays: every later call says it again */
		f->head = (f->head + 1) % QUEUE;
		f->count--;
		pthread_cond_signal(&f->room);
	}
	pthread_mutex_unlock(&f->lock);
	if (item.code)
		return err_set(err, item.code, "%s", item.err.text);
	f->lent = item.copy;
	*ret_chunk = item.chunk;
	return 1;
}

void feeder_stop(struct feeder *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	evsource_break(f->source);
	pthread_cond_signal(&f->room);
	pthread_mutex_unlock(&f->lock);
	pthread_join(f->thread, NULL);
	free_all(f);
}
