#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "detect/attrib/attrib.h"
#include "detect/attrib/proctab.h"
#include "dissect/procevent.h"

#define S UINT64_C(1000000)
#define T0 (UINT64_C(0x697f8000) * S) /* the guid below carries it */
#define GUID "{b34bc01c-8000-697f-0100-000000000400}"

static struct slice text(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static struct proctab_sighting seen(uint8_t source, uint32_t pid, const char *path, uint64_t time_us)
{
	return (struct proctab_sighting){.device = 1, .device_hash = 11, .pid = pid, .source = source, .rank = PROCTAB_CONNECTION,
					 .time_us = time_us, .path = text(path)};
}

static void see__pid_and_path_of_another_source__same_instance(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 1492, "C:\\Windows\\System32\\svchost.exe", T0 + 50 * S);
	struct proctab_sighting b = seen(PROCEVENT_SOURCE_SECURITY, 1492, "\\device\\harddiskvolume2\\windows\\system32\\SVCHOST.exe", T0 + 60 * S);
	a.uid = text(GUID);
	uint64_t h = proctab_see(pt, &a);
	assert_int_equal(proctab_see(pt, &b), h);
	b.device = 2;
	assert_int_not_equal(proctab_see(pt, &b), h);
	b.device = 1;
	b.path = text("\\device\\harddiskvolume2\\other.exe");
	assert_int_not_equal(proctab_see(pt, &b), h);
	assert_int_equal(proctab_count(pt), 3);
	proctab_free(pt);
}

static void see__guid_without_pid__recovered(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 0, "System", T0), b = seen(PROCEVENT_SOURCE_SYSMON, 4, "System", T0 + S);
	struct owner_process o;
	a.uid = b.uid = text(GUID);
	uint64_t h = proctab_see(pt, &a);
	assert_int_equal(proctab_see(pt, &b), h);
	b.uid = text("");
	b.source = PROCEVENT_SOURCE_SECURITY;
	assert_int_equal(proctab_see(pt, &b), h);
	assert_true(proctab_owner(pt, h, "dc", &o));
	assert_int_equal(o.pid, 4);
	assert_string_equal(o.name, "System");
	assert_string_equal(o.device, "dc");
	proctab_free(pt);
}

static void see__pid_reused__instance_of_that_time(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_MDE, 700, "C:\\a\\curl.exe", T0), b = a, c = a;
	a.start_us = T0;
	a.end_us = T0 + 100 * S;
	b.start_us = b.time_us = T0 + 500 * S;
	uint64_t first = proctab_see(pt, &a), second = proctab_see(pt, &b);
	assert_int_not_equal(first, second);
	assert_int_not_equal(proctab_principal(pt, first), proctab_principal(pt, second));
	c.time_us = T0 + 50 * S;
	assert_int_equal(proctab_see(pt, &c), first);
	c.time_us = T0 + 600 * S;
	assert_int_equal(proctab_see(pt, &c), second);
	c.time_us = T0 + 300 * S; /* between the two: neither */
	uint64_t third = proctab_see(pt, &c);
	assert_true(third != first && third != second);
	assert_int_equal(proctab_end_us(pt, first), T0 + 100 * S);
	proctab_free(pt);
}

static void see__start_and_guid__2_s_apart_at_most(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 9, "C:\\p.exe", T0 + 9 * S), b = seen(PROCEVENT_SOURCE_MDE, 9, "c:\\p.exe", T0 + 9 * S);
	a.uid = text(GUID);
	uint64_t h = proctab_see(pt, &a);
	b.start_us = T0 + 2 * S;
	assert_int_equal(proctab_see(pt, &b), h);
	b.start_us = T0 + 2 * S + 1;
	b.uid = text("7");
	struct proctab *fresh = proctab_new(100);
	h = proctab_see(fresh, &a);
	assert_int_not_equal(proctab_see(fresh, &b), h);
	proctab_free(pt);
	proctab_free(fresh);
}

static void see__name_only__never_joins_a_known_instance(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 0, "C:\\svchost.exe", T0), b = seen(PROCEVENT_SOURCE_MDE, 0, "C:\\svchost.exe", T0);
	a.uid = text(GUID);
	uint64_t h = proctab_see(pt, &a), n = proctab_see(pt, &b);
	assert_int_not_equal(n, h);
	assert_int_equal(proctab_see(pt, &b), n);
	b.path = text("<unknown process>");
	assert_int_equal(proctab_see(pt, &b), 0);
	proctab_free(pt);
}

static void owner__start_row__overrides_and_completes(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 5000, "c:\\tools\\7z.exe", T0 + S), start = a, shell = a;
	struct owner_process o;
	a.uid = start.uid = text(GUID);
	a.user = text("x");
	start.rank = PROCTAB_START;
	start.path = text("C:\\Tools\\7z.exe");
	start.command_line = text("7z a x.zip");
	start.user = text("employee");
	start.parent_pid = 4188;
	start.parent_uid = text("{b34bc01c-7000-697f-0200-000000000400}");
	start.parent_name = text("powershell.exe");
	shell.pid = 4188;
	shell.uid = start.parent_uid;
	shell.path = text("C:\\powershell.exe");
	shell.command_line = text("powershell.exe -NoLogo -File collect.ps1");
	uint64_t h = proctab_see(pt, &start);
	assert_int_equal(proctab_see(pt, &a), h);
	assert_true(proctab_owner(pt, h, NULL, &o));
	assert_string_equal(o.path, "C:\\Tools\\7z.exe");
	assert_string_equal(o.command_line, "7z a x.zip");
	assert_string_equal(o.user, "employee");
	assert_string_equal(o.parent_name, "powershell.exe");
	assert_int_equal(o.parent_principal, 0);
	uint64_t p = proctab_see(pt, &shell);
	assert_true(proctab_owner(pt, h, NULL, &o));
	assert_int_equal(o.parent_principal, proctab_principal(pt, p));
	assert_int_equal(proctab_relation(pt, p, h), ATTRIB_CHILD);
	assert_int_equal(proctab_relation(pt, h, p), ATTRIB_PARENT);
	assert_int_equal(proctab_relation(pt, h, h), ATTRIB_SAME);
	struct proctab_sighting other = start;
	other.uid = text("{b34bc01c-8001-697f-0300-000000000400}");
	other.pid = 5001;
	assert_int_equal(proctab_relation(pt, h, proctab_see(pt, &other)), ATTRIB_SIBLING);
	other.device = 3;
	other.device_hash = 33;
	assert_int_equal(proctab_relation(pt, h, proctab_see(pt, &other)), -1);
	proctab_free(pt);
}

