#include "dissect/track.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dissect/track_parts.h"

enum {
	TRACK_MAX_FLOWS = 4 << 20,
	TRACK_MIN_EXTS = 1024,
	TRACK_STEPS_PER_BURST = 1024,
	TRACK_STEPS_PER_TICK = 65536,
	FINISH_AHEAD = 8,
};

#define IDLE_TCP_NS (3600 * track_ns_per_s)
#define IDLE_UDP_NS (180 * track_ns_per_s)
#define CLOSED_NS   (30 * track_ns_per_s)

static void set_defaults(struct track_conf *c)
{
	if (!c->max_flows || c->max_flows > UINT32_MAX / 2)
		c->max_flows = TRACK_MAX_FLOWS;
	if (!c->idle_tcp_ns)
		c->idle_tcp_ns = IDLE_TCP_NS;
	if (!c->idle_udp_ns)
		c->idle_udp_ns = IDLE_UDP_NS;
	if (!c->closed_ns)
		c->closed_ns = CLOSED_NS;
}

static uint64_t shortest(const struct track_conf *c)
{
	const uint64_t all[] = {c->idle_tcp_ns, c->idle_udp_ns, c->closed_ns, TRACK_HALF_OPEN_NS};
	uint64_t least = all[0];
	for (size_t i = 1; i < sizeof all / sizeof *all; i++)
		least = all[i] < least ? all[i] : least;
	return least;
}

/* Tables whose size follows from the number of flows. */
static int make_tables(struct track *tr, struct hash_key key)
{
	uint32_t max = (uint32_t)tr->conf.max_flows;
	int r = flowtab_init(&tr->flows, max, key);
	if (r == 0)
		r = tcpacct_init(&tr->tcp, max / 4 + TRACK_MIN_EXTS);
	if (r == 0)
		r = arena_init(&tr->minutes, sizeof(struct flow_minute), max + (max / 4 + TRACK_MIN_EXTS) * 4,
			       true);
	return r;
}

static int make_parts(struct track *tr, struct hash_key key, struct err *err)
{
	const struct inspect_conf in = {
	    .wants_label = tr->conf.wants_label,
	    .wants_label_ctx = tr->conf.wants_label_ctx,
	    .zone = tr->conf.zone,
	    .mdns = tr->conf.mdns,
	    .max_assembly_bytes = tr->conf.max_assembly_bytes,
	};
	tr->vantages = vantage_new();
	tr->defrag = defrag_new();
	tr->copies = copies_new(key);
	tr->quicmove = quicmove_new(key);
	tr->natpair = natpair_new(key);
	tr->offload = tr->conf.verify_checksums ? offload_new(key) : NULL;
	bool complete = tr->vantages && tr->defrag && tr->copies && tr->quicmove && tr->natpair;
	if (!complete || (tr->conf.verify_checksums && !tr->offload))
		return err_set(err, -ENOMEM, "out of memory for the tables of a worker");
	int r = inspect_new(&tr->inspect, &in, err);
	if (r < 0)
		return r;
	tr->labels = inspect_labels(tr->inspect);
	tr->tls_pool = inspect_tls_pool(tr->inspect);
	tr->flows.vlan_of = tr->conf.vlan_in_key ? vantage_vlans(tr->vantages) : NULL;
	return 0;
}

int track_new(struct track **ret_tr, const struct track_conf *conf, struct err *err)
{
	struct hash_key key;
	if (getrandom(&key, sizeof key, 0) != (ssize_t)sizeof key)
		return err_set(err, -EIO, "no random bytes for the flow table's key");
	struct track *tr = calloc(1, sizeof *tr);
	if (!tr)
		return err_set(err, -ENOMEM, "out of memory for a worker");
	tr->conf = *conf;
	set_defaults(&tr->conf);
	tr->idle_min_ns = shortest(&tr->conf);
	int r = make_tables(tr, key);
	if (r < 0) {
		err_set(err, r, "cannot reserve a table of %zu flows: %s", tr->conf.max_flows,
			lt_strerror(r));
		goto undo_track;
	}
	r = make_parts(tr, key, err);
	if (r < 0)
		goto undo_track;
	*ret_tr = tr;
	return 0;
undo_track:
	track_free(tr);
	return r;
}

