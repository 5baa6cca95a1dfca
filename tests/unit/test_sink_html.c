/* sink_html: the report's order, caps and safety, by its text; tests/html_check.py shows it to a browser. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "detect/sinks/html_parts.h"
#include "detect/sinks/sinks.h"
#include "tests/unit/tell.h"

static char dir[] = "/tmp/leaktap-html.XXXXXX", path[128];

static int make_dir(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "%s/report.html", mkdtemp(dir) ? dir : "");
	return 0;
}

static int drop_dir(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static struct sink *opened(const char *const *inputs, size_t n_inputs)
{
	struct sink_conf conf = {.target = path, .format = "eve", .records = SINK_ALL, .sensor = "t", .inputs = inputs, .n_inputs = n_inputs};
	struct sink *s = NULL;
	struct err err;
	assert_int_equal(sink_html.open(&s, &conf, &err), 0);
	return s;
}

static char *closed(struct sink *s)
{
	struct err err = {0};
	size_t n;
	assert_int_equal(sink_html.close(s, &err), 0);
	char *text = tell_read(path, &n);
	assert_non_null(text);
	assert_int_equal(strlen(text), n);
	return text;
}

static size_t count(const char *text, const char *word)
{
	size_t n = 0;
	for (; (text = strstr(text, word)); text += strlen(word))
		n++;
	return n;
}

static void html__one_finding__sentence_then_unknowns_then_evidence(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(5);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	struct sink_stats st = {.time_ns = f.end_ns, .last = true, .track = {.packets = 1234, .flows_ended = 1}};
	st.judge.bytes_by_outcome[OWNER_ATTRIBUTED][0] = 2147;
	st.judge.bytes_by_cause[OWNER_CAUSE_NO_EVENT][0] = 77;
	struct sink *s = opened(NULL, 0);
	sink_html.flow(s, &v);
	sink_html.finding(s, &fi);
	sink_html.stats(s, &st);
	char *text = closed(s);
	static const char *const order[] = {
		"<h1>1 finding</h1>", "1 flows in 1,234 packets from 2026-03-02 09:14:22.226Z to 2026-03-02 09:15:23.726Z",
		"powershell.exe (pid 4188, employee) on ws-0417 sent 1,752 bytes", "What is not known", "id=\"f-2f103d32d513c408\"",
		"T1560.001 Archive via Utility", "<svg ", ">1,752</text>", ">412</text>", "7z.exe created x.zip", "1003: an archive",
		"Process <b>powershell.exe</b> pid 4188, user employee, device ws-0417, started by cmd.exe", "DeviceNetworkEvents:1008:1", "+388.0", "+0.1",
		"tcp.port==50412", "<h2>Destinations", "account sacyberrangedanger", "<td class=\"n\">1,752</td><td class=\"n\">412</td>",
		"<h2>Who owns the bytes", "2,147", "no_event", ">77<", ("leaktap " LEAKTAP_VERSION)};
	const char *at = text;
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		const char *next = strstr(at, order[i]);
		if (!next)
			fail_msg("%s is not there, or not in its place", order[i]);
		at = next;
	}
	free(text);
}

static void html__nothing_found__says_what_that_does_not_prove(void **state)
{
	(void)state;
	char *text = closed(opened(NULL, 0));
	assert_non_null(strstr(text, "<h1>No findings</h1>"));
	assert_non_null(strstr(text, "What that does not prove"));
	assert_non_null(strstr(text, "Traffic that did not pass this tap."));
	assert_null(strstr(text, "cut short or damaged"));
	assert_null(strstr(text, "left out by the packet filter"));
	free(text);
}

static void html__input_not_whole__among_what_is_not_known(void **state)
{
	(void)state;
	struct sink *s = opened(NULL, 0);
	struct sink_stats st = {.last = true, .partial = true, .source.filtered = 1234};
	sink_html.stats(s, &st);
	char *text = closed(s);
	assert_non_null(strstr(text, "it was cut short or damaged.</li>"));
	assert_non_null(strstr(text, "<li>1,234 packets were left out by the packet filter.</li>"));
	free(text);
}

/* The policy allows exactly the style that is there. */
static void html__policy__has_the_styles_hash(void **state)
{
	(void)state;
	char *text = closed(opened(NULL, 0)), hash[64], want[160];
	char *from = strstr(text, "<style>"), *to = strstr(text, "</style>");
	assert_true(from && to);
	unsigned char sum[SHA256_DIGEST_LENGTH];
	SHA256((unsigned char *)from + 7, (size_t)(to - from - 7), sum);
	EVP_EncodeBlock((unsigned char *)hash, sum, sizeof sum);
	snprintf(want, sizeof want, "content=\"default-src 'none'; style-src 'sha256-%s'\"", hash);
	assert_non_null(strstr(text, want));
	assert_int_equal(count(text, "<style"), 1);
	free(text);
}

