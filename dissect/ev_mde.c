#include "dissect/ev_mde.h"

#include <inttypes.h>
#include <string.h>

enum table { NETWORK, PROCESS, FILES, LOGON, DEVICE, OTHER_TABLE };

static const char *const table_names[] = {
    [NETWORK] = "DeviceNetworkEvents", [PROCESS] = "DeviceProcessEvents", [FILES] = "DeviceFileEvents",
    [LOGON] = "DeviceLogonEvents",     [DEVICE] = "DeviceEvents",
};

static const struct action {
	const char *name;
	uint8_t table, kind;
	uint16_t flags;
} actions[] = {
    {"ConnectionSuccess", NETWORK, PROCEVENT_CONNECT, 0},
    {"ConnectionRequest", NETWORK, PROCEVENT_CONNECT, 0},
    {"InboundConnectionAccepted", NETWORK, PROCEVENT_ACCEPT, PROCEVENT_INBOUND},
    {"ListeningConnectionCreated", NETWORK, PROCEVENT_LISTEN, 0},
    {"ConnectionFound", NETWORK, PROCEVENT_FOUND, 0},
    {"ConnectionFailed", NETWORK, PROCEVENT_FAILED, 0},
    {"ConnectionAttempt", NETWORK, PROCEVENT_ATTEMPT, 0},
    {"ConnectionAcknowledged", NETWORK, PROCEVENT_ATTEMPT, 0},
    {"ConnectionSuccessAggregatedReport", NETWORK, PROCEVENT_AGGREGATED, PROCEVENT_INTERVAL},
    {"ConnectionFailedAggregatedReport", NETWORK, PROCEVENT_FAILED, PROCEVENT_INTERVAL},
    {"ProcessCreated", PROCESS, PROCEVENT_PROC_START, 0},
    {"ProcessTerminated", PROCESS, PROCEVENT_PROC_END, 0},
    {"FileCreated", FILES, PROCEVENT_FILE_CREATE, 0},
    {"FileModified", FILES, PROCEVENT_FILE_CREATE, 0},
    {"FileRenamed", FILES, PROCEVENT_FILE_RENAME, 0},
    {"FileDeleted", FILES, PROCEVENT_FILE_DELETE, 0},
    {"LogonSuccess", LOGON, PROCEVENT_LOGON, 0},
    {"UsbDriveMounted", DEVICE, PROCEVENT_USB, 0},
    {"UsbDriveMount", DEVICE, PROCEVENT_USB, 0},
    {"UsbDriveUnmounted", DEVICE, PROCEVENT_USB, 0},
    {"UsbDriveUnmount", DEVICE, PROCEVENT_USB, 0},
    {"PnpDeviceConnected", DEVICE, PROCEVENT_USB, 0},
};

static const struct action inspected = {"", NETWORK, PROCEVENT_INSPECT, PROCEVENT_EITHER_WAY};
static const struct action other = {"", OTHER_TABLE, PROCEVENT_OTHER, 0};

static bool table_is(struct slice table, unsigned want)
{
	return slice_is(table, table_names[want]) ||
	       (want == NETWORK && slice_is(table, "DeviceCustomNetworkEvents"));
}

/* An action counts only in its own table, if the row names one. */
static const struct action *find_action(struct slice name, struct slice table)
{
	const struct action *a = slice_ends(name, "Inspected") ? &inspected : &other;
	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (slice_is(name, actions[i].name))
			a = &actions[i];
	if (a != &other && table.n && !table_is(table, a->table))
		return &other;
	return a;
}

static bool has_device(const struct evrow *row)
{
	return evrow_has(row, "DeviceId", NULL) || evrow_has(row, "DeviceName", NULL);
}

static bool has_time(const struct evrow *row)
{
	return evrow_has(row, "Timestamp", NULL) || evrow_has(row, "TimeGenerated", NULL);
}

