#include "dissect/track_parts.h"

#include <string.h>

#include "dissect/quic.h"
#include "dissect/tls_records.h"

enum { PORT_DNS = 53, PORT_MDNS = 5353, QUIC_LONG_HEADER = 0x80 };
/* Shorter datagrams with a short header are too easily something else. */
enum { QUIC_MIN_SHORT_BYTES = 21 };

void track_endpoints(const struct track *tr, uint32_t id, struct facts_addr *ret_src,
		     struct facts_addr *ret_dst)
{
	struct flowkey key;
	flowtab_key_of(&tr->flows, id, &key);
	unsigned src = flow_has(flowtab_at(&tr->flows, id), FLOW_SWAPPED) ? 1 : 0;
	*ret_src = (struct facts_addr){.port = key.port[src], .family = key.family};
	*ret_dst = (struct facts_addr){.port = key.port[!src], .family = key.family};
	memcpy(ret_src->ip, key.ip[src], 16);
	memcpy(ret_dst->ip, key.ip[!src], 16);
}

/* An extension that only held the slot goes back. */
static void trim_ext(struct track *tr, struct flow *f)
{
	if (flow_has(f, FLOW_SLOT_ONLY))
		tcpacct_release(&tr->tcp, f);
}

void track_close_inspection(struct track *tr, uint32_t id)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	if (flow_has(f, FLOW_INSPECTED) && f->label)
		return;
	struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
	struct facts_addr src, dst;
	track_endpoints(tr, id, &src, &dst);
	struct inspect_slot *slot = x ? x->slot : NULL;
	f->label = inspect_close(tr->inspect, slot, f->proto, &src, &dst, f->start_ns);
	if (x)
		x->slot = NULL;
	f->state = (f->state & ~(uint32_t)FLOW_INSPECTING) | FLOW_INSPECTED;
	trim_ext(tr, f);
}

/* No slot or no extension: the flow goes without, except for what DNS says when it ends. */
static struct inspect_slot *open_slot(struct track *tr, struct flow *f)
{
	f->state |= FLOW_INSPECTED;
	bool fresh = !f->ext;
	struct flow_ext *x = tcpacct_ext(&tr->tcp, f);
	f->state |= fresh && x ? FLOW_SLOT_ONLY : 0;
	struct inspect_slot *slot = x ? inspect_open(tr->inspect, f->proto) : NULL;
	if (!slot) {
		trim_ext(tr, f);
		return NULL;
	}
	x->slot = slot;
	f->state = (f->state & ~(uint32_t)FLOW_INSPECTED) | FLOW_INSPECTING;
	return slot;
}

static void feed_tls(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir,
		     uint32_t position)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	if (tls_records_inside(&f->tls.dir[dir], position, seg->payload_bytes))
		return;
	const struct tls_app_segment s = {
	    .flow = id,
	    .dir = dir,
	    .position = position,
	    .acked = f->dir[dir].acked,
	    .payload = seg->payload,
	    .captured_bytes = seg->payload_captured_bytes,
	    .bytes = seg->payload_bytes,
	};
	tls_app_add(&f->tls, tr->tls_pool, &s);
}

void track_inspect(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir, uint32_t position)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	struct flow_ext *x = tcpacct_ext_of(&tr->tcp, f);
	struct inspect_slot *slot = NULL;
	if (!flow_has(f, FLOW_INSPECTED))
		slot = flow_has(f, FLOW_INSPECTING) ? x->slot : open_slot(tr, f);
	if (!slot) {
		if (f->proto == 6 && seg->sport == PORT_DNS)
			inspect_dns(tr->inspect, seg);
		/* records can be followed from their first header on only */
		if (f->proto == 6 && flow_has(f, FLOW_DIR(FLOW_SYN_0, dir)))
			feed_tls(tr, id, seg, dir, position);
		return;
	}
	struct inspect_input input = {
	    .seg = seg,
	    .flow = id,
	    .start_ns = f->start_ns,
	    .position = position,
	    .acked = f->dir[dir].acked,
	    .from_initiator = dir == 0,
	    .tls = f->proto == 6 ? &f->tls : NULL,
	};
	track_endpoints(tr, id, &input.src, &input.dst);
	if (inspect_segment(tr->inspect, slot, &input) == INSPECT_DONE)
		track_close_inspection(tr, id);
}

static struct flow *linked(struct track *tr, struct quicmove_flow at, uint32_t self, uint64_t now_ns)
{
	if (!at.id || at.id == self || !flowtab_live(&tr->flows, at.id))
		return NULL;
	struct flow *f = flowtab_at(&tr->flows, at.id);
	if (f->birth != at.birth || !flow_has(f, FLOW_QUIC))
		return NULL;
	uint64_t apart = now_ns > f->last_ns ? now_ns - f->last_ns : 0;
	return apart <= QUICMOVE_WINDOW_NS ? f : NULL;
}

/* The first datagram of a flow has a short header: it may go on with another flow's connection and inherits
 * what that one is called. Bytes stay where they were sent. */