static void html__hostile_texts__shown_never_obeyed(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(5);
	tell_hostile_facts(&f);
	struct verdict v = tell_verdict(&f);
	tell_hostile_verdict(&v);
	struct finding fi = tell_finding(&v);
	tell_hostile_finding(&fi);
	fi.title = TELL_HOSTILE;
	static const char *const inputs[] = {TELL_HOSTILE};
	struct sink *s = opened(inputs, 1);
	sink_html.flow(s, &v);
	sink_html.finding(s, &fi);
	char *text = closed(s);
	assert_true(tell_is_tame(text, strlen(text)));
	assert_null(strstr(text, "<script"));
	assert_null(strstr(text, "</script"));
	assert_null(strstr(text, "<img"));
	assert_null(strstr(text, "=x onerror=alert(1)>"));
	assert_true(count(text, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&#96;&amp;|=1+1\\%n%s") >= 12);
	free(text);
}

/* Live, a finding is told again when it grows: the report has it once, as it was told last. */
static void html__revised_finding__newest_version_once(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(5);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	struct sink *s = opened(NULL, 0);
	for (uint32_t version = 1; version <= 3; version++) {
		char sentence[32];
		snprintf(sentence, sizeof sentence, "sentence number %u", version);
		fi.version = version;
		fi.sentence = sentence;
		fi.severity = (uint8_t)(4 - version);
		sink_html.finding(s, &fi);
	}
	char *text = closed(s);
	assert_non_null(strstr(text, "<h1>1 finding</h1>"));
	assert_int_equal(count(text, "sentence number"), 1);
	assert_non_null(strstr(text, "<p class=\"verdict s1\"><span class=\"tag\">high</span>sentence number 3"));
	free(text);
}

/* More findings than the report holds: the gravest stay, the first of them by time, and the rest is counted. */
static void html__too_many_findings__gravest_stay(void **state)
{
	(void)state;
	enum { LOW = 250, HIGH = 20, KEPT = 200 };
	struct flow_facts f = tell_facts(5);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	struct sink *s = opened(NULL, 0);
	for (unsigned i = 0; i < LOW + HIGH; i++) {
		char sentence[32];
		snprintf(sentence, sizeof sentence, "said %04u", i);
		snprintf(fi.id, sizeof fi.id, "%016x", i);
		fi.sentence = sentence;
		fi.severity = i < LOW ? 3 : 1;
		sink_html.finding(s, &fi);
	}
	char *text = closed(s);
	assert_non_null(strstr(text, "<h1>270 findings</h1>"));
	assert_int_equal(count(text, "class=\"verdict s1\""), HIGH);
	assert_int_equal(count(text, "class=\"verdict s3\""), KEPT - HIGH);
	assert_non_null(strstr(text, "70 more findings are in the records."));
	assert_true(strstr(text, "said 0250") < strstr(text, "said 0000"));
	assert_true(strlen(text) < 1 << 20);
	free(text);
}

/* Everything at its largest: the page still goes with an e-mail. */
static void html__hostile_sizes__below_a_megabyte(void **state)
{
	(void)state;
	enum { N = 100000 };
	static char big[N + 1];
	memset(big, '\'', N);
	struct sink *s = opened(NULL, 0);
	for (uint64_t i = 0; i < 400; i++) {
		char name[FACTS_MAX_NAME + 1];
		memset(name, '"', sizeof name - 1);
		snprintf(name, sizeof name, "%04u", (unsigned)i);
		name[4] = '"';
		name[sizeof name - 1] = '\0';
		struct flow_facts f = tell_facts(i);
		f.name = name;
		struct verdict v = tell_verdict(&f);
		v.initiator.process.name = v.initiator.process.command_line = v.initiator.process.user = v.explanation = big;
		struct finding fi = tell_finding(&v);
		snprintf(fi.id, sizeof fi.id, "%016x", (unsigned)i);
		fi.sentence = big;
		for (fi.n_reasons = 0; fi.n_reasons < FINDING_MAX_REASONS; fi.n_reasons++)
			fi.reasons[fi.n_reasons] = big;
		for (fi.n_timeline = 0; fi.n_timeline < FINDING_MAX_TIMELINE; fi.n_timeline++)
			fi.timeline[fi.n_timeline] = (struct finding_time){f.start_ns, "upload", big};
		sink_html.flow(s, &v);
		sink_html.finding(s, &fi);
	}
	char *text = closed(s);
	assert_true(strlen(text) < 1 << 20);
	free(text);
}

/* Flows of a finding first, then the largest of the same device; what does not fit is counted. */
static void shown__more_than_fit__own_first_then_largest(void **state)
{
	(void)state;
	enum { OTHERS = 100 };
	struct html_flows flows = {0};
	for (uint64_t i = 0; i < OTHERS + 2; i++) {
		struct flow_facts f = tell_facts(i);
		struct verdict v = tell_verdict(&f);
		f.up.app_bytes = i < OTHERS ? 1000 + i * 7919 % OTHERS : 1;
		f.down.app_bytes = 0;
		if (i == 3)
			v.initiator.process.device = "another";
		html_flows_add(&flows, &v);
	}
	struct flow_facts f = tell_facts(OTHERS);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	fi.flows[1] = OTHERS + 1;
	fi.n_flows = fi.n_flows_total = 2;
	struct html_shown shown;
	html_flows_shown(&flows, &fi, 0, UINT64_MAX, &shown);
	assert_int_equal(shown.n, HTML_MAX_SHOWN);
	assert_int_equal(shown.left_out, OTHERS - 1 + 2 - HTML_MAX_SHOWN);
	assert_true(shown.own[0] && shown.own[1] && !shown.own[2]);
	for (size_t i = 3; i < shown.n; i++)
		assert_true(shown.flow[i]->up_bytes <= shown.flow[i - 1]->up_bytes);
	assert_int_equal(shown.flow[2]->up_bytes, 1000 + OTHERS - 1);
	html_flows_shown(&flows, &fi, 0, 5, &shown);
	assert_int_equal(shown.n, 0);
	html_flows_done(&flows);
}

static void flows_add__at_the_cap__counted(void **state)
{
	(void)state;
	struct html_flows flows = {0};
	for (uint64_t i = 0; i < HTML_MAX_FLOWS + 5; i++) {
		struct flow_facts f = tell_facts(i);
		struct verdict v = tell_verdict(&f);
		html_flows_add(&flows, &v);
	}
	assert_int_equal(flows.n, HTML_MAX_FLOWS);
	assert_int_equal(flows.left_out, 5);
	html_flows_done(&flows);
}

/* Marks never lie on each other and never leave the picture. */
static void timeline__all_at_once__marks_side_by_side(void **state)
{
	(void)state;
	struct flow_facts f = tell_facts(5);
	struct verdict v = tell_verdict(&f);
	struct finding fi = tell_finding(&v);
	for (fi.n_timeline = 0; fi.n_timeline < FINDING_MAX_TIMELINE; fi.n_timeline++)
		fi.timeline[fi.n_timeline] = (struct finding_time){f.end_ns, "upload", "x"};
	struct textbuf b = {0};
	struct html_flows none = {0};
	html_timeline(&b, &fi, &none);
	int last = -100;
	size_t n = 0;
	for (char *p = b.text; (p = strstr(p, " cx=\"")); n++) {
		int x = atoi(p += 5);
		assert_true(x >= last + 18 && x >= 0 && x <= 1040);
		last = x;
	}
	assert_int_equal(n, FINDING_MAX_TIMELINE);
	textbuf_done(&b);
}

static void html__inputs__hashes_of_files_and_never_waits_for_a_pipe(void **state)
{
	(void)state;
	char folder[160], file[200], pipe_path[160];
	snprintf(folder, sizeof folder, "%s/in", dir);
	snprintf(file, sizeof file, "%s/a.pcap", folder);
	snprintf(pipe_path, sizeof pipe_path, "%s/fifo", dir);
	assert_int_equal(mkdir(folder, 0700), 0);
	FILE *out = fopen(file, "w");
	assert_non_null(out);
	fputs("abc", out);
	fclose(out);
	assert_int_equal(mkfifo(pipe_path, 0600), 0);
	const char *const inputs[] = {folder, pipe_path, "-", "redis-list:x"};
	char *text = closed(opened(inputs, 4));
	/* FIPS 180-4, SHA-256 of "abc" */
	char *row = strstr(text, "/in/a.pcap</td><td><code>ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad</code>");
	assert_non_null(row);
	assert_non_null(strstr(row, "/fifo</td><td><code>-</code>"));
	assert_non_null(strstr(row, "redis-list:x</td><td><code>-</code>"));
	free(text);
	unlink(file);
	unlink(pipe_path);
	rmdir(folder);
}

static void html_close__old_report__replaced_whole_and_nothing_left(void **state)
{
	(void)state;
	struct stat st;
	free(closed(opened(NULL, 0)));
	free(closed(opened(NULL, 0)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	DIR *d = opendir(dir);
	size_t n = 0;
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	assert_int_equal(n, 1);
}

static void html_open__link_or_pipe__refused(void **state)
{
	(void)state;
	struct sink_conf conf = {.target = path, .format = "eve", .sensor = "t"};
	struct sink *s;
	struct err err;
	unlink(path);
	assert_int_equal(symlink("/tmp/elsewhere", path), 0);
	assert_int_equal(sink_html.open(&s, &conf, &err), -EINVAL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(sink_html.open(&s, &conf, &err), -EINVAL);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(html__one_finding__sentence_then_unknowns_then_evidence),
		cmocka_unit_test(html__nothing_found__says_what_that_does_not_prove),
		cmocka_unit_test(html__input_not_whole__among_what_is_not_known),
		cmocka_unit_test(html__policy__has_the_styles_hash),
		cmocka_unit_test(html__hostile_texts__shown_never_obeyed),
		cmocka_unit_test(html__revised_finding__newest_version_once),
		cmocka_unit_test(html__too_many_findings__gravest_stay),
		cmocka_unit_test(html__hostile_sizes__below_a_megabyte),
		cmocka_unit_test(shown__more_than_fit__own_first_then_largest),
		cmocka_unit_test(flows_add__at_the_cap__counted),
		cmocka_unit_test(timeline__all_at_once__marks_side_by_side),
		cmocka_unit_test(html__inputs__hashes_of_files_and_never_waits_for_a_pipe),
		cmocka_unit_test(html_close__old_report__replaced_whole_and_nothing_left),
		cmocka_unit_test(html_open__link_or_pipe__refused),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
