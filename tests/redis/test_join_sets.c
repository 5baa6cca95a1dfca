/* Real captures with real Sysmon and Security events of the same runs (../shared/data/join): flows as truth.csv tells them, events as
 * evparse reads them, through the door of attrib. No side may go to a wrong process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "capture/base/hash.h"
#include "detect/attrib/attrib.h"
#include "dissect/evparse.h"

enum { MAX_COLUMNS = 40, MAX_SIDES = 2000 };

struct truth_side {
	uint64_t flow_id;
	struct attrib_flow flow;
	enum attrib_side side;
	bool has_syn, tcp;
	char image[512], status[64];
	char what[256];
};

static struct truth_side sides[MAX_SIDES];
static size_t n_sides;

static const char *shared(void)
{
	const char *root = getenv("LEAKTAP_SHARED");
	return root ? root : "../shared";
}

static size_t split_csv(char *line, char **ret)
{
	size_t n = 0;
	char *at = line;
	while (n < MAX_COLUMNS) {
		char *out = at;
		ret[n++] = at;
		bool quoted = *at == '"';
		at += quoted;
		while (*at && (quoted || *at != ',')) {
			if (quoted && *at == '"') {
				if (at[1] != '"') {
					at++;
					quoted = false;
					continue;
				}
				at++;
			}
			*out++ = *at++;
		}
		bool more = *at == ',';
		*out = 0;
		if (!more)
			break;
		at++;
	}
	return n;
}

static uint64_t parse_time_ns(const char *text)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	assert_non_null(rest);
	double fraction = *rest == '.' ? strtod(rest, NULL) : 0;
	return (uint64_t)timegm(&tm) * 1000000000u + (uint64_t)(fraction * 1e6 + 0.5) * 1000;
}

static struct facts_addr parse_addr(const char *ip, const char *port)
{
	struct facts_addr a = {.port = (uint16_t)strtoul(port, NULL, 10)};
	if (inet_pton(AF_INET, ip, a.ip) == 1) {
		a.family = 4;
	} else {
		assert_int_equal(inet_pton(AF_INET6, ip, a.ip), 1);
		a.family = 6;
	}
	return a;
}

static const char *column(char **names, size_t n, char **values, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return values[i];
	fail_msg("no column %s", name);
	return "";
}

static void add_side(char **names, size_t n, char **v)
{
#define COL(name) column(names, n, v, name)
	struct truth_side *s = &sides[n_sides++];
	assert_true(n_sides < MAX_SIDES);
	*s = (struct truth_side){0};
	s->side = strcmp(COL("side"), "orig") == 0 ? ATTRIB_INITIATOR : ATTRIB_RESPONDER;
	struct facts_addr local = parse_addr(COL("local_ip"), COL("local_port")), remote = parse_addr(COL("remote_ip"), COL("remote_port"));
	s->tcp = strcmp(COL("proto"), "tcp") == 0;
	s->has_syn = strcmp(COL("has_syn"), "1") == 0;
	s->flow = (struct attrib_flow){
		.src = s->side == ATTRIB_INITIATOR ? local : remote,
		.dst = s->side == ATTRIB_INITIATOR ? remote : local,
		.proto = s->tcp ? 6 : 17,
		.midstream = s->tcp && !s->has_syn,
		.start_ns = parse_time_ns(COL("flow_start_utc")),
		.end_ns = parse_time_ns(COL("flow_end_utc")),
		.up_bytes = strtoull(COL("bytes_up"), NULL, 10),
		.down_bytes = strtoull(COL("bytes_down"), NULL, 10),
	};
	uint64_t key[6] = {s->flow.start_ns, (uint64_t)s->flow.src.port << 16 | s->flow.dst.port, s->flow.proto};
	memcpy(&key[3], s->flow.src.ip, 8);
	memcpy(&key[4], s->flow.dst.ip, 8);
	key[5] = hash_bytes(HASH_KEY_FIXED, COL("pcap"), strlen(COL("pcap")));
	s->flow.flow_id = hash_bytes(HASH_KEY_FIXED, key, sizeof key) >> 11;
	snprintf(s->image, sizeof s->image, "%s", COL("image"));
	snprintf(s->status, sizeof s->status, "%s", COL("status"));
	snprintf(s->what, sizeof s->what, "%s %s %s:%s-%s:%s %s", COL("side"), COL("proto"), COL("local_ip"), COL("local_port"),
		 COL("remote_ip"), COL("remote_port"), COL("flow_start_utc"));
#undef COL
}

static void load_truth(const char *set)
{
	static char path[512], line[65536], header[4096];
	static char *names[MAX_COLUMNS], *values[MAX_COLUMNS];
	snprintf(path, sizeof path, "%s/data/join/sets/%s/truth.csv", shared(), set);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(header, sizeof header, f));
	header[strcspn(header, "\r\n")] = 0;
	size_t n = split_csv(header, names);
	n_sides = 0;
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\r\n")] = 0;
		if (split_csv(line, values) == n)
			add_side(names, n, values);
	}
	fclose(f);
}

static void give_event(void *ctx, const struct procevent *ev)
{
	assert_int_equal(attrib_event(ctx, ev), 0);
}

static void load_events(struct attrib *at, const char *set, bool backwards)
{
	char path[512];
	snprintf(path, sizeof path, "%s/data/join/sets/%s/events.jsonl", shared(), set);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	size_t size = (size_t)ftell(f);
	rewind(f);
	char *bytes = malloc(size + 1), *turned = malloc(size + 2);
	assert_int_equal(fread(bytes, 1, size, f), size);
	fclose(f);
	size_t n = 0; /* the lines in the other order */
	for (size_t end = size; end > 0;) {
		size_t from = end - 1;
		while (from > 0 && bytes[from - 1] != '\n')
			from--;
		memcpy(turned + n, bytes + from, end - from);
		n += end - from;
		if (turned[n - 1] != '\n')
			turned[n++] = '\n';
		end = from;
	}
	struct err err = {0};
	struct evparse *ep = evparse_new(&(struct evparse_conf){.zone = NULL}, &err);
	assert_non_null(ep);
	assert_int_equal(evparse_begin(ep, path, &err), 0);
	if (evparse_feed(ep, backwards ? turned : bytes, backwards ? n : size, give_event, at, &err) ||
	    evparse_end(ep, give_event, at, &err))
		fail_msg("%s", err.text);
	evparse_free(ep);
	free(bytes);
	free(turned);
}

