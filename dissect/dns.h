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
	/* First question, normalised; "" if it is no host name. A response without a question (multicast DNS): the owner of the
	 * first address record. */
	char query[256];
	struct dns_answer answers[DNS_MAX_ANSWERS]; /* A and AAAA reached from query over CNAMEs */
	size_t n_answers;
};

/* false: malformed (compression loop, lengths, counts); ret_msg is then undefined. A truncated response (TC) gives what is there.
 * Other opcodes than QUERY give neither question nor answers. At most 96 records, a chain of 16 names and DNS_MAX_ANSWERS are
 * looked at. Linear, bounded. Any thread. */
bool dns_parse(const uint8_t *payload, size_t n, struct dns_message *ret_msg);

#endif
