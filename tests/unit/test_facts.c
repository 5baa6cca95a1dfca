#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/base/err.h"
#include "dissect/facts.h"

static const struct facts_minute minutes[2] = {{60, 5, 7}, {120, 6, 8}};

static struct flow_facts sample(void)
{
	return (struct flow_facts){
	    .flow_id = 42,
	    .proto = 6,
	    .up = {.bytes = UINT64_C(1) << 40},
	    .minutes = minutes,
	    .n_minutes = 2,
	    .name = "a.example",
	    .name_candidates = {"a.example", "b.example"},
	    .n_name_candidates = 2,
	    .sni = "",
	    .ja4 = "t13d",
	    .ndpi_name = "x",
	};
}

static void pack_unpack__everything__comes_back(void **state)
{
	(void)state;
	struct flow_facts f = sample(), g;
	uint64_t buf[256];
	size_t n = facts_pack(&f, buf, sizeof buf);
	assert_true(n <= sizeof buf);
	assert_int_equal(facts_unpack(&g, buf, n), 0);
	assert_int_equal(g.flow_id, 42);
	assert_int_equal(g.up.bytes, UINT64_C(1) << 40);
	assert_int_equal(g.n_minutes, 2);
	assert_memory_equal(g.minutes, minutes, sizeof minutes);
	assert_string_equal(g.name, "a.example");
	assert_string_equal(g.name_candidates[1], "b.example");
	assert_string_equal(g.sni, "");
	assert_string_equal(g.ja4, "t13d");
	assert_string_equal(g.ndpi_name, "x");
	assert_null(g.alpn);
	assert_null(g.connect_host);
	assert_true((const char *)g.name > (const char *)buf && (const char *)g.name < (const char *)buf + n);
}

static void pack__too_small__says_how_much_and_writes_nothing(void **state)
{
	(void)state;
	struct flow_facts f = sample();
	uint64_t buf[256];
	memset(buf, 0x5a, sizeof buf);
	size_t n = facts_pack(&f, buf, 0);
	assert_int_equal(facts_pack(&f, buf, n - 1), n);
	for (size_t i = 0; i < 256; i++)
		assert_int_equal(buf[i], UINT64_C(0x5a5a5a5a5a5a5a5a));
	assert_int_equal(facts_pack(&f, buf, n), n);
}

static void unpack__cut_or_damaged__format_error_and_untouched(void **state)
{
	(void)state;
	struct flow_facts f = sample(), g = {.flow_id = 7};
	uint64_t buf[256];
	size_t n = facts_pack(&f, buf, sizeof buf);
	for (size_t cut = 0; cut < n; cut += 8) {
		uint64_t *copy = malloc(cut ? cut : 1);
		assert_non_null(copy);
		memcpy(copy, buf, cut);
		if (cut + 8 < n) /* the last 8 may be padding */
			assert_int_equal(facts_unpack(&g, copy, cut), LT_EFORMAT);
		free(copy);
	}
	assert_int_equal(g.flow_id, 7);
	assert_int_equal(facts_unpack(&g, (const char *)buf + 1, n - 1), LT_EFORMAT);
}

static void names__every_value__has_its_text(void **state)
{
	(void)state;
	for (int i = 0; i < FACTS_NAME_SOURCE_COUNT; i++)
		assert_non_null(facts_name_source_names[i]);
	assert_string_equal(facts_name_source_names[FACTS_NAME_ECH_OUTER], "ech_outer");
	assert_string_equal(facts_basis_names[FACTS_BASIS_UDP_PAYLOAD], "udp_payload");
	assert_string_equal(facts_reason_names[FACTS_REASON_REUSED], "port_reuse");
	assert_string_equal(facts_state_names[FACTS_STATE_CLOSED], "closed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pack_unpack__everything__comes_back),
	    cmocka_unit_test(pack__too_small__says_how_much_and_writes_nothing),
	    cmocka_unit_test(unpack__cut_or_damaged__format_error_and_untouched),
	    cmocka_unit_test(names__every_value__has_its_text),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
