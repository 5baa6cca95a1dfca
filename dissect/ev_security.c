#include "dissect/ev_security.h"

enum { TCP = 6, UDP = 17 };

/* The filtering platform's number; ECS pipelines may have the word. */
static uint8_t read_protocol(struct evrow *row)
{
	struct slice word = evrow_text(row, NULL, "network.transport");
	if (evrow_has(row, "Protocol", "network.iana_number"))
		return (uint8_t)evrow_number(row, "Protocol", "network.iana_number", UINT8_MAX);
	return slice_is(word, "tcp") ? TCP : slice_is(word, "udp") ? UDP : 0;
}

static void read_application(struct evrow *row, struct procevent *ev)
{
	ev->process.path = evrow_text(row, "Application", "process.executable");
	ev->process.name = slice_file_name(ev->process.path);
	ev->process.pid = (uint32_t)evrow_number(row, "ProcessID", NULL, UINT32_MAX);
	if (!ev->process.pid)
		ev->process.pid = (uint32_t)evrow_number(row, "ProcessId", "process.pid", UINT32_MAX);
}

static bool is_inbound(struct evrow *row)
{
	struct slice d = evrow_text(row, "Direction", "network.direction");
	return slice_is(d, "%%14592") || slice_same(d, slice_of("inbound")) ||
	       slice_same(d, slice_of("ingress"));
}

/* Source is who connects, also inbound. Only TCP and UDP have ports: ICMP puts type and code there. */
static void read_connection(struct evrow *row, struct procevent *ev, uint8_t kind)
{
	ev->proto = read_protocol(row);
	if (ev->proto != TCP && ev->proto != UDP) {
		ev->proto = 0;
		return;
	}
	bool inbound = is_inbound(row);
	struct facts_addr source =
	    ev_windows_end(row, "SourceAddress", "source.ip", "SourcePort", "source.port");
	struct facts_addr destination =
	    ev_windows_end(row, "DestAddress", "destination.ip", "DestPort", "destination.port");
	ev->kind = inbound && kind == PROCEVENT_CONNECT ? PROCEVENT_ACCEPT : kind;
	ev->flags |= inbound ? PROCEVENT_INBOUND : 0;
	ev->local = inbound ? destination : source;
	ev->remote = inbound ? source : destination;
	read_application(row, ev);
}

static void read_bind(struct evrow *row, struct procevent *ev)
{
	ev->proto = read_protocol(row);
	if (ev->proto != TCP && ev->proto != UDP) {
		ev->proto = 0;
		return;
	}
	ev->kind = PROCEVENT_LISTEN;
	ev->local = ev_windows_end(row, "SourceAddress", "source.ip", "SourcePort", "source.port");
	read_application(row, ev);
}

static void read_subject(struct evrow *row, struct procevent *ev)
{
	ev->user = evrow_text(row, "SubjectUserName", "user.name");
	ev->user_domain = evrow_text(row, "SubjectDomainName", "user.domain");
	ev->logon_id = evrow_number(row, "SubjectLogonId", NULL, UINT64_MAX);
}

/* The new process runs as the target, if one is named, else as who created it. */
static void read_process_start(struct evrow *row, struct procevent *ev)
{
	ev->kind = PROCEVENT_PROC_START;
	ev->process.path = evrow_text(row, "NewProcessName", "process.executable");
	ev->process.name = slice_file_name(ev->process.path);
	ev->process.pid = (uint32_t)evrow_number(row, "NewProcessId", "process.pid", UINT32_MAX);
	ev->process.command_line = evrow_text(row, "CommandLine", "process.command_line");
	ev->process.start_ns = ev->time_ns;
	ev->parent.path = evrow_text(row, "ParentProcessName", "process.parent.executable");
	ev->parent.name = slice_file_name(ev->parent.path);
	ev->parent.pid = (uint32_t)evrow_number(row, "ProcessId", "process.parent.pid", UINT32_MAX);
	read_subject(row, ev);
	struct slice target = evrow_text(row, "TargetUserName", NULL);
	if (!target.n)
		return;
	ev->user = target;
	ev->user_domain = evrow_text(row, "TargetDomainName", NULL);
	ev->logon_id = evrow_number(row, "TargetLogonId", NULL, UINT64_MAX);
}

static void read_process_end(struct evrow *row, struct procevent *ev)
{
	ev->kind = PROCEVENT_PROC_END;
	ev->process.path = evrow_text(row, "ProcessName", "process.executable");
	ev->process.name = slice_file_name(ev->process.path);
	ev->process.pid = (uint32_t)evrow_number(row, "ProcessId", "process.pid", UINT32_MAX);
	read_subject(row, ev);
}

static void read_logon(struct evrow *row, struct procevent *ev)
{
	ev->kind = PROCEVENT_LOGON;
	ev->user = evrow_text(row, "TargetUserName", "user.name");
	ev->user_domain = evrow_text(row, "TargetDomainName", "user.domain");
	ev->logon_id = evrow_number(row, "TargetLogonId", NULL, UINT64_MAX);
	ev->logon_type = (uint32_t)evrow_number(row, "LogonType", NULL, UINT32_MAX);
	ev->process.path = evrow_text(row, "ProcessName", "process.executable");
	ev->process.name = slice_file_name(ev->process.path);
	ev->process.pid = (uint32_t)evrow_number(row, "ProcessId", "process.pid", UINT32_MAX);
	ev->remote = evrow_address(row, "IpAddress", "source.ip");
	int port = evrow_port(row, "IpPort", "source.port");
	ev->remote.port = port > 0 ? (uint16_t)port : 0;
	ev->remote_name = evrow_text(row, "WorkstationName", "source.domain");
}

void ev_security_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev)
{
	switch (ew->event) {
	case 4624:
		read_logon(row, ev);
		break;
	case 4688:
		read_process_start(row, ev);
		break;
	case 4689:
		read_process_end(row, ev);
		break;
	case 5156:
		read_connection(row, ev, PROCEVENT_CONNECT);
		break;
	case 5157:
		read_connection(row, ev, PROCEVENT_FAILED);
		break;
	case 5158:
		read_bind(row, ev);
		break;
	case 6416:
		ev->kind = PROCEVENT_USB;
		break;
	}
}
