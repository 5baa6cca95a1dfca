#include "evcatch.h"

/* NXLog: everything flat, everything text, local times without zone, the collector in host, the shipper's
 * port in port. */
#define NXLOG(event, fields)                                                                                 \
	"{\"host\":\"collector.example\",\"port\":60122,\"@timestamp\":\"2026-08-06T15:56:24.170Z\","        \
	"\"EventReceivedTime\":\"2026-08-06 11:56:24\","                                                     \
	"\"EventTime\":\"2026-08-06 "                                                                        \
	"11:56:22\",\"Hostname\":\"WS5.shire.example\",\"Channel\":\"Microsoft-Windows-Sysmon/"              \
	"Operational\","                                                                                     \
	"\"SourceName\":\"Microsoft-Windows-Sysmon\",\"EventID\":" event                                     \
	",\"RecordNumber\":4711,\"ExecutionProcessID\":3956,\"AccountName\":\"SYSTEM\","                     \
	"\"UserID\":\"S-1-5-18\",\"Keywords\":-9223372036854775808,\"UtcTime\":\"2026-08-06 "                \
	"15:56:22.770\"," fields "}"
#define GUID "\"ProcessGuid\":\"{297bc33e-7d2a-5f2b-6003-000000000400}\""
#define ENDS(initiated, source, destination)                                                                 \
	"\"Protocol\":\"tcp\",\"Initiated\":\"" initiated "\",\"SourceIp\":\"" source                        \
	"\",\"SourcePort\":\"57967\",\"SourceHostname\":\"-\","                                              \
	"\"DestinationIp\":\"" destination                                                                   \
	"\",\"DestinationPort\":\"5985\",\"DestinationHostname\":\"srv6\",\"DestinationPortName\":\"-\""

static const uint64_t utc_ns = UINT64_C(1786031782770000000);

static void connect__initiated__source_is_local(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    NXLOG("3", GUID ",\"ProcessId\":\"7240\",\"Image\":\"C:\\\\Users\\\\pg\\\\Grunt.exe\",\"User\":"
			    "\"SHIRE\\\\pg\"," ENDS("true", "172.18.39.5", "172.18.39.6")));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	assert_int_equal(ev->source, PROCEVENT_SOURCE_SYSMON);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SYSMON_NET);
	assert_int_equal(ev->flags, 0);
	assert_int_equal(ev->time_ns, utc_ns);
	assert_int_equal(ev->time_logged_ns, UINT64_C(1786031782000000000));
	assert_int_equal(ev->time_received_ns, UINT64_C(1786031784170000000));
	assert_slice(ev->device_name, "WS5.shire.example");
	assert_slice(ev->device_id, "");
	assert_slice(ev->event_id, "Microsoft-Windows-Sysmon/Operational:4711:1786031782770000000");
	evcatch_address(&ev->local, "172.18.39.5", 57967);
	evcatch_address(&ev->remote, "172.18.39.6", 5985);
	assert_int_equal(ev->proto, 6);
	assert_slice(ev->remote_name, "srv6");
	assert_slice(ev->process.path, "C:\\Users\\pg\\Grunt.exe");
	assert_slice(ev->process.name, "Grunt.exe");
	assert_int_equal(ev->process.pid, 7240);
	assert_slice(ev->process.uid, "{297bc33e-7d2a-5f2b-6003-000000000400}");
	assert_slice(ev->user, "pg");
	assert_slice(ev->user_domain, "SHIRE");
	evcatch_free(c);
}

static void connect__not_initiated__destination_is_local(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(NXLOG("3", GUID ",\"ProcessId\":\"4\",\"Image\":\"System\"," ENDS(
							"false", "172.18.39.5", "172.18.39.6")));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_ACCEPT);
	assert_int_equal(ev->flags, PROCEVENT_INBOUND);
	evcatch_address(&ev->local, "172.18.39.6", 5985);
	evcatch_address(&ev->remote, "172.18.39.5", 57967);
	assert_slice(ev->remote_name, "");
	evcatch_free(c);
}

