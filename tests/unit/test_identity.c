#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "detect/attrib/identity.h"

static struct slice text(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static uint32_t see(struct identity *id, const char *device_id, const char *name)
{
	return identity_see(id, text(device_id), text(name));
}

static bool one(struct identity *id, uint32_t a, uint32_t b)
{
	return identity_device(id, a) == identity_device(id, b);
}

static struct facts_addr ip(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	return (struct facts_addr){.ip = {a, b, c, d}, .family = 4, .port = 77};
}

static void see__names__case_and_bare_names_unify(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t bare = see(id, "", "ws5"), fqdn = see(id, "", "WS5.corp.example."), other = see(id, "", "ws6.corp.example");
	assert_int_equal(see(id, "", "WS5"), bare);
	assert_false(one(id, bare, fqdn));
	identity_unify(id);
	assert_true(one(id, bare, fqdn));
	assert_false(one(id, bare, other));
	assert_string_equal(identity_name(id, bare), "ws5.corp.example");
	identity_free(id);
}

static void unify__two_domains_share_a_label__bare_name_stays_alone(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "", "dc.one.example"), bare = see(id, "", "dc"), b = see(id, "", "dc.two.example");
	identity_unify(id);
	assert_false(one(id, a, b));
	assert_false(one(id, a, bare));
	assert_false(one(id, b, bare));
	assert_string_equal(identity_name(id, bare), "dc");
	identity_free(id);
}

static void see__same_device_id__one_device_named_by_name(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t only_id = see(id, "aabbccddeeff00112233445566778899aabbccdd", ""), named = see(id, "AABBCCDDEEFF00112233445566778899aabbccdd", "ws5");
	assert_true(one(id, only_id, named));
	assert_string_equal(identity_name(id, only_id), "ws5");
	assert_int_equal(see(id, "", ""), 0);
	assert_null(identity_name(id, 0));
	identity_free(id);
}

static void see__two_ids_one_name__two_devices_and_the_name_is_neither(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "aaaa1", "Laptop"), bare = see(id, "", "laptop");
	assert_true(one(id, a, bare));
	uint32_t b = see(id, "bbbb2", "laptop");
	assert_int_equal(see(id, "AAAA1", "laptop"), a);
	assert_int_equal(see(id, "bbbb2", ""), b);
	identity_unify(id);
	assert_false(one(id, a, b));
	assert_false(one(id, a, bare));
	assert_false(one(id, b, bare));
	assert_string_equal(identity_name(id, a), "laptop#aaaa1");
	assert_string_equal(identity_name(id, b), "laptop#bbbb2");
	assert_string_equal(identity_name(id, bare), "laptop");
	uint32_t fqdn = see(id, "", "laptop.corp.example");
	identity_unify(id);
	assert_true(one(id, fqdn, bare));
	assert_false(one(id, fqdn, a));
	identity_free(id);
}

static void unify__bare_name_and_fqdn_have_an_id_each__stay_apart(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "aaaa1", "ws5"), b = see(id, "bbbb2", "ws5.corp.example");
	identity_unify(id);
	assert_false(one(id, a, b));
	identity_free(id);
}

static void shared__devices_in_turns__until_a_quarter_of_an_hour_after(void **state)
{
	(void)state;
	const uint64_t minute = 60000000;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "", "a"), b = see(id, "", "b");
	struct facts_addr x = ip(192, 168, 1, 10), y = ip(192, 168, 1, 11);
	identity_claim(id, a, &x, 100 * minute, false);
	identity_claim(id, b, &x, 110 * minute, false);
	assert_false(identity_shared(id, &x, 105 * minute)); /* so far a new lease */
	identity_claim(id, a, &x, 120 * minute, false);
	assert_true(identity_shared(id, &x, 105 * minute));
	assert_true(identity_shared(id, &x, 85 * minute));
	assert_false(identity_shared(id, &x, 84 * minute));
	assert_true(identity_shared(id, &x, 135 * minute));
	assert_false(identity_shared(id, &x, 136 * minute));
	identity_claim(id, a, &y, 100 * minute, false);
	identity_claim(id, b, &y, 110 * minute, false);
	identity_claim(id, a, &y, 221 * minute, false); /* gone for two hours: a lease again */
	assert_false(identity_shared(id, &y, 110 * minute));
	identity_free(id);
}

