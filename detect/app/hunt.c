#include "detect/app/hunt.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "dissect/evtime.h"

static int parse_window(const char *text, uint64_t *ret_ns, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	uint64_t unit = !strcmp(end, "s") || !*end ? 1 : !strcmp(end, "m") ? 60 : !strcmp(end, "h") ? 3600 : 0;
	if (end == text || !unit || !n || n > 86400)
		return err_set(err, LT_EUSAGE, "--window %s: give a length such as 30s, 2m or 1h", text);
	*ret_ns = n * unit * CLOCK_NS_PER_S;
	return 0;
}

int hunt_window(const struct cli *cli, uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct err *err)
{
	uint64_t half = 0;
	int r = parse_window(cli->window ? cli->window : "2m", &half, err);
	if (r)
		return r;
	struct evtime at;
	struct slice text = {(const uint8_t *)cli->at, strlen(cli->at)};
	if (evtime_parse(text, &at) || !at.zoned)
		return err_set(err, LT_EUSAGE, "--at %s: give a time with its zone, such as 2026-03-02T09:14:22Z", cli->at);
	*ret_from_ns = at.ns > half ? at.ns - half : 0;
	*ret_to_ns = at.ns + half;
	return 0;
}
