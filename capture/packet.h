/* packet: a borrowed view of one captured frame. */
#ifndef LEAKTAP_CAPTURE_PACKET_H
#define LEAKTAP_CAPTURE_PACKET_H

#include <assert.h>
#include <stdint.h>

/* Link types this program decodes; values are our own, source.c maps DLT_ numbers to them. */
enum packet_link {
	PACKET_LINK_ETHERNET,
	PACKET_LINK_RAW,       /* IPv4 or IPv6 by the first nibble: DLT_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6 */
	PACKET_LINK_SLL,       /* Linux cooked v1 */
	PACKET_LINK_SLL2,      /* Linux cooked v2 */
	PACKET_LINK_NULL,      /* 4-byte address family, host order of the writer (BSD loopback) */
	PACKET_LINK_LOOP,      /* the same, network order */
	PACKET_LINK_PPP,       /* PPP with or without HDLC framing */
	PACKET_LINK_COUNT,
};

/* Borrowed: data stays valid until the next source_poll of the same source. */
struct packet {
	uint64_t ts_ns;      /* since the epoch, the capture's clock */
	const uint8_t *data; /* caplen bytes */
	uint32_t caplen;     /* captured, <= len except where the file lies; readers clamp */
	uint32_t len;        /* on the wire */
	uint16_t link;       /* enum packet_link */
	uint16_t input;      /* number of the input (file or interface), for evidence */
	uint32_t number;     /* frame number within that input from 1, wraps */
};
static_assert(sizeof(struct packet) == 32, "two packets per cache line; bursts of them are walked");

#endif
