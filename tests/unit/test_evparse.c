#include "evcatch.h"

static struct evcatch *feed(const char *text, const char *zone)
{
	return evcatch_bytes(text, strlen(text), 0, (struct evparse_conf){.zone = zone});
}

#define GOOD(n)                                                                                              \
	"{\"Timestamp\":\"2026-06-16T15:14:0" #n                                                             \
	".5Z\",\"DeviceName\":\"a\",\"ActionType\":\"ConnectionSuccess\",\"RemoteIP\":\"10.0.0.1\","         \
	"\"RemotePort\":443,\"LocalIP\":\"10.0.0.2\",\"LocalPort\":5000" #n "}\n"

static void csv__defender_export__same_fields_as_json(void **state)
{
	(void)state;
	struct evcatch *c =
	    feed("\xef\xbb\xbfTimestamp,DeviceName,ActionType,RemoteIP,RemotePort,LocalIP,LocalPort,Protocol,"
		 "InitiatingProcessFileName,InitiatingProcessId,InitiatingProcessCommandLine\r\n"
		 "\"Jun 16, 2026 11:14:02 "
		 "AM\",ws-lena,ConnectionSuccess,20.60.133.132,443,10.1.2.3,50123,Tcp,powershell.exe,7012,"
		 "\"powershell -c \"\"a\r\nb\"\", x\"\r\n"
		 "\"Jun 16, 2026 11:14:03 AM\",ws-lena,ConnectionSuccess,20.60.133.132,443,,,Tcp,,,\r\n",
		 "-04:00");
	assert_int_equal(c->result, 0);
	assert_int_equal(c->n, 2);
	const struct procevent *ev = &c->ev[0];
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	assert_int_equal(ev->time_ns, UINT64_C(1781622842000000000));
	assert_int_equal(ev->flags, PROCEVENT_FLOORED);
	evcatch_address(&ev->local, "10.1.2.3", 50123);
	evcatch_address(&ev->remote, "20.60.133.132", 443);
	assert_slice(ev->process.name, "powershell.exe");
	assert_int_equal(ev->process.pid, 7012);
	assert_slice(ev->process.command_line, "powershell -c \"a\r\nb\", x");
	assert_int_equal(ev->line, 2);
	assert_int_equal(c->ev[1].line, 4);
	evcatch_address(&c->ev[1].local, "", 0);
	evcatch_free(c);
}

static void csv__no_zone_anywhere__refused_and_says_what_to_pass(void **state)
{
	(void)state;
	struct evcatch *c = feed("Timestamp,DeviceName,ActionType\n\"Jun 16, 2026 11:14:02 "
				 "AM\",a,ConnectionSuccess\n2026-06-16T15:14:02Z,a,X\n",
				 NULL);
	assert_int_equal(c->result, LT_EZONE);
	assert_int_equal(c->err.code, LT_EZONE);
	assert_non_null(strstr(c->err.text, "log:2: "));
	assert_non_null(strstr(c->err.text, "--tz"));
	assert_int_equal(c->n, 0);
	evcatch_free(c);
	c = feed("{\"Timestamp\":\"2026-06-16T15:14:02\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}\n", NULL);
	assert_int_equal(c->result, LT_EZONE);
	evcatch_free(c);
}

static void csv__zone_in_head_or_value__no_need_of_one(void **state)
{
	(void)state;
	struct evcatch *c = feed("\"TimeGenerated [UTC]\",DeviceName,ActionType\n\"9/28/2026, 10:40:01.512 "
				 "AM\",a,ProcessCreated\n",
				 NULL);
	assert_int_equal(evcatch_one(c)->time_ns, UINT64_C(1790592001512000000));
	evcatch_free(c);
	c = feed("Timestamp;DeviceName;ActionType\n2026-06-16T15:14:02.5Z;a;ProcessCreated\n", NULL);
	assert_int_equal(evcatch_one(c)->time_ns, UINT64_C(1781622842500000000));
	evcatch_free(c);
	c = feed("\"TimeGenerated [Local Time]\",DeviceName,ActionType\n\"9/28/2026, 10:40:01.512 "
		 "AM\",a,ProcessCreated\n",
		 NULL);
	assert_int_equal(c->result, LT_EZONE);
	evcatch_free(c);
}