static void see__full__oldest_out_and_its_handle_dead(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(3);
	uint64_t handles[5];
	struct owner_process o;
	for (uint32_t i = 0; i < 5; i++) {
		struct proctab_sighting s = seen(PROCEVENT_SOURCE_MDE, 100 + i, "C:\\p.exe", T0);
		char uid[16];
		snprintf(uid, sizeof uid, "u%u", i);
		s.uid = text(uid);
		handles[i] = proctab_see(pt, &s);
	}
	assert_int_equal(proctab_evicted(pt), 2);
	assert_int_equal(proctab_count(pt), 3);
	assert_false(proctab_owner(pt, handles[1], NULL, &o));
	assert_int_equal(proctab_principal(pt, handles[0]), 0);
	assert_true(proctab_owner(pt, handles[4], NULL, &o));
	assert_int_equal(o.pid, 104);
	assert_int_equal(proctab_by_principal(pt, o.principal), handles[4]);
	proctab_free(pt);
}

static void unify__two_views__one_principal(void **state)
{
	(void)state;
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting a = seen(PROCEVENT_SOURCE_SYSMON, 0, "C:\\svchost.exe", T0 + S), b = seen(PROCEVENT_SOURCE_SECURITY, 1492, "C:\\svchost.exe", T0 + S);
	a.uid = text(GUID);
	uint64_t h = proctab_see(pt, &a), w = proctab_see(pt, &b);
	assert_int_not_equal(h, w);
	assert_true(proctab_may_be_one(pt, h, w));
	proctab_unify(pt, h, w);
	assert_int_equal(proctab_principal(pt, h), proctab_principal(pt, w));
	assert_false(proctab_may_be_one(pt, h, w));
	assert_int_equal(proctab_see(pt, &b), proctab_see(pt, &a));
	proctab_free(pt);
}

/* Two children of one parent, of which only they tell (parent_path NULL) or which was seen itself. */
static int siblings(const char *parent, const char *line, bool seen_itself)
{
	struct proctab *pt = proctab_new(100);
	struct proctab_sighting zip = seen(PROCEVENT_SOURCE_SYSMON, 5000, "c:\\tools\\7z.exe", T0 + S), up = zip, shell = zip;
	zip.rank = up.rank = PROCTAB_START;
	zip.uid = text(GUID);
	zip.parent_uid = text("{b34bc01c-7000-697f-0200-000000000400}");
	zip.parent_name = text(parent);
	up = zip;
	up.pid = 5001;
	up.uid = text("{b34bc01c-8001-697f-0300-000000000400}");
	up.path = text("c:\\tools\\curl.exe");
	shell.pid = 4188;
	shell.uid = zip.parent_uid;
	shell.path = text(parent);
	shell.command_line = text(line);
	uint64_t z = proctab_see(pt, &zip), u = proctab_see(pt, &up);
	if (seen_itself)
		proctab_see(pt, &shell);
	int relation = proctab_relation(pt, u, z);
	proctab_free(pt);
	return relation;
}

static void relation__siblings__only_of_a_script_or_a_program(void **state)
{
	(void)state;
	assert_int_equal(siblings("updater.exe", "", false), ATTRIB_SIBLING);
	assert_int_equal(siblings("updater.exe", "", true), ATTRIB_SIBLING);
	assert_int_equal(siblings("Explorer.EXE", "", false), -1);
	assert_int_equal(siblings("explorer.exe", "C:\\Windows\\explorer.exe", true), -1);
	assert_int_equal(siblings("services.exe", "", true), -1);
	assert_int_equal(siblings("cmd.exe", "", false), -1);
	assert_int_equal(siblings("cmd.exe", "cmd.exe", true), -1);
	assert_int_equal(siblings("cmd.exe", "\"C:\\Windows\\cmd.exe\" /k", true), -1);
	assert_int_equal(siblings("cmd.exe", "\"C:\\Windows\\cmd.exe\" /c steal.bat", true), ATTRIB_SIBLING);
	assert_int_equal(siblings("powershell.exe", "powershell -NoLogo -NoExit", true), -1);
	assert_int_equal(siblings("powershell.exe", "powershell -File steal.ps1", true), ATTRIB_SIBLING);
	assert_int_equal(siblings("", "", false), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(see__pid_and_path_of_another_source__same_instance),
		cmocka_unit_test(see__guid_without_pid__recovered),
		cmocka_unit_test(see__pid_reused__instance_of_that_time),
		cmocka_unit_test(see__start_and_guid__2_s_apart_at_most),
		cmocka_unit_test(see__name_only__never_joins_a_known_instance),
		cmocka_unit_test(owner__start_row__overrides_and_completes),
		cmocka_unit_test(relation__siblings__only_of_a_script_or_a_program),
		cmocka_unit_test(see__full__oldest_out_and_its_handle_dead),
		cmocka_unit_test(unify__two_views__one_principal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
