/* evlog: endpoint events kept for a replay, packed: connections as rows of 72 bytes, processes as notes (each distinct sighting once),
 * archives apart. Text is interned. One thread. Sized for 1,000,000 events in less than 300 MB. */
#ifndef LEAKTAP_DETECT_ATTRIB_EVLOG_H
#define LEAKTAP_DETECT_ATTRIB_EVLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/intern.h"
#include "detect/attrib/proctab.h"
#include "dissect/procevent.h"

enum evlog_bit { EVLOG_CALIBRATED = 1, EVLOG_REPEATED = 2 };

/* A connection. Addresses are numbers for evlog_addr. */
struct evlog_row {
	uint64_t time_us;      /* as written */
	int64_t corrected_us;  /* set by whoever settles, like principal and bits */
	uint64_t id, principal;
	uint32_t id_text, note, device;
	uint32_t local, remote;
	uint32_t span_s;       /* of an interval */
	uint16_t local_port, remote_port;
	uint16_t flags;        /* enum procevent_flag */
	uint8_t kind, source, clock, proto, bits;
};

/* A sighting of a process; strings are numbers in `text`. */
struct evlog_note {
	uint32_t device, pid, parent_pid;
	uint32_t uid, name, path, original_name, command_line, user, sha256, parent_uid, parent_name;
	uint8_t source, rank, clock;
	uint64_t start_us, end_us, parent_start_us;
	uint64_t time_us; /* earliest */
	uint64_t handle;  /* of the process table, once settled; 0 for notes that time must tell apart */
};

struct evlog_archive {
	uint64_t time_us;
	uint32_t note, device, file, id_text;
	uint8_t source, clock;
	uint64_t handle;
};

struct evlog {
	struct evlog_row *rows;
	struct evlog_note *notes;
	struct evlog_archive *archives;
	size_t n_rows, n_notes, n_archives, size_rows, size_notes, size_archives;
	struct intern *text, *ids;
	struct facts_addr *addrs; /* port 0 */
	size_t n_addrs, size_addrs;
	uint32_t *note_slots, *addr_slots;
	size_t n_note_slots, n_addr_slots;
	size_t max_notes;
	uint64_t notes_refused, archives_refused;
};

int evlog_init(struct evlog *log, size_t max_notes); /* -ENOMEM */
void evlog_done(struct evlog *log);

/* The sighting of the event's actor (or of its parent, for what a row tells of that); false: nothing to tell. Slices are ev's. */
bool evlog_sighting(const struct procevent *ev, uint32_t device, struct proctab_sighting *ret);

/* Is it a connection this log keeps? */
bool evlog_joinable(const struct procevent *ev);
/* The archive an event tells of: the file's name, or what the command line says; false: none. */
bool evlog_archive_of(const struct procevent *ev, struct slice *ret_file);
/* Stable number of an event: device text, source and id, or its content where it has no id. */
uint64_t evlog_id(const struct procevent *ev);

/* Keeps what matters of an event. -ENOMEM only. */
int evlog_add(struct evlog *log, const struct procevent *ev, uint32_t device);

/* A note as a sighting; slices point into the log. device and device_hash are the caller's to set. */
struct proctab_sighting evlog_note_sighting(const struct evlog *log, const struct evlog_note *note);
size_t evlog_bytes(const struct evlog *log);

#endif
