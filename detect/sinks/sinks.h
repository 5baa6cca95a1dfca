/* sinks: every kind of output of this build; the list is in sinks.c. */
#ifndef LEAKTAP_DETECT_SINKS_SINKS_H
#define LEAKTAP_DETECT_SINKS_SINKS_H

#include "detect/sinks/sink.h"

extern const struct sink_ops sink_records, sink_table, sink_html, sink_feed, sink_hunt;

#endif
