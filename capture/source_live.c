#include <errno.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/base/widen.h"
#include "capture/bpf.h"
#include "capture/linktype.h"
#include "capture/source_kind.h"

enum {
	LIVE_TICK_MS =
	    100, /* how long a poll waits, and how long the kernel holds a block that is not full */
	LIVE_RING_BYTES = 64 * 1024 * 1024,
	LIVE_SNAPLEN_BYTES = 262144,
	LIVE_ALIGN_BYTES = 64,   /* each copied frame starts a cache line */
	LIVE_STATS_POLLS = 4096, /* 131,072 packets: the 32-bit counters cannot wrap unseen in between */
};

/* After source_break: at least as long as a block may be held back, at most a second on a busy line. */
#define DRAIN_MIN_NS (2 * LIVE_TICK_MS * CLOCK_NS_PER_MS)
#define DRAIN_MAX_NS CLOCK_NS_PER_S

struct source_live {
	struct source base;
	pcap_t *handle;
	char *iface;
	unsigned index; /* of the interface when it was opened */
	int fd;
	uint32_t snaplen_bytes;
	uint32_t fraction_ns;
	uint16_t link, input;
	uint8_t *frames; /* SOURCE_BURST frames of snaplen; only the pages that frames really fill are ever
			    touched */
	size_t frames_at;
	struct packet *pkts; /* of the poll that is running */
	int n_pkts;
	uint32_t number;
	uint64_t packets, bytes;
	struct widen kernel_drops, iface_drops; /* libpcap counts in 32 bits */
	unsigned polls;
	uint64_t broken_at_ns; /* monotonic; 0: source_break has not been seen */
	struct err end;
};

static struct source_live *live_of(struct source *src)
{
	return (struct source_live *)src;
}

/* libpcap's callback. Its memory goes back to the kernel when it returns, hence the copy. */
static void take_frame(u_char *user, const struct pcap_pkthdr *hdr, const u_char *bytes)
{
	struct source_live *lv = (struct source_live *)(void *)user;
	if (lv->n_pkts == SOURCE_BURST)
		return; /* never asked for more; a libpcap that gave more must not write past the burst */
	uint32_t caplen = hdr->caplen < lv->snaplen_bytes ? hdr->caplen : lv->snaplen_bytes;
	uint8_t *frame = lv->frames + lv->frames_at;
	memcpy(frame, bytes, caplen);
	lv->frames_at += ((size_t)caplen + LIVE_ALIGN_BYTES - 1) / LIVE_ALIGN_BYTES * LIVE_ALIGN_BYTES;
	lv->pkts[lv->n_pkts++] = (struct packet){
	    .ts_ns = (uint64_t)hdr->ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)hdr->ts.tv_usec * lv->fraction_ns,
	    .data = frame,
	    .caplen = caplen,
	    .len = hdr->len > caplen ? hdr->len : caplen,
	    .link = lv->link,
	    .input = lv->input,
	    .number = ++lv->number,
	};
	lv->bytes += lv->pkts[lv->n_pkts - 1].len;
}

static void count_drops(struct source_live *lv)
{
	struct pcap_stat st;
	if (pcap_stats(lv->handle, &st))
		return;
	widen_look(&lv->kernel_drops, st.ps_drop);
	widen_look(&lv->iface_drops, st.ps_ifdrop);
}

static int finish(struct source_live *lv, int code, const char *text, struct err *err)
{
	err_set(&lv->end, code, "%s", text);
	return err_set(err, code, "%s", text);
}

/* A name that is gone or belongs to another interface now: nothing will ever come from this handle. */
static int finish_failed(struct source_live *lv, struct err *err)
{
	struct err why;
	bool gone = if_nametoindex(lv->iface) != lv->index && lv->index != 0;
	err_set(&why, 0, "%s: %s", lv->iface, gone ? "the interface disappeared" : pcap_geterr(lv->handle));
	return finish(lv, gone || strstr(pcap_geterr(lv->handle), "disappeared") ? LT_EGONE : -EIO, why.text,
		      err);
}

/* Frames that lie ready. How many, or negative for good. */
static int take_ready(struct source_live *lv, struct packet *pkts, struct err *err)
{
	lv->pkts = pkts;
	lv->n_pkts = 0;
	lv->frames_at = 0;
	int r = pcap_dispatch(lv->handle, SOURCE_BURST, take_frame, (u_char *)lv);
	if (lv->n_pkts == 0 && r < 0)
		return finish_failed(lv, err);
	lv->packets += (uint64_t)lv->n_pkts;
	return lv->n_pkts;
}

/* How long ago source_break was first seen; 0: it was not. */
static uint64_t broken_for_ns(struct source_live *lv)
{
	if (!source_stopped(&lv->base))
		return 0;
	uint64_t now_ns = clock_monotonic_ns();
	if (!lv->broken_at_ns)
		lv->broken_at_ns = now_ns - 1;
	return now_ns - lv->broken_at_ns;
}

static int live_poll(struct source *src, struct packet *pkts, struct err *err)
{
	struct source_live *lv = live_of(src);
	if (lv->end.code)
		return err_set(err, lv->end.code, "%s", lv->end.text);
	if (++lv->polls % LIVE_STATS_POLLS == 0)
		count_drops(lv);
	if (broken_for_ns(lv) > DRAIN_MAX_NS)
		return finish(lv, -ENODATA, "stopped", err);
	int n = take_ready(lv, pkts, err);
	if (n)
		return n;
	if (broken_for_ns(lv) > DRAIN_MIN_NS)
		return finish(lv, -ENODATA, "stopped", err);
	/* A signal ends the wait early, which is what source_break from its handler wants. */
	struct pollfd p = {.fd = lv->fd, .events = POLLIN};
	poll(&p, 1, LIVE_TICK_MS);
	return take_ready(lv, pkts, err);
}

