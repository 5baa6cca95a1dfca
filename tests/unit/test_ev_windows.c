#include "evcatch.h"

#define SYSMON_FIELDS                                                                                        \
	"\"UtcTime\":\"2026-08-06 "                                                                          \
	"15:56:22.770\",\"ProcessGuid\":\"{297bc33e-7d2a-5f2b-6003-000000000400}\",\"ProcessId\":\"7240\","  \
	"\"Image\":\"C:\\\\x\\\\up.exe\","                                                                   \
	"\"User\":\"CORP\\\\mara\",\"Protocol\":\"tcp\",\"Initiated\":\"true\",\"SourceIp\":\"10.0.0.5\","   \
	"\"SourcePort\":\"57967\",\"DestinationIp\":\"10.0.0.6\",\"DestinationPort\":\"443\""

/* The same connection in every wrapping. */
static void check_connection(const char *text, const char *event_id)
{
	struct evcatch *c = evcatch_text(text);
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	assert_int_equal(ev->source, PROCEVENT_SOURCE_SYSMON);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SYSMON_NET);
	assert_int_equal(ev->time_ns, UINT64_C(1786031782770000000));
	assert_slice(ev->device_name, "ws5.corp.example");
	evcatch_address(&ev->local, "10.0.0.5", 57967);
	evcatch_address(&ev->remote, "10.0.0.6", 443);
	assert_int_equal(ev->proto, 6);
	assert_slice(ev->process.path, "C:\\x\\up.exe");
	assert_int_equal(ev->process.pid, 7240);
	assert_slice(ev->process.uid, "{297bc33e-7d2a-5f2b-6003-000000000400}");
	assert_slice(ev->user, "mara");
	assert_slice(ev->user_domain, "CORP");
	if (event_id)
		assert_slice(ev->event_id, event_id);
	evcatch_free(c);
}

static const char id[] = "Microsoft-Windows-Sysmon/Operational:4711:1786031782770000000";

static void nested__evtx_dumps__attributes_in_every_style(void **state)
{
	(void)state;
	check_connection(
	    "{\"Event\":{\"#attributes\":{\"xmlns\":\"x\"},\"System\":{\"Provider\":{\"#attributes\":{"
	    "\"Name\":\"Microsoft-Windows-Sysmon\",\"Guid\":\"g\"}},\"EventID\":3,"
	    "\"TimeCreated\":{\"#attributes\":{\"SystemTime\":\"2026-08-06T15:56:24.1234567Z\"}},"
	    "\"EventRecordID\":4711,\"Execution\":{\"#attributes\":{\"ProcessID\":1,\"ThreadID\":2}},"
	    "\"Channel\":\"Microsoft-Windows-Sysmon/"
	    "Operational\",\"Computer\":\"ws5.corp.example\"},\"EventData\":{" SYSMON_FIELDS "}}}",
	    id);
	check_connection("{\"System\":{\"Provider\":{\"@Name\":\"Microsoft-Windows-Sysmon\"},\"EventID\":{\"#"
			 "attributes\":{\"Qualifiers\":0},\"#text\":\"3\"},\"TimeCreated\":{\"@SystemTime\":"
			 "\"2026-08-06 15:56:24.1Z\"},"
			 "\"EventRecordID\":\"4711\",\"Channel\":\"Microsoft-Windows-Sysmon/"
			 "Operational\",\"Computer\":\"ws5.corp.example\"},\"EventData\":{\"Data\":["
			 "{\"@Name\":\"UtcTime\",\"#text\":\"2026-08-06 "
			 "15:56:22.770\"},{\"@Name\":\"ProcessGuid\",\"#text\":\"{297bc33e-7d2a-5f2b-6003-"
			 "000000000400}\"},{\"@Name\":\"ProcessId\",\"#text\":7240},"
			 "{\"@Name\":\"Image\",\"#text\":\"C:\\\\x\\\\up.exe\"},{\"@Name\":\"User\",\"#"
			 "text\":\"CORP\\\\mara\"},{\"@Name\":\"Protocol\",\"#text\":\"tcp\"},{\"@Name\":"
			 "\"Initiated\",\"#text\":\"true\"},"
			 "{\"@Name\":\"SourceIp\",\"#text\":\"10.0.0.5\"},{\"@Name\":\"SourcePort\",\"#"
			 "text\":\"57967\"},{\"@Name\":\"DestinationIp\",\"#text\":\"10.0.0.6\"},{\"@Name\":"
			 "\"DestinationPort\",\"#text\":\"443\"}]}}",
			 id);
	assert_int_equal(
	    evcatch_refused(
		"{\"System\":{\"EventID\":3,\"Computer\":\"a\",\"TimeCreated\":{\"@SystemTime\":\"2026-08-"
		"06T15:56:24Z\"}},\"EventData\":{\"Data\":[{\"@Name\":\"Image\",\"#text\":\"a\"},"
		"{\"@Name\":\"Image\",\"#text\":\"b\"}]}}"),
	    EVPARSE_DUP_KEY);
}

