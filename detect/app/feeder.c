#include "detect/app/feeder.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE = 8 };

struct feeder_item {
	struct evchunk chunk;
	char *copy;
	int code;       /* 0 a chunk, else what evsource_poll returned */
	struct err err;
};

struct feeder {
	struct evsource *source;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t room;
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

static void *feed(void *arg)
{
	struct feeder *f = arg;
	for (;;) {
		struct feeder_item item = {0};
		int r = evsource_poll(f->source, &item.chunk, &item.err);
		if (r < 0)
			item.code = r;
		else if (!copy_chunk(&item))
			item.code = err_set(&item.err, -ENOMEM, "no memory for endpoint events");
		if (!queue(f, &item)) {
			free(item.copy);
			return NULL;
		}
		if (r == -ENODATA)
			return NULL;
	}
}

int feeder_start(struct feeder **ret_f, struct evsource *es, struct err *err)
{
	struct feeder *f = calloc(1, sizeof *f);
	if (!f)
		return err_set(err, -ENOMEM, "no memory for the event reader");
	f->source = es;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->room, NULL);
	int r = pthread_create(&f->thread, NULL, feed, f);
	if (r) {
		free(f);
		return err_set(err, -r, "cannot start a thread for endpoint events: %s", lt_strerror(-r));
	}
	*ret_f = f;
	return 0;
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
	pthread_cond_signal(&f->room);
	pthread_mutex_unlock(&f->lock);
	/* evsource_poll reads with read(2), a cancellation point, when a pipe keeps it waiting. */
	pthread_cancel(f->thread);
	pthread_join(f->thread, NULL);
	for (; f->count; f->count--, f->head = (f->head + 1) % QUEUE)
		free(f->items[f->head].copy);
	free(f->lent);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->room);
	free(f);
}
