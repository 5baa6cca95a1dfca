#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "detect/attrib/evlog.h"

static struct slice text(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static bool tells(const char *program, const char *line, const char *want)
{
	struct procevent ev = {.kind = PROCEVENT_PROC_START, .process = {.path = text(program), .command_line = text(line)}};
	struct slice file;
	if (!evlog_archive_of(&ev, &file))
		return want == NULL;
	return want && file.n == strlen(want) && memcmp(file.n ? file.p : (const uint8_t *)"", want, file.n) == 0;
}

static void archive_of__command_lines__makers_only(void **state)
{
	(void)state;
	assert_true(tells("C:\\Program Files\\7-Zip\\7z.exe", "\"C:\\Program Files\\7-Zip\\7z.exe\" a C:\\t\\x.zip y", "x.zip"));
	assert_true(tells("C:\\7z.exe", "7z a \"C:\\a b\\c d.7z\" y", "c d.7z"));
	assert_true(tells("C:\\7z.exe", "7z x C:\\t\\x.zip", NULL));
	assert_true(tells("C:\\7z2408-x64.exe", "7z2408-x64.exe /S", NULL));
	assert_true(tells("C:\\Windows\\System32\\tar.exe", "tar -czf out.tar.gz dir", "out.tar.gz"));
	assert_true(tells("/usr/bin/tar", "tar xf in.tar", NULL));
	assert_true(tells("C:\\rar.exe", "rar a -hpsecret z.rar", "z.rar"));
	assert_true(tells("C:\\powershell.exe", "powershell -c \"compress-ARCHIVE -Path x -DestinationPath C:\\y.zip\"", "y.zip") ||
		    tells("C:\\powershell.exe", "powershell -c \"compress-ARCHIVE -Path x -DestinationPath C:\\y.zip\"", ""));
	assert_true(tells("C:\\cmd.exe", "cmd /c dir", NULL));
	assert_true(tells("C:\\7z.exe", "", NULL));
	struct procevent file = {.kind = PROCEVENT_FILE_CREATE, .file_path = text("C:\\x\\Employee.ZIP")};
	struct slice got;
	assert_true(evlog_archive_of(&file, &got));
	assert_int_equal(got.n, 12);
	file.file_path = text("C:\\x\\zip");
	assert_false(evlog_archive_of(&file, &got));
}

static void id__same_row__same_number_whatever_the_names_case(void **state)
{
	(void)state;
	struct procevent a = {.source = 1, .device_name = text("WS5"), .event_id = text("77"), .time_ns = 1}, b = a;
	b.device_name = text("ws5");
	b.time_ns = 2;
	assert_true(evlog_id(&a) == evlog_id(&b));
	b.event_id = text("78");
	assert_true(evlog_id(&a) != evlog_id(&b));
	b = a;
	b.source = 2;
	assert_true(evlog_id(&a) != evlog_id(&b));
	a.event_id = b.event_id = text("");
	b.source = 1;
	assert_true(evlog_id(&a) == evlog_id(&b));
	b.remote.port = 4;
	assert_true(evlog_id(&a) != evlog_id(&b));
}

static void joinable__port_zero_and_kinds__refused(void **state)
{
	(void)state;
	struct procevent ev = {.kind = PROCEVENT_CONNECT, .local = {.family = 4, .port = 5}, .remote = {.family = 4, .port = 6}};
	assert_true(evlog_joinable(&ev));
	ev.local.port = 0;
	assert_false(evlog_joinable(&ev));
	ev.kind = PROCEVENT_AGGREGATED;
	assert_true(evlog_joinable(&ev));
	ev.remote.port = 0;
	assert_false(evlog_joinable(&ev));
	ev.local.port = 5;
	ev.remote.family = 0;
	ev.kind = PROCEVENT_CONNECT;
	assert_true(evlog_joinable(&ev)); /* no remote: weaker, but evidence */
	ev.kind = PROCEVENT_FAILED;
	assert_false(evlog_joinable(&ev));
}

static void add__notes__each_sighting_once_up_to_the_cap(void **state)
{
	(void)state;
	struct evlog log;
	assert_int_equal(evlog_init(&log, 3), 0);
	for (unsigned i = 0; i < 100; i++) {
		struct procevent ev = {.kind = PROCEVENT_CONNECT, .time_ns = 1000000 - i, .local = {.family = 4, .port = 5},
				       .remote = {.family = 4, .port = 6}, .process = {.pid = 1 + i % 5, .path = text("C:\\x.exe")}};
		assert_int_equal(evlog_add(&log, &ev, 1), 0);
	}
	assert_int_equal(log.n_rows, 100);
	assert_int_equal(log.n_notes, 3);
	assert_int_equal(log.notes_refused, 40);
	assert_int_equal(log.notes[0].time_us, (1000000 - 95) / 1000);
	assert_int_equal(log.n_addrs, 1);
	evlog_done(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(archive_of__command_lines__makers_only),
		cmocka_unit_test(id__same_row__same_number_whatever_the_names_case),
		cmocka_unit_test(joinable__port_zero_and_kinds__refused),
		cmocka_unit_test(add__notes__each_sighting_once_up_to_the_cap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