static void see__table_full__refused_and_counted(void **state)
{
	(void)state;
	struct identity *id = identity_new(2);
	assert_int_not_equal(see(id, "", "a"), 0);
	assert_int_not_equal(see(id, "", "b"), 0);
	assert_int_equal(see(id, "", "c"), 0);
	assert_int_not_equal(see(id, "", "a"), 0);
	assert_int_equal(identity_refused(id), 1);
	identity_free(id);
}

static void at__dhcp_moves_an_address__device_of_that_time(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "", "a"), b = see(id, "", "b");
	struct facts_addr x = ip(10, 0, 0, 9);
	assert_int_equal(identity_at(id, &x, 5), 0);
	identity_claim(id, a, &x, 100, false);
	identity_claim(id, a, &x, 200, false);
	identity_claim(id, b, &x, 300, false);
	identity_claim(id, b, &x, 400, false);
	assert_int_equal(identity_at(id, &x, 50), a);
	assert_int_equal(identity_at(id, &x, 150), a);
	assert_int_equal(identity_at(id, &x, 210), a);
	assert_int_equal(identity_at(id, &x, 300), b);
	assert_int_equal(identity_at(id, &x, 9999), b);
	identity_free(id);
}

static void score__whose_address__decides(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "", "a"), b = see(id, "", "b");
	struct facts_addr mine = ip(10, 0, 0, 1), v6 = {.ip = {0xfd, 1}, .family = 6}, theirs = ip(10, 0, 0, 2), unknown = ip(8, 8, 8, 8),
			  group = ip(224, 0, 0, 251), broadcast = ip(255, 255, 255, 255), loop = ip(127, 0, 0, 1);
	identity_claim(id, a, &mine, 1, false);
	identity_claim(id, a, &v6, 1, false);
	identity_claim(id, b, &theirs, 1, false);
	identity_claim(id, a, &group, 1, false);
	assert_int_equal(identity_score(id, a, &mine), 1);
	assert_int_equal(identity_score(id, a, &v6), 1);
	assert_int_equal(identity_score(id, a, &theirs), -1);
	assert_int_equal(identity_score(id, a, &unknown), 0);
	assert_int_equal(identity_score(id, a, &group), -1);
	assert_int_equal(identity_score(id, a, &broadcast), -1);
	assert_int_equal(identity_score(id, b, &loop), 1);
	identity_free(id);
}

static void claim__weak__never_beats_a_good_one(void **state)
{
	(void)state;
	struct identity *id = identity_new(100);
	uint32_t a = see(id, "", "a"), b = see(id, "", "b");
	struct facts_addr x = ip(10, 0, 0, 1), y = ip(10, 0, 0, 2);
	identity_claim(id, a, &x, 1, false);
	identity_claim(id, b, &x, 2, true);
	assert_int_equal(identity_at(id, &x, 2), a);
	identity_claim(id, b, &y, 1, true);
	assert_int_equal(identity_at(id, &y, 1), b);
	assert_int_equal(identity_score(id, a, &y), 0);
	identity_claim(id, a, &y, 2, false);
	assert_int_equal(identity_at(id, &y, 1), a);
	identity_free(id);
}

static void claim__many_addresses_and_devices__all_found(void **state)
{
	(void)state;
	struct identity *id = identity_new(5000);
	for (unsigned i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof name, "host%u.example", i);
		struct facts_addr x = ip(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
		identity_claim(id, see(id, "", name), &x, i, false);
	}
	for (unsigned i = 0; i < 3000; i++) {
		char name[32];
		snprintf(name, sizeof name, "host%u.example", i);
		struct facts_addr x = ip(10, 1, (uint8_t)(i >> 8), (uint8_t)i);
		assert_string_equal(identity_name(id, identity_at(id, &x, 0)), name);
	}
	assert_int_equal(identity_count(id), 3000);
	identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(see__names__case_and_bare_names_unify),
		cmocka_unit_test(unify__two_domains_share_a_label__bare_name_stays_alone),
		cmocka_unit_test(see__same_device_id__one_device_named_by_name),
		cmocka_unit_test(see__two_ids_one_name__two_devices_and_the_name_is_neither),
		cmocka_unit_test(unify__bare_name_and_fqdn_have_an_id_each__stay_apart),
		cmocka_unit_test(shared__devices_in_turns__until_a_quarter_of_an_hour_after),
		cmocka_unit_test(see__table_full__refused_and_counted),
		cmocka_unit_test(at__dhcp_moves_an_address__device_of_that_time),
		cmocka_unit_test(score__whose_address__decides),
		cmocka_unit_test(claim__weak__never_beats_a_good_one),
		cmocka_unit_test(claim__many_addresses_and_devices__all_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
