/* Rows A04, A05, A18, A27, A29 and A33 of the page on bytes, through the whole walk of a packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/talk.h"

enum { AT_IP = 14, AT_TCP = 34, AT_IP_CSUM = AT_IP + 10, AT_TCP_CSUM = AT_TCP + 16 };

static const struct track_conf validating = {.verify_checksums = true};

static struct talk *open_talk(struct track_conf conf)
{
	struct talk *t = talk_new(conf);
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
	track_stats(t->tr, &s);
	assert_int_equal(told_wire_bytes(&t->told, &s), t->frame_bytes);
	return f;
}

enum wrong { RIGHT, ALL_ONES, PSEUDO, PSEUDO_NO_LENGTH, IP_ZERO, N_WRONGS };

/* A segment whose checksum is what a tap on its sender sees there. */
static void give_wrong(struct talk *t, unsigned dir, uint32_t flags, uint32_t seq, uint32_t ack, uint32_t n,
		       enum wrong wrong)
{
	struct frame *f = &t->frame;
	t->ip_id++;
	talk_start_frame(t, dir, 6, t->ttl, 0);
	frame_tcp_options(f, dir ? t->sport : t->cport, dir ? t->cport : t->sport, t->isn[dir] + seq,
			  flags & FRAME_ACK ? t->isn[!dir] + ack : 0, flags, 64000, NULL, 0);
	frame_fill(f, 'w', n);
	frame_finish(f);
	uint8_t tail[4] = {0, 6, (uint8_t)((20 + n) >> 8), (uint8_t)(20 + n)};
	if (wrong == PSEUDO_NO_LENGTH)
		tail[2] = tail[3] = 0;
	uint32_t pseudo = frame_sum(frame_sum(0, f->bytes + AT_IP + 12, 8), tail, 4);
	if (wrong == ALL_ONES)
		frame_put16(f, AT_TCP_CSUM, 0xffff);
	else if (wrong == PSEUDO || wrong == PSEUDO_NO_LENGTH)
		frame_put16(f, AT_TCP_CSUM, pseudo);
	else if (wrong == IP_ZERO)
		frame_put16(f, AT_IP_CSUM, 0);
	talk_give(t, dir);
	t->ts_ns += t->step_ns;
}

static void a04__inserted_with_wrong_checksum__refused_when_validating(void **state)
{
	(void)state;
	struct talk *t = open_talk(validating);
	struct track_stats s;
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	give_wrong(t, 0, FRAME_ACK, 1001, 1, 300, ALL_ONES);
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	give_wrong(t, 0, FRAME_ACK, 2001, 1, 300, ALL_ONES); /* and nothing true follows */
	talk_close(t, 2001, 1);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_int_equal(f->up.unacked_bytes + f->up.dup_bytes + f->up.gap_bytes, 0);
	assert_int_equal(f->up.bytes_max, 2000);
	assert_true(f->flags & FACTS_BAD_CHECKSUM);
	assert_false(f->flags & FACTS_CSUM_OFFLOAD);
	track_stats(t->tr, &s);
	assert_int_equal(s.verdicts[DECODE_BAD_CHECKSUM], 2);
	talk_free(t);
}

static void a04__inserted_with_wrong_checksum__same_bytes_when_not(void **state)
{
	(void)state;
	struct talk *t = open_talk((struct track_conf){0});
	talk_up(t, 1, 1000);
	talk_ack(t, 1001);
	give_wrong(t, 0, FRAME_ACK, 1001, 1, 300, ALL_ONES);
	talk_up(t, 1001, 1000);
	talk_ack(t, 2001);
	give_wrong(t, 0, FRAME_ACK, 2001, 1, 300, ALL_ONES);
	const struct flow_facts *f = one_flow(t, 2000);
	assert_int_equal(f->up.dup_bytes, 300);
	assert_int_equal(f->up.unacked_bytes, 300);
	assert_false(f->flags & FACTS_BAD_CHECKSUM);
	talk_free(t);
}