bool ev_mde_open(struct evrow *row, const struct json_t *root, struct slice *ret_table,
		 uint64_t *ret_received_ns)
{
	struct slice table = {NULL, 0};
	struct slice category = jsondoc_text(jsondoc_get(root, "category"));
	const struct json_t *properties = jsondoc_get(root, "properties");
	if (slice_starts(category, "AdvancedHunting-") && jsondoc_type(properties) == JSONDOC_OBJECT) {
		size_t n = sizeof "AdvancedHunting-" - 1;
		*ret_table = (struct slice){category.p + n, category.n - n};
		*ret_received_ns = evrow_time_maybe(row, "_TimeReceivedBySvc", NULL);
		if (!*ret_received_ns)
			*ret_received_ns = evrow_time_maybe(row, "time", NULL);
		row->objects[0] = properties;
		return true;
	}
	static const char *const names[] = {"Type", "$table", "_TableName"};
	for (size_t i = 0; !table.n && i < sizeof names / sizeof *names; i++)
		table = evrow_text(row, names[i], NULL);
	bool named = slice_starts(table, "Device");
	if (!named && !(has_time(row) && has_device(row)))
		return false;
	*ret_table = named ? table : (struct slice){NULL, 0};
	*ret_received_ns = evrow_time_maybe(row, "_TimeReceived", NULL);
	return true;
}

bool ev_mde_columns(const struct evrow *header)
{
	return has_time(header) && has_device(header);
}

bool ev_mde_without_action(const struct evrow *header)
{
	return evrow_has(header, "RemoteIP", NULL) && !evrow_has(header, "ActionType", NULL);
}

/* The folder columns hold the whole path in practice, only the folder by the book. */
static struct slice whole_path(struct evrow *row, const char *folder_field, struct slice name)
{
	struct slice folder = evrow_text(row, folder_field, NULL);
	if (!folder.n || !name.n || slice_same(slice_file_name(folder), name))
		return folder;
	uint8_t last = folder.p[folder.n - 1];
	bool joined = last == '\\' || last == '/';
	char *p = scratch_take(row->scratch, folder.n + 1 + name.n);
	if (!p) {
		row->out_of_memory = true;
		return folder;
	}
	size_t n = folder.n;
	memcpy(p, folder.p, n);
	if (!joined)
		p[n++] = memchr(folder.p, '/', folder.n) ? '/' : '\\';
	memcpy(p + n, name.p, name.n);
	return (struct slice){(const uint8_t *)p, n + name.n};
}

static struct procevent_process initiator(struct evrow *row)
{
	struct procevent_process p = {.name = evrow_text(row, "InitiatingProcessFileName", NULL)};
	p.path = whole_path(row, "InitiatingProcessFolderPath", p.name);
	if (!p.name.n)
		p.name = slice_file_name(p.path);
	p.original_name = evrow_text(row, "InitiatingProcessVersionInfoOriginalFileName", NULL);
	p.command_line = evrow_text(row, "InitiatingProcessCommandLine", NULL);
	p.uid = slice_uid(evrow_key(row, "InitiatingProcessUniqueId", NULL));
	p.start_ns = evrow_time_maybe(row, "InitiatingProcessCreationTime", NULL);
	p.pid = (uint32_t)evrow_number(row, "InitiatingProcessId", NULL, UINT32_MAX);
	p.sha256 = evrow_text(row, "InitiatingProcessSHA256", NULL);
	return p;
}

static struct procevent_process grandparent(struct evrow *row)
{
	struct procevent_process p = {.name = evrow_text(row, "InitiatingProcessParentFileName", NULL)};
	p.start_ns = evrow_time_maybe(row, "InitiatingProcessParentCreationTime", NULL);
	p.pid = (uint32_t)evrow_number(row, "InitiatingProcessParentId", NULL, UINT32_MAX);
	return p;
}

static struct procevent_process subject(struct evrow *row)
{
	struct procevent_process p = {.name = evrow_text(row, "FileName", NULL)};
	p.path = whole_path(row, "FolderPath", p.name);
	if (!p.name.n)
		p.name = slice_file_name(p.path);
	p.original_name = evrow_text(row, "ProcessVersionInfoOriginalFileName", NULL);
	p.command_line = evrow_text(row, "ProcessCommandLine", NULL);
	p.uid = slice_uid(evrow_key(row, "ProcessUniqueId", NULL));
	p.start_ns = evrow_time_maybe(row, "ProcessCreationTime", NULL);
	p.pid = (uint32_t)evrow_number(row, "ProcessId", NULL, UINT32_MAX);
	p.sha256 = evrow_text(row, "SHA256", NULL);
	return p;
}

static void read_actor(struct evrow *row, struct procevent *ev)
{
	ev->process = initiator(row);
	ev->parent = grandparent(row);
	ev->user = evrow_text(row, "InitiatingProcessAccountName", NULL);
	ev->user_domain = evrow_text(row, "InitiatingProcessAccountDomain", NULL);
}

