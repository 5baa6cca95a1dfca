#include "detect/attrib/lane.h"

#include <stdlib.h>
#include <string.h>

static void batch_free(struct batch *b)
{
	if (b)
		free(b->records);
	free(b);
}

struct batch *lane_seal(struct lane *l, struct lane_totals *t)
{
	struct batch *b = l->open;
	if (!b)
		return NULL;
	b->seq = ++l->seq;
	l->open = NULL;
	t->open--;
	t->waiting_bytes -= b->bytes;
	return b;
}

void lane_link(struct lane *l, struct lane_totals *t, struct batch *b)
{
	if (l->tail)
		l->tail->next = b;
	else
		l->head = b;
	l->tail = b;
	if (!l->next)
		l->next = b;
	t->waiting++;
	t->waiting_bytes += b->bytes;
}

void lane_release(struct batch *b)
{
	batch_free(b);
}

void lane_close(struct lane *l, struct lane_totals *t)
{
	struct batch *b = lane_seal(l, t);
	if (b)
		lane_link(l, t, b);
}

static bool make_room(struct batch *b, size_t n)
{
	if (b->bytes + n <= b->size)
		return true;
	size_t size = b->size ? b->size * 2 : 1024;
	while (size < b->bytes + n)
		size *= 2;
	uint8_t *grown = realloc(b->records, size);
	if (!grown)
		return false;
	b->records = grown;
	b->size = size;
	return true;
}

bool lane_add(struct lane *l, struct lane_totals *t, const uint8_t *record, size_t n, uint64_t before)
{
	if (l->open && (l->open->n == LANE_BATCH_RECORDS || l->open->bytes + n > LANE_BATCH_BYTES))
		lane_close(l, t);
	bool fresh = !l->open;
	struct batch *b = fresh ? calloc(1, sizeof *b) : l->open;
	if (!b || !make_room(b, n)) {
		if (fresh)
			batch_free(b);
		return false;
	}
	l->open = b;
	if (fresh) {
		t->open++;
		b->before = before;
	}
	memcpy(b->records + b->bytes, record, n);
	b->bytes += n;
	b->ends[b->n++] = (uint32_t)b->bytes;
	t->waiting_bytes += n;
	return true;
}

/* What is acknowledged waits again; what is missing at the front is given up. */
static void turn_back(struct lane *l, struct lane_totals *t)
{
	struct batch *b = l->head;
	while (b && b->seq < l->again_from)
		b = b->next;
	if (b && b->seq > l->again_from) {
		b->forced = true;
		t->forced += b->seq - l->again_from;
	}
	l->again_from = 0;
	l->next = b;
	for (; b; b = b->next) {
		if (!b->acked_ns)
			continue;
		b->acked_ns = 0;
		t->waiting++;
		t->waiting_bytes += b->bytes;
		t->kept_bytes -= b->bytes;
	}
}

struct batch *lane_take(struct lane *l, struct lane_totals *t)
{
	if (l->again_from && l->under_way == 0)
		turn_back(l, t);
	if (l->again_from || l->unsure || !l->next)
		return NULL;
	struct batch *b = l->next;
	l->next = b->next;
	l->under_way++;
	b->again = b->sent;
	b->sent = true;
	return b;
}

void lane_ack(struct lane *l, struct lane_totals *t, struct batch *b, uint64_t now_ns)
{
	(void)l;
	if (b->acked_ns)
		return;
	b->acked_ns = now_ns ? now_ns : 1;
	b->forced = false;
	t->waiting--;
	t->waiting_bytes -= b->bytes;
	t->kept_bytes += b->bytes;
}

void lane_go_back(struct lane *l, uint64_t from)
{
	if (!l->again_from || from < l->again_from)
		l->again_from = from;
}

uint64_t lane_stored(const struct lane *l, uint64_t least)
{
	const struct batch *b = l->head;
	while (b && b->acked_ns)
		b = b->next;
	if (!b)
		b = l->open;
	return b && b->before < least ? b->before : least;
}

bool lane_idle(const struct lane *l)
{
	return l->head && l->tail->acked_ns && !l->next && !l->under_way && !l->again_from;
}

static void drop_head(struct lane *l, struct lane_totals *t)
{
	struct batch *b = l->head;
	l->head = b->next;
	if (!l->head)
		l->tail = NULL;
	t->kept_bytes -= b->bytes;
	batch_free(b);
}

void lane_trim(struct lane *l, struct lane_totals *t, uint64_t then_ns)
{
	while (l->head && l->head->acked_ns && l->head->acked_ns <= then_ns)
		drop_head(l, t);
}

/* The first batch goes, acknowledged or not. */
static void give_up_head(struct lane *l, struct lane_totals *t)
{
	struct batch *b = l->head;
	if (!b->acked_ns) {
		t->waiting--;
		t->waiting_bytes -= b->bytes;
		t->kept_bytes += b->bytes;
	}
	if (l->next == b)
		l->next = b->next;
	drop_head(l, t);
}

void lane_settle(struct lane *l, struct lane_totals *t, uint64_t number)
{
	while (l->head && l->head->seq <= number)
		give_up_head(l, t);
}

void lane_forget(struct lane *l, struct lane_totals *t)
{
	while (l->head)
		give_up_head(l, t);
	l->again_from = 0;
}

void lane_drop_oldest(struct lane *all, size_t n, struct lane_totals *t)
{
	struct lane *oldest = NULL;
	for (size_t i = 0; i < n; i++)
		if (all[i].head && all[i].head->acked_ns && (!oldest || all[i].head->acked_ns < oldest->head->acked_ns))
			oldest = &all[i];
	if (oldest)
		drop_head(oldest, t);
}

void lane_free(struct lane *l)
{
	batch_free(l->open);
	for (struct batch *b = l->head, *next; b; b = next) {
		next = b->next;
		batch_free(b);
	}
	*l = (struct lane){0};
}