static void csv__security_table__columns_and_event_data(void **state)
{
	(void)state;
	struct evcatch *c =
	    feed("\"TimeGenerated [UTC]\",Computer,EventSourceName,Channel,EventID,EventData\n"
		 "\"9/28/2026, 10:40:01.512 "
		 "AM\",ws5,Microsoft-Windows-Security-Auditing,Security,5156,\"<EventData><Data "
		 "Name=\"\"ProcessID\"\">3936</Data><Data Name=\"\"Application\"\">\\device\\a.exe</Data>"
		 "<Data Name=\"\"Direction\"\">%%14592</Data><Data "
		 "Name=\"\"SourceAddress\"\">192.168.3.5</Data><Data "
		 "Name=\"\"SourcePort\"\">50452</Data><Data Name=\"\"DestAddress\"\">192.168.2.5</Data>\n"
		 "<Data Name=\"\"DestPort\"\">8080</Data><Data Name=\"\"Protocol\"\">6</Data></EventData>\"\n"
		 "\"9/28/2026, 10:40:02.512 AM\",ws5,Microsoft-Windows-Security-Auditing,Security,4634,\n",
		 NULL);
	assert_int_equal(c->result, 0);
	assert_int_equal(c->n, 2);
	assert_int_equal(c->ev[0].kind, PROCEVENT_ACCEPT);
	evcatch_address(&c->ev[0].local, "192.168.2.5", 8080);
	assert_int_equal(c->ev[0].process.pid, 3936);
	assert_int_equal(c->ev[1].kind, PROCEVENT_OTHER);
	assert_int_equal(c->ev[1].line, 4);
	evcatch_free(c);
}

