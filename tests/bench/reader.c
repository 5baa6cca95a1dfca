/* reader: leaktap's own capture reader doing what the yardstick does, over one file or several. */
#include <errno.h>
#include <stdio.h>

#include "capture/base/clock.h"
#include "capture/source.h"

int main(int argc, char **argv)
{
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct err err;
	uint64_t packets = 0, bytes = 0;
	if (argc < 2) {
		fprintf(stderr, "usage: %s FILE...\n", argv[0]);
		return 2;
	}
	struct source_conf conf = {.paths = (const char *const *)argv + 1, .n_paths = (size_t)argc - 1};
	if (source_open(&src, &conf, &err)) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	int n;
	while ((n = source_poll(src, pkts, &err)) >= 0)
		for (int i = 0; i < n; i++) {
			packets++;
			bytes += pkts[i].len;
		}
	source_close(src);
	uint64_t cpu_ns = clock_cpu_ns();
	printf("reader packets %llu bytes %llu cpu_s %llu.%06llu\n", (unsigned long long)packets,
	       (unsigned long long)bytes, (unsigned long long)(cpu_ns / CLOCK_NS_PER_S),
	       (unsigned long long)(cpu_ns % CLOCK_NS_PER_S / 1000));
	return n == -ENODATA ? 0 : 3;
}
