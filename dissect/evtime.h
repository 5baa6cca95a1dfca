/* evtime: time stamps as endpoint logs write them. Accepted:
 *   2026-07-18T13:58:42.666487Z   RFC 3339, 0 to 9 digits, Z or an offset (+hh:mm, +hhmm, +hh) or none; a
 * space for the T Jun 16, 2026 11:14:00 AM      Defender portal export (also without AM/PM, and Kibana's "Jun
 * 16, 2026 @ 11:14:00.000") 9/28/2026, 10:40:01.512 AM    Log Analytics export; month first; refused without
 * AM/PM, which tells it from day first /Date(1592306040000)/         .NET JSON, milliseconds plain numbers
 * seconds, ms, us, FILETIME or ns since 1970 (FILETIME: 100 ns since 1601), told apart by size; none below
 * 10^8 s (1973) A leap second :60 is the first instant of the next minute, as POSIX time has no name for it.
 */
#ifndef LEAKTAP_DISSECT_EVTIME_H
#define LEAKTAP_DISSECT_EVTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/bytes.h"

#define EVTIME_NS UINT64_C(1000000000)

struct evtime {
	uint64_t ns;  /* since 1970; of the clock on the wall if !zoned */
	bool zoned;   /* the text says its zone */
	bool floored; /* whole seconds only */
};

/* 0, -EINVAL when it is no time, -ERANGE when it is one outside 1970-01-01T00:00:00.000000001Z .. 2554 (0
 * means unknown). */
int evtime_parse(struct slice text, struct evtime *ret);
int evtime_of_number(int64_t n, struct evtime *ret);

/* 100 ns since 1601. */
int evtime_of_filetime(uint64_t filetime, struct evtime *ret);

/* Days since 1970-01-01 of a proleptic Gregorian date; month 1..12. */
int64_t evtime_days(int64_t year, unsigned month, unsigned day);

#endif
