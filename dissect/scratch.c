#include "dissect/scratch.h"

#include <stdlib.h>

enum { SCRATCH_BLOCK = 16384 };

struct scratch_block {
	struct scratch_block *older;
	size_t size, used;
	char bytes[];
};

char *scratch_take(struct scratch *sc, size_t n)
{
	struct scratch_block *b = sc->blocks;
	if (!b || b->size - b->used < n) {
		size_t size = n > SCRATCH_BLOCK ? n : SCRATCH_BLOCK;
		b = malloc(sizeof *b + size);
		if (!b)
			return NULL;
		*b = (struct scratch_block){.older = sc->blocks, .size = size};
		sc->blocks = b;
	}
	char *p = b->bytes + b->used;
	b->used += n;
	return p;
}

void scratch_reset(struct scratch *sc)
{
	while (sc->blocks && sc->blocks->older) {
		struct scratch_block *b = sc->blocks;
		sc->blocks = b->older;
		free(b);
	}
	if (sc->blocks)
		sc->blocks->used = 0;
}

void scratch_free(struct scratch *sc)
{
	scratch_reset(sc);
	free(sc->blocks);
	sc->blocks = NULL;
}
