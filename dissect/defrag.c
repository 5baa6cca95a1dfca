#include "dissect/defrag.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "capture/base/hash.h"
#include "dissect/csum.h"

/* Payload lies in pages of one pool; a page says for each 8-byte unit whether it is there and whether a
 * fragment starts at it. So a fragment costs its length, wherever it lands. */
enum {
	UNIT_BYTES = 8,
	PAGE_BYTES = 64 * UNIT_BYTES,
	MAX_PAGES = 65536 / PAGE_BYTES,
	N_BUCKETS = 2 * DEFRAG_MAX_DATAGRAMS,
	SUPER_BYTES = 16384,
	HEADER_BYTES = 40, /* room for either family's */
	NONE = 0xffff,
};

struct key {
	uint8_t src[16], dst[16];
	uint32_t id;
	uint8_t family;
	uint8_t proto; /* 0 for IPv6: there only the first fragment's counts (RFC 8200) */
	uint8_t zero[2];
};
static_assert(sizeof(struct key) == 40, "hashed as bytes");

enum state { STATE_FREE, STATE_LIVE, STATE_WHOLE, STATE_AMBIGUOUS };

struct datagram {
	struct key key;
	uint64_t started_ns; /* caller's clock */
	uint64_t whole_ns;   /* time stamp of the last fragment */
	struct defrag_frames frames;
	uint32_t have_bytes, total_bytes, high_bytes; /* total 0: the last fragment is not here yet */
	uint32_t captured_bytes; /* where the first sliced fragment's captured part ends */
	uint8_t header[4];       /* first bytes of the first fragment's IP header */
	uint8_t ttl, proto;
	uint8_t state;
	uint16_t flags;
	uint16_t chain, older, younger;
	uint16_t pages[MAX_PAGES];
};

struct page {
	uint64_t have, starts; /* a bit per unit */
	uint8_t bytes[PAGE_BYTES];
};

/* Ends of a list of datagrams by age. */
struct ages {
	uint16_t oldest, youngest;
};

struct defrag {
	struct hash_key hash_key;
	struct ages live, whole; /* live: also the ambiguous ones */
	uint16_t free_datagram, free_page;
	size_t held_datagrams, held_pages;
	struct defrag_stats stats;
	uint16_t buckets[N_BUCKETS];
	struct datagram datagrams[DEFRAG_MAX_DATAGRAMS];
	uint8_t out[HEADER_BYTES + DEFRAG_MAX_BYTES];
	struct page pages[];
};

#define N_PAGES ((DEFRAG_MEMORY_BYTES - sizeof(struct defrag)) / sizeof(struct page))
static_assert(N_PAGES >= DEFRAG_MAX_DATAGRAMS && N_PAGES < NONE, "one small fragment fits everywhere");

/* A fragment's place: bytes [from, to), units [first, last). */
struct range {
	uint32_t from, to, first, last;
};

struct defrag *defrag_new(void)
{
	struct defrag *d = calloc(1, sizeof *d + N_PAGES * sizeof(struct page));
	if (!d)
		return NULL;
	if (getrandom(&d->hash_key, sizeof d->hash_key, 0) != sizeof d->hash_key) {
		free(d);
		return NULL;
	}
	memset(d->buckets, 0xff, sizeof d->buckets);
	d->live = d->whole = (struct ages){NONE, NONE};
	for (uint16_t i = 0; i < DEFRAG_MAX_DATAGRAMS; i++)
		d->datagrams[i].chain = i + 1 < DEFRAG_MAX_DATAGRAMS ? (uint16_t)(i + 1) : NONE;
	return d;
}

void defrag_free(struct defrag *d)
{
	free(d);
}

/* A free page's first bytes hold the number of the next one, plus one; zero means that it was never used and
 * the next is its neighbour, so that untouched memory stays untouched. */
static void page_free(struct defrag *d, uint16_t page)
{
	uint32_t next = d->free_page + 1u;
	memcpy(d->pages[page].bytes, &next, sizeof next);
	d->free_page = page;
	d->held_pages--;
}