static void live_stats(struct source *src, struct source_stats *ret_stats)
{
	struct source_live *lv = live_of(src);
	count_drops(lv);
	ret_stats->packets = lv->packets;
	ret_stats->bytes = lv->bytes;
	ret_stats->kernel_drops = lv->kernel_drops.total;
	ret_stats->iface_drops = lv->iface_drops.total;
}

static const char *live_input_name(const struct source *src, uint16_t input)
{
	const struct source_live *lv = (const struct source_live *)src;
	return input == lv->input ? lv->iface : NULL;
}

static void live_close(struct source *src)
{
	struct source_live *lv = live_of(src);
	if (lv->handle)
		pcap_close(lv->handle);
	free(lv->frames);
	free(lv->iface);
	free(lv);
}

static const struct source_ops live_ops = {live_poll, live_stats, live_input_name, live_close};

static int refuse_activation(const struct source_live *lv, int code, struct err *err)
{
	const char *more = pcap_geterr(lv->handle);
	switch (code) {
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return err_set(err, -EPERM,
			       "%s: no permission to capture; run as root or give the program CAP_NET_RAW "
			       "(setcap cap_net_raw+ep)",
			       lv->iface);
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return err_set(err, -ENODEV, "%s: no such interface", lv->iface);
	case PCAP_ERROR_IFACE_NOT_UP:
		return err_set(err, -ENETDOWN, "%s: the interface is not up", lv->iface);
	default:
		return err_set(err, -EIO, "%s: %s%s%s", lv->iface, pcap_statustostr(code),
			       more[0] ? ": " : "", more);
	}
}

static int activate(struct source_live *lv, const struct source_conf *conf, struct err *err)
{
	char text[PCAP_ERRBUF_SIZE];
	lv->handle = pcap_create(lv->iface, text);
	if (!lv->handle)
		return err_set(err, -EIO, "%s: %s", lv->iface, text);
	uint32_t ring = conf->ring_bytes ? conf->ring_bytes : LIVE_RING_BYTES;
	pcap_set_snaplen(lv->handle, (int)lv->snaplen_bytes);
	pcap_set_promisc(lv->handle, 1);
	pcap_set_timeout(lv->handle, LIVE_TICK_MS);
	pcap_set_immediate_mode(lv->handle, 0); /* whole blocks: fewer wake-ups */
	pcap_set_buffer_size(lv->handle, ring < INT32_MAX ? (int)ring : INT32_MAX);
	bool nano = pcap_set_tstamp_precision(lv->handle, PCAP_TSTAMP_PRECISION_NANO) == 0;
	/* Above 0 are warnings, such as an interface that cannot be promiscuous. */
	int r = pcap_activate(lv->handle);
	if (r < 0)
		return refuse_activation(lv, r, err);
	lv->fraction_ns =
	    nano && pcap_get_tstamp_precision(lv->handle) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
	lv->index = if_nametoindex(lv->iface); /* 0 of "any" */
	lv->fd = pcap_get_selectable_fd(lv->handle);
	if (lv->fd < 0 || pcap_setnonblock(lv->handle, 1, text))
		return err_set(err, LT_EUNSUPPORTED, "%s: cannot be polled", lv->iface);
	return 0;
}

static int prepare(struct source_live *lv, const struct source_conf *conf, struct err *err)
{
	uint32_t number = (uint32_t)pcap_datalink(lv->handle);
	int link = linktype_to_link(number);
	if (link < 0)
		return linktype_refuse(lv->iface, number, err);
	lv->link = (uint16_t)link;
	if (conf->filter && conf->filter[0])
		return bpf_attach(lv->handle, conf->filter, err);
	return 0;
}

int source_live_open(struct source **ret_src, const struct source_conf *conf, struct err *err)
{
	struct source_live *lv = calloc(1, sizeof *lv);
	if (!lv)
		return err_set(err, -ENOMEM, "%s: out of memory", conf->iface);
	lv->base.ops = &live_ops;
	lv->input = conf->input;
	lv->snaplen_bytes = conf->snaplen_bytes ? conf->snaplen_bytes : LIVE_SNAPLEN_BYTES;
	if (lv->snaplen_bytes > LIVE_SNAPLEN_BYTES)
		lv->snaplen_bytes = LIVE_SNAPLEN_BYTES;
	lv->iface = strdup(conf->iface);
	lv->frames = aligned_alloc(LIVE_ALIGN_BYTES,
				   SOURCE_BURST * (((size_t)lv->snaplen_bytes + LIVE_ALIGN_BYTES - 1) /
						   LIVE_ALIGN_BYTES * LIVE_ALIGN_BYTES));
	int r = lv->iface && lv->frames ? activate(lv, conf, err)
					: err_set(err, -ENOMEM, "%s: out of memory", conf->iface);
	if (r == 0)
		r = prepare(lv, conf, err);
	if (r) {
		live_close(&lv->base);
		return r;
	}
	*ret_src = &lv->base;
	return 0;
}
