#include "detect/app/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "capture/base/clock.h"

enum { RING_BYTES = 32 << 20, TICK_NS = 100000000, ROOM_NAP_NS = 1000000, BURSTS_PER_LOOK = 32 };

struct worker {
	struct source *source;
	struct track *track;
	struct ring *ring;
	pthread_t thread;
	uint64_t records_lost, clock_ns, looked_ns;
	bool over;            /* the capture has ended, the last flows are told */
	pthread_mutex_t lock; /* guards snapshot; the worker only tries it */
	struct worker_snapshot snapshot;
	_Atomic bool ended;
	_Atomic bool left; /* nobody takes records any more */
	int code;
	struct err err;
};

static void *room_for(struct worker *w, size_t n)
{
	const struct timespec nap = {0, ROOM_NAP_NS};
	void *room = ring_reserve(w->ring, n);
	while (!room && w->over && n <= ring_max_record_bytes(w->ring) && !atomic_load(&w->left)) {
		nanosleep(&nap, NULL);
		room = ring_reserve(w->ring, n);
	}
	return room;
}

static void push(void *ctx, const struct flow_facts *facts)
{
	struct worker *w = ctx;
	size_t n = facts_pack(facts, NULL, 0);
	void *room = room_for(w, n);
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

/* The kernel hands out a block that is not full after 100 ms: until then its packets are younger than this
 * and yet to come. */
static const uint64_t held_back_ns = 200 * CLOCK_NS_PER_MS;

/* The wall clock moves time only while no packets do: those that still wait in the kernel are older than it.
 */
static void look(struct worker *w, bool idle)
{
	uint64_t now = clock_wall_ns();
	if (now - w->looked_ns < TICK_NS && now >= w->looked_ns)
		return;
	w->looked_ns = now;
	if (idle)
		track_tick(w->track, now - held_back_ns);
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
		if (!n || ++bursts % BURSTS_PER_LOOK == 0)
			look(w, !n);
	}
	w->over = true;
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
	struct source_conf sc = {.iface = conf->iface,
				 .filter = conf->filter,
				 .ring_bytes = conf->ring_bytes,
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

static int start_thread(struct worker *w, const char *iface, struct err *err)
{
	/* Signals are for the thread that judges. */
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r ? err_set(err, -r, "cannot start a thread for %s: %s", iface, lt_strerror(-r)) : 0;
}

int worker_start(struct worker **ret_w, const struct worker_conf *conf, struct err *err)
{
	struct worker *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(err, -ENOMEM, "no memory for a worker");
	pthread_mutex_init(&w->lock, NULL);
	int r = open_parts(w, conf, err);
	if (!r)
		r = start_thread(w, conf->iface, err);
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
	atomic_store(&w->left, true);
	pthread_join(w->thread, NULL);
	free_parts(w);
}
