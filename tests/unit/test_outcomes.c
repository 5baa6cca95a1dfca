#include "detect/outcomes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FLOWS = 24 };

struct model { /* the truth: last cumulative bytes and owner of each flow */
	uint64_t up, down;
	uint32_t seq, version;
	uint8_t outcome, cause;
	bool suppressed, last;
};

__attribute__((noinline)) static void tell(struct outcomes *o, struct judge_stats *st, uint64_t id,
					   struct model *m, uint64_t up, uint64_t down)
{
	struct flow_facts f = {.flow_id = id, .seq = m->seq, .last = m->last, .end_ns = id};
	f.up.bytes = m->up += up;
	f.down.bytes = m->down += down;
	f.up.delta_bytes = up;
	f.down.delta_bytes = down;
	struct verdict v = {.facts = &f, .version = m->version};
	v.initiator.outcome = m->outcome;
	v.initiator.cause = m->cause;
	outcomes_book(o, st, &v, m->suppressed);
}

static void check(const struct judge_stats *st, const struct model *m)
{
	uint64_t bytes[3][2] = {{0}}, causes[OWNER_CAUSE_COUNT][2] = {{0}}, flows[3] = {0}, seen = 0,
		 suppressed = 0;
	for (int i = 0; i < FLOWS; i++) {
		if (!m[i].seq)
			continue;
		seen++;
		flows[m[i].outcome]++;
		suppressed += m[i].suppressed;
		bytes[m[i].outcome][0] += m[i].up;
		bytes[m[i].outcome][1] += m[i].down;
		if (m[i].outcome == OWNER_UNATTRIBUTED) {
			causes[m[i].cause][0] += m[i].up;
			causes[m[i].cause][1] += m[i].down;
		}
	}
	assert_memory_equal(bytes, st->bytes_by_outcome, sizeof bytes);
	assert_memory_equal(causes, st->bytes_by_cause, sizeof causes);
	assert_memory_equal(flows, st->flows_by_outcome, sizeof flows);
	assert_int_equal(st->flows, seen);
	assert_int_equal(st->suppressed, suppressed);
}

static void new_owner(struct model *m)
{
	m->outcome = (uint8_t)(rand() % 3);
	m->cause = (uint8_t)(m->outcome == OWNER_UNATTRIBUTED ? 1 + rand() % 3 : 0);
	m->suppressed = rand() % 2;
}

static void book__records_and_revisions__every_byte_in_one_row(void **state)
{
	(void)state;
	srand(11);
	for (int round = 0; round < 50; round++) {
		struct outcomes o = {0};
		struct judge_stats st = {0};
		struct model m[FLOWS] = {0};
		outcomes_begin(&o, 1000, true);
		for (int step = 0; step < 400; step++) {
			struct model *f = &m[rand() % FLOWS];
			if (!f->seq || (!f->last && rand() % 2)) {
				f->seq++;
				f->version += !f->version;
				f->last = rand() % 4 == 0;
				if (rand() % 3 == 0 || f->seq == 1)
					new_owner(f);
				tell(&o, &st, (uint64_t)(f - m) + 1, f, (uint64_t)rand() % 1000,
				     (uint64_t)rand() % 1000);
			} else {
				f->version++;
				new_owner(f);
				tell(&o, &st, (uint64_t)(f - m) + 1, f, 0, 0);
			}
			check(&st, m);
		}
		outcomes_free(&o);
	}
}

static void book__replay__nothing_kept_after_the_last_record(void **state)
{
	(void)state;
	struct outcomes o = {0};
	struct judge_stats st = {0};
	struct model m[FLOWS] = {0};
	outcomes_begin(&o, 1000, false);
	for (int i = 0; i < FLOWS; i++)
		for (m[i].seq = 1, m[i].version = 1; m[i].seq <= 3; m[i].seq++) {
			m[i].last = m[i].seq == 3;
			tell(&o, &st, (uint64_t)i + 1, &m[i], 100, 10);
		}
	assert_int_equal(o.flows.n, 0);
	assert_int_equal(st.flows, FLOWS);
	assert_int_equal(st.bytes_by_outcome[OWNER_UNATTRIBUTED][0], FLOWS * 300);
	outcomes_free(&o);
}

static void book__table_full__totals_stay_exact(void **state)
{
	(void)state;
	struct outcomes o = {0};
	struct judge_stats st = {0};
	struct model m[FLOWS] = {0};
	outcomes_begin(&o, 10, true);
	for (uint32_t seq = 1; seq <= 4; seq++)
		for (int i = 0; i < FLOWS; i++) {
			m[i].seq = seq;
			m[i].version = 1;
			tell(&o, &st, (uint64_t)i + 1, &m[i], 100, 10);
			assert_true(o.flows.n <= 10);
		}
	assert_int_equal(st.flows, FLOWS);
	assert_int_equal(st.flows_by_outcome[OWNER_UNATTRIBUTED], FLOWS);
	assert_int_equal(st.bytes_by_outcome[OWNER_UNATTRIBUTED][0], FLOWS * 400);
	assert_int_equal(st.bytes_by_outcome[OWNER_UNATTRIBUTED][1], FLOWS * 40);
	outcomes_free(&o);
}

static void forget__old_flows__gone(void **state)
{
	(void)state;
	struct outcomes o = {0};
	struct judge_stats st = {0};
	struct model m[FLOWS] = {0};
	outcomes_begin(&o, 1000, true);
	for (int i = 0; i < FLOWS; i++) { /* told at the time 1, 2, ... */
		m[i].seq = m[i].version = 1;
		tell(&o, &st, (uint64_t)i + 1, &m[i], 1, 1);
	}
	assert_int_equal(o.flows.n, FLOWS);
	outcomes_forget(&o, 20);
	assert_int_equal(o.flows.n, FLOWS - 19);
	outcomes_forget(&o, FLOWS + 1);
	assert_int_equal(o.flows.n, 0);
	outcomes_free(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(book__records_and_revisions__every_byte_in_one_row),
	    cmocka_unit_test(book__replay__nothing_kept_after_the_last_record),
	    cmocka_unit_test(book__table_full__totals_stay_exact),
	    cmocka_unit_test(forget__old_flows__gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