static void flat__log_analytics__event_data_as_json_xml_or_columns(void **state)
{
	(void)state;
	check_connection("{\"TimeGenerated\":\"2026-08-06T15:56:24.3Z\",\"Provider\":\"Microsoft-Windows-"
			 "Sysmon\",\"Channel\":\"Microsoft-Windows-Sysmon/"
			 "Operational\",\"Computer\":\"ws5.corp.example\",\"EventID\":3,"
			 "\"Type\":\"WindowsEvent\",\"EventData\":\"{\\\"UtcTime\\\":\\\"2026-08-06T15:56:22."
			 "7700000Z\\\",\\\"ProcessGuid\\\":\\\"{297bc33e-7d2a-5f2b-6003-000000000400}\\\","
			 "\\\"ProcessId\\\":\\\"7240\\\","
			 "\\\"Image\\\":\\\"C:\\\\\\\\x\\\\\\\\up.exe\\\",\\\"User\\\":"
			 "\\\"CORP\\\\\\\\mara\\\",\\\"Protocol\\\":\\\"tcp\\\",\\\"Initiated\\\":"
			 "\\\"true\\\",\\\"SourceIp\\\":\\\"10.0.0.5\\\",\\\"SourcePort\\\":\\\"57967\\\","
			 "\\\"DestinationIp\\\":\\\"10.0.0.6\\\",\\\"DestinationPort\\\":\\\"443\\\"}\"}",
			 NULL);
	check_connection(
	    "{\"TimeGenerated\":\"2026-08-06T15:56:24.3Z\",\"Source\":\"Microsoft-Windows-Sysmon\","
	    "\"EventLog\":\"Microsoft-Windows-Sysmon/"
	    "Operational\",\"Computer\":\"ws5.corp.example\",\"EventID\":3,\"Type\":\"Event\","
	    "\"EventData\":\"<DataItem type=\\\"System.XmlData\\\"><EventData xmlns=\\\"x\\\"><Data "
	    "Name=\\\"UtcTime\\\">2026-08-06 15:56:22.770</Data><Data "
	    "Name=\\\"ProcessGuid\\\">{297bc33e-7d2a-5f2b-6003-000000000400}</Data>"
	    "<Data Name=\\\"ProcessId\\\">7240</Data><Data Name=\\\"Image\\\">C:\\\\x\\\\up.exe</Data><Data "
	    "Name=\\\"User\\\">CORP\\\\mara</Data><Data Name=\\\"Protocol\\\">tcp</Data><Data "
	    "Name=\\\"Initiated\\\">true</Data>"
	    "<Data Name=\\\"SourceIp\\\">10.0.0.5</Data><Data Name=\\\"SourcePort\\\">57967</Data><Data "
	    "Name=\\\"DestinationIp\\\">10.0.0.6</Data><Data "
	    "Name=\\\"DestinationPort\\\">443</Data></EventData></DataItem>\"}",
	    NULL);
	check_connection(
	    "{\"TimeCreated\":\"/Date(1786031784123)/"
	    "\",\"ProviderName\":\"Microsoft-Windows-Sysmon\",\"LogName\":\"Microsoft-Windows-Sysmon/"
	    "Operational\",\"MachineName\":\"ws5.corp.example\",\"Id\":3,\"RecordId\":4711," SYSMON_FIELDS
	    "}",
	    id);
}

