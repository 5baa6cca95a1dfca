#include "capture/filelist.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"

static struct capdir dir;

static int enter(void **state)
{
	(void)state;
	capfile_enter(&dir);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	capfile_leave(&dir);
	return 0;
}

static const char *touch(const char *name)
{
	return capfile_save(&dir, name, "x", 1);
}

static void expand__directory__regular_files_by_name(void **state)
{
	(void)state;
	struct filelist list;
	struct err err;
	touch("b.pcap");
	touch("a.pcap");
	touch("B.pcap");
	touch(".hidden");
	assert_int_equal(mkdir(capfile_path(&dir, "sub"), 0700), 0);
	assert_int_equal(mkfifo(capfile_path(&dir, "pipe"), 0600), 0);
	assert_int_equal(symlink("/nowhere/at/all", capfile_path(&dir, "dangling")), 0);
	assert_int_equal(filelist_expand(&list, (const char *[]){dir.path}, 1, &err), 0);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.paths[0], capfile_path(&dir, "B.pcap"));
	assert_string_equal(list.paths[1], capfile_path(&dir, "a.pcap"));
	assert_string_equal(list.paths[2], capfile_path(&dir, "b.pcap"));
	filelist_done(&list);
	assert_int_equal(list.n, 0);
}

static void expand__file_reached_twice__listed_once_where_first(void **state)
{
	(void)state;
	struct filelist list;
	struct err err;
	const char *c = touch("c"), *a = touch("a");
	assert_int_equal(symlink("c", capfile_path(&dir, "b-link-to-c")), 0);
	assert_int_equal(filelist_expand(&list, (const char *[]){c, dir.path, a, "-"}, 4, &err), 0);
	assert_int_equal(list.n, 3);
	assert_string_equal(list.paths[0], c);
	assert_string_equal(list.paths[1], a);
	assert_string_equal(list.paths[2], "-");
	filelist_done(&list);
}

static void expand__link_to_file_outside__followed(void **state)
{
	(void)state;
	struct filelist list;
	struct err err;
	struct capdir other;
	capfile_enter(&other);
	capfile_save(&other, "real", "x", 1);
	assert_int_equal(symlink(capfile_path(&other, "real"), capfile_path(&dir, "link")), 0);
	assert_int_equal(filelist_expand(&list, (const char *[]){dir.path}, 1, &err), 0);
	assert_int_equal(list.n, 1);
	assert_string_equal(list.paths[0], capfile_path(&dir, "link"));
	filelist_done(&list);
	capfile_leave(&other);
}

static void expand__empty_directory_or_missing__error_names_it(void **state)
{
	(void)state;
	struct filelist list = {.n = 77};
	struct err err;
	touch(".only-hidden");
	assert_int_equal(filelist_expand(&list, (const char *[]){dir.path}, 1, &err), -ENOENT);
	assert_non_null(strstr(err.text, dir.path));
	const char *missing = capfile_path(&dir, "missing");
	assert_int_equal(filelist_expand(&list, (const char *[]){missing}, 1, &err), -ENOENT);
	assert_non_null(strstr(err.text, missing));
	assert_int_equal(list.n, 77); /* untouched on failure */
}

static void expand__trailing_slash__no_double_slash(void **state)
{
	(void)state;
	struct filelist list;
	struct err err;
	char slashed[80];
	touch("a");
	snprintf(slashed, sizeof slashed, "%s/", dir.path);
	assert_int_equal(filelist_expand(&list, (const char *[]){slashed}, 1, &err), 0);
	assert_string_equal(list.paths[0], capfile_path(&dir, "a"));
	filelist_done(&list);
}

static void expand__more_than_limit__refused(void **state)
{
	(void)state;
	struct filelist list;
	struct err err;
	size_t n = FILELIST_MAX_FILES + 1;
	const char **args = calloc(n, sizeof *args);
	for (size_t i = 0; i < n; i++)
		args[i] = "-";
	assert_int_equal(filelist_expand(&list, args, n, &err), -E2BIG);
	assert_int_equal(filelist_expand(&list, args, n - 1, &err), 0);
	assert_int_equal(list.n, n - 1);
	filelist_done(&list);
	free(args);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(expand__directory__regular_files_by_name, enter, leave),
	    cmocka_unit_test_setup_teardown(expand__file_reached_twice__listed_once_where_first, enter,
					    leave),
	    cmocka_unit_test_setup_teardown(expand__link_to_file_outside__followed, enter, leave),
	    cmocka_unit_test_setup_teardown(expand__empty_directory_or_missing__error_names_it, enter, leave),
	    cmocka_unit_test_setup_teardown(expand__trailing_slash__no_double_slash, enter, leave),
	    cmocka_unit_test_setup_teardown(expand__more_than_limit__refused, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
