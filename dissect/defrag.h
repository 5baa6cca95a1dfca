/* defrag: IPv4 and IPv6 fragments (RFC 791, RFC 8200 section 4.5) back to datagrams. One thread, no
 * allocation after defrag_new, linear work.
 *
 * One reading for both families (RFC 5722): a fragment that overlaps another, or contradicts the datagram's
 * end, makes the whole datagram ambiguous; it is discarded with everything of it that is still to come. Exact
 * copies are ignored, also for DEFRAG_COPY_NS after the datagram is whole (taps that see each frame twice).
 */
#ifndef LEAKTAP_DISSECT_DEFRAG_H
#define LEAKTAP_DISSECT_DEFRAG_H

#include <stddef.h>
#include <stdint.h>

#include "dissect/decode.h"

enum {
	DEFRAG_MAX_DATAGRAMS = 4096,   /* under way at once; the least recently started goes first */
	DEFRAG_MEMORY_BYTES = 4 << 20, /* everything, bookkeeping included */
	DEFRAG_MAX_BYTES = 65535,      /* IP header and payload */
};

#define DEFRAG_TIMEOUT_NS UINT64_C(30000000000)
#define DEFRAG_COPY_NS    UINT64_C(100000000)

enum defrag_verdict {
	DEFRAG_HELD,    /* kept, or a copy of what is kept */
	DEFRAG_WHOLE,   /* ret_seg is filled: hand it to decode_datagram */
	DEFRAG_DROPPED, /* ambiguous, oversize, or malformed: counted */
};

struct defrag_stats {
	uint64_t fragments;
	uint64_t datagrams;  /* put together */
	uint64_t expired;    /* not whole within DEFRAG_TIMEOUT_NS */
	uint64_t overlaps;   /* datagrams discarded as ambiguous */
	uint64_t oversize;   /* datagrams discarded: longer than DEFRAG_MAX_BYTES */
	uint64_t evicted;    /* unfinished datagrams that had to make room */
	uint64_t duplicates; /* exact copies of fragments */
	uint64_t malformed;  /* fragments without payload, or not a multiple of 8 before the last */
	size_t held_datagrams, held_bytes, memory_bytes;
};

/* Frames that made up a datagram, exact copies among them included. */
struct defrag_frames {
	uint64_t wire_bytes;
	uint32_t n;
};

struct defrag;

/* NULL: out of memory. */
struct defrag *defrag_new(void);
void defrag_free(struct defrag *d);

/* frag: a segment decode gave with the verdict FRAGMENT; its payload may lie in d's own buffer. now_ns: the
 * packets' clock as the caller trusts it, for the timeout only. On WHOLE ret_seg is the last fragment's
 * segment with l3 and payload pointing to a contiguous packet in d's buffer, valid until the next call: IPv4
 * header without options, or IPv6 header without extensions, both as of the first fragment with length,
 * protocol and checksum set right. Ports are not known before decode_datagram. Where fragments were sliced
 * the captured part ends at the first missing byte. ret_frames may be NULL. */
enum defrag_verdict defrag_add(struct defrag *d, const struct segment *frag, uint64_t now_ns,
			       struct segment *ret_seg, struct defrag_frames *ret_frames);

void defrag_stats(const struct defrag *d, struct defrag_stats *ret_stats);

#endif
