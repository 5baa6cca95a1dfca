/* Rows G01, G02, G04, G05 and G06: what a flood may cost, at small caps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

enum { UPLOADS = 600, CAP = 2000, UPLOAD_BYTES = 1100000, SEGMENT = 55000 };

static const uint64_t second_ns = UINT64_C(1000000000);

/* Ports of uploads; a flood uses others. */
static void begin_upload(struct talk *t, uint32_t i)
{
	t->cport = (uint16_t)(1024 + i);
	talk_handshake(t);
	for (uint32_t at = 0; at < UPLOAD_BYTES; at += SEGMENT) {
		talk_up(t, 1 + at, SEGMENT);
		talk_ack(t, 1 + at + SEGMENT);
	}
}

static struct talk *with_uploads(void)
{
	struct talk *t = talk_new((struct track_conf){.max_flows = CAP});
	t->snaplen = 60;
	t->step_ns = 1000;
	for (uint32_t i = 0; i < UPLOADS; i++)
		begin_upload(t, i);
	return t;
}

static void go_on(struct talk *t, uint32_t i, uint32_t n)
{
	t->cport = (uint16_t)(1024 + i);
	t->sport = 443;
	talk_up(t, 1 + UPLOAD_BYTES, n);
	talk_ack(t, 1 + UPLOAD_BYTES + n);
}

/* Every upload is still the one flow it was, whole. */
static void uploads_survived(struct talk *t)
{
	struct track_stats s;
	for (size_t i = 0; i < t->told.n; i++)
		assert_true(t->told.at[i].up.wire_bytes < 1 << 20);
	for (uint32_t i = 0; i < UPLOADS; i++)
		go_on(t, i, 700);
	size_t before = t->told.n, found = 0;
	talk_end(t);
	for (size_t i = before; i < t->told.n; i++) {
		const struct flow_facts *f = &t->told.at[i];
		if (f->src.port < 1024 || f->src.port >= 1024 + UPLOADS || f->dst.port != 443)
			continue;
		found++;
		assert_int_equal(f->up.bytes, UPLOAD_BYTES + 700);
		assert_int_equal(f->flags & FACTS_MIDSTREAM, 0);
	}
	assert_int_equal(found, UPLOADS);
	track_stats(t->tr, &s);
	assert_true(s.flows_evicted > 0);
}

static void g01__syn_flood__established_uploads_stay(void **state)
{
	(void)state;
	struct talk *t = with_uploads();
	struct track_stats s, full;
	for (uint32_t i = 0; i < 100000; i++) {
		if (i == 5000)
			track_stats(t->tr, &full);
		t->cport = (uint16_t)(10000 + i % 50000);
		t->sport = (uint16_t)(1000 + i / 50000);
		talk_tcp(t, 0, FRAME_SYN, i, 0, 0);
	}
	track_stats(t->tr, &s);
	assert_int_equal(s.flows_active, CAP);
	assert_int_equal(s.memory_bytes, full.memory_bytes);
	assert_int_equal(s.flows_half_open_evicted, s.flows_evicted);
	assert_true(s.flows_evicted + s.flows_refused >= 100000 - CAP);
	uploads_survived(t);
	talk_free(t);
}

static void g02__udp_spray__established_uploads_stay(void **state)
{
	(void)state;
	struct talk *t = with_uploads();
	struct track_stats s;
	for (uint32_t i = 0; i < 100000; i++) {
		uint8_t p[40];
		memset(p, (int)(i & 0xff), sizeof p);
		t->cport = (uint16_t)(10000 + i % 50000);
		t->sport = (uint16_t)(1000 + i / 50000);
		talk_udp(t, 0, p, sizeof p);
	}
	track_stats(t->tr, &s);
	assert_int_equal(s.flows_active, CAP);
	assert_int_equal(s.flows_half_open_evicted, 0);
	uploads_survived(t);
	talk_free(t);
}

/* A table of uploads alone: newcomers wait a round, then one of the quietest goes; nothing hangs or grows. */
static void full__of_uploads_only__one_goes_per_round(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){.max_flows = 1024});
	struct track_stats s;
	t->snaplen = 60;
	t->step_ns = 1000;
	for (uint32_t i = 0; i < 1024; i++)
		begin_upload(t, i);
	for (uint32_t i = 0; i < 40; i++) {
		t->cport = (uint16_t)(20000 + i);
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	}
	track_stats(t->tr, &s);
	assert_int_equal(s.flows_active, 1024);
	/* a call looks at 256 flows: the fourth has come round and takes a place, which the hand passes later
	 */
	assert_true(s.flows_refused >= 30);
	assert_in_range(s.flows_evicted, 1, 10);
	talk_free(t);
}