static void connect__uncompressed_ipv6__binary(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    NXLOG("3", GUID "," ENDS("true", "fe80:0:0:0:3b31:a8fa:5adc:7b9e", "0:0:0:0:0:0:0:1")));
	const struct procevent *ev = evcatch_one(c);
	evcatch_address(&ev->local, "fe80::3b31:a8fa:5adc:7b9e", 57967);
	evcatch_address(&ev->remote, "::1", 5985);
	evcatch_free(c);
}

static void connect__no_process_id__not_the_service_s(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(NXLOG("3", GUID "," ENDS("true", "172.18.39.5", "172.18.39.6")));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->process.pid, 0);
	assert_slice(ev->process.uid, "{297bc33e-7d2a-5f2b-6003-000000000400}");
	assert_slice(ev->user, "");
	evcatch_free(c);
}

static void connect__unknown_process__unescaped_and_without_uid(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    NXLOG("3", "\"ProcessGuid\":\"{00000000-0000-0000-0000-000000000000}\",\"ProcessId\":\"8920\","
		       "\"Image\":\"&lt;unknown process&gt;\",\"User\":\"-\"," ENDS("true", "172.18.39.5",
										    "172.18.39.6")));
	const struct procevent *ev = evcatch_one(c);
	assert_slice(ev->process.path, "<unknown process>");
	assert_slice(ev->process.uid, "");
	assert_int_equal(ev->process.pid, 8920);
	assert_slice(ev->user, "");
	evcatch_free(c);
}

static void connect__no_direction__either_way(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text(NXLOG("3", "\"SourceIp\":\"10.0.0.1\",\"SourcePort\":1,\"DestinationIp\":\"10.0.0."
				    "2\",\"DestinationPort\":2,\"Protocol\":\"udp\""));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->flags, PROCEVENT_EITHER_WAY);
	assert_int_equal(ev->proto, 17);
	evcatch_free(c);
}

static void connect__without_an_end__refused(void **state)
{
	(void)state;
	assert_int_equal(
	    evcatch_refused(NXLOG("3", "\"SourceIp\":\"0:0:0:0:0:0:0:0\",\"SourcePort\":\"0\","
				       "\"DestinationIp\":\"0:0:0:0:0:0:0:0\",\"DestinationPort\":\"0\"")),
	    EVPARSE_PORT_ZERO);
	assert_int_equal(
	    evcatch_refused(NXLOG(
		"3", "\"SourceIp\":\"10.0.0.1\",\"DestinationIp\":\"10.0.0.2\",\"DestinationPort\":\"2\"")),
	    EVPARSE_BAD_PORT);
	assert_int_equal(
	    evcatch_refused(
		NXLOG("3", "\"SourcePort\":1,\"DestinationIp\":\"10.0.0.2\",\"DestinationPort\":\"2\"")),
	    EVPARSE_BAD_ADDRESS);
}

static void start__everything__read(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(
	    NXLOG("1", GUID
		  ",\"ProcessId\":\"6960\",\"Image\":\"C:\\\\Windows\\\\System32\\\\cmd.exe\","
		  "\"CommandLine\":\"cmd /c x\",\"OriginalFileName\":\"Cmd.Exe\","
		  "\"User\":\"SHIRE\\\\pg\",\"LogonId\":\"0x1fd3fc\",\"Hashes\":\"SHA1=8D,MD5=D7,SHA256="
		  "FF79D3C4A0B7EB191783C323AB8363EBD1FD10BE58D8BCC96B07067743CA81D5,IMPHASH=27\","
		  "\"ParentProcessGuid\":\"{297bc33e-458d-5f2a-3905-000000000400}\",\"ParentProcessId\":"
		  "\"2064\",\"ParentImage\":\"C:\\\\x\\\\Grunt.exe\",\"ParentCommandLine\":\"Grunt.exe \""));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_PROC_START);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SYSMON);
	assert_slice(ev->process.name, "cmd.exe");
	assert_slice(ev->process.command_line, "cmd /c x");
	assert_slice(ev->process.original_name, "Cmd.Exe");
	assert_slice(ev->process.sha256, "FF79D3C4A0B7EB191783C323AB8363EBD1FD10BE58D8BCC96B07067743CA81D5");
	assert_int_equal(ev->process.start_ns, utc_ns);
	assert_slice(ev->parent.name, "Grunt.exe");
	assert_slice(ev->parent.uid, "{297bc33e-458d-5f2a-3905-000000000400}");
	assert_int_equal(ev->parent.pid, 2064);
	assert_slice(ev->parent.command_line, "Grunt.exe ");
	assert_int_equal(ev->logon_id, 0x1fd3fc);
	evcatch_free(c);
}

