#include "detect/sinks/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "capture/base/hash.h"
#include "detect/sinks/record.h"

enum { SLOTS = 2 * TALLY_MAX_ROWS };

struct tally {
	struct hash_key key; /* of this run: senders choose names */
	struct tally_row *rows[TALLY_MAX_ROWS + 1];
	size_t n;
	const struct tally_row *sorted[TALLY_MAX_ROWS + 1];
	uint16_t slots[SLOTS]; /* row + 1, 0 empty; at most half full */
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof *t);
	if (t && getrandom(&t->key, sizeof t->key, 0) != (ssize_t)sizeof t->key) {
		free(t);
		return NULL;
	}
	return t;
}

void tally_free(struct tally *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n; i++)
		free(t->rows[i]);
	free(t);
}

static void copy(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from ? from : "");
}

/* A destination and who talked to it make a row. */
static void fill_key(struct tally_row *key, const struct verdict *v)
{
	memset(key, 0, sizeof *key);
	if (v->facts->name)
		copy(key->name, sizeof key->name, v->facts->name);
	else
		record_address(key->name, &v->facts->dst);
	if (v->initiator.outcome != OWNER_ATTRIBUTED)
		return;
	copy(key->process, sizeof key->process, v->initiator.process.name);
	copy(key->device, sizeof key->device, v->initiator.process.device);
}

static bool same_key(const struct tally_row *a, const struct tally_row *b)
{
	return !strcmp(a->name, b->name) && !strcmp(a->process, b->process) && !strcmp(a->device, b->device);
}

static struct tally_row *add_row(struct tally *t, const struct tally_row *key, const struct verdict *v)
{
	struct tally_row *row = malloc(sizeof *row);
	if (!row)
		return NULL;
	*row = *key;
	row->first_ns = v->facts->start_ns;
	row->name_source = record_name_source(v);
	if (v->has_destination) {
		row->service = v->destination.row->title;
		row->role = catalogue_role_names[v->destination.row->role];
		row->pattern = v->destination.row->pattern;
		copy(row->account, sizeof row->account, v->destination.account);
	}
	t->rows[t->n++] = row;
	return row;
}

static struct tally_row *find_row(struct tally *t, const struct verdict *v)
{
	struct tally_row key;
	fill_key(&key, v);
	size_t i = (size_t)hash_bytes(t->key, &key, offsetof(struct tally_row, service)) % SLOTS;
	for (; t->slots[i]; i = (i + 1) % SLOTS)
		if (same_key(t->rows[t->slots[i] - 1], &key))
			return t->rows[t->slots[i] - 1];
	if (t->n < TALLY_MAX_ROWS - 1) { /* the last row is everything else's */
		struct tally_row *row = add_row(t, &key, v);
		if (row)
			t->slots[i] = (uint16_t)t->n;
		return row;
	}
	if (t->n == TALLY_MAX_ROWS - 1) {
		memset(&key, 0, sizeof key);
		copy(key.name, sizeof key.name, "(other)");
		struct verdict plain = *v;
		plain.has_destination = false;
		return add_row(t, &key, &plain);
	}
	return t->rows[t->n - 1];
}

void tally_add(struct tally *t, const struct verdict *v)
{
	struct tally_row *row = find_row(t, v);
	const struct flow_facts *f = v->facts;
	if (!row)
		return;
	row->up_bytes += f->up.bytes;
	row->down_bytes += f->down.bytes;
	if (f->app_known) {
		row->app_up_bytes += f->up.app_bytes;
		row->app_down_bytes += f->down.app_bytes;
		row->app_flows++;
	}
	row->flows++;
	if (f->start_ns < row->first_ns)
		row->first_ns = f->start_ns;
	if (f->end_ns > row->last_ns)
		row->last_ns = f->end_ns;
	if (v->explanation && !*row->explanation)
		copy(row->explanation, sizeof row->explanation, v->explanation);
}

static int by_up(const void *a, const void *b)
{
	const struct tally_row *x = *(const struct tally_row *const *)a, *y = *(const struct tally_row *const *)b;
	if (x->up_bytes != y->up_bytes)
		return x->up_bytes < y->up_bytes ? 1 : -1;
	int c = strcmp(x->name, y->name);
	if (!c)
		c = strcmp(x->device, y->device);
	return c ? c : strcmp(x->process, y->process);
}

size_t tally_sorted(struct tally *t, const struct tally_row *const **ret_rows)
{
	memcpy(t->sorted, t->rows, t->n * sizeof *t->rows);
	qsort(t->sorted, t->n, sizeof *t->sorted, by_up);
	*ret_rows = t->sorted;
	return t->n;
}

const char *tally_direction(const struct tally_row *row)
{
	bool app = row->app_flows == row->flows;
	uint64_t up = app ? row->app_up_bytes : row->up_bytes, down = app ? row->app_down_bytes : row->down_bytes;
	return verdict_direction_names[verdict_direction_of(up, down)];
}
