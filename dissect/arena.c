#include "dissect/arena.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { ARENA_CHUNK_BYTES = 2 << 20, ARENA_SMALL_CHUNK_BYTES = 64 << 10 };

int arena_init(struct arena *a, size_t object_bytes, uint32_t max, bool huge)
{
	if (object_bytes < sizeof(uint32_t) || object_bytes % 4 || object_bytes > 1 << 20 || max == 0)
		return -EINVAL;
	size_t bytes =
	    ((size_t)max * object_bytes + ARENA_CHUNK_BYTES - 1) / ARENA_CHUNK_BYTES * ARENA_CHUNK_BYTES;
	/* one chunk more, so that the objects can start where a huge page can */
	void *p = mmap(NULL, bytes + ARENA_CHUNK_BYTES, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	uintptr_t start = ((uintptr_t)p + ARENA_CHUNK_BYTES - 1) / ARENA_CHUNK_BYTES * ARENA_CHUNK_BYTES;
	*a = (struct arena){
	    .objects = (uint8_t *)start,
	    .reserved = p,
	    .reserved_bytes = bytes + ARENA_CHUNK_BYTES,
	    .object_bytes = (uint32_t)object_bytes,
	    .max = max,
	    .huge = huge,
	};
	return 0;
}

void arena_done(struct arena *a)
{
	if (a->reserved)
		munmap(a->reserved, a->reserved_bytes);
	*a = (struct arena){0};
}

void arena_clear(struct arena *a)
{
	a->made = a->free_head = a->in_use = 0;
}

/* Small chunks first: a sensor with a hundred flows shall not hold a huge page for each kind of object. */
static size_t next_chunk(const struct arena *a)
{
	if (a->backed_bytes < ARENA_CHUNK_BYTES)
		return ARENA_SMALL_CHUNK_BYTES;
	return ARENA_CHUNK_BYTES;
}

bool arena_reach(struct arena *a, uint32_t id)
{
	size_t need = (size_t)id * a->object_bytes;
	while (a->backed_bytes < need) {
		size_t chunk = next_chunk(a);
		uint8_t *at = a->objects + a->backed_bytes;
		if (mprotect(at, chunk, PROT_READ | PROT_WRITE) != 0)
			return false;
		if (a->huge && chunk == ARENA_CHUNK_BYTES)
			(void)madvise(at, chunk, MADV_HUGEPAGE); /* a wish: without it only speed is lost */
		a->backed_bytes += chunk;
	}
	return true;
}

uint32_t arena_get(struct arena *a)
{
	uint32_t id = a->free_head;
	if (id) {
		memcpy(&a->free_head, arena_at(a, id), sizeof a->free_head);
	} else {
		if (a->made == a->max || !arena_reach(a, a->made + 1)) {
			a->refused++;
			return 0;
		}
		id = ++a->made;
	}
	memset(arena_at(a, id), 0, a->object_bytes);
	a->in_use++;
	return id;
}

void arena_put(struct arena *a, uint32_t id)
{
	if (!id)
		return;
	memcpy(arena_at(a, id), &a->free_head, sizeof a->free_head);
	a->free_head = id;
	a->in_use--;
}
