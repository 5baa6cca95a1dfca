#include "detect/catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/slow_match.h"

static struct catalogue *make(const struct catalogue_conf *conf)
{
	struct catalogue *c = NULL;
	struct err err = {0};
	if (catalogue_new(&c, conf, &err))
		fail_msg("%s", err.text);
	return c;
}

static const struct catalogue_conf plain = {0}, with_known = {.enable_known = true};

struct expect {
	const char *name, *service, *account, *pattern;
	enum catalogue_role role;
};

static void find__names_that_matter__row_and_account(void **state)
{
	(void)state;
	static const struct expect cases[] = {
	    {"sacyberrangedanger.blob.core.windows.net", "azure_blob", "sacyberrangedanger",
	     ".blob.core.windows.net", CATALOGUE_UPLOAD},
	    {"acct.z01.blob.storage.azure.net", "azure_blob", "acct", ".blob.storage.azure.net",
	     CATALOGUE_UPLOAD},
	    {"acct.privatelink.blob.core.windows.net", "azure_blob", "acct", ".blob.core.windows.net",
	     CATALOGUE_UPLOAD},
	    {"acct.file.core.windows.net", "azure_file", "acct", ".file.core.windows.net", CATALOGUE_UPLOAD},
	    {"acct.dfs.core.windows.net", "azure_dfs", "acct", ".dfs.core.windows.net", CATALOGUE_UPLOAD},
	    {"acct.queue.core.windows.net", "azure_queue", "acct", ".queue.core.windows.net",
	     CATALOGUE_UPLOAD},
	    {"acct.table.core.windows.net", "azure_table", "acct", ".table.core.windows.net",
	     CATALOGUE_UPLOAD},
	    {"acct.web.core.windows.net", "azure_web", "acct", ".web.core.windows.net", CATALOGUE_DOWNLOAD},
	    {"acct.blob.core.usgovcloudapi.net", "azure_blob", "acct", ".blob.core.usgovcloudapi.net",
	     CATALOGUE_UPLOAD},
	    {"ceuswatcab01.blob.core.windows.net", "windows_error_reporting", "",
	     "ceuswatcab01.blob.core.windows.net", CATALOGUE_TELEMETRY},
	    {"ussus1eastprod.blob.core.windows.net", "defender_endpoint", "",
	     "ussus1eastprod.blob.core.windows.net", CATALOGUE_TELEMETRY},
	    {"lgmsapeweu.blob.core.windows.net", "windows_autopilot", "", "lgmsapeweu.blob.core.windows.net",
	     CATALOGUE_TELEMETRY},
	    {"ceuswatcab03.blob.core.windows.net", "azure_blob", "ceuswatcab03", ".blob.core.windows.net",
	     CATALOGUE_UPLOAD},
	    {"content.dropboxapi.com", "dropbox", "", "content.dropboxapi.com", CATALOGUE_UPLOAD},
	    {"xcontent.dropboxapi.com", "dropbox", "", ".dropboxapi.com", CATALOGUE_API},
	    {"t8.dropbox.com", "dropbox", "", "t8.dropbox.com", CATALOGUE_TELEMETRY},
	    {"browser.events.data.microsoft.com", "microsoft_telemetry", "", ".events.data.microsoft.com",
	     CATALOGUE_TELEMETRY},
	    {"bucket.s3.eu-west-1.amazonaws.com", "aws_s3", "bucket", "*.s3.*.amazonaws.com",
	     CATALOGUE_UPLOAD},
	    {"my.dotted.bucket.s3.amazonaws.com", "aws_s3", "my.dotted.bucket", ".s3.amazonaws.com",
	     CATALOGUE_UPLOAD},
	    {"s3.eu-west-1.amazonaws.com", "aws_s3", "", "s3.*.amazonaws.com", CATALOGUE_UPLOAD},
	    {"github-cloud.s3.amazonaws.com", "github", "", "github-cloud.s3.amazonaws.com",
	     CATALOGUE_UPLOAD},
	    {"discord-attachments-uploads-prd.storage.googleapis.com", "discord", "",
	     "discord-attachments-uploads-prd.storage.googleapis.com", CATALOGUE_UPLOAD},
	    {"bkt.storage.googleapis.com", "google_cloud_storage", "bkt", ".storage.googleapis.com",
	     CATALOGUE_UPLOAD},
	    {"contoso-my.sharepoint.com", "sharepoint", "contoso", "*-my.sharepoint.com", CATALOGUE_UPLOAD},
	    {"contoso.sharepoint.com", "sharepoint", "contoso", ".sharepoint.com", CATALOGUE_UPLOAD},
	    {"raw.githubusercontent.com", "github", "", "raw.githubusercontent.com", CATALOGUE_DOWNLOAD},
	    {"md-x.z2.blob.storage.azure.net", "azure_vm_agent", "", "md-*.*.blob.storage.azure.net",
	     CATALOGUE_TELEMETRY},
	    {"api.gofile.io", "gofile", "", "api.gofile.io", CATALOGUE_API},
	};
	struct catalogue *c = make(&plain);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct catalogue_match m;
		if (!catalogue_find(c, cases[i].name, &m))
			fail_msg("%s: nothing", cases[i].name);
		if (strcmp(m.row->service, cases[i].service) || strcmp(m.account, cases[i].account) ||
		    strcmp(m.row->pattern, cases[i].pattern) || m.row->role != cases[i].role || m.sanctioned)
			fail_msg("%s: %s/%s %s %s", cases[i].name, m.row->service, m.account, m.row->pattern,
				 catalogue_role_names[m.row->role]);
	}
	catalogue_free(c);
}

