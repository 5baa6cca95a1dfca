#include "evcatch.h"

#define ROW(event, fields)                                                                                   \
	"{\"SourceName\":\"Microsoft-Windows-Security-Auditing\",\"Channel\":\"Security\",\"Hostname\":"     \
	"\"DC01.corp.example\",\"TimeCreated\":\"2026-07-19T05:32:49.954Z\","                                \
	"\"@timestamp\":\"2026-07-19T05:32:49.954Z\",\"EventID\":" event ",\"EventRecordID\":99," fields "}"
#define FLOW(direction, protocol)                                                                            \
	"\"ProcessID\":\"3108\",\"Application\":\"\\\\device\\\\harddiskvolume2\\\\windows\\\\agent.exe\","  \
	"\"Direction\":\"" direction "\",\"SourceAddress\":\"172.18.39.5\","                                 \
	"\"SourcePort\":\"56581\",\"DestAddress\":\"168.63.129.16\",\"DestPort\":\"80\",\"Protocol\":"       \
	"\"" protocol "\""

static void flow__outbound__source_is_local(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(ROW("5156", FLOW("%%14593", "6")));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_CONNECT);
	assert_int_equal(ev->source, PROCEVENT_SOURCE_SECURITY);
	assert_int_equal(ev->clock, PROCEVENT_CLOCK_SECURITY);
	assert_int_equal(ev->flags, 0);
	assert_int_equal(ev->time_ns, UINT64_C(1784439169954000000));
	assert_slice(ev->device_name, "DC01.corp.example");
	assert_slice(ev->event_id, "Security:99:1784439169954000000");
	evcatch_address(&ev->local, "172.18.39.5", 56581);
	evcatch_address(&ev->remote, "168.63.129.16", 80);
	assert_int_equal(ev->proto, 6);
	assert_slice(ev->process.path, "\\device\\harddiskvolume2\\windows\\agent.exe");
	assert_slice(ev->process.name, "agent.exe");
	assert_int_equal(ev->process.pid, 3108);
	evcatch_free(c);
}

static void flow__inbound__destination_is_local(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(ROW("5156", FLOW("%%14592", "17")));
	const struct procevent *ev = evcatch_one(c);
	assert_int_equal(ev->kind, PROCEVENT_ACCEPT);
	assert_int_equal(ev->flags, PROCEVENT_INBOUND);
	evcatch_address(&ev->local, "168.63.129.16", 80);
	evcatch_address(&ev->remote, "172.18.39.5", 56581);
	assert_int_equal(ev->proto, 17);
	evcatch_free(c);
}

static void flow__blocked_bound_or_without_ports__their_kinds(void **state)
{
	(void)state;
	struct evcatch *c = evcatch_text(ROW("5157", FLOW("%%14593", "6")) "\n" ROW(
	    "5158",
	    "\"ProcessId\":\"1432\",\"Application\":\"System\",\"SourceAddress\":\"::\",\"SourcePort\":"
	    "\"51664\",\"Protocol\":\"17\"") "\n" ROW("5156",
						      "\"SourceAddress\":\"fe80::1:1\",\"SourcePort\":\"0\","
						      "\"DestAddress\":\"ff02::1\",\"DestPort\":\"134\","
						      "\"Protocol\":\"58\"") "\n");
	assert_int_equal(c->n, 3);
	assert_int_equal(c->ev[0].kind, PROCEVENT_FAILED);
	assert_int_equal(c->ev[1].kind, PROCEVENT_LISTEN);
	evcatch_address(&c->ev[1].local, "::", 51664);
	assert_int_equal(c->ev[1].process.pid, 1432);
	assert_int_equal(c->ev[2].kind, PROCEVENT_OTHER);
	assert_int_equal(c->ev[2].proto, 0);
	evcatch_free(c);
	assert_int_equal(
	    evcatch_refused(ROW("5156", "\"SourceAddress\":\"10.0.0.1\",\"SourcePort\":\"0\",\"DestAddress\":"
					"\"10.0.0.2\",\"DestPort\":\"53\",\"Protocol\":\"17\"")),
	    EVPARSE_PORT_ZERO);
}

