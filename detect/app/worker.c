#include "detect/app/worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "capture/base/clock.h"

enum { RING_BYTES = 32 << 20, TICK_NS = 100000000 };

struct worker {
	struct source *source;
	struct track *track;
	struct ring *ring;
	pthread_t thread;
	uint64_t records_lost, clock_ns, ticked_ns;
	pthread_mutex_t lock; /* guards snapshot; the worker only tries it */
	struct worker_snapshot snapshot;
	_Atomic bool ended;
	int code;
	struct err err;
};

static void push(void *ctx, const struct flow_facts *facts)
{
	struct worker *w = ctx;
	size_t n = facts_pack(facts, NULL, 0);
	void *room = ring_reserve(w->ring, n);
	if (!room) {
		w->records_lost++;
		return;
	}
	facts_pack(facts, room, n);
	ring_commit(w->ring, n);
}

static void fill_snapshot(struct worker *w)
{
	source_stats(w->source, &w->snapshot.source);
	track_stats(w->track, &w->snapshot.track);
	w->snapshot.records_lost = w->records_lost;
	w->snapshot.clock_ns = w->clock_ns;
}

static void tick(struct worker *w)
{
	uint64_t now = clock_wall_ns();
	if (now - w->ticked_ns < TICK_NS && now >= w->ticked_ns)
		return;
	w->ticked_ns = now;
	track_tick(w->track, now);
	if (pthread_mutex_trylock(&w->lock))
		return;
	fill_snapshot(w);
	pthread_mutex_unlock(&w->lock);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct packet pkts[SOURCE_BURST];
	unsigned bursts = 0;
	int n;
	while ((n = source_poll(w->source, pkts, &w->err)) >= 0) {
		if (n) {
			track_packets(w->track, pkts, (size_t)n);
			w->clock_ns = pkts[n - 1].ts_ns;
		}
		if (!n || ++bursts % 32 == 0)
			tick(w);
	}
	track_finish(w->track, FACTS_REASON_SHUTDOWN);
	pthread_mutex_lock(&w->lock);
	fill_snapshot(w);
	pthread_mutex_unlock(&w->lock);
	w->code = n == -ENODATA ? 0 : n;
	atomic_store(&w->ended, true);
	return NULL;
}

static int open_parts(struct worker *w, const struct worker_conf *conf, struct err *err)
{
	struct source_conf sc = {.iface = conf->iface, .filter = conf->filter, .ring_bytes = conf->ring_bytes,
				 .input = conf->input};
	int r = source_open(&w->source, &sc, err);
	if (r)
		return r;
	struct track_conf tc = conf->track;
	tc.publish = push;
	tc.publish_ctx = w;
	r = track_new(&w->track, &tc, err);
	if (r)
		return r;
	w->ring = ring_new(RING_BYTES);
	return w->ring ? 0 : err_set(err, -ENOMEM, "no memory for the ring of %s", conf->iface);
}

static void free_parts(struct worker *w)
{
	track_free(w->track);
	source_close(w->source);
	ring_free(w->ring);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int worker_start(struct worker **ret_w, const struct worker_conf *conf, struct err *err)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(err, -ENOMEM, "no memory for a worker");
	pthread_mutex_init(&w->lock, NULL);
	int r = open_parts(w, conf, err);
	if (!r && (r = pthread_create(&w->thread, NULL, work, w)))
		r = err_set(err, -r, "cannot start a thread for %s: %s", conf->iface, lt_strerror(-r));
	if (r) {
		free_parts(w);
		return r;
	}
	*ret_w = w;
	return 0;
}

struct ring *worker_ring(struct worker *w)
{
	return w->ring;
}

void worker_stop(struct worker *w)
{
	source_break(w->source);
}

bool worker_ended(struct worker *w, int *ret_code, struct err *ret_err)
{
	if (!atomic_load(&w->ended))
		return false;
	*ret_code = w->code;
	*ret_err = w->err;
	return true;
}

void worker_look(struct worker *w, struct worker_snapshot *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->snapshot;
	pthread_mutex_unlock(&w->lock);
}

void worker_join(struct worker *w)
{
	if (!w)
		return;
	pthread_join(w->thread, NULL);
	free_parts(w);
}
