/* Rows A15-A28 and A41 of the page on bytes: what a tap can do to the view of a connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

static const uint64_t second_ns = UINT64_C(1000000000);

static struct talk *open_talk(void)
{
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	return t;
}

static void no_byte_astray(struct talk *t)
{
	struct track_stats s;
	track_stats(t->tr, &s);
	assert_int_equal(told_wire_bytes(&t->told, &s), t->frame_bytes);
	assert_int_equal(s.flows_active, 0);
	assert_int_equal(s.flows_new, s.flows_ended);
}

static const struct flow_facts *one_flow(struct talk *t, uint64_t up)
{
	const struct flow_facts *f = talk_end(t);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(f->up.bytes, up);
	assert_int_equal(t->told.minutes_up[0], up);
	no_byte_astray(t);
	return f;
}

static void a15__port_reused_after_end__two_flows(void **state)
{
	(void)state;
	for (int by_reset = 0; by_reset < 2; by_reset++) {
		struct talk *t = open_talk();
		talk_up(t, 1, 1000);
		talk_ack(t, 1001);
		if (by_reset)
			talk_tcp(t, 0, FRAME_RST | FRAME_ACK, 1001, 1, 0);
		else
			talk_close(t, 1001, 1);
		t->isn[0] += 3000000;
		t->isn[1] += 5000000;
		talk_handshake(t);
		talk_up(t, 1, 2500);
		talk_ack(t, 2501);
		talk_end(t);
		assert_int_equal(t->told.n, 2);
		assert_int_equal(t->told.at[0].up.bytes, 1000);
		assert_int_equal(t->told.at[0].reason, FACTS_REASON_REUSED);
		assert_int_equal(t->told.at[1].up.bytes, 2500);
		assert_int_equal(t->told.at[1].up.packets, 3);
		assert_true(t->told.at[1].saw_syn);
		assert_true(t->told.at[0].flow_id != t->told.at[1].flow_id);
		assert_true(t->told.at[0].end_ns < t->told.at[1].start_ns);
		assert_false((t->told.at[0].flags | t->told.at[1].flags) & FACTS_ISN_CONFLICT);
		no_byte_astray(t);
		talk_free(t);
	}
}

static void a15__reused_without_syn_ack_in_sight__two_flows(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	talk_close(t, 1001, 1);
	t->isn[0] += 3000000;
	t->isn[1] += 5000000;
	talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	talk_tcp(t, 0, FRAME_ACK, 1, 1, 0);
	talk_up(t, 1, 2500);
	talk_ack(t, 2501);
	talk_end(t);
	assert_int_equal(t->told.n, 2);
	assert_int_equal(t->told.at[0].up.bytes, 1000);
	assert_int_equal(t->told.at[1].up.bytes, 2500);
	no_byte_astray(t);
	talk_free(t);
}

static void a16__keep_alives_and_probes__no_bytes(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 0, 1); /* keep-alive before any data: garbage byte at the SYN's place */
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	talk_up(t, 1000, 1);
	talk_up(t, 1000, 0);
	t->window[1] = 0;
	talk_ack(t, 1001);
	talk_up(t, 1001, 1); /* zero-window probe, refused */
	talk_ack(t, 1001);
	t->window[1] = 100;
	talk_ack(t, 1001);
	talk_up(t, 1001, 500);
	t->window[1] = 10; /* shrinks */
	talk_ack(t, 1501);
	const struct flow_facts *f = one_flow(t, 1500);
	assert_int_equal(f->up.unacked_bytes + f->up.gap_bytes + f->up.oow_bytes, 0);
	talk_free(t);
}

static void a16__keep_alives_midstream__no_bytes(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	for (int i = 0; i < 5; i++) {
		talk_tcp(t, 0, FRAME_ACK, 700, 1, 0);
		talk_ack(t, 701);
		t->ts_ns += 45 * second_ns;
	}
	talk_up(t, 701, 50);
	talk_ack(t, 751);
	const struct flow_facts *f = one_flow(t, 50);
	assert_int_equal(f->up.gap_bytes, 0);
	assert_false(f->flags & FACTS_UNCERTAIN);
	talk_free(t);
}

static void a16__probe_taken__counted(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	t->window[1] = 0;
	talk_up(t, 1, 64000);
	talk_ack(t, 64001);
	talk_up(t, 64001, 1); /* the probe finds room that was not announced */
	talk_ack(t, 64002);
	one_flow(t, 64001);
	talk_free(t);
}

