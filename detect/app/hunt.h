/* hunt: what one device did around one moment: a replay told as one table, with an answer that is negative only when it holds. */
#ifndef LEAKTAP_DETECT_APP_HUNT_H
#define LEAKTAP_DETECT_APP_HUNT_H

#include "detect/app/cli.h"

int hunt_main(const struct cli *cli); /* exit code */
/* --at and --window of cli as an interval around it. LT_EUSAGE with the option named. */
int hunt_window(const struct cli *cli, uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct err *err);

#endif
