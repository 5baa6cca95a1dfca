/* wire: frames of one client and one server into a track, under any headers a tap may add, and what track
 * says of the names; for tests of names through the whole path. */
#ifndef LEAKTAP_TESTS_UNIT_WIRE_H
#define LEAKTAP_TESTS_UNIT_WIRE_H

#include <stdio.h>

#include "dissect/track.h"
#include "tests/unit/frames.h"

/* One last record. */
struct heard {
	char name[300], sni[300], connect_host[300], app_proto[16], ndpi[64], candidates[600];
	uint8_t source, proto;
	uint16_t cport, tls_version;
	uint32_t flags;
};

typedef void wire_wrap_fn(struct frame *f, unsigned dir, uint32_t type);

struct wire {
	struct track *tr;
	struct heard heard[16];
	size_t n;
	uint64_t ts_ns;
	uint32_t isn[2], at[2]; /* at: position of the next byte in order */
	uint16_t cport, sport;
	uint32_t snaplen;
	uint32_t fragment_bytes; /* of the IP payload; 0: whole */
	uint32_t outer_fragment_bytes; /* of what the outermost IPv4 header carries, behind Ethernet; 0: whole */
	uint16_t outer_id;
	bool v6, fragments_back;
	enum packet_link link;
	wire_wrap_fn *wrap; /* everything before the IP header; NULL: Ethernet */
	struct frame frame;
};

#define WIRE_FN static inline __attribute__((unused))

WIRE_FN void wire_text(char *to, size_t size, const char *text)
{
	snprintf(to, size, "%s", text ? text : "");
}

WIRE_FN void wire_hear(void *ctx, const struct flow_facts *f)
{
	struct wire *w = ctx;
	if (!f->last || w->n == sizeof w->heard / sizeof *w->heard)
		return;
	struct heard *h = &w->heard[w->n++];
	wire_text(h->name, sizeof h->name, f->name);
	wire_text(h->sni, sizeof h->sni, f->sni);
	wire_text(h->connect_host, sizeof h->connect_host, f->connect_host);
	wire_text(h->app_proto, sizeof h->app_proto, f->app_proto);
	wire_text(h->ndpi, sizeof h->ndpi, f->ndpi_protocol);
	h->candidates[0] = 0;
	for (size_t i = 0, n = 0; i < f->n_name_candidates; i++)
		n += (size_t)snprintf(h->candidates + n, sizeof h->candidates - n, "%s%s", n ? "," : "",
				      f->name_candidates[i]);
	h->source = f->name_source;
	h->proto = f->proto;
	h->cport = f->src.port;
	h->tls_version = f->tls_version;
	h->flags = f->flags;
}

/* Ready for another flow, with the track and its client ports as they are. */
WIRE_FN void wire_reset(struct wire *w)
{
	struct track *tr = w->tr;
	const uint16_t cport = w->cport;
	const uint64_t ts_ns = w->ts_ns;
	memset(w, 0, offsetof(struct wire, frame));
	w->tr = tr;
	w->cport = (uint16_t)(cport < 30000 ? 30000 : cport + 1);
	w->ts_ns = ts_ns + UINT64_C(1000000000);
	w->isn[0] = 1000;
	w->isn[1] = 900000;
	w->sport = 443;
	w->link = PACKET_LINK_ETHERNET;
}

WIRE_FN struct wire *wire_new(struct track_conf conf)
{
	struct wire *w = calloc(1, sizeof *w);
	struct err err;
	conf.publish = wire_hear;
	conf.publish_ctx = w;
	if (!w || track_new(&w->tr, &conf, &err) < 0)
		abort();
	w->ts_ns = UINT64_C(1772442862) * 1000000000;
	wire_reset(w);
	return w;
}

WIRE_FN void wire_free(struct wire *w)
{
	track_free(w->tr);
	free(w);
}

WIRE_FN void wire_packet(struct wire *w, struct packet p)
{
	uint8_t *copy = malloc(p.caplen); /* exact, so that ASan sees a read past the end */
	memcpy(copy, p.data, p.caplen);
	p.data = copy;
	p.ts_ns = w->ts_ns;
	if (w->snaplen && p.caplen > w->snaplen)
		p.caplen = w->snaplen;
	track_packets(w->tr, &p, 1);
	free(copy);
	w->ts_ns += 100000;
}

/* The frame again in pieces, as a router on the way of the tunnel makes them. */
WIRE_FN void wire_split(struct wire *w, struct packet p)
{
	enum { HEADERS = 14 + 20 };
	const size_t step = w->outer_fragment_bytes, n = p.len - HEADERS;
	uint8_t piece[FRAME_MAX];
	w->outer_id++;
	for (size_t from = 0; from < n; from += step) {
		const size_t some = n - from < step ? n - from : step, total = 20 + some;
		const size_t place = (from + some < n ? 0x2000u : 0) | from / 8;
		memcpy(piece, p.data, HEADERS);
		memcpy(piece + HEADERS, p.data + HEADERS + from, some);
		memcpy(piece + 16,
		       (const uint8_t[]){(uint8_t)(total >> 8), (uint8_t)total, (uint8_t)(w->outer_id >> 8),
					 (uint8_t)w->outer_id, (uint8_t)(place >> 8), (uint8_t)place},
		       6);
		struct packet part = p;
		part.data = piece;
		part.len = part.caplen = (uint32_t)(HEADERS + some);
		wire_packet(w, part);
	}
}

