/* Pitfalls P1-P11 and P27 that other systems fell into, eviction, periodic records, QUIC (A25, A26, A40),
 * what is not TCP or UDP. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

static const uint64_t second_ns = UINT64_C(1000000000);

static void no_byte_astray(struct talk *t)
{
	struct track_stats s;
	track_stats(t->tr, &s);
	assert_int_equal(told_wire_bytes(&t->told, &s), t->frame_bytes);
}

static const struct flow_facts *one_flow(struct talk *t, uint64_t up)
{
	const struct flow_facts *f = talk_end(t);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(f->up.bytes, up);
	no_byte_astray(t);
	return f;
}

static void p1__second_syn_ack_with_other_isn__no_phantom(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 1600000000, 1, 0);
	talk_tcp(t, 0, FRAME_ACK, 1, 1600000001, 0);
	talk_up(t, 1, 500);
	talk_tcp(t, 1, FRAME_ACK, 1600000001, 501, 300);
	talk_tcp(t, 0, FRAME_ACK, 501, 1600000301, 0);
	const struct flow_facts *f = one_flow(t, 500);
	assert_int_equal(f->down.bytes, 300);
	assert_int_equal(f->down.gap_bytes, 0);
	assert_true(f->flags & FACTS_ISN_CONFLICT);
	talk_free(t);
}

static void p1__late_acknowledgement_of_the_other_isn__capped(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	talk_up(t, 1, 500);
	talk_tcp(t, 1, FRAME_ACK, 1, 501, 300);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 1600000000, 1, 0);
	for (int i = 0; i < 500; i++)
		talk_tcp(t, 0, FRAME_ACK, 501, 1600000001, 0);
	const struct flow_facts *f = one_flow(t, 500);
	assert_true(f->down.bytes <= 300);
	talk_free(t);
}

/* A firewall that rewrites sequence numbers, seen on both sides. */
static void p2__two_sequence_spaces__no_holes_of_gigabytes(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	const uint32_t offset = 2000000000;
	for (unsigned i = 0; i < 3; i++) {
		for (unsigned side = 0; side < 2; side++) {
			uint32_t isn = t->isn[0];
			t->isn[0] += side * offset;
			if (i == 1)
				talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
			else
				talk_tcp(t, 0, i ? FRAME_ACK : FRAME_SYN, i ? 1 : 0, 1, 0);
			t->isn[0] = isn;
		}
	}
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t isn = t->isn[0];
		for (unsigned side = 0; side < 2; side++) {
			t->isn[0] = isn + side * offset;
			talk_up(t, 1 + i * 1000, 1000);
		}
		for (unsigned side = 2; side-- > 0;) {
			t->isn[0] = isn + side * offset;
			talk_ack(t, 1001 + i * 1000);
		}
		t->isn[0] = isn;
	}
	const struct flow_facts *f = one_flow(t, 100000);
	assert_int_equal(f->up.gap_bytes, 0);
	assert_true(f->flags & FACTS_ISN_CONFLICT);
	talk_free(t);
}

static void p3__syn_after_syn_ack__client_is_initiator(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->cport = 1000;
	t->sport = 50000;
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_up(t, 1, 700);
	talk_ack(t, 701);
	const struct flow_facts *f = one_flow(t, 700);
	assert_int_equal(f->src.port, 1000);
	assert_true(f->saw_syn);
	talk_free(t);
}

static void p3__data_before_syn__counted_from_syn(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_up(t, 1, 700);
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_ack(t, 701);
	const struct flow_facts *f = one_flow(t, 700);
	assert_int_equal(f->up.gap_bytes + f->up.oow_bytes, 0);
	assert_true(f->saw_syn);
	assert_false(f->flags & FACTS_MIDSTREAM);
	talk_free(t);
}

static void p3__server_first_midstream__ports_tell(void **state)
{
	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		struct talk *t = talk_new((struct track_conf){0});
		t->v6 = v6;
		talk_tcp(t, 1, FRAME_ACK, 1, 1, 900);
		talk_tcp(t, 0, FRAME_ACK, 1, 901, 0);
		const struct flow_facts *f = one_flow(t, 0);
		assert_int_equal(f->src.port, 50000);
		assert_int_equal(f->down.bytes, 900);
		assert_int_equal(f->src.family, v6 ? 6 : 4);
		talk_free(t);
	}
}

