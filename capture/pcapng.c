#include "capture/pcapng.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/linktype.h"
#include "capture/source.h"

enum block_type {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2, /* obsolete, section A of the draft */
	BLOCK_SIMPLE = 3,
	BLOCK_ENHANCED = 6,
	BLOCK_SECTION = 0x0a0d0d0a, /* the same in both byte orders */
};

enum option_code { OPTION_END = 0, OPTION_TSRESOL = 9, OPTION_TSOFFSET = 14 };

enum {
	BLOCK_OVERHEAD_BYTES = 12, /* type, length, length again */
	BLOCK_HEADER_BYTES = 8,
	SECTION_BODY_BYTES = 16,
	INTERFACE_BODY_BYTES = 8,
	SIMPLE_BODY_BYTES = 4,
	PACKET_BODY_BYTES = 20, /* of both enhanced and obsolete packet blocks */
};

#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)
#define MAX_TS_NS        ((uint64_t)INT64_MAX) /* in 2262 times stand still instead of wrapping */
#define MAX_TS_S         (MAX_TS_NS / CLOCK_NS_PER_S)

struct pcapng_iface {
	uint64_t units_per_s; /* 0: its clock makes no sense, its packets are skipped */
	int64_t offset_s;
	uint32_t snaplen_bytes; /* 0: none */
	int32_t link;           /* enum packet_link, -1: not decoded */
};

