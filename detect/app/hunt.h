/* hunt: the window of `leaktap hunt`; the rest of the command is a replay told by sink_hunt. */
#ifndef LEAKTAP_DETECT_APP_HUNT_H
#define LEAKTAP_DETECT_APP_HUNT_H

#include "detect/app/cli.h"

/* --at and --window of cli as an interval around it. LT_EUSAGE with the option named. */
int hunt_window(const struct cli *cli, uint64_t *ret_from_ns, uint64_t *ret_to_ns, struct err *err);

#endif
