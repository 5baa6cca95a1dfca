#include "dissect/ev_windows.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "dissect/ev_security.h"
#include "dissect/ev_sysmon.h"

/* A value that dumps write bare, or under #text, or as an attribute. */
static const struct json_t *inner(const struct json_t *node, const char *attribute)
{
	static const char *const holders[] = {"#attributes", "$", "_attributes"};
	if (jsondoc_type(node) != JSONDOC_OBJECT)
		return node;
	const struct json_t *found = jsondoc_get(node, attribute);
	for (size_t i = 0; !found && i < sizeof holders / sizeof *holders; i++)
		found = jsondoc_get(jsondoc_get(node, holders[i]), attribute);
	if (found)
		return found;
	char with_at[32] = "@";
	strncat(with_at, attribute, sizeof with_at - 2);
	found = jsondoc_get(node, with_at);
	return found ? found : jsondoc_get(node, "#text");
}

static struct slice text_of(struct evrow *row, const struct json_t *node)
{
	if (jsondoc_type(node) == JSONDOC_INT)
		return evrow_print(row, "%" PRId64, jsondoc_int(node));
	return jsondoc_text(node);
}

/* [{"@Name":"Image","#text":"..."}]: pairs as XML has them. */
static void take_pairs(struct evrow *row, const struct json_t *list, struct ev_windows *ew)
{
	size_t n = 0;
	for (size_t i = 0; i < jsondoc_size(list); i++) {
		const struct json_t *pair = jsondoc_at(list, i);
		const struct json_t *text = jsondoc_get(pair, "#text");
		struct slice name = jsondoc_text(inner(pair, "Name"));
		if (!name.n)
			continue;
		for (size_t k = 0; k < n; k++)
			if (ew->fields[k].name.n == name.n && !memcmp(ew->fields[k].name.p, name.p, name.n))
				evrow_fail(row, EVPARSE_DUP_KEY, "EventData", name, "is given twice");
		if (n == WINXML_MAX_FIELDS)
			evrow_fail(row, EVPARSE_BAD_COLUMNS, "EventData", (struct slice){NULL, 0},
				   "has too many fields");
		if (evrow_failed(row))
			return;
		ew->fields[n++] =
		    (struct evrow_field){name, text_of(row, text ? text : jsondoc_get(pair, "_")), false};
	}
	evrow_add_table(row, ew->fields, n);
}

static void take_xml(struct evrow *row, const char *field, struct slice xml, struct ev_windows *ew)
{
	size_t n = 0;
	enum evparse_reason why = winxml_read(xml, row->scratch, ew->fields, &n);
	if (why != EVPARSE_REASON_COUNT)
		evrow_fail(row, why, field, (struct slice){NULL, 0}, "is not the XML of an event");
	evrow_add_table(row, ew->fields, n);
}

/* EventData: an object of names, an object with a list of pairs, XML, or JSON in a text. Its names go before
 * the row's own. */
static void take_data(struct evrow *row, struct evrow_value data, struct ev_windows *ew)
{
	const struct json_t *object = data.tree;
	if (data.kind == EVROW_TEXT && data.text.p[0] == '{')
		object = evrow_embed(row, "EventData", data.text);
	else if (data.kind == EVROW_TEXT && data.text.p[0] == '<')
		take_xml(row, "EventData", data.text, ew);
	if (jsondoc_type(object) != JSONDOC_OBJECT)
		return;
	const struct json_t *list = jsondoc_get(object, "Data");
	if (jsondoc_type(list) == JSONDOC_ARRAY)
		take_pairs(row, list, ew);
	evrow_add_object(row, object);
}

static bool names_sysmon(struct slice s)
{
	return slice_starts(s, "Microsoft-Windows-Sysmon") || slice_starts(s, "Linux-Sysmon");
}

