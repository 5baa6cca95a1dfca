#include "dissect/ev_sysmon.h"

#include <string.h>

static const struct {
	uint32_t event;
	uint8_t kind, clock;
} events[] = {
    {1, PROCEVENT_PROC_START, PROCEVENT_CLOCK_SYSMON},   {3, PROCEVENT_CONNECT, PROCEVENT_CLOCK_SYSMON_NET},
    {5, PROCEVENT_PROC_END, PROCEVENT_CLOCK_SYSMON},     {11, PROCEVENT_FILE_CREATE, PROCEVENT_CLOCK_SYSMON},
    {22, PROCEVENT_DNS, PROCEVENT_CLOCK_SYSMON_NET},     {23, PROCEVENT_FILE_DELETE, PROCEVENT_CLOCK_SYSMON},
    {26, PROCEVENT_FILE_DELETE, PROCEVENT_CLOCK_SYSMON},
};

/* UtcTime is the event's; what the log stamps is when it was written. ECS pipelines move it to @timestamp. */
static void read_time(struct evrow *row, uint8_t clock, struct procevent *ev)
{
	struct evtime t;
	struct evrow_value v = evrow_find(row, "UtcTime", NULL);
	if (v.kind == EVROW_ABSENT) {
		if (row->ecs) {
			ev->clock = clock;
			ev->time_logged_ns = evrow_time_maybe(row, NULL, "event.created");
		}
		return;
	}
	if (!evrow_stamp(row, "UtcTime", NULL, &t)) {
		evrow_fail(row, EVPARSE_BAD_TIME, "UtcTime", v.text, "is not a time");
		return;
	}
	ev->clock = clock;
	ev->time_logged_ns = ev->flags & PROCEVENT_ZONE_UNKNOWN ? 0 : ev->time_ns;
	ev->time_ns = t.ns;
	ev->flags = t.floored ? PROCEVENT_FLOORED : 0;
}

/* SHA1=..,MD5=..,SHA256=<64 hex>,IMPHASH=.. */
static struct slice sha256_of(struct slice hashes)
{
	const uint8_t *p = hashes.n ? memmem(hashes.p, hashes.n, "SHA256=", 7) : NULL;
	size_t left = p ? hashes.n - (size_t)(p - hashes.p) - 7 : 0;
	return left >= 64 ? (struct slice){p + 7, 64} : (struct slice){NULL, 0};
}

/* Some shippers escape the text that Sysmon writes when it does not know the process. */
static struct slice image_of(struct evrow *row, const char *name, const char *path)
{
	struct slice image = evrow_text(row, name, path);
	return slice_is(image, "&lt;unknown process&gt;") ? slice_of("<unknown process>") : image;
}

static void read_process(struct evrow *row, struct procevent *ev)
{
	struct procevent_process *p = &ev->process;
	p->path = image_of(row, "Image", "process.executable");
	p->name = slice_file_name(p->path);
	p->uid = slice_uid(evrow_key(row, "ProcessGuid", "process.entity_id"));
	p->pid = (uint32_t)evrow_number(row, "ProcessId", "process.pid", UINT32_MAX);
	slice_split_user(evrow_text(row, "User", NULL), &ev->user_domain, &ev->user);
	if (!ev->user.n) {
		ev->user = evrow_text(row, NULL, "user.name");
		ev->user_domain = evrow_text(row, NULL, "user.domain");
	}
}

