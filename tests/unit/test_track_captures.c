/* Uploads of real clients against what tshark counts in the same capture (truth.tsv). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "capture/source.h"
#include "tests/unit/told.h"

static const char *shared_dir(void)
{
	const char *dir = getenv("LEAKTAP_SHARED");
	return dir && *dir ? dir : "../shared";
}

static void replay(struct track *tr, const char *path)
{
	struct err err;
	struct source *src = NULL;
	struct packet pkts[SOURCE_BURST];
	const struct source_conf conf = {.path = path};
	if (source_open(&src, &conf, &err) < 0)
		fail_msg("%s", err.text);
	for (int n; (n = source_poll(src, pkts, &err)) > 0;)
		track_packets(tr, pkts, (size_t)n);
	track_finish(tr, FACTS_REASON_EOF);
	source_close(src);
}

struct row {
	char file[128], proto[8], client[64], server[64], sni[256];
	unsigned cport, sport;
	unsigned long long packets, wire[2], unique[2];
	char acked[2][24];
};

static bool read_row(const char *line, struct row *r)
{
	/* an empty name leaves two tabs in a row, which sscanf takes for one */
	char first[32], last[32];
	return sscanf(line,
		      "%127[^\t]\t%7[^\t]\t%63[^\t]\t%u\t%63[^\t]\t%u\t%255[^\t]\t%31[^\t]\t%31[^\t]\t%llu\t%"
		      "llu\t%llu\t%llu\t%llu\t%23[^\t]\t%23[^\t\n]",
		      r->file, r->proto, r->client, &r->cport, r->server, &r->sport, r->sni, first, last,
		      &r->packets, &r->wire[0], &r->wire[1], &r->unique[0], &r->unique[1], r->acked[0],
		      r->acked[1]) == 16;
}

static const struct flow_facts *find(const struct told *t, const struct row *r)
{
	uint8_t client[16] = {0};
	inet_pton(AF_INET, r->client, client);
	for (size_t i = 0; i < t->n; i++)
		if (t->at[i].src.port == r->cport && t->at[i].dst.port == r->sport &&
		    memcmp(t->at[i].src.ip, client, 16) == 0)
			return &t->at[i];
	return NULL;
}

static void check_dir(const struct facts_dir *d, const struct row *r, int i)
{
	assert_int_equal(d->wire_bytes, r->wire[i]);
	if (strcmp(r->proto, "udp") == 0) {
		assert_int_equal(d->bytes, r->unique[i]);
		assert_int_equal(d->basis, FACTS_BASIS_UDP_PAYLOAD);
		return;
	}
	assert_int_equal(d->bytes, strtoull(r->acked[i], NULL, 10));
	assert_int_equal(d->bytes - d->gap_bytes + d->unacked_bytes, r->unique[i]);
	assert_int_equal(d->basis, FACTS_BASIS_ACK);
}

static void check(const struct row *r)
{
	char path[512];
	struct told t = {0};
	struct track_stats s;
	struct track *tr = told_track(&t, (struct track_conf){0});
	snprintf(path, sizeof path, "%s/data/captures/%s", shared_dir(), r->file);
	replay(tr, path);
	track_stats(tr, &s);
	const struct flow_facts *f = find(&t, r);
	assert_non_null(f);
	assert_int_equal(f->up.packets + f->down.packets, r->packets);
	check_dir(&f->up, r, 0);
	check_dir(&f->down, r, 1);
	assert_int_equal(told_wire_bytes(&t, &s), s.wire_bytes);
	assert_string_equal(t.names[f - t.at], r->sni);
	track_free(tr);
	told_free(&t);
}

static void replay__real_uploads__equal_tshark(void **state)
{
	(void)state;
	char path[512], line[1024];
	snprintf(path, sizeof path, "%s/data/captures/truth.tsv", shared_dir());
	FILE *in = fopen(path, "r");
	if (!in) {
		fprintf(stderr, "SKIPPED: %s is not there\n", path);
		skip();
		return;
	}
	size_t rows = 0;
	while (fgets(line, sizeof line, in)) {
		struct row r;
		if (!read_row(line, &r) || strcmp(r.file, "file") == 0)
			continue;
		check(&r);
		rows++;
	}
	fclose(in);
	assert_int_equal(rows, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replay__real_uploads__equal_tshark),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
