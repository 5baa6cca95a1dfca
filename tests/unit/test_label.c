#include "dissect/label.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct label sample(const char *name)
{
	return (struct label){.name_source = FACTS_NAME_TLS_SNI,
			      .tls_version = 0x0304,
			      .flags = FACTS_ECH,
			      .name = name,
			      .sni = name,
			      .alpn = "h2,http/1.1",
			      .app_proto = "tls",
			      .candidates = {"a.example", "b.example"},
			      .n_candidates = 2};
}

static void intern__same_contents__same_id_and_one_more_reference(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	char one[] = "x.example", two[] = "x.example";
	struct label a = sample(one), b = sample(two);
	uint32_t id = label_intern(ls, &a);
	assert_int_not_equal(id, 0);
	assert_int_equal(label_intern(ls, &b), id);
	label_unref(ls, id);
	struct label got;
	label_get(ls, id, &got);
	assert_string_equal(got.name, "x.example");
	label_unref(ls, id);
	labels_free(ls);
}

static void get__every_field__as_given(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	struct label l = {.name_source = FACTS_NAME_CONNECT_HOST,
			  .tls_version = 0x0303,
			  .flags = 0x80000001u,
			  .name = "1",
			  .sni = "2",
			  .connect_host = "3",
			  .http_host = "4",
			  .ja3 = "5",
			  .ja4 = "6",
			  .alpn = "7",
			  .app_proto = "8",
			  .ndpi_protocol = "9",
			  .ndpi_name = "10",
			  .candidates = {"1", "x"},
			  .n_candidates = 2};
	struct label got;
	uint32_t id = label_intern(ls, &l);
	label_get(ls, id, &got);
	assert_int_equal(got.name_source, FACTS_NAME_CONNECT_HOST);
	assert_int_equal(got.tls_version, 0x0303);
	assert_int_equal(got.flags, 0x80000001u);
	const char *const fields[] = {got.name, got.sni,  got.connect_host, got.http_host,     got.ja3,
				      got.ja4,  got.alpn, got.app_proto,    got.ndpi_protocol, got.ndpi_name};
	for (int i = 0; i < 10; i++) {
		char want[16];
		snprintf(want, sizeof want, "%d", i + 1);
		assert_string_equal(fields[i], want);
	}
	assert_int_equal(got.n_candidates, 2);
	assert_string_equal(got.candidates[0], "1");
	assert_string_equal(got.candidates[1], "x");
	labels_free(ls);
}

static void get__id_0__empty(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	struct label got = sample("x");
	label_get(ls, 0, &got);
	assert_null(got.name);
	assert_int_equal(got.flags, 0);
	label_unref(ls, 0);
	label_ref(ls, 0);
	labels_free(ls);
}

static void get__null_and_empty__told_apart(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	struct label null_name = {.app_proto = "tls"}, empty_name = {.app_proto = "tls", .name = ""}, got;
	uint32_t a = label_intern(ls, &null_name), b = label_intern(ls, &empty_name);
	assert_int_not_equal(a, b);
	label_get(ls, a, &got);
	assert_null(got.name);
	label_get(ls, b, &got);
	assert_string_equal(got.name, "");
	labels_free(ls);
}

static void intern__longer_than_255__cut(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	char text[2000];
	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = 0;
	struct label l = {.name = text}, got;
	label_get(ls, label_intern(ls, &l), &got);
	assert_int_equal(strlen(got.name), 255);
	labels_free(ls);
}

static void intern__at_the_count_cap__refused_and_counted(void **state)
{
	(void)state;
	struct labels *ls = labels_new(100, 0);
	char name[32];
	uint32_t first = 0;
	for (int i = 0; i < 150; i++) {
		snprintf(name, sizeof name, "%d.example", i);
		struct label l = {.name = name};
		uint32_t id = label_intern(ls, &l);
		assert_true(i < 100 ? id != 0 : id == 0);
		first = first ? first : id;
	}
	assert_int_equal(labels_refused(ls), 50);
	label_unref(ls, first);
	struct label l = {.name = "again.example"};
	assert_int_not_equal(label_intern(ls, &l), 0);
	labels_free(ls);
}