static void a17__urgent__in_sequence_space(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_tcp(t, 0, FRAME_ACK | FRAME_URG, 1, 1, 300);
	talk_ack(t, 301);
	assert_true(one_flow(t, 300)->flags & FACTS_URGENT);
	talk_free(t);
}

static void a19__midstream__since_first_sight(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_up(t, 5000001, 1000);
	talk_ack(t, 5001001);
	talk_up(t, 5001001, 1000);
	talk_ack(t, 5002001);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_true(f->flags & FACTS_MIDSTREAM);
	assert_false(f->saw_syn);
	assert_int_equal(f->up.bytes_min, 2000);
	assert_int_equal(f->up.bytes_max, 2000);
	talk_free(t);
}

/* The base is S's first number, also when R's acknowledgement was captured before it. */
static void a19__acknowledgement_first__since_first_byte_seen(void **state)
{
	(void)state;
	for (int earlier = 0; earlier < 2; earlier++) {
		struct talk *t = talk_new((struct track_conf){0});
		talk_ack(t, 5000001);
		talk_ack(t, 5001001);
		uint32_t first = earlier ? 4999001 : 5003001; /* late in the capture; or after a gap */
		talk_up(t, first, 1000);
		talk_ack(t, 5004001);
		one_flow(t, 5004001 - first);
		talk_free(t);
	}
}

static void a20__only_client_seen__unique(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->drop_down = true;
	talk_handshake(t);
	talk_up(t, 1, 1000);
	talk_up(t, 1, 1000);
	talk_up(t, 2001, 1000);
	talk_tcp(t, 0, FRAME_ACK, 3001, 501, 0); /* acknowledges 500 bytes of the server */
	const struct flow_facts *f = one_flow(t, 2000);
	assert_true(f->flags & FACTS_ONE_SIDED);
	assert_int_equal(f->up.basis, FACTS_BASIS_SEQ_ONLY);
	assert_int_equal(f->up.bytes_min, 2000);
	assert_int_equal(f->up.bytes_max, 2000);
	assert_int_equal(f->down.bytes, 500);
	assert_int_equal(f->down.basis, FACTS_BASIS_ACK_ONLY);
	talk_free(t);
}

static void a21__only_server_seen__acknowledged(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	t->drop_up = true;
	talk_handshake(t);
	for (uint32_t at = 1; at < 1000000; at += 50000) {
		talk_up(t, at, 50000);
		talk_ack(t, at + 50000);
	}
	talk_close(t, 1000001, 1);
	const struct flow_facts *f = one_flow(t, 1000000);
	assert_int_equal(f->up.basis, FACTS_BASIS_ACK_ONLY);
	assert_int_equal(f->src.port, 50000);
	assert_true(f->flags & FACTS_ONE_SIDED);
	assert_true(f->flags & FACTS_CLOSE_UNSEEN); /* the client's FIN was acknowledged only */
	assert_int_equal(f->up.bytes_min, 1000000);
	assert_int_equal(f->up.bytes_max, 1000001);
	talk_free(t);
}

static void a22__acknowledged_before_seen__no_gap(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	for (uint32_t i = 0; i < 30; i++)
		talk_ack(t, 1001 + i * 1000);
	for (uint32_t i = 0; i < 30; i++)
		talk_up(t, 1 + i * 1000, 1000);
	const struct flow_facts *f = one_flow(t, 30000);
	assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes, 0);
	talk_free(t);
}

static void a23__capture_loss__gap_is_what_was_lost(void **state)
{
	(void)state;
	static const unsigned per_mille[] = {1, 10, 50};
	for (size_t k = 0; k < 3; k++) {
		struct talk *t = open_talk();
		uint64_t lost = 0;
		uint32_t dice = 12345;
		for (uint32_t i = 0; i < 3000; i++) {
			dice = dice * 1664525 + 1013904223;
			t->drop_up = (dice >> 16) % 1000 < per_mille[k];
			t->drop_down = i != 2999 && (dice >> 8) % 1000 < per_mille[k];
			lost += t->drop_up ? 1000 : 0;
			talk_up(t, 1 + i * 1000, 1000);
			talk_ack(t, 1001 + i * 1000);
		}
		assert_true(lost > 0);
		const struct flow_facts *f = one_flow(t, 3000000);
		assert_int_equal(f->up.gap_bytes, lost);
		talk_free(t);
	}
}

static void a24__tail_lost__last_seen(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	talk_up(t, 1001, 1000);
	const struct flow_facts *f = one_flow(t, 1000);
	assert_int_equal(f->up.bytes_max, 2000);
	assert_true(f->flags & FACTS_NO_CLOSE);
	assert_int_equal(f->reason, FACTS_REASON_EOF);
	talk_free(t);
}