static bool continues(struct track *tr, uint32_t id, const struct segment *seg)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	struct facts_addr client, server;
	track_endpoints(tr, id, &client, &server);
	struct quicmove_flow at =
	    quicmove_find_cid(tr->quicmove, &server, seg->payload, seg->payload_captured_bytes);
	struct flow *from = linked(tr, at, id, seg->ts_ns);
	if (!from) {
		at = quicmove_find_pair(tr->quicmove, &client, &server);
		from = linked(tr, at, id, seg->ts_ns);
	}
	if (!from)
		return false;
	if (flow_has(from, FLOW_INSPECTING))
		track_close_inspection(tr, at.id);
	label_ref(tr->labels, from->label);
	f->label = from->label;
	f->state |= FLOW_QUIC | FLOW_INSPECTED;
	f->flags |= FACTS_MIGRATED;
	from->flags |= FACTS_MIGRATED;
	quicmove_learn_pair(tr->quicmove, &client, &server, (struct quicmove_flow){id, f->birth});
	tr->stats.quic_migrated++;
	return true;
}

static void learn_quic(struct track *tr, uint32_t id, const struct quic_view *view, unsigned dir)
{
	const struct flow *f = flowtab_at(&tr->flows, id);
	struct quicmove_flow me = {id, f->birth};
	struct facts_addr client, server;
	track_endpoints(tr, id, &client, &server);
	if (dir == 1)
		quicmove_learn_cid(tr->quicmove, &server, view->scid.id, view->scid.n, me);
	quicmove_learn_pair(tr->quicmove, &client, &server, me);
}

/* A client's Initial on ports that carried something else before: what came first told no name. */
static void inspect_anew(struct track *tr, struct flow *f)
{
	struct label l;
	label_get(tr->labels, f->label, &l);
	const bool named = l.name_source != FACTS_NAME_NONE && l.name_source != FACTS_NAME_DNS_ANSWER;
	if (named || !flow_has(f, FLOW_INSPECTED))
		return;
	label_unref(tr->labels, f->label);
	f->label = 0;
	f->state &= ~(uint32_t)FLOW_INSPECTED;
}

static void classify_quic(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	uint8_t first = seg->payload[0];
	if (first & QUIC_LONG_HEADER) {
		struct quic_view view;
		const bool other = flow_has(f, FLOW_NOT_QUIC);
		if (other && dir == 1)
			return;
		if (quic_look(seg->payload, seg->payload_captured_bytes, &view) && view.long_header &&
		    (!other || view.initial)) {
			if (other)
				inspect_anew(tr, f);
			f->state = (f->state & ~(uint32_t)FLOW_NOT_QUIC) | FLOW_QUIC;
			learn_quic(tr, id, &view, dir);
		} else if (!flow_has(f, FLOW_QUIC)) {
			f->state |= FLOW_NOT_QUIC;
		}
		return;
	}
	if (flow_has(f, FLOW_QUIC | FLOW_NOT_QUIC))
		return;
	/* The fixed bit says nothing here: peers that agreed on it send it at random, RFC 9287. */
	bool could = dir == 0 && seg->payload_bytes >= QUIC_MIN_SHORT_BYTES;
	if (!could || !continues(tr, id, seg))
		f->state |= FLOW_NOT_QUIC;
}

static void add_bytes(struct flow_dir *d, uint32_t n)
{
	uint64_t bytes = ((uint64_t)d->acked << 32 | d->low) + n;
	d->low = (uint32_t)bytes;
	d->acked = (uint32_t)(bytes >> 32);
}

static void read_datagram(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir)
{
	const struct flow *f = flowtab_at(&tr->flows, id);
	if (!flow_has(f, FLOW_INSPECTED)) {
		track_inspect(tr, id, seg, dir, 0);
		return;
	}
	if ((seg->sport == PORT_DNS || seg->sport == PORT_MDNS) && inspect_wants_dns(seg))
		inspect_dns(tr->inspect, seg);
}

void track_udp(struct track *tr, uint32_t id, const struct segment *seg, unsigned dir)
{
	struct flow *f = flowtab_at(&tr->flows, id);
	f->state |= dir == 1 ? FLOW_ANSWERED : 0;
	if (!seg->payload_bytes)
		return;
	f->state |= FLOW_PAYLOAD;
	bool readable = f->proto == 17 && seg->payload_captured_bytes;
	if (readable)
		classify_quic(tr, id, seg, dir);
	enum copies_kind kind = flow_has(f, FLOW_QUIC) ? COPIES_QUIC : COPIES_OTHER_UDP;
	bool copy = readable && copies_seen(tr->copies, id, dir, seg, kind);
	quality_payload(&tr->quality, copy);
	if (copy) {
		tr->stats.udp_duplicates++;
		f->flags |= FACTS_DUPLICATED;
		struct flow_ext *x = tcpacct_ext(&tr->tcp, f);
		if (x)
			x->dir[dir].dup_bytes += seg->payload_bytes;
		return;
	}
	bool begins = dir == 0 && !(f->dir[0].low | f->dir[0].acked);
	add_bytes(&f->dir[dir], seg->payload_bytes);
	if (begins && readable && (seg->payload[0] & QUIC_LONG_HEADER) && flow_has(f, FLOW_QUIC))
		track_seek_pair(tr, id, seg);
	if (readable)
		read_datagram(tr, id, seg, dir);
}
