#include "dissect/decode.h"

#include "dissect/decode_walk.h"

const char *const decode_verdict_names[DECODE_VERDICT_COUNT] = {
#define X(name, text) text,
    DECODE_VERDICTS(X)
#undef X
};

static int step_once(struct decode_walk *w)
{
	switch (w->step) {
	case DECODE_STEP_ETHERNET:
		return decode_ethernet(w);
	case DECODE_STEP_ETHERTYPE:
		return decode_ethertype(w);
	case DECODE_STEP_PPP:
		return decode_ppp(w);
	case DECODE_STEP_IP:
		return decode_ip(w);
	}
	return DECODE_BAD_HEADER;
}

/* Inner headers that do not hold up prove that this was no tunnel: then the outer packet is the answer. The
 * limits are final, or nesting deeper than them would pass for a plain outer flow. */
static enum decode_verdict settle(struct decode_walk *w, enum decode_verdict verdict)
{
	if (!w->has_outer)
		return verdict;
	switch (verdict) {
	case DECODE_NOT_IP:
	case DECODE_SHORT:
	case DECODE_BAD_HEADER:
		*w->seg = w->outer;
		return w->outer_verdict;
	default:
		return verdict;
	}
}

/* Ends: every step consumes bytes, and each way back to an Ethernet or IP header counts as a tunnel. */
static enum decode_verdict finish(struct decode_walk *w, int verdict)
{
	while (verdict == DECODE_MORE)
		verdict = step_once(w);
	return settle(w, (enum decode_verdict)verdict);
}

enum decode_verdict decode_frame(const struct decode_conf *conf, const struct packet *pkt,
				 struct segment *ret_seg)
{
	uint32_t captured = pkt->caplen < pkt->len ? pkt->caplen : pkt->len;
	ret_seg->ts_ns = pkt->ts_ns;
	ret_seg->frame_bytes = pkt->len;
	ret_seg->n_vlan = 0;
	memset(ret_seg->vlan, 0, sizeof ret_seg->vlan);
	ret_seg->flags = 0;
	ret_seg->n_tunnels = 0;
	ret_seg->input = pkt->input;
	ret_seg->number = pkt->number;
	if (!conf->verify_checksums && decode_plain(pkt, captured, ret_seg))
		return DECODE_OK;
	struct decode_walk w;
	w.conf = conf;
	w.seg = ret_seg;
	w.in = bytes_of(pkt->data, captured);
	w.wire_bytes = pkt->len;
	w.type = 0;
	w.has_outer = false;
	return finish(&w, decode_link(&w, pkt->link));
}

enum decode_verdict decode_datagram(const struct decode_conf *conf, struct segment *seg)
{
	struct decode_walk w;
	w.conf = conf;
	w.seg = seg;
	w.in = bytes_of(seg->payload, seg->payload_captured_bytes);
	w.wire_bytes = seg->payload_bytes;
	w.type = seg->proto;
	w.has_outer = false;
	if (seg->payload_captured_bytes > seg->payload_bytes)
		w.in.end = w.in.at + seg->payload_bytes;
	seg->flags &= (uint16_t)~SEGMENT_SLICED;
	return finish(&w, decode_ip_payload(&w));
}
