#include "detect/attrib/clocks.h"

#include <stdlib.h>
#include <string.h>

const char *const clocks_domain_names[PROCEVENT_CLOCK_COUNT] = {"mde", "sysmon", "sysmon_net", "security"};
const uint8_t clocks_sources[PROCEVENT_CLOCK_COUNT] = {PROCEVENT_SOURCE_MDE, PROCEVENT_SOURCE_SYSMON, PROCEVENT_SOURCE_SYSMON,
						       PROCEVENT_SOURCE_SECURITY};

struct clocks {
	struct clock_skew **all; /* device * PROCEVENT_CLOCK_COUNT + clock */
	size_t n;
	uint32_t max_pairs;
};

struct clocks *clocks_new(uint32_t max_pairs_each)
{
	struct clocks *cl = calloc(1, sizeof *cl);
	if (cl)
		cl->max_pairs = max_pairs_each;
	return cl;
}

void clocks_free(struct clocks *cl)
{
	if (!cl)
		return;
	for (size_t i = 0; i < cl->n; i++)
		clock_skew_free(cl->all[i]);
	free(cl->all);
	free(cl);
}

static struct clock_skew *make(struct clocks *cl, size_t at)
{
	if (at >= cl->n) {
		size_t n = (at + 1) * 2;
		struct clock_skew **grown = realloc(cl->all, n * sizeof *grown);
		if (!grown)
			return NULL;
		memset(grown + cl->n, 0, (n - cl->n) * sizeof *grown);
		cl->all = grown;
		cl->n = n;
	}
	if (!cl->all[at])
		cl->all[at] = clock_skew_new(cl->max_pairs);
	return cl->all[at];
}

void clocks_add(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us, int64_t packet_us, unsigned flags)
{
	struct clock_skew *cs = make(cl, (size_t)device * PROCEVENT_CLOCK_COUNT + clock);
	if (cs)
		clock_skew_add(cs, event_us, packet_us, flags);
}

struct clock_skew_state clocks_at(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us)
{
	size_t at = (size_t)device * PROCEVENT_CLOCK_COUNT + clock;
	if (at >= cl->n || !cl->all[at])
		return (struct clock_skew_state){0};
	return clock_skew_at(cl->all[at], event_us);
}

int64_t clocks_offset_us(struct clocks *cl, uint32_t device, uint8_t clock, int64_t event_us)
{
	const uint8_t siblings[] = {clock, PROCEVENT_CLOCK_MDE, PROCEVENT_CLOCK_SECURITY, PROCEVENT_CLOCK_SYSMON,
				    PROCEVENT_CLOCK_SYSMON_NET};
	for (size_t i = 0; i < sizeof siblings; i++) {
		struct clock_skew_state s = clocks_at(cl, device, siblings[i], event_us);
		if (s.calibrated)
			return s.offset_us;
	}
	return clocks_at(cl, device, clock, event_us).offset_us;
}

bool clocks_nth(struct clocks *cl, size_t n, uint32_t *ret_device, uint8_t *ret_clock, struct clock_skew_state *ret)
{
	for (size_t i = 0; i < cl->n; i++) {
		if (!cl->all[i] || n--)
			continue;
		*ret_device = (uint32_t)(i / PROCEVENT_CLOCK_COUNT);
		*ret_clock = (uint8_t)(i % PROCEVENT_CLOCK_COUNT);
		*ret = clock_skew_at(cl->all[i], clock_skew_last(cl->all[i]));
		return true;
	}
	return false;
}
