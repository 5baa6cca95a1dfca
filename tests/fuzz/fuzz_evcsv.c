/* Rows of a CSV export behind a header that is known: the first byte picks which, the rest are the rows. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/evparse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *ctx, const struct procevent *ev)
{
	*(uint64_t *)ctx += ev->line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const headers[] = {
	    "Timestamp,DeviceName,ActionType,RemoteIP,RemotePort,LocalIP,LocalPort,"
	    "InitiatingProcessCommandLine,AdditionalFields\n",
	    "TimeGenerated [UTC];Computer;EventID;Channel;EventSourceName;EventData\r\n",
	};
	struct err err;
	uint64_t sum = 0;
	if (!size)
		return 0;
	struct evparse *ep =
	    evparse_new(&(struct evparse_conf){.max_record_bytes = 1024, .zone = "UTC"}, &err);
	if (!ep)
		abort();
	const char *header = headers[data[0] % 2];
	if (evparse_begin(ep, "fuzz", &err) || evparse_feed(ep, header, strlen(header), on_event, &sum, &err))
		abort();
	if (!evparse_feed(ep, (const char *)data + 1, size - 1, on_event, &sum, &err))
		evparse_end(ep, on_event, &sum, &err);
	evparse_free(ep);
	return 0;
}