/* Flows that are still open hold slots and labels; they go without being told. */
static void drop_flows(struct track *tr)
{
	for (uint32_t id = 1; id <= tr->flows.flows.made; id++) {
		if (!flowtab_live(&tr->flows, id))
			continue;
		track_close_inspection(tr, id);
		label_unref(tr->labels, flowtab_at(&tr->flows, id)->label);
	}
}

void track_free(struct track *tr)
{
	if (!tr)
		return;
	if (tr->inspect)
		drop_flows(tr);
	inspect_free(tr->inspect);
	offload_free(tr->offload);
	natpair_free(tr->natpair);
	quicmove_free(tr->quicmove);
	copies_free(tr->copies);
	defrag_free(tr->defrag);
	vantage_free(tr->vantages);
	arena_done(&tr->minutes);
	tcpacct_done(&tr->tcp);
	flowtab_done(&tr->flows);
	free(tr);
}

static bool has_flow(enum decode_verdict v)
{
	return v == DECODE_OK || v == DECODE_OTHER_L4;
}

static void place_of(struct track *tr, struct segment *seg, enum decode_verdict v, struct track_place *ret)
{
	if (v == DECODE_OTHER_L4)
		seg->sport = seg->dport = 0;
	uint16_t vlan = 0;
	if (tr->flows.vlan_of)
		vlan = tr->flows.vlan_of[vantage_id(tr->vantages, seg)];
	flowtab_key(&ret->key, seg, vlan, &ret->side);
	ret->hash = flowtab_hash(&tr->flows, &ret->key);
	ret->where = 0;
}

/* What a wrong checksum means depends on its sender: a network card still had to finish it, or it was meant to
 * be refused by the receiver. Of the latter nothing is counted, but its flow says so. */
static enum decode_verdict judge_checksum(struct track *tr, enum decode_verdict v, struct segment *seg)
{
	bool bad = v == DECODE_BAD_CHECKSUM && (seg->flags & SEGMENT_BAD_CSUM);
	if (!bad && (v != DECODE_OK || (seg->flags & (SEGMENT_SLICED | SEGMENT_OVERLONG))))
		return v;
	if (offload_judge(tr->offload, seg) && bad) {
		seg->flags = (uint16_t)((seg->flags & ~SEGMENT_BAD_CSUM) | SEGMENT_PARTIAL_CSUM);
		return DECODE_OK;
	}
	return v;
}

static void note_refused(struct track *tr, enum decode_verdict v, struct segment *seg)
{
	struct track_place at;
	if (v != DECODE_BAD_CHECKSUM || !(seg->flags & SEGMENT_BAD_CSUM))
		return;
	place_of(tr, seg, v, &at);
	uint32_t id = flowtab_find(&tr->flows, &at.key, at.hash);
	if (id)
		track_note(flowtab_at(&tr->flows, id), seg);
}

/* Puts the datagram together that frag completes, and the one that this, out of a tunnel, may complete in turn:
 * as many rounds as there may be tunnels. false: something is still missing. */
static bool whole_datagram(struct track *tr, struct segment *seg, struct defrag_frames *ret_frames,
			   enum decode_verdict *ret_verdict)
{
	const struct decode_conf dc = {.verify_checksums = tr->conf.verify_checksums};
	for (unsigned round = 0; round <= DECODE_MAX_TUNNELS; round++) {
		const struct segment frag = *seg;
		if (defrag_add(tr->defrag, &frag, tr->clock.now_ns, seg, ret_frames) != DEFRAG_WHOLE)
			return false;
		*ret_verdict = decode_datagram(&dc, seg);
		if (*ret_verdict != DECODE_FRAGMENT)
			return true;
		uint64_t bytes = ret_frames->wire_bytes;
		seg->frame_bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
	}
	return false;
}

