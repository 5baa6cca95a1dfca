/* label: everything that was learnt about a flow's names and protocol, interned: flows of one client program to one host share one record.
 * Reference counted; bounded by count and bytes. One thread. */
#ifndef LEAKTAP_DISSECT_LABEL_H
#define LEAKTAP_DISSECT_LABEL_H

#include "dissect/facts.h"

/* Strings NULL or terminated. In label_intern borrowed from the caller, in label_get from the table until the last unref. */
struct label {
	uint8_t name_source;  /* enum facts_name_source */
	uint16_t tls_version;
	uint32_t flags;       /* enum facts_flag to be set on the flow */
	const char *name;
	const char *candidates[FACTS_MAX_CANDIDATES];
	size_t n_candidates;
	const char *sni, *connect_host, *http_host, *ja3, *ja4, *alpn, *app_proto, *ndpi_protocol, *ndpi_name;
};

struct labels;

struct labels *labels_new(size_t max_labels, size_t max_bytes); /* 0: 4,194,304 and 1 GiB */
void labels_free(struct labels *ls);
uint32_t label_intern(struct labels *ls, const struct label *l); /* one reference taken; 0 when full (counted) */
/* A label that is still being learnt: the caller's alone, not looked up among the others. 0 when full (counted). */
uint32_t label_draft(struct labels *ls, const struct label *l);
/* Makes a draft the label that others share and returns its id, in place of the draft's reference; 0 when full
 * (counted). Others and 0 are returned as they are. */
uint32_t label_settle(struct labels *ls, uint32_t id);
void label_ref(struct labels *ls, uint32_t id); /* not of a draft */
void label_unref(struct labels *ls, uint32_t id);                /* 0 is fine */
void label_get(const struct labels *ls, uint32_t id, struct label *ret); /* id 0: an empty label */
void label_prefetch(const struct labels *ls, uint32_t id); /* label_get will follow; 0 is fine */
uint64_t labels_refused(const struct labels *ls);
size_t labels_memory_bytes(const struct labels *ls);

#endif
