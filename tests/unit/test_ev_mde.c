#include "evcatch.h"

/* A streamed row; its parts are replaced by the tests below. */
#define DEVICE                                                                                               \
	"\"DeviceId\":\"a1b2c3d4e5f60718293a4b5c6d7e8f9001122334\",\"DeviceName\":\"ws-lena.corp.example\""
#define ACTOR                                                                                                \
	"\"InitiatingProcessFileName\":\"powershell.exe\",\"InitiatingProcessFolderPath\":\"c:"              \
	"\\\\windows\\\\system32\\\\powershell.exe\","                                                       \
	"\"InitiatingProcessId\":70123,\"InitiatingProcessCommandLine\":\"powershell.exe -File up.ps1\","    \
	"\"InitiatingProcessCreationTime\":\"2026-06-16T15:13:58.1234567Z\",\"InitiatingProcessUniqueId\":"  \
	"\"13510798882112217\","                                                                             \
	"\"InitiatingProcessSHA256\":\"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\","  \
	"\"InitiatingProcessAccountName\":\"lena\",\"InitiatingProcessAccountDomain\":\"corp\","             \
	"\"InitiatingProcessParentId\":4120,"                                                                \
	"\"InitiatingProcessParentFileName\":\"explorer.exe\",\"InitiatingProcessParentCreationTime\":"      \
	"\"2026-06-16T12:00:00Z\","                                                                          \
	"\"InitiatingProcessVersionInfoOriginalFileName\":\"PowerShell.EXE\""
#define TUPLE                                                                                                \
	"\"RemoteIP\":\"20.60.133.132\",\"RemotePort\":443,\"RemoteUrl\":\"acct.blob.core.windows.net\","    \
	"\"LocalIP\":\"10.1.2.3\",\"LocalPort\":50123,\"Protocol\":\"Tcp\""
#define NETWORK(action, tuple, extra)                                                                        \
	"{\"Timestamp\":\"2026-06-16T15:14:02.666487Z\"," DEVICE ",\"ActionType\":\"" action                 \
	"\",\"ReportId\":4711," ACTOR "," tuple ",\"AdditionalFields\":" extra "}"
#define ENVELOPE(table, row)                                                                                 \
	"{\"time\":\"2026-06-16T15:18:44.9351736Z\",\"tenantId\":\"t\",\"operationName\":\"Publish\","       \
	"\"category\":\"AdvancedHunting-" table "\","                                                        \
	"\"properties\":" row                                                                                \
	",\"Tenant\":\"DefaultTenant\",\"_TimeReceivedBySvc\":\"2026-06-16T15:15:01.0890446Z\"}"

static const uint64_t time_ns = UINT64_C(1781622842666487000);

static void check_upload(const struct procevent *ev)
{
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	assert_int_equal(ev->source, PROCEVENT_SOURCE_MDE);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_MDE);
	assert_int_equal(ev->flags, 0);
	assert_int_equal(ev->time_ns, time_ns);
	assert_slice(ev->device_id, "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334");
	assert_slice(ev->device_name, "ws-lena.corp.example");
	assert_slice(ev->event_id, "DeviceNetworkEvents:4711:1781622842666487000");
	evcatch_address(&ev->local, "10.1.2.3", 50123);
	evcatch_address(&ev->remote, "20.60.133.132", 443);
	assert_int_equal(ev->proto, 6);
	assert_slice(ev->remote_name, "acct.blob.core.windows.net");
	assert_slice(ev->process.name, "powershell.exe");
	assert_slice(ev->process.path, "c:\\windows\\system32\\powershell.exe");
	assert_slice(ev->process.original_name, "PowerShell.EXE");
	assert_slice(ev->process.command_line, "powershell.exe -File up.ps1");
	assert_slice(ev->process.uid, "13510798882112217");
	assert_int_equal(ev->process.pid, 70123);
	assert_int_equal(ev->process.start_ns, UINT64_C(1781622838123456700));
	assert_slice(ev->process.sha256, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08");
	assert_slice(ev->parent.name, "explorer.exe");
	assert_int_equal(ev->parent.pid, 4120);
	assert_int_equal(ev->parent.start_ns, UINT64_C(1781611200000000000));
	assert_slice(ev->user, "lena");
	assert_slice(ev->user_domain, "corp");
	assert_string_equal(ev->origin, "log");
}