/* A capture on the uploading host: every frame it sends is wrong, every frame it gets is right. */
static void upload_from_tapped_host(struct talk *t, enum wrong wrong)
{
	give_wrong(t, 0, FRAME_SYN, 0, 0, 0, wrong);
	talk_tcp(t, 1, FRAME_SYN | FRAME_ACK, 0, 1, 0);
	give_wrong(t, 0, FRAME_ACK, 1, 1, 0, wrong);
	for (uint32_t i = 0; i < 10; i++) {
		give_wrong(t, 0, FRAME_ACK, 1 + i * 700, 1, 700, wrong);
		talk_ack(t, 1 + (i + 1) * 700);
	}
	give_wrong(t, 0, FRAME_FIN | FRAME_ACK, 7001, 1, 0, wrong);
	talk_tcp(t, 1, FRAME_FIN | FRAME_ACK, 1, 7002, 0);
	give_wrong(t, 0, FRAME_ACK, 7002, 2, 0, wrong);
}

static void a05__pseudo_header_sums__believed_from_the_first(void **state)
{
	(void)state;
	for (enum wrong wrong = PSEUDO; wrong < N_WRONGS; wrong++) {
		struct talk *t = talk_new(validating);
		struct track_stats s;
		upload_from_tapped_host(t, wrong);
		const struct flow_facts *f = one_flow(t, 7000);
		assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes, 0);
		assert_true(f->saw_syn);
		assert_true(f->flags & FACTS_CSUM_OFFLOAD);
		assert_false(f->flags & FACTS_BAD_CHECKSUM);
		track_stats(t->tr, &s);
		assert_int_equal(s.verdicts[DECODE_BAD_CHECKSUM], 0);
		talk_free(t);
	}
}

static void a05__all_outbound_wrong__believed_after_four(void **state)
{
	(void)state;
	struct talk *t = talk_new(validating);
	struct track_stats s;
	upload_from_tapped_host(t, ALL_ONES);
	t->cport++;
	upload_from_tapped_host(t, ALL_ONES);
	give_wrong(t, 1, FRAME_ACK, 2, 7002, 100, ALL_ONES); /* the other side's are judged as before */
	talk_end(t);
	assert_int_equal(t->told.n, 2);
	const struct flow_facts *first = &t->told.at[0], *second = &t->told.at[1];
	assert_int_equal(first->up.bytes, 7000);
	assert_int_equal(first->up.gap_bytes, 700); /* SYN, ACK and the first payload came too early */
	assert_true(first->flags & FACTS_CSUM_OFFLOAD);
	assert_int_equal(second->up.bytes, 7000);
	assert_int_equal(second->up.gap_bytes, 0);
	assert_true(second->saw_syn);
	assert_int_equal(second->down.bytes + second->down.unacked_bytes, 0);
	track_stats(t->tr, &s);
	assert_int_equal(s.verdicts[DECODE_BAD_CHECKSUM], 3 + 1);
	talk_free(t);
}

/* Half of the segments inside ten seconds may be wrong without being believed. */
static void a05__half_wrong__not_believed(void **state)
{
	(void)state;
	struct talk *t = open_talk(validating);
	struct track_stats s;
	talk_ack(t, 1);
	for (uint32_t i = 0; i < 20; i++) {
		talk_up(t, 1 + i * 100, 100);
		give_wrong(t, 0, FRAME_ACK, 9000, 1, 100, ALL_ONES);
		talk_ack(t, 101 + i * 100);
	}
	const struct flow_facts *f = one_flow(t, 2000);
	assert_int_equal(f->up.unacked_bytes, 0);
	assert_true(f->flags & FACTS_BAD_CHECKSUM);
	track_stats(t->tr, &s);
	assert_int_equal(s.verdicts[DECODE_BAD_CHECKSUM], 20);
	talk_free(t);
}

/* Payload with a timestamp option (RFC 7323): an old value makes the receiver drop it. */
static void stamped(struct talk *t, uint32_t seq, uint32_t n, uint32_t tsval, uint8_t fill)
{
	uint8_t options[12] = {1, 1, 8, 10};
	for (unsigned i = 0; i < 4; i++)
		options[4 + i] = (uint8_t)(tsval >> (24 - 8 * i));
	t->ip_id++;
	talk_start_frame(t, 0, 6, t->ttl, 0);
	frame_tcp_options(&t->frame, t->cport, t->sport, t->isn[0] + seq, t->isn[1] + 1,
			  FRAME_ACK | FRAME_PSH, 500, options, sizeof options);
	frame_fill(&t->frame, fill, n);
	talk_give(t, 0);
	t->ts_ns += t->step_ns;
}