static void find__names_that_only_look_alike__nothing(void **state)
{
	(void)state;
	static const char *const names[] = {
	    "blob.core.windows.net.evil.example",
	    "xblob.core.windows.net",
	    "profile.io",
	    "core.windows.net",
	    "dropbox.com.evil.example",
	    "notdropbox.com",
	    "windows.net",
	    "com",
	    "",
	    "drive.google.com.evil.com",
	    "evil-my.sharepoint.com.x",
	};
	struct catalogue *c = make(&with_known);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct catalogue_match m;
		if (catalogue_find(c, names[i], &m))
			fail_msg("%s: %s", names[i], m.row->pattern);
	}
	catalogue_free(c);
}

static void find__telemetry_account__parent_is_the_store(void **state)
{
	(void)state;
	struct catalogue *c = make(&plain);
	struct catalogue_match m;
	assert_true(catalogue_find_parent(c, "ceuswatcab01.blob.core.windows.net", &m));
	assert_string_equal(m.row->service, "azure_blob");
	assert_string_equal(m.account, "ceuswatcab01");
	assert_false(catalogue_find_parent(c, "v10.events.data.microsoft.com", &m));
	assert_true(catalogue_find(c, "ceuswatcab01.blob.core.windows.net", &m));
	assert_true(catalogue_expects(m.row, "WerFault.exe"));
	assert_true(catalogue_expects(m.row, "wermgr.exe"));
	assert_false(catalogue_expects(m.row, "werfault"));
	assert_false(catalogue_expects(m.row, "powershell.exe"));
	assert_false(catalogue_expects(m.row, NULL));
	assert_false(catalogue_expects(m.row, ""));
	catalogue_free(c);
}

static void find__host_of_every_row__that_row(void **state)
{
	(void)state;
	static struct slow_row rows[SLOW_MAX_ROWS];
	size_t n = slow_read(rows, "detect/destinations.tsv");
	for (int known = 0; known < 2; known++) {
		struct catalogue *c = make(known ? &with_known : &plain);
		size_t on = 0;
		for (size_t i = 0; i < n; i++) {
			char host[300];
			struct catalogue_match m;
			if (!known && rows[i].known)
				continue;
			on++;
			slow_host_of(host, sizeof host, rows[i].pattern);
			if (!catalogue_find(c, host, &m) || strcmp(m.row->pattern, rows[i].pattern))
				fail_msg("%s from %s", host, rows[i].pattern);
		}
		assert_in_range(catalogue_rows(c), on + 1, on + 20); /* and the address prefixes */
		catalogue_free(c);
	}
	slow_free(rows, n);
}

