#include "detect/sinks/community_id.h"

#include <string.h>

#include "detect/sinks/digest.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132 };

/* The smaller endpoint comes first: by address, then by port. */
static bool is_ordered(const struct facts_addr *a, const struct facts_addr *b)
{
	int c = memcmp(a->ip, b->ip, a->family == 6 ? 16 : 4);
	return c < 0 || (c == 0 && a->port < b->port);
}

void community_id(char ret[COMMUNITY_ID_SIZE], const struct facts_addr *src, const struct facts_addr *dst, uint8_t proto)
{
	ret[0] = '\0';
	if (proto == ICMP || proto == ICMP6 || proto == SCTP)
		return;
	const struct facts_addr *first = is_ordered(src, dst) ? src : dst, *second = first == src ? dst : src;
	uint8_t msg[2 + 32 + 2 + 4] = {0, 0}, sum[20];
	size_t n = 2, ip = src->family == 6 ? 16 : 4;
	memcpy(msg + n, first->ip, ip);
	n += ip;
	memcpy(msg + n, second->ip, ip);
	n += ip;
	msg[n++] = proto;
	msg[n++] = 0;
	if (proto == TCP || proto == UDP) {
		msg[n++] = (uint8_t)(first->port >> 8);
		msg[n++] = (uint8_t)first->port;
		msg[n++] = (uint8_t)(second->port >> 8);
		msg[n++] = (uint8_t)second->port;
	}
	digest_sha1(msg, n, sum);
	ret[0] = '1';
	ret[1] = ':';
	digest_base64(ret + 2, sum, sizeof sum);
}