static void network__every_transport__the_same_event(void **state)
{
	static const char row[] = NETWORK("ConnectionSuccess", TUPLE, "null");
	static const struct {
		const char *before, *after;
		uint64_t line;
	} forms[] = {
	    {"", "", 1},
	    {"", "\r\n", 1},
	    {"\xef\xbb\xbf\n", "\n", 2},
	    {"{\"Stats\":{\"ExecutionTime\":0.1},\"Schema\":[{\"Name\":\"Timestamp\",\"Type\":\"DateTime\"}],"
	     "\"Results\":[",
	     "]}", 1},
	    {"{\"schema\":[],\n\"results\":[\n", "\n]}", 3},
	    {"[\n", "]", 2},
	    {"{\"_index\":\"x\",\"_source\":", "}", 1},
	};
	static char text[8192];
	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		snprintf(text, sizeof text, "%s%s%s", forms[i].before, row, forms[i].after);
		struct evcatch *c = evcatch_text(text);
		check_upload(evcatch_one(c));
		assert_int_equal(c->ev[0].line, forms[i].line);
		evcatch_free(c);
	}
}

static void network__streamed__received_time_and_table(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text("{\"records\":[" ENVELOPE(
	    "DeviceNetworkEvents",
	    NETWORK("ConnectionSuccess", TUPLE,
		    "\"[]\"")) "," ENVELOPE("DeviceNetworkEvents",
					    NETWORK(
						"ConnectionRequest", TUPLE,
						"{\"x\":1}")) "]}\r\n" ENVELOPE("DeviceInfo",
										"{\"Timestamp\":\"2026-06-"
										"16T15:14:00Z\"," DEVICE
										"}"));
	assert_int_equal(c->n, 3);
	check_upload(&c->ev[0]);
	assert_int_equal(c->ev[0].time_received_ns, UINT64_C(1781622901089044600));
	check_upload(&c->ev[1]);
	assert_int_equal(c->ev[2].kind, PROCEVENT_OTHER);
	assert_int_equal(c->ev[2].line, 2);
	assert_slice(c->ev[2].device_name, "ws-lena.corp.example");
	evcatch_free(c);
}

static void network__every_action__its_kind(void **state)
{
	static const struct {
		const char *action;
		uint8_t kind;
		uint16_t flags;
	} actions[] = {
	    {"ConnectionSuccess", PROCEVENT_CONNECT, 0},
	    {"ConnectionRequest", PROCEVENT_CONNECT, 0},
	    {"InboundConnectionAccepted", PROCEVENT_ACCEPT, PROCEVENT_INBOUND},
	    {"ListeningConnectionCreated", PROCEVENT_LISTEN, 0},
	    {"ConnectionFound", PROCEVENT_FOUND, 0},
	    {"ConnectionFailed", PROCEVENT_FAILED, 0},
	    {"ConnectionAttempt", PROCEVENT_ATTEMPT, 0},
	    {"ConnectionAcknowledged", PROCEVENT_ATTEMPT, 0},
	    {"ConnectionSuccessAggregatedReport", PROCEVENT_AGGREGATED, PROCEVENT_INTERVAL},
	    {"ConnectionFailedAggregatedReport", PROCEVENT_FAILED, PROCEVENT_INTERVAL},
	    {"SslConnectionInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"HttpConnectionInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"DnsConnectionInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"SshConnectionInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"IcmpConnectionInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"NtlmAuthenticationInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"NetworkSignatureInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"InboundInternetScanInspected", PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY},
	    {"SomethingNew", PROCEVENT_OTHER, 0},
	};
	static char text[8192];
	(void)state;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		snprintf(text, sizeof text, NETWORK("%s", TUPLE, "null"), actions[i].action);
		struct evcatch *c = evcatch_text(text);
		const struct procevent *ev = evcatch_one(c);
		if (ev->kind != actions[i].kind || ev->flags != actions[i].flags)
			fail_msg("%s: %s, flags %u", actions[i].action, procevent_kind_names[ev->kind],
				 ev->flags);
		evcatch_free(c);
	}
}