static void a25__every_frame_twice__same_bytes(void **state)
{
	(void)state;
	static const struct {
		uint8_t ttl, vlan;
		uint64_t after_ns;
	} kinds[] = {{0, 0, 100000}, {0, 12, 100000}, {63, 0, 1000000}, {63, 30, 50000000}, {0, 0, 50000000}};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct talk *t = talk_new((struct track_conf){0});
		struct track_stats s;
		t->copies = 2;
		t->copy_ttl = kinds[k].ttl;
		t->copy_vlan = kinds[k].vlan;
		t->copy_after_ns = kinds[k].after_ns;
		t->step_ns = 60000000;
		talk_handshake(t);
		for (uint32_t i = 0; i < 20; i++) {
			talk_up(t, 1 + i * 1000, 1000);
			talk_ack(t, 1001 + i * 1000);
		}
		talk_close(t, 20001, 1);
		const struct flow_facts *f = one_flow(t, 20000);
		assert_int_equal(f->up.dup_bytes, 20000);
		assert_true(f->flags & FACTS_DUPLICATED);
		assert_int_equal(f->reason, FACTS_REASON_FIN);
		track_stats(t->tr, &s);
		assert_int_equal(s.span_duplicates, 20); /* that of the SYN has raised suspicion */
		talk_free(t);
	}
}

static void a25__other_udp__copy_only_with_other_tag_or_ttl(void **state)
{
	(void)state;
	static const struct {
		uint8_t ttl, vlan;
		uint64_t bytes;
	} kinds[] = {{0, 0, 80}, {63, 0, 40}, {0, 12, 40}};
	for (size_t k = 0; k < 3; k++) {
		struct talk *t = talk_new((struct track_conf){0});
		struct track_stats s;
		t->sport = 9000;
		t->copies = 2;
		t->copy_ttl = kinds[k].ttl;
		t->copy_vlan = kinds[k].vlan;
		t->copy_after_ns = 1000000;
		talk_udp(t, 0, "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250\r\n", 40);
		one_flow(t, kinds[k].bytes);
		track_stats(t->tr, &s);
		assert_int_equal(s.udp_duplicates, kinds[k].bytes == 40);
		talk_free(t);
	}
}

static void a28__sliced__exact(void **state)
{
	(void)state;
	static const uint32_t snaplens[] = {64, 96, 128, 256};
	for (size_t k = 0; k < 4; k++) {
		struct talk *t = talk_new((struct track_conf){0});
		t->snaplen = snaplens[k];
		talk_handshake(t);
		for (uint32_t i = 0; i < 40; i++) {
			talk_up(t, 1 + i * 1400, 1400);
			talk_ack(t, 1401 + i * 1400);
		}
		const struct flow_facts *f = one_flow(t, 56000);
		assert_int_equal(f->up.gap_bytes, 0);
		assert_true(f->flags & FACTS_SLICED);
		talk_free(t);
	}
}

static void a41__time_backwards__counted(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	struct track_stats s;
	talk_up(t, 1, 1000);
	t->ts_ns -= 3600 * second_ns;
	talk_ack(t, 1001);
	t->ts_ns += 3600 * second_ns;
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_true(f->end_ns >= f->start_ns);
	track_stats(t->tr, &s);
	assert_int_equal(s.time_backwards, 1);
	talk_free(t);
}

/* Captures put one behind the other, the older one last. */
static void a41__older_capture_behind_a_newer__flows_whole(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	const uint64_t newer_ns = t->ts_ns;
	t->ts_ns -= 24 * 3600 * second_ns;
	t->step_ns = second_ns / 2;
	t->cport = 50001;
	talk_handshake(t);
	for (uint32_t i = 0; i < 20; i++) {
		talk_up(t, 1 + i * 100, 100);
		talk_ack(t, 101 + i * 100);
	}
	talk_close(t, 2001, 1);
	assert_int_equal(t->told.n, 0);
	/* the clock goes on: what lies behind ends as well, if later by one time */
	t->cport = 50002;
	t->ts_ns = newer_ns;
	for (uint32_t i = 0; i < 140; i++) {
		talk_up(t, 1 + i * 10, 10);
		t->ts_ns += second_ns / 2;
	}
	assert_int_equal(t->told.n, 1);
	const struct flow_facts *f = &t->told.at[0];
	assert_int_equal(f->src.port, 50001);
	assert_int_equal(f->reason, FACTS_REASON_FIN);
	assert_int_equal(f->up.bytes, 2000);
	assert_int_equal(f->up.packets, 24);
	assert_int_equal(f->end_ns - f->start_ns, 45 * (second_ns / 2));
	/* within the older one silence counts by its own time */
	t->ts_ns = newer_ns - 24 * 3600 * second_ns;
	t->cport = 50003;
	talk_up(t, 1, 100);
	t->ts_ns += 2 * 3600 * second_ns;
	talk_up(t, 101, 100);
	talk_end(t);
	size_t parts = 0;
	for (size_t i = 0; i < t->told.n; i++)
		parts += t->told.at[i].src.port == 50003;
	assert_int_equal(parts, 2);
	no_byte_astray(t);
	talk_free(t);
}

