/* Rows A01-A03 and A06-A14 of the page on bytes: TCP faults and the right number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

static struct talk *open_talk(void)
{
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	return t;
}

/* The one flow, its upload, and that no wire byte went astray. */
static const struct flow_facts *one_flow(struct talk *t, uint64_t up)
{
	struct track_stats s;
	const struct flow_facts *f = talk_end(t);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(f->up.bytes, up);
	assert_int_equal(f->up.bytes, f->up.delta_bytes);
	assert_int_equal(t->told.minutes_up[0], up);
	track_stats(t->tr, &s);
	assert_int_equal(told_wire_bytes(&t->told, &s), t->frame_bytes);
	return f;
}

static void a01__every_segment_twice__once_counted(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	for (uint32_t i = 0; i < 20; i++) {
		talk_up(t, 1 + i * 100, 100);
		talk_up(t, 1 + i * 100, 100);
		talk_ack(t, 101 + i * 100);
	}
	talk_close(t, 2001, 1);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_int_equal(f->up.dup_bytes, 2000);
	assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes + f->up.oow_bytes, 0);
	assert_int_equal(f->reason, FACTS_REASON_FIN);
	talk_free(t);
}

static void a02__overlaps__bytes_once(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 100);
	talk_up(t, 51, 100);  /* half known */
	talk_up(t, 251, 50);  /* a hole before it */
	talk_up(t, 101, 300); /* over everything, both sides */
	talk_ack(t, 401);
	const struct flow_facts *f = one_flow(t, 400);
	assert_int_equal(f->up.dup_bytes, 50 + 100);
	assert_int_equal(f->up.gap_bytes, 0);
	talk_free(t);
}

static void a03__outside_the_window__not_unique(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	struct track_stats s;
	talk_up(t, 1, 100);
	talk_ack(t, 101);
	talk_up(t, (uint32_t)-5000, 100); /* left of the stream */
	talk_up(t, 101 + 64000 * 4, 100); /* right of the window */
	const struct flow_facts *f = one_flow(t, 100);
	assert_int_equal(f->up.oow_bytes, 200);
	assert_int_equal(f->up.unacked_bytes, 0);
	track_stats(t->tr, &s);
	assert_int_equal(s.segments_oow, 2);
	talk_free(t);
}

static void a06__inserted_below_the_receiver__unacked(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	t->ttl = 3;
	talk_up(t, 1001, 300);
	const struct flow_facts *f = one_flow(t, 1000);
	assert_int_equal(f->up.unacked_bytes, 300);
	assert_int_equal(f->up.bytes_min, 1000);
	assert_int_equal(f->up.bytes_max, 1300);
	talk_free(t);
}

static void a07__a_gigabyte_never_acknowledged__unacked(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	t->snaplen = 60;
	talk_ack(t, 1);
	for (uint32_t at = 1; at < 1000000001; at += 62500)
		talk_up(t, at, 62500);
	const struct flow_facts *f = one_flow(t, 0);
	assert_int_equal(f->up.unacked_bytes, 1000000000);
	assert_int_equal(f->up.bytes_max, 1000000000);
	assert_true(f->flags & FACTS_SLICED);
	talk_free(t);
}

static void a08__forged_acknowledgement__ignored(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	struct track_stats s;
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	talk_ack(t, 30000000);
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_true(f->flags & FACTS_ACK_BEYOND);
	assert_false(f->flags & FACTS_UNCERTAIN);
	track_stats(t->tr, &s);
	assert_int_equal(s.ack_beyond_window, 1);
	talk_free(t);
}

static void a09__resets__flow_survives(void **state)
{
	(void)state;
	static const uint32_t seqs[] = {77777777, 2000, 1001};
	for (size_t i = 0; i < 3; i++) {
		struct talk *t = open_talk();
		talk_up(t, 1, 1000);
		talk_ack(t, 1001);
		talk_tcp(t, 0, FRAME_RST, seqs[i], 0, 0);
		t->ts_ns += UINT64_C(20000000000);
		talk_up(t, 1001, 500);
		talk_ack(t, 1501);
		t->ts_ns += UINT64_C(40000000000); /* longer than a reset flow would be kept */
		talk_up(t, 1501, 500);
		talk_ack(t, 2001);
		talk_close(t, 2001, 1);
		assert_int_equal(one_flow(t, 2000)->reason, FACTS_REASON_FIN);
		talk_free(t);
	}
}

