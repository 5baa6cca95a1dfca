/* evcheckpoint: how far followed files have been read and stored, as a file that survives. Text, versioned, checked, replaced by
 * rename: at any moment it is one of the states that were saved. An unknown version or a broken file starts clean. */
#ifndef LEAKTAP_CAPTURE_EVCHECKPOINT_H
#define LEAKTAP_CAPTURE_EVCHECKPOINT_H

#include "capture/evtail.h"

enum { EVCHECKPOINT_MAX_FILES = 65536 };

/* Gives each remembered file to add, in state EVTAIL_CHECK; add takes it over. 0; 1: there is none, or an unusable one (err says
 * why when it is there); -ENOMEM. */
int evcheckpoint_load(const char *path, int (*add)(void *ctx, struct evtail *t), void *ctx, struct err *err);
/* 0 or a negative errno; the old file stays then. */
int evcheckpoint_save(const char *path, struct evtail *const *tails, size_t n, struct err *err);

#endif
