/* yardstick: the least a libpcap program can do with a capture - count its packets and bytes. Times of
 * leaktap are told as multiples of this one's CPU time in the same run. */
#include <pcap/pcap.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

struct count {
	uint64_t packets, bytes;
};

static void count_packet(u_char *user, const struct pcap_pkthdr *hdr, const u_char *bytes)
{
	struct count *c = (struct count *)(void *)user;
	(void)bytes;
	c->packets++;
	c->bytes += hdr->len;
}

int main(int argc, char **argv)
{
	char text[PCAP_ERRBUF_SIZE];
	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return 2;
	}
	pcap_t *handle = pcap_open_offline(argv[1], text);
	if (!handle) {
		fprintf(stderr, "%s: %s\n", argv[1], text);
		return 2;
	}
	struct count c = {0, 0};
	int r = pcap_loop(handle, -1, count_packet, (u_char *)&c);
	struct timespec cpu;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	printf("yardstick packets %llu bytes %llu cpu_s %ld.%06ld\n", (unsigned long long)c.packets,
	       (unsigned long long)c.bytes, (long)cpu.tv_sec, cpu.tv_nsec / 1000);
	if (r)
		fprintf(stderr, "%s: %s\n", argv[1], pcap_geterr(handle));
	pcap_close(handle);
	return r ? 3 : 0;
}
