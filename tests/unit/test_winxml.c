#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdio.h>

#include "dissect/winxml.h"

static struct evrow_field fields[WINXML_MAX_FIELDS];
static size_t n_fields;
static struct scratch scratch;

static enum evparse_reason read_xml(const char *xml)
{
	return winxml_read((struct slice){(const uint8_t *)xml, strlen(xml)}, &scratch, fields, &n_fields);
}

static void has(const char *name, const char *text)
{
	for (size_t i = 0; i < n_fields; i++)
		if (slice_is(fields[i].name, name)) {
			if (!slice_is(fields[i].text, text))
				fail_msg("%s is %.*s", name, (int)fields[i].text.n,
					 (const char *)fields[i].text.p);
			return;
		}
	fail_msg("no %s", name);
}

static void read__whole_event__system_and_data(void **state)
{
	(void)state;
	assert_int_equal(read_xml("<Event xmlns='x'><System><Provider Name=\"Linux-Sysmon\" "
				  "Guid=\"{f}\"/><EventID Qualifiers='0'>3</EventID><Version>5</Version>"
				  "<TimeCreated "
				  "SystemTime=\"2026-05-11T18:10:20.399931000Z\"/><EventRecordID>245753</"
				  "EventRecordID><Correlation/>"
				  "<Execution ProcessID=\"1590\" "
				  "ThreadID=\"1590\"/><Channel>Linux-Sysmon/Operational</"
				  "Channel><Computer>ubu5</Computer></System>"
				  "<EventData><Data Name=\"RuleName\">-</Data>\r\n<Data "
				  "Name='Image'>/bin/a&amp;b</Data><Data Name=\"Empty\"/><Data>unnamed</Data>"
				  "</EventData></Event>"),
			 EVPARSE_REASON_COUNT);
	has("@Provider", "Linux-Sysmon");
	has("@EventID", "3");
	has("@SystemTime", "2026-05-11T18:10:20.399931000Z");
	has("@EventRecordID", "245753");
	has("@Channel", "Linux-Sysmon/Operational");
	has("@Computer", "ubu5");
	has("Image", "/bin/a&b");
	has("Empty", "");
	assert_int_equal(n_fields, 9);
}

static void unescape__entities__and_what_is_none(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {{"&lt;a&gt; &quot;&apos;&amp;lt;", "<a> \"'&lt;"},
		     {"&#65;&#x1F600;&#X41;", "A\xf0\x9f\x98\x80"
					      "A"},
		     {"&", "&"},
		     {"&#;&#x;&#99999999;", "&#;&#x;&#99999999;"},
		     {"&#xd800;&nbsp;&#0;", "&#xd800;&nbsp;&#0;"},
		     {"plain", "plain"},
		     {"", ""}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct slice s = winxml_unescape(
		    (struct slice){(const uint8_t *)cases[i].in, strlen(cases[i].in)}, &scratch);
		assert_int_equal(s.n, strlen(cases[i].out));
		assert_memory_equal(s.p, cases[i].out, s.n);
	}
}

static void read__hostile__refused(void **state)
{
	static char many[16384];
	(void)state;
	assert_int_equal(read_xml("<Data Name=\"Image\">a</Data><Data Name=\"Image\">b</Data>"),
			 EVPARSE_DUP_KEY);
	assert_int_equal(read_xml("<EventID>3</EventID><EventID>1</EventID>"), EVPARSE_DUP_KEY);
	assert_int_equal(read_xml("<Data Name=\"Image\">a</Data><Data Na"), EVPARSE_CUT_SHORT);
	for (int extra = 0; extra < 2; extra++) {
		size_t at = 0;
		for (int i = 0; i < WINXML_MAX_FIELDS + extra; i++)
			at += (size_t)snprintf(many + at, sizeof many - at, "<Data Name=\"f%d\">x</Data>", i);
		assert_int_equal(read_xml(many), extra ? EVPARSE_BAD_COLUMNS : EVPARSE_REASON_COUNT);
		assert_int_equal(n_fields, WINXML_MAX_FIELDS);
	}
	assert_int_equal(read_xml("<Data Name=>x</Data><Data Name=\"y>z</Data><TimeCreated/>"),
			 EVPARSE_REASON_COUNT);
	assert_int_equal(read_xml(""), EVPARSE_REASON_COUNT);
	assert_int_equal(n_fields, 0);
}

static int teardown(void **state)
{
	(void)state;
	scratch_free(&scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read__whole_event__system_and_data),
	    cmocka_unit_test(unescape__entities__and_what_is_none),
	    cmocka_unit_test(read__hostile__refused),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