static void csv__bad_rows__counted_and_the_rest_taken(void **state)
{
	(void)state;
	struct evcatch *c =
	    feed("Timestamp,DeviceName,ActionType,LocalPort\n2026-06-16T15:14:02Z,a,ConnectionSuccess\n2026-"
		 "06-16T15:14:02Z,a,ConnectionSuccess,70000\n2026-06-16T15:14:02Z,\xff,X,\n"
		 "2026-06-16T15:14:02Z,a,X,1\n2026-06-16T15:14:02Z,a,\"X,1\n",
		 NULL);
	static const enum evparse_reason why[] = {EVPARSE_BAD_COLUMNS, EVPARSE_BAD_PORT, EVPARSE_ENCODING,
						  EVPARSE_CUT_SHORT};
	assert_int_equal(c->n, 1);
	assert_int_equal(c->n_notes, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(c->why[i], why[i]);
	assert_string_equal(c->notes[1], "log:3: field LocalPort: 70000 is not a port");
	assert_int_equal(c->stats.rows, 5);
	evcatch_free(c);
}

static void csv__hopeless_header__the_origin_is_unusable(void **state)
{
	(void)state;
	struct evcatch *c = feed("Timestamp,DeviceName,LocalPort,LocalPort\n1,2,3,4\n", NULL);
	assert_int_equal(c->result, LT_EFORMAT);
	assert_non_null(strstr(c->err.text, "same name"));
	evcatch_free(c);
	c = feed("name,surname\na,b\n", NULL);
	assert_int_equal(c->result, LT_EFORMAT);
	assert_non_null(strstr(c->err.text, "neither JSON nor a CSV export"));
	evcatch_free(c);
	c = feed("Timestamp,DeviceName,LocalIP,LocalPort,RemoteIP,RemotePort\n2026-06-16T15:14:02Z,a,10.0.0.1,5,10.0.0.2,443\n", NULL);
	assert_int_equal(c->result, LT_EFORMAT);
	assert_non_null(strstr(c->err.text, "log:1: connections without the column ActionType"));
	evcatch_free(c);
}

static void utf16__powershell_output__read(void **state)
{
	static const char text[] =
	    "[\r\n  {\r\n    \"Timestamp\": \"\\/Date(1781622842500)\\/\",\r\n    \"DeviceName\": \"a\",\r\n "
	    "   \"ActionType\": \"ProcessCreated\"\r\n  }\r\n]\r\n";
	static char wide[2 * sizeof text] = "\xff\xfe";
	(void)state;
	for (size_t i = 0; i < sizeof text - 1; i++)
		wide[2 + 2 * i] = text[i];
	struct evcatch *c = evcatch_bytes(wide, 2 * sizeof text, 0, (struct evparse_conf){0});
	assert_int_equal(evcatch_one(c)->time_ns, UINT64_C(1781622842500000000));
	assert_int_equal(c->ev[0].line, 2);
	evcatch_free(c);
}

static void chunks__byte_by_byte__as_whole(void **state)
{
	static const char *const texts[] = {
	    GOOD(1) "broken {\n" GOOD(2) "{\"a\":\"\xff\"}\n{\"x\":1,\"x\":2}\n" GOOD(3),
	    "{\"Stats\":{},\"Results\":[" GOOD(1) "," GOOD(2) ",{\"a\":" GOOD(3) "]}",
	    "\xef\xbb\xbfTimestamp,DeviceName,ActionType\r\n2026-06-16T15:14:02Z,\"a\nb\",X\r\n\r\n2026-06-"
	    "16T15:14:02Z,c\r\n2026-06-16T15:14:02Z,d,\"X",
	    "{\n \"records\": [\n " GOOD(1) ", " GOOD(2) "]\n}",
	    "{\"EventID\":\n" GOOD(1) GOOD(2),
	};
	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct evcatch *whole = feed(texts[i], NULL);
		assert_true(whole->n >= 2 || i == 2);
		for (size_t chunk = 1; chunk < 12; chunk++) {
			struct evcatch *c =
			    evcatch_bytes(texts[i], strlen(texts[i]), chunk, (struct evparse_conf){0});
			assert_int_equal(c->result, whole->result);
			assert_memory_equal(&c->stats, &whole->stats, sizeof c->stats);
			assert_int_equal(c->n_notes, whole->n_notes);
			for (size_t k = 0; k < c->n_notes; k++)
				assert_string_equal(c->notes[k], whole->notes[k]);
			assert_int_equal(c->n, whole->n);
			for (size_t k = 0; k < c->n; k++) {
				assert_int_equal(c->ev[k].line, whole->ev[k].line);
				assert_string_equal((const char *)c->ev[k].event_id.p,
						    (const char *)whole->ev[k].event_id.p);
			}
			evcatch_free(c);
		}
		evcatch_free(whole);
	}
}

