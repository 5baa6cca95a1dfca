/* Flows whose owner may still change: what is kept, in which order it grows old, and the two caps. */
#include "detect/app/pending.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tell.h"

static struct pending_flow *put(struct pending *p, uint64_t id, uint64_t bytes)
{
	struct flow_facts f = tell_facts(id);
	f.up.bytes = bytes;
	struct pending_flow *pf = pending_put(p, &f);
	assert_non_null(pf);
	return pf;
}

static uint64_t kept_bytes(const struct pending_flow *pf)
{
	struct flow_facts f;
	assert_int_equal(facts_unpack(&f, pf->facts, pf->n_facts), 0);
	return f.up.bytes;
}

static void put__again__replaces_facts_keeps_owner_becomes_youngest(void **state)
{
	(void)state;
	struct pending *p = pending_new(8, 1 << 20);
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	struct pending_flow *pf = put(p, 1, 100);
	assert_int_equal(pending_own(p, pf, &v), 0);
	pf->version = 3;
	put(p, 2, 200);
	assert_int_equal(pending_oldest(p)->flow_id, 1);
	assert_ptr_equal(put(p, 1, 150), pf);
	assert_int_equal(kept_bytes(pf), 150);
	assert_int_equal(pf->version, 3);
	assert_int_equal(pending_oldest(p)->flow_id, 2);
	struct verdict again;
	keep_verdict(pf->owners, &again);
	assert_string_equal(again.initiator.process.name, "powershell.exe");
	pending_free(p);
}

static void own__strings_of_the_caller_change__copy_stays(void **state)
{
	(void)state;
	struct pending *p = pending_new(8, 1 << 20);
	struct pending_flow *pf = put(p, 1, 100);
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f), again;
	char name[] = "rclone.exe", id[] = "event-1";
	v.initiator.process.name = name;
	v.initiator.evidence[0].id = id;
	assert_int_equal(pending_own(p, pf, &v), 0);
	name[0] = id[0] = '!';
	keep_verdict(pf->owners, &again);
	assert_string_equal(again.initiator.process.name, "rclone.exe");
	assert_string_equal(again.initiator.evidence[0].id, "event-1");
	pending_free(p);
}

static void full__at_the_count__room_after_a_drop(void **state)
{
	(void)state;
	struct pending *p = pending_new(3, SIZE_MAX);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_false(pending_full(p));
		put(p, id, id);
	}
	assert_true(pending_full(p));
	pending_drop(p, pending_oldest(p));
	assert_false(pending_full(p));
	assert_null(pending_find(p, 1));
	assert_non_null(pending_find(p, 2));
	pending_free(p);
}

static void full__at_the_bytes__counts_facts_and_owners(void **state)
{
	(void)state;
	struct pending *p = pending_new(1000, 4096);
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	char text[4000];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	v.initiator.process.command_line = text;
	struct pending_flow *pf = put(p, 1, 1);
	assert_false(pending_full(p));
	assert_int_equal(pending_own(p, pf, &v), 0);
	assert_true(pending_full(p));
	pending_drop(p, pf);
	assert_false(pending_full(p));
	put(p, 2, 1);
	assert_false(pending_full(p));
	pending_free(p);
}

/* Many ids, dropped from the old end: found as long as they are there, never after. */
static void find__ten_thousand__exactly_those_kept(void **state)
{
	(void)state;
	enum { N = 10000, KEPT = 700 };
	struct pending *p = pending_new(KEPT, SIZE_MAX);
	for (uint64_t id = 1; id <= N; id++) {
		while (pending_full(p))
			pending_drop(p, pending_oldest(p));
		put(p, id * UINT64_C(0x9e3779b97f4a7c15) >> 11, id);
	}
	for (uint64_t id = 1; id <= N; id++) {
		const struct pending_flow *pf = pending_find(p, id * UINT64_C(0x9e3779b97f4a7c15) >> 11);
		assert_int_equal(pf != NULL, id > N - KEPT);
		assert_true(!pf || kept_bytes(pf) == id);
	}
	pending_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(put__again__replaces_facts_keeps_owner_becomes_youngest),
	    cmocka_unit_test(own__strings_of_the_caller_change__copy_stays),
	    cmocka_unit_test(full__at_the_count__room_after_a_drop),
	    cmocka_unit_test(full__at_the_bytes__counts_facts_and_owners),
	    cmocka_unit_test(find__ten_thousand__exactly_those_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
