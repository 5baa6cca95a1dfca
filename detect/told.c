#include "detect/told.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/part.h"

static struct told *find(const struct tolds *ts, uint64_t id)
{
	struct hmap_link *l = hmap_first(&ts->by_id, id);
	return l ? HMAP_ENTRY(l, struct told, link) : NULL;
}

static void drop_oldest(struct tolds *ts)
{
	struct told *t = ts->oldest;
	ts->oldest = t->next;
	if (!ts->oldest)
		ts->newest_at = NULL;
	hmap_remove(&ts->by_id, &t->link);
	free(t);
}

void tolds_free(struct tolds *ts)
{
	while (ts->oldest)
		drop_oldest(ts);
	free(ts->by_id.slots);
	ts->by_id = (struct hmap){0};
}

void tolds_release(struct tolds *ts, uint64_t id)
{
	struct told *t = id ? find(ts, id) : NULL;
	if (t)
		t->released = true;
}

static struct told *add(struct tolds *ts, uint64_t id)
{
	struct told *t = calloc(1, sizeof *t);
	if (!t || hmap_put(&ts->by_id, &t->link, id)) {
		free(t);
		return NULL;
	}
	t->id = id;
	*(ts->newest_at ? ts->newest_at : &ts->oldest) = t;
	ts->newest_at = &t->next;
	if (ts->by_id.n > ts->max)
		drop_oldest(ts);
	return t;
}

static uint64_t hash_text(const char *s)
{
	return hash_bytes(HASH_KEY_FIXED, s, strlen(s));
}

/* What makes a revision worth telling at once: the rules, the owner, the grades. */
static uint64_t signature_of(const struct draft *d)
{
	uint64_t h = hash_text(d->ledger->key);
	for (size_t i = 0; i < d->n_hits; i++)
		h = (h ^ d->hits[i].rule->id) * UINT64_C(0x9e3779b97f4a7c15);
	char weakest = 0;
	for (size_t i = 0; i < d->n_parts; i++)
		weakest = part_owner(d->parts[i])->grade > weakest ? part_owner(d->parts[i])->grade : weakest;
	return (h ^ (unsigned char)weakest) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct told *claim(struct tolds *ts, const struct draft *d, uint64_t holder)
{
	for (size_t i = 0; i < d->n_parts; i++) {
		struct told *t = d->parts[i]->told_id ? find(ts, d->parts[i]->told_id) : NULL;
		if (t && (t->holder == holder || t->released))
			return t;
	}
	return find(ts, d->id);
}

uint32_t tolds_version(struct tolds *ts, struct draft *d, uint64_t now_ns, uint64_t revise_ns, bool *ret_wait)
{
	uint64_t holder = hash_text(d->of_device ? d->ledger->group->key : d->ledger->key), bytes = 0;
	uint64_t signature = signature_of(d);
	struct told *t = claim(ts, d, holder);
	if (!t && !(t = add(ts, d->id)))
		return 0;
	d->id = t->id;
	for (size_t i = 0; i < d->n_parts; i++) {
		d->parts[i]->told_id = t->id;
		bytes += d->parts[i]->out_bytes;
	}
	t->holder = holder;
	t->released = false;
	bool same = t->version && t->signature == signature;
	if (same && bytes > t->bytes && now_ns < t->told_ns + revise_ns)
		*ret_wait = true;
	if (same && (bytes <= t->bytes || now_ns < t->told_ns + revise_ns))
		return 0;
	t->signature = signature;
	t->bytes = bytes;
	t->told_ns = now_ns;
	return ++t->version;
}
