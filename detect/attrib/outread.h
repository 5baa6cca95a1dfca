/* outread: what the script reported to others: the streams leaktap:{TTT}:out, read as they grow. The change to a flow of ours that
 * another process's event brings is learnt here. One thread; never waits. */
#ifndef LEAKTAP_DETECT_ATTRIB_OUTREAD_H
#define LEAKTAP_DETECT_ATTRIB_OUTREAD_H

#include "capture/base/err.h"
#include "capture/base/redis.h"
#include "detect/attrib/join.h"

struct outread;

/* From a minute before now on. fn is called inside outread_poll for every change, everybody's. NULL: out of memory. */
struct outread *outread_new(const struct redis_url *url, join_fn *fn, void *ctx, uint64_t now_ns);
void outread_free(struct outread *r);
/* 0, or negative when the connection was lost; it goes on by itself, from where it was. */
int outread_poll(struct outread *r, uint64_t now_ns, struct err *err);

#endif
