#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/arena.h"
#include "dissect/vantage.h"

static void get__at_the_cap__none_and_counted(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 24, 5000, false), 0);
	for (uint32_t i = 1; i <= 5000; i++) {
		uint32_t id = arena_get(&a);
		assert_int_equal(id, i);
		memset(arena_at(&a, id), 0xff, 24);
	}
	assert_int_equal(arena_get(&a), 0);
	assert_int_equal(a.refused, 1);
	arena_put(&a, 17);
	uint32_t id = arena_get(&a);
	assert_int_equal(id, 17);
	const uint8_t *p = arena_at(&a, id);
	for (int i = 0; i < 24; i++)
		assert_int_equal(p[i], 0);
	p = arena_at(&a, 18);
	assert_int_equal(p[0], 0xff);
	arena_done(&a);
}

static void memory__grows_with_use(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 128, 4 << 20, true), 0);
	assert_int_equal(arena_memory_bytes(&a), 0);
	arena_get(&a);
	assert_true(arena_memory_bytes(&a) <= 65536);
	for (int i = 0; i < 100000; i++)
		arena_get(&a);
	assert_true(arena_memory_bytes(&a) < 100001 * 128 + (2 << 20));
	arena_done(&a);
}

static void init__impossible_sizes__refused(void **state)
{
	(void)state;
	struct arena a;
	assert_int_equal(arena_init(&a, 3, 10, false), -EINVAL);
	assert_int_equal(arena_init(&a, 8, 0, false), -EINVAL);
}

static void vantage__every_tag_stack__full_gives_unknown(void **state)
{
	(void)state;
	struct vantages *vs = vantage_new();
	struct segment s = {.n_vlan = 2};
	assert_non_null(vs);
	uint16_t first = 0;
	for (uint32_t i = 0; i < 70000; i++) {
		s.vlan[0] = (uint16_t)(i / 4096 + 1);
		s.vlan[1] = (uint16_t)(i % 4096);
		uint16_t id = vantage_id(vs, &s);
		if (i == 0)
			first = id;
		if (id)
			assert_int_equal(vantage_get(vs, id)->vlan[1], i % 4096);
	}
	assert_true(vantage_refused(vs) > 0);
	s.vlan[0] = 1;
	s.vlan[1] = 0;
	assert_int_equal(vantage_id(vs, &s), first);
	vantage_free(vs);
}

static void vantage__same_tags_other_input__same_vlans(void **state)
{
	(void)state;
	struct vantages *vs = vantage_new();
	struct segment a = {.n_vlan = 1, .vlan = {5}, .input = 1}, b = a, c = {.input = 1};
	b.input = 2;
	uint16_t x = vantage_id(vs, &a), y = vantage_id(vs, &b), z = vantage_id(vs, &c);
	assert_true(x != y);
	assert_int_equal(vantage_vlans(vs)[x], vantage_vlans(vs)[y]);
	assert_true(vantage_vlans(vs)[x] != 0);
	assert_int_equal(vantage_vlans(vs)[z], 0);
	assert_int_equal(vantage_get(vs, y)->input, 2);
	vantage_free(vs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(get__at_the_cap__none_and_counted),
	    cmocka_unit_test(memory__grows_with_use),
	    cmocka_unit_test(init__impossible_sizes__refused),
	    cmocka_unit_test(vantage__every_tag_stack__full_gives_unknown),
	    cmocka_unit_test(vantage__same_tags_other_input__same_vlans),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