WIRE_FN void wire_give(struct wire *w)
{
	struct packet p = frame_packet(&w->frame, w->link);
	if (w->outer_fragment_bytes && p.len > 34 + w->outer_fragment_bytes)
		wire_split(w, p);
	else
		wire_packet(w, p);
}

WIRE_FN const char *wire_ip(const struct wire *w, unsigned dir)
{
	static const char *const ip[] = {"10.0.0.1", "203.0.113.9", "2001:db8::1", "2001:db8:9::9"};
	return ip[2 * w->v6 + dir];
}

WIRE_FN void wire_link(struct wire *w, unsigned dir)
{
	uint32_t type = w->v6 ? 0x86dd : 0x0800;
	frame_start(&w->frame);
	if (w->wrap)
		w->wrap(&w->frame, dir, type);
	else
		frame_ethernet(&w->frame, type);
}

WIRE_FN void wire_fragment(struct wire *w, unsigned dir, uint32_t proto, const uint8_t *p, size_t from,
			   size_t n, bool more)
{
	wire_link(w, dir);
	if (w->v6) {
		frame_ip6(&w->frame, wire_ip(w, dir), wire_ip(w, !dir), 44);
		frame_fragment6(&w->frame, proto, 77, (uint32_t)from, more);
	} else {
		frame_ip4_frag(&w->frame, wire_ip(w, dir), wire_ip(w, !dir), proto, 77,
			       (more ? 0x2000u : 0) | (uint32_t)(from / 8));
	}
	frame_bytes(&w->frame, p + from, n);
	wire_give(w);
}

/* What the frame holds behind its IP header goes out in pieces. */
WIRE_FN void wire_fragments(struct wire *w, unsigned dir, uint32_t proto, size_t l4)
{
	static uint8_t all[FRAME_MAX];
	frame_finish(&w->frame);
	size_t n = w->frame.n - l4, step = w->fragment_bytes, pieces = (n + step - 1) / step;
	memcpy(all, w->frame.bytes + l4, n);
	for (size_t i = 0; i < pieces; i++) {
		size_t k = w->fragments_back ? pieces - 1 - i : i, from = k * step;
		wire_fragment(w, dir, proto, all, from, n - from < step ? n - from : step, k + 1 < pieces);
	}
}

WIRE_FN size_t wire_start(struct wire *w, unsigned dir, uint32_t proto)
{
	wire_link(w, dir);
	if (w->v6)
		frame_ip6(&w->frame, wire_ip(w, dir), wire_ip(w, !dir), proto);
	else
		frame_ip4(&w->frame, wire_ip(w, dir), wire_ip(w, !dir), proto);
	return w->frame.n;
}

WIRE_FN void wire_done(struct wire *w, unsigned dir, uint32_t proto, size_t l4)
{
	if (w->fragment_bytes && w->frame.n - l4 > w->fragment_bytes)
		wire_fragments(w, dir, proto, l4);
	else
		wire_give(w);
}

WIRE_FN void wire_tcp(struct wire *w, unsigned dir, uint32_t flags, uint32_t position, const void *p,
		      size_t n)
{
	size_t l4 = wire_start(w, dir, 6);
	uint32_t seq = w->isn[dir] + (flags & FRAME_SYN ? 0 : 1) + position;
	uint32_t ack = flags & FRAME_ACK ? w->isn[!dir] + 1 + w->at[!dir] : 0;
	frame_tcp(&w->frame, dir ? w->sport : w->cport, dir ? w->cport : w->sport, seq, ack, flags);
	frame_bytes(&w->frame, p, n);
	wire_done(w, dir, 6, l4);
}

WIRE_FN void wire_open(struct wire *w)
{
	w->at[0] = w->at[1] = 0;
	wire_tcp(w, 0, FRAME_SYN, 0, NULL, 0);
	wire_tcp(w, 1, FRAME_SYN | FRAME_ACK, 0, NULL, 0);
	wire_tcp(w, 0, FRAME_ACK, 0, NULL, 0);
}

/* Position: relative to the first byte of the direction. */
WIRE_FN void wire_say_at(struct wire *w, unsigned dir, uint32_t position, const void *p, size_t n)
{
	wire_tcp(w, dir, FRAME_ACK | FRAME_PSH, position, p, n);
	if (position + n > w->at[dir])
		w->at[dir] = position + (uint32_t)n;
}

WIRE_FN void wire_say(struct wire *w, unsigned dir, const void *p, size_t n)
{
	wire_say_at(w, dir, w->at[dir], p, n);
}

WIRE_FN void wire_udp(struct wire *w, unsigned dir, const void *p, size_t n)
{
	size_t l4 = wire_start(w, dir, 17);
	frame_udp(&w->frame, dir ? w->sport : w->cport, dir ? w->cport : w->sport);
	frame_bytes(&w->frame, p, n);
	wire_done(w, dir, 17, l4);
}

/* Ends all flows; the record of the flow under way, or NULL. */
WIRE_FN const struct heard *wire_end(struct wire *w)
{
	track_finish(w->tr, FACTS_REASON_EOF);
	const struct heard *last = NULL;
	for (size_t i = 0; i < w->n; i++)
		if (w->heard[i].cport == w->cport || w->heard[i].cport == w->sport) /* either may be taken for the initiator */
			last = &w->heard[i];
	return last;
}

#endif