/* The caller has made sure that one is free. */
static uint16_t page_new(struct defrag *d)
{
	uint16_t page = d->free_page;
	struct page *p = &d->pages[page];
	uint32_t next;
	memcpy(&next, p->bytes, sizeof next);
	d->free_page = next ? (uint16_t)(next - 1) : (uint16_t)(page + 1);
	p->have = p->starts = 0;
	d->held_pages++;
	return page;
}

static void age_unlink(struct defrag *d, struct ages *ages, struct datagram *g)
{
	if (g->older == NONE)
		ages->oldest = g->younger;
	else
		d->datagrams[g->older].younger = g->younger;
	if (g->younger == NONE)
		ages->youngest = g->older;
	else
		d->datagrams[g->younger].older = g->older;
}

static void age_push(struct defrag *d, struct ages *ages, struct datagram *g)
{
	uint16_t at = (uint16_t)(g - d->datagrams);
	g->older = ages->youngest;
	g->younger = NONE;
	if (ages->youngest == NONE)
		ages->oldest = at;
	else
		d->datagrams[ages->youngest].younger = at;
	ages->youngest = at;
}

static uint16_t *bucket_of(struct defrag *d, const struct key *key)
{
	return &d->buckets[hash_bytes(d->hash_key, key, sizeof *key) % N_BUCKETS];
}

static void drop_pages(struct defrag *d, struct datagram *g)
{
	for (uint32_t i = 0; i * PAGE_BYTES < g->high_bytes; i++)
		if (g->pages[i] != NONE)
			page_free(d, g->pages[i]);
	g->high_bytes = 0;
}

static void datagram_free(struct defrag *d, struct datagram *g)
{
	uint16_t *link = bucket_of(d, &g->key);
	while (*link != g - d->datagrams)
		link = &d->datagrams[*link].chain;
	*link = g->chain;
	age_unlink(d, g->state == STATE_WHOLE ? &d->whole : &d->live, g);
	drop_pages(d, g);
	g->state = STATE_FREE;
	g->chain = d->free_datagram;
	d->free_datagram = (uint16_t)(g - d->datagrams);
	d->held_datagrams--;
}

/* Frees the oldest datagram but keep: finished ones first, they only recognise copies. There always is one:
 * no datagram fills the table or the pool alone. */
static void evict(struct defrag *d, const struct datagram *keep)
{
	struct datagram *g = &d->datagrams[d->whole.oldest != NONE ? d->whole.oldest : d->live.oldest];
	if (g == keep)
		g = &d->datagrams[g->younger];
	if (g->state == STATE_LIVE)
		d->stats.evicted++;
	datagram_free(d, g);
}

static void expire(struct defrag *d, const struct ages *ages, uint64_t now_ns)
{
	while (ages->oldest != NONE) {
		struct datagram *g = &d->datagrams[ages->oldest];
		if (now_ns < g->started_ns || now_ns - g->started_ns < DEFRAG_TIMEOUT_NS)
			return;
		if (g->state == STATE_LIVE)
			d->stats.expired++;
		datagram_free(d, g);
	}
}

static struct datagram *find(struct defrag *d, const struct key *key)
{
	for (uint16_t at = *bucket_of(d, key); at != NONE; at = d->datagrams[at].chain)
		if (!memcmp(&d->datagrams[at].key, key, sizeof *key))
			return &d->datagrams[at];
	return NULL;
}

static struct datagram *start(struct defrag *d, const struct key *key, uint64_t now_ns)
{
	if (d->free_datagram == NONE)
		evict(d, NULL);
	struct datagram *g = &d->datagrams[d->free_datagram];
	d->free_datagram = g->chain;
	uint16_t *bucket = bucket_of(d, key);
	uint16_t chain = *bucket;
	*bucket = (uint16_t)(g - d->datagrams);
	memset(g, 0, offsetof(struct datagram, pages));
	g->key = *key;
	g->chain = chain;
	g->started_ns = now_ns;
	g->captured_bytes = UINT32_MAX;
	g->state = STATE_LIVE;
	age_push(d, &d->live, g);
	d->held_datagrams++;
	return g;
}