static void find__random_hosts__as_the_slow_matcher(void **state)
{
	(void)state;
	static struct slow_row rows[SLOW_MAX_ROWS];
	size_t n = slow_read(rows, "detect/destinations.tsv"), found = 0;
	struct catalogue *c = make(&with_known);
	srand(20260302);
	for (int k = 0; k < 10000; k++) {
		static char host[400];
		struct catalogue_match m;
		slow_random_host(host, sizeof host, rows, n);
		const char *want = slow_best(rows, n, host);
		bool got = catalogue_find(c, host, &m);
		found += got;
		if (got != (want != NULL) || (got && strcmp(want, m.row->pattern)))
			fail_msg("%s: %s, want %s", host, got ? m.row->pattern : "nothing",
				 want ? want : "nothing");
	}
	assert_in_range(found, 2000, 9900); /* both outcomes are well covered */
	catalogue_free(c);
	slow_free(rows, n);
}

/* ATT&CK: T1567.002 is exfiltration to cloud storage, nothing else; telemetry is no technique. */
static void builtin__techniques__fit_their_category(void **state)
{
	(void)state;
	FILE *f = fopen("detect/destinations.tsv", "r");
	assert_non_null(f);
	char line[2048];
	size_t rows = 0;
	while (fgets(line, sizeof line, f)) {
		char *field[6] = {0}, *p = line;
		for (int i = 0; i < 6 && p; i++)
			field[i] = strsep(&p, "\t\n");
		if (*line == '#' || !field[5])
			continue;
		rows++;
		bool store = !strcmp(field[2], "storage") || !strcmp(field[2], "transfer") ||
			     !strcmp(field[2], "filedrop");
		if (!strcmp(field[5], "T1567.002") && !store)
			fail_msg("%s is %s", field[3], field[2]);
		if (!strcmp(field[4], "telemetry") && strcmp(field[5], "-"))
			fail_msg("%s: %s", field[3], field[5]);
	}
	fclose(f);
	assert_true(rows > 500);
}

/* The public facts that our list is made of: every row that is on has the same meaning here. */
static void builtin__the_facts_it_is_made_of__same_role(void **state)
{
	(void)state;
	const char *shared = getenv("LEAKTAP_SHARED");
	char path[512];
	snprintf(path, sizeof path, "%s/data/destinations.tsv", shared ? shared : "../shared");
	FILE *f = fopen(path, "r");
	if (!f) {
		print_message("SKIP: %s is absent\n", path);
		skip();
	}
	struct catalogue *c = make(&plain);
	char line[2048];
	size_t rows = 0;
	while (fgets(line, sizeof line, f)) {
		char *field[8] = {0}, *p = line;
		for (int i = 0; i < 8 && p; i++)
			field[i] = strsep(&p, "\t\n");
		if (*line == '#' || !field[7] || !strcmp(field[7], "known") || !strcmp(field[0], "service"))
			continue;
		rows++;
		char host[300];
		struct catalogue_match m;
		slow_host_of(host, sizeof host, field[2]);
		if (!catalogue_find(c, host, &m))
			fail_msg("%s: not found", field[2]);
		if (!strstr(field[2], "gofile.io") && strcmp(catalogue_role_names[m.row->role], field[3]))
			fail_msg("%s: role %s, want %s", field[2], catalogue_role_names[m.row->role],
				 field[3]);
	}
	fclose(f);
	assert_int_equal(rows, 396);
	catalogue_free(c);
}

static const char *write_file(char *path, const char *text)
{
	strcpy(path, "/tmp/leaktap-test-XXXXXX");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	return path;
}