static inline uint32_t load32(const struct pcapng *ng, const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return ng->swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t load16(const struct pcapng *ng, const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return ng->swapped ? __builtin_bswap16(v) : v;
}

static inline uint64_t load64(const struct pcapng *ng, const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return ng->swapped ? __builtin_bswap64(v) : v;
}

bool pcapng_knows(const uint8_t magic[4])
{
	return memcmp(magic, "\x0a\x0d\x0d\x0a", 4) == 0;
}

void pcapng_init(struct pcapng *ng, const char *path, uint16_t input)
{
	*ng = (struct pcapng){.path = path, .input = input, .need = BLOCK_OVERHEAD_BYTES};
}

void pcapng_done(struct pcapng *ng)
{
	free(ng->ifaces);
	ng->ifaces = NULL;
}

static uint64_t clamp_ts(uint64_t ts_ns, int64_t offset_s)
{
	/* Both terms are below 2^63 in size, so the sum fits 128 bits with ease. */
	__int128 t = (__int128)ts_ns + (__int128)offset_s * (__int128)CLOCK_NS_PER_S;
	return t < 0 ? 0 : t > (__int128)MAX_TS_NS ? MAX_TS_NS : (uint64_t)t;
}

/* units_per_s is not 0. Micro- and nanoseconds come first: nearly every file has one of them. */
static inline uint64_t to_ns(const struct pcapng_iface *ifc, uint64_t units)
{
	uint64_t ns;
	if (ifc->units_per_s == 1000000) {
		ns = units <= MAX_TS_NS / 1000 ? units * 1000 : MAX_TS_NS;
	} else if (ifc->units_per_s == CLOCK_NS_PER_S) {
		ns = units <= MAX_TS_NS ? units : MAX_TS_NS;
	} else {
		uint64_t s = units / ifc->units_per_s, rest = units % ifc->units_per_s;
		unsigned __int128 part = (unsigned __int128)rest * CLOCK_NS_PER_S / ifc->units_per_s;
		ns = s < MAX_TS_S ? s * CLOCK_NS_PER_S + (uint64_t)part : MAX_TS_NS;
	}
	return ifc->offset_s ? clamp_ts(ns, ifc->offset_s) : ns;
}

/* if_tsresol: a power of 10, or of 2 with the top bit set. 0: does not fit 64 bits. */
static uint64_t resolution(uint8_t tsresol)
{
	unsigned power = tsresol & 0x7f;
	if (tsresol & 0x80)
		return power < 64 ? UINT64_C(1) << power : 0;
	if (power > 19)
		return 0;
	uint64_t units = 1;
	while (power--)
		units *= 10;
	return units;
}

static void read_option(struct pcapng *ng, struct pcapng_iface *ifc, uint16_t code, const uint8_t *value,
			uint16_t n)
{
	if (code == OPTION_TSRESOL && n == 1)
		ifc->units_per_s = resolution(value[0]);
	else if (code == OPTION_TSOFFSET && n == 8)
		ifc->offset_s = (int64_t)load64(ng, value);
	else if (code == OPTION_TSRESOL || code == OPTION_TSOFFSET)
		ng->bad_records++;
}

static void read_options(struct pcapng *ng, struct pcapng_iface *ifc, const uint8_t *p, size_t n)
{
	while (n >= 4) {
		uint16_t code = load16(ng, p), value_bytes = load16(ng, p + 2);
		size_t padded = 4 + (((size_t)value_bytes + 3) & ~(size_t)3);
		if (code == OPTION_END)
			return;
		if (padded > n) {
			ng->bad_records++;
			return;
		}
		read_option(ng, ifc, code, p + 4, value_bytes);
		p += padded;
		n -= padded;
	}
}

/* Room for one more interface. */
static int grow_ifaces(struct pcapng *ng, struct err *err)
{
	if (ng->n_ifaces < ng->cap_ifaces)
		return 0;
	size_t cap = ng->cap_ifaces ? ng->cap_ifaces * 2 : 4;
	struct pcapng_iface *ifaces = reallocarray(ng->ifaces, cap, sizeof *ifaces);
	if (!ifaces)
		return err_set(err, -ENOMEM, "%s: out of memory", ng->path);
	ng->ifaces = ifaces;
	ng->cap_ifaces = cap;
	return 0;
}

static int read_interface(struct pcapng *ng, const uint8_t *body, size_t n, struct err *err)
{
	if (ng->n_ifaces == PCAPNG_MAX_INTERFACES) {
		ng->bad_records++;
		return 0;
	}
	int r = grow_ifaces(ng, err);
	if (r)
		return r;
	struct pcapng_iface *ifc = &ng->ifaces[ng->n_ifaces++];
	*ifc = (struct pcapng_iface){.link = -1, .units_per_s = 1000000};
	if (n < INTERFACE_BODY_BYTES) {
		/* Keeps its number, or every later one would be taken for its neighbour. */
		ifc->units_per_s = 0;
		ng->bad_records++;
		return 0;
	}
	uint16_t number = load16(ng, body);
	ifc->link = linktype_to_link(number);
	ifc->snaplen_bytes = load32(ng, body + 4);
	if (ifc->link < 0)
		ng->refused_number = number;
	read_options(ng, ifc, body + INTERFACE_BODY_BYTES, n - INTERFACE_BODY_BYTES);
	return 0;
}

/* The interface of a packet that can be handed out, or NULL and counted why not. */
static inline const struct pcapng_iface *usable_iface(struct pcapng *ng, uint32_t id)
{
	if (id >= ng->n_ifaces || ng->ifaces[id].units_per_s == 0) {
		ng->bad_records++;
		return NULL;
	}
	if (ng->ifaces[id].link < 0) {
		ng->undecoded++;
		return NULL;
	}
	return &ng->ifaces[id];
}

static inline bool fill(struct pcapng *ng, struct packet *ret_pkt, const struct pcapng_iface *ifc,
			const uint8_t *bytes, uint32_t caplen, uint32_t len)
{
	*ret_pkt = (struct packet){
	    .ts_ns = ng->last_ts_ns,
	    .data = bytes,
	    .caplen = caplen,
	    .len = len > caplen ? len : caplen,
	    .link = (uint16_t)ifc->link,
	    .input = ng->input,
	    .number = ng->number,
	};
	ng->packets++;
	return true;
}

/* Enhanced and obsolete packet blocks differ in how the interface is told. */
static inline bool read_packet(struct pcapng *ng, const uint8_t *body, size_t n, uint32_t type,
			       struct packet *ret_pkt)
{
	ng->number++;
	if (n < PACKET_BODY_BYTES) {
		ng->bad_records++;
		return false;
	}
	uint32_t caplen = load32(ng, body + 12);
	if (caplen > n - PACKET_BODY_BYTES || caplen > PCAPNG_MAX_CAPLEN_BYTES) {
		ng->bad_records++;
		return false;
	}
	const struct pcapng_iface *ifc =
	    usable_iface(ng, type == BLOCK_ENHANCED ? load32(ng, body) : load16(ng, body));
	if (!ifc)
		return false;
	ng->last_ts_ns = to_ns(ifc, (uint64_t)load32(ng, body + 4) << 32 | load32(ng, body + 8));
	return fill(ng, ret_pkt, ifc, body + PACKET_BODY_BYTES, caplen, load32(ng, body + 16));
}

static bool read_simple(struct pcapng *ng, const uint8_t *body, size_t n, struct packet *ret_pkt)
{
	ng->number++;
	if (n < SIMPLE_BODY_BYTES) {
		ng->bad_records++;
		return false;
	}
	const struct pcapng_iface *ifc = usable_iface(ng, 0);
	if (!ifc)
		return false;
	uint32_t len = load32(ng, body);
	uint32_t caplen = ifc->snaplen_bytes && ifc->snaplen_bytes < len ? ifc->snaplen_bytes : len;
	if (caplen > n - SIMPLE_BODY_BYTES || caplen > PCAPNG_MAX_CAPLEN_BYTES) {
		ng->bad_records++;
		return false;
	}
	return fill(ng, ret_pkt, ifc, body + SIMPLE_BODY_BYTES, caplen, len);
}

/* The frame of the file is broken here: nothing further can be found. */
static int lost(const struct pcapng *ng, const struct window *w, const char *what, uint32_t value,
		struct err *err)
{
	return err_set(err, ng->packets ? -EBADMSG : LT_EFORMAT,
		       "%s: bad block at byte %llu after %llu packets: %s (%u)", ng->path,
		       (unsigned long long)window_offset(w), (unsigned long long)ng->packets, what, value);
}

static int open_section(struct pcapng *ng, const struct window *w, const uint8_t *block, struct err *err)
{
	uint16_t major = load16(ng, block + 12);
	if (load32(ng, block + 4) < BLOCK_OVERHEAD_BYTES + SECTION_BODY_BYTES)
		return lost(ng, w, "section header too short", load32(ng, block + 4), err);
	if (major != 1)
		return lost(ng, w, "pcapng version not read", major, err);
	ng->n_ifaces = 0;
	ng->in_section = true;
	return 0;
}

/* 1: produced a packet, 0: did not, negative: for good. block is whole and its two lengths agree. */
static inline int read_block(struct pcapng *ng, const struct window *w, uint32_t type, size_t block_bytes,
			     struct packet *ret_pkt, struct err *err)
{
	const uint8_t *block = w->buf + w->at, *body = block + BLOCK_HEADER_BYTES;
	size_t n = block_bytes - BLOCK_OVERHEAD_BYTES;
	switch (type) {
	case BLOCK_ENHANCED:
	case BLOCK_PACKET:
		return read_packet(ng, body, n, type, ret_pkt);
	case BLOCK_SIMPLE:
		return read_simple(ng, body, n, ret_pkt);
	case BLOCK_INTERFACE:
		return read_interface(ng, body, n, err);
	case BLOCK_SECTION:
		return open_section(ng, w, block, err);
	default:
		return 0;
	}
}

/* A section says its byte order before its length can be read. 0 or for good. */
static int read_order(struct pcapng *ng, const struct window *w, struct err *err)
{
	uint32_t order;
	memcpy(&order, w->buf + w->at + 8, sizeof order);
	if (order != BYTE_ORDER_MAGIC && __builtin_bswap32(order) != BYTE_ORDER_MAGIC)
		return lost(ng, w, "byte order not told", order, err);
	ng->swapped = order != BYTE_ORDER_MAGIC;
	return 0;
}

static bool holds_packets(uint32_t type)
{
	return type == BLOCK_ENHANCED || type == BLOCK_PACKET || type == BLOCK_SIMPLE ||
	       type == BLOCK_INTERFACE || type == BLOCK_SECTION;
}

/* Steps over what is left of a block that is not held in memory. True when through. */
static bool skip_rest(struct pcapng *ng, struct window *w)
{
	size_t left = window_left(w);
	size_t step = ng->skip_bytes < left ? (size_t)ng->skip_bytes : left;
	w->at += step;
	ng->skip_bytes -= step;
	ng->need = 1;
	return ng->skip_bytes == 0;
}

/* Looks at the block at w->at. 1: whole, its length in ret_bytes; 0: more bytes are needed; negative: for
 * good. */
static inline int frame_block(struct pcapng *ng, struct window *w, uint32_t *ret_type, uint32_t *ret_bytes,
			      struct err *err)
{
	size_t left = window_left(w);
	ng->need = BLOCK_OVERHEAD_BYTES;
	if (left < BLOCK_OVERHEAD_BYTES)
		return 0;
	const uint8_t *p = w->buf + w->at;
	uint32_t type = load32(ng, p);
	int r = type == BLOCK_SECTION ? read_order(ng, w, err) : 0;
	if (r)
		return r;
	uint32_t bytes = load32(ng, p + 4);
	if (!ng->in_section && type != BLOCK_SECTION)
		return lost(ng, w, "not a section header", type, err);
	if (bytes < BLOCK_OVERHEAD_BYTES || bytes % 4)
		return lost(ng, w, "impossible length", bytes, err);
	if (bytes > WINDOW_MAX_RECORD_BYTES) {
		if (holds_packets(type))
			return lost(ng, w, "length over the limit", bytes, err);
		ng->skip_bytes = bytes;
		return 0;
	}
	ng->need = bytes;
	if (left < bytes)
		return 0;
	if (load32(ng, p + bytes - 4) != bytes)
		return lost(ng, w, "its two lengths differ", bytes, err);
	*ret_type = type;
	*ret_bytes = bytes;
	return 1;
}

/* One block further. As pcapng_burst, with 1 for a packet; ret_passed tells whether a block was passed. */
static inline int step(struct pcapng *ng, struct window *w, struct packet *ret_pkt, bool *ret_passed,
		       struct err *err)
{
	uint32_t type = 0, bytes = 0;
	*ret_passed = false;
	if (ng->skip_bytes) {
		*ret_passed = skip_rest(ng, w);
		return 0;
	}
	int r = frame_block(ng, w, &type, &bytes, err);
	if (r <= 0) {
		*ret_passed = ng->skip_bytes != 0;
		return r;
	}
	r = read_block(ng, w, type, bytes, ret_pkt, err);
	if (r < 0)
		return r;
	w->at += bytes;
	*ret_passed = true;
	return r;
}

int pcapng_burst(struct pcapng *ng, struct window *w, struct packet *ret_pkts, struct err *err)
{
	int n = 0;
	bool passed = true;
	while (n < SOURCE_BURST && passed) {
		/* An error behind good packets waits for the next call, which meets it again. */
		int r = step(ng, w, &ret_pkts[n], &passed, n ? NULL : err);
		if (r < 0)
			return n ? n : r;
		n += r;
	}
	return n;
}
