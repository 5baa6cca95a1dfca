/* sink_table: what a person at a terminal reads, and that nothing in it can command the terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "detect/sinks/sinks.h"
#include "tests/unit/tell.h"

/* Standard output goes into a file while the table is told. */
static int saved_fd;
static char path[] = "/tmp/leaktap-table.XXXXXX";

static struct sink *opened_with(bool color, bool nat_one_side)
{
	struct sink_conf conf = {.target = "-", .format = "eve", .records = SINK_ALL, .sensor = "t", .color = color,
				 .nat_one_side = nat_one_side};
	struct sink *s;
	struct err err;
	memset(path + sizeof path - 7, 'X', 6);
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	fflush(stdout);
	saved_fd = dup(STDOUT_FILENO);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	if (sink_table.open(&s, &conf, &err))
		return NULL;
	return s;
}

static struct sink *opened(bool color)
{
	return opened_with(color, false);
}

static char *closed(struct sink *s)
{
	struct err err;
	size_t n;
	int r = sink_table.close(s, &err);
	fflush(stdout);
	dup2(saved_fd, STDOUT_FILENO);
	close(saved_fd);
	char *text = tell_read(path, &n);
	unlink(path);
	assert_int_equal(r, 0);
	assert_non_null(text);
	return text;
}

static void table__a_finding_and_its_flow__sentence_then_destinations(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	struct sink *s = opened(false);
	sink_table.flow(s, &v);
	sink_table.finding(s, &fi);
	char *text = closed(s);
	char *finding = strstr(text, "HIGH   powershell.exe (pid 4188, employee) on ws-0417 sent 1,752 bytes\n");
	char *row = strstr(text, "sacyberrangedanger.blob.core.windows.net     Azure Blob sacyberrangedanger  powershell.exe ");
	assert_non_null(finding);
	assert_non_null(row);
	assert_true(finding < row);
	assert_non_null(strstr(text, "rules 1003 1002; ATT&CK T1567.002 T1560.001\n"));
	assert_non_null(strstr(text, "- 1003: an archive\n"));
	assert_non_null(strstr(row, " 1,752            412 app upload       1\n"));
	assert_null(strchr(text, 0x1b));
	free(text);
}

/* "No finding" never claims more than was seen, and is no answer of a run that failed. */
static void table__nothing__says_so_and_of_what(void **state)
{
	(void)state;
	static const struct {
		struct sink_stats stats;
		const char *want;
	} cases[] = {
		{{.last = true, .track.packets = 9}, "no finding\n"},
		{{.last = true, .track.packets = 9, .partial = true}, "no finding in what could be read; part of the input is missing\n"},
		{{.last = true, .track.packets = 9, .source.kernel_drops = 2, .source.iface_drops = 1}, "no finding; 3 packets were dropped before capture\n"},
		{{.last = true}, "no finding: no packet was read\n"},
		{{.last = true, .source.filtered = 7}, "no finding: the packet filter let none of 7 packets through\n"},
		{{.track.packets = 9}, ""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct sink *s = opened(true);
		sink_table.stats(s, &cases[i].stats);
		char *text = closed(s);
		assert_string_equal(text, cases[i].want);
		free(text);
	}
}

static void table__record_in_between__not_counted_twice(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	struct sink *s = opened(false);
	f.last = false;
	sink_table.flow(s, &v);
	f.last = true;
	sink_table.flow(s, &v);
	char *text = closed(s);
	assert_non_null(strstr(text, " 1,752            412 app upload       1\n"));
	free(text);
}

/* Both sides of a translator: two flows of the same bytes. */
static void table__translator_pair__one_side_when_configured(void **state)
{
	(void)state;
	for (int one = 0; one < 2; one++) {
		struct flow_facts inside = tell_facts(1), outside = tell_facts(2);
		inside.flags = outside.flags = FACTS_NAT_PAIR;
		outside.nat_second = true;
		struct verdict v = tell_verdict(&inside), w = tell_verdict(&outside);
		struct sink *s = opened_with(false, one);
		sink_table.flow(s, &v);
		sink_table.flow(s, &w);
		char *text = closed(s);
		assert_non_null(strstr(text, one ? " 1,752            412 app upload       1\n"
						 : " 3,504            824 app upload       2\n"));
		free(text);
	}
}

static void table__hostile_texts__ascii_only(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(1);
	tell_hostile_facts(&f);
	struct verdict v = tell_verdict(&f);
	tell_hostile_verdict(&v);
	struct finding fi = tell_finding(&v);
	tell_hostile_finding(&fi);
	struct sink *s = opened(false);
	sink_table.flow(s, &v);
	sink_table.finding(s, &fi);
	char *text = closed(s);
	for (const char *p = text; *p; p++)
		assert_true(*p == '\n' || (*p >= 0x20 && *p < 0x7f));
	assert_non_null(strstr(text, "HIGH   a\\x1b[2J\\x07\\x0d\\x0a\\xc2\\x9b31m\\xe2\\x80\\xaeexe."));
	free(text);
}

static void table__color__only_ours(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(1);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	tell_hostile_finding(&fi);
	struct sink *s = opened(true);
	sink_table.finding(s, &fi);
	char *text = closed(s);
	size_t escapes = 0;
	for (const char *p = text; (p = strchr(p, 0x1b)); p++)
		escapes++;
	assert_int_equal(escapes, 2);
	assert_memory_equal(text, "\033[1;31mHIGH  \033[0m ", 18);
	free(text);
}

/* Sizes around the scratch buffer: every byte becomes four. */
static void table__long_texts__whole_and_columns_cut(void **state)
{
	(void)state;
	for (size_t n = 1; n < 70000; n = n * 3 + 1) {
		char *text = malloc(n + 1);
		assert_non_null(text);
		memset(text, 1, n);
		text[n] = '\0';
		struct flow_facts f = tell_facts(1);
		struct verdict v = tell_verdict(&f);
		struct finding fi = tell_finding(&v);
		f.name = text;
		fi.sentence = text;
		struct sink *s = opened(false);
		sink_table.flow(s, &v);
		sink_table.finding(s, &fi);
		char *out = closed(s);
		assert_int_equal(strcspn(out, "\n"), 7 + 4 * n);
		char *row = strstr(out, "\n\\x01");
		assert_non_null(row);
		assert_memory_equal(row + 1 + 45, "Azure Blob", 10);
		assert_int_equal(!strncmp(row + 1 + 42, "..", 2), n > 11);
		free(out);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table__a_finding_and_its_flow__sentence_then_destinations),
		cmocka_unit_test(table__nothing__says_so_and_of_what),
		cmocka_unit_test(table__record_in_between__not_counted_twice),
		cmocka_unit_test(table__translator_pair__one_side_when_configured), cmocka_unit_test(table__hostile_texts__ascii_only),
		cmocka_unit_test(table__color__only_ours),
		cmocka_unit_test(table__long_texts__whole_and_columns_cut),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