static void others__each_id__its_kind_and_clock(void **state)
{
	static const struct {
		const char *row;
		uint8_t kind, clock;
	} rows[] = {
	    {NXLOG("5", GUID), PROCEVENT_PROC_END, PROCEVENT_CLOCK_SYSMON},
	    {NXLOG("11", "\"TargetFilename\":\"C:\\\\a.zip\""), PROCEVENT_FILE_CREATE,
	     PROCEVENT_CLOCK_SYSMON},
	    {NXLOG("22", "\"QueryName\":\"a.example\",\"QueryResults\":\"type:  5 b;::ffff:10.0.0.1;\""),
	     PROCEVENT_DNS, PROCEVENT_CLOCK_SYSMON_NET},
	    {NXLOG("23", "\"TargetFilename\":\"C:\\\\a.zip\",\"Hashes\":\"-\""), PROCEVENT_FILE_DELETE,
	     PROCEVENT_CLOCK_SYSMON},
	    {NXLOG("26", "\"TargetFilename\":\"C:\\\\a.zip\""), PROCEVENT_FILE_DELETE,
	     PROCEVENT_CLOCK_SYSMON},
	    {NXLOG("7", "\"ImageLoaded\":\"x.dll\",\"ProcessId\":\"not read\""), PROCEVENT_OTHER,
	     PROCEVENT_CLOCK_SYSMON},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct evcatch *c = evcatch_text(rows[i].row);
		const struct procevent *ev = evcatch_one(c);
		assert_int_equal(ev->kind, rows[i].kind);
		assert_int_equal(ev->clock, rows[i].clock);
		assert_int_equal(ev->time_ns, utc_ns);
		if (ev->kind == PROCEVENT_DNS) {
			assert_slice(ev->dns_query, "a.example");
			assert_slice(ev->dns_answers, "type:  5 b;::ffff:10.0.0.1;");
		} else if (ev->kind == PROCEVENT_FILE_CREATE || ev->kind == PROCEVENT_FILE_DELETE) {
			assert_slice(ev->file_path, "C:\\a.zip");
		}
		evcatch_free(c);
	}
}

static void time__no_utc_time__the_log_s_stamp_and_clock(void **state)
{
	(void)state;
	struct evcatch *c =
	    evcatch_text("{\"EventID\":3,\"Channel\":\"Microsoft-Windows-Sysmon/"
			 "Operational\",\"Computer\":\"a\",\"TimeCreated\":\"2026-08-06T15:56:23.1Z\"," ENDS(
			     "true", "10.0.0.1", "10.0.0.2") "}");
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->time_ns, UINT64_C(1786031783100000000));
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SYSMON);
	evcatch_free(c);
	assert_int_equal(evcatch_refused("{\"EventID\":3,\"Channel\":\"Microsoft-Windows-Sysmon/"
					 "Operational\",\"Computer\":\"a\",\"UtcTime\":\"x\"," ENDS(
					     "true", "10.0.0.1", "10.0.0.2") "}"),
			 EVPARSE_BAD_TIME);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(connect__initiated__source_is_local),
	    cmocka_unit_test(connect__not_initiated__destination_is_local),
	    cmocka_unit_test(connect__uncompressed_ipv6__binary),
	    cmocka_unit_test(connect__no_process_id__not_the_service_s),
	    cmocka_unit_test(connect__unknown_process__unescaped_and_without_uid),
	    cmocka_unit_test(connect__no_direction__either_way),
	    cmocka_unit_test(connect__without_an_end__refused),
	    cmocka_unit_test(start__everything__read),
	    cmocka_unit_test(others__each_id__its_kind_and_clock),
	    cmocka_unit_test(time__no_utc_time__the_log_s_stamp_and_clock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
