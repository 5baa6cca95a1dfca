/* join_feed URL NAME FILE [records per second]: carries packed records through the join, as a sensor would: lines of the file are the
 * tag in one byte, the record's length in two, the record. Prints what the join counted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "detect/attrib/join.h"

enum { PAUSE_EVERY = 64 };

static void ignore(void *ctx, const struct cell_change *change)
{
	(void)ctx;
	(void)change;
}

static int feed(struct join *jn, FILE *f, double rate, struct err *err)
{
	static uint8_t record[UINT16_MAX];
	uint8_t head[3];
	uint64_t n = 0;
	int rc = 0;
	while (rc == 0 && fread(head, sizeof head, 1, f) == 1) {
		size_t bytes = (size_t)head[1] << 8 | head[2];
		if (fread(record, bytes, 1, f) != 1)
			return err_set(err, LT_EUSAGE, "the file is cut short");
		rc = join_put(jn, head[0], record, bytes, err);
		if (rate > 0 && ++n % PAUSE_EVERY == 0) {
			double s = PAUSE_EVERY / rate;
			nanosleep(&(struct timespec){(time_t)s, (long)((s - (double)(time_t)s) * 1e9)}, NULL);
		}
	}
	return rc ? rc : join_flush(jn, err);
}

int main(int argc, char **argv)
{
	struct redis_url url;
	struct err err = {0};
	struct join *jn;
	if (argc < 4 || redis_url_parse(&url, argv[1], &err) < 0) {
		fprintf(stderr, "usage: join_feed URL NAME FILE [records per second] %s\n", err.text);
		return 2;
	}
	FILE *f = fopen(argv[3], "rb");
	struct join_conf conf = {.url = &url, .source = argv[2], .cell_ttl_s = 7200, .rollup_ttl_s = 172800, .stream_cap = 100000,
				 .tell_all = true, .keep_ns = UINT64_C(600000000000), .fn = ignore};
	if (!f || join_open(&jn, &conf, &err) < 0) {
		fprintf(stderr, "%s\n", f ? err.text : "no such file");
		return 1;
	}
	int rc = feed(jn, f, argc > 4 ? strtod(argv[4], NULL) : 0, &err);
	struct join_stats st;
	join_stats(jn, &st);
	printf("records %" PRIu64 " batches %" PRIu64 " gaps %" PRIu64 " duplicates %" PRIu64 " errors %" PRIu64 " reconnects %" PRIu64
	       " moved %" PRIu64 " forced %" PRIu64 " overflow %" PRIu64 " %s\n",
	       st.records, st.batches, st.gaps, st.duplicates, st.errors, st.reconnects, st.moved, st.forced, st.overflow,
	       rc < 0 ? err.text : "");
	join_close(jn);
	fclose(f);
	return rc < 0;
}
