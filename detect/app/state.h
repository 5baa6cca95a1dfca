/* state: where what must outlive a run is kept: $STATE_DIRECTORY, which systemd gives a service, else $XDG_STATE_HOME/leaktap, else
 * ~/.local/state/leaktap. */
#ifndef LEAKTAP_DETECT_APP_STATE_H
#define LEAKTAP_DETECT_APP_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "capture/base/err.h"

/* The path for this kind of state of this sensor; the directory is made. 0, or negative with err. */
int state_path(char *ret, size_t size, const char *kind, const char *sensor, struct err *err);
bool state_given(void); /* $STATE_DIRECTORY is set: this is a service */

#endif
