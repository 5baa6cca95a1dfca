/* evzone: the zone that local time stamps are read in: a fixed offset, or a TZif file (RFC 9636) whose bytes
 * the caller loads. No libc time zone state, no I/O; immutable once made, so any thread may use it. */
#ifndef LEAKTAP_DISSECT_EVZONE_H
#define LEAKTAP_DISSECT_EVZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"

struct evzone;

/* text: "UTC", "Z", "+02:00", "-0400", "+02"; or, with tzif, a name for messages only. NULL and err
 * (LT_ECONF) when it is neither, the bytes are no TZif, or memory is out. */
struct evzone *evzone_new(const char *text, const void *tzif, size_t tzif_bytes, struct err *err);
void evzone_free(struct evzone *ez);

/* UTC offset in force at an instant, seconds east. */
int32_t evzone_offset_at(const struct evzone *ez, int64_t utc_s);

/* UTC of a local clock reading. A reading that occurs twice (clocks set back) is taken as the first and
 * *ret_twice set; one that does not occur (set forward) is read with the offset before the gap, as mktime
 * does. */
int64_t evzone_to_utc(const struct evzone *ez, int64_t local_s, bool *ret_twice);

#endif