/* A fragment; the datagram it completes goes the way of every other, with the frames of all its fragments. */
static void take_fragment(struct track *tr, const struct segment *frag)
{
	struct segment seg = *frag;
	struct defrag_frames frames = {0};
	enum decode_verdict v;
	tr->fragment_bytes += frag->frame_bytes;
	if (!whole_datagram(tr, &seg, &frames, &v))
		return;
	if (tr->offload)
		v = judge_checksum(tr, v, &seg);
	tr->whole_bytes += frames.wire_bytes;
	tr->stats.verdict_bytes[v] += frames.wire_bytes;
	note_refused(tr, v, &seg);
	if (!has_flow(v))
		return;
	struct track_place at;
	place_of(tr, &seg, v, &at);
	track_segment(tr, &seg, &at, frames.wire_bytes, frames.n);
}

/* The first pass: what the packets are, and the index line of each is asked for. */
static void decode_burst(struct track *tr, const struct packet *pkts, size_t n)
{
	const struct decode_conf dc = {.verify_checksums = tr->conf.verify_checksums};
	struct track_burst *b = &tr->burst;
	for (size_t i = 0; i < n; i++) {
		enum decode_verdict v = decode_frame(&dc, &pkts[i], &b->segs[i]);
		if (tr->offload)
			v = judge_checksum(tr, v, &b->segs[i]);
		b->verdicts[i] = v;
		tr->stats.wire_bytes += pkts[i].len;
		tr->stats.verdicts[v]++;
		tr->stats.verdict_bytes[v] += v == DECODE_FRAGMENT ? 0 : pkts[i].len;
		if (!has_flow(v))
			continue;
		place_of(tr, &b->segs[i], v, &b->places[i]);
		flowtab_prefetch_bucket(&tr->flows, b->places[i].hash);
	}
	tr->stats.packets += n;
}

/* Three passes, so that memory is asked for long before it is needed: the index line by the hash, the entry
 * by the index, the work. */
static void take_burst(struct track *tr, const struct packet *pkts, size_t n)
{
	struct track_burst *b = &tr->burst;
	decode_burst(tr, pkts, n);
	for (size_t i = 0; i < n; i++)
		if (has_flow(b->verdicts[i]))
			b->places[i].where = flowtab_prefetch_flow(&tr->flows, b->places[i].hash);
	for (size_t i = 0; i < n; i++) {
		size_t ahead = i + TRACK_AHEAD;
		if (ahead < n && has_flow(b->verdicts[ahead]))
			track_prefetch(tr, flowtab_id_at(&tr->flows, b->places[ahead].where));
		if (has_flow(b->verdicts[i]))
			track_segment(tr, &b->segs[i], &b->places[i], pkts[i].len, 1);
		else if (b->verdicts[i] == DECODE_FRAGMENT)
			take_fragment(tr, &b->segs[i]);
		else {
			track_see_time(tr, pkts[i].ts_ns);
			note_refused(tr, b->verdicts[i], &b->segs[i]);
		}
	}
}

void track_packets(struct track *tr, const struct packet *pkts, size_t n)
{
	for (size_t at = 0; at < n; at += TRACK_BURST) {
		size_t some = n - at < TRACK_BURST ? n - at : TRACK_BURST;
		take_burst(tr, pkts + at, some);
		track_sweep(tr, TRACK_STEPS_PER_BURST);
	}
}

void track_tick(struct track *tr, uint64_t now_ns)
{
	if (tr->clock.now_ns == 0)
		return; /* nothing to expire before the first packet */
	if (now_ns > tr->clock.now_ns)
		tr->clock.now_ns = now_ns;
	track_sweep(tr, TRACK_STEPS_PER_TICK);
}