static void a09__reset_and_silence__ends_after_closed_time(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	talk_tcp(t, 1, FRAME_RST, 1, 0, 0);
	track_tick(t->tr, t->ts_ns + UINT64_C(29000000000));
	assert_int_equal(t->told.n, 0);
	track_tick(t->tr, t->ts_ns + UINT64_C(35000000000));
	assert_int_equal(t->told.n, 1);
	assert_int_equal(t->told.at[0].reason, FACTS_REASON_RST);
	assert_int_equal(t->told.at[0].state, FACTS_STATE_CLOSED);
	assert_int_equal(t->told.at[0].up.bytes, 1000);
	talk_free(t);
}

static void a10__data_after_fin__not_counted(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_tcp(t, 0, FRAME_FIN | FRAME_ACK, 1001, 1, 0);
	talk_up(t, 1001, 400);
	talk_ack(t, 1002);
	const struct flow_facts *f = one_flow(t, 1000);
	assert_true(f->flags & FACTS_AFTER_FIN);
	assert_int_equal(f->up.unacked_bytes, 0);
	talk_free(t);
}

static void a10__forged_fin_then_acknowledged_data__fin_refuted(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_tcp(t, 0, FRAME_FIN | FRAME_ACK, 1001, 1, 0);
	talk_up(t, 1001, 400);
	talk_ack(t, 1401);
	talk_close(t, 1401, 1);
	const struct flow_facts *f = one_flow(t, 1400);
	assert_false(f->flags & FACTS_AFTER_FIN);
	assert_int_equal(f->up.gap_bytes, 0);
	talk_free(t);
}

static void a11__syn_data__counted_once(void **state)
{
	(void)state;
	for (int accepted = 0; accepted < 2; accepted++) {
		struct talk *t = talk_new((struct track_conf){0});
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 200);
		talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, accepted ? 201 : 1, 0);
		if (!accepted)
			talk_up(t, 1, 200);
		talk_up(t, 201, 100);
		talk_ack(t, 301);
		const struct flow_facts *f = one_flow(t, 300);
		assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes, 0);
		assert_int_equal(f->up.dup_bytes, accepted ? 0 : 200);
		talk_free(t);
	}
}

static void a12__simultaneous_open__one_flow(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 1, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 0, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_up(t, 1, 700);
	talk_tcp(t, 1, FRAME_ACK, 1, 701, 90);
	talk_tcp(t, 0, FRAME_ACK, 701, 91, 0);
	const struct flow_facts *f = one_flow(t, 700);
	assert_int_equal(f->down.bytes, 90);
	assert_int_equal(f->src.port, 50000);
	talk_free(t);
}

static void a12__split_handshake__first_syn_is_client(void **state)
{
	(void)state;
	for (int packets = 4; packets <= 5; packets++) {
		struct talk *t = talk_new((struct track_conf){0});
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
		if (packets == 5)
			talk_tcp(t, 1, FRAME_ACK, 0, 1, 0);
		talk_tcp(t, 1, FRAME_SYN, 0, 0, 0);
		talk_tcp(t, 0, FRAME_SYN | FRAME_ACK, 0, 1, 0);
		talk_tcp(t, 1, FRAME_ACK, 1, 1, 0);
		talk_up(t, 1, 700);
		talk_tcp(t, 1, FRAME_ACK, 1, 701, 90);
		talk_tcp(t, 0, FRAME_ACK, 701, 91, 0);
		const struct flow_facts *f = one_flow(t, 700);
		assert_int_equal(f->down.bytes, 90);
		assert_int_equal(f->src.port, 50000);
		talk_free(t);
	}
}