/* The bits of the units of [first, last) that lie in page i. */
static uint64_t page_mask(const struct range *r, uint32_t i)
{
	uint32_t from = r->first > i * 64 ? r->first - i * 64 : 0;
	uint32_t to = r->last < (i + 1) * 64 ? r->last - i * 64 : 64;
	return (UINT64_MAX << from) & (UINT64_MAX >> (64 - to));
}

/* The bytes of [from, to) that lie in page i: returns how many, and where they start in the page. */
static uint32_t page_part(uint32_t from, uint32_t to, uint32_t i, uint32_t *ret_at)
{
	uint32_t start_at = i * PAGE_BYTES, end_at = start_at + PAGE_BYTES;
	uint32_t lo = from > start_at ? from : start_at, hi = to < end_at ? to : end_at;
	*ret_at = lo - start_at;
	return hi > lo ? hi - lo : 0;
}

static struct page *page_at(struct defrag *d, const struct datagram *g, uint32_t i)
{
	return i * PAGE_BYTES < g->high_bytes && g->pages[i] != NONE ? &d->pages[g->pages[i]] : NULL;
}

static bool touches(struct defrag *d, const struct datagram *g, const struct range *r)
{
	for (uint32_t i = r->first / 64; i <= (r->last - 1) / 64; i++) {
		const struct page *p = page_at(d, g, i);
		if (p && (p->have & page_mask(r, i)))
			return true;
	}
	return false;
}

static bool starts_at(struct defrag *d, const struct datagram *g, uint32_t unit)
{
	const struct page *p = page_at(d, g, unit / 64);
	return !p || !(p->have >> (unit % 64) & 1) || (p->starts >> (unit % 64) & 1);
}

/* Units all there, one fragment's worth by where fragments start, and the bytes are the same. */
static bool is_copy(struct defrag *d, const struct datagram *g, const struct range *r,
		    const struct segment *frag)
{
	bool is_last = g->total_bytes && r->to == g->total_bytes;
	if (frag->frag_more == is_last || (!is_last && !starts_at(d, g, r->last)))
		return false;
	bool sliced = g->captured_bytes != UINT32_MAX || (frag->flags & SEGMENT_SLICED);
	for (uint32_t i = r->first / 64; i <= (r->last - 1) / 64; i++) {
		const struct page *p = page_at(d, g, i);
		uint64_t mask = page_mask(r, i);
		uint64_t start_bit = i == r->first / 64 ? UINT64_C(1) << (r->first % 64) : 0;
		if (!p || (p->have & mask) != mask || (p->starts & mask) != start_bit)
			return false;
		uint32_t at, n = page_part(r->from, r->to, i, &at);
		if (!sliced && memcmp(p->bytes + at, frag->payload + (i * PAGE_BYTES + at - r->from), n))
			return false;
	}
	return true;
}