static void a18__old_timestamps_inserted__same_bytes(void **state)
{
	(void)state;
	struct talk *t = open_talk((struct track_conf){0});
	for (uint32_t i = 0; i < 10; i++) {
		stamped(t, 1 + i * 500, 500, 1, 'x'); /* refused */
		talk_ack(t, 1 + i * 500);
		stamped(t, 1 + i * 500, 500, 100000 + i, 'a');
		talk_ack(t, 501 + i * 500);
	}
	stamped(t, 5001, 400, 2, 'x');
	talk_ack(t, 5001);
	const struct flow_facts *f = one_flow(t, 5000);
	assert_int_equal(f->up.bytes_min, 5000);
	assert_int_equal(f->up.dup_bytes, 5000);
	assert_int_equal(f->up.unacked_bytes, 400);
	talk_free(t);
}

/* What a translator is given on one side and sends on the other. */
struct side {
	const char *client, *server;
	uint16_t cport;
	uint32_t seq;
};

static void give_side(struct talk *t, const struct side *s, uint32_t proto, const uint8_t *payload,
		      uint32_t n)
{
	struct frame *f = &t->frame;
	frame_start(f);
	frame_ethernet(f, 0x0800);
	frame_ip4(f, s->client, s->server, proto);
	if (proto == 6)
		frame_tcp(f, s->cport, 443, s->seq, 7, FRAME_ACK);
	else
		frame_udp(f, s->cport, 443);
	frame_bytes(f, payload, n);
	talk_give(t, 0);
	t->ts_ns += t->step_ns;
}

static uint32_t pair_flags(const struct side *a, const struct side *b, uint32_t proto, const uint8_t *payload,
			   uint32_t n, uint64_t apart_ns)
{
	struct talk *t = talk_new((struct track_conf){0});
	t->step_ns = apart_ns;
	give_side(t, a, proto, payload, n);
	give_side(t, b, proto, payload, n);
	talk_end(t);
	assert_int_equal(t->told.n, 2);
	assert_int_equal(t->told.at[0].up.bytes, n);
	assert_int_equal(t->told.at[1].up.bytes, n);
	uint32_t both = t->told.at[0].flags & t->told.at[1].flags & FACTS_NAT_PAIR;
	/* the later one of a pair can be left out of sums */
	assert_false(t->told.at[0].nat_second);
	assert_int_equal(t->told.at[1].nat_second, both != 0);
	assert_int_equal(both, (t->told.at[0].flags | t->told.at[1].flags) & FACTS_NAT_PAIR);
	struct track_stats s;
	track_stats(t->tr, &s);
	assert_int_equal(s.nat_pairs, both ? 1 : 0);
	talk_free(t);
	return both;
}

static const struct side inside = {"10.0.0.1", "192.0.2.9", 50000, 1000};
static const struct side outside = {"203.0.113.7", "192.0.2.9", 61000, 1000};
static const struct side renumbered = {"203.0.113.7", "192.0.2.9", 61000, 888888888};
static const struct side forwarded = {"10.0.0.1", "10.9.9.9", 50000, 1000};
static const struct side elsewhere = {"203.0.113.7", "198.51.100.1", 61000, 1000};
static const struct side again = {"10.0.0.1", "192.0.2.9", 50001, 1000};

