#include "dissect/quality.h"

enum { SPLIT_PERCENT = 20, LOSS_PERCENT = 10, COPIES_PERCENT = 30, PROTO_TCP = 6 };

static void count_dir(struct quality_counts *c, const struct facts_dir *d)
{
	if (d->basis != FACTS_BASIS_ACK)
		return;
	c->delivered_bytes += d->bytes;
	c->gap_bytes += d->gap_bytes < d->bytes ? d->gap_bytes : d->bytes;
}

void quality_flow(struct quality *q, const struct flow_facts *f)
{
	if (f->proto != PROTO_TCP)
		return;
	bool one_sided = f->flags & FACTS_ONE_SIDED;
	if (one_sided || (f->up.packets && f->down.packets))
		q->counts.judged_flows++;
	q->counts.one_sided_flows += one_sided;
	count_dir(&q->counts, &f->up);
	count_dir(&q->counts, &f->down);
}

static void judge(struct quality *q)
{
	const struct quality_counts *now = &q->counts, *was = &q->before;
	uint64_t flows = now->judged_flows - was->judged_flows;
	uint64_t bytes = now->delivered_bytes - was->delivered_bytes;
	uint64_t packets = now->payload_packets - was->payload_packets;
	q->alarms.possible_split_routing +=
	    flows >= QUALITY_MIN_FLOWS && (now->one_sided_flows - was->one_sided_flows) * 100 > flows * SPLIT_PERCENT;
	q->alarms.capture_loss +=
	    bytes >= QUALITY_MIN_BYTES && (now->gap_bytes - was->gap_bytes) * 100 >= bytes * LOSS_PERCENT;
	q->alarms.duplicates += packets >= QUALITY_MIN_PACKETS &&
				(now->copied_packets - was->copied_packets) * 100 > packets * COPIES_PERCENT;
	q->before = q->counts;
}

void quality_tick(struct quality *q, uint64_t now_ns)
{
	if (!q->window_ns || now_ns < q->window_ns)
		q->window_ns = now_ns;
	if (now_ns - q->window_ns < QUALITY_WINDOW_NS)
		return;
	judge(q);
	q->window_ns = now_ns;
}

void quality_finish(struct quality *q)
{
	judge(q);
	q->window_ns = 0;
}