static void read_account(struct evrow *row, struct procevent *ev)
{
	struct slice user = evrow_text(row, "AccountName", NULL);
	if (!user.n)
		return;
	ev->user = user;
	ev->user_domain = evrow_text(row, "AccountDomain", NULL);
}

static void read_process(struct evrow *row, struct procevent *ev)
{
	ev->parent = ev->process;
	ev->process = subject(row);
	if (!ev->process.start_ns && ev->kind == PROCEVENT_PROC_START)
		ev->process.start_ns = ev->time_ns;
	read_account(row, ev);
	ev->logon_id = evrow_number(row, "LogonId", NULL, UINT64_MAX);
}

static void read_file(struct evrow *row, struct procevent *ev)
{
	ev->file_path = whole_path(row, "FolderPath", evrow_text(row, "FileName", NULL));
	ev->file_previous_path =
	    whole_path(row, "PreviousFolderPath", evrow_text(row, "PreviousFileName", NULL));
	ev->file_sha256 = evrow_text(row, "SHA256", NULL);
	ev->file_bytes = evrow_number(row, "FileSize", NULL, INT64_MAX);
}

static uint32_t logon_type(struct slice text)
{
	static const struct {
		const char *name;
		uint32_t type;
	} types[] = {{"Interactive", 2},
		     {"Network", 3},
		     {"Batch", 4},
		     {"Service", 5},
		     {"Unlock", 7},
		     {"NetworkCleartext", 8},
		     {"NewCredentials", 9},
		     {"RemoteInteractive", 10},
		     {"CachedInteractive", 11}};
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (slice_same(text, slice_of(types[i].name)))
			return types[i].type;
	return 0;
}

static void read_remote(struct evrow *row, struct procevent *ev)
{
	int port = evrow_port(row, "RemotePort", NULL);
	ev->remote = evrow_address(row, "RemoteIP", NULL);
	if (port > 0)
		ev->remote.port = (uint16_t)port;
}

static void read_logon(struct evrow *row, struct procevent *ev)
{
	read_account(row, ev);
	read_remote(row, ev);
	ev->remote_name = evrow_text(row, "RemoteDeviceName", NULL);
	ev->logon_type = logon_type(evrow_text(row, "LogonType", NULL));
	ev->logon_id = evrow_number(row, "LogonId", NULL, UINT64_MAX);
}

static uint8_t protocol_of(struct slice text)
{
	if (slice_starts(text, "Tcp") || slice_starts(text, "TCP") || slice_starts(text, "tcp"))
		return 6;
	return slice_same(text, slice_of("udp")) ? 17 : 0;
}

static bool owns_port(const struct procevent *ev)
{
	return ev->kind == PROCEVENT_CONNECT || ev->kind == PROCEVENT_ACCEPT ||
	       ev->kind == PROCEVENT_LISTEN || ev->kind == PROCEVENT_FOUND;
}

static void read_network(struct evrow *row, struct procevent *ev)
{
	ev->local = evrow_address(row, "LocalIP", NULL);
	ev->remote = evrow_address(row, "RemoteIP", NULL);
	int local_port = evrow_port(row, "LocalPort", NULL);
	int remote_port = evrow_port(row, "RemotePort", NULL);
	if (owns_port(ev) && local_port == 0)
		evrow_fail(row, EVPARSE_PORT_ZERO, "LocalPort", slice_of("0"), "names no connection");
	if (owns_port(ev) && ev->kind != PROCEVENT_LISTEN && remote_port == 0)
		evrow_fail(row, EVPARSE_PORT_ZERO, "RemotePort", slice_of("0"), "names no connection");
	ev->local.port = local_port > 0 ? (uint16_t)local_port : 0;
	ev->remote.port = remote_port > 0 ? (uint16_t)remote_port : 0;
	ev->proto = protocol_of(evrow_text(row, "Protocol", NULL));
	ev->remote_name = evrow_text(row, "RemoteUrl", NULL);
	/* Exports hold the columns somebody chose. Without the port a connect says what a report says, of a moment. */
	if (ev->kind == PROCEVENT_CONNECT && local_port < 0 && ev->local.family && ev->remote.port) {
		ev->kind = PROCEVENT_AGGREGATED;
		ev->time_end_ns = ev->time_ns;
	}
}

