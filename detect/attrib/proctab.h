/* proctab: process instances, pieced together from what different rows and sources tell of them.
 *
 * A sighting names a process by a uid (Sysmon's guid, Defender's unique id), by pid and start, or by pid and file name alone; the
 * same process seen by two sources must be one, or it would be its own rival. Rules: the same uid; else the same device, pid and
 * file name, starts no more than 2 s apart where both are known, alive when seen. A pid may come back as another process.
 * The result of a set of sightings depends on their order, so replay gives them sorted (proctab_before).
 * One thread. max instances; beyond, the one added longest ago goes (counted) and with it its strings. */
#ifndef LEAKTAP_DETECT_ATTRIB_PROCTAB_H
#define LEAKTAP_DETECT_ATTRIB_PROCTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "detect/attrib/owner.h"
#include "dissect/bytes.h"

/* How much a row's word about a process is worth: what it says overrides what a lower one said. */
enum proctab_rank { PROCTAB_PATH_ONLY, PROCTAB_CONNECTION, PROCTAB_ACTOR, PROCTAB_START };

struct proctab_sighting {
	uint32_t device;  /* 0: the sighting is refused */
	uint64_t device_hash; /* of the device's name: principals are the same in every run */
	uint32_t pid;     /* 0 unknown */
	uint8_t source;   /* enum procevent_source: uids of two sources are different words for one process */
	uint8_t rank;
	uint8_t clock;    /* of time_us; for the caller */
	uint64_t time_us; /* it lived then */
	uint64_t start_us, end_us; /* 0 unknown */
	struct slice uid, name, path, original_name, command_line, user, sha256;
	uint32_t parent_pid;
	uint64_t parent_start_us;
	struct slice parent_uid, parent_name;
};

struct proctab;

struct proctab *proctab_new(size_t max); /* NULL: out of memory */
void proctab_free(struct proctab *pt);

/* Total order for replay: what tells most first. */
int proctab_before(const struct proctab_sighting *a, const struct proctab_sighting *b);

/* The instance's handle; 0 when the sighting tells too little (no uid, no pid, no name) or memory is out. */
uint64_t proctab_see(struct proctab *pt, const struct proctab_sighting *s);
/* Two handles turn out to be one process (same connection told by both). The first stays. */
void proctab_unify(struct proctab *pt, uint64_t keep, uint64_t gone);
/* Whether two instances, one without pid or uid, may be one: same device, same file name, nothing against it. */
bool proctab_may_be_one(const struct proctab *pt, uint64_t a, uint64_t b);

/* All below: 0, NULL or false for handles whose instance is gone. */
uint64_t proctab_principal(const struct proctab *pt, uint64_t handle);
uint64_t proctab_by_principal(const struct proctab *pt, uint64_t principal);
uint64_t proctab_end_us(const struct proctab *pt, uint64_t handle);
uint32_t proctab_device(const struct proctab *pt, uint64_t handle);
bool proctab_has_uid(const struct proctab *pt, uint64_t handle);
bool proctab_owner(const struct proctab *pt, uint64_t handle, const char *device, struct owner_process *ret);
/* enum attrib_relation of the maker to the asked process, or -1. */
int proctab_relation(const struct proctab *pt, uint64_t asked, uint64_t maker);

size_t proctab_count(const struct proctab *pt);
uint64_t proctab_evicted(const struct proctab *pt);
size_t proctab_bytes(const struct proctab *pt);

#endif
