#include <string.h>
#include <strings.h>

#include "dissect/inspect_slot.h"

enum { RECORD_HEADER = 5, RECORD_HANDSHAKE = 22, PORT_WELL_KNOWN = 1024 };

static bool same_name(const char *ours, const struct appid_label *theirs)
{
	size_t n = strlen(ours), n_theirs = strlen(theirs->name);
	if (n_theirs && theirs->name[n_theirs - 1] == '.')
		n_theirs--;
	if (theirs->name_cut && n > n_theirs) {
		ours += n - n_theirs;
		n = n_theirs;
	}
	return n == n_theirs && strncasecmp(ours, theirs->name, n) == 0;
}

static void take_label(struct inspect *in, struct inspect_slot *slot, struct appid_flow *af)
{
	struct appid_label theirs;
	appid_label(in->appid, af, &theirs);
	if (!theirs.protocol[0])
		return;
	struct label l;
	inspect_known(in, slot, &l);
	l.ndpi_protocol = theirs.protocol;
	if (!l.app_proto && theirs.app_proto[0])
		l.app_proto = theirs.app_proto;
	if (theirs.ja3[0])
		l.ja3 = theirs.ja3;
	if (theirs.name[0]) {
		l.ndpi_name = theirs.name;
		const char *ours = l.sni ? l.sni : l.http_host ? l.http_host : l.connect_host;
		if (ours && !same_name(ours, &theirs) &&
		    !(l.connect_host && same_name(l.connect_host, &theirs)))
			l.flags |= FACTS_NDPI_DIFFERS;
	}
	inspect_learn(in, slot, &l);
}

void inspect_appid_done(struct inspect *in, struct inspect_slot *slot)
{
	appid_flow_put(in->appid, slot->appid);
	slot->appid = NULL;
	slot->appid_done = true;
}

bool inspect_appid_wanted(const struct inspect_slot *slot, const struct inspect_input *input)
{
	return input->src.port < PORT_WELL_KNOWN || input->dst.port < PORT_WELL_KNOWN ||
	       slot->payload_bytes >= INSPECT_APPID_BYTES;
}

static void turn_round(struct segment *seg)
{
	const struct segment was = *seg;
	memcpy(seg->src, was.dst, sizeof seg->src);
	memcpy(seg->dst, was.src, sizeof seg->dst);
	seg->sport = was.dport;
	seg->dport = was.sport;
	seg->tcp_seq = was.tcp_ack;
	seg->tcp_ack = was.tcp_seq;
}

/* What the client said first, while nDPI was not wanted yet. */
static void feed_first(struct inspect *in, const struct inspect_slot *slot, const struct segment *seg,
		       bool from_initiator)
{
	const struct assemble *a = &slot->client_bytes;
	const bool from_client = from_initiator == !slot->client;
	uint32_t end = slot->n_starts > 1 && slot->starts[1] < a->ready ? slot->starts[1] : a->ready;
	if (!end || (from_client && slot->n_starts < 2))
		return;
	if (end > INSPECT_UNKNOWN_BYTES)
		end = INSPECT_UNKNOWN_BYTES;
	struct segment first = *seg;
	if (!from_client)
		turn_round(&first);
	first.payload = a->bytes;
	first.payload_bytes = first.payload_captured_bytes = end;
	appid_feed(in->appid, slot->appid, &first, !slot->client);
}

void inspect_appid_unknown(struct inspect *in, struct inspect_slot *slot, const struct segment *seg,
			   bool from_initiator)
{
	if (slot->appid_done)
		return;
	if (!slot->appid) {
		slot->appid = appid_flow_get(in->appid);
		if (!slot->appid) {
			slot->appid_done = true;
			return;
		}
		if (slot->payload_bytes > seg->payload_bytes)
			feed_first(in, slot, seg, from_initiator);
	}
	struct segment part = *seg;
	if (part.payload_captured_bytes > INSPECT_UNKNOWN_BYTES)
		part.payload_captured_bytes = INSPECT_UNKNOWN_BYTES;
	if (appid_feed(in->appid, slot->appid, &part, from_initiator) == APPID_MORE)
		return;
	take_label(in, slot, slot->appid);
	inspect_appid_done(in, slot);
}

/* nDPI wants the hello in one record of one packet; a hello over several records is put together. Returns the
 * bytes to hand over. */
static struct slice flatten(struct inspect *in, const uint8_t *bytes, size_t n)
{
	const struct slice whole = {bytes, n};
	if (n < RECORD_HEADER || RECORD_HEADER + ((size_t)bytes[3] << 8 | bytes[4]) <= n) {
		if (n < RECORD_HEADER + 4)
			return whole;
		size_t message = 4 + ((size_t)bytes[6] << 16 | (size_t)bytes[7] << 8 | bytes[8]);
		if (message + RECORD_HEADER <= RECORD_HEADER + ((size_t)bytes[3] << 8 | bytes[4]))
			return whole;
	}
	size_t at = 0, to = RECORD_HEADER;
	while (n - at > RECORD_HEADER && bytes[at] == RECORD_HANDSHAKE && to < sizeof in->flat) {
		size_t body = (size_t)bytes[at + 3] << 8 | bytes[at + 4], rest = n - at - RECORD_HEADER;
		body = body < rest ? body : rest;
		body = body < sizeof in->flat - to ? body : sizeof in->flat - to;
		memcpy(in->flat + to, bytes + at + RECORD_HEADER, body);
		to += body;
		at += RECORD_HEADER + body;
	}
	memcpy(in->flat, bytes, 3);
	in->flat[3] = (uint8_t)((to - RECORD_HEADER) >> 8);
	in->flat[4] = (uint8_t)(to - RECORD_HEADER);
	return (struct slice){in->flat, to};
}

void inspect_appid_hello(struct inspect *in, struct inspect_slot *slot, const struct segment *seg,
			 const uint8_t *bytes, size_t n, bool tls)
{
	if (slot->appid)
		take_label(in, slot, slot->appid);
	inspect_appid_done(in, slot);
	struct label l;
	inspect_known(in, slot, &l);
	if (!l.name || !in->conf.wants_label || !in->conf.wants_label(in->conf.wants_label_ctx, l.name))
		return;
	struct appid_flow *af = appid_flow_get(in->appid);
	if (!af)
		return;
	struct slice hello = tls ? flatten(in, bytes, n) : (struct slice){bytes, n};
	struct segment packet = *seg;
	packet.payload = hello.p;
	packet.payload_bytes = packet.payload_captured_bytes = (uint32_t)hello.n;
	appid_feed(in->appid, af, &packet, true);
	take_label(in, slot, af);
	appid_flow_put(in->appid, af);
}