static void read_inspected(struct evrow *extra, struct procevent *ev)
{
	struct slice name = evrow_text(extra, "server_name", NULL);
	struct evtime t;
	if (!ev->remote_name.n)
		ev->remote_name = name.n ? name : evrow_text(extra, "host", NULL);
	if (slice_same(evrow_text(extra, "direction", NULL), slice_of("in")))
		ev->flags |= PROCEVENT_INBOUND;
	if (!evrow_stamp(extra, "ts", NULL, &t))
		return;
	ev->time_logged_ns = ev->time_ns;
	ev->time_ns = t.ns;
	ev->flags &= (uint16_t)~PROCEVENT_FLOORED;
}

/* AdditionalFields is null, "[]", JSON in a text, or an object. */
static void read_extra(struct evrow *row, struct procevent *ev)
{
	bool reports = ev->flags & PROCEVENT_INTERVAL;
	if (ev->kind != PROCEVENT_INSPECT && ev->kind != PROCEVENT_USB && !reports)
		return;
	struct evrow_value v = evrow_find(row, "AdditionalFields", NULL);
	const struct json_t *object = v.tree;
	if (v.kind == EVROW_TEXT && v.text.p[0] == '{')
		object = evrow_embed(row, "AdditionalFields", v.text);
	if (jsondoc_type(object) != JSONDOC_OBJECT)
		return;
	struct evrow extra = *row;
	extra.n_tables = 0;
	extra.objects[0] = object;
	extra.n_objects = 1;
	if (ev->kind == PROCEVENT_INSPECT)
		read_inspected(&extra, ev);
	else if (reports)
		ev->aggregated_count =
		    (uint32_t)evrow_number(&extra, "uniqueEventsAggregated", NULL, UINT32_MAX);
	else
		ev->file_path = evrow_text(&extra, "DriveLetter", NULL);
	row->out_of_memory = extra.out_of_memory;
	row->fault = extra.fault;
}

/* ReportId repeats; with table and time it does not. */
static void read_id(struct evrow *row, struct slice table, const struct action *a, struct procevent *ev)
{
	struct slice report = evrow_key(row, "ReportId", NULL);
	if (!report.n)
		return;
	if (!table.n && a != &other)
		table = slice_of(table_names[a->table]);
	int table_n = (int)(table.n < 64 ? table.n : 64), report_n = (int)(report.n < 32 ? report.n : 32);
	ev->event_id = evrow_print(row, "%.*s:%.*s:%" PRIu64, table_n, (const char *)table.p, report_n,
				   (const char *)report.p, ev->time_ns);
}

static void read_time(struct evrow *row, struct procevent *ev)
{
	if (!evrow_time(row, "Timestamp", NULL, &ev->time_ns, &ev->flags) &&
	    !evrow_time(row, "TimeGenerated", NULL, &ev->time_ns, &ev->flags))
		evrow_fail(row, EVPARSE_NO_TIME, "Timestamp", (struct slice){NULL, 0}, "is missing");
	if (!ev->device_id.n && !ev->device_name.n)
		evrow_fail(row, EVPARSE_NO_DEVICE, "DeviceId", (struct slice){NULL, 0},
			   "and DeviceName are missing");
}

/* A report tells of the hour that ends when it is written. */
static void spread(struct procevent *ev)
{
	const uint64_t hour_ns = UINT64_C(3600) * EVTIME_NS;
	if (!(ev->flags & PROCEVENT_INTERVAL))
		return;
	ev->time_end_ns = ev->time_ns;
	ev->time_ns -= ev->time_ns < hour_ns ? ev->time_ns : hour_ns;
}

void ev_mde_read(struct evrow *row, struct slice table, struct procevent *ev)
{
	const struct action *a = find_action(evrow_key(row, "ActionType", NULL), table);
	ev->source = PROCEVENT_SOURCE_MDE;
	ev->clock = PROCEVENT_CLOCK_MDE;
	ev->kind = a->kind;
	ev->flags = a->flags;
	ev->device_id = evrow_key(row, "DeviceId", NULL);
	ev->device_name = evrow_key(row, "DeviceName", NULL);
	read_time(row, ev);
	read_id(row, table, a, ev);
	if (a == &other || evrow_failed(row))
		return;
	read_actor(row, ev);
	if (a->table == NETWORK)
		read_network(row, ev);
	else if (a->table == PROCESS)
		read_process(row, ev);
	else if (a->table == FILES)
		read_file(row, ev);
	else if (a->table == LOGON)
		read_logon(row, ev);
	read_extra(row, ev);
	spread(ev);
}