static void intern__at_the_byte_cap__refused_and_memory_stays(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 128 * 1024);
	char name[32];
	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof name, "%d.example", i);
		struct label l = sample(name);
		label_intern(ls, &l);
	}
	assert_true(labels_refused(ls) > 90000);
	assert_true(labels_memory_bytes(ls) < 400 * 1024);
	labels_free(ls);
}

/* 200,000 labels come and go at random; an array says what must be there. */
static void intern__random_traffic__contents_and_memory_hold(void **state)
{
	(void)state;
	static uint32_t ids[5000];
	static int names[5000];
	struct labels *ls = labels_new(0, 0);
	uint32_t seed = 7;
	memset(ids, 0, sizeof ids);
	for (int round = 0; round < 200000; round++) {
		seed = seed * 1664525u + 1013904223u;
		uint32_t slot = (seed >> 8) % 5000;
		char name[300];
		if (ids[slot]) {
			struct label got;
			label_get(ls, ids[slot], &got);
			assert_int_equal((int)strtol(got.name, NULL, 10), names[slot]);
			label_unref(ls, ids[slot]);
			ids[slot] = 0;
			continue;
		}
		names[slot] = (int)((seed >> 4) % 20000);
		snprintf(name, sizeof name, "%d.%0*d.example", names[slot], names[slot] % 200 + 1, 0);
		struct label l = {.name = name, .sni = name};
		ids[slot] = label_intern(ls, &l);
		assert_int_not_equal(ids[slot], 0);
	}
	assert_true(labels_memory_bytes(ls) < (size_t)8 << 20);
	for (int i = 0; i < 5000; i++)
		label_unref(ls, ids[i]);
	labels_free(ls);
}

static void settle__draft_that_others_share__theirs_and_one_more_reference(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	struct label l = sample("x.example");
	uint32_t shared = label_intern(ls, &l), draft = label_draft(ls, &l);
	assert_int_not_equal(draft, 0);
	assert_int_not_equal(draft, shared);
	assert_int_equal(label_settle(ls, draft), shared);
	label_unref(ls, shared);
	struct label got;
	label_get(ls, shared, &got);
	assert_string_equal(got.name, "x.example");
	assert_int_equal(label_settle(ls, shared), shared);
	label_unref(ls, shared);
	labels_free(ls);
}

static void settle__draft_nobody_has__found_from_then_on(void **state)
{
	(void)state;
	struct labels *ls = labels_new(0, 0);
	struct label l = sample("x.example"), other = sample("y.example");
	uint32_t dropped = label_draft(ls, &other);
	label_unref(ls, dropped);
	uint32_t draft = label_draft(ls, &l);
	assert_int_equal(draft, dropped); /* its place was free again */
	uint32_t id = label_settle(ls, draft);
	assert_int_equal(label_intern(ls, &l), id);
	assert_int_equal(label_settle(ls, 0), 0);
	labels_free(ls);
}

static void settle__at_the_count_cap__refused_and_counted(void **state)
{
	(void)state;
	struct labels *ls = labels_new(1, 0);
	struct label l = sample("x.example"), other = sample("y.example");
	uint32_t id = label_intern(ls, &l);
	assert_int_equal(label_settle(ls, label_draft(ls, &other)), 0);
	assert_int_equal(labels_refused(ls), 1);
	assert_int_equal(label_settle(ls, label_draft(ls, &l)), id);
	labels_free(ls);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(intern__same_contents__same_id_and_one_more_reference),
	    cmocka_unit_test(get__every_field__as_given),
	    cmocka_unit_test(get__id_0__empty),
	    cmocka_unit_test(get__null_and_empty__told_apart),
	    cmocka_unit_test(intern__longer_than_255__cut),
	    cmocka_unit_test(intern__at_the_count_cap__refused_and_counted),
	    cmocka_unit_test(intern__at_the_byte_cap__refused_and_memory_stays),
	    cmocka_unit_test(intern__random_traffic__contents_and_memory_hold),
	    cmocka_unit_test(settle__draft_that_others_share__theirs_and_one_more_reference),
	    cmocka_unit_test(settle__draft_nobody_has__found_from_then_on),
	    cmocka_unit_test(settle__at_the_count_cap__refused_and_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
