/* summary: the last lines of a run on standard error: what was seen, what was lost, how the join went. "0 findings" says what was looked at. */
#ifndef LEAKTAP_DETECT_APP_SUMMARY_H
#define LEAKTAP_DETECT_APP_SUMMARY_H

#include "detect/sinks/sink.h"

void summary_print(const struct sink_stats *st, uint64_t findings);

#endif
