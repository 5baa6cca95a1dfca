/* Any bytes as a capture file: plain, gzip or zstd; pcap or pcapng; with and without a filter. Every view
 * must lie in readable memory, captured never exceeds wire length, and the source must end. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/source.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

static void read_all(const char *path, const char *filter)
{
	struct source *src;
	struct packet pkts[SOURCE_BURST];
	struct source_stats st;
	struct err err = {0};
	uint64_t packets = 0;
	int n;
	if (source_open(&src, &(struct source_conf){.path = path, .filter = filter}, &err))
		return;
	while ((n = source_poll(src, pkts, &err)) >= 0) {
		packets += (uint64_t)n;
		for (int i = 0; i < n; i++) {
			if (pkts[i].caplen > pkts[i].len || pkts[i].link >= PACKET_LINK_COUNT)
				abort();
			for (uint32_t k = 0; k < pkts[i].caplen; k += 61)
				sink = pkts[i].data[k];
			if (pkts[i].caplen)
				sink = pkts[i].data[pkts[i].caplen - 1];
		}
	}
	source_stats(src, &st);
	if (st.packets != packets || source_poll(src, pkts, NULL) != n)
		abort();
	source_close(src);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfd_create("capture", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	read_all(path, NULL);
	read_all(path, "udp port 53");
	close(fd);
	return 0;
}
