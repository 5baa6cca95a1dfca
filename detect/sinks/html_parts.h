/* html_parts: the sections of the report, each appended to a textbuf. */
#ifndef LEAKTAP_DETECT_SINKS_HTML_PARTS_H
#define LEAKTAP_DETECT_SINKS_HTML_PARTS_H

#include "detect/sinks/sink.h"
#include "detect/sinks/tally.h"
#include "detect/sinks/textbuf.h"

/* What the timeline draws of a flow. */
struct html_flow {
	uint64_t start_ns, end_ns, up_bytes, down_bytes; /* application bytes where known, else payload */
	uint64_t principal;
	char name[128], process[64], device[64];
};

enum { HTML_MAX_FLOWS = 20000 };

struct html_flows {
	struct html_flow *list;
	size_t n, size;
	uint64_t left_out;
};

void html_flows_add(struct html_flows *fl, const struct verdict *v); /* catalogued or attributed flows only; bounded */
void html_flows_done(struct html_flows *fl);

void html_head(struct textbuf *b);
void html_title(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st);
void html_verdict(struct textbuf *b, const struct finding *f);
void html_unknowns(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st);
void html_finding_part(struct textbuf *b, const struct finding *f, const struct html_flows *flows);
void html_timeline(struct textbuf *b, const struct finding *f, const struct html_flows *flows); /* html_timeline.c */
void html_destinations(struct textbuf *b, struct tally *t);
void html_join(struct textbuf *b, const struct sink_stats *st);
void html_capture(struct textbuf *b, const struct sink_stats *st);
void html_method(struct textbuf *b, const char *const *inputs, size_t n_inputs);

#endif