/* Lone segments above holes for more flows than there are extensions and range blocks. */
static void g04__holes_everywhere__acknowledged_exact_and_memory_bounded(void **state)
{
	(void)state;
	enum { FLOWS = 2600, HOLES = 80, MAX = 3000 };
	struct talk *t = talk_new((struct track_conf){.max_flows = MAX});
	struct track_stats s, empty;
	track_stats(t->tr, &empty);
	t->step_ns = 100;
	for (uint32_t i = 0; i < FLOWS; i++) {
		t->cport = (uint16_t)(1024 + i);
		talk_handshake(t);
		talk_ack(t, 1);
		for (uint32_t h = 1; h <= HOLES; h++)
			talk_up(t, 1 + 20 * h, 4);
	}
	for (uint32_t i = 0; i < FLOWS; i++) {
		t->cport = (uint16_t)(1024 + i);
		talk_ack(t, 1 + 20 * HOLES + 4);
	}
	track_stats(t->tr, &s);
	assert_true(s.ext_refused > 0);
	assert_int_equal(s.intervals_full, FLOWS); /* more holes than ranges, for those that have any */
	/* 1,774 extensions with 8 ranges, 444 blocks of 64, 2,600 flows: 1.3 MB, and memory comes in chunks
	 */
	assert_true(s.memory_bytes - empty.memory_bytes < 16u << 20);
	talk_end(t);
	assert_int_equal(t->told.n, FLOWS);
	size_t full = 0;
	for (size_t i = 0; i < FLOWS; i++) {
		assert_int_equal(t->told.at[i].up.bytes, 20 * HOLES + 4);
		assert_true(t->told.at[i].up.gap_bytes >= 16 * HOLES + 4);
		full += t->told.at[i].flags & FACTS_INTERVALS_FULL ? 1 : 0;
	}
	assert_int_equal(full, s.intervals_full);
	talk_free(t);
}

/* First fragments only, of as many datagrams as it takes to fill the table many times over. */
static void g05__fragment_flood__bounded_and_counted(void **state)
{
	(void)state;
	enum { N = 20000 };
	struct talk *t = talk_new((struct track_conf){0});
	struct track_stats s, early;
	for (uint32_t i = 0; i < N; i++) {
		struct frame *f = &t->frame;
		if (i == N / 2)
			track_stats(t->tr, &early);
		frame_start(f);
		frame_ethernet(f, 0x0800);
		frame_ip4_frag(f, "10.0.0.1", "192.0.2.9", 17, i, 0x2000);
		frame_u32(f, (i >> 16) + 1);
		frame_fill(f, 'f', 1396);
		talk_give(t, 0);
		t->ts_ns += 1000;
	}
	track_stats(t->tr, &s);
	assert_int_equal(s.verdicts[DECODE_FRAGMENT], N);
	assert_int_equal(s.verdict_bytes[DECODE_FRAGMENT], t->frame_bytes);
	assert_true(s.frag_evicted >= N - 4096);
	assert_int_equal(s.memory_bytes, early.memory_bytes);
	talk_handshake(t);
	talk_up(t, 1, 500);
	talk_ack(t, 501);
	assert_int_equal(talk_end(t)->up.bytes, 500);
	talk_free(t);
}

/* Hellos that claim 16,000 bytes and stop after the first segment. */
static void hello_stub(struct talk *t, uint32_t seq, uint32_t n)
{
	static const uint8_t head[] = {22, 3, 1, 0x3e, 0x84, 1, 0, 0x3e, 0x80, 3, 3};
	t->ip_id++;
	talk_start_frame(t, 0, 6, t->ttl, 0);
	frame_tcp(&t->frame, t->cport, t->sport, t->isn[0] + seq, t->isn[1] + 1, FRAME_ACK);
	if (seq == 1)
		frame_bytes(&t->frame, head, sizeof head);
	frame_fill(&t->frame, 'h', n - (seq == 1 ? sizeof head : 0));
	talk_give(t, 0);
	t->ts_ns += t->step_ns;
	talk_ack(t, seq + n);
}

