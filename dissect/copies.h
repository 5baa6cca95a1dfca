/* copies: frames that a tap delivered twice. QUIC never sends the same bytes twice, so an equal datagram of
 * the same flow within COPIES_WINDOW_NS is a copy; other protocols repeat themselves, so there a copy must
 * also differ in VLAN tags or TTL, as one seen on both sides of a router does. A TCP segment is a copy rather
 * than a retransmission when the IP identification is the same too.
 *
 * One table for all flows, fixed size, keyed hash over length and the first 64 bytes of payload; of a QUIC long
 * header, behind whose token the difference may lie, over all of it. One thread.
 */
#ifndef LEAKTAP_DISSECT_COPIES_H
#define LEAKTAP_DISSECT_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/hash.h"
#include "dissect/decode.h"

#define COPIES_WINDOW_NS UINT64_C(100000000)
enum { COPIES_BYTES = 64, COPIES_BUCKETS = 16384, COPIES_WAYS = 4 };

struct copies;

struct copies *copies_new(struct hash_key key); /* NULL: out of memory */
void copies_free(struct copies *cp);
enum copies_kind { COPIES_QUIC, COPIES_OTHER_UDP, COPIES_TCP };
/* true: seg repeats one of the same flow and direction. flow: unique among living flows. */
bool copies_seen(struct copies *cp, uint64_t flow, unsigned dir, const struct segment *seg,
		 enum copies_kind kind);
uint64_t copies_overwritten(const struct copies *cp); /* frames forgotten within the window */
size_t copies_memory_bytes(void);

#endif