static void p3__wrong_guess__handshake_corrects(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->sport = 8443; /* says nothing */
	talk_tcp(t, 1, FRAME_ACK, 1, 1, 300);
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_tcp(t, 0, FRAME_ACK, 1, 301, 0);
	talk_tcp(t, 0, FRAME_ACK, 1, 301, 700);
	talk_tcp(t, 1, FRAME_ACK, 301, 701, 0);
	const struct flow_facts *f = one_flow(t, 700);
	assert_int_equal(f->src.port, 50000);
	assert_int_equal(f->down.bytes, 300);
	assert_int_equal(f->down.gap_bytes, 0);
	talk_free(t);
}

static void p4__duplicates_and_retransmissions__unique_unchanged(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->copies = 2;
	t->copy_after_ns = 200000;
	talk_handshake(t);
	for (uint32_t i = 0; i < 50; i++) {
		talk_up(t, 1 + i * 1000, 1000);
		if (i % 10 == 9)
			talk_up(t, 1 + i * 1000, 1000);
		talk_ack(t, 1001 + i * 1000);
	}
	const struct flow_facts *f = one_flow(t, 50000);
	assert_int_equal(f->up.dup_bytes, 60000);
	talk_free(t);
}

static void p5__interim_records__deltas_add_up(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){.update_ns = 60 * second_ns});
	talk_handshake(t);
	t->step_ns = second_ns;
	for (uint32_t i = 0; i < 200; i++) {
		talk_up(t, 1 + i * 1000, 1000);
		talk_ack(t, 1001 + i * 1000);
		track_tick(t->tr, t->ts_ns);
	}
	const struct flow_facts *f = talk_end(t);
	uint64_t sum = 0, last_end = 0;
	assert_true(t->told.n >= 7);
	for (size_t i = 0; i < t->told.n; i++) {
		const struct flow_facts *r = &t->told.at[i];
		sum += r->up.delta_bytes;
		assert_int_equal(r->seq, i + 1);
		assert_int_equal(r->up.bytes, sum);
		assert_int_equal(t->told.minutes_up[i], r->up.delta_bytes);
		assert_int_equal(r->flow_id, f->flow_id);
		assert_int_equal(r->reason, i + 1 < t->told.n ? FACTS_REASON_UPDATE : FACTS_REASON_EOF);
		assert_true(i == 0 || r->end_ns - last_end <= 62 * second_ns);
		last_end = r->end_ns;
	}
	assert_int_equal(sum, 200000);
	no_byte_astray(t);
	talk_free(t);
}

static void p5__idle_flow__told_once(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){.update_ns = 60 * second_ns});
	talk_handshake(t);
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	for (uint64_t s = 0; s < 600; s++)
		track_tick(t->tr, t->ts_ns + s * second_ns);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(talk_end(t)->up.delta_bytes, 0);
	assert_int_equal(t->told.at[1].seq, 2);
	talk_free(t);
}

static void p6__download__no_upload(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	for (uint32_t at = 1; at < 1000000; at += 20000) {
		talk_tcp(t, 1, FRAME_ACK, at, 1, 20000);
		talk_tcp(t, 0, FRAME_ACK, 1, at + 20000, 0);
	}
	assert_int_equal(one_flow(t, 0)->down.bytes, 1000000);
	talk_free(t);
}

static void p8__idle_for_ten_minutes__one_flow(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	for (int i = 0; i < 5; i++)
		track_tick(t->tr, t->ts_ns += 590 * second_ns);
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	one_flow(t, 2000);
	talk_free(t);
}

static void p10__offloaded_checksums__counted(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	talk_up(t, 1, 1000);
	t->frame.bytes[14 + 20 + 16] ^= 0x55; /* again, with a checksum that is wrong */
	struct packet p = frame_packet(&t->frame, PACKET_LINK_ETHERNET);
	p.ts_ns = t->ts_ns;
	track_packets(t->tr, &p, 1);
	t->frame_bytes += p.len;
	talk_ack(t, 1001);
	one_flow(t, 1000);
	talk_free(t);
}

