/* record: one encoder of records per --format. An encoder turns what the sinks are told into one line of text; where the line goes is the sink's. */
#ifndef LEAKTAP_DETECT_SINKS_RECORD_H
#define LEAKTAP_DETECT_SINKS_RECORD_H

#include "detect/sinks/jsonout.h"
#include "detect/sinks/sink.h"

struct record_conf {
	const char *sensor;
	uint8_t zone;
};

/* Each appends one line, its newline included, or nothing where the format has no such record. */
struct record_format {
	const char *name;
	void (*flow)(struct jsonout *j, const struct record_conf *conf, const struct verdict *v);
	void (*finding)(struct jsonout *j, const struct record_conf *conf, const struct finding *f);
	void (*attribution)(struct jsonout *j, const struct record_conf *conf, const struct sink_attribution *a);
	void (*stats)(struct jsonout *j, const struct record_conf *conf, const struct sink_stats *st);
};

extern const struct record_format record_eve, record_ecs, record_ocsf, record_cef;
const struct record_format *record_format_find(const char *name); /* NULL if unknown */

/* Shared words of the formats. */
void record_address(char out[46], const struct facts_addr *a); /* RFC 5952 text */
const char *record_protocol(uint8_t proto, char buf[8]);       /* "TCP", "UDP", "ICMP", ... or the number */
const char *record_tls_version(uint16_t version);              /* "TLS 1.2"; NULL unknown */
/* Name source of the verdict, with ip_prefix where only the address matched; NULL if there is no name. */
const char *record_name_source(const struct verdict *v);

#endif
