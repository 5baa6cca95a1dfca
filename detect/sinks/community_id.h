/* community_id: Community ID v1, seed 0: the flow hash by which Zeek, Suricata, Arkime and Security Onion pivot. Specification: corelight/community-id-spec. */
#ifndef LEAKTAP_DETECT_SINKS_COMMUNITY_ID_H
#define LEAKTAP_DETECT_SINKS_COMMUNITY_ID_H

#include "dissect/facts.h"

enum { COMMUNITY_ID_SIZE = 31 }; /* "1:" + 28 base64 characters + NUL */

/* "" where the specification hashes ports or types that flow facts do not have: ICMP, ICMPv6, SCTP. */
void community_id(char ret[COMMUNITY_ID_SIZE], const struct facts_addr *src, const struct facts_addr *dst, uint8_t proto);

#endif
