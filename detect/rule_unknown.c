/* 1004: a large upload to a destination that no row knows. Parts without a row are only those that lie
 * outside (judge.h). */
#include "detect/rule.h"

#include <stdio.h>

static bool wanted(const struct part *p)
{
	return !p->known && p->direction == VERDICT_UPLOAD;
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	const struct judge_limits *l = view->limits;
	struct rule_peak peak;
	if (!rule_peak(view, ep, wanted, l->unknown_ns, l->unknown_bytes, true, &peak))
		return false;
	*ret_hit = (struct rule_hit){.bytes = peak.bytes,
				     .share_bytes = peak.own_bytes,
				     .window_ns = l->unknown_ns,
				     .from_ns = peak.from_ns,
				     .to_ns = peak.to_ns,
				     .count = rule_support(ep, wanted, &peak, supports)};
	ret_hit->part = rule_largest(ep, supports);
	return ret_hit->part != NULL;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	char size[32], window[32];
	snprintf(ret_text, RULE_REASON_SIZE,
		 "1004: %s of payload went within %s to a destination that no row of the catalogue knows",
		 rule_size_text(size, hit->bytes), rule_span_text(window, hit->window_ns));
}

const struct rule rule_unknown = {.id = RULE_UNKNOWN,
				  .severity = 3,
				  .title = "Large upload to an unknown destination",
				  .technique = "",
				  .fires = fires,
				  .explain = explain};