static void network__dual_stack_and_case__normalised(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text(NETWORK("ConnectionSuccess",
				 "\"LocalIP\":\"::ffff:10.1.2.3\",\"LocalIPType\":\"FourToSixMapping\","
				 "\"LocalPort\":\"50123\",\"RemoteIP\":"
				 "\"::FFFF:20.60.133.132\",\"RemotePort\":443,\"Protocol\":\"TcpV4\"",
				 "null"));
	const struct procevent *ev = evcatch_one(c);
	evcatch_address(&ev->local, "10.1.2.3", 50123);
	evcatch_address(&ev->remote, "20.60.133.132", 443);
	assert_int_equal(ev->proto, 6);
	evcatch_free(c);
}

static void network__without_local_port__still_evidence(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(NETWORK("ConnectionSuccess",
						 "\"LocalIP\":\"\",\"LocalPort\":null,\"RemoteIP\":\"2001:"
						 "db8::1\",\"RemotePort\":443,\"Protocol\":\"Udp\"",
						 "null"));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	evcatch_address(&ev->local, "", 0);
	evcatch_address(&ev->remote, "2001:db8::1", 443);
	assert_int_equal(ev->proto, 17);
	evcatch_free(c);
}

static void network__found__pid_zero_is_unknown(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    "{\"Timestamp\":\"2026-06-16T15:14:02.6Z\"," DEVICE
	    ",\"ActionType\":\"ConnectionFound\",\"ReportId\":\"12\",\"InitiatingProcessId\":0,"
	    "\"InitiatingProcessUniqueId\":\"0\",\"InitiatingProcessFileName\":\"EXCEL.EXE\","
	    "\"InitiatingProcessFolderPath\":"
	    "\"C:\\\\Program "
	    "Files\\\\Office16\",\"InitiatingProcessCreationTime\":\"0001-01-01T00:00:00Z\"," TUPLE "}");
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_FOUND);
	assert_int_equal(ev->process.pid, 0);
	assert_slice(ev->process.uid, "");
	assert_slice(ev->process.path, "C:\\Program Files\\Office16\\EXCEL.EXE");
	assert_int_equal(ev->process.start_ns, 0);
	evcatch_free(c);
}

static void inspected__text_or_object__names_and_filetime(void **state)
{
	static const char *const extra[] = {
	    "\"{\\\"direction\\\":\\\"In\\\",\\\"server_name\\\":\\\"acct.blob.core.windows.net\\\","
	    "\\\"ts\\\":\\\"134260964415000000\\\"}\"",
	    "{\"direction\":\"In\",\"host\":\"acct.blob.core.windows.net\",\"ts\":\"134260964415000000\"}",
	};
	static char text[8192];
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		snprintf(text, sizeof text,
			 NETWORK("SslConnectionInspected",
				 "\"LocalIP\":\"10.1.2.3\",\"LocalPort\":50123,\"RemoteIP\":\"20.60.133."
				 "132\",\"RemotePort\":443",
				 "%s"),
			 extra[i]);
		struct evcatch *c = evcatch_text(text);
		const struct procevent *ev = evcatch_one(c);
		assert_int_equal(ev->flags, PROCEVENT_EITHER_WAY | PROCEVENT_INBOUND);
		assert_int_equal(ev->time_ns,
				 UINT64_C(1781622841500000000)); /* 13426096441.5 - 11644473600 s */
		assert_int_equal(ev->time_logged_ns, time_ns);
		assert_slice(ev->remote_name, "acct.blob.core.windows.net");
		evcatch_free(c);
	}
}

static void aggregated__an_hour__counted(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text(NETWORK("ConnectionSuccessAggregatedReport",
				 "\"LocalIP\":\"10.1.2.3\",\"RemoteIP\":\"20.60.133.132\",\"RemotePort\":443",
				 "\"{\\\"uniqueEventsAggregated\\\":\\\"25\\\"}\""));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->time_end_ns, time_ns);
	assert_int_equal(ev->time_ns, time_ns - UINT64_C(3600000000000));
	assert_int_equal(ev->aggregated_count, 25);
	evcatch_address(&ev->local, "10.1.2.3", 0);
	evcatch_free(c);
}

