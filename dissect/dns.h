/* dns: DNS messages (RFC 1035, 3596; over UDP, or TCP without its length prefix) to answers; dnscache: which name a client asked for
 * before it used an address. */
#ifndef LEAKTAP_DISSECT_DNS_H
#define LEAKTAP_DISSECT_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/facts.h"

enum { DNS_MAX_ANSWERS = 64, DNS_MAX_MESSAGE = 65535 };

struct dns_answer {
	struct facts_addr addr; /* port 0 */
	uint32_t ttl_s;         /* smallest on the CNAME chain */
};

struct dns_message {
	bool response;
	uint8_t rcode;
	uint16_t id, qtype;
	char query[256];        /* first question, normalised; "" if none or unusable */
	struct dns_answer answers[DNS_MAX_ANSWERS]; /* A and AAAA reached from query over CNAMEs */
	size_t n_answers;
};

/* false: malformed (compression loop, lengths, counts). Linear, bounded. Any thread. */
bool dns_parse(const uint8_t *payload, size_t n, struct dns_message *ret_msg);

#endif
