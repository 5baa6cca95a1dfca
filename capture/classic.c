#include "capture/classic.h"

#include <errno.h>
#include <string.h>

#include "capture/linktype.h"
#include "capture/source.h"

enum { RECORD_HEADER_BYTES = 16 };

/* In the byte order of the writer. */
#define MAGIC_MICRO    UINT32_C(0xa1b2c3d4)
#define MAGIC_NANO     UINT32_C(0xa1b23c4d)
#define MAGIC_MODIFIED UINT32_C(0xa1b2cd34)

/* The upper bits of the link type word tell the length of a frame check sequence. */
#define LINKTYPE_MASK UINT32_C(0x03ffffff)

static inline uint32_t load32(const uint8_t *p, bool swapped)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return swapped ? __builtin_bswap32(v) : v;
}

static inline uint16_t load16(const uint8_t *p, bool swapped)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return swapped ? __builtin_bswap16(v) : v;
}

static bool is_magic(uint32_t v)
{
	return v == MAGIC_MICRO || v == MAGIC_NANO || v == MAGIC_MODIFIED;
}

bool classic_knows(const uint8_t magic[4])
{
	return is_magic(load32(magic, false)) || is_magic(load32(magic, true));
}

int classic_init(struct classic *c, const uint8_t *header, const char *path, uint16_t input, struct err *err)
{
	bool swapped = !is_magic(load32(header, false));
	uint32_t magic = load32(header, swapped);
	uint16_t major = load16(header + 4, swapped), minor = load16(header + 6, swapped);
	if (magic == MAGIC_MODIFIED)
		return err_set(err, LT_EFORMAT,
			       "%s: modified (Kuznetzov) pcap, which nothing writes any more; convert it "
			       "with editcap -F pcap",
			       path);
	if (major != 2)
		return err_set(err, LT_EFORMAT, "%s: pcap version %u.%u is not read", path, major, minor);
	uint32_t number = load32(header + 20, swapped) & LINKTYPE_MASK;
	int link = linktype_to_link(number);
	if (link < 0)
		return linktype_refuse(path, number, err);
	*c = (struct classic){
	    .path = path,
	    .need = RECORD_HEADER_BYTES,
	    .fraction_ns = magic == MAGIC_NANO ? 1 : 1000,
	    .link = (uint16_t)link,
	    .input = input,
	    .swapped = swapped,
	    .lengths_swapped = minor < 4,
	};
	return 0;
}

/* A record whose captured length is 0 or impossible. 0 where it may stand. */
static int judge_odd_record(const struct classic *c, const struct window *w, uint32_t caplen, struct err *err)
{
	static const uint8_t zeros[RECORD_HEADER_BYTES];
	unsigned long long at = window_offset(w), n = c->packets;
	/* A writer that lost power leaves a tail of zeros, which would read as endless empty frames. */
	if (memcmp(w->buf + w->at, zeros, sizeof zeros) == 0)
		return err_set(err, LT_ETRUNCATED, "%s: only zeros from byte %llu on, after %llu packets",
			       c->path, at, n);
	if (caplen <= CLASSIC_MAX_CAPLEN_BYTES)
		return 0;
	return err_set(err, n ? -EBADMSG : LT_EFORMAT,
		       "%s: bad record at byte %llu after %llu packets: captured length %u is above %d",
		       c->path, at, n, caplen, CLASSIC_MAX_CAPLEN_BYTES);
}

static inline void settle_lengths(const struct classic *c, struct packet *pkt)
{
	if (c->lengths_swapped) {
		uint32_t len = pkt->caplen;
		pkt->caplen = pkt->len;
		pkt->len = len;
	} else {
		pkt->len = pkt->caplen;
	}
}

/* The whole cost of reading a file: inlined once for each byte order. */
__attribute__((always_inline)) static inline int
burst(struct classic *c, struct window *w, struct packet *ret_pkts, const bool swapped, struct err *err)
{
	size_t n = 0;
	for (; n < SOURCE_BURST; n++) {
		size_t left = window_left(w);
		c->need = RECORD_HEADER_BYTES;
		if (left < RECORD_HEADER_BYTES)
			break;
		const uint8_t *p = w->buf + w->at;
		struct packet pkt = {
		    .ts_ns = load32(p, swapped) * UINT64_C(1000000000) +
			     load32(p + 4, swapped) * (uint64_t)c->fraction_ns,
		    .data = p + RECORD_HEADER_BYTES,
		    .caplen = load32(p + 8, swapped),
		    .len = load32(p + 12, swapped),
		    .link = c->link,
		    .input = c->input,
		    .number = (uint32_t)(c->packets + 1),
		};
		if (pkt.caplen > pkt.len)
			settle_lengths(c, &pkt);
		if (pkt.caplen - 1 >= CLASSIC_MAX_CAPLEN_BYTES) {
			int r = n ? 1 : judge_odd_record(c, w, pkt.caplen, err);
			if (r < 0)
				return r;
			if (r > 0)
				break; /* hand out what is good first, judge in the next call */
		}
		c->need = RECORD_HEADER_BYTES + (size_t)pkt.caplen;
		if (left < c->need)
			break;
		ret_pkts[n] = pkt;
		c->packets++;
		w->at += c->need;
	}
	return (int)n;
}

int classic_burst(struct classic *c, struct window *w, struct packet *ret_pkts, struct err *err)
{
	return c->swapped ? burst(c, w, ret_pkts, true, err) : burst(c, w, ret_pkts, false, err);
}
