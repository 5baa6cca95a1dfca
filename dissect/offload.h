/* offload: senders whose checksums the network card finishes after the tap has seen their frames. Where such
 * frames are captured on the sending host every checksum is wrong, and validating would throw the whole
 * direction away. A sender is believed from then on once more than half of what it sent within
 * OFFLOAD_WINDOW_NS was wrong, or one checksum is the bare sum of the pseudo-header. One table of fixed size,
 * direct-mapped: a newer sender takes an older one's place. One thread. */
#ifndef LEAKTAP_DISSECT_OFFLOAD_H
#define LEAKTAP_DISSECT_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "capture/base/hash.h"
#include "dissect/decode.h"

#define OFFLOAD_WINDOW_NS UINT64_C(10000000000)
enum { OFFLOAD_SENDERS = 4096, OFFLOAD_MIN_JUDGED = 4 };

struct offload;

struct offload *offload_new(struct hash_key key); /* NULL: out of memory */
void offload_free(struct offload *of);
/* seg: validated, with SEGMENT_BAD_CSUM, SEGMENT_PARTIAL_CSUM or neither. true: its sender's checksums say
 * nothing. */
bool offload_judge(struct offload *of, const struct segment *seg);
uint64_t offload_overwritten(const struct offload *of); /* senders that made room for others */
size_t offload_memory_bytes(void);

#endif
