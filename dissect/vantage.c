#include "dissect/vantage.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"

enum { VANTAGE_SLOTS = 2 * VANTAGE_MAX };

/* Zeroed by calloc: pages that are never used cost nothing. */
struct vantages {
	struct vantage at[VANTAGE_MAX];
	uint16_t vlans[VANTAGE_MAX];
	uint16_t slots[VANTAGE_SLOTS]; /* ids, 0 empty */
	uint32_t n;                    /* ids in use, id 0 included */
	uint16_t last;
	uint64_t refused;
};

struct vantages *vantage_new(void)
{
	struct vantages *vs = calloc(1, sizeof *vs);
	if (vs)
		vs->n = 1;
	return vs;
}

void vantage_free(struct vantages *vs)
{
	free(vs);
}

static uint16_t find_or_add(struct vantages *vs, const struct vantage *v)
{
	/* tags are the sender's choice, but 65,535 of them at most: a fixed key suffices */
	uint64_t h = hash_bytes(HASH_KEY_FIXED, v, sizeof *v);
	uint32_t slot = (uint32_t)(h % VANTAGE_SLOTS);
	for (; vs->slots[slot]; slot = (slot + 1) % VANTAGE_SLOTS)
		if (memcmp(&vs->at[vs->slots[slot]], v, sizeof *v) == 0)
			return vs->slots[slot];
	if (vs->n == VANTAGE_MAX) {
		vs->refused++;
		return 0;
	}
	uint16_t id = (uint16_t)vs->n++;
	vs->slots[slot] = id;
	vs->at[id] = *v;
	return id;
}

/* The id that stands for the tags alone: input 65535 is set aside for it. */
static uint16_t tags_id(struct vantages *vs, const struct vantage *v)
{
	if (v->n_vlan == 0)
		return 0;
	struct vantage tags = *v;
	tags.input = UINT16_MAX;
	return find_or_add(vs, &tags);
}

uint16_t vantage_id(struct vantages *vs, const struct segment *seg)
{
	struct vantage v = {.input = seg->input,
			    .n_vlan = seg->n_vlan < DECODE_MAX_TAGS ? seg->n_vlan : DECODE_MAX_TAGS};
	for (unsigned i = 0; i < v.n_vlan; i++)
		v.vlan[i] = seg->vlan[i];
	if (memcmp(&vs->at[vs->last], &v, sizeof v) == 0)
		return vs->last;
	uint16_t id = find_or_add(vs, &v);
	if (id && !vs->vlans[id])
		vs->vlans[id] = tags_id(vs, &v);
	vs->last = id;
	return id;
}

const struct vantage *vantage_get(const struct vantages *vs, uint16_t id)
{
	return &vs->at[id];
}

const uint16_t *vantage_vlans(const struct vantages *vs)
{
	return vs->vlans;
}

uint64_t vantage_refused(const struct vantages *vs)
{
	return vs->refused;
}

size_t vantage_memory_bytes(const struct vantages *vs)
{
	return vs->n * (sizeof vs->at[0] + sizeof vs->vlans[0]) + sizeof vs->slots;
}
