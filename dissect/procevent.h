/* procevent: the one neutral form of an endpoint event, whatever product wrote it.
 *
 * Slices are borrowed from the parser and valid only inside the callback. Absent = empty slice or 0. Text is UTF-8, not
 * terminated, hostile. Sources and traps: page "endpoint events". */
#ifndef LEAKTAP_DISSECT_PROCEVENT_H
#define LEAKTAP_DISSECT_PROCEVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/facts.h"

#define PROCEVENT_KINDS(X)                                                                                     \
	X(CONNECT, "connect")       /* outbound connection made or requested: owns bytes */                    \
	X(ACCEPT, "accept")         /* inbound connection accepted: owns bytes */                              \
	X(LISTEN, "listen")         /* a port was opened: hint */                                              \
	X(FOUND, "found")           /* seen open by a scan: time is the scan's, not the start's */             \
	X(FAILED, "failed")         /* connect failed: cannot own bytes */                                     \
	X(ATTEMPT, "attempt")       /* SYN seen by discovery: hint only */                                     \
	X(AGGREGATED, "aggregated") /* no local port: a roll-up over an interval, or a connect of a moment */  \
	X(INSPECT, "inspect")       /* network inspection, never names a process: clock calibration only */    \
	X(PROC_START, "proc_start") X(PROC_END, "proc_end")                                                    \
	X(FILE_CREATE, "file_create") X(FILE_DELETE, "file_delete") X(FILE_RENAME, "file_rename")              \
	X(DNS, "dns") X(LOGON, "logon") X(USB, "usb")                                                          \
	X(OTHER, "other")           /* counts as a sign of life of the device, nothing else */

enum procevent_kind {
#define X(name, text) PROCEVENT_##name,
	PROCEVENT_KINDS(X)
#undef X
	PROCEVENT_KIND_COUNT,
};
extern const char *const procevent_kind_names[PROCEVENT_KIND_COUNT];

/* Evidence "source" in records. */
#define PROCEVENT_SOURCES(X) X(MDE, "mde") X(SYSMON, "sysmon") X(SECURITY, "security")
enum procevent_source {
#define X(name, text) PROCEVENT_SOURCE_##name,
	PROCEVENT_SOURCES(X)
#undef X
	PROCEVENT_SOURCE_COUNT,
};
extern const char *const procevent_source_names[PROCEVENT_SOURCE_COUNT];

/* Skew is per (device, source, clock domain): Sysmon 3 and 22 carry another clock than 1, 5, 11, 23 of the same log. */
enum procevent_clock { PROCEVENT_CLOCK_MDE, PROCEVENT_CLOCK_SYSMON, PROCEVENT_CLOCK_SYSMON_NET, PROCEVENT_CLOCK_SECURITY,
		       PROCEVENT_CLOCK_COUNT };

enum procevent_flag {
	PROCEVENT_FLOORED = 1 << 0,     /* time cut to whole seconds */
	PROCEVENT_ZONE_DERIVED = 1 << 1, /* local time turned to UTC by comparing two stamps of the same row */
	PROCEVENT_ZONE_UNKNOWN = 1 << 2, /* local time taken as UTC: only calibration can tell; never grade A uncalibrated */
	PROCEVENT_EITHER_WAY = 1 << 3,  /* local and remote may be swapped (Defender *Inspected) */
	PROCEVENT_INBOUND = 1 << 4,     /* the source says inbound; the address's owner decides, not this flag */
	PROCEVENT_INTERVAL = 1 << 5,    /* time_ns..time_end_ns is an interval of evidence */
};

struct procevent_process {
	struct slice name;   /* file name only, as written */
	struct slice path;   /* full path */
	struct slice original_name; /* version info's original file name */
	struct slice command_line;
	struct slice uid;    /* ProcessGuid, UniqueId, entity id: text, "" when all zero */
	uint64_t start_ns;
	uint32_t pid;        /* 0 unknown */
	struct slice sha256;
};

struct procevent {
	uint8_t kind, source, clock; /* enums above */
	uint16_t flags;
	uint64_t time_ns, time_end_ns; /* event time, UTC as far as the row tells */
	uint64_t time_logged_ns, time_received_ns; /* 0 unknown */
	struct slice device_id, device_name; /* name as written; compare without case, bare name equals FQDN's first label */
	struct slice event_id; /* stable id of the row within its device and source; the dedup key */

	struct facts_addr local, remote; /* family 0: absent; ::ffff: already turned to IPv4 */
	uint8_t proto;         /* 6, 17, 0 unknown */
	struct slice remote_name; /* URL or host the source gives */

	struct procevent_process process; /* the actor; for PROC_START/PROC_END the process started or ended */
	struct procevent_process parent;  /* name, path, pid, uid, start_ns, command_line where given */
	struct slice user;     /* without domain */
	struct slice user_domain;

	struct slice file_path, file_previous_path, file_sha256;
	uint64_t file_bytes;
	struct slice dns_query, dns_answers;
	uint32_t logon_type;
	uint64_t logon_id;
	uint32_t aggregated_count;

	const char *origin;    /* file the row came from */
	uint64_t line;         /* its first line there, from 1 */
};

/* Borrowed; must copy what it keeps. */
typedef void procevent_fn(void *ctx, const struct procevent *ev);

#endif