static void syslog__sysmon_for_linux__its_xml(void **state)
{
	(void)state;
	check_connection(
	    "{\"TimeGenerated\":\"2026-08-06T15:56:22.9Z\",\"Computer\":\"relay\",\"EventTime\":\"2026-08-"
	    "06T15:56:22Z\",\"HostName\":\"relay\",\"ProcessName\":\"sysmon\",\"Type\":\"Syslog\","
	    "\"SyslogMessage\":"
	    "\"<Event><System><Provider Name=\\\"Linux-Sysmon\\\" "
	    "Guid=\\\"{f}\\\"/><EventID>3</EventID><TimeCreated "
	    "SystemTime=\\\"2026-08-06T15:56:22.765735000Z\\\"/><EventRecordID>4711</EventRecordID>"
	    "<Execution ProcessID=\\\"1590\\\" "
	    "ThreadID=\\\"1590\\\"/><Channel>Linux-Sysmon/Operational</Channel><Computer>ws5.corp.example</"
	    "Computer></System><EventData><Data Name=\\\"UtcTime\\\">2026-08-06 15:56:22.770</Data>"
	    "<Data Name=\\\"ProcessGuid\\\">{297bc33e-7d2a-5f2b-6003-000000000400}</Data><Data "
	    "Name=\\\"ProcessId\\\">7240</Data><Data Name=\\\"Image\\\">C:\\\\x\\\\up.exe</Data><Data "
	    "Name=\\\"User\\\">CORP\\\\mara</Data>"
	    "<Data Name=\\\"Protocol\\\">tcp</Data><Data Name=\\\"Initiated\\\">true</Data><Data "
	    "Name=\\\"SourceIp\\\">10.0.0.5</Data><Data Name=\\\"SourcePort\\\">57967</Data>"
	    "<Data Name=\\\"DestinationIp\\\">10.0.0.6</Data><Data "
	    "Name=\\\"DestinationPort\\\">443</Data></EventData></Event>\"}",
	    "Linux-Sysmon/Operational:4711:1786031782770000000");
}

static void ecs__winlogbeat__raw_moved_and_dotted(void **state)
{
	(void)state;
	check_connection("{\"@timestamp\":\"2026-08-06T15:56:24.1Z\",\"message\":\"Network connection "
			 "detected\",\"event\":{\"code\":\"3\",\"provider\":\"Microsoft-Windows-Sysmon\","
			 "\"created\":\"2026-08-06T15:56:25Z\"},\"host\":{\"name\":\"ws5\"},"
			 "\"winlog\":{\"channel\":\"Microsoft-Windows-Sysmon/"
			 "Operational\",\"computer_name\":\"ws5.corp.example\",\"event_id\":3,\"record_id\":"
			 "4711,\"provider_name\":\"Microsoft-Windows-Sysmon\",\"process\":{\"pid\":2000},"
			 "\"user\":{\"name\":\"SYSTEM\"},\"event_data\":{" SYSMON_FIELDS "}}}",
			 id);
	check_connection(
	    "{\"@timestamp\":\"2026-08-06T15:56:22.770Z\",\"event\":{\"code\":\"3\",\"module\":\"sysmon\","
	    "\"created\":\"2026-08-06T15:56:25.5Z\",\"ingested\":\"2026-08-06T15:56:30Z\"},"
	    "\"process\":{\"pid\":7240,\"executable\":\"C:\\\\x\\\\up.exe\",\"name\":\"up.exe\",\"entity_"
	    "id\":\"{297bc33e-7d2a-5f2b-6003-000000000400}\"},\"user\":{\"name\":\"mara\",\"domain\":"
	    "\"CORP\",\"id\":\"S-1-5-18\"},"
	    "\"source\":{\"ip\":\"10.0.0.5\",\"port\":57967},\"destination\":{\"ip\":\"10.0.0.6\",\"port\":"
	    "443},\"network\":{\"direction\":\"egress\",\"transport\":\"tcp\",\"type\":\"ipv4\"},"
	    "\"winlog\":{\"channel\":\"Microsoft-Windows-Sysmon/"
	    "Operational\",\"computer_name\":\"ws5.corp.example\",\"event_id\":\"3\",\"record_id\":\"4711\","
	    "\"provider_name\":\"Microsoft-Windows-Sysmon\"}}",
	    id);
	check_connection("{\"@timestamp\":\"2026-08-06T15:56:22.770Z\",\"event.code\":\"3\",\"process.pid\":"
			 "7240,\"process.executable\":\"C:\\\\x\\\\up.exe\",\"process.entity_id\":\"{"
			 "297bc33e-7d2a-5f2b-6003-000000000400}\","
			 "\"user.name\":\"mara\",\"user.domain\":\"CORP\",\"source.ip\":\"10.0.0.5\","
			 "\"source.port\":57967,\"destination.ip\":\"10.0.0.6\",\"destination.port\":443,"
			 "\"network.direction\":\"egress\",\"network.transport\":\"tcp\","
			 "\"winlog.channel\":\"Microsoft-Windows-Sysmon/"
			 "Operational\",\"winlog.computer_name\":\"ws5.corp.example\",\"winlog.record_id\":"
			 "4711,\"winlog.provider_name\":\"Microsoft-Windows-Sysmon\"}",
			 id);
}