static const char *base(const char *path)
{
	const char *name = path;
	for (; *path; path++)
		if (*path == '\\' || *path == '/')
			name = path + 1;
	return name;
}

struct tally {
	unsigned grades[5], wrong, missed, owed, owed_ab, strangers, causes_wrong;
	uint64_t digest;
};

static void judge(struct attrib *at, const struct truth_side *s, struct tally *t, bool verbose)
{
	static const char grades[] = "ABCDU";
	struct owner o;
	bool attributed = strcmp(s->status, "attributed") == 0;
	bool nameless = strstr(s->image, "unknown process"); /* Sysmon could not tell: a better source may */
	if (!attrib_owner(at, s->flow.flow_id, s->side, &o))
		o = (struct owner){.grade = 'U', .outcome = OWNER_UNATTRIBUTED, .cause = OWNER_CAUSE_NOT_JOINED};
	t->grades[strchr(grades, o.grade) - grades]++;
	const char *name = o.process.name ? o.process.name : "";
	uint64_t mix[2] = {t->digest, hash_bytes(HASH_KEY_FIXED, name, strlen(name)) + (uint64_t)o.grade * 7 + o.cause + s->flow.flow_id};
	t->digest = hash_bytes(HASH_KEY_FIXED, mix, sizeof mix);
	for (size_t i = 0; i < o.n_evidence; i++)
		t->digest ^= hash_bytes(HASH_KEY_FIXED, o.evidence[i].id, strlen(o.evidence[i].id)) * (i + 1);
	bool owed = attributed && (s->has_syn || !s->tcp);
	t->owed += owed;
	t->owed_ab += owed && (o.grade == 'A' || o.grade == 'B');
	const char *problem = NULL;
	if (o.outcome == OWNER_ATTRIBUTED && attributed && !nameless && strcasecmp(name, base(s->image)) != 0) {
		t->wrong++;
		problem = "WRONG";
	} else if (o.outcome == OWNER_ATTRIBUTED && strcmp(s->status, "WRONG_RUN_must_not_join") == 0) {
		t->wrong++;
		problem = "JOINED THE WRONG RUN";
	} else if (o.outcome == OWNER_ATTRIBUTED && !attributed) {
		t->strangers++;
		problem = "not in truth";
	} else if (owed && o.outcome != OWNER_ATTRIBUTED) {
		t->missed++;
		problem = "missed";
	} else if (strcmp(s->status, "unattributed_connect_before_capture") == 0 && o.outcome == OWNER_UNATTRIBUTED &&
		   o.cause != OWNER_CAUSE_CONNECT_BEFORE_CAPTURE && o.cause != OWNER_CAUSE_NOT_JOINED) {
		t->causes_wrong++;
		problem = "wrong cause";
	}
	if (problem && verbose)
		print_message("  %s: %s: %c %s %s (truth %s, %s) %s %.1f/%.1f\n", problem, s->what, o.grade, name,
			      owner_cause_names[o.cause], base(s->image), s->status, o.n_evidence ? o.evidence[0].key : "",
			      o.n_evidence ? o.evidence[0].delta_ms : 0.0, o.n_evidence ? o.evidence[0].corrected_ms : 0.0);
}

