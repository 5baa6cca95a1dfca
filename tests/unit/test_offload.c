#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/natpair.h"
#include "dissect/offload.h"

static const struct hash_key key = {5, 6};
static const uint64_t second_ns = UINT64_C(1000000000);

static struct segment from(uint32_t host, uint16_t flags, uint64_t ts_ns)
{
	struct segment s = {.family = 4, .flags = flags, .ts_ns = ts_ns};
	memcpy(s.src, &host, sizeof host);
	return s;
}

static bool give(struct offload *of, uint32_t host, uint16_t flags, uint64_t ts_ns)
{
	struct segment s = from(host, flags, ts_ns);
	return offload_judge(of, &s);
}

static void judge__more_than_half_of_four__believed_for_good(void **state)
{
	(void)state;
	struct offload *of = offload_new(key);
	assert_false(give(of, 1, 0, 0));
	assert_false(give(of, 1, SEGMENT_BAD_CSUM, 0));
	assert_false(give(of, 1, SEGMENT_BAD_CSUM, 0));
	assert_true(give(of, 1, SEGMENT_BAD_CSUM, 0));
	assert_true(give(of, 1, SEGMENT_BAD_CSUM, 100 * second_ns));
	assert_false(give(of, 2, SEGMENT_BAD_CSUM, 0));
	offload_free(of);
}

static void judge__window_over__counts_anew(void **state)
{
	(void)state;
	struct offload *of = offload_new(key);
	for (uint64_t i = 0; i < 30; i++) /* three in any ten seconds: too few to say */
		assert_false(give(of, 1, SEGMENT_BAD_CSUM, i / 3 * 11 * second_ns));
	for (uint64_t i = 0; i < 3; i++)
		assert_false(give(of, 3, SEGMENT_BAD_CSUM, 400 * second_ns + i * 10 * second_ns / 3));
	assert_true(give(of, 3, SEGMENT_BAD_CSUM, 410 * second_ns));
	offload_free(of);
}

static void judge__other_input__judged_alone(void **state)
{
	(void)state;
	struct offload *of = offload_new(key);
	assert_true(give(of, 1, SEGMENT_PARTIAL_CSUM, 0));
	struct segment s = from(1, SEGMENT_BAD_CSUM, 0);
	s.input = 1;
	assert_false(offload_judge(of, &s));
	offload_free(of);
}

/* More senders than places: the table forgets, and never mistakes one for another. */
static void judge__more_senders_than_places__forgets_only(void **state)
{
	(void)state;
	struct offload *of = offload_new(key);
	for (uint32_t host = 1; host <= 4 * OFFLOAD_SENDERS; host++)
		assert_true(give(of, host, SEGMENT_PARTIAL_CSUM, 0));
	uint32_t known = 0;
	for (uint32_t host = 1; host <= 4 * OFFLOAD_SENDERS; host++)
		known += give(of, host, 0, 0);
	assert_in_range(known, 1, OFFLOAD_SENDERS);
	assert_in_range(offload_overwritten(of), 3 * OFFLOAD_SENDERS, 8 * OFFLOAD_SENDERS);
	for (uint32_t host = 1 << 20; host < (1 << 20) + 1000; host++)
		assert_false(give(of, host, SEGMENT_BAD_CSUM, 0));
	offload_free(of);
}

static void look__more_flows_than_places__forgets_only(void **state)
{
	(void)state;
	enum { N = 4 * NATPAIR_ENTRIES };
	struct natpair *np = natpair_new(key);
	uint8_t p[64] = {22};
	struct segment s = {.payload = p, .payload_captured_bytes = 64, .payload_bytes = 64, .proto = 6};
	for (uint32_t i = 1; i <= N; i++) {
		memcpy(p + 11, &i, sizeof i);
		assert_int_equal(natpair_look(np, &s, (struct natpair_flow){i, i}).id, 0);
	}
	assert_in_range(natpair_overwritten(np), N - NATPAIR_ENTRIES, N - 1);
	uint32_t found = 0;
	for (uint32_t i = N; i > N / 2; i--) {
		memcpy(p + 11, &i, sizeof i);
		struct natpair_flow other = natpair_look(np, &s, (struct natpair_flow){N + i, 0});
		assert_true(other.id == 0 || other.id == i);
		found += other.id != 0;
	}
	assert_in_range(found, 1, NATPAIR_ENTRIES);
	natpair_free(np);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(judge__more_than_half_of_four__believed_for_good),
	    cmocka_unit_test(judge__window_over__counts_anew),
	    cmocka_unit_test(judge__other_input__judged_alone),
	    cmocka_unit_test(judge__more_senders_than_places__forgets_only),
	    cmocka_unit_test(look__more_flows_than_places__forgets_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