static void ecs__times__logged_and_received(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    "{\"@timestamp\":\"2026-08-06T15:56:22.770Z\",\"event\":{\"code\":\"22\",\"created\":\"2026-08-"
	    "06T15:56:25.5Z\",\"ingested\":\"2026-08-06T15:56:30.25Z\"},\"dns\":{\"question\":{\"name\":\"a."
	    "example\"}},"
	    "\"process\":{\"pid\":\"7\",\"hash\":{\"sha256\":\"x\"}},\"winlog\":{\"channel\":\"Microsoft-"
	    "Windows-Sysmon/Operational\",\"computer_name\":\"ws5\",\"event_id\":22}}");
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_DNS);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SYSMON_NET);
	assert_int_equal(ev->time_ns, UINT64_C(1786031782770000000));
	assert_int_equal(ev->time_logged_ns, UINT64_C(1786031785500000000));
	assert_int_equal(ev->time_received_ns, UINT64_C(1786031790250000000));
	assert_slice(ev->dns_query, "a.example");
	evcatch_free(c);
}

static void ecs__security__fields_of_the_module(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    "{\"@timestamp\":\"2026-08-06T15:56:22.770Z\",\"event\":{\"code\":4688},\"process\":{\"pid\":"
	    "6960,\"executable\":\"C:\\\\cmd.exe\",\"command_line\":\"cmd /c "
	    "x\",\"parent\":{\"executable\":\"C:\\\\p.exe\"}},"
	    "\"user\":{\"name\":\"mara\",\"domain\":\"CORP\"},\"winlog\":{\"channel\":\"Security\","
	    "\"computer_name\":\"ws5\",\"provider_name\":\"Microsoft-Windows-Security-Auditing\",\"event_"
	    "data\":{\"ProcessId\":\"0x810\",\"SubjectLogonId\":\"0x3e7\"}}}\n"
	    "{\"@timestamp\":\"2026-08-06T15:56:22.770Z\",\"event\":{\"code\":\"5156\"},\"process\":{\"pid\":"
	    "5,\"executable\":\"\\\\device\\\\hd1\\\\a.exe\"},\"source\":{\"ip\":\"10.0.0.6\",\"port\":5},"
	    "\"destination\":{\"ip\":\"10.0.0.5\",\"port\":445},"
	    "\"network\":{\"direction\":\"inbound\",\"transport\":\"tcp\"},\"winlog\":{\"channel\":"
	    "\"Security\",\"computer_name\":\"ws5\",\"provider_name\":\"Microsoft-Windows-Security-"
	    "Auditing\"}}\n");
	assert_int_equal(c->n, 2);
	assert_int_equal(c->ev[0].kind, PROCEVENT_PROC_START);
	assert_int_equal(c->ev[0].process.pid, 6960);
	assert_int_equal(c->ev[0].parent.pid, 0x810);
	assert_slice(c->ev[0].parent.name, "p.exe");
	assert_slice(c->ev[0].user, "mara");
	assert_int_equal(c->ev[1].kind, PROCEVENT_ACCEPT);
	evcatch_address(&c->ev[1].local, "10.0.0.5", 445);
	assert_int_equal(c->ev[1].process.pid, 5);
	evcatch_free(c);
}

