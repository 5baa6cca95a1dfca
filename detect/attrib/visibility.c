#include "detect/attrib/visibility.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"

#define MINUTE_US UINT64_C(60000000)

enum { MINUTES = 1440, WORDS = (MINUTES + 63) / 64, NONE = UINT32_MAX >> 1 };

struct page {
	uint32_t device, day;
	uint32_t next; /* in its chain */
	uint8_t clock;
	bool used;
	uint64_t minutes[WORDS];
};

struct visibility {
	struct page *pages; /* a ring: the next to be written over is the one written longest ago */
	uint32_t *chains;
	uint32_t max, n, hand, n_chains;
	uint64_t evicted;
};

struct visibility *visibility_new(size_t max_pages)
{
	struct visibility *v = calloc(1, sizeof *v);
	if (!v)
		return NULL;
	v->max = max_pages < NONE ? (uint32_t)max_pages : NONE - 1;
	v->n_chains = 1;
	while (v->n_chains < v->max)
		v->n_chains *= 2;
	v->chains = malloc(v->n_chains * sizeof *v->chains);
	if (!v->chains) {
		free(v);
		return NULL;
	}
	for (uint32_t i = 0; i < v->n_chains; i++)
		v->chains[i] = NONE;
	return v;
}

void visibility_free(struct visibility *v)
{
	if (!v)
		return;
	free(v->pages);
	free(v->chains);
	free(v);
}

static uint32_t *chain_of(const struct visibility *v, uint32_t device, uint8_t clock, uint32_t day)
{
	uint32_t key[3] = {device, clock, day};
	return &v->chains[hash_bytes(HASH_KEY_FIXED, key, sizeof key) & (v->n_chains - 1)];
}

static struct page *find(const struct visibility *v, uint32_t device, uint8_t clock, uint32_t day)
{
	for (uint32_t i = *chain_of(v, device, clock, day); i != NONE; i = v->pages[i].next) {
		struct page *p = &v->pages[i];
		if (p->device == device && p->clock == clock && p->day == day)
			return p;
	}
	return NULL;
}

static void unchain(struct visibility *v, uint32_t i)
{
	const struct page *p = &v->pages[i];
	uint32_t *at = chain_of(v, p->device, p->clock, p->day);
	while (*at != i)
		at = &v->pages[*at].next;
	*at = p->next;
}

static struct page *add(struct visibility *v, uint32_t device, uint8_t clock, uint32_t day)
{
	if (v->hand == v->n && v->n < v->max) {
		uint32_t n = v->n ? v->n * 2 : 64;
		n = n < v->max ? n : v->max;
		struct page *grown = realloc(v->pages, n * sizeof *grown);
		if (!grown)
			return NULL;
		memset(grown + v->n, 0, (n - v->n) * sizeof *grown);
		v->pages = grown;
		v->n = n;
	}
	if (v->hand == v->n)
		v->hand = 0;
	uint32_t i = v->hand++;
	struct page *p = &v->pages[i];
	if (p->used) {
		unchain(v, i);
		v->evicted++;
	}
	uint32_t *head = chain_of(v, device, clock, day);
	*p = (struct page){.device = device, .day = day, .clock = clock, .used = true, .next = *head};
	*head = i;
	return p;
}

void visibility_mark(struct visibility *v, uint32_t device, uint8_t clock, uint64_t time_us)
{
	uint64_t minute = time_us / MINUTE_US;
	uint32_t day = (uint32_t)(minute / MINUTES), at = (uint32_t)(minute % MINUTES);
	struct page *p = find(v, device, clock, day);
	if (!p)
		p = add(v, device, clock, day);
	if (p)
		p->minutes[at / 64] |= UINT64_C(1) << (at % 64);
}

bool visibility_any(const struct visibility *v, uint32_t device, uint8_t clock, uint64_t from_us, uint64_t to_us)
{
	const struct page *p = NULL;
	uint32_t day = 0;
	for (uint64_t minute = from_us / MINUTE_US; minute <= to_us / MINUTE_US; minute++) {
		uint32_t at = (uint32_t)(minute % MINUTES);
		if (!p || day != minute / MINUTES) {
			day = (uint32_t)(minute / MINUTES);
			p = find(v, device, clock, day);
			if (!p)
				continue;
		}
		if (p->minutes[at / 64] >> (at % 64) & 1)
			return true;
	}
	return false;
}

void visibility_unify(struct visibility *v, uint32_t (*root)(const void *ctx, uint32_t device), const void *ctx)
{
	for (uint32_t i = 0, n = v->n; i < n; i++) {
		if (!v->pages[i].used || root(ctx, v->pages[i].device) == v->pages[i].device)
			continue;
		struct page told = v->pages[i];
		uint32_t device = root(ctx, told.device);
		struct page *to = find(v, device, told.clock, told.day);
		if (!to)
			to = add(v, device, told.clock, told.day);
		for (size_t w = 0; to && w < WORDS; w++)
			to->minutes[w] |= told.minutes[w];
	}
}

uint64_t visibility_evicted(const struct visibility *v)
{
	return v->evicted;
}