static void a27__translator_on_one_span__both_flows_flagged(void **state)
{
	(void)state;
	uint8_t hello[200] = {22, 3, 1, 0, 195, 1, 0, 0, 191, 3, 3};
	for (size_t i = 11; i < sizeof hello; i++)
		hello[i] = (uint8_t)(i * 77);
	uint8_t quic[1200] = {0xc3, 0, 0, 0, 1, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x44, 0x96};
	const uint8_t get[] = "GET / HTTP/1.1\r\nHost: www.example\r\nAccept: */*\r\n\r\n";
	const uint64_t ms = 1000000;
	assert_true(pair_flags(&inside, &outside, 6, hello, sizeof hello, ms));
	assert_true(pair_flags(&inside, &renumbered, 6, hello, sizeof hello, ms));
	assert_true(pair_flags(&inside, &forwarded, 6, hello, sizeof hello, ms));
	assert_true(pair_flags(&inside, &outside, 17, quic, sizeof quic, ms));
	assert_true(pair_flags(&inside, &outside, 6, get, sizeof get - 1, ms));
	/* the same request of two hosts, of one host again, or much later is no pair */
	assert_false(pair_flags(&inside, &renumbered, 6, get, sizeof get - 1, ms));
	assert_false(pair_flags(&inside, &again, 6, hello, sizeof hello, ms));
	assert_false(pair_flags(&inside, &elsewhere, 6, hello, sizeof hello, ms));
	assert_false(pair_flags(&inside, &outside, 6, hello, sizeof hello, 1500 * ms));
	assert_false(pair_flags(&inside, &outside, 6, hello, 42, ms));
	assert_false(pair_flags(&inside, &outside, 17, get, sizeof get - 1, ms));
}

static void a29__super_packets__exact(void **state)
{
	(void)state;
	struct talk *t = open_talk((struct track_conf){0});
	t->window[1] = 2000;
	talk_ack(t, 1);
	talk_up(t, 1, 65000);
	talk_ack(t, 65001);
	/* total length 0: BIG TCP, or segmentation left to the card */
	t->ip_id++;
	talk_start_frame(t, 0, 6, 64, 0);
	frame_tcp(&t->frame, t->cport, t->sport, t->isn[0] + 65001, t->isn[1] + 1, FRAME_ACK);
	frame_fill(&t->frame, 'b', 120000);
	frame_finish(&t->frame);
	frame_put16(&t->frame, AT_IP + 2, 0);
	talk_give(t, 0);
	talk_ack(t, 185001);
	talk_close(t, 185001, 1);
	const struct flow_facts *f = one_flow(t, 185000);
	assert_int_equal(f->up.gap_bytes + f->up.unacked_bytes + f->up.oow_bytes, 0);
	assert_true(f->flags & FACTS_SUPER_PACKET);
	talk_free(t);
}

static void a33__same_addresses_on_two_vlans__flows_by_configuration(void **state)
{
	(void)state;
	for (int in_key = 0; in_key < 2; in_key++) {
		struct talk *t = talk_new((struct track_conf){.vlan_in_key = in_key});
		for (uint8_t vlan = 10; vlan <= 20; vlan += 10) {
			t->vlan = vlan;
			talk_handshake(t);
			talk_up(t, 1, 100u * vlan);
			talk_ack(t, 1 + 100u * vlan);
		}
		talk_end(t);
		assert_int_equal(t->told.n, in_key ? 2 : 1);
		assert_int_equal(t->told.at[0].up.bytes, in_key ? 1000 : 2000);
		assert_int_equal(t->told.at[0].vlan[0], 10);
		assert_int_equal(t->told.at[t->told.n - 1].up.bytes, 2000);
		assert_int_equal(t->told.at[t->told.n - 1].vlan[0], in_key ? 20 : 10);
		if (in_key)
			assert_int_not_equal(t->told.at[0].flow_id, t->told.at[1].flow_id);
		talk_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a04__inserted_with_wrong_checksum__refused_when_validating),
	    cmocka_unit_test(a04__inserted_with_wrong_checksum__same_bytes_when_not),
	    cmocka_unit_test(a05__pseudo_header_sums__believed_from_the_first),
	    cmocka_unit_test(a05__all_outbound_wrong__believed_after_four),
	    cmocka_unit_test(a05__half_wrong__not_believed),
	    cmocka_unit_test(a18__old_timestamps_inserted__same_bytes),
	    cmocka_unit_test(a27__translator_on_one_span__both_flows_flagged),
	    cmocka_unit_test(a29__super_packets__exact),
	    cmocka_unit_test(a33__same_addresses_on_two_vlans__flows_by_configuration),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
