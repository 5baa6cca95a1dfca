/* finding: the product - who sent how much to which account, why we say so, what it could be missing. Mirrors deploy/schema/alert. */
#ifndef LEAKTAP_DETECT_FINDING_H
#define LEAKTAP_DETECT_FINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/catalogue.h"
#include "detect/attrib/owner.h"
#include "dissect/facts.h"

enum { FINDING_MAX_RULES = 8, FINDING_MAX_REASONS = 16, FINDING_MAX_TIMELINE = 32, FINDING_MAX_FLOWS = 256,
       FINDING_MAX_TECHNIQUES = 8 };

/* A flow and everything the judge found out about it; what every sink gets as a flow record. Borrowed for the call. */
struct verdict {
	const struct flow_facts *facts;
	uint32_t version;                /* 1, higher after a revision */
	bool has_destination;
	bool by_address;                 /* found by address prefix only: name_source ip_prefix */
	bool sni_ip_mismatch;            /* the name the client sent does not live at this address */
	struct catalogue_match destination;
	struct owner initiator;          /* outcome and cause are always set */
	bool has_responder;              /* its device reports */
	struct owner responder;
	uint8_t direction;               /* enum verdict_direction */
	const char *explanation;         /* why it fires nothing although it looks like an upload; NULL */
};

enum verdict_direction { VERDICT_UPLOAD, VERDICT_DOWNLOAD, VERDICT_BOTH, VERDICT_IDLE };
extern const char *const verdict_direction_names[];
/* The rule of page 10: upload at up >= 2 x down and up >= 1,000, download the reverse, idle when both are below 256, else both. */
enum verdict_direction verdict_direction_of(uint64_t up_bytes, uint64_t down_bytes);

struct finding_time {
	uint64_t t_ns;
	const char *kind; /* "file_created", "upload", "download", "connect", "process" */
	const char *text;
};

struct finding {
	char id[24];             /* stable for the episode: hex of a hash of its key and first flow */
	uint32_t version;        /* revisions of the same id count up from 1 */
	const char *verdict;     /* "upload_by_process", "upload_unattributed", "upload_ambiguous" */
	uint32_t rules[FINDING_MAX_RULES]; /* gravest first */
	size_t n_rules;
	const char *title;       /* of rules[0]: the alert's signature */
	uint8_t severity;        /* 1 high .. 3 low, of rules[0] */
	const char *sentence;
	const char *reasons[FINDING_MAX_REASONS];
	size_t n_reasons;
	const char *techniques[FINDING_MAX_TECHNIQUES], *tactics[FINDING_MAX_TECHNIQUES];
	size_t n_techniques, n_tactics;
	uint64_t first_ns, last_ns;
	uint64_t flows[FINDING_MAX_FLOWS];
	size_t n_flows, n_flows_total; /* total may exceed what is listed */
	struct finding_time timeline[FINDING_MAX_TIMELINE];
	size_t n_timeline;
	/* sums over its flows, out of the device */
	uint64_t bytes, app_bytes;
	bool app_known;
	const struct verdict *flow; /* the flow that made it fire: common part of the alert record */
	struct facts_dir up, down;  /* sums over its flows */
};

#endif
