/* html_parts: the sections of the report, each appended to a textbuf. html_page.c: frame and tables; html_finding.c: findings; html_timeline.c: their
 * picture. Everything that comes from packets and logs goes through textbuf_html. */
#ifndef LEAKTAP_DETECT_SINKS_HTML_PARTS_H
#define LEAKTAP_DETECT_SINKS_HTML_PARTS_H

#include "detect/sinks/sink.h"
#include "detect/sinks/tally.h"
#include "detect/sinks/textbuf.h"

/* What the report keeps of a flow. */
struct html_flow {
	uint64_t flow_id;
	uint64_t start_ns, end_ns, up_bytes, down_bytes; /* application bytes where known, else payload */
	bool app_known;
	char name[128], process[64], device[64];
};

enum { HTML_MAX_FLOWS = 20000, HTML_MAX_TEXT = 1000 };

struct html_flows {
	struct html_flow *list;
	size_t n, size;
	uint64_t left_out;
};

/* The flows of a finding and those around it that the picture shows: the finding's own first, then the largest. */
enum { HTML_MAX_SHOWN = 40 };
struct html_shown {
	const struct html_flow *flow[HTML_MAX_SHOWN];
	bool own[HTML_MAX_SHOWN];
	size_t n;
	uint64_t left_out;
};

void html_flows_add(struct html_flows *fl, const struct verdict *v); /* catalogued or attributed flows only; bounded */
void html_flows_done(struct html_flows *fl);
void html_flows_shown(const struct html_flows *fl, const struct finding *f, uint64_t from_ns, uint64_t to_ns, struct html_shown *ret);

void html_head(struct textbuf *b);
void html_title(struct textbuf *b, uint64_t n_findings, uint64_t first_ns, const struct sink_stats *st);
void html_unknowns(struct textbuf *b, uint64_t n_findings, const struct sink_stats *st);
void html_destinations(struct textbuf *b, struct tally *t, size_t limit_bytes); /* rows until b holds so much */
void html_join(struct textbuf *b, const struct sink_stats *st);
void html_capture(struct textbuf *b, const struct sink_stats *st);
void html_method(struct textbuf *b, const char *const *inputs, size_t n_inputs);

/* Tables: titles end with NULL; one that begins with # is a column of numbers. */
void html_table(struct textbuf *b, const char *const *titles);
void html_table_end(struct textbuf *b);
void html_cell(struct textbuf *b, const char *text); /* NULL or "": a dash */
void html_cell_number(struct textbuf *b, uint64_t v);
void html_cell_time(struct textbuf *b, uint64_t t_ns);

const char *html_severity(uint8_t severity); /* "high", "medium", "low" */
void html_finding_part(struct textbuf *b, const struct finding *f, const struct html_flows *flows);
void html_timeline(struct textbuf *b, const struct finding *f, const struct html_flows *flows);

#endif
