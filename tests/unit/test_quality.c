/* How good the view is: crafted captures in which the share is known by construction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

static struct talk *new_talk(void)
{
	return talk_new((struct track_conf){0});
}

/* n segments of 1,000 bytes, each acknowledged; of the last direction nothing is dropped so that the end is seen. */
static void upload(struct talk *t, uint32_t n)
{
	t->cport++;
	talk_handshake(t);
	for (uint32_t i = 0; i < n; i++) {
		talk_up(t, 1 + i * 1000, 1000);
		talk_ack(t, 1001 + i * 1000);
	}
	talk_close(t, 1 + n * 1000, 1);
}

static struct track_stats end(struct talk *t)
{
	struct track_stats s;
	talk_end(t);
	track_stats(t->tr, &s);
	return s;
}

static struct track_stats split(uint32_t both, uint32_t one)
{
	struct talk *t = new_talk();
	for (uint32_t i = 0; i < both + one; i++) {
		t->drop_down = i >= both;
		upload(t, 2);
	}
	struct track_stats s = end(t);
	assert_int_equal(s.quality.judged_flows, both + one);
	assert_int_equal(s.quality.one_sided_flows, one);
	talk_free(t);
	return s;
}

static void split_routing__more_than_a_fifth__alarm(void **state)
{
	(void)state;
	assert_int_equal(split(16, 4).alarms.possible_split_routing, 0);
	assert_int_equal(split(15, 5).alarms.possible_split_routing, 1);
	assert_int_equal(split(0, 10).alarms.possible_split_routing, 1);
	assert_int_equal(split(0, 9).alarms.possible_split_routing, 0); /* too few to say */
}

/* A connect that nobody answers is no sign of a blind tap. */
static void split_routing__unanswered_connects__not_judged(void **state)
{
	(void)state;
	struct talk *t = new_talk();
	for (uint32_t i = 0; i < 100; i++) {
		t->cport++;
		talk_tcp(t, 0, FRAME_SYN, 0, 0, 0);
	}
	struct track_stats s = end(t);
	assert_int_equal(s.quality.judged_flows, 0);
	assert_int_equal(s.alarms.possible_split_routing, 0);
	talk_free(t);
}

static void split_routing__bad_window_then_good__alarm_once(void **state)
{
	(void)state;
	struct talk *t = new_talk();
	t->drop_down = true;
	for (uint32_t i = 0; i < 12; i++)
		upload(t, 1);
	t->drop_down = false;
	for (uint32_t i = 0; i < 40; i++) { /* two quarters of an hour */
		t->ts_ns += 45 * UINT64_C(1000000000);
		upload(t, 1);
	}
	assert_int_equal(end(t).alarms.possible_split_routing, 1);
	talk_free(t);
}

static struct track_stats lose(uint32_t every, uint32_t n)
{
	struct talk *t = new_talk();
	talk_handshake(t);
	for (uint32_t i = 0; i < n; i++) {
		t->drop_up = every && i % every == every / 2;
		talk_up(t, 1 + i * 1000, 1000);
		talk_ack(t, 1001 + i * 1000);
	}
	t->drop_up = false;
	talk_close(t, 1 + n * 1000, 1);
	struct track_stats s = end(t);
	assert_int_equal(s.quality.delivered_bytes, n * UINT64_C(1000));
	talk_free(t);
	return s;
}

static void capture_loss__share_of_segments__share_of_bytes(void **state)
{
	(void)state;
	static const uint32_t every[] = {1000, 100, 20, 10, 2}; /* 0.1, 1, 5, 10 and 50 % */
	for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
		struct track_stats s = lose(every[i], 3000);
		assert_int_equal(s.quality.gap_bytes, 3000 / every[i] * 1000);
		assert_int_equal(s.alarms.capture_loss, every[i] <= 10);
	}
	assert_int_equal(lose(0, 3000).quality.gap_bytes, 0);
	assert_int_equal(lose(2, 65).alarms.capture_loss, 0); /* 65,000 bytes: too few to say */
}

/* What a tap that sees one side never captured is no loss of packets. */
static void capture_loss__one_sided__not_counted(void **state)
{
	(void)state;
	struct talk *t = new_talk();
	t->drop_up = true;
	for (uint32_t i = 0; i < 10; i++)
		upload(t, 100);
	struct track_stats s = end(t);
	assert_int_equal(s.quality.delivered_bytes, 0);
	assert_int_equal(s.alarms.capture_loss, 0);
	assert_int_equal(s.alarms.possible_split_routing, 1);
	talk_free(t);
}

/* Of 30 uploads of 4 segments some come twice: of 120 + 4 n packets 4 n are copies. */
static void duplicates__more_than_three_in_ten__alarm(void **state)
{
	(void)state;
	static const struct {
		uint32_t twice;
		uint8_t vlan, alarm;
	} kinds[] = {{12, 0, 0}, {13, 0, 1}, {30, 0, 1}, {30, 12, 1}, {0, 0, 0}};
	for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
		struct talk *t = new_talk();
		t->copy_after_ns = 100000;
		t->copy_vlan = kinds[k].vlan;
		for (uint32_t i = 0; i < 30; i++) {
			t->copies = i < kinds[k].twice ? 2 : 1;
			upload(t, 4);
		}
		struct track_stats s = end(t);
		assert_int_equal(s.quality.payload_packets, 120 + 4 * kinds[k].twice);
		assert_int_equal(s.quality.copied_packets, 4 * kinds[k].twice);
		assert_int_equal(s.alarms.duplicates, kinds[k].alarm); /* 48/168 = 28.6 %, 52/172 = 30.2 % */
		talk_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(split_routing__more_than_a_fifth__alarm),
	    cmocka_unit_test(split_routing__unanswered_connects__not_judged),
	    cmocka_unit_test(split_routing__bad_window_then_good__alarm_once),
	    cmocka_unit_test(capture_loss__share_of_segments__share_of_bytes),
	    cmocka_unit_test(capture_loss__one_sided__not_counted),
	    cmocka_unit_test(duplicates__more_than_three_in_ten__alarm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
