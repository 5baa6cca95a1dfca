/* proctab_parts: what proctab.c (building) and proctab_ask.c (asking) share. Nobody else includes it. */
#ifndef LEAKTAP_DETECT_ATTRIB_PROCTAB_PARTS_H
#define LEAKTAP_DETECT_ATTRIB_PROCTAB_PARTS_H

#include "detect/attrib/proctab.h"

#define SAME_START_US UINT64_C(2000000)

enum { UIDS = 3, MAX_CHAIN = 4096, MAX_UP = 4, MAX_TEXT = 8192 };

enum { NAME, PATH, ORIGINAL, COMMAND, USER, SHA256, PARENT_NAME, TEXTS };

struct process {
	uint32_t generation;        /* of the slot; 0: free */
	uint32_t device, pid;
	uint32_t next_pid, next_uid[UIDS], next_principal; /* chains, 0 ends */
	uint32_t merged;            /* slot that took this one over, 0: none */
	uint64_t uid[UIDS];         /* hash per source, 0 unknown */
	uint64_t start_us, end_us, first_us;
	uint64_t principal, name_hash, parent_uid, parent_start_us;
	uint32_t parent_pid;
	uint8_t source, parent_source;
	uint8_t rank[TEXTS];
	char *text[TEXTS];
};

struct proctab {
	struct process *slots; /* from 1 */
	uint32_t n, max, hand, size;
	uint32_t *by_pid, *by_uid[UIDS], *principals;
	uint32_t n_chains;
	uint32_t generation;
	size_t live, text_bytes;
	uint64_t evicted;
};

static inline uint64_t proctab_apart_us(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

uint32_t *proctab_pid_chain(const struct proctab *pt, uint32_t device, uint32_t pid);
uint32_t *proctab_principal_chain(const struct proctab *pt, uint64_t principal);
struct process *proctab_resolve(const struct proctab *pt, uint64_t handle); /* NULL: gone */
struct process *proctab_find_uid(const struct proctab *pt, uint8_t source, uint64_t uid);
uint64_t proctab_handle(const struct proctab *pt, uint32_t slot);
bool proctab_alive_at(const struct process *p, uint64_t t_us);
uint64_t proctab_guid_start_us(struct slice uid); /* 0: not a guid that tells */

#endif
