#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/http_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_host found;
	if (http_host_parse(data, size, &found) != HTTP_HOST_FOUND)
		return 0;
	if (strlen(found.host) > 253 || !found.method[0] || strlen(found.method) > 15 ||
	    found.head_bytes > HTTP_HOST_MAX_HEAD)
		abort();
	return 0;
}