#define BIND(times)                                                                                          \
	"{\"Hostname\":\"a\",\"Channel\":\"Security\",\"SourceName\":\"Microsoft-Windows-Security-"          \
	"Auditing\",\"EventID\":5158,\"SourceAddress\":\"0.0.0.0\",\"SourcePort\":\"7\",\"Protocol\":"       \
	"\"6\"," times "}"

static void local_time__nxlog__offset_from_its_own_clocks(void **state)
{
	static const struct {
		const char *row;
		uint64_t s;
		uint16_t flags;
	} rows[] = {
	    /* -4 h, arrival 1 s later; 0; +5:30; -4 h and 4 minutes on the way */
	    {BIND("\"EventTime\":\"2026-08-06 11:56:22\",\"EventReceivedTime\":\"2026-08-06 "
		  "11:56:24\",\"@timestamp\":\"2026-08-06T15:56:25.170Z\""),
	     1786031782, PROCEVENT_FLOORED | PROCEVENT_ZONE_DERIVED},
	    {BIND("\"EventTime\":\"2026-08-06 15:56:22\",\"EventReceivedTime\":\"2026-08-06 "
		  "15:56:24\",\"@timestamp\":\"2026-08-06T15:56:24.000Z\""),
	     1786031782, PROCEVENT_FLOORED | PROCEVENT_ZONE_DERIVED},
	    {BIND("\"EventTime\":\"2026-08-06 21:26:22\",\"EventReceivedTime\":\"2026-08-06 "
		  "21:26:24\",\"@timestamp\":\"2026-08-06T15:56:24.000Z\""),
	     1786031782, PROCEVENT_FLOORED | PROCEVENT_ZONE_DERIVED},
	    {BIND("\"EventTime\":\"2026-08-06 11:56:22\",\"EventReceivedTime\":\"2026-08-06 "
		  "11:56:24\",\"@timestamp\":\"2026-08-06T16:00:25.170Z\""),
	     1786031782, PROCEVENT_FLOORED | PROCEVENT_ZONE_DERIVED},
	    /* ten minutes between the two is no offset; nor is a stamp that is alone: taken as UTC, and told
	     */
	    {BIND("\"EventTime\":\"2026-08-06 15:56:22\",\"EventReceivedTime\":\"2026-08-06 "
		  "11:56:24\",\"@timestamp\":\"2026-08-06T16:06:25Z\""),
	     1786031782, PROCEVENT_FLOORED | PROCEVENT_ZONE_UNKNOWN},
	    {BIND("\"EventTime\":\"2026-08-06 15:56:22\""), 1786031782,
	     PROCEVENT_FLOORED | PROCEVENT_ZONE_UNKNOWN},
	    /* with a zone of its own */
	    {BIND("\"EventTime\":\"2026-08-06T11:56:22-04:00\""), 1786031782, PROCEVENT_FLOORED},
	    /* Z is taken at its word even if it lies */
	    {BIND("\"TimeCreated\":\"2026-08-06T11:56:22.000Z\""), 1786017382, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct evcatch *c = evcatch_text(rows[i].row);
		const struct procevent *ev = evcatch_one(c);
		assert_int_equal(ev->time_ns / UINT64_C(1000000000), rows[i].s);
		assert_int_equal(ev->flags, rows[i].flags);
		evcatch_free(c);
	}
}

static void local_time__with_a_zone_given__read_in_it(void **state)
{
	static const char row[] = BIND("\"EventTime\":\"2026-08-06 11:56:22\"");
	(void)state;
	struct evcatch *c = evcatch_bytes(row, sizeof row - 1, 0, (struct evparse_conf){.zone = "-04:00"});
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->time_ns, UINT64_C(1786031782000000000));
	assert_int_equal(ev->flags, PROCEVENT_FLOORED);
	evcatch_free(c);
}

