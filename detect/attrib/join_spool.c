/* The join's batches on disk. Every batch is written there before it is sent and read back in order; the spool keeps it until the server
 * has it and for the GAP window after that. Three cases are the same here: Redis was away, Redis has forgotten, we were killed - the disk
 * is read from its start, each lane's server is asked what it has, and what it has is passed over. */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "detect/attrib/join_parts.h"

enum {
	HEAD_BYTES = 8 + 8 + 1 + 1,      /* run, sequence, tag, records; then their ends, two bytes each, and the records */
	MEMORY_BYTES = 16 << 20,         /* read back and not acknowledged */
	USUAL_BYTES = 3072,
	MAX_EPOCHS = 64,                 /* a sensor that restarts every few seconds must not fill memory */
};
#define CAP_BYTES (UINT64_C(4) << 30)
#define CHECK_NS  (5 * CLOCK_NS_PER_S)
#define TEND_NS   CLOCK_NS_PER_S

static_assert(LANE_BATCH_RECORDS <= UINT8_MAX && LANE_BATCH_BYTES <= UINT16_MAX + 1 && CELL_TAGS <= UINT8_MAX + 1, "a head's fields");

int join_spool_open(struct join *jn, struct err *err)
{
	struct spool_conf sc = {.directory = jn->conf.spool, .cap_bytes = jn->conf.spool_cap_bytes ? jn->conf.spool_cap_bytes : CAP_BYTES,
				.keep_ns = jn->conf.keep_ns};
	int rc = spool_open(&jn->spool.disk, &sc, err);
	if (rc == 0)
		spool_rewind(jn->spool.disk, 0);
	return rc;
}

/* ---- to disk ---- */

void join_spool_write(struct join *jn, struct lane *l)
{
	uint8_t buf[USUAL_BYTES];
	struct batch *b = lane_seal(l, &jn->totals);
	if (!b)
		return;
	size_t head = HEAD_BYTES + 2 * b->n, n = head + b->bytes;
	uint8_t *out = n <= sizeof buf ? buf : malloc(n);
	int rc = out ? 0 : -ENOMEM;
	if (out) {
		uint64_t words[2] = {htobe64(jn->epochs->number), htobe64(b->seq)};
		memcpy(out, words, sizeof words);
		out[16] = (uint8_t)l->tag;
		out[17] = (uint8_t)b->n;
		for (size_t i = 0; i < b->n; i++) {
			uint16_t length = htobe16((uint16_t)(b->ends[i] - (i ? b->ends[i - 1] : 0)));
			memcpy(out + HEAD_BYTES + 2 * i, &length, sizeof length);
		}
		memcpy(out + head, b->records, b->bytes);
		uint64_t number;
		rc = spool_append(jn->spool.disk, out, n, &number);
	}
	if (rc == 0) {
		jn->spool.unread_bytes += n;
		jn->spool.at_end = false;
	} else { /* no room on the disk, or worse: the number is given to the next */
		l->seq--;
		jn->spool.refused++;
	}
	if (out != buf)
		free(out);
	lane_release(b);
}

/* ---- earlier runs ---- */

/* watched: what the server has is asked for now and then, in case it forgets. */
static bool is_over(const struct join *jn, const struct epoch *e, uint64_t now_ns, bool watched)
{
	for (size_t i = 0; i < CELL_TAGS; i++) {
		const struct lane *l = &e->lanes[i];
		if (l->head || l->under_way || (watched && l->acked && now_ns - l->acked_ns < jn->conf.keep_ns))
			return false;
	}
	return true;
}

static void drop_epochs(struct join *jn, uint64_t now_ns, bool even_watched)
{
	for (struct epoch **at = &jn->epochs->next; *at;) {
		struct epoch *e = *at;
		if (!is_over(jn, e, now_ns, !even_watched)) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e);
	}
}

static size_t count_epochs(const struct join *jn)
{
	size_t n = 0;
	for (const struct epoch *e = jn->epochs; e; e = e->next)
		n++;
	return n;
}

static bool is_known(const struct join *jn, uint64_t run)
{
	const struct epoch *e = jn->epochs;
	while (e && e->number != run)
		e = e->next;
	return e;
}

/* ---- back ---- */

/* NULL: nonsense, or out of memory. */
static struct batch *unpack(const uint8_t *p, size_t n, uint64_t *ret_run, uint32_t *ret_tag)
{
	uint64_t words[2];
	if (n < HEAD_BYTES)
		return NULL;
	memcpy(words, p, sizeof words);
	struct batch *b = calloc(1, sizeof *b);
	if (!b)
		return NULL;
	*ret_run = be64toh(words[0]);
	*ret_tag = p[16];
	b->seq = be64toh(words[1]);
	b->n = p[17];
	size_t head = HEAD_BYTES + 2 * b->n;
	bool good = b->n && b->n <= LANE_BATCH_RECORDS && n > head;
	for (size_t i = 0; good && i < b->n; i++) {
		uint16_t length;
		memcpy(&length, p + HEAD_BYTES + 2 * i, sizeof length);
		b->bytes += be16toh(length);
		b->ends[i] = (uint32_t)b->bytes;
	}
	good = good && head + b->bytes == n && (b->records = malloc(b->bytes));
	if (!good) {
		lane_release(b);
		return NULL;
	}
	memcpy(b->records, p + head, b->bytes);
	b->size = b->bytes;
	return b;
}

