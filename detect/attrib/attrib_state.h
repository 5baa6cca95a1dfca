/* attrib_state: what attrib.c, attrib_replay.c and attrib_live.c share. Nobody else includes it. */
#ifndef LEAKTAP_DETECT_ATTRIB_ATTRIB_STATE_H
#define LEAKTAP_DETECT_ATTRIB_ATTRIB_STATE_H

#include "detect/attrib/attrib.h"
#include "detect/attrib/clocks.h"
#include "detect/attrib/courier.h"
#include "detect/attrib/evlog.h"
#include "detect/attrib/identity.h"
#include "detect/attrib/join.h"
#include "detect/attrib/proctab.h"
#include "detect/attrib/server.h"
#include "detect/attrib/spill.h"
#include "detect/attrib/verdicts.h"
#include "detect/attrib/visibility.h"

#define ATTRIB_NEAR_US   (15 * 60 * INT64_C(1000000)) /* silence shorter than this is no silence */
#define ATTRIB_REPEAT_US INT64_C(2000000)             /* one process, one 5-tuple, one source: one event */

struct attrib_live;
struct attrib_share;

struct attrib {
	bool live, settled;
	uint8_t zone;
	bool (*is_pool)(const void *ctx, const struct facts_addr *addr);
	const void *is_pool_ctx;
	uint16_t source_id;
	uint64_t grace_ns;
	struct redis_url url;
	struct server *server; /* NULL with a Redis of the user's */
	struct join *join;       /* replay */
	struct courier *courier; /* live */
	struct identity *identity;
	struct proctab *processes;
	struct clocks *clocks;
	struct visibility *visibility;
	struct attrib_stats stats;

	/* replay */
	struct evlog log;
	struct spill *spill;
	struct spill_flow *flow; /* the one being looked at: too large for the stack */
	struct verdicts *verdicts;
	uint32_t *row_by_id; /* open addressing: number of the row from 1 */
	size_t n_row_slots;

	struct attrib_live *on_line; /* live */
	struct attrib_share *share;  /* with a Redis of the user's (one server): others may use it too */
	uint64_t now_ns;             /* of the last poll */
};

/* Ledger of one flow record; the record's delta is spread over 5-minute buckets by its minutes. */
void attrib_spread(struct spill_flow *ret, const struct attrib_flow *flow, uint8_t zone);
/* The tuple seen from one side. */
struct cell_tuple attrib_tuple(const struct spill_flow *flow, enum attrib_side side);
uint64_t attrib_tuple_hash(const struct facts_addr *local, const struct facts_addr *remote, uint8_t proto);
/* Is the side's own address, or the other's, a declared pool's? attrib_cap weakens an owner at such an address to grade C. */
enum attrib_pool { ATTRIB_POOL_OWN = 1, ATTRIB_POOL_PEER = 2 };
unsigned attrib_pools(const struct attrib *at, const struct facts_addr *own, const struct facts_addr *peer);
void attrib_cap(unsigned pools, struct owner *o);
/* Why nobody owns a flow of a device we hear from. */
uint8_t attrib_cause(struct attrib *at, uint32_t device, uint64_t start_us, uint64_t end_us, bool midstream);
/* Devices are unified, and with them what they told. */
void attrib_unify(struct attrib *at);
/* The cells know addresses only: an owner that cannot be the flow's for the device that the address stood for is taken back. */
void attrib_check_device(const struct attrib *at, uint32_t device, bool shared, uint8_t key, struct owner *o);
/* A change as an owner; evidence is left to the caller. */
void attrib_owner_of(struct attrib *at, const struct cell_change *change, struct owner *ret);
/* Is the row's word about which side is local good enough to learn addresses from? */
bool attrib_trusted(uint8_t source, uint8_t proto, uint16_t flags);
uint64_t attrib_device_hash(const struct attrib *at, uint32_t device);
/* An address that may be a device of ours, though none has told so yet: an event may come later, or from another feeder. */
bool attrib_inside(const struct facts_addr *a);

int attrib_replay_init(struct attrib *at, const struct attrib_conf *conf);
void attrib_replay_done(struct attrib *at);
size_t attrib_replay_archives(struct attrib *at, uint64_t handle, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret,
			      size_t max);

int attrib_live_init(struct attrib *at, const struct attrib_conf *conf);
void attrib_live_done(struct attrib *at);
int attrib_live_event(struct attrib *at, const struct procevent *ev, uint32_t device);
int attrib_live_flow(struct attrib *at, const struct attrib_flow *flow);
size_t attrib_live_archives(struct attrib *at, uint64_t handle, uint64_t from_ns, uint64_t to_ns, struct attrib_archive *ret,
			    size_t max);
void attrib_live_change(void *ctx, const struct cell_change *change);

int attrib_share_init(struct attrib *at); /* -ENOMEM */
void attrib_share_done(struct attrib *at);
/* Others will have to know this process of ours by name. */
void attrib_share_tell(struct attrib *at, uint64_t principal);
/* A process that others told of. */
bool attrib_share_find(struct attrib *at, uint64_t principal, struct owner_process *ret);
/* True: an owner's name is being asked for, and the change will be told again by attrib_live_change when it is there, or 2 s later. */
bool attrib_share_defer(struct attrib *at, const struct cell_change *c);
int attrib_share_poll(struct attrib *at, struct err *err);
/* Replay: waits until Redis has all that was told, and the names of those n processes (sorted here) are here or known to be missing. */
int attrib_share_settle(struct attrib *at, uint64_t *principals, size_t n, struct err *err);

#endif
