/* classic: records of the classic pcap format (draft-ietf-opsawg-pcap), both byte orders, micro- and
 * nanoseconds, read in place. Frames that claim to be shorter on the wire than captured get the captured
 * length: a file that lies must not make wire bytes smaller than what it holds. */
#ifndef LEAKTAP_CAPTURE_CLASSIC_H
#define LEAKTAP_CAPTURE_CLASSIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"
#include "capture/window.h"

enum {
	CLASSIC_HEADER_BYTES = 24,
	CLASSIC_MAX_CAPLEN_BYTES =
	    262144, /* the largest snap length libpcap writes; more means a corrupt file */
};

struct classic {
	const char *path;     /* for messages; borrowed */
	size_t need;          /* after classic_burst returned 0: bytes the next record takes */
	uint64_t packets;     /* read so far */
	uint32_t fraction_ns; /* one unit of the second half of a time stamp: 1 or 1,000 */
	uint16_t link, input;
	bool swapped;         /* written in the other byte order than this machine's */
	bool lengths_swapped; /* before version 2.4 some writers exchanged the two lengths */
};

/* Whether a file with these first four bytes is for classic_init to judge. */
bool classic_knows(const uint8_t magic[4]);
/* header: CLASSIC_HEADER_BYTES. 0 or LT_EFORMAT. */
int classic_init(struct classic *c, const uint8_t *header, const char *path, uint16_t input, struct err *err);

/* Up to SOURCE_BURST whole records of the window. 0: the window needs c->need bytes. Negative, for good:
 * LT_ETRUNCATED (the rest of the file was never written), -EBADMSG (corrupt), LT_EFORMAT (corrupt in the
 * first record). */
int classic_burst(struct classic *c, struct window *w, struct packet *ret_pkts, struct err *err);

#endif
