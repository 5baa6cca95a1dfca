/* replay: captures and endpoint events once, from start to end; the clock is the packets'. Results depend on the inputs alone. */
#ifndef LEAKTAP_DETECT_APP_REPLAY_H
#define LEAKTAP_DETECT_APP_REPLAY_H

#include "detect/app/cli.h"

int replay_main(const struct cli *cli); /* exit code */

#endif
