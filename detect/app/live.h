/* live: the sensor. One worker per interface, one thread that judges, one that reads endpoint events. */
#ifndef LEAKTAP_DETECT_APP_LIVE_H
#define LEAKTAP_DETECT_APP_LIVE_H

#include "detect/app/cli.h"

int live_main(const struct cli *cli); /* exit code */

#endif