static void classify(struct ev_windows *ew)
{
	if (names_sysmon(ew->provider_name) || (!ew->provider_name.n && names_sysmon(ew->channel)))
		ew->provider = EV_WINDOWS_SYSMON;
	else if (slice_is(ew->provider_name, "Microsoft-Windows-Security-Auditing") ||
		 (!ew->provider_name.n && slice_is(ew->channel, "Security")))
		ew->provider = EV_WINDOWS_SECURITY;
	else
		ew->provider = EV_WINDOWS_OTHER;
}

/* NXLog writes EventTime and EventReceivedTime in local time without zone, Logstash adds @timestamp in UTC on
 * arrival: their difference is the offset, a multiple of 15 minutes, plus the way between the two. */
static bool derive_offset(const struct evrow *row, int64_t *ret_s)
{
	enum { STEP_S = 900, EARLY_S = 60, WAY_S = 300, MAX_STEPS = 14 * 4 };
	struct evtime local, utc;
	if (!evrow_stamp(row, "EventReceivedTime", NULL, &local) ||
	    !evrow_stamp(row, "@timestamp", NULL, &utc) || local.zoned || !utc.zoned)
		return false;
	int64_t both =
	    (int64_t)(utc.ns / EVTIME_NS) - (int64_t)(local.ns / EVTIME_NS) + EARLY_S + MAX_STEPS * STEP_S;
	if (both < 0 || both / STEP_S > 2 * MAX_STEPS || both % STEP_S > EARLY_S + WAY_S)
		return false;
	*ret_s = (both / STEP_S - MAX_STEPS) * STEP_S;
	return true;
}

/* A stamp of the log. Without zone: the row's own two clocks tell, then the zone given, else it is taken as
 * UTC and told so. */
static void take_stamp(struct evrow *row, const struct evtime *t, struct ev_windows *ew)
{
	int64_t s = (int64_t)(t->ns / EVTIME_NS), offset_s;
	bool twice = false;
	ew->created_flags = t->floored ? PROCEVENT_FLOORED : 0;
	if (t->zoned) {
		offset_s = 0;
	} else if (derive_offset(row, &offset_s)) {
		ew->created_flags |= PROCEVENT_ZONE_DERIVED;
	} else if (row->zone) {
		offset_s = evzone_to_utc(row->zone, s, &twice) - s;
	} else {
		offset_s = 0;
		twice = true;
		row->zone_missing |= row->is_csv;
	}
	ew->created_flags |= twice ? PROCEVENT_ZONE_UNKNOWN : 0;
	ew->created_ns = s + offset_s > 0 ? (uint64_t)(s + offset_s) * EVTIME_NS + t->ns % EVTIME_NS : 0;
}

/* {"Event":{"System":{...},"EventData":{...}}}, or without the outer object. */
static bool open_nested(struct evrow *row, const struct json_t *root, struct ev_windows *ew)
{
	const struct json_t *event = jsondoc_get(root, "Event");
	if (jsondoc_type(event) != JSONDOC_OBJECT)
		event = root;
	const struct json_t *system = jsondoc_get(event, "System");
	if (jsondoc_type(system) != JSONDOC_OBJECT)
		return false;
	row->objects[0] = system;
	row->n_objects = 1;
	ew->event = (uint32_t)evrow_number_of(row, "EventID", inner(jsondoc_get(system, "EventID"), "Value"),
					      UINT16_MAX);
	ew->computer = evrow_key(row, "Computer", NULL);
	ew->channel = evrow_key(row, "Channel", NULL);
	ew->record = text_of(row, inner(jsondoc_get(system, "EventRecordID"), "Value"));
	ew->provider_name = text_of(row, inner(jsondoc_get(system, "Provider"), "Name"));
	struct slice created = text_of(row, inner(jsondoc_get(system, "TimeCreated"), "SystemTime"));
	struct evtime t;
	if (created.n && evtime_parse(created, &t))
		evrow_fail(row, EVPARSE_BAD_TIME, "TimeCreated", created, "is not a time");
	else if (created.n)
		take_stamp(row, &t, ew);
	row->objects[0] = event;
	struct evrow_value data = evrow_find(row, "EventData", NULL);
	row->n_objects = 0;
	take_data(row, data, ew);
	return true;
}