/* 0; -EAGAIN: it has to wait until earlier runs' are through, -ENOMEM: until there is memory. Then the batch is still the caller's. */
static int place(struct join *jn, struct batch *b, uint64_t number, uint64_t run, uint32_t tag, uint64_t now_ns)
{
	if (!is_known(jn, run) && count_epochs(jn) >= MAX_EPOCHS)
		drop_epochs(jn, now_ns, true);
	if (!is_known(jn, run) && count_epochs(jn) >= MAX_EPOCHS)
		return -EAGAIN;
	struct epoch *e = join_epoch(jn, run);
	if (!e)
		return -ENOMEM;
	struct lane *l = &e->lanes[tag];
	if (!l->unsure && b->seq <= l->acked) {
		lane_release(b);
		return 0;
	}
	b->number = number;
	b->sent = jn->spool.again && e == jn->epochs;
	lane_link(l, &jn->totals, b);
	return 0;
}

static int read_back(struct join *jn, uint64_t now_ns, struct err *err)
{
	uint64_t number, run;
	const void *bytes;
	size_t n;
	uint32_t tag;
	int rc = 1;
	while (jn->totals.waiting_bytes < MEMORY_BYTES && (rc = spool_next(jn->spool.disk, &number, &bytes, &n)) == 1) {
		struct batch *b = unpack(bytes, n, &run, &tag);
		if (b && place(jn, b, number, run, tag, now_ns) < 0) {
			lane_release(b);
			spool_rewind(jn->spool.disk, number);
			return 0;
		}
		jn->stats.errors += !b;
		jn->spool.read = number;
		jn->spool.unread_bytes -= n < jn->spool.unread_bytes ? n : jn->spool.unread_bytes;
	}
	if (rc == 0) {
		jn->spool.at_end = true;
		jn->spool.unread_bytes = 0;
	}
	return rc < 0 ? err_set(err, rc, "the join's spool: %s", strerror(-rc)) : 0;
}

/* ---- what the server has ---- */

bool join_spool_is_due(const struct join *jn, const struct lane *l, uint64_t now_ns)
{
	if (l->under_way)
		return false;
	if (l->unsure)
		return l->head;
	return !l->head && l->acked && now_ns - l->acked_ns < jn->conf.keep_ns && now_ns - l->checked_ns >= CHECK_NS;
}

static void seek(struct join *jn, struct lane *l, uint64_t high)
{
	l->acked = high;
	jn->spool.seeking = true;
}

void join_spool_answer(struct join *jn, struct lane *l, uint64_t high, uint64_t now_ns)
{
	if (l->unsure) {
		l->unsure = false;
		l->acked = high;
		l->acked_ns = now_ns;
		l->sought = high + 1;
		lane_settle(l, &jn->totals, high);
	} else if (high < l->acked) {
		jn->stats.gaps++;
		seek(jn, l, high);
	}
}

void join_spool_gap(struct join *jn, struct lane *l, uint64_t high)
{
	if (l->sought == high + 1 || (l->head && l->head->seq <= high + 1)) {
		lane_go_back(l, high + 1);
		return;
	}
	jn->stats.gaps++;
	seek(jn, l, high);
}

/* From the start of the disk. Who has forgotten one lane's batches may have forgotten others': all are asked for. */
static void start_over(struct join *jn)
{
	for (struct epoch *e = jn->epochs; e; e = e->next)
		for (size_t i = 0; i < CELL_TAGS; i++) {
			struct lane *l = &e->lanes[i];
			lane_forget(l, &jn->totals);
			l->unsure = true;
		}
	struct spool_stats st;
	spool_stats(jn->spool.disk, &st);
	spool_rewind(jn->spool.disk, 0);
	jn->spool.unread_bytes = st.bytes;
	jn->spool.at_end = jn->spool.seeking = false;
	jn->spool.again = true;
	jn->spool.read = 0;
}

/* ---- once a second ---- */

/* All up to this number has arrived; a lane's first batch is its lowest. */
static uint64_t arrived(const struct join *jn)
{
	uint64_t number = jn->spool.read;
	for (const struct epoch *e = jn->epochs; e; e = e->next)
		for (size_t i = 0; i < CELL_TAGS; i++)
			if (e->lanes[i].head && e->lanes[i].head->number <= number)
				number = e->lanes[i].head->number - 1;
	return number;
}

int join_spool_tend(struct join *jn, uint64_t now_ns, struct err *err)
{
	if (jn->spool.seeking && !join_under_way(jn))
		start_over(jn);
	int rc = jn->spool.seeking ? 0 : read_back(jn, now_ns, err);
	if (now_ns - jn->spool.synced_ns < TEND_NS)
		return rc;
	jn->spool.synced_ns = now_ns;
	spool_ack(jn->spool.disk, arrived(jn));
	int synced = spool_sync(jn->spool.disk);
	if (jn->spool.at_end)
		drop_epochs(jn, now_ns, false);
	return synced < 0 ? err_set(err, synced, "the join's spool: %s", strerror(-synced)) : rc;
}

void join_spool_close(struct join *jn)
{
	if (!jn->spool.disk)
		return;
	for (size_t i = 0; i < CELL_TAGS; i++)
		join_spool_write(jn, &jn->lanes[i]);
	spool_ack(jn->spool.disk, arrived(jn));
	spool_close(jn->spool.disk);
}
