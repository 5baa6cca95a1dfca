#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "capture/base/redis.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[2048];
	struct redis_url url;
	struct err err;
	size_t n = size < sizeof text - 1 ? size : sizeof text - 1;
	memcpy(text, data, n);
	text[n] = 0;
	redis_url_parse(&url, text, &err);
	return 0;
}
