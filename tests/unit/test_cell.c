#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "detect/attrib/cell.h"

static struct facts_addr v4(uint8_t d, uint16_t port)
{
	return (struct facts_addr){.ip = {10, 0, 0, d}, .port = port, .family = 4};
}

/* 1,000,000 s after the epoch: bucket 555, 1,000 s into it. */
static const uint8_t event_bytes[] = {
	'E', '1', 'b',                                  /* sum of the field 0x31b & 31 = 27 */
	0, 0, 2, 43, 9,                                 /* bucket 555, field of 9 bytes */
	'p', 2, 6, 0xc3, 0x50, 10, 0, 0, 1,             /* zone 2, TCP, port 50000, 10.0.0.1 */
	5, 6, 7, 8,                                     /* low half of the id */
	0, 0, 0, 0, 0, 0, 0, 9,                         /* principal */
	0x3b, 0x9a, 0xca, 0x00,                         /* 1,000,000,000 us */
	1 | 4 | 8,                                      /* calibrated, remote, stop */
	10, 0, 0, 2, 1, 0xbb,                           /* 10.0.0.2:443 */
	0, 0, 0, 0xe8, 0xd4, 0xa5, 0x10, 0x01,          /* 1,000,000,000,001 us */
};

static void pack_event__port_cell__as_described(void **state)
{
	(void)state;
	uint8_t buf[CELL_MAX_EVENT];
	struct cell_event e = {.tuple = {.local = v4(1, 50000), .remote = v4(2, 443), .proto = 6, .zone = 2},
			       .t_us = UINT64_C(1000000000000), .stop_us = UINT64_C(1000000000001), .principal = 9,
			       .ref = 0x05060708, .calibrated = true};
	unsigned sum = 0;
	for (size_t i = 8; i < 17; i++)
		sum += event_bytes[i];
	uint8_t want[sizeof event_bytes];
	memcpy(want, event_bytes, sizeof want);
	want[1] = (uint8_t)"0123456789abcdef"[sum % 32 >> 4];
	want[2] = (uint8_t)"0123456789abcdef"[sum % 32 & 15];
	assert_int_equal(cell_pack_event(buf, &e), sizeof want);
	assert_memory_equal(buf, want, sizeof want);
}

static void pack_event__serving_port__whole_tuple_in_field(void **state)
{
	(void)state;
	uint8_t buf[CELL_MAX_EVENT];
	struct cell_event e = {.tuple = {.local = v4(1, 443), .remote = v4(2, 50000), .proto = 6}, .t_us = 1};
	size_t n = cell_pack_event(buf, &e);
	assert_int_equal(buf[7], 15);
	assert_memory_equal(buf + 8, "s\0\6\x01\xbb\x0a\0\0\x02\xc3\x50\x0a\0\0\x01", 15);
	assert_int_equal(n, 8 + 15 + 17);
}

static void hash__same_tuple__event_and_flow_meet(void **state)
{
	(void)state;
	uint8_t ev[CELL_MAX_EVENT];
	static uint8_t fl[CELL_MAX_FLOW];
	struct cell_ledger ledger = {0, 5, 6};
	static const uint16_t ports[][2] = {{50000, 443}, {443, 50000}, {5353, 5353}, {137, 137}, {8080, 51000}, {49700, 49800}};
	for (size_t i = 0; i < sizeof ports / sizeof ports[0]; i++)
		for (int v6 = 0; v6 < 2; v6++) {
			struct cell_tuple t = {.local = v4(1, ports[i][0]), .remote = v4(2, ports[i][1]), .proto = 17};
			if (v6)
				t.local.family = t.remote.family = 6;
			struct cell_event e = {.tuple = t, .t_us = 1};
			struct cell_flow f = {.tuple = t, .start_us = 1, .ledger = &ledger, .n_ledger = 1};
			size_t n = cell_pack_event(ev, &e);
			cell_pack_flow(fl, &f);
			assert_true(n <= CELL_MAX_EVENT);
			assert_memory_equal(ev + 1, fl + 1, 7u + ev[7]);
		}
}

static void pack_flow__longest__fits(void **state)
{
	(void)state;
	static uint8_t fl[CELL_MAX_FLOW + 1];
	static struct cell_ledger ledger[CELL_MAX_LEDGER + 5];
	struct cell_flow f = {.tuple = {.local = {.family = 6, .port = 1}, .remote = {.family = 6, .port = 2}}, .ledger = ledger,
			      .n_ledger = CELL_MAX_LEDGER + 5};
	fl[CELL_MAX_FLOW] = 0xee;
	assert_true(cell_pack_flow(fl, &f) <= CELL_MAX_FLOW);
	assert_int_equal(fl[CELL_MAX_FLOW], 0xee);
}

static void tag__addresses__spread_and_zoned(void **state)
{
	(void)state;
	unsigned counts[CELL_TAGS] = {0}, moved = 0;
	for (unsigned i = 0; i < 25600; i++) {
		struct facts_addr a = {.ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .family = 4, .port = (uint16_t)i};
		counts[cell_tag(0, &a)]++;
		moved += cell_tag(0, &a) != cell_tag(1, &a);
		a.port = 9;
		assert_int_equal(cell_tag(0, &a), cell_tag(0, &(struct facts_addr){.ip = {10, 0, (uint8_t)(i >> 8), (uint8_t)i}, .family = 4}));
	}
	for (unsigned i = 0; i < CELL_TAGS; i++)
		assert_in_range(counts[i], 50, 160);
	assert_true(moved > 25000);
}

static void unpack_change__cut_anywhere__refused(void **state)
{
	(void)state;
	uint8_t b[45 + 1 + 8 + 1 + 12] = {0, 7};
	b[9] = 42;         /* flow id */
	b[10] = 1;         /* side */
	b[14] = 3;         /* version */
	b[15] = 'A';
	b[16] = 1;
	b[27] = 99;        /* up */
	size_t at_owners = 2 + 8 + 1 + 4 + 1 + 3 + 2 + 24;
	b[at_owners] = 1;
	b[at_owners + 8] = 5;
	b[at_owners + 9] = 1;
	b[at_owners + 13] = 6;
	memset(b + at_owners + 14, 0xff, 8); /* delta -1 */
	const uint8_t *at = b;
	struct cell_change c;
	assert_true(cell_unpack_change(&c, &at, b + sizeof b));
	assert_ptr_equal(at, b + sizeof b);
	assert_int_equal(c.source, 7);
	assert_int_equal(c.flow_id, 42);
	assert_int_equal(c.version, 3);
	assert_int_equal(c.owners[0], 5);
	assert_int_equal(c.evidence[0].ref, 6);
	assert_true(c.evidence[0].delta_us == -1);
	for (size_t n = 0; n < sizeof b; n++) {
		at = b;
		assert_false(cell_unpack_change(&c, &at, b + n));
		assert_ptr_equal(at, b);
	}
	b[at_owners] = 9;
	assert_false(cell_unpack_change(&c, &at, b + sizeof b));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pack_event__port_cell__as_described),
		cmocka_unit_test(pack_event__serving_port__whole_tuple_in_field),
		cmocka_unit_test(hash__same_tuple__event_and_flow_meet),
		cmocka_unit_test(pack_flow__longest__fits),
		cmocka_unit_test(tag__addresses__spread_and_zoned),
		cmocka_unit_test(unpack_change__cut_anywhere__refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