static void network__connect_without_local_port__report_of_a_moment(void **state)
{
	(void)state;
	static const struct {
		const char *fields;
		uint8_t kind;
	} rows[] = {
	    {"\"LocalIP\":\"10.1.2.3\",\"RemoteIP\":\"20.60.133.132\",\"RemotePort\":443", PROCEVENT_AGGREGATED},
	    {"\"LocalIP\":\"10.1.2.3\",\"LocalPort\":5,\"RemoteIP\":\"20.60.133.132\",\"RemotePort\":443", PROCEVENT_CONNECT},
	    {"\"RemoteIP\":\"20.60.133.132\",\"RemotePort\":443", PROCEVENT_CONNECT}, /* nobody's: joins nothing */
	    {"\"LocalIP\":\"10.1.2.3\",\"RemoteIP\":\"20.60.133.132\"", PROCEVENT_CONNECT},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char text[4096];
		snprintf(text, sizeof text, NETWORK("ConnectionSuccess", "%s", "null"), rows[i].fields);
		struct evcatch *c = evcatch_text(text);
		const struct procevent *ev = evcatch_one(c);
		assert_int_equal(ev->kind, rows[i].kind);
		assert_int_equal(ev->time_ns, time_ns);
		assert_int_equal(ev->time_end_ns, rows[i].kind == PROCEVENT_AGGREGATED ? time_ns : 0);
		evcatch_free(c);
	}
}

static void process__created__subject_and_parent(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    ENVELOPE("DeviceProcessEvents",
		     "{\"Timestamp\":\"2026-06-16T15:14:01Z\"," DEVICE
		     ",\"ActionType\":\"ProcessCreated\",\"ReportId\":5,\"FileName\":\"7z.exe\","
		     "\"FolderPath\":\"C:\\\\Program Files\\\\7-Zip\\\\7z.exe\","
		     "\"SHA256\":\"aa\",\"ProcessId\":9001,\"ProcessCommandLine\":\"7z.exe a "
		     "x.zip\",\"ProcessCreationTime\":\"2026-06-16T15:14:00.5Z\","
		     "\"ProcessUniqueId\":\"77\",\"AccountName\":\"svc\",\"AccountDomain\":\"nt\","
		     "\"LogonId\":999,\"ProcessVersionInfoOriginalFileName\":\"7z.exe\"," ACTOR "}"));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_PROC_START);
	assert_int_equal(ev->flags, PROCEVENT_FLOORED);
	assert_slice(ev->process.name, "7z.exe");
	assert_slice(ev->process.path, "C:\\Program Files\\7-Zip\\7z.exe");
	assert_slice(ev->process.command_line, "7z.exe a x.zip");
	assert_slice(ev->process.uid, "77");
	assert_int_equal(ev->process.pid, 9001);
	assert_int_equal(ev->process.start_ns, UINT64_C(1781622840500000000));
	assert_slice(ev->process.sha256, "aa");
	assert_slice(ev->parent.name, "powershell.exe");
	assert_int_equal(ev->parent.pid, 70123);
	assert_slice(ev->parent.uid, "13510798882112217");
	assert_slice(ev->user, "svc");
	assert_slice(ev->user_domain, "nt");
	assert_int_equal(ev->logon_id, 999);
	evcatch_free(c);
}

