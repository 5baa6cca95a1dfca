/* clock: the one place that asks the operating system for time. Only detect/app and capture call it;
 * below them time is an argument. */
#ifndef LEAKTAP_CAPTURE_BASE_CLOCK_H
#define LEAKTAP_CAPTURE_BASE_CLOCK_H

#include <stdint.h>

#define CLOCK_NS_PER_S  UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)

uint64_t clock_wall_ns(void);      /* nanoseconds since the epoch, CLOCK_REALTIME */
uint64_t clock_monotonic_ns(void); /* for intervals */
uint64_t clock_cpu_ns(void);       /* CPU time of the process */

#endif