static void a13__other_syn_in_established_flow__unaffected(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 500);
	talk_ack(t, 501);
	talk_tcp(t, 0, FRAME_SYN, 123456789, 0, 0);
	talk_up(t, 501, 500);
	talk_ack(t, 1001);
	const struct flow_facts *f = one_flow(t, 1000);
	assert_int_equal(f->up.gap_bytes, 0);
	assert_true(f->flags & FACTS_ISN_CONFLICT);
	talk_free(t);
}

static void a13__second_syn_answered__counts_from_it(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	t->isn[0] = 70000000;
	talk_handshake(t);
	talk_up(t, 1, 500);
	talk_ack(t, 501);
	const struct flow_facts *f = one_flow(t, 500);
	assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes, 0);
	talk_free(t);
}

static void a13__data_before_handshake_end__counted(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 0, 0, 1, 0, 300);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	talk_ack(t, 301);
	assert_int_equal(one_flow(t, 300)->up.gap_bytes, 0);
	talk_free(t);
}

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* Frames of 64 KiB cut to 96 bytes; only the numbers in the headers change. */
static void a14__ten_gibibytes__exact(void **state)
{
	(void)state;
	enum { ETHERNET_IP = 34, SEQ = ETHERNET_IP + 4, ACK = ETHERNET_IP + 8, EACH = 62500 };
	const uint64_t total = UINT64_C(10737418240);
	struct talk *t = open_talk();
	t->window[1] = 8000; /* 1,024,000 bytes */
	talk_ack(t, 1);
	uint8_t data[96], ack[54];
	talk_up(t, 1, EACH);
	memcpy(data, t->frame.bytes, sizeof data);
	talk_ack(t, 1 + EACH);
	memcpy(ack, t->frame.bytes, sizeof ack);
	uint64_t sent = EACH;
	for (; total - sent > EACH; sent += EACH) {
		put32(data + SEQ, t->isn[0] + 1 + (uint32_t)sent);
		put32(ack + ACK, t->isn[0] + 1 + (uint32_t)sent + EACH);
		const struct packet p[2] = {
		    {.ts_ns = t->ts_ns, .data = data, .caplen = sizeof data, .len = ETHERNET_IP + 20 + EACH},
		    {.ts_ns = t->ts_ns + 5000, .data = ack, .caplen = sizeof ack, .len = sizeof ack},
		};
		track_packets(t->tr, p, 2);
		t->frame_bytes += p[0].len + p[1].len;
		t->ts_ns += 10000;
	}
	uint32_t seq = 1 + (uint32_t)sent, rest = (uint32_t)(total - sent);
	talk_up(t, seq, rest);
	talk_ack(t, seq + rest);
	talk_close(t, seq + rest, 1);
	const struct flow_facts *f = one_flow(t, total);
	assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes + f->up.dup_bytes + f->up.oow_bytes, 0);
	assert_int_equal(f->up.bytes_min, total);
	assert_false(f->flags & (FACTS_UNCERTAIN | FACTS_ACK_BEYOND));
	talk_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a01__every_segment_twice__once_counted),
	    cmocka_unit_test(a02__overlaps__bytes_once),
	    cmocka_unit_test(a03__outside_the_window__not_unique),
	    cmocka_unit_test(a06__inserted_below_the_receiver__unacked),
	    cmocka_unit_test(a07__a_gigabyte_never_acknowledged__unacked),
	    cmocka_unit_test(a08__forged_acknowledgement__ignored),
	    cmocka_unit_test(a09__resets__flow_survives),
	    cmocka_unit_test(a09__reset_and_silence__ends_after_closed_time),
	    cmocka_unit_test(a10__data_after_fin__not_counted),
	    cmocka_unit_test(a10__forged_fin_then_acknowledged_data__fin_refuted),
	    cmocka_unit_test(a11__syn_data__counted_once),
	    cmocka_unit_test(a12__simultaneous_open__one_flow),
	    cmocka_unit_test(a12__split_handshake__first_syn_is_client),
	    cmocka_unit_test(a13__other_syn_in_established_flow__unaffected),
	    cmocka_unit_test(a13__second_syn_answered__counts_from_it),
	    cmocka_unit_test(a13__data_before_handshake_end__counted),
	    cmocka_unit_test(a14__ten_gibibytes__exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