static void read_start(struct evrow *row, struct procevent *ev)
{
	struct procevent_process *p = &ev->process;
	p->command_line = evrow_text(row, "CommandLine", "process.command_line");
	p->original_name = evrow_text(row, "OriginalFileName", "process.pe.original_file_name");
	p->sha256 = sha256_of(evrow_text(row, "Hashes", NULL));
	if (!p->sha256.n)
		p->sha256 = evrow_text(row, NULL, "process.hash.sha256");
	p->start_ns = ev->time_ns;
	ev->parent.path = image_of(row, "ParentImage", "process.parent.executable");
	ev->parent.name = slice_file_name(ev->parent.path);
	ev->parent.uid = slice_uid(evrow_key(row, "ParentProcessGuid", "process.parent.entity_id"));
	ev->parent.pid = (uint32_t)evrow_number(row, "ParentProcessId", "process.parent.pid", UINT32_MAX);
	ev->parent.command_line = evrow_text(row, "ParentCommandLine", "process.parent.command_line");
	ev->logon_id = evrow_number(row, "LogonId", NULL, UINT64_MAX);
}

static void read_direction(struct evrow *row, struct procevent *ev)
{
	struct evrow_value initiated = evrow_find(row, "Initiated", NULL);
	struct slice word =
	    initiated.kind == EVROW_TEXT ? initiated.text : evrow_text(row, NULL, "network.direction");
	bool is_bool = initiated.kind == EVROW_BOOL;
	if ((is_bool && !initiated.number) || slice_same(word, slice_of("false")) ||
	    slice_is(word, "ingress") || slice_is(word, "inbound")) {
		ev->kind = PROCEVENT_ACCEPT;
		ev->flags |= PROCEVENT_INBOUND;
	} else if (!is_bool && !slice_same(word, slice_of("true")) && !slice_is(word, "egress") &&
		   !slice_is(word, "outbound")) {
		ev->flags |= PROCEVENT_EITHER_WAY;
	}
}

static uint8_t protocol_of(struct slice word)
{
	return slice_same(word, slice_of("tcp")) ? 6 : slice_same(word, slice_of("udp")) ? 17 : 0;
}

static void read_network(struct evrow *row, struct procevent *ev)
{
	struct facts_addr source = ev_windows_end(row, "SourceIp", "source.ip", "SourcePort", "source.port");
	struct facts_addr destination =
	    ev_windows_end(row, "DestinationIp", "destination.ip", "DestinationPort", "destination.port");
	read_direction(row, ev);
	bool inbound = ev->kind == PROCEVENT_ACCEPT;
	ev->local = inbound ? destination : source;
	ev->remote = inbound ? source : destination;
	ev->remote_name = inbound ? evrow_text(row, "SourceHostname", "source.domain")
				  : evrow_text(row, "DestinationHostname", "destination.domain");
	ev->proto = protocol_of(evrow_text(row, "Protocol", "network.transport"));
}

static void read_file(struct evrow *row, struct procevent *ev)
{
	ev->file_path = evrow_text(row, "TargetFilename", "file.path");
	ev->file_sha256 = sha256_of(evrow_text(row, "Hashes", NULL));
	if (!ev->file_sha256.n)
		ev->file_sha256 = evrow_text(row, NULL, "file.hash.sha256");
}

static void read_dns(struct evrow *row, struct procevent *ev)
{
	ev->dns_query = evrow_text(row, "QueryName", "dns.question.name");
	ev->dns_answers = evrow_text(row, "QueryResults", NULL);
}

void ev_sysmon_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev)
{
	size_t i = 0;
	while (i < sizeof events / sizeof *events && events[i].event != ew->event)
		i++;
	bool known = i < sizeof events / sizeof *events;
	read_time(row, known ? events[i].clock : PROCEVENT_CLOCK_SYSMON, ev);
	if (!known)
		return;
	ev->kind = events[i].kind;
	read_process(row, ev);
	switch ((enum procevent_kind)ev->kind) {
	case PROCEVENT_PROC_START:
		read_start(row, ev);
		break;
	case PROCEVENT_CONNECT:
		read_network(row, ev);
		break;
	case PROCEVENT_DNS:
		read_dns(row, ev);
		break;
	case PROCEVENT_FILE_CREATE:
	case PROCEVENT_FILE_DELETE:
		read_file(row, ev);
		break;
	default:
		break;
	}
}