static bool open_ecs(struct evrow *row, const struct json_t *root, struct ev_windows *ew)
{
	if (!evrow_path(root, "winlog.channel") && !evrow_path(root, "winlog.event_id") &&
	    !evrow_path(root, "winlog.provider_name"))
		return false;
	const struct json_t *data = evrow_path(root, "winlog.event_data");
	row->ecs = root;
	row->n_objects = 0;
	if (jsondoc_type(data) == JSONDOC_OBJECT) {
		row->objects[0] = data;
		row->n_objects = 1;
	}
	bool has_id = evrow_has(row, NULL, "winlog.event_id");
	ew->event = (uint32_t)evrow_number(row, NULL, has_id ? "winlog.event_id" : "event.code", UINT16_MAX);
	ew->computer = evrow_key(row, NULL, "winlog.computer_name");
	if (!ew->computer.n)
		ew->computer = evrow_key(row, NULL, "host.name");
	ew->channel = evrow_key(row, NULL, "winlog.channel");
	ew->record = evrow_key(row, NULL, "winlog.record_id");
	ew->provider_name = evrow_key(row, NULL, "winlog.provider_name");
	if (!ew->provider_name.n)
		ew->provider_name = evrow_key(row, NULL, "event.provider");
	struct evtime t;
	if (evrow_stamp(row, NULL, "@timestamp", &t))
		take_stamp(row, &t, ew);
	ew->received_ns = evrow_time_maybe(row, NULL, "event.ingested");
	return true;
}

static void take_times(struct evrow *row, struct ev_windows *ew)
{
	static const char *const names[] = {"@SystemTime", "TimeCreated",   "SystemTime",
					    "EventTime",   "TimeGenerated", "@timestamp"};
	struct evtime t;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct evrow_value v = evrow_find(row, names[i], NULL);
		if (v.kind == EVROW_ABSENT || v.kind == EVROW_TREE)
			continue;
		if (!evrow_stamp(row, names[i], NULL, &t)) {
			evrow_fail(row, EVPARSE_BAD_TIME, names[i], v.text, "is not a time");
			return;
		}
		take_stamp(row, &t, ew);
		break;
	}
	if (evrow_has(row, "EventReceivedTime", NULL))
		ew->received_ns = evrow_time_maybe(row, "@timestamp", NULL);
	else
		ew->received_ns = evrow_time_maybe(row, "TimeCollected", NULL);
}

/* The first of some names that is there. */
static struct slice first_key(struct evrow *row, const char *const *names, size_t n)
{
	struct slice s = {NULL, 0};
	for (size_t i = 0; !s.n && i < n; i++)
		s = evrow_key(row, names[i], NULL);
	return s;
}

/* Never "host": that is the collector. */
static void take_names(struct evrow *row, struct ev_windows *ew)
{
	static const char *const computers[] = {"@Computer", "Computer", "Hostname", "MachineName",
						"HostName"};
	static const char *const channels[] = {"@Channel", "Channel", "EventLog", "LogName"};
	static const char *const records[] = {"@EventRecordID", "RecordNumber", "EventRecordID",
					      "EventRecordId", "RecordId"};
	static const char *const providers[] = {"@Provider", "SourceName",      "ProviderName",
						"Provider",  "EventSourceName", "Source"};
	ew->computer = first_key(row, computers, sizeof computers / sizeof *computers);
	ew->channel = first_key(row, channels, sizeof channels / sizeof *channels);
	ew->record = first_key(row, records, sizeof records / sizeof *records);
	ew->provider_name = first_key(row, providers, sizeof providers / sizeof *providers);
}

/* Tables of Log Analytics whose rows only say that the computer lives. */
static bool is_sign_of_life(struct evrow *row)
{
	return evrow_has(row, "Type", NULL) && evrow_has(row, "TimeGenerated", NULL) &&
	       evrow_has(row, "Computer", NULL);
}

