/* talk: one client and one server whose frames go into a track, for tests of accounting. Sequence numbers are
 * given relative to the SYN: 0 is the SYN, 1 the first byte. */
#ifndef LEAKTAP_TESTS_UNIT_TALK_H
#define LEAKTAP_TESTS_UNIT_TALK_H

#include "tests/unit/frames.h"
#include "tests/unit/told.h"

struct talk {
	struct track *tr;
	struct told told;
	uint64_t ts_ns, step_ns, frame_bytes;
	uint32_t isn[2];
	uint32_t window[2]; /* as in the header */
	uint16_t cport, sport;
	uint8_t wscale, ttl, vlan;
	uint32_t snaplen, copies;
	uint64_t copy_after_ns;
	uint8_t copy_ttl, copy_vlan;
	bool v6, drop_up, drop_down;
	uint16_t ip_id;
	struct frame frame;
};

#define TALK_FN static inline __attribute__((unused))

TALK_FN struct talk *talk_new(struct track_conf conf)
{
	struct talk *t = calloc(1, sizeof *t);
	if (!t)
		abort();
	t->tr = told_track(&t->told, conf);
	t->ts_ns = UINT64_C(1772442862) * 1000000000; /* 2026-03-02T09:14:22Z */
	t->step_ns = 1000000;
	t->isn[0] = 1000;
	t->isn[1] = 900000;
	t->window[0] = t->window[1] = 500; /* scaled by 128: 64,000 */
	t->wscale = 7;
	t->cport = 50000;
	t->sport = 443;
	t->ttl = 64;
	t->copies = 1;
	return t;
}

TALK_FN void talk_free(struct talk *t)
{
	track_free(t->tr);
	told_free(&t->told);
	free(t);
}

TALK_FN void talk_start_frame(struct talk *t, unsigned dir, uint32_t proto, uint8_t ttl, uint8_t vlan)
{
	static const char *const ip4[] = {"10.0.0.1", "192.0.2.9"}, *const ip6[] = {"2001:db8::1",
										    "2001:db8::9"};
	const char *const *ip = t->v6 ? ip6 : ip4;
	uint32_t type = t->v6 ? 0x86dd : 0x0800;
	frame_start(&t->frame);
	frame_ethernet(&t->frame, vlan ? 0x8100 : type);
	if (vlan)
		frame_vlan(&t->frame, vlan, type);
	size_t at = t->frame.n;
	if (t->v6)
		frame_ip6(&t->frame, ip[dir], ip[!dir], proto);
	else
		frame_ip4_frag(&t->frame, ip[dir], ip[!dir], proto, t->ip_id, 0x4000);
	t->frame.bytes[at + (t->v6 ? 7 : 8)] = ttl;
}

TALK_FN void talk_give(struct talk *t, unsigned dir)
{
	if (dir == 0 ? t->drop_up : t->drop_down)
		return;
	struct packet p = frame_packet(&t->frame, PACKET_LINK_ETHERNET);
	p.ts_ns = t->ts_ns;
	if (t->snaplen && p.caplen > t->snaplen)
		p.caplen = t->snaplen;
	t->frame_bytes += p.len;
	track_packets(t->tr, &p, 1);
}

/* Every frame as often as the tap delivers it. */
#define TALK_COPIES(t, dir, proto, build)                                                                    \
	do {                                                                                                 \
		t->ip_id++;                                                                                  \
		for (uint32_t copy = 0; copy < t->copies; copy++) {                                          \
			uint64_t at_ns = t->ts_ns;                                                           \
			t->ts_ns += copy * t->copy_after_ns;                                                 \
			talk_start_frame(t, dir, proto, copy && t->copy_ttl ? t->copy_ttl : t->ttl,          \
					 copy && t->copy_vlan ? t->copy_vlan : t->vlan);                     \
			build;                                                                               \
			talk_give(t, dir);                                                                   \
			t->ts_ns = at_ns;                                                                    \
		}                                                                                            \
		t->ts_ns += t->step_ns;                                                                      \
	} while (0)

TALK_FN void talk_tcp(struct talk *t, unsigned dir, uint32_t flags, uint32_t seq, uint32_t ack, uint32_t n)
{
	const uint8_t scale[4] = {3, 3, t->wscale, 0};
	bool syn = flags & FRAME_SYN;
	uint32_t ackno = flags & FRAME_ACK ? t->isn[!dir] + ack : 0;
	TALK_COPIES(t, dir, 6, {
		frame_tcp_options(&t->frame, dir ? t->sport : t->cport, dir ? t->cport : t->sport,
				  t->isn[dir] + seq, ackno, flags, syn ? 64000 : t->window[dir], scale,
				  syn && t->wscale != 0xff ? 4 : 0);
		frame_fill(&t->frame, (uint8_t)('a' + seq % 23), n);
	});
}

TALK_FN void talk_handshake(struct talk *t)
{
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_tcp(t, 0, FRAME_ACK, 1, 1, 0);
}

TALK_FN void talk_up(struct talk *t, uint32_t seq, uint32_t n) /* server has sent nothing */
{
	talk_tcp(t, 0, FRAME_ACK | FRAME_PSH, seq, 1, n);
}

TALK_FN void talk_ack(struct talk *t, uint32_t ack)
{
	talk_tcp(t, 1, FRAME_ACK, 1, ack, 0);
}

/* Both FINs, each acknowledged; up and down are the next sequence numbers. */
TALK_FN void talk_close(struct talk *t, uint32_t up, uint32_t down)
{
	talk_tcp(t, 0, FRAME_FIN | FRAME_ACK, up, down, 0);
	talk_tcp(t, 1, FRAME_FIN | FRAME_ACK, down, up + 1, 0);
	talk_tcp(t, 0, FRAME_ACK, up + 1, down + 1, 0);
}

TALK_FN void talk_udp(struct talk *t, unsigned dir, const void *payload, size_t n)
{
	TALK_COPIES(t, dir, 17, {
		frame_udp(&t->frame, dir ? t->sport : t->cport, dir ? t->cport : t->sport);
		frame_bytes(&t->frame, payload, n);
	});
}

TALK_FN const struct flow_facts *talk_end(struct talk *t)
{
	track_finish(t->tr, FACTS_REASON_EOF);
	return t->told.n ? &t->told.at[t->told.n - 1] : NULL;
}

#endif