static void sysmon__utc_time_known__logged_only_if_its_zone_is(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text("{\"Hostname\":\"a\",\"Channel\":\"Microsoft-Windows-Sysmon/"
					 "Operational\",\"EventID\":5,\"UtcTime\":\"2026-08-06 "
					 "15:56:22.770\",\"EventTime\":\"2026-08-06 11:56:22\"}");
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->time_ns, UINT64_C(1786031782770000000));
	assert_int_equal(ev->time_logged_ns, 0);
	assert_int_equal(ev->flags, 0);
	evcatch_free(c);
}

static void other_rows__sign_of_life_or_unknown(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text("{\"TimeGenerated\":\"2026-08-06T15:56:22.5Z\",\"Computer\":\"ubu5\",\"Type\":"
			 "\"Syslog\",\"SyslogMessage\":\"type=EXECVE\"}\n"
			 "{\"EventID\":7036,\"Channel\":\"System\",\"ProviderName\":\"Service Control "
			 "Manager\",\"Computer\":\"b\",\"TimeCreated\":\"2026-08-06T15:56:22.5Z\"}\n");
	assert_int_equal(c->n, 2);
	assert_int_equal(c->ev[0].kind, PROCEVENT_OTHER);
	assert_slice(c->ev[0].device_name, "ubu5");
	assert_int_equal(c->ev[1].kind, PROCEVENT_OTHER);
	evcatch_free(c);
	assert_int_equal(evcatch_refused("{\"hello\":\"world\"}"), EVPARSE_UNKNOWN_ROW);
	assert_int_equal(
	    evcatch_refused(
		"{\"EventID\":5156,\"host\":\"collector\",\"TimeCreated\":\"2026-08-06T15:56:22Z\"}"),
	    EVPARSE_NO_DEVICE);
	assert_int_equal(evcatch_refused("{\"EventID\":7036,\"Computer\":\"a\"}"), EVPARSE_NO_TIME);
	assert_int_equal(evcatch_refused("{\"EventID\":7036,\"Computer\":\"a\",\"TimeCreated\":\"then\"}"),
			 EVPARSE_BAD_TIME);
	assert_int_equal(
	    evcatch_refused(
		"{\"EventID\":\"x\",\"Computer\":\"a\",\"TimeCreated\":\"2026-08-06T15:56:22Z\"}"),
	    EVPARSE_BAD_NUMBER);
	assert_int_equal(evcatch_refused("{\"EventID\":3,\"Computer\":\"a\",\"TimeCreated\":\"2026-08-06T15:"
					 "56:22Z\",\"EventData\":\"<Data Name=\\\"a\\\">x<Da\"}"),
			 EVPARSE_CUT_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nested__evtx_dumps__attributes_in_every_style),
	    cmocka_unit_test(flat__log_analytics__event_data_as_json_xml_or_columns),
	    cmocka_unit_test(syslog__sysmon_for_linux__its_xml),
	    cmocka_unit_test(ecs__winlogbeat__raw_moved_and_dotted),
	    cmocka_unit_test(ecs__times__logged_and_received),
	    cmocka_unit_test(ecs__security__fields_of_the_module),
	    cmocka_unit_test(local_time__nxlog__offset_from_its_own_clocks),
	    cmocka_unit_test(local_time__with_a_zone_given__read_in_it),
	    cmocka_unit_test(sysmon__utc_time_known__logged_only_if_its_zone_is),
	    cmocka_unit_test(other_rows__sign_of_life_or_unknown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
