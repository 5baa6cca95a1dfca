#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/cell.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What comes back from Redis may be anything; reading must end and never pass the end. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *at = data;
	struct cell_change change;
	while (at < data + size && cell_unpack_change(&change, &at, data + size))
		;
	return at > data + size;
}