static void process__start_and_end__hex_pids(void **state)
{
	(void)state;
	struct evcatch *
	    c = evcatch_text(ROW("4688", "\"SubjectUserName\":\"pg\",\"SubjectDomainName\":\"CORP\","
					 "\"SubjectLogonId\":\"0x1fd3fc\",\"NewProcessId\":\"0x1b30\","
					 "\"NewProcessName\":\"C:\\\\Windows\\\\cmd.exe\",\"ProcessId\":"
					 "\"0x810\","
					 "\"CommandLine\":\"cmd /c "
					 "x\",\"ParentProcessName\":\"C:\\\\x\\\\Grunt.exe\","
					 "\"TargetUserName\":\"-\",\"TargetDomainName\":\"-\","
					 "\"TargetLogonId\":\"0x0\"") "\n" ROW("4688",
									       "\"SubjectUserName\":\"DC01$"
									       "\",\"NewProcessId\":"
									       "\"0x1820\","
									       "\"NewProcessName\":\"C:\\\\s."
									       "exe\",\"ProcessId\":"
									       "\"0x314\",\"TargetUserName\":"
									       "\"adm\",\"TargetDomainName\":"
									       "\"CORP\",\"TargetLogonId\":"
									       "\"0x627b7\"") "\n" ROW("4689",
												       "\"Pro"
												       "cessI"
												       "d\":"
												       "\"0x1"
												       "b5c\""
												       ",\"Pr"
												       "ocess"
												       "Name"
												       "\":"
												       "\"C:"
												       "\\\\t"
												       ".exe"
												       "\","
												       "\"Sub"
												       "jectU"
												       "serNa"
												       "me\":"
												       "\"WS$"
												       "\"") "\n");
	assert_int_equal(c->n, 3);
	assert_int_equal(c->ev[0].kind, PROCEVENT_PROC_START);
	assert_int_equal(c->ev[0].process.pid, 0x1b30);
	assert_slice(c->ev[0].process.command_line, "cmd /c x");
	assert_int_equal(c->ev[0].process.start_ns, c->ev[0].time_ns);
	assert_int_equal(c->ev[0].parent.pid, 0x810);
	assert_slice(c->ev[0].parent.name, "Grunt.exe");
	assert_slice(c->ev[0].user, "pg");
	assert_int_equal(c->ev[0].logon_id, 0x1fd3fc);
	assert_slice(c->ev[1].user, "adm");
	assert_slice(c->ev[1].user_domain, "CORP");
	assert_int_equal(c->ev[1].logon_id, 0x627b7);
	assert_int_equal(c->ev[2].kind, PROCEVENT_PROC_END);
	assert_int_equal(c->ev[2].process.pid, 0x1b5c);
	assert_slice(c->ev[2].process.name, "t.exe");
	evcatch_free(c);
	assert_int_equal(evcatch_refused(ROW("4688", "\"NewProcessId\":\"0x1ffffffff\"")),
			 EVPARSE_BAD_NUMBER);
}

static void logon__dashes__absent(void **state)
{
	(void)state;
	struct evcatch
	    *c =
		evcatch_text(ROW("4624", "\"TargetUserName\":\"pg\",\"TargetDomainName\":\"CORP\","
					 "\"TargetLogonId\":\"0xcd87b2\",\"LogonType\":\"3\",\"ProcessId\":"
					 "\"0x0\",\"ProcessName\":\"-\",\"IpAddress\":\"172.18.39.5\","
					 "\"IpPort\":\"60338\",\"WorkstationName\":\"-\"") "\n" ROW(
		    "4624", "\"TargetUserName\":\"SYSTEM\",\"LogonType\":5,\"IpAddress\":\"-\",\"IpPort\":\"-"
			    "\"") "\n" ROW("4634", "\"TargetUserName\":\"x\""));
	assert_int_equal(c->n, 3);
	assert_int_equal(c->ev[0].kind, PROCEVENT_LOGON);
	assert_slice(c->ev[0].user, "pg");
	assert_int_equal(c->ev[0].logon_type, 3);
	assert_int_equal(c->ev[0].logon_id, 0xcd87b2);
	evcatch_address(&c->ev[0].remote, "172.18.39.5", 60338);
	assert_slice(c->ev[0].process.path, "");
	evcatch_address(&c->ev[1].remote, "", 0);
	assert_int_equal(c->ev[1].logon_type, 5);
	assert_int_equal(c->ev[2].kind, PROCEVENT_OTHER);
	evcatch_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(flow__outbound__source_is_local),
	    cmocka_unit_test(flow__inbound__destination_is_local),
	    cmocka_unit_test(flow__blocked_bound_or_without_ports__their_kinds),
	    cmocka_unit_test(process__start_and_end__hex_pids),
	    cmocka_unit_test(logon__dashes__absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
