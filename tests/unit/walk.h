/* walk: flows of a small capture through inspect, for tests: a list instead of a flow table, positions by
 * sequence number from the SYN or the first payload, no loss handling. */
#ifndef LEAKTAP_TESTS_UNIT_WALK_H
#define LEAKTAP_TESTS_UNIT_WALK_H

#include "dissect/inspect.h"
#include "replay.h"

struct walk_flow {
	struct facts_addr a, b; /* initiator, responder */
	uint8_t proto;
	bool based[2], done;
	uint32_t base[2], acked[2];
	uint64_t start_ns;
	uint64_t app[2];
	struct tls_app tls;
	struct inspect_slot *slot;
	uint32_t label;
};

struct walk {
	struct inspect *in;
	struct defrag *defrag;
	struct walk_flow *flows;
	size_t n, max;
};

static inline struct facts_addr walk_addr(const uint8_t ip[16], uint16_t port, uint8_t family)
{
	struct facts_addr x = {.port = port, .family = family};
	memcpy(x.ip, ip, family == 4 ? 4 : 16);
	return x;
}

static inline bool walk_same(const struct facts_addr *x, const struct facts_addr *y)
{
	return x->port == y->port && x->family == y->family && !memcmp(x->ip, y->ip, 16);
}

static inline struct walk_flow *walk_find(struct walk *w, const struct segment *seg, bool *ret_up)
{
	struct facts_addr s = walk_addr(seg->src, seg->sport, seg->family),
			  d = walk_addr(seg->dst, seg->dport, seg->family);
	for (size_t i = w->n; i-- > 0;) {
		struct walk_flow *f = &w->flows[i];
		if (f->proto != seg->proto)
			continue;
		*ret_up = walk_same(&f->a, &s) && walk_same(&f->b, &d);
		if (*ret_up || (walk_same(&f->a, &d) && walk_same(&f->b, &s)))
			return f;
	}
	if (w->n == w->max) {
		w->max = w->max ? 2 * w->max : 256;
		w->flows = realloc(w->flows, w->max * sizeof *w->flows);
	}
	struct walk_flow *f = &w->flows[w->n++];
	bool answer = (seg->tcp_flags & (SEGMENT_SYN | SEGMENT_ACK)) == (SEGMENT_SYN | SEGMENT_ACK);
	*ret_up = !answer;
	*f = (struct walk_flow){
	    .a = answer ? d : s, .b = answer ? s : d, .proto = seg->proto, .start_ns = seg->ts_ns};
	return f;
}

static inline void walk_close(struct walk *w, struct walk_flow *f)
{
	if (!f->done)
		f->label = inspect_close(w->in, f->slot, f->proto, &f->a, &f->b, f->start_ns);
	f->done = true;
	f->slot = NULL;
}

static inline void walk_tcp(struct walk *w, struct walk_flow *f, const struct segment *seg, bool up,
			    struct inspect_input *input)
{
	const unsigned dir = up ? 0 : 1;
	if (!f->based[dir]) {
		f->based[dir] = seg->payload_bytes || seg->tcp_flags & SEGMENT_SYN;
		f->base[dir] = seg->tcp_seq + (seg->tcp_flags & SEGMENT_SYN ? 1 : 0);
	}
	if (seg->tcp_flags & SEGMENT_ACK && f->based[!dir] &&
	    (int32_t)(seg->tcp_ack - f->base[!dir] - f->acked[!dir]) > 0)
		f->acked[!dir] = seg->tcp_ack - f->base[!dir];
	input->position = seg->tcp_seq + (seg->tcp_flags & SEGMENT_SYN ? 1 : 0) - f->base[dir];
	input->acked = f->acked[dir];
	input->tls = &f->tls;
	if (!seg->payload_bytes || input->position >= UINT32_C(1) << 31)
		return;
	if (f->done) {
		struct tls_app_segment s = {.flow = input->flow,
					    .dir = dir,
					    .position = input->position,
					    .acked = input->acked,
					    .payload = seg->payload,
					    .captured_bytes = seg->payload_captured_bytes,
					    .bytes = seg->payload_bytes};
		tls_app_add(&f->tls, inspect_tls_pool(w->in), &s);
	} else if (inspect_segment(w->in, f->slot, input) == INSPECT_DONE) {
		walk_close(w, f);
	}
	f->app[0] += tls_app_take(&f->tls, 0);
	f->app[1] += tls_app_take(&f->tls, 1);
}

static inline void walk_segment(struct walk *w, const struct segment *seg)
{
	if (seg->proto != 6 && seg->proto != 17)
		return;
	bool up;
	struct walk_flow *f = walk_find(w, seg, &up);
	if (!f->slot && !f->done)
		f->slot = inspect_open(w->in, seg->proto);
	struct inspect_input input = {.seg = seg,
				      .flow = (uint64_t)(f - w->flows) + 1,
				      .src = f->a,
				      .dst = f->b,
				      .start_ns = f->start_ns,
				      .from_initiator = up};
	if (f->proto == 6) {
		walk_tcp(w, f, seg, up, &input);
	} else if (seg->payload_bytes) {
		if (f->done)
			inspect_dns(w->in, seg);
		else if (inspect_segment(w->in, f->slot, &input) == INSPECT_DONE)
			walk_close(w, f);
	}
}

static inline void walk_packet(void *ctx, const struct packet *pkt)
{
	struct walk *w = ctx;
	struct segment seg, whole;
	struct decode_conf conf = {0};
	enum decode_verdict v = decode_frame(&conf, pkt, &seg);
	if (v == DECODE_FRAGMENT && defrag_add(w->defrag, &seg, pkt->ts_ns, &whole, NULL) == DEFRAG_WHOLE) {
		seg = whole;
		v = decode_datagram(&conf, &seg);
	}
	if (v == DECODE_OK)
		walk_segment(w, &seg);
}

static inline void walk_end(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++) {
		struct walk_flow *f = &w->flows[i];
		walk_close(w, f);
		tls_app_end(&f->tls, inspect_tls_pool(w->in), i + 1);
		tls_app_tail(&f->tls, 0, f->acked[0]);
		tls_app_tail(&f->tls, 1, f->acked[1]);
		f->app[0] += tls_app_take(&f->tls, 0);
		f->app[1] += tls_app_take(&f->tls, 1);
	}
}

static inline void walk_forget(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++)
		label_unref(inspect_labels(w->in), w->flows[i].label);
	free(w->flows);
	w->flows = NULL;
	w->n = w->max = 0;
}

#endif