static void new__operator_rows__beat_ours_and_inherit(void **state)
{
	(void)state;
	char path[64];
	const char *files[] = {write_file(path, "# mine\r\n"
						"azure_blob\t.blob.cloud.example\tupload\r\n"
						"DROPBOX\tcontent.dropboxapi.com\tweb\n"
						"\n"
						"agent\tlog.corp.example\ttelemetry\tAgent.exe svc.exe")};
	struct catalogue_conf conf = {.files = files, .n_files = 1};
	struct catalogue *c = make(&conf);
	struct catalogue_match m;
	assert_true(catalogue_find(c, "acct.blob.cloud.example", &m));
	assert_string_equal(m.row->title, "Azure Blob");
	assert_string_equal(m.row->technique, "T1567.002");
	assert_string_equal(m.row->verified, "operator");
	assert_string_equal(m.account, "acct");
	assert_true(catalogue_find(c, "content.dropboxapi.com", &m));
	assert_int_equal(m.row->role, CATALOGUE_WEB);
	assert_string_equal(m.row->verified, "operator");
	assert_true(catalogue_find(c, "log.corp.example", &m));
	assert_true(catalogue_expects(m.row, "AGENT.EXE"));
	size_t rows = 0;
	assert_int_equal(catalogue_check_file(path, &rows, NULL), 0);
	assert_int_equal(rows, 3);
	catalogue_free(c);
	unlink(path);
}

static void check_file__mistakes__line_and_column(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} cases[] = {
	    {"a\tb.c\n", ":1:1: 2 fields"},
	    {"a\tb.c\tupload\tx\ty\n", ":1:1: 5 fields"},
	    {"#\nok\tb.c\tupload\nb-d\tb.d\tupload\n", ":3:2: a service"},
	    {"svc\tbad..host\tupload\n", ":1:9: not a host"},
	    {"svc\ta.b\tuploads\n", ":1:9: no role"},
	    {"svc\ta.b\tupload\nsvc\tc.d\tweb\ntwo\ta.b\tapi\n", ":3:5: \"a.b\" is already at "},
	    {"\tb.c\tupload\n", ":1:1: a service"},
	    /* the form of our own lists */
	    {"s\tS\tc\ta.b\tupload\tT1\tofficial\t-\t-\t-\ns\tS\tc\ta..b\tupload\tT1\tofficial\t-\t-\t-\n",
	     ":2:9: not a host pattern"},
	    {"s\tS\tc\ta.b\tuploads\tT1\tofficial\t-\t-\t-\n", ":1:11: no role"},
	    {"s\tS\tc\ta.b\tupload\tT1\tguessed\t-\t-\t-\n", ":1:21: verified"},
	    {"s\tS\tc\ta.b\tupload\tT1\tofficial\t-\tsecond\t-\n", ":1:32: account"},
	    {"s\tS\tc\ta.b\tupload\tT1\tofficial\t-\t-\n", ":1:1: 9 fields"},
	    {"s\tS\tc\t10.0.0.0/33\tupload\tT1\tofficial\t-\n", ":1:7: not a prefix"},
	    {"s\tS\tc\ta.b\tweb\tT1\trule\t-\t-\t-\nt\tT\tc\ta.b\tapi\tT1\trule\t-\t-\t-\n",
	     ":2:7: \"a.b\" is already at "},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char path[64];
		struct err err = {0};
		size_t rows;
		assert_int_equal(catalogue_check_file(write_file(path, cases[i].text), &rows, &err),
				 LT_ECONF);
		unlink(path);
		if (!strstr(err.text, cases[i].want))
			fail_msg("%s: want %s", err.text, cases[i].want);
	}
	struct err err = {0};
	size_t rows;
	assert_int_equal(catalogue_check_file("/nonexistent/leaktap", &rows, &err), -2);
}

/* Rows that are no comment. */
static size_t lines_of_rows(const char *path)
{
	char line[1024];
	size_t n = 0;
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		n += *line != '#' && *line != '\n';
	fclose(f);
	return n;
}

static void check_file__our_own_lists__every_row_good(void **state)
{
	(void)state;
	static const char *const paths[] = {"detect/destinations.tsv", "detect/prefixes.tsv"};
	for (size_t i = 0; i < 2; i++) {
		struct err err = {0};
		size_t rows = 0;
		if (catalogue_check_file(paths[i], &rows, &err))
			fail_msg("%s", err.text);
		assert_int_equal(rows, lines_of_rows(paths[i]));
	}
}

