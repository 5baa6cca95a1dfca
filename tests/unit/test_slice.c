#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dissect/slice.h"

static void is(struct slice s, const char *text)
{
	assert_int_equal(s.n, strlen(text));
	if (s.n)
		assert_memory_equal(s.p, text, s.n);
}

static void questions__to_texts__answered(void **state)
{
	(void)state;
	assert_true(slice_is(slice_of("abc"), "abc"));
	assert_false(slice_is(slice_of("abcd"), "abc"));
	assert_true(slice_is((struct slice){NULL, 0}, ""));
	assert_true(slice_starts(slice_of("abc"), "ab"));
	assert_false(slice_starts(slice_of("a"), "ab"));
	assert_true(slice_ends(slice_of("abc"), "bc"));
	assert_false(slice_ends(slice_of("c"), "bc"));
	assert_true(slice_same(slice_of("WS-7.Example"), slice_of("ws-7.eXAMPLE")));
	assert_false(slice_same(slice_of("a["), slice_of("a{")));
	assert_false(slice_same(slice_of("a"), slice_of("ab")));
}

static void file_name__any_separator__last_part(void **state)
{
	(void)state;
	is(slice_file_name(slice_of("C:\\Windows\\System32\\cmd.exe")), "cmd.exe");
	is(slice_file_name(slice_of("/usr/bin/curl")), "curl");
	is(slice_file_name(slice_of("System")), "System");
	is(slice_file_name(slice_of("C:\\")), "");
	is(slice_file_name((struct slice){NULL, 0}), "");
}

static void split_user__with_and_without_domain__cut(void **state)
{
	struct slice domain, user;
	(void)state;
	slice_split_user(slice_of("CORP\\mara"), &domain, &user);
	is(domain, "CORP");
	is(user, "mara");
	slice_split_user(slice_of("NT AUTHORITY\\SYSTEM"), &domain, &user);
	is(domain, "NT AUTHORITY");
	slice_split_user(slice_of("root"), &domain, &user);
	is(domain, "");
	is(user, "root");
	slice_split_user((struct slice){NULL, 0}, &domain, &user);
	is(user, "");
}

static void uid__of_zeros__names_nothing(void **state)
{
	(void)state;
	is(slice_uid(slice_of("{00000000-0000-0000-0000-000000000000}")), "");
	is(slice_uid(slice_of("0")), "");
	is(slice_uid(slice_of("13510798882112217")), "13510798882112217");
	is(slice_uid(slice_of("{00000000-0000-0000-0000-000000000001}")),
	   "{00000000-0000-0000-0000-000000000001}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(questions__to_texts__answered),
	    cmocka_unit_test(file_name__any_separator__last_part),
	    cmocka_unit_test(split_user__with_and_without_domain__cut),
	    cmocka_unit_test(uid__of_zeros__names_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
