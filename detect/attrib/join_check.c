#include "detect/attrib/join_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_MAJOR = 7 };

/* The value of "name:" in an INFO text, "" when it is not there. */
static void field(const char *info, const char *name, char *ret, size_t size)
{
	const char *at = strstr(info, name);
	snprintf(ret, size, "%.*s", at ? (int)strcspn(at + strlen(name), "\r\n") : 0, at ? at + strlen(name) : "");
}

static int judge(const char *info, char *ret_remark, size_t size, struct err *err)
{
	char version[32], policy[32], aof[8], saves[8];
	field(info, "\nredis_version:", version, sizeof version);
	field(info, "\nmaxmemory_policy:", policy, sizeof policy);
	field(info, "\naof_enabled:", aof, sizeof aof);
	field(info, "\nrdb_last_save_time:", saves, sizeof saves);
	if (strtol(version, NULL, 10) < OLDEST_MAJOR)
		return err_set(err, LT_EREDIS, "Redis %s is too old for the join, 7.0 is needed", version);
	if (policy[0] && strcmp(policy, "noeviction") != 0)
		return err_set(err, LT_EREDIS, "Redis evicts keys when memory is full (maxmemory-policy %s), and with them bytes; set "
					       "maxmemory-policy noeviction", policy);
	if (strcmp(aof, "0") == 0)
		snprintf(ret_remark, size, "Redis has no append-only file: what it holds is lost when it stops");
	return 0;
}

int join_check(struct redis *r, char *ret_remark, size_t size, struct err *err)
{
	struct redis_reply *rr;
	ret_remark[0] = 0;
	int rc = redis_do(r, &rr, err, "INFO", (char *)NULL);
	if (rc < 0)
		return rc;
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_)
		snprintf(ret_remark, size, "Redis does not tell its settings (%.100s); it must not evict keys", redis_reply_string(rr, NULL));
	else
		rc = judge(redis_reply_string(rr, NULL), ret_remark, size, err);
	redis_reply_free(rr);
	return rc;
}
