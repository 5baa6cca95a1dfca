#include "capture/bpf.h"

#include <errno.h>
#include <pcap/pcap.h>
#include <stdlib.h>

#include "capture/linktype.h"

/* Reaches past every header; a filter returns it as the number of bytes to keep. */
enum { BPF_SNAPLEN_BYTES = 262144 };

struct bpf {
	struct bpf_program program;
};

static int compile(pcap_t *handle, struct bpf_program *ret_program, const char *text, struct err *err)
{
	if (pcap_compile(handle, ret_program, text, 1, PCAP_NETMASK_UNKNOWN))
		return err_set(err, LT_EFILTER, "filter \"%s\" for %s: %s", text,
			       bpf_linktype_name((uint32_t)pcap_datalink(handle)), pcap_geterr(handle));
	return 0;
}

int bpf_new(struct bpf **ret_bpf, const char *text, enum packet_link link, struct err *err)
{
	struct bpf *bpf = calloc(1, sizeof *bpf);
	pcap_t *handle = pcap_open_dead(linktype_dlt(link), BPF_SNAPLEN_BYTES);
	int r;
	if (!bpf || !handle)
		r = err_set(err, -ENOMEM, "filter: out of memory");
	else
		r = compile(handle, &bpf->program, text, err);
	if (handle)
		pcap_close(handle);
	if (r) {
		free(bpf);
		return r;
	}
	*ret_bpf = bpf;
	return 0;
}

void bpf_free(struct bpf *bpf)
{
	if (!bpf)
		return;
	pcap_freecode(&bpf->program);
	free(bpf);
}

bool bpf_match(const struct bpf *bpf, const struct packet *pkt)
{
	struct pcap_pkthdr hdr = {.caplen = pkt->caplen, .len = pkt->len};
	return pcap_offline_filter(&bpf->program, &hdr, pkt->data) != 0;
}

int bpf_attach(struct pcap *handle, const char *text, struct err *err)
{
	struct bpf_program program;
	int r = compile(handle, &program, text, err);
	if (r)
		return r;
	if (pcap_setfilter(handle, &program))
		r = err_set(err, -EIO, "filter \"%s\": %s", text, pcap_geterr(handle));
	pcap_freecode(&program);
	return r;
}

const char *bpf_linktype_name(uint32_t number)
{
	/* Raw IP has another number in files than in memory; libpcap translates it only inside. */
	const char *name = number == 101         ? "RAW"
			   : number <= INT32_MAX ? pcap_datalink_val_to_name((int)number)
						 : NULL;
	return name ? name : "unknown";
}