static void claim_pages(struct defrag *d, struct datagram *g, const struct range *r)
{
	uint32_t n_known = (g->high_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
	uint32_t last = (r->last - 1) / 64;
	for (uint32_t i = n_known; i <= last; i++)
		g->pages[i] = NONE;
	if (r->to > g->high_bytes)
		g->high_bytes = r->to;
	for (uint32_t i = r->first / 64; i <= last; i++) {
		if (g->pages[i] != NONE)
			continue;
		while (d->held_pages == N_PAGES)
			evict(d, g);
		g->pages[i] = page_new(d);
	}
}

static void store(struct defrag *d, struct datagram *g, const struct range *r, const struct segment *frag)
{
	claim_pages(d, g, r);
	uint32_t captured_to = r->from + frag->payload_captured_bytes;
	if (captured_to < r->to && captured_to < g->captured_bytes)
		g->captured_bytes = captured_to;
	for (uint32_t i = r->first / 64; i <= (r->last - 1) / 64; i++) {
		struct page *p = &d->pages[g->pages[i]];
		p->have |= page_mask(r, i);
		if (i == r->first / 64)
			p->starts |= UINT64_C(1) << (r->first % 64);
		uint32_t at, n = page_part(r->from, captured_to, i, &at);
		if (n)
			memcpy(p->bytes + at, frag->payload + (i * PAGE_BYTES + at - r->from), n);
	}
	g->have_bytes += r->to - r->from;
	if (!frag->frag_more)
		g->total_bytes = r->to;
	if (r->from == 0) {
		memcpy(g->header, frag->l3, sizeof g->header);
		g->ttl = frag->ttl;
		g->proto = frag->proto;
	}
}

static enum defrag_verdict discard(struct defrag *d, struct datagram *g, uint64_t *counter)
{
	++*counter;
	drop_pages(d, g);
	g->state = STATE_AMBIGUOUS;
	return DEFRAG_DROPPED;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Returns the header's length; it stands at the start of d->out. */
static uint32_t write_header(struct defrag *d, const struct datagram *g)
{
	uint8_t *h = d->out;
	memset(h, 0, HEADER_BYTES);
	memcpy(h, g->header, sizeof g->header);
	if (g->key.family == 6) {
		put16(h + 4, g->total_bytes);
		h[6] = g->proto;
		h[7] = g->ttl;
		memcpy(h + 8, g->key.src, 16);
		memcpy(h + 24, g->key.dst, 16);
		return 40;
	}
	h[0] = 0x45;
	put16(h + 2, 20 + g->total_bytes);
	put16(h + 4, g->key.id);
	h[8] = g->ttl;
	h[9] = g->proto;
	memcpy(h + 12, g->key.src, 4);
	memcpy(h + 16, g->key.dst, 4);
	put16(h + 10, (uint16_t)~csum_fold(csum_add(0, h, 20)));
	return 20;
}

static void assemble(struct defrag *d, struct datagram *g, const struct segment *last,
		     struct segment *ret_seg)
{
	uint32_t header = write_header(d, g);
	uint32_t captured = g->captured_bytes < g->total_bytes ? g->captured_bytes : g->total_bytes;
	for (uint32_t i = 0; i * PAGE_BYTES < captured; i++) {
		uint32_t n = captured - i * PAGE_BYTES;
		n = n < PAGE_BYTES ? n : PAGE_BYTES;
		memcpy(d->out + header + i * PAGE_BYTES, d->pages[g->pages[i]].bytes, n);
	}
	struct segment seg = *last;
	seg.l3 = d->out;
	seg.payload = d->out + header;
	seg.l3_captured_bytes = header + captured;
	seg.payload_captured_bytes = captured;
	seg.payload_bytes = g->total_bytes;
	seg.proto = g->proto;
	seg.ttl = g->ttl;
	seg.flags = g->flags | SEGMENT_DEFRAGMENTED;
	if (captured < g->total_bytes)
		seg.flags |= SEGMENT_SLICED;
	if (header + g->total_bytes > SUPER_BYTES)
		seg.flags |= SEGMENT_SUPER;
	seg.frag_id = 0;
	seg.frag_offset_bytes = 0;
	seg.frag_more = false;
	*ret_seg = seg;
}

static struct key key_of(const struct segment *frag)
{
	uint8_t proto = frag->family == 4 ? frag->proto : 0;
	struct key key = {.id = frag->frag_id, .family = frag->family, .proto = proto};
	memcpy(key.src, frag->src, sizeof key.src);
	memcpy(key.dst, frag->dst, sizeof key.dst);
	return key;
}

/* The datagram this fragment belongs to, or NULL where it is a late copy. */
static struct datagram *datagram_for(struct defrag *d, const struct segment *frag, const struct range *r,
				     uint64_t now_ns)
{
	struct key key = key_of(frag);
	struct datagram *g = find(d, &key);
	if (g && g->state == STATE_WHOLE) {
		bool soon = frag->ts_ns + DEFRAG_COPY_NS >= g->whole_ns &&
			    frag->ts_ns <= g->whole_ns + DEFRAG_COPY_NS;
		if (soon && touches(d, g, r) && is_copy(d, g, r, frag))
			return NULL;
		datagram_free(d, g); /* the id is in use again */
		g = NULL;
	}
	return g ? g : start(d, &key, now_ns);
}

static bool is_oversize(const struct segment *frag, const struct range *r)
{
	uint32_t header = frag->family == 4 ? (frag->l3[0] & 15u) * 4 : 0;
	return r->to + header > DEFRAG_MAX_BYTES;
}

static bool contradicts_end(const struct datagram *g, const struct segment *frag, const struct range *r)
{
	if (g->total_bytes && (r->to > g->total_bytes || (!frag->frag_more && r->to != g->total_bytes)))
		return true;
	return !frag->frag_more && r->to < g->high_bytes;
}

static bool is_whole(const struct datagram *g)
{
	return g->total_bytes && g->have_bytes == g->total_bytes;
}

static enum defrag_verdict add(struct defrag *d, struct datagram *g, const struct segment *frag,
			       const struct range *r)
{
	if (g->state == STATE_AMBIGUOUS)
		return DEFRAG_DROPPED;
	if (is_oversize(frag, r))
		return discard(d, g, &d->stats.oversize);
	g->frames.n++;
	g->frames.wire_bytes += frag->frame_bytes;
	if (contradicts_end(g, frag, r))
		return discard(d, g, &d->stats.overlaps);
	if (touches(d, g, r)) {
		if (!is_copy(d, g, r, frag))
			return discard(d, g, &d->stats.overlaps);
		d->stats.duplicates++;
		return DEFRAG_HELD;
	}
	store(d, g, r, frag);
	g->flags |= frag->flags & (uint16_t)~SEGMENT_SLICED;
	return is_whole(g) ? DEFRAG_WHOLE : DEFRAG_HELD;
}

enum defrag_verdict defrag_add(struct defrag *d, const struct segment *frag, uint64_t now_ns,
			       struct segment *ret_seg, struct defrag_frames *ret_frames)
{
	struct range r = {.from = frag->frag_offset_bytes};
	r.to = r.from + frag->payload_bytes;
	r.first = r.from / UNIT_BYTES;
	r.last = (r.to + UNIT_BYTES - 1) / UNIT_BYTES;
	d->stats.fragments++;
	expire(d, &d->live, now_ns);
	expire(d, &d->whole, now_ns);
	if (r.to == r.from || (frag->frag_more && frag->payload_bytes % UNIT_BYTES)) {
		d->stats.malformed++;
		return DEFRAG_DROPPED;
	}
	struct datagram *g = datagram_for(d, frag, &r, now_ns);
	if (!g) {
		d->stats.duplicates++;
		return DEFRAG_HELD;
	}
	enum defrag_verdict verdict = add(d, g, frag, &r);
	if (verdict != DEFRAG_WHOLE)
		return verdict;
	d->stats.datagrams++;
	age_unlink(d, &d->live, g);
	age_push(d, &d->whole, g);
	g->state = STATE_WHOLE;
	g->whole_ns = frag->ts_ns;
	if (ret_frames)
		*ret_frames = g->frames;
	assemble(d, g, frag, ret_seg);
	return DEFRAG_WHOLE;
}

void defrag_stats(const struct defrag *d, struct defrag_stats *ret_stats)
{
	*ret_stats = d->stats;
	ret_stats->held_datagrams = d->held_datagrams;
	ret_stats->held_bytes = d->held_pages * PAGE_BYTES;
	ret_stats->memory_bytes = sizeof *d + N_PAGES * sizeof(struct page);
}
