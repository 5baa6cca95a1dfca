/* natpair: the same connection captured on both sides of an address translator, as two flows. Their first
 * payload is the same, at nearly the same time, with one end's address unchanged. Only payloads that no
 * second connection repeats count: a TLS hello (32 random bytes), a QUIC Initial, or anything at the same TCP
 * sequence and acknowledgement number. One table of fixed size, direct-mapped: a newer flow takes an older
 * one's place. One thread. */
#ifndef LEAKTAP_DISSECT_NATPAIR_H
#define LEAKTAP_DISSECT_NATPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/hash.h"
#include "dissect/decode.h"

#define NATPAIR_WINDOW_NS UINT64_C(1000000000)
enum { NATPAIR_ENTRIES = 4096, NATPAIR_MIN_BYTES = 43, NATPAIR_BYTES = 64 };

/* A flow, and proof that its id still means the same one. */
struct natpair_flow {
	uint32_t id, birth;
};

struct natpair;

struct natpair *natpair_new(struct hash_key key); /* NULL: out of memory */
void natpair_free(struct natpair *np);
/* seg: the first payload its flow's initiator sent. Returns the flow that began the same way lately, id 0
 * none, and remembers this one. Whether the other still lives, and which addresses they share, is the
 * caller's to check. */
struct natpair_flow natpair_look(struct natpair *np, const struct segment *seg, struct natpair_flow self);
uint64_t natpair_overwritten(const struct natpair *np); /* flows forgotten within the window */
size_t natpair_memory_bytes(void);

#endif