static void minutes__long_flow__in_the_minute_they_were_acknowledged(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	uint64_t start_s = t->ts_ns / second_ns; /* 09:14:22 */
	talk_handshake(t);
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	t->ts_ns += 37 * second_ns; /* 09:14:59 */
	talk_up(t, 1001, 300);
	t->ts_ns += 2 * second_ns; /* 09:15:01 */
	talk_ack(t, 1301);
	t->ts_ns += 600 * second_ns;
	talk_up(t, 1301, 70);
	talk_ack(t, 1371);
	const struct flow_facts *f = talk_end(t); /* the minutes lie in the track until the next record */
	assert_int_equal(start_s % 60, 22);
	assert_int_equal(f->n_minutes, 3);
	assert_int_equal(f->minutes[0].start_s, start_s - 22);
	assert_int_equal(f->minutes[0].up_bytes, 1000);
	assert_int_equal(f->minutes[1].start_s, start_s + 38);
	assert_int_equal(f->minutes[1].up_bytes, 300);
	assert_int_equal(f->minutes[2].start_s, start_s + 638);
	assert_int_equal(f->minutes[2].up_bytes, 70);
	talk_free(t);
}

static void table__full__half_open_go_first(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){.max_flows = 100});
	struct track_stats s;
	for (unsigned i = 0; i < 50; i++) {
		t->cport = (uint16_t)(20000 + i);
		talk_handshake(t);
		talk_up(t, 1, 1000);
		talk_ack(t, 1001);
	}
	for (unsigned i = 0; i < 5000; i++) {
		t->cport = (uint16_t)(30000 + i);
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	}
	track_stats(t->tr, &s);
	assert_int_equal(s.flows_active, 100);
	assert_int_equal(s.flows_evicted, 4950);
	for (size_t i = 0; i < t->told.n; i++) {
		assert_int_equal(t->told.at[i].reason, FACTS_REASON_EVICTED);
		assert_true(t->told.at[i].flags & FACTS_EVICTED);
		assert_int_equal(t->told.at[i].up.bytes, 0);
	}
	talk_end(t);
	assert_int_equal(t->told.n, 5050);
	no_byte_astray(t);
	talk_free(t);
}

static void finish__many_flows__in_order_of_first_packet(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->step_ns = 0; /* all at the same time: arrival decides */
	for (unsigned i = 0; i < 3000; i++) {
		t->cport = (uint16_t)(1024 + i * 7919 % 60000);
		if (i == 1500)
			t->ts_ns -= second_ns; /* and time before arrival */
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	}
	talk_end(t);
	assert_int_equal(t->told.n, 3000);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(t->told.at[i].src.port, 1024 + (i + 1500) % 3000 * 7919 % 60000);
	talk_free(t);
}

static void burst__any_size__same_records(void **state)
{
	(void)state;
	enum { N = 96 };
	static struct frame frames[N];
	struct packet pkts[N];
	struct told told[2] = {{0}};
	for (unsigned i = 0; i < N; i++) {
		frame_start(&frames[i]);
		frame_ethernet(&frames[i], 0x0800);
		frame_ip4(&frames[i], i % 2 ? "10.0.0.1" : "10.0.0.2", i % 2 ? "10.0.0.2" : "10.0.0.1", 17);
		frame_udp(&frames[i], i % 2 ? 9000 : 5000 + i % 12, i % 2 ? 5000 + i % 12 : 9000);
		frame_fill(&frames[i], (uint8_t)i, 10 + i);
		pkts[i] = frame_packet(&frames[i], PACKET_LINK_ETHERNET);
		pkts[i].ts_ns += i * 1000;
	}
	for (int way = 0; way < 2; way++) {
		struct track *tr = told_track(&told[way], (struct track_conf){0});
		for (unsigned i = 0; i < N; i += way ? N : 1)
			track_packets(tr, pkts + i, way ? N : 1);
		track_finish(tr, FACTS_REASON_EOF);
		track_free(tr);
	}
	assert_int_equal(told[0].n, told[1].n);
	for (size_t i = 0; i < told[0].n; i++) {
		assert_int_equal(told[0].at[i].flow_id, told[1].at[i].flow_id);
		assert_int_equal(told[0].at[i].up.bytes, told[1].at[i].up.bytes);
		assert_int_equal(told[0].at[i].down.bytes, told[1].at[i].down.bytes);
	}
	told_free(&told[0]);
	told_free(&told[1]);
}

