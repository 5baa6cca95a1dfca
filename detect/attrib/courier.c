#include "detect/attrib/courier.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "capture/base/clock.h"
#include "capture/base/ring.h"

enum { IN_BYTES = 32 << 20, OUT_BYTES = 8 << 20, RECORDS_PER_TURN = 4096, FULL_US = 300 };

/* A change on its way back. */
struct told {
	uint64_t gaps; /* the join's, then */
	struct cell_change change;
};

/* What the join's thread has published. */
struct look {
	struct join_stats stats;
	uint64_t stored, taken_bytes, told; /* told: changes put into the ring */
	int rc; /* 0, or the first error since it was last fetched, with fault */
	struct err fault;
};

struct courier {
	struct join_conf conf; /* fn and ctx are the owner's */
	struct ring *in, *out;
	pthread_t thread;
	bool running;
	_Atomic bool closing;
	pthread_mutex_t lock;
	struct look look; /* under lock */
	char remark[160];
	/* the owner's */
	uint64_t records, refused, pushed_bytes, heard, gaps;
	/* the join's thread's */
	struct join *join;
	uint64_t taken_bytes, told;
};

static void nap_us(unsigned us)
{
	nanosleep(&(struct timespec){0, (long)us * 1000}, NULL);
}

/* ---- the join's thread ---- */

/* The owner drains this ring at every turn of its loop, so waiting is short; at the end nobody listens any more. */
static void take_change(void *ctx, const struct cell_change *change)
{
	struct courier *co = ctx;
	struct join_stats js;
	void *room;
	while (!(room = ring_reserve(co->out, sizeof(struct told)))) {
		if (atomic_load(&co->closing))
			return;
		nap_us(FULL_US);
	}
	join_stats(co->join, &js);
	struct told t = {js.gaps, *change};
	memcpy(room, &t, sizeof t);
	ring_commit(co->out, sizeof t);
	co->told++;
}

static void publish(struct courier *co, int rc, const struct err *err)
{
	struct join_stats js;
	join_stats(co->join, &js);
	uint64_t stored = join_stored(co->join);
	pthread_mutex_lock(&co->lock);
	co->look.stats = js;
	co->look.stored = stored;
	co->look.taken_bytes = co->taken_bytes;
	co->look.told = co->told;
	if (rc < 0 && !co->look.rc) {
		co->look.rc = rc;
		co->look.fault = *err;
	}
	pthread_mutex_unlock(&co->lock);
}

/* Records stay in the ring while the join has no room. */
static size_t take_records(struct courier *co)
{
	size_t n, taken = 0;
	const uint8_t *record;
	for (; taken < RECORDS_PER_TURN && (record = ring_peek(co->in, &n)); taken++) {
		uint32_t tag;
		memcpy(&tag, record, sizeof tag);
		if (!join_offer(co->join, tag, record + sizeof tag, n - sizeof tag))
			break;
		co->taken_bytes += n;
		ring_pop(co->in);
	}
	return taken;
}

static void *carry(void *ctx)
{
	struct courier *co = ctx;
	struct err err = {0};
	while (!atomic_load(&co->closing)) {
		size_t taken = take_records(co);
		int rc = join_pump(co->join, clock_monotonic_ns(), &err);
		publish(co, rc, &err);
		if (!taken)
			join_wait(co->join);
	}
	while (take_records(co))
		;
	return NULL;
}

/* ---- the owner's ---- */

int courier_open(struct courier **ret_co, const struct join_conf *conf, struct err *err)
{
	struct courier *co = calloc(1, sizeof *co);
	if (!co)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&co->lock, NULL);
	co->conf = *conf;
	struct join_conf jc = *conf;
	jc.fn = take_change;
	jc.ctx = co;
	co->in = ring_new(IN_BYTES);
	co->out = ring_new(OUT_BYTES);
	int rc = co->in && co->out ? join_open(&co->join, &jc, err) : err_set(err, -ENOMEM, "out of memory");
	if (rc < 0)
		goto undo_courier;
	snprintf(co->remark, sizeof co->remark, "%s", join_remark(co->join));
	rc = -pthread_create(&co->thread, NULL, carry, co);
	if (rc < 0) {
		rc = err_set(err, rc, "cannot start a thread for the join: %s", lt_strerror(rc));
		goto undo_courier;
	}
	co->running = true;
	*ret_co = co;
	return 0;
undo_courier:
	courier_close(co);
	return rc;
}

void courier_close(struct courier *co)
{
	if (!co)
		return;
	atomic_store(&co->closing, true);
	if (co->running)
		pthread_join(co->thread, NULL);
	join_close(co->join);
	ring_free(co->in);
	ring_free(co->out);
	pthread_mutex_destroy(&co->lock);
	free(co);
}

bool courier_offer(struct courier *co, uint32_t tag, const uint8_t *record, size_t n)
{
	uint8_t *room = ring_reserve(co->in, sizeof tag + n);
	if (!room) {
		co->refused++;
		return false;
	}
	memcpy(room, &tag, sizeof tag);
	memcpy(room + sizeof tag, record, n);
	co->pushed_bytes += sizeof tag + n;
	co->records++;
	ring_commit(co->in, sizeof tag + n);
	return true;
}

int courier_poll(struct courier *co, struct err *err)
{
	size_t n;
	const void *at;
	while ((at = ring_peek(co->out, &n))) {
		struct told t;
		memcpy(&t, at, sizeof t);
		ring_pop(co->out);
		co->heard++;
		co->gaps = t.gaps;
		co->conf.fn(co->conf.ctx, &t.change);
	}
	pthread_mutex_lock(&co->lock);
	int rc = co->look.rc;
	co->look.rc = 0;
	if (rc < 0)
		err_set(err, rc, "%s", co->look.fault.text);
	pthread_mutex_unlock(&co->lock);
	return rc;
}

uint64_t courier_records(const struct courier *co)
{
	return co->records;
}

uint64_t courier_stored(struct courier *co)
{
	pthread_mutex_lock(&co->lock);
	uint64_t stored = co->look.stored;
	pthread_mutex_unlock(&co->lock);
	return stored;
}

void courier_stats(struct courier *co, struct join_stats *ret)
{
	pthread_mutex_lock(&co->lock);
	struct look look = co->look;
	pthread_mutex_unlock(&co->lock);
	*ret = look.stats;
	ret->refused += co->refused;
	ret->queued_bytes += co->pushed_bytes - look.taken_bytes;
	if (look.told > co->heard)
		ret->queued_bytes += (look.told - co->heard) * sizeof(struct told);
}

uint64_t courier_gaps(const struct courier *co)
{
	return co->gaps;
}

const char *courier_remark(const struct courier *co)
{
	return co->remark;
}
