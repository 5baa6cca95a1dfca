/* visibility: in which minutes a device told anything at all, so that "no event" is told apart from "the device was silent".
 *
 * A page of bits per (device, clock, day); when max_pages are held the page written longest ago goes (counted). One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_VISIBILITY_H
#define LEAKTAP_DETECT_ATTRIB_VISIBILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visibility;

struct visibility *visibility_new(size_t max_pages); /* NULL: out of memory */
void visibility_free(struct visibility *v);

void visibility_mark(struct visibility *v, uint32_t device, uint8_t clock, uint64_t time_us);
/* Any mark within [from, to], to the minute? */
bool visibility_any(const struct visibility *v, uint32_t device, uint8_t clock, uint64_t from_us, uint64_t to_us);
/* Devices turned out to be one: what each has told counts for the one that root names. */
void visibility_unify(struct visibility *v, uint32_t (*root)(const void *ctx, uint32_t device), const void *ctx);
uint64_t visibility_evicted(const struct visibility *v);

#endif