static size_t quic_long(uint8_t *p, const uint8_t *dcid, const uint8_t *scid, uint8_t fill)
{
	size_t n = 0;
	const uint8_t head[] = {0xe1, 0, 0, 0, 1, 8}; /* Handshake, version 1 */
	memcpy(p, head, sizeof head);
	n += sizeof head;
	memcpy(p + n, dcid, 8);
	n += 8;
	p[n++] = 8;
	memcpy(p + n, scid, 8);
	n += 8;
	p[n++] = 0x40;
	p[n++] = 100;
	memset(p + n, fill, 100);
	return n + 100;
}

static size_t quic_short(uint8_t *p, const uint8_t *dcid, uint8_t fill)
{
	p[0] = 0x41;
	memcpy(p + 1, dcid, 8);
	memset(p + 9, fill, 200);
	return 209;
}

static const uint8_t client_cid[8] = "clientID", server_cid[8] = "serverID", other_cid[8] = "otherID!";

static void quic_open(struct talk *t)
{
	uint8_t p[512];
	talk_udp(t, 0, p, quic_long(p, other_cid, client_cid, 1));
	talk_udp(t, 1, p, quic_long(p, client_cid, server_cid, 2));
	talk_udp(t, 0, p, quic_short(p, server_cid, 3));
}

static void a25__quic_twice__once(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	uint8_t p[512];
	t->copies = 2;
	t->copy_after_ns = 50000000;
	quic_open(t);
	for (unsigned i = 10; i < 30; i++)
		talk_udp(t, 0, p, quic_short(p, server_cid, (uint8_t)i));
	const struct flow_facts *f = one_flow(t, 125 + 21 * 209);
	assert_int_equal(f->up.dup_bytes, 125 + 21 * 209);
	assert_int_equal(f->down.bytes, 125);
	assert_int_equal(f->up.basis, FACTS_BASIS_UDP_PAYLOAD);
	assert_true(f->flags & FACTS_DUPLICATED);
	talk_free(t);
}

static void a26__same_datagram_a_second_apart__both_count(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	uint8_t p[512];
	quic_open(t);
	for (unsigned i = 0; i < 5; i++) {
		talk_udp(t, 0, p, quic_short(p, server_cid, 77));
		t->ts_ns += second_ns;
	}
	one_flow(t, 125 + 6 * 209);
	talk_free(t);
}

static void a40__client_port_changes__linked_and_never_double(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		bool new_cid = round & 1, greased = round & 2; /* RFC 9287: the fixed bit is clear */
		struct talk *t = talk_new((struct track_conf){0});
		struct track_stats s;
		uint8_t p[512];
		quic_open(t);
		t->cport++;
		for (unsigned i = 10; i < 20; i++) {
			size_t n = quic_short(p, new_cid ? other_cid : server_cid, (uint8_t)i);
			p[0] = greased && i < 15 ? 0x16 : p[0];
			talk_udp(t, 0, p, n);
		}
		talk_end(t);
		assert_int_equal(t->told.n, 2);
		assert_int_equal(t->told.at[0].up.bytes, 125 + 209);
		assert_int_equal(t->told.at[1].up.bytes, 10 * 209);
		assert_true(t->told.at[0].flags & t->told.at[1].flags & FACTS_MIGRATED);
		track_stats(t->tr, &s);
		assert_int_equal(s.quic_migrated, 1);
		no_byte_astray(t);
		talk_free(t);
	}
}

static void a40__half_a_minute_later__not_linked(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	uint8_t p[512];
	quic_open(t);
	t->cport++;
	t->ts_ns += 31 * second_ns;
	talk_udp(t, 0, p, quic_short(p, server_cid, 9));
	talk_end(t);
	assert_false((t->told.at[0].flags | t->told.at[1].flags) & FACTS_MIGRATED);
	talk_free(t);
}

