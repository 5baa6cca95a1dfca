/* quicmove: which QUIC flow a datagram on a new 5-tuple continues (RFC 9000 9: migration, NAT rebinding). The
 * connection ids a server chose are read off its long headers; a short header on a new 5-tuple to the same
 * server that begins with one of them continues that flow. A client that changes the id as well cannot be
 * told from its packets alone; then the same client host and the same server within QUICMOVE_WINDOW_NS have
 * to do. Two bounded tables, direct-mapped: a newer entry takes an older one's place. One thread. */
#ifndef LEAKTAP_DISSECT_QUICMOVE_H
#define LEAKTAP_DISSECT_QUICMOVE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/hash.h"
#include "dissect/facts.h"

#define QUICMOVE_WINDOW_NS UINT64_C(30000000000)
/* Shorter ids say too little: a quarter of the entries would match by chance. */
enum { QUICMOVE_ENTRIES = 16384, QUICMOVE_MIN_CID = 4, QUICMOVE_MAX_CID = 20 };

/* A flow, and proof that its id still means the same one. */
struct quicmove_flow {
	uint32_t id, birth;
};

struct quicmove;

struct quicmove *quicmove_new(struct hash_key key); /* NULL: out of memory */
void quicmove_free(struct quicmove *qm);

/* The server of flow chose cid; n below QUICMOVE_MIN_CID is ignored. */
void quicmove_learn_cid(struct quicmove *qm, const struct facts_addr *server, const uint8_t *cid, size_t n,
			struct quicmove_flow flow);
/* client and server talk QUIC in flow. */
void quicmove_learn_pair(struct quicmove *qm, const struct facts_addr *client,
			 const struct facts_addr *server, struct quicmove_flow flow);
/* payload: a short-header datagram to server. id 0: nothing known. Whether the flow lives and was active
 * lately is the caller's to check. */
struct quicmove_flow quicmove_find_cid(const struct quicmove *qm, const struct facts_addr *server,
				       const uint8_t *payload, size_t n);
struct quicmove_flow quicmove_find_pair(const struct quicmove *qm, const struct facts_addr *client,
					const struct facts_addr *server);
uint64_t quicmove_overwritten(const struct quicmove *qm); /* entries of other connections or hosts that went */
size_t quicmove_memory_bytes(void);

#endif