static void find__sanctioned__account_host_and_prefix(void **state)
{
	(void)state;
	const char *own[] = {"azure_blob/ours", "SharePoint/Contoso", "dropbox/*", "*.corp.example",
			     "192.0.2.0/24"};
	struct catalogue_conf conf = {.sanctioned = own, .n_sanctioned = 5};
	struct catalogue *c = make(&conf);
	struct catalogue_match m;
	assert_true(catalogue_find(c, "ours.blob.core.windows.net", &m) && m.sanctioned);
	assert_true(catalogue_find(c, "ours2.blob.core.windows.net", &m) && !m.sanctioned);
	assert_true(catalogue_find(c, "ours.file.core.windows.net", &m) && !m.sanctioned);
	assert_true(catalogue_find(c, "contoso-my.sharepoint.com", &m) && m.sanctioned);
	assert_true(catalogue_find(c, "content.dropboxapi.com", &m) && m.sanctioned);
	assert_true(catalogue_sanctioned(c, "a.corp.example", NULL));
	assert_false(catalogue_sanctioned(c, "corp.example", NULL));
	struct facts_addr in = {.ip = {192, 0, 2, 9}, .family = 4}, out = {.ip = {192, 0, 3, 9}, .family = 4};
	assert_true(catalogue_sanctioned(c, NULL, &in));
	assert_false(catalogue_sanctioned(c, NULL, &out));
	catalogue_free(c);
	const char *bad[] = {"not a host"};
	struct catalogue_conf wrong = {.sanctioned = bad, .n_sanctioned = 1};
	struct err err = {0};
	assert_int_equal(catalogue_new(&c, &wrong, &err), LT_ECONF);
	assert_non_null(strstr(err.text, "column 4"));
}

static void find__account_longer_than_kept__never_sanctioned(void **state)
{
	(void)state;
	char name[254], entry[200] = "google_cloud_storage/";
	memset(name, 'a', 200);
	strcpy(name + 200, ".storage.googleapis.com");
	memset(entry + 21, 'a', 127);
	entry[148] = '\0';
	const char *own[] = {entry};
	struct catalogue_conf conf = {.sanctioned = own, .n_sanctioned = 1};
	struct catalogue *c = make(&conf);
	struct catalogue_match m;
	assert_true(catalogue_find(c, name, &m));
	assert_int_equal(strlen(m.account), 127);
	assert_false(m.sanctioned);
	catalogue_free(c);
}

static void find_ip__published_prefixes__provider_only(void **state)
{
	(void)state;
	struct catalogue *c = make(&plain);
	struct facts_addr a = {.ip = {20, 60, 133, 132}, .family = 4};
	assert_string_equal(catalogue_find_ip(c, &a)->service, "azure_storage");
	struct facts_addr t = {.ip = {20, 189, 173, 16}, .family = 4};
	assert_int_equal(catalogue_find_ip(c, &t)->role, CATALOGUE_TELEMETRY);
	t.ip[3] = 17;
	assert_null(catalogue_find_ip(c, &t));
	struct facts_addr d = {.ip = {0x26, 0x20, 0x01, 0x00, 0x60, 0x22, [15] = 1}, .family = 6};
	assert_string_equal(catalogue_find_ip(c, &d)->service, "dropbox");
	catalogue_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(find__names_that_matter__row_and_account),
	    cmocka_unit_test(find__names_that_only_look_alike__nothing),
	    cmocka_unit_test(find__telemetry_account__parent_is_the_store),
	    cmocka_unit_test(find__host_of_every_row__that_row),
	    cmocka_unit_test(find__random_hosts__as_the_slow_matcher),
	    cmocka_unit_test(builtin__techniques__fit_their_category),
	    cmocka_unit_test(builtin__the_facts_it_is_made_of__same_role),
	    cmocka_unit_test(new__operator_rows__beat_ours_and_inherit),
	    cmocka_unit_test(check_file__mistakes__line_and_column),
	    cmocka_unit_test(check_file__our_own_lists__every_row_good),
	    cmocka_unit_test(find__sanctioned__account_host_and_prefix),
	    cmocka_unit_test(find__account_longer_than_kept__never_sanctioned),
	    cmocka_unit_test(find_ip__published_prefixes__provider_only),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