static void p27__long_quic_flow__interim_records(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){.update_ns = 60 * second_ns});
	uint8_t p[512];
	quic_open(t);
	for (unsigned i = 0; i < 200; i++) {
		t->ts_ns += second_ns;
		talk_udp(t, 0, p, quic_short(p, server_cid, (uint8_t)(i + 10)));
	}
	const struct flow_facts *f = talk_end(t);
	assert_true(t->told.n >= 4);
	assert_int_equal(f->up.bytes, 125 + 201 * 209);
	talk_free(t);
}

static void other__icmp__is_a_flow(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	for (unsigned dir = 0; dir < 2; dir++)
		TALK_COPIES(t, dir, 1, frame_fill(&t->frame, 8, 64));
	const struct flow_facts *f = one_flow(t, 64);
	assert_int_equal(f->proto, 1);
	assert_int_equal(f->down.bytes, 64);
	assert_int_equal(f->src.port, 0);
	talk_free(t);
}

static void fragments__put_together__in_the_flow(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	struct track_stats s;
	for (unsigned i = 0; i < 3; i++) {
		frame_start(&t->frame);
		frame_ethernet(&t->frame, 0x0800);
		frame_ip4_frag(&t->frame, "10.0.0.1", "192.0.2.9", 17, 99,
			       i == 0   ? 0x2000
			       : i == 1 ? 0x2000 | 126
					: 252);
		if (i == 0) {
			frame_u16(&t->frame, 5000);
			frame_u16(&t->frame, 9000);
			frame_u16(&t->frame, 8 + 1000 + 1008 + 500);
			frame_u16(&t->frame, 0);
		}
		frame_fill(&t->frame, 'x', i == 0 ? 1000 : i == 1 ? 1008 : 500);
		talk_give(t, 0);
	}
	const struct flow_facts *f = one_flow(t, 2508);
	assert_int_equal(f->up.packets, 3);
	assert_int_equal(f->up.wire_bytes, t->frame_bytes);
	assert_true(f->flags & FACTS_FRAGMENTED);
	track_stats(t->tr, &s);
	assert_int_equal(s.verdict_bytes[DECODE_FRAGMENT], 0);
	assert_int_equal(s.frag_datagrams, 1);
	talk_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(p1__second_syn_ack_with_other_isn__no_phantom),
	    cmocka_unit_test(p1__late_acknowledgement_of_the_other_isn__capped),
	    cmocka_unit_test(p2__two_sequence_spaces__no_holes_of_gigabytes),
	    cmocka_unit_test(p3__syn_after_syn_ack__client_is_initiator),
	    cmocka_unit_test(p3__data_before_syn__counted_from_syn),
	    cmocka_unit_test(p3__server_first_midstream__ports_tell),
	    cmocka_unit_test(p3__wrong_guess__handshake_corrects),
	    cmocka_unit_test(p4__duplicates_and_retransmissions__unique_unchanged),
	    cmocka_unit_test(p5__interim_records__deltas_add_up),
	    cmocka_unit_test(p5__idle_flow__told_once),
	    cmocka_unit_test(p6__download__no_upload),
	    cmocka_unit_test(p8__idle_for_ten_minutes__one_flow),
	    cmocka_unit_test(p10__offloaded_checksums__counted),
	    cmocka_unit_test(minutes__long_flow__in_the_minute_they_were_acknowledged),
	    cmocka_unit_test(table__full__half_open_go_first),
	    cmocka_unit_test(finish__many_flows__in_order_of_first_packet),
	    cmocka_unit_test(burst__any_size__same_records),
	    cmocka_unit_test(a25__quic_twice__once),
	    cmocka_unit_test(a26__same_datagram_a_second_apart__both_count),
	    cmocka_unit_test(a40__client_port_changes__linked_and_never_double),
	    cmocka_unit_test(a40__half_a_minute_later__not_linked),
	    cmocka_unit_test(p27__long_quic_flow__interim_records),
	    cmocka_unit_test(other__icmp__is_a_flow),
	    cmocka_unit_test(fragments__put_together__in_the_flow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
