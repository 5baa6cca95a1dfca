/* ev_security: Security 4624, 4688, 4689, 5156, 5157, 5158 and 6416. */
#ifndef LEAKTAP_DISSECT_EV_SECURITY_H
#define LEAKTAP_DISSECT_EV_SECURITY_H

#include "dissect/ev_windows.h"

/* As ev_sysmon_read. */
void ev_security_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev);

#endif
