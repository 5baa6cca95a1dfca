/* vantage: where flows were seen: capture input and VLAN tags, interned to 16-bit ids. Id 0 is "not known":
 * no tags, input 0; it is also what a full table gives (counted). One thread. */
#ifndef LEAKTAP_DISSECT_VANTAGE_H
#define LEAKTAP_DISSECT_VANTAGE_H

#include <stddef.h>
#include <stdint.h>

#include "dissect/decode.h"

enum { VANTAGE_MAX = 65536 };

struct vantage {
	uint16_t input;
	uint16_t n_vlan;
	uint16_t vlan[DECODE_MAX_TAGS];
};

struct vantages;

struct vantages *vantage_new(void); /* NULL: out of memory */
void vantage_free(struct vantages *vs);
uint16_t vantage_id(struct vantages *vs, const struct segment *seg);
const struct vantage *vantage_get(const struct vantages *vs, uint16_t id);
/* VANTAGE_MAX entries by id: equal for equal tags, whatever the input. Valid as long as vs. */
const uint16_t *vantage_vlans(const struct vantages *vs);
uint64_t vantage_refused(const struct vantages *vs);
size_t vantage_memory_bytes(const struct vantages *vs);

#endif
