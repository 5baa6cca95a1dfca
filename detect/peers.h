/* peers: since when a device has spoken SMB to a host. Bounded: when full, new pairs are not remembered and
 * count as just seen. */
#ifndef LEAKTAP_DETECT_PEERS_H
#define LEAKTAP_DETECT_PEERS_H

#include "capture/base/hash.h"
#include "detect/hmap.h"
#include "dissect/facts.h"

enum { PEERS_MAX = 65536 };

struct peers { /* zero and a key drawn for this run = empty */
	struct hmap pairs;
	struct hash_key key;
};

void peers_note(struct peers *ps, const struct flow_facts *f);
/* The earliest start among the flows noted between the two ends of f; f's own where none is. */
uint64_t peers_first_ns(const struct peers *ps, const struct flow_facts *f);
void peers_free(struct peers *ps);

#endif