static void files__every_action__paths_joined(void **state)
{
	static const struct {
		const char *action;
		uint8_t kind;
	} actions[] = {{"FileCreated", PROCEVENT_FILE_CREATE},
		       {"FileModified", PROCEVENT_FILE_CREATE},
		       {"FileRenamed", PROCEVENT_FILE_RENAME},
		       {"FileDeleted", PROCEVENT_FILE_DELETE}};
	static char text[8192];
	(void)state;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
		snprintf(
		    text, sizeof text,
		    "{\"TimeGenerated\":\"2026-06-16T15:14:02.666487Z\",\"Type\":\"DeviceFileEvents\"," DEVICE
		    ",\"ActionType\":\"%s\",\"ReportId\":5,\"FileName\":\"a.zip\",\"FolderPath\":\"C:"
		    "\\\\ProgramData\\\\A.zip\",\"PreviousFileName\":\"b.zip\","
		    "\"PreviousFolderPath\":\"C:\\\\Temp\",\"FileSize\":1300,\"SHA256\":\"bb\"," ACTOR "}",
		    actions[i].action);
		struct evcatch *c = evcatch_text(text);
		const struct procevent *ev = evcatch_one(c);
		assert_int_equal(ev->kind, actions[i].kind);
		assert_slice(ev->file_path, "C:\\ProgramData\\A.zip");
		assert_slice(ev->file_previous_path, "C:\\Temp\\b.zip");
		assert_slice(ev->file_sha256, "bb");
		assert_int_equal(ev->file_bytes, 1300);
		assert_slice(ev->process.name, "powershell.exe");
		evcatch_free(c);
	}
}

static void logon_and_usb__their_tables__read(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    "{\"Timestamp\":\"2026-06-16T15:14:02Z\"," DEVICE
	    ",\"ActionType\":\"LogonSuccess\",\"LogonType\":\"RemoteInteractive\",\"AccountName\":\"lena\","
	    "\"AccountDomain\":\"corp\",\"LogonId\":4242,\"RemoteIP\":\"-\",\"RemotePort\":\"\","
	    "\"RemoteDeviceName\":\"jump\"}\n"
	    "{\"Timestamp\":\"2026-06-16T15:14:02Z\"," DEVICE
	    ",\"ActionType\":\"UsbDriveMounted\",\"AdditionalFields\":\"{\\\"DriveLetter\\\":\\\"E:\\\"}\"}\n"
	    "{\"Timestamp\":\"2026-06-16T15:14:02Z\"," DEVICE ",\"ActionType\":\"LogonFailed\"}\n");
	assert_int_equal(c->n, 3);
	assert_int_equal(c->ev[0].kind, PROCEVENT_LOGON);
	assert_int_equal(c->ev[0].logon_type, 10);
	assert_int_equal(c->ev[0].logon_id, 4242);
	assert_slice(c->ev[0].user, "lena");
	assert_slice(c->ev[0].remote_name, "jump");
	evcatch_address(&c->ev[0].remote, "", 0);
	assert_int_equal(c->ev[1].kind, PROCEVENT_USB);
	assert_slice(c->ev[1].file_path, "E:");
	assert_int_equal(c->ev[2].kind, PROCEVENT_OTHER);
	evcatch_free(c);
}

static void table__of_another_name__does_not_lend_its_actions(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text(ENVELOPE("DeviceEvents", NETWORK("ConnectionSuccess", TUPLE, "null")) "\n" ENVELOPE(
		"DeviceCustomNetworkEvents", NETWORK("ConnectionSuccess", TUPLE, "null")));
	assert_int_equal(c->n, 2);
	assert_int_equal(c->ev[0].kind, PROCEVENT_OTHER);
	assert_int_equal(c->ev[1].kind, PROCEVENT_CONNECT);
	evcatch_free(c);
}

static void event_id__bare_and_enveloped__the_same_without_report_a_hash(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(NETWORK("ConnectionSuccess", TUPLE, "null") "\n" ENVELOPE(
	    "DeviceNetworkEvents",
	    NETWORK("ConnectionSuccess", TUPLE,
		    "null")) "\n"
			     "{\"Timestamp\":\"2026-06-16T15:14:02Z\",\"DeviceName\":\"a\",\"ActionType\":"
			     "\"X\"}\n{\"Timestamp\":\"2026-06-16T15:14:02Z\",\"DeviceName\":\"a\","
			     "\"ActionType\":\"X\"}\n"
			     "{\"Timestamp\":\"2026-06-16T15:14:02Z\",\"DeviceName\":\"b\",\"ActionType\":"
			     "\"X\"}\n");
	assert_int_equal(c->n, 5);
	assert_string_equal((const char *)c->ev[0].event_id.p, (const char *)c->ev[1].event_id.p);
	assert_int_equal(c->ev[2].event_id.n, 18);
	assert_string_equal((const char *)c->ev[2].event_id.p, (const char *)c->ev[3].event_id.p);
	assert_string_not_equal((const char *)c->ev[2].event_id.p, (const char *)c->ev[4].event_id.p);
	evcatch_free(c);
}