static struct tally run_set(const char *set, bool backwards)
{
	struct tally t = {0};
	struct err err = {0};
	struct attrib *at;
	if (attrib_new(&at, &(struct attrib_conf){.sensor = "test"}, &err))
		fail_msg("%s", err.text);
	load_truth(set);
	load_events(at, set, backwards);
	for (size_t i = 0; i < n_sides; i++) /* a flow told twice, once per side, is one */
		assert_int_equal(attrib_flow(at, &sides[i].flow), 0);
	if (attrib_settle(at, NULL, NULL, &err))
		fail_msg("%s", err.text);
	if (!backwards && getenv("LEAKTAP_VERBOSE")) {
		struct attrib_clock clocks[32];
		size_t n = attrib_clocks(at, clocks, 32);
		for (size_t i = 0; i < n; i++)
			print_message("  clock %s %s: %s %.1f ms spread %.1f n %u\n", clocks[i].device, clocks[i].domain,
				      clocks[i].calibrated ? "calibrated" : "-", clocks[i].offset_ms, clocks[i].spread_ms, clocks[i].samples);
	}
	for (size_t i = 0; i < n_sides; i++)
		judge(at, &sides[i], &t, !backwards && getenv("LEAKTAP_VERBOSE"));
	attrib_free(at);
	return t;
}

static void sets__real_runs__no_wrong_process(void **state)
{
	(void)state;
	char path[512];
	snprintf(path, sizeof path, "%s/data/join/sets", shared());
	struct dirent **list;
	int n = scandir(path, &list, NULL, alphasort);
	if (n < 0) {
		print_message("SKIPPED: no %s\n", path);
		skip();
	}
	struct tally all = {0};
	print_message("%-70s    A    B    C    D    U  owed  A|B wrong missed other\n", "set");
	for (int i = 0; i < n; i++) {
		const char *set = list[i]->d_name;
		if (set[0] != '.') {
			struct tally t = run_set(set, false), again = run_set(set, true);
			print_message("%-70s %4u %4u %4u %4u %4u %5u %4u %5u %6u %5u\n", set, t.grades[0], t.grades[1], t.grades[2],
				      t.grades[3], t.grades[4], t.owed, t.owed_ab, t.wrong, t.missed, t.strangers);
			assert_int_equal(t.digest, again.digest); /* the order of events does not matter */
			assert_int_equal(t.causes_wrong, 0);
			if (strstr(set, "remote_event_subscription"))
				assert_int_equal(t.grades[0] + t.grades[1] + t.grades[2], 0);
			for (size_t g = 0; g < 5; g++)
				all.grades[g] += t.grades[g];
			all.wrong += t.wrong;
			all.owed += t.owed;
			all.owed_ab += t.owed_ab;
		}
		free(list[i]);
	}
	free(list);
	print_message("%-70s %4u %4u %4u %4u %4u %5u %4u %5u\n", "all", all.grades[0], all.grades[1], all.grades[2], all.grades[3],
		      all.grades[4], all.owed, all.owed_ab, all.wrong);
	assert_int_equal(all.wrong, 0);
	assert_true(all.owed_ab * 100 >= all.owed * 95);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets__real_runs__no_wrong_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
