/* 1001: volume to cloud storage. Counts what leaves the device to one account, whoever sends it; what comes
 * down never counts. */
#include "detect/rule.h"

#include <stdio.h>

static bool wanted(const struct part *p)
{
	return p->known; /* only roles upload and web become parts */
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	const struct judge_limits *l = view->limits;
	struct rule_peak peak;
	uint64_t window = l->volume_short_ns;
	if (!rule_peak(view, ep, wanted, window, l->volume_short_bytes, true, &peak)) {
		window = l->volume_long_ns;
		if (!rule_peak(view, ep, wanted, window, l->volume_long_bytes, false, &peak))
			return false;
	}
	*ret_hit = (struct rule_hit){.bytes = peak.bytes,
				     .share_bytes = peak.own_bytes,
				     .window_ns = window,
				     .from_ns = peak.from_ns,
				     .to_ns = peak.to_ns,
				     .count = rule_support(ep, wanted, &peak, supports)};
	ret_hit->part = rule_largest(ep, supports);
	return ret_hit->part != NULL;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	char all[32], own[32], window[32], share[64] = "";
	if (hit->share_bytes < hit->bytes)
		snprintf(share, sizeof share, ", %s of it from here", rule_size_text(own, hit->share_bytes));
	snprintf(ret_text, RULE_REASON_SIZE,
		 "1001: %s of payload left the device for this account within %s%s",
		 rule_size_text(all, hit->bytes), rule_span_text(window, hit->window_ns), share);
}

const struct rule rule_volume = {.id = RULE_VOLUME,
				 .severity = 2,
				 .title = "Upload volume to cloud storage",
				 .technique = "",
				 .fires = fires,
				 .explain = explain};