static void refused__each_by_its_reason(void **state)
{
	(void)state;
	assert_int_equal(
	    evcatch_refused(NETWORK("ConnectionSuccess", "\"LocalIP\":\"10.1.2.3\",\"LocalPort\":0", "null")),
	    EVPARSE_PORT_ZERO);
	assert_int_equal(
	    evcatch_refused(NETWORK("ConnectionSuccess",
				    "\"LocalIP\":\"10.1.2.3\",\"LocalPort\":5,\"RemotePort\":0", "null")),
	    EVPARSE_PORT_ZERO);
	assert_int_equal(evcatch_refused(NETWORK("ConnectionSuccess", "\"LocalPort\":70000", "null")),
			 EVPARSE_BAD_PORT);
	assert_int_equal(evcatch_refused(NETWORK("ConnectionSuccess", "\"LocalPort\":true", "null")),
			 EVPARSE_BAD_PORT);
	assert_int_equal(evcatch_refused(NETWORK("ConnectionSuccess", "\"RemoteIP\":\"10.1.2\"", "null")),
			 EVPARSE_BAD_ADDRESS);
	assert_int_equal(
	    evcatch_refused("{\"Timestamp\":\"2026-06-16T15:14:02Z\"," DEVICE
			    ",\"ActionType\":\"ConnectionSuccess\",\"InitiatingProcessId\":1.5}"),
	    EVPARSE_BAD_NUMBER);
	assert_int_equal(
	    evcatch_refused("{\"Timestamp\":\"now\"," DEVICE ",\"ActionType\":\"ConnectionSuccess\"}"),
	    EVPARSE_BAD_TIME);
	assert_int_equal(evcatch_refused(ENVELOPE("DeviceInfo", "{" DEVICE "}")), EVPARSE_NO_TIME);
	assert_int_equal(evcatch_refused(ENVELOPE("EmailEvents", "{\"Timestamp\":\"2026-06-16T15:14:02Z\"}")),
			 EVPARSE_NO_DEVICE);
	assert_int_equal(
	    evcatch_refused(
		"{\"Timestamp\":\"2026-06-16T15:14:02Z\",\"DeviceName\":\"a\\u0000b\",\"ActionType\":\"X\"}"),
	    EVPARSE_NUL_IN_KEY);
}

static void nul__in_a_command_line__kept(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    "{\"Timestamp\":\"2026-06-16T15:14:02Z\"," DEVICE
	    ",\"ActionType\":\"ConnectionSuccess\",\"InitiatingProcessCommandLine\":\"a\\u0000b\"," TUPLE
	    "}");
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->process.command_line.n, 3);
	assert_memory_equal(ev->process.command_line.p, "a\0b", 3);
	evcatch_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(network__every_transport__the_same_event),
	    cmocka_unit_test(network__streamed__received_time_and_table),
	    cmocka_unit_test(network__every_action__its_kind),
	    cmocka_unit_test(network__dual_stack_and_case__normalised),
	    cmocka_unit_test(network__without_local_port__still_evidence),
	    cmocka_unit_test(network__found__pid_zero_is_unknown),
	    cmocka_unit_test(inspected__text_or_object__names_and_filetime),
	    cmocka_unit_test(aggregated__an_hour__counted),
	    cmocka_unit_test(network__connect_without_local_port__report_of_a_moment),
	    cmocka_unit_test(process__created__subject_and_parent),
	    cmocka_unit_test(files__every_action__paths_joined),
	    cmocka_unit_test(logon_and_usb__their_tables__read),
	    cmocka_unit_test(table__of_another_name__does_not_lend_its_actions),
	    cmocka_unit_test(event_id__bare_and_enveloped__the_same_without_report_a_hash),
	    cmocka_unit_test(refused__each_by_its_reason),
	    cmocka_unit_test(nul__in_a_command_line__kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