void track_finish(struct track *tr, enum facts_reason reason)
{
	size_t n;
	const uint32_t *ids = flowtab_order(&tr->flows, &n);
	for (size_t i = 0; i < n; i++) {
		if (i + 2 * FINISH_AHEAD < n)
			flowtab_prefetch(&tr->flows, ids[i + 2 * FINISH_AHEAD]);
		if (i + FINISH_AHEAD < n)
			track_prefetch_end(tr, ids[i + FINISH_AHEAD]);
		const struct flow *f = flowtab_at(&tr->flows, ids[i]);
		bool closed = f->proto == 6 && track_closed(f);
		track_end(tr, ids[i], closed ? track_idle_reason(f) : reason);
	}
	quality_finish(&tr->quality);
	flowtab_clear(&tr->flows);
	tcpacct_clear(&tr->tcp);
	arena_clear(&tr->minutes);
	tr->update_hand = tr->evict_hand = tr->evict_dear = 0;
}

static void add_sizes(const struct track *tr, const struct inspect_stats *in, struct track_stats *s)
{
	struct defrag_stats df;
	defrag_stats(tr->defrag, &df);
	s->frag_datagrams = df.datagrams;
	s->frag_expired = df.expired;
	s->frag_overlaps = df.overlaps;
	s->frag_evicted = df.evicted;
	s->frag_oversize = df.oversize;
	s->memory_bytes = sizeof *tr + flowtab_memory_bytes(&tr->flows) + arena_memory_bytes(&tr->tcp.exts) +
			  arena_memory_bytes(&tr->tcp.few) + arena_memory_bytes(&tr->tcp.many) +
			  arena_memory_bytes(&tr->minutes) + vantage_memory_bytes(tr->vantages) +
			  copies_memory_bytes() + quicmove_memory_bytes() + natpair_memory_bytes() +
			  (tr->offload ? offload_memory_bytes() : 0) + df.memory_bytes +
			  in->memory_bytes;
	s->flows_active = tr->flows.flows.in_use;
	s->max_flows = tr->conf.max_flows;
}

void track_stats(const struct track *tr, struct track_stats *ret_stats)
{
	struct inspect_stats in;
	struct track_stats s = tr->stats;
	inspect_stats(tr->inspect, &in);
	s.verdict_bytes[DECODE_FRAGMENT] =
	    tr->fragment_bytes > tr->whole_bytes ? tr->fragment_bytes - tr->whole_bytes : 0;
	s.segments_dup = tr->tcp.stats.segments_dup;
	s.segments_oow = tr->tcp.stats.segments_oow;
	s.ack_beyond_window = tr->tcp.stats.ack_beyond_window;
	s.isn_conflicts = tr->tcp.stats.isn_conflicts;
	s.intervals_full = tr->tcp.stats.intervals_full;
	s.ext_refused = tr->tcp.exts.refused;
	s.quic_undecryptable = in.quic_undecryptable;
	s.assembly_refused = in.assembly_refused;
	s.names_refused = labels_refused(tr->labels);
	s.appid_refused = in.appid.refused + in.slots_refused;
	s.appid_packets = in.appid.packets;
	s.appid_flows = in.appid.flows;
	s.dns_evicted = in.dns.evicted;
	s.minutes_refused = tr->minutes.refused;
	s.vantages_refused = vantage_refused(tr->vantages);
	s.tls_evicted = tls_app_pool_evicted(tr->tls_pool);
	s.quicmove_overwritten = quicmove_overwritten(tr->quicmove);
	s.copies_overwritten = copies_overwritten(tr->copies);
	s.natpair_overwritten = natpair_overwritten(tr->natpair);
	s.offload_overwritten = tr->offload ? offload_overwritten(tr->offload) : 0;
	s.quality = tr->quality.counts;
	s.alarms = tr->quality.alarms;
	add_sizes(tr, &in, &s);
	*ret_stats = s;
}
