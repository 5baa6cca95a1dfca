/* ev_sysmon: Sysmon 1, 3, 5, 11, 22, 23 and 26, of Windows and Linux. */
#ifndef LEAKTAP_DISSECT_EV_SYSMON_H
#define LEAKTAP_DISSECT_EV_SYSMON_H

#include "dissect/ev_windows.h"

/* ev comes with device and time of the log; other ids stay PROCEVENT_OTHER. Faults are left in row. */
void ev_sysmon_read(struct evrow *row, const struct ev_windows *ew, struct procevent *ev);

#endif
