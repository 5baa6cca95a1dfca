/* cell: the binary forms that cross to cell.lua and back. Numbers are big-endian; times are microseconds since the epoch.
 *
 * A cell is the state of one key in one 30-minute bucket. The key is a pure function of the 5-tuple, so that an event and the flow
 * it explains meet in the same cell without knowing of each other:
 *   - normally zone, protocol, local address and local port, with every remote inside: evidence whose remote is missing or
 *     rewritten, and the port's reuse by another process, are then seen in the same place;
 *   - where the local port serves (below 1024, or not above the remote port: clients' ports are the high ones) it is the whole
 *     5-tuple, for one server port has thousands of flows in 30 minutes and they have nothing to tell each other.
 * An event without a remote always has the first form. */
#ifndef LEAKTAP_DETECT_ATTRIB_CELL_H
#define LEAKTAP_DETECT_ATTRIB_CELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/facts.h"

enum {
	CELL_TAGS = 256,
	CELL_SUBS = 32, /* hashes per tag and bucket, fixed for a deployment: about 60 cells each at 1,000,000 pairs an hour */
	CELL_BUCKET_S = 1800,
	CELL_LEDGER_S = 300,
	CELL_MAX_FIELD = 28,
	CELL_MAX_EVENT = 8 + CELL_MAX_FIELD + 39,
	CELL_MAX_LEDGER = 300, /* entries of one flow record: a day and an hour */
	CELL_MAX_FLOW = 8 + CELL_MAX_FIELD + 31 + 14 * CELL_MAX_LEDGER,
	CELL_MAX_OWNERS = 8,
	CELL_MAX_EVIDENCE = 4,
};

/* cell.lua knows these numbers. */
enum cell_event_flag { CELL_CALIBRATED = 1, CELL_FOUND = 2, CELL_REMOTE = 4, CELL_STOP = 8, CELL_INTERVAL = 16 };
enum cell_key { CELL_KEY_NONE, CELL_KEY_5TUPLE, CELL_KEY_IP_PORT, CELL_KEY_AGGREGATED, CELL_KEY_DESTINATION, CELL_KEY_COUNT };
extern const char *const cell_key_names[CELL_KEY_COUNT]; /* as in evidence records; NONE is "" */

/* The script's text, embedded at build time from cell*.lua. */
extern const char cell_script[];
extern const size_t cell_script_bytes;

struct cell_tuple {
	struct facts_addr local, remote; /* remote.family 0: unknown; local.port 0: a destination's evidence */
	uint8_t proto, zone;
};

struct cell_event {
	struct cell_tuple tuple;
	uint64_t t_us, last_us; /* last_us: end of an interval, else 0 */
	uint64_t stop_us;       /* when the process ended, 0 unknown */
	uint64_t principal;
	uint32_t ref; /* low half of the event's id: with the event's time it names the event */
	bool calibrated, found;
};

struct cell_ledger {
	uint32_t at;      /* unix time / 300 */
	uint64_t up, down; /* cumulative at the end of that bucket */
};

struct cell_flow {
	struct cell_tuple tuple;
	uint64_t flow_id, start_us, last_us;
	uint16_t source; /* who measured it: two taps count one connection once, one tap's two connections twice */
	uint16_t service;
	bool midstream, seek, responder; /* seek: look for evidence about the destination too */
	const struct cell_ledger *ledger; /* ascending, at least one, none before the start's bucket */
	size_t n_ledger;
};

uint32_t cell_tag(uint8_t zone, const struct facts_addr *addr); /* 0..255 */
uint64_t cell_hash(const struct cell_tuple *t);                 /* of the cell's key without the bucket */
uint64_t cell_destination_hash(const struct cell_tuple *t);     /* of local address, remote and protocol */

/* Each returns the bytes written; the buffers are CELL_MAX_EVENT and CELL_MAX_FLOW. cell_pack_destination makes the event evidence
 * about its remote, whatever the local port. */
size_t cell_pack_event(uint8_t *buf, const struct cell_event *e);
size_t cell_pack_destination(uint8_t *buf, const struct cell_event *e);
size_t cell_pack_flow(uint8_t *buf, const struct cell_flow *f);

/* One change the script reports. */
struct cell_change {
	uint64_t flow_id, start_us, up, down;
	uint32_t version;
	uint16_t source, service;
	uint8_t side, key, cause, rivals;
	char grade;
	uint64_t owners[CELL_MAX_OWNERS];
	size_t n_owners; /* 1: attributed; more: ambiguous */
	struct {
		uint32_t ref;
		int64_t delta_us; /* from the flow's start, corrected */
	} evidence[CELL_MAX_EVIDENCE];
	size_t n_evidence;
};

/* Reads the change at *at of [*at, end) and moves *at behind it; false at the end or on nonsense (then *at is not end). */
bool cell_unpack_change(struct cell_change *ret, const uint8_t **at, const uint8_t *end);

#endif
