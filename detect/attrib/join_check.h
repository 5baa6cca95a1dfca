/* join_check: is a server fit for the join? Asked once per connection, before the first batch. */
#ifndef LEAKTAP_DETECT_ATTRIB_JOIN_CHECK_H
#define LEAKTAP_DETECT_ATTRIB_JOIN_CHECK_H

#include <stddef.h>

#include "capture/base/redis.h"

/* 0 fit; LT_EREDIS with err naming the setting when it would lose bytes (a version before 7.0, an eviction policy). ret_remark gets one
 * line of what an operator should know (no persistence, a check that the ACL denies), "" when there is nothing. */
int join_check(struct redis *r, char *ret_remark, size_t size, struct err *err);

#endif
