/* prefix: IP prefixes to values, longest prefix wins. IPv4 and IPv6 in one table (IPv4 as ::ffff:0:0/96). */
#ifndef LEAKTAP_DETECT_PREFIX_H
#define LEAKTAP_DETECT_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/facts.h"

struct prefix {          /* one row; parent is filled by prefix_seal */
	uint8_t ip[16];  /* network part, the rest zero */
	uint8_t bits;    /* of 128 */
	uint32_t parent; /* index + 1 of the next wider row that holds this one, 0 = none */
	uint32_t value;
};

struct prefixes { /* zero = empty */
	struct prefix *rows;
	size_t n, cap;
};

/* "20.60.0.0/16", "2620:100:6000::/40", or an address. false: not a prefix, or bits set below it. */
bool prefix_parse(struct prefix *ret, const char *text);
int prefixes_add(struct prefixes *ps, const struct prefix *row); /* 0 or -ENOMEM */
void prefixes_seal(struct prefixes *ps); /* sorts; of equal prefixes the smaller value stays in front */
void prefixes_free(struct prefixes *ps);

/* After prefixes_seal, any thread: the value of the longest prefix that holds addr. */
bool prefixes_find(const struct prefixes *ps, const struct facts_addr *addr, uint32_t *ret_value);

/* Not a place on the Internet: private, shared, loopback, link-local, multicast, unspecified, documentation
 * excepted (captures are rewritten to it). RFC 6890. */
bool prefix_internal(const struct facts_addr *addr);

#endif
