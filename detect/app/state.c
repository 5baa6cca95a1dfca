#include "detect/app/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int make_directory(const char *path, struct err *err)
{
	if (mkdir(path, 0750) == 0 || errno == EEXIST)
		return 0;
	return err_set(err, -errno, "%s: %s", path, strerror(errno));
}

static int find_state(char *ret, size_t size, struct err *err)
{
	const char *dir = getenv("STATE_DIRECTORY"), *home = getenv("HOME"), *state = getenv("XDG_STATE_HOME");
	if (dir && *dir) {
		snprintf(ret, size, "%s", dir);
		return make_directory(ret, err);
	}
	if ((!state || !*state) && (!home || !*home))
		return err_set(err, LT_EUSAGE, "nowhere to keep state: set STATE_DIRECTORY");
	int r = 0;
	if (state && *state) {
		snprintf(ret, size, "%s", state);
	} else {
		snprintf(ret, size, "%s/.local", home);
		r = make_directory(ret, err);
		snprintf(ret, size, "%s/.local/state", home);
	}
	r = r ? r : make_directory(ret, err);
	size_t n = strlen(ret);
	snprintf(ret + n, size - n, "/leaktap");
	return r ? r : make_directory(ret, err);
}

int state_path(char *ret, size_t size, const char *kind, const char *sensor, struct err *err)
{
	char dir[768], name[65];
	int r = find_state(dir, sizeof dir, err);
	if (r)
		return r;
	snprintf(name, sizeof name, "%s", sensor);
	for (char *p = name; *p; p++)
		if (*p == '/' || *p == '.')
			*p = '_';
	if ((size_t)snprintf(ret, size, "%s/%s-%s", dir, kind, name) >= size)
		return err_set(err, -ENAMETOOLONG, "%s: too long", dir);
	return 0;
}

bool state_given(void)
{
	const char *dir = getenv("STATE_DIRECTORY");
	return dir && *dir;
}
