/* ev_windows: events of Windows logs (and Sysmon for Linux) in their many wrappings: flat JSON (NXLog,
 * Get-WinEvent, Log Analytics), nested
 * {"Event":{"System","EventData"}} as evtx dumps are, XML inside EventData or a syslog message, winlogbeat
 * and Elastic Agent (ECS). Finds who, when and which event; the fields are left to ev_sysmon and ev_security,
 * which need not know the wrapping. */
#ifndef LEAKTAP_DISSECT_EV_WINDOWS_H
#define LEAKTAP_DISSECT_EV_WINDOWS_H

#include <stdbool.h>

#include "dissect/evrow.h"
#include "dissect/winxml.h"

enum ev_windows_provider { EV_WINDOWS_SYSMON, EV_WINDOWS_SECURITY, EV_WINDOWS_OTHER };

struct ev_windows {
	uint32_t event;
	uint8_t provider; /* enum ev_windows_provider */
	struct slice computer, channel, record, provider_name;
	uint64_t created_ns, received_ns;             /* as the log stamps the event; 0 unknown */
	uint16_t created_flags;                       /* FLOORED, ZONE_DERIVED, ZONE_UNKNOWN */
	struct evrow_field fields[WINXML_MAX_FIELDS]; /* of XML; the row borrows them */
};

/* True if the row is an event of a Windows log or a row of Log Analytics that only shows a sign of life;
 * faults are left in row. */
bool ev_windows_open(struct evrow *row, const struct json_t *root, struct ev_windows *ret);

/* Do these columns make an export of a Windows log? */
bool ev_windows_columns(const struct evrow *header);

/* Fills ev; faults are left in row. */
void ev_windows_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev);

/* One end of a connection: address and port, both needed, port 0 refused. */
struct facts_addr ev_windows_end(struct evrow *row, const char *address, const char *address_path,
				 const char *port, const char *port_path);

#endif
