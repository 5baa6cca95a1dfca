/* arena: fixed-size objects in one reserved stretch of address space, named by 32-bit ids. Memory is taken
 * from the system in chunks as ids are first used, so a table costs what it holds, and an id stays valid
 * while others come and go. One thread.
 *
 * Nothing is given back before arena_done: a table that was full once is likely to be full again. */
#ifndef LEAKTAP_DISSECT_ARENA_H
#define LEAKTAP_DISSECT_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ids run from 1 to max; 0 means none. */
struct arena {
	uint8_t *objects; /* object of id 1 */
	void *reserved;
	size_t reserved_bytes, backed_bytes;
	uint32_t object_bytes, max, made, free_head, in_use;
	bool huge;
	uint64_t refused; /* arena_get calls that found nothing */
};

/* Reserves address space only. object_bytes >= 4 and a multiple of 4. huge: ask for huge pages. 0, -EINVAL or
 * -ENOMEM. */
int arena_init(struct arena *a, size_t object_bytes, uint32_t max, bool huge);
void arena_done(struct arena *a);

void arena_clear(struct arena *a); /* forgets every object, keeps the memory */

/* A zeroed object's id; 0 when max are in use or the system refuses memory (counted). */
uint32_t arena_get(struct arena *a);
void arena_put(struct arena *a, uint32_t id); /* 0 is fine */
/* Backs every id up to and including id, for arrays that run beside another arena. false: the system refuses.
 */
bool arena_reach(struct arena *a, uint32_t id);

static inline void *arena_at(const struct arena *a, uint32_t id)
{
	return a->objects + (size_t)(id - 1) * a->object_bytes;
}

static inline size_t arena_memory_bytes(const struct arena *a)
{
	return a->backed_bytes;
}

#endif