static void a41__one_stamp_far_ahead__table_stays(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	struct track_stats s;
	uint64_t now_ns = t->ts_ns;
	talk_up(t, 1, 1000);
	t->ts_ns += UINT64_C(86400) * 365 * second_ns;
	talk_ack(t, 1001);
	t->ts_ns = now_ns + second_ns;
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_true(f->end_ns < now_ns + 10 * second_ns);
	track_stats(t->tr, &s);
	assert_int_equal(s.time_jumps, 1);
	assert_int_equal(s.flows_timed_out, 0);
	talk_free(t);
}

static void a41__hundred_agree__clock_moves(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	t->ts_ns += 7200 * second_ns;
	t->cport = 50001;
	for (int i = 0; i < 100; i++)
		talk_up(t, 1, 10);
	assert_int_equal(t->told.n, 0);
	for (int i = 0; i < 4; i++)
		talk_up(t, 1, 10);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(t->told.at[0].reason, FACTS_REASON_IDLE);
	assert_int_equal(t->told.at[0].src.port, 50000);
	talk_free(t);
}

/* The clock itself has not moved yet. */
static void a41__tuple_used_again_after_a_silence__two_flows(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	t->ts_ns += 7200 * second_ns;
	t->isn[0] += 1000000000;
	t->isn[1] += 1500000000;
	talk_up(t, 1, 300); /* midstream: its handshake was not captured */
	talk_ack(t, 301);
	talk_end(t);
	assert_int_equal(t->told.n, 2);
	assert_int_equal(t->told.at[0].up.bytes, 1000);
	assert_int_equal(t->told.at[0].reason, FACTS_REASON_IDLE);
	assert_int_equal(t->told.at[1].up.bytes, 300);
	no_byte_astray(t);
	talk_free(t);
}

static void a41__connection_goes_on_after_a_silence__one_flow(void **state)
{
	(void)state;
	struct talk *t = open_talk();
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	t->ts_ns += 7200 * second_ns;
	talk_up(t, 1001, 300);
	talk_ack(t, 1301);
	one_flow(t, 1300);
	talk_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a15__port_reused_after_end__two_flows),
	    cmocka_unit_test(a15__reused_without_syn_ack_in_sight__two_flows),
	    cmocka_unit_test(a16__keep_alives_and_probes__no_bytes),
	    cmocka_unit_test(a16__keep_alives_midstream__no_bytes),
	    cmocka_unit_test(a16__probe_taken__counted),
	    cmocka_unit_test(a17__urgent__in_sequence_space),
	    cmocka_unit_test(a19__midstream__since_first_sight),
	    cmocka_unit_test(a19__acknowledgement_first__since_first_byte_seen),
	    cmocka_unit_test(a20__only_client_seen__unique),
	    cmocka_unit_test(a21__only_server_seen__acknowledged),
	    cmocka_unit_test(a22__acknowledged_before_seen__no_gap),
	    cmocka_unit_test(a23__capture_loss__gap_is_what_was_lost),
	    cmocka_unit_test(a24__tail_lost__last_seen),
	    cmocka_unit_test(a25__every_frame_twice__same_bytes),
	    cmocka_unit_test(a25__other_udp__copy_only_with_other_tag_or_ttl),
	    cmocka_unit_test(a28__sliced__exact),
	    cmocka_unit_test(a41__time_backwards__counted),
	    cmocka_unit_test(a41__older_capture_behind_a_newer__flows_whole),
	    cmocka_unit_test(a41__one_stamp_far_ahead__table_stays),
	    cmocka_unit_test(a41__hundred_agree__clock_moves),
	    cmocka_unit_test(a41__tuple_used_again_after_a_silence__two_flows),
	    cmocka_unit_test(a41__connection_goes_on_after_a_silence__one_flow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