static bool open_flat(struct evrow *row, const struct json_t *root, struct ev_windows *ew)
{
	static const char *const ids[] = {"@EventID", "EventID", "EventId", "Id"};
	struct slice message = jsondoc_text(jsondoc_get(root, "SyslogMessage"));
	if (slice_starts(message, "<Event"))
		take_xml(row, "SyslogMessage", message, ew);
	size_t i = 0;
	while (i < sizeof ids / sizeof *ids && !evrow_has(row, ids[i], NULL))
		i++;
	bool has_id = i < sizeof ids / sizeof *ids;
	if (!has_id && !is_sign_of_life(row))
		return false;
	ew->event = has_id ? (uint32_t)evrow_number(row, ids[i], NULL, UINT16_MAX) : 0;
	take_names(row, ew);
	take_times(row, ew);
	take_data(row, evrow_find(row, "EventData", NULL), ew);
	return true;
}

bool ev_windows_open(struct evrow *row, const struct json_t *root, struct ev_windows *ew)
{
	memset(ew, 0, offsetof(struct ev_windows, fields));
	if (!open_nested(row, root, ew) && !open_ecs(row, root, ew) && !open_flat(row, root, ew))
		return false;
	classify(ew);
	return true;
}

struct facts_addr ev_windows_end(struct evrow *row, const char *address, const char *address_path,
				 const char *port, const char *port_path)
{
	struct facts_addr a = evrow_address(row, address, address_path);
	int n = evrow_port(row, port, port_path);
	if (!a.family)
		evrow_fail(row, EVPARSE_BAD_ADDRESS, address, (struct slice){NULL, 0}, "is missing");
	else if (n < 0)
		evrow_fail(row, EVPARSE_BAD_PORT, port, (struct slice){NULL, 0}, "is missing");
	else if (n == 0)
		evrow_fail(row, EVPARSE_PORT_ZERO, port, slice_of("0"), "names no connection");
	a.port = n > 0 ? (uint16_t)n : 0;
	return a;
}

bool ev_windows_columns(const struct evrow *header)
{
	bool id = evrow_has(header, "EventID", NULL) || evrow_has(header, "EventId", NULL) ||
		  evrow_has(header, "Id", NULL);
	bool who = evrow_has(header, "Computer", NULL) || evrow_has(header, "Hostname", NULL) ||
		   evrow_has(header, "MachineName", NULL);
	return id && who;
}

static void read_id(struct evrow *row, const struct ev_windows *ew, struct procevent *ev)
{
	if (!ew->record.n)
		return;
	int channel_n = (int)(ew->channel.n < 128 ? ew->channel.n : 128),
	    record_n = (int)(ew->record.n < 32 ? ew->record.n : 32);
	ev->event_id = evrow_print(row, "%.*s:%.*s:%" PRIu64, channel_n, (const char *)ew->channel.p,
				   record_n, (const char *)ew->record.p, ev->time_ns);
}

void ev_windows_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev)
{
	ev->kind = PROCEVENT_OTHER;
	ev->source = ew->provider == EV_WINDOWS_SYSMON ? PROCEVENT_SOURCE_SYSMON : PROCEVENT_SOURCE_SECURITY;
	ev->clock = ew->provider == EV_WINDOWS_SYSMON ? PROCEVENT_CLOCK_SYSMON : PROCEVENT_CLOCK_SECURITY;
	ev->device_name = ew->computer;
	ev->time_ns = ew->created_ns;
	ev->flags = ew->created_flags;
	ev->time_received_ns = ew->received_ns;
	if (!ev->device_name.n)
		evrow_fail(row, EVPARSE_NO_DEVICE, "Computer", (struct slice){NULL, 0}, "is missing");
	if (ew->provider == EV_WINDOWS_SYSMON)
		ev_sysmon_read(row, ew, ev);
	else if (ew->provider == EV_WINDOWS_SECURITY)
		ev_security_read(row, ew, ev);
	if (!ev->time_ns)
		evrow_fail(row, EVPARSE_NO_TIME, "TimeCreated", (struct slice){NULL, 0}, "is missing");
	read_id(row, ew, ev);
}