static void hostile__each_line_by_its_reason__the_good_ones_live(void **state)
{
	static const struct {
		const char *line;
		enum evparse_reason why;
	} bad[] = {
	    {"{\"Timestamp\":", EVPARSE_SYNTAX},
	    {"{\"pid\":1,\"pid\":2}", EVPARSE_DUP_KEY},
	    {"{\"a\":\"\xc0\x80\"}", EVPARSE_ENCODING},
	    {"{\"a\":\"\\udead\"}", EVPARSE_ENCODING},
	    {"{\"a\\u0000b\":1}", EVPARSE_NUL_IN_KEY},
	    {"{\"a\":1e400}", EVPARSE_BAD_NUMBER},
	    {"{\"a\":12345678901234567890}", EVPARSE_BAD_NUMBER},
	    {"[[1]]", EVPARSE_NOT_OBJECT},
	    {"17", EVPARSE_NOT_OBJECT},
	    {"\"text\"", EVPARSE_NOT_OBJECT},
	    {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", EVPARSE_NESTING},
	    {"{}", EVPARSE_UNKNOWN_ROW},
	    {"{\"Timestamp\":\"2026-06-16T15:14:02,5Z\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}",
	     EVPARSE_BAD_TIME},
	    {"{\"Timestamp\":\"9999-12-31T23:59:59Z\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}",
	     EVPARSE_BAD_TIME},
	    {"{\"Timestamp\":\"1970-01-01T00:00:00Z\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}",
	     EVPARSE_BAD_TIME},
	};
	static char text[8192];
	size_t at = (size_t)sprintf(text, "%s", GOOD(1));
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		at += (size_t)sprintf(text + at, "%s\n", bad[i].line);
	sprintf(text + at, "%s", GOOD(2));
	struct evcatch *c = feed(text, NULL);
	assert_int_equal(c->result, 0);
	assert_int_equal(c->n, 2);
	assert_int_equal(c->n_notes, sizeof bad / sizeof *bad);
	for (size_t i = 0; i < c->n_notes; i++) {
		char where[16];
		snprintf(where, sizeof where, "log:%zu: ", i + 2);
		if (c->why[i] != bad[i].why || strncmp(c->notes[i], where, strlen(where)) != 0)
			fail_msg("%s: %s, %s", bad[i].line, evparse_reason_names[c->why[i]], c->notes[i]);
	}
	assert_int_equal(c->stats.rows, c->n + c->n_notes);
	evcatch_free(c);
}

static void text__any_unicode_and_line_separators__kept(void **state)
{
	(void)state;
	struct evcatch *c =
	    feed("{\"Timestamp\":\"2026-06-16T15:14:02.5Z\",\"DeviceName\":\"a\",\"ActionType\":"
		 "\"ConnectionSuccess\",\"InitiatingProcessCommandLine\":\"\xe2\x80\xa8\\u202e\\u001b[2J\"}",
		 NULL);
	assert_slice(evcatch_one(c)->process.command_line, "\xe2\x80\xa8\xe2\x80\xae\x1b[2J");
	evcatch_free(c);
}

static void note__hostile_value__printable_and_bounded(void **state)
{
	(void)state;
	struct evcatch *c = feed(
	    "{\"Timestamp\":\"\\u001b[2J\\\\x\xc3\xa9\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}", NULL);
	assert_string_equal(c->notes[0], "log:1: field Timestamp: \\x1b[2J\\x5cx\\xc3\\xa9 is not a time");
	evcatch_free(c);
	static char text[4096];
	sprintf(text, "{\"Timestamp\":\"%0*d\",\"DeviceName\":\"a\",\"ActionType\":\"X\"}", 3000, 1);
	c = feed(text, NULL);
	assert_true(strlen(c->notes[0]) < 160);
	assert_non_null(strstr(c->notes[0], "..."));
	evcatch_free(c);
}

/* A row of n bytes in all, filled with backslash escapes in its command line. */
static char *row_of(size_t n)
{
	static const char head[] = "{\"Timestamp\":\"2026-06-16T15:14:02.5Z\",\"DeviceName\":\"a\","
				   "\"ActionType\":\"ConnectionSuccess\",\"InitiatingProcessCommandLine\":\"";
	char *text = malloc(n + 64);
	assert_non_null(text);
	size_t at = sizeof head - 1;
	memcpy(text, head, at);
	for (; at + 4 <= n; at += 2)
		memcpy(text + at, "\\\"", 2);
	for (; at + 2 < n; at++)
		text[at] = 'x';
	strcpy(text + at, "\"}\n");
	return text;
}

static void size__at_the_cap__taken_one_more_refused(void **state)
{
	(void)state;
	for (size_t extra = 0; extra < 2; extra++) {
		char *text = row_of(((size_t)1 << 20) + extra);
		struct evcatch *c = evcatch_bytes(text, strlen(text), 65536, (struct evparse_conf){0});
		assert_int_equal(c->result, 0);
		assert_int_equal(c->n, 1 - extra);
		if (extra)
			assert_int_equal(c->why[0], EVPARSE_OVERSIZE);
		else
			assert_true(c->ev[0].process.command_line.n > 500000);
		evcatch_free(c);
		free(text);
	}
}

static void count(void *ctx, const struct procevent *ev)
{
	(void)ev;
	++*(size_t *)ctx;
}

static void document__hundred_megabytes_on_one_line__rows_leave_one_by_one(void **state)
{
	enum { ROWS = 2000 };
	struct err err;
	size_t n = 0;
	(void)state;
	struct evparse *ep = evparse_new(&(struct evparse_conf){0}, &err);
	char *row = row_of(50000);
	size_t row_n = strlen(row) - 1;
	assert_int_equal(evparse_begin(ep, "big", &err), 0);
	assert_int_equal(evparse_feed(ep, "{\"Schema\":[],\"Results\":[", 24, count, &n, &err), 0);
	for (int i = 0; i < ROWS; i++) {
		assert_int_equal(evparse_feed(ep, row, row_n, count, &n, &err), 0);
		assert_int_equal(n, i + 1);
		assert_int_equal(evparse_feed(ep, i + 1 < ROWS ? "," : "]", 1, count, &n, &err), 0);
	}
	assert_int_equal(evparse_feed(ep, "}", 1, count, &n, &err), 0);
	assert_int_equal(evparse_end(ep, count, &n, &err), 0);
	assert_int_equal(evparse_stats(ep)->rows, ROWS);
	evparse_free(ep);
	free(row);
}

static void failure__of_one_origin__stays_until_the_next(void **state)
{
	struct err err;
	size_t n = 0;
	(void)state;
	struct evparse *ep = evparse_new(&(struct evparse_conf){0}, &err);
	static const char bad[] = "Timestamp,DeviceName\n2026-06-16 15:14:02,a\n";
	assert_int_equal(evparse_begin(ep, "bad", &err), 0);
	assert_int_equal(evparse_feed(ep, bad, sizeof bad - 1, count, &n, &err), LT_EZONE);
	assert_int_equal(evparse_feed(ep, GOOD(1), sizeof GOOD(1) - 1, count, &n, &err), LT_EZONE);
	assert_int_equal(evparse_end(ep, count, &n, &err), LT_EZONE);
	assert_non_null(strstr(err.text, "bad:2"));
	assert_int_equal(evparse_begin(ep, "good", &err), 0);
	assert_int_equal(evparse_feed(ep, GOOD(1), sizeof GOOD(1) - 1, count, &n, &err), 0);
	assert_int_equal(evparse_end(ep, count, &n, &err), 0);
	assert_int_equal(n, 1);
	evparse_free(ep);
}

static void new__unknown_zone__refused(void **state)
{
	struct err err = {0};
	(void)state;
	assert_null(evparse_new(&(struct evparse_conf){.zone = "Mars/Olympus"}, &err));
	assert_int_equal(err.code, LT_ECONF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(csv__defender_export__same_fields_as_json),
	    cmocka_unit_test(csv__no_zone_anywhere__refused_and_says_what_to_pass),
	    cmocka_unit_test(csv__zone_in_head_or_value__no_need_of_one),
	    cmocka_unit_test(csv__security_table__columns_and_event_data),
	    cmocka_unit_test(csv__bad_rows__counted_and_the_rest_taken),
	    cmocka_unit_test(csv__hopeless_header__the_origin_is_unusable),
	    cmocka_unit_test(utf16__powershell_output__read),
	    cmocka_unit_test(chunks__byte_by_byte__as_whole),
	    cmocka_unit_test(hostile__each_line_by_its_reason__the_good_ones_live),
	    cmocka_unit_test(text__any_unicode_and_line_separators__kept),
	    cmocka_unit_test(note__hostile_value__printable_and_bounded),
	    cmocka_unit_test(size__at_the_cap__taken_one_more_refused),
	    cmocka_unit_test(document__hundred_megabytes_on_one_line__rows_leave_one_by_one),
	    cmocka_unit_test(failure__of_one_origin__stays_until_the_next),
	    cmocka_unit_test(new__unknown_zone__refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
