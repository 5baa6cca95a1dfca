#include "detect/attrib/verdicts.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"

struct verdicts {
	struct verdict *all;
	uint32_t *slots;
	size_t n, size, n_slots;
	uint64_t *words; /* owners: a head, the principals, then ref and corrected time of each evidence */
	size_t n_words, size_words;
};

struct verdicts *verdicts_new(void)
{
	struct verdicts *v = calloc(1, sizeof *v);
	if (v)
		v->n_words = 1; /* place 0 means nobody */
	return v;
}

void verdicts_free(struct verdicts *v)
{
	if (!v)
		return;
	free(v->all);
	free(v->slots);
	free(v->words);
	free(v);
}

static size_t slot_of(const struct verdicts *v, uint64_t flow_id)
{
	size_t at = hash_bytes(HASH_KEY_FIXED, &flow_id, sizeof flow_id) & (v->n_slots - 1);
	while (v->slots[at] && v->all[v->slots[at] - 1].flow_id != flow_id)
		at = (at + 1) & (v->n_slots - 1);
	return at;
}

static bool grow(struct verdicts *v)
{
	size_t n = v->n_slots ? v->n_slots * 2 : 1024;
	uint32_t *slots = calloc(n, sizeof *slots);
	if (!slots)
		return false;
	free(v->slots);
	v->slots = slots;
	v->n_slots = n;
	for (size_t i = 0; i < v->n; i++)
		v->slots[slot_of(v, v->all[i].flow_id)] = (uint32_t)i + 1;
	return true;
}

struct verdict *verdicts_put(struct verdicts *v, uint64_t flow_id)
{
	if (v->n * 2 >= v->n_slots && !grow(v))
		return NULL;
	size_t at = slot_of(v, flow_id);
	if (v->slots[at])
		return &v->all[v->slots[at] - 1];
	if (v->n == v->size) {
		size_t size = v->size ? v->size + v->size / 2 : 256;
		struct verdict *grown = realloc(v->all, size * sizeof *grown);
		if (!grown)
			return NULL;
		v->all = grown;
		v->size = size;
	}
	v->all[v->n] = (struct verdict){.flow_id = flow_id};
	v->slots[at] = (uint32_t)++v->n;
	return &v->all[v->n - 1];
}

static struct verdict *find(const struct verdicts *v, uint64_t flow_id)
{
	size_t at = v->n_slots ? slot_of(v, flow_id) : 0;
	return v->n_slots && v->slots[at] ? &v->all[v->slots[at] - 1] : NULL;
}

const struct verdict *verdicts_get(const struct verdicts *v, uint64_t flow_id)
{
	return find(v, flow_id);
}

const struct verdict *verdicts_nth(const struct verdicts *v, size_t n)
{
	return n < v->n ? &v->all[n] : NULL;
}

static uint64_t *take_words(struct verdicts *v, size_t n)
{
	if (v->n_words + n > v->size_words) {
		size_t size = (v->n_words + n) * 3 / 2 + 256;
		uint64_t *grown = size < UINT32_MAX ? realloc(v->words, size * sizeof *grown) : NULL;
		if (!grown)
			return NULL;
		v->words = grown;
		v->size_words = size;
	}
	v->n_words += n;
	return v->words + v->n_words - n;
}

void verdicts_set(struct verdicts *v, const struct cell_change *c)
{
	struct verdict *flow = find(v, c->flow_id);
	if (!flow)
		return;
	flow->words[c->side] = 0;
	if (c->grade == 'U')
		return;
	uint64_t *w = take_words(v, 1 + c->n_owners + 2 * c->n_evidence);
	if (!w)
		return;
	flow->words[c->side] = (uint32_t)(w - v->words);
	*w++ = (uint64_t)(uint8_t)c->grade | (uint64_t)c->key << 8 | (uint64_t)c->cause << 16 | (uint64_t)c->rivals << 24 |
	       (uint64_t)c->n_owners << 32 | (uint64_t)c->n_evidence << 40;
	for (size_t i = 0; i < c->n_owners; i++)
		*w++ = c->owners[i];
	for (size_t i = 0; i < c->n_evidence; i++) {
		*w++ = c->evidence[i].ref;
		*w++ = c->start_us + (uint64_t)c->evidence[i].delta_us;
	}
}

void verdicts_owner(const struct verdicts *v, const struct verdict *flow, unsigned side, struct cell_change *ret)
{
	*ret = (struct cell_change){.flow_id = flow->flow_id, .start_us = flow->start_us, .side = (uint8_t)side, .grade = 'U'};
	if (!flow->words[side])
		return;
	const uint64_t *w = v->words + flow->words[side];
	ret->grade = (char)(*w & 0x7f);
	ret->key = (uint8_t)(*w >> 8);
	ret->cause = (uint8_t)(*w >> 16);
	ret->rivals = (uint8_t)(*w >> 24);
	ret->n_owners = *w >> 32 & 0xff;
	ret->n_evidence = *w >> 40 & 0xff;
	w++;
	for (size_t i = 0; i < ret->n_owners; i++)
		ret->owners[i] = *w++;
	for (size_t i = 0; i < ret->n_evidence; i++) {
		ret->evidence[i].ref = (uint32_t)*w++;
		ret->evidence[i].delta_us = (int64_t)(*w++ - flow->start_us);
	}
}

size_t verdicts_bytes(const struct verdicts *v)
{
	return v->size * sizeof *v->all + v->n_slots * sizeof *v->slots + v->size_words * sizeof *v->words;
}
