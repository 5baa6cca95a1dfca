/* tally: flows added up by destination and process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "detect/sinks/tally.h"
#include "tests/unit/tell.h"

static size_t rows_of(struct tally *t, const struct tally_row *const **ret)
{
	return tally_sorted(t, ret);
}

static void tally_add__same_name_and_process__one_row_of_sums(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	struct flow_facts f = tell_facts(1), g = tell_facts(2);
	struct verdict v = tell_verdict(&f), w = tell_verdict(&g);
	g.start_ns -= 5000000000;
	g.up.bytes = 10;
	g.up.app_bytes = 3;
	w.explanation = "because";
	tally_add(t, &v);
	tally_add(t, &w);
	const struct tally_row *const *rows;
	assert_int_equal(rows_of(t, &rows), 1);
	const struct tally_row *r = rows[0];
	assert_string_equal(r->name, "sacyberrangedanger.blob.core.windows.net");
	assert_string_equal(r->account, "sacyberrangedanger");
	assert_string_equal(r->process, "powershell.exe");
	assert_string_equal(r->device, "ws-0417");
	assert_string_equal(r->service, "Azure Blob");
	assert_string_equal(r->role, "upload");
	assert_string_equal(r->name_source, "tls_sni");
	assert_string_equal(r->explanation, "because");
	assert_int_equal(r->up_bytes, 2157);
	assert_int_equal(r->down_bytes, 2 * 5466);
	assert_int_equal(r->app_up_bytes, 1755);
	assert_int_equal(r->app_down_bytes, 824);
	assert_int_equal(r->flows, 2);
	assert_int_equal(r->app_flows, 2);
	assert_int_equal(r->first_ns, tell_t0_ns - 5000000000);
	assert_int_equal(r->last_ns, f.end_ns);
	assert_string_equal(tally_direction(r), "upload");
	tally_free(t);
}

/* A sum of application bytes that leaves flows out would be called a total: then the payload counts. */
static void tally_direction__a_flow_without_application_bytes__by_payload(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	struct flow_facts f = tell_facts(1), g = tell_facts(2);
	struct verdict v = tell_verdict(&f), w = tell_verdict(&g);
	g.app_known = false;
	g.down.bytes = 1000000;
	tally_add(t, &v);
	tally_add(t, &w);
	const struct tally_row *const *rows;
	assert_int_equal(rows_of(t, &rows), 1);
	assert_int_equal(rows[0]->app_flows, 1);
	assert_string_equal(tally_direction(rows[0]), "download");
	tally_free(t);
}

static void tally_sorted__several__most_up_first_then_by_name(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	static const struct {
		const char *name;
		uint64_t up;
	} in[] = {{"b.example", 5}, {"a.example", 5}, {"c.example", 900}, {NULL, 7}};
	for (size_t i = 0; i < 4; i++) {
		struct flow_facts f = tell_facts(i);
		struct verdict v = tell_verdict(&f);
		f.name = in[i].name;
		f.up.bytes = in[i].up;
		v.has_destination = false;
		tally_add(t, &v);
	}
	const struct tally_row *const *rows;
	assert_int_equal(rows_of(t, &rows), 4);
	assert_string_equal(rows[0]->name, "c.example");
	assert_string_equal(rows[1]->name, "20.60.133.132");
	assert_string_equal(rows[2]->name, "a.example");
	assert_string_equal(rows[3]->name, "b.example");
	assert_null(rows[0]->service);
	tally_free(t);
}

static void tally_add__full__the_rest_in_one_row(void **state)
{
	(void)state;
	enum { EXTRA = 1000 };
	struct tally *t = tally_new();
	uint64_t up = 0;
	for (unsigned i = 0; i < TALLY_MAX_ROWS + EXTRA; i++) {
		char name[32];
		struct flow_facts f = tell_facts(i);
		struct verdict v = tell_verdict(&f);
		snprintf(name, sizeof name, "h%u.example", i);
		f.name = name;
		f.up.bytes = 1000000 - i; /* the newest are the smallest: the row of the rest must not win by size of one */
		up += f.up.bytes;
		tally_add(t, &v);
	}
	const struct tally_row *const *rows;
	size_t n = rows_of(t, &rows), others = 0;
	uint64_t sum = 0;
	assert_int_equal(n, TALLY_MAX_ROWS);
	for (size_t i = 0; i < n; i++) {
		sum += rows[i]->up_bytes;
		if (strcmp(rows[i]->name, "(other)"))
			continue;
		others++;
		assert_int_equal(rows[i]->flows, EXTRA + 1);
		assert_null(rows[i]->service);
	}
	assert_int_equal(others, 1);
	assert_int_equal(sum, up);
	/* a known one still finds its own row */
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	f.name = "h17.example";
	tally_add(t, &v);
	n = rows_of(t, &rows);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(rows[i]->name, "h17.example"))
			assert_int_equal(rows[i]->flows, 2);
	tally_free(t);
}

static void tally_add__longest_names__cut_not_overrun(void **state)
{
	(void)state;
	struct tally *t = tally_new();
	char name[FACTS_MAX_NAME + 1], process[400];
	memset(name, 'n', sizeof name - 1);
	memset(process, 'p', sizeof process - 1);
	name[sizeof name - 1] = process[sizeof process - 1] = '\0';
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	f.name = name;
	v.initiator.process.name = v.initiator.process.device = process;
	v.explanation = process;
	tally_add(t, &v);
	tally_add(t, &v);
	const struct tally_row *const *rows;
	assert_int_equal(rows_of(t, &rows), 1);
	assert_string_equal(rows[0]->name, name);
	assert_int_equal(strlen(rows[0]->process), sizeof rows[0]->process - 1);
	assert_int_equal(rows[0]->flows, 2);
	tally_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tally_add__same_name_and_process__one_row_of_sums),
		cmocka_unit_test(tally_direction__a_flow_without_application_bytes__by_payload),
		cmocka_unit_test(tally_sorted__several__most_up_first_then_by_name),
		cmocka_unit_test(tally_add__full__the_rest_in_one_row),
		cmocka_unit_test(tally_add__longest_names__cut_not_overrun),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
