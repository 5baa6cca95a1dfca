#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/copies.h"
#include "dissect/quicmove.h"

static const struct hash_key key = {3, 4};
static const uint64_t ms_ns = 1000000;

static struct segment datagram(const uint8_t *payload, uint32_t n, uint64_t ts_ns)
{
	return (struct segment){
	    .ts_ns = ts_ns, .payload = payload, .payload_captured_bytes = n, .payload_bytes = n, .ttl = 64};
}

static void seen__within_and_after_the_window(void **state)
{
	(void)state;
	static const uint8_t p[200] = {1, 2, 3};
	struct copies *cp = copies_new(key);
	struct segment s = datagram(p, 200, 5000 * ms_ns);
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	s.ts_ns += 100 * ms_ns;
	assert_true(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	s.ts_ns += 1 * ms_ns; /* 101 ms after the first: the copy does not renew it */
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	s.ts_ns -= 50 * ms_ns; /* a tap that delivers out of order */
	assert_true(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	copies_free(cp);
}

static void seen__anything_differs__not_a_copy(void **state)
{
	(void)state;
	static uint8_t p[200] = {1, 2, 3};
	struct copies *cp = copies_new(key);
	struct segment s = datagram(p, 200, 5000 * ms_ns);
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	assert_false(copies_seen(cp, 2, 0, &s, COPIES_QUIC));
	assert_false(copies_seen(cp, 1, 1, &s, COPIES_QUIC));
	s.payload_bytes = 199;
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	s.payload_bytes = 200;
	p[63] = 9;
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	p[63] = 0;
	assert_true(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
	copies_free(cp);
}

static void seen__tcp__same_identification_is_a_copy(void **state)
{
	(void)state;
	uint8_t ip[20] = {0x45, 0, 0, 0, 0x11, 0x22};
	struct copies *cp = copies_new(key);
	struct segment s = datagram((const uint8_t *)"abc", 3, 5000 * ms_ns);
	s.l3 = ip;
	s.l3_captured_bytes = 20;
	s.family = 4;
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_TCP));
	assert_true(copies_seen(cp, 1, 0, &s, COPIES_TCP));
	ip[5]++; /* sent again */
	assert_false(copies_seen(cp, 1, 0, &s, COPIES_TCP));
	copies_free(cp);
}

/* More datagrams than the table holds within the window: it forgets the oldest, and never takes one for
 * another. */
static void seen__overrun__forgets_only(void **state)
{
	(void)state;
	enum { N = 4 * COPIES_BUCKETS * COPIES_WAYS };
	struct copies *cp = copies_new(key);
	uint32_t again = 0;
	for (uint32_t i = 0; i < N; i++) {
		struct segment s = datagram((const uint8_t *)&i, 4, 5000 * ms_ns + i);
		assert_false(copies_seen(cp, 1, 0, &s, COPIES_QUIC));
		again += copies_seen(cp, 1, 0, &s, COPIES_QUIC);
	}
	assert_int_equal(again, N);
	/* all within the window: what is not in the table any more was overwritten */
	assert_in_range(copies_overwritten(cp), N - COPIES_BUCKETS * COPIES_WAYS, N - 1);
	copies_free(cp);
}

static void find__cid_of_other_server_or_length__none(void **state)
{
	(void)state;
	struct quicmove *qm = quicmove_new(key);
	struct facts_addr server = {.ip = {192, 0, 2, 1}, .port = 443, .family = 4},
			  other = {.ip = {192, 0, 2, 2}, .port = 443, .family = 4};
	uint8_t p[32] = "\x41"
			"0123456789abcdefghij";
	quicmove_learn_cid(qm, &server, p + 1, 20, (struct quicmove_flow){7, 8});
	assert_int_equal(quicmove_find_cid(qm, &server, p, 32).id, 7);
	assert_int_equal(quicmove_find_cid(qm, &server, p, 32).birth, 8);
	assert_int_equal(quicmove_find_cid(qm, &server, p, 20).id, 0);
	assert_int_equal(quicmove_find_cid(qm, &other, p, 32).id, 0);
	p[20]++;
	assert_int_equal(quicmove_find_cid(qm, &server, p, 32).id, 0);
	quicmove_learn_cid(qm, &other, p + 1, 3,
			   (struct quicmove_flow){9, 9}); /* too short to mean anything */
	assert_int_equal(quicmove_find_cid(qm, &other, p, 32).id, 0);
	quicmove_free(qm);
}

static void find__more_ids_than_entries__newest_stay(void **state)
{
	(void)state;
	struct quicmove *qm = quicmove_new(key);
	struct facts_addr server = {.port = 443, .family = 4};
	uint32_t found = 0;
	for (uint32_t i = 1; i <= 3 * QUICMOVE_ENTRIES; i++) {
		uint8_t p[9] = {0x41};
		memcpy(p + 1, &i, 4);
		quicmove_learn_cid(qm, &server, p + 1, 8, (struct quicmove_flow){i, i});
		assert_int_equal(quicmove_find_cid(qm, &server, p, 9).id, i);
	}
	for (uint32_t i = 1; i <= 3 * QUICMOVE_ENTRIES; i++) {
		uint8_t p[9] = {0x41};
		memcpy(p + 1, &i, 4);
		uint32_t id = quicmove_find_cid(qm, &server, p, 9).id;
		assert_true(id == 0 || id == i);
		found += id != 0;
	}
	assert_true(found <= QUICMOVE_ENTRIES && found > QUICMOVE_ENTRIES / 2);
	assert_int_equal(quicmove_overwritten(qm), 3 * QUICMOVE_ENTRIES - found);
	quicmove_free(qm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(seen__within_and_after_the_window),
	    cmocka_unit_test(seen__anything_differs__not_a_copy),
	    cmocka_unit_test(seen__tcp__same_identification_is_a_copy),
	    cmocka_unit_test(seen__overrun__forgets_only),
	    cmocka_unit_test(find__cid_of_other_server_or_length__none),
	    cmocka_unit_test(find__more_ids_than_entries__newest_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
