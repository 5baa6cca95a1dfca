#include "capture/filelist.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Takes over path, also on failure. */
static int add(struct filelist *list, char *path, struct err *err)
{
	int r = 0;
	if (!path)
		return err_set(err, -ENOMEM, "out of memory");
	if (list->n == FILELIST_MAX_FILES)
		r = err_set(err, -E2BIG, "%s: more than %d files", path, FILELIST_MAX_FILES);
	if (r == 0 && list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 16;
		char **paths = reallocarray(list->paths, cap, sizeof *paths);
		if (paths) {
			list->paths = paths;
			list->cap = cap;
		} else {
			r = err_set(err, -ENOMEM, "out of memory");
		}
	}
	if (r)
		free(path);
	else
		list->paths[list->n++] = path;
	return r;
}

static char *join_path(const char *dir, const char *name)
{
	char *path;
	size_t n = strlen(dir);
	const char *slash = n && dir[n - 1] == '/' ? "" : "/";
	return asprintf(&path, "%s%s%s", dir, slash, name) < 0 ? NULL : path;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_entries(struct filelist *list, const char *path, DIR *dir, struct err *err)
{
	for (;;) {
		errno = 0;
		const struct dirent *e = readdir(dir);
		if (!e)
			return errno ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
		struct stat st;
		if (e->d_name[0] == '.' || fstatat(dirfd(dir), e->d_name, &st, 0) || !S_ISREG(st.st_mode))
			continue;
		int r = add(list, join_path(path, e->d_name), err);
		if (r)
			return r;
	}
}

static int add_directory(struct filelist *list, const char *path, struct err *err)
{
	size_t first = list->n;
	DIR *dir = opendir(path);
	if (!dir)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int r = add_entries(list, path, dir, err);
	closedir(dir);
	if (r == 0 && list->n == first)
		return err_set(err, -ENOENT, "%s: no files in this directory", path);
	if (r == 0)
		qsort(list->paths + first, list->n - first, sizeof *list->paths, by_name);
	return r;
}

static int add_arg(struct filelist *list, const char *arg, struct err *err)
{
	struct stat st;
	if (strcmp(arg, "-") == 0)
		return add(list, strdup(arg), err);
	if (stat(arg, &st))
		return err_set(err, -errno, "%s: %s", arg, strerror(errno));
	return S_ISDIR(st.st_mode) ? add_directory(list, arg, err) : add(list, strdup(arg), err);
}

struct identity {
	dev_t dev;
	ino_t ino;
	size_t at; /* place in the list */
};

static int by_identity(const void *a, const void *b)
{
	const struct identity *x = a, *y = b;
	if (x->dev != y->dev)
		return x->dev < y->dev ? -1 : 1;
	if (x->ino != y->ino)
		return x->ino < y->ino ? -1 : 1;
	return x->at < y->at ? -1 : 1;
}

static void close_ranks(struct filelist *list)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->n; i++)
		if (list->paths[i])
			list->paths[kept++] = list->paths[i];
	list->n = kept;
}

/* Sorted by identity, places in the list ascending: of equals the first stays. */
static int drop_repeats(struct filelist *list, struct err *err)
{
	struct identity *ids = calloc(list->n ? list->n : 1, sizeof *ids);
	size_t n = 0;
	if (!ids)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		struct stat st;
		if (strcmp(list->paths[i], "-") != 0 && stat(list->paths[i], &st) == 0 && S_ISREG(st.st_mode))
			ids[n++] = (struct identity){st.st_dev, st.st_ino, i};
	}
	qsort(ids, n, sizeof *ids, by_identity);
	for (size_t i = 1; i < n; i++) {
		if (ids[i].dev != ids[i - 1].dev || ids[i].ino != ids[i - 1].ino)
			continue;
		free(list->paths[ids[i].at]);
		list->paths[ids[i].at] = NULL;
	}
	close_ranks(list);
	free(ids);
	return 0;
}

int filelist_expand(struct filelist *ret_list, const char *const *args, size_t n_args, struct err *err)
{
	struct filelist list = {0};
	int r = 0;
	for (size_t i = 0; i < n_args && r == 0; i++)
		r = add_arg(&list, args[i], err);
	if (r == 0)
		r = drop_repeats(&list, err);
	if (r) {
		filelist_done(&list);
		return r;
	}
	*ret_list = list;
	return 0;
}

void filelist_done(struct filelist *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct filelist){0};
}
