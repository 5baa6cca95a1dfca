/* appid: the one door to nDPI. No nDPI type leaves it; version differences (4.2 to 5.x) live in appid.c.
 *
 * nDPI is fed validated packets only: lengths checked, at most APPID_MAX_BYTES per packet, IP total length rewritten in a copy when cut,
 * at most APPID_MAX_PACKETS per flow. One appid per thread; appid_new calls must not run in parallel. */
#ifndef LEAKTAP_DISSECT_APPID_H
#define LEAKTAP_DISSECT_APPID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "dissect/decode.h"

enum { APPID_MAX_BYTES = 16384, APPID_MAX_PACKETS = 10, APPID_MAX_PACKETS_UDP = 4 };

enum appid_verdict { APPID_MORE, APPID_KNOWN, APPID_GAVE_UP };

struct appid_label {
	char protocol[48];  /* "TLS.Azure", nDPI's own spelling */
	char app_proto[24]; /* EVE word of the master protocol: "tls", "http", "ssh", ...; "" unknown */
	char name[256];     /* host name nDPI found; it keeps the last 79 bytes only on 4.2 */
	bool name_cut;      /* and this one may be cut */
	char ja3[33];       /* "" if none */
};

struct appid;      /* per thread */
struct appid_flow; /* pooled, per flow while inspecting */

struct appid_stats {
	uint64_t packets, flows, known, gave_up, refused; /* refused: packets we would not hand over */
	size_t flows_in_use, max_flows, memory_bytes;
};

int appid_new(struct appid **ret_ai, size_t max_flows, struct err *err);
void appid_free(struct appid *ai);
const char *appid_version(void);

struct appid_flow *appid_flow_get(struct appid *ai); /* NULL when the pool is used up (counted) */
void appid_flow_put(struct appid *ai, struct appid_flow *af);

/* seg: payload-bearing TCP or UDP. from_initiator: direction. KNOWN: final. GAVE_UP: call appid_label for the best guess. */
enum appid_verdict appid_feed(struct appid *ai, struct appid_flow *af, const struct segment *seg, bool from_initiator);
/* What is known so far; a guess by port or address is never told as a protocol. */
void appid_label(struct appid *ai, struct appid_flow *af, struct appid_label *ret_label);
void appid_stats(const struct appid *ai, struct appid_stats *ret_stats);

#endif
