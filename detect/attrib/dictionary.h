/* dictionary: what processes are called, in Redis, for those who know only their numbers. Who reads endpoint events tells it; a sensor
 * whose flow was joined to another process's event asks it.
 *
 * leaktap:{TTT}:n:<day> is a hash of principal (8 bytes, big-endian) and a letter -> text; TTT is the principal's last byte, the day
 * that of the telling, kept for two. A process is told again each day it is heard of and when more is known of it. Texts are only
 * added: what one feeder does not know does not wipe out what another does. One thread; never waits for an answer. */
#ifndef LEAKTAP_DETECT_ATTRIB_DICTIONARY_H
#define LEAKTAP_DETECT_ATTRIB_DICTIONARY_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/base/redis.h"
#include "detect/attrib/owner.h"

enum { DICTIONARY_MAX_WORDS = 1 << 18 }; /* processes remembered; a new one then takes the place of one unused for 26 hours, or is unnamed */

struct dictionary;

/* Fills ret for a principal the caller knows; false: no longer. */
typedef bool dictionary_fn(void *ctx, uint64_t principal, struct owner_process *ret);

/* url is borrowed until close. Connects when there is something to do. NULL: out of memory. */
struct dictionary *dictionary_new(const struct redis_url *url, dictionary_fn *fn, void *ctx);
void dictionary_free(struct dictionary *d);

/* The process may be new or better known; whether it is to be told is found out here. */
void dictionary_tell(struct dictionary *d, uint64_t principal, const struct owner_process *process, uint64_t now_ns);
/* Tellings so far, and how many of them Redis has. */
uint64_t dictionary_told(const struct dictionary *d);
uint64_t dictionary_stored(const struct dictionary *d);

enum dictionary_answer { DICTIONARY_FOUND, DICTIONARY_ASKED, DICTIONARY_MISSING };
/* FOUND fills ret; its strings live for 26 hours after the last time they were handed out. ASKED: the answer comes within 2 s. */
enum dictionary_answer dictionary_find(struct dictionary *d, uint64_t principal, struct owner_process *ret, uint64_t now_ns);

/* Sends, receives, reconnects when it is time. 0, or negative when the connection was lost; it goes on by itself. */
int dictionary_poll(struct dictionary *d, uint64_t now_ns, struct err *err);

#endif
