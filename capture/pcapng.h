/* pcapng: packet blocks of the pcapng format (draft-ietf-opsawg-pcapng), read in place. Sections in either
 * byte order, interfaces of different link types and clocks; blocks that carry no packets are stepped over.
 *
 * Damage inside a block whose frame is intact costs that block (bad_records); damage of the frame ends the
 * file, for nothing after it can be trusted. A simple packet carries no time and takes that of the packet
 * before it. */
#ifndef LEAKTAP_CAPTURE_PCAPNG_H
#define LEAKTAP_CAPTURE_PCAPNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/packet.h"
#include "capture/window.h"

enum {
	PCAPNG_MAX_INTERFACES = 4096, /* per section; packets of further ones are skipped and counted */
	PCAPNG_MAX_CAPLEN_BYTES = 262144,
};

struct pcapng_iface;

struct pcapng {
	const char *path;     /* for messages; borrowed */
	size_t need;          /* after pcapng_burst returned 0: bytes the next block takes */
	uint64_t packets;     /* handed out */
	uint64_t bad_records; /* blocks or options skipped because they are damaged, or over a limit */
	uint64_t undecoded;   /* packets of interfaces whose link type is not decoded */
	uint64_t last_ts_ns;
	uint64_t skip_bytes;         /* rest of a block too large to be held */
	struct pcapng_iface *ifaces; /* n_ifaces of the current section */
	size_t n_ifaces, cap_ifaces;
	uint32_t number;         /* packet blocks seen, wraps */
	uint32_t refused_number; /* the last link type that was not decoded */
	uint16_t input;
	bool swapped; /* this section's byte order is not this machine's */
	bool in_section;
};

bool pcapng_knows(const uint8_t magic[4]);
void pcapng_init(struct pcapng *ng, const char *path, uint16_t input);
void pcapng_done(struct pcapng *ng);

/* As classic_burst. 0 may also mean that blocks without packets were passed. */
int pcapng_burst(struct pcapng *ng, struct window *w, struct packet *ret_pkts, struct err *err);

#endif