static void g06__hellos_never_finished__bounded_and_given_up_after_10_s(void **state)
{
	(void)state;
	enum { N = 3000, BUDGET = 1 << 20 };
	struct talk *t = talk_new((struct track_conf){.max_assembly_bytes = BUDGET});
	struct track_stats s;
	t->step_ns = 1000;
	for (uint32_t i = 0; i < N; i++) {
		t->cport = (uint16_t)(1024 + i);
		talk_handshake(t);
		hello_stub(t, 1, 1000);
		hello_stub(t, 1001, 1000);
	}
	track_stats(t->tr, &s);
	assert_true(s.assembly_refused + s.appid_refused + s.ext_refused > 0);
	assert_true(s.memory_bytes < 64u << 20);
	size_t held = s.memory_bytes;
	t->ts_ns += 11 * second_ns;
	for (uint32_t i = 0; i < N; i++) {
		t->cport = (uint16_t)(1024 + i);
		hello_stub(t, 2001, 10);
	}
	track_stats(t->tr, &s);
	assert_true(s.memory_bytes + BUDGET / 2 < held); /* what was being put together is free again */
	talk_end(t);
	assert_int_equal(t->told.n, N);
	for (size_t i = 0; i < N; i++)
		assert_int_equal(t->told.at[i].up.bytes, 2010);
	talk_free(t);
}

static const uint64_t a_minute_ns = UINT64_C(60000000000);

/* Another minute of every one of n flows: 1,000 bytes each. */
static void each_a_minute(struct talk *t, uint16_t n, uint32_t minute)
{
	uint64_t begin_ns = t->ts_ns;
	for (uint16_t k = 0; k < n; k++) {
		t->cport = (uint16_t)(50000 + k);
		talk_up(t, 1 + minute * 1000, 1000);
		talk_ack(t, 1001 + minute * 1000);
	}
	t->ts_ns = begin_ns + a_minute_ns;
}

/* 25 hours without a record in between: what does not fit into 1,440 minutes goes to the last, nothing is lost. */
static void minutes__more_than_a_day__merged_and_flagged(void **state)
{
	(void)state;
	struct talk *t = talk_new((struct track_conf){0});
	talk_handshake(t);
	for (uint32_t m = 0; m < 1500; m++)
		each_a_minute(t, 1, m);
	const struct flow_facts *f = talk_end(t);
	assert_int_equal(t->told.n, 1);
	assert_int_equal(f->up.bytes, 1500000);
	assert_int_equal(f->n_minutes, FACTS_MAX_MINUTES);
	assert_int_equal(t->told.minutes_up[0], 1500000);
	assert_true(f->flags & FACTS_MINUTES_MERGED);
	talk_free(t);
}

/* 8 flows may have 8 + 4 x (2 + 1,024) = 4,112 past minutes among them, and have 8 x 600. */
static void minutes__pool_full__refused_counted_and_bytes_exact(void **state)
{
	(void)state;
	enum { FLOWS = 8, MINUTES = 600 };
	struct talk *t = talk_new((struct track_conf){.max_flows = FLOWS});
	struct track_stats s;
	for (uint16_t k = 0; k < FLOWS; k++) {
		t->cport = (uint16_t)(50000 + k);
		talk_handshake(t);
	}
	for (uint32_t m = 0; m < MINUTES; m++)
		each_a_minute(t, FLOWS, m);
	talk_end(t);
	track_stats(t->tr, &s);
	assert_in_range(s.minutes_refused, 1, FLOWS * MINUTES - 4112);
	assert_int_equal(t->told.n, FLOWS);
	size_t minutes = 0;
	for (size_t i = 0; i < t->told.n; i++) {
		assert_int_equal(t->told.at[i].up.bytes, MINUTES * 1000);
		assert_int_equal(t->told.minutes_up[i], MINUTES * 1000);
		assert_true(t->told.at[i].flags & FACTS_MINUTES_MERGED);
		minutes += t->told.at[i].n_minutes;
	}
	assert_in_range(minutes, 4112, 4112 + FLOWS); /* and the one that each is in */
	talk_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(g01__syn_flood__established_uploads_stay),
	    cmocka_unit_test(g02__udp_spray__established_uploads_stay),
	    cmocka_unit_test(full__of_uploads_only__one_goes_per_round),
	    cmocka_unit_test(g04__holes_everywhere__acknowledged_exact_and_memory_bounded),
	    cmocka_unit_test(g05__fragment_flood__bounded_and_counted),
	    cmocka_unit_test(g06__hellos_never_finished__bounded_and_given_up_after_10_s),
	    cmocka_unit_test(minutes__more_than_a_day__merged_and_flagged),
	    cmocka_unit_test(minutes__pool_full__refused_counted_and_bytes_exact),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
