/* identity: which device is which, and which had an address when.
 *
 * Devices are known by the names and ids that events carry: names compare without case, a bare name is the FQDN with that first
 * label when there is only one. An id is worth more than a name: where two ids go by one name they are two devices, told apart as
 * name#id, and rows that carry the name alone belong to neither. Addresses are claimed by rows that say which side is theirs (claim), and decide which side of the
 * doubtful ones is local (score): Sysmon's Initiated flag alone charges a DNS server's answers to its clients. One thread. */
#ifndef LEAKTAP_DETECT_ATTRIB_IDENTITY_H
#define LEAKTAP_DETECT_ATTRIB_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/facts.h"

struct identity;

/* NULL: out of memory. Beyond max_devices new ones are not told apart from "unknown" (counted). */
struct identity *identity_new(size_t max_devices);
void identity_free(struct identity *id);

/* A number from 1, the same for the same device_id or name; 0 unknown. Pass it through identity_device before use: two numbers may
 * turn out to be one device. */
uint32_t identity_see(struct identity *id, struct slice device_id, struct slice name);
uint32_t identity_device(const struct identity *id, uint32_t number);
/* Joins bare names with their FQDNs. Replay calls it when all events are known, live after each new name. */
void identity_unify(struct identity *id);
const char *identity_name(const struct identity *id, uint32_t device); /* lower case, the longest known; lives as long as id */
size_t identity_count(const struct identity *id);
uint64_t identity_refused(const struct identity *id);

/* The device had this address at that time. Claims come in order of time (replay) or nearly so (live). weak: the row's own word
 * only; counts where nobody else claims the address. Group addresses and unspecified ones are nobody's. */
void identity_claim(struct identity *id, uint32_t device, const struct facts_addr *addr, uint64_t time_us, bool weak);
/* +1 the device has or had the address, -1 only others, 0 nobody is known to. Group addresses: -1. */
int identity_score(const struct identity *id, uint32_t device, const struct facts_addr *addr);
/* The device that had the address, 0 nobody known. */
uint32_t identity_at(const struct identity *id, const struct facts_addr *addr, uint64_t time_us);
/* Did several devices use the address in turns around that time (two sites with one private range)? Then it names none of them. */
bool identity_shared(const struct identity *id, const struct facts_addr *addr, uint64_t time_us);
size_t identity_bytes(const struct identity *id);

#endif
