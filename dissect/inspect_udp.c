#include "dissect/inspect_slot.h"

enum { PORT_RDP = 3389 };

static bool quic_open(struct inspect *in, struct inspect_slot *slot, const struct segment *seg)
{
	struct quic_view view;
	if (slot->quic)
		return true;
	if (!quic_look(seg->payload, seg->payload_captured_bytes, &view) || !view.long_header)
		return false;
	slot->quic = quic_state_new();
	if (!slot->quic)
		return false;
	slot->kind = INSPECT_KIND_QUIC;
	struct label l;
	inspect_known(in, slot, &l);
	l.app_proto = "quic";
	inspect_learn(in, slot, &l);
	return true;
}

/* The state may have grown; over the budget the flow goes on without a name. */
static bool quic_within_budget(struct inspect *in, struct inspect_slot *slot)
{
	size_t now = quic_state_bytes(slot->quic);
	in->budget.used_bytes += now - slot->quic_bytes;
	slot->quic_bytes = now;
	if (in->budget.used_bytes <= in->budget.max_bytes)
		return true;
	in->budget.refused++;
	return false;
}

static void quic_failed(struct inspect *in, struct inspect_slot *slot, enum quic_verdict v)
{
	if (v != QUIC_UNDECRYPTABLE)
		return;
	in->stats.quic_undecryptable++;
	struct label l;
	inspect_known(in, slot, &l);
	l.flags |= FACTS_QUIC_UNDECRYPTED;
	inspect_learn(in, slot, &l);
}

static enum inspect_verdict quic_segment(struct inspect *in, struct inspect_slot *slot,
					 const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	if (!input->from_initiator) {
		quic_server(slot->quic, seg->payload, seg->payload_captured_bytes);
		return INSPECT_MORE;
	}
	struct tls_hello th = {0};
	enum quic_verdict v =
	    quic_client(in->quic, slot->quic, seg->payload, seg->payload_captured_bytes, &th.hello);
	if (v == QUIC_FOUND) {
		inspect_tls_hello(in, slot, &th);
		inspect_appid_hello(in, slot, seg, seg->payload, seg->payload_captured_bytes, false);
		return INSPECT_DONE;
	}
	if (v != QUIC_MORE) {
		quic_failed(in, slot, v);
		return INSPECT_DONE;
	}
	return quic_within_budget(in, slot) ? INSPECT_MORE : INSPECT_DONE;
}

/* The first hello names the flow; the slot stays open for the server's choice, and for the second hello that
 * it may ask for. */
static enum inspect_verdict dtls_segment(struct inspect *in, struct inspect_slot *slot,
					 const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	slot->kind = INSPECT_KIND_DTLS;
	if (!input->from_initiator) {
		uint16_t version = dtls_server(seg->payload, seg->payload_captured_bytes);
		struct label l;
		inspect_known(in, slot, &l);
		l.app_proto = "dtls";
		l.tls_version = version;
		inspect_learn(in, slot, &l);
		return version ? INSPECT_DONE : INSPECT_MORE;
	}
	struct tls_hello th = {0};
	enum dtls_verdict v = dtls_client(&slot->dtls, &slot->client_bytes, &in->budget, seg->payload,
					  seg->payload_captured_bytes, &th.hello);
	if (v == DTLS_FOUND && slot->hello_found) {
		inspect_tls_second(in, slot, &th.hello);
	} else if (v == DTLS_FOUND) {
		inspect_tls_hello(in, slot, &th);
		inspect_appid_hello(in, slot, seg, seg->payload, seg->payload_captured_bytes, false);
	}
	return v == DTLS_BAD ? INSPECT_DONE : INSPECT_MORE;
}

/* RDP's own transport over UDP says TLS or DTLS in datagrams of its own. */
static bool rdp_segment(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	struct tls_hello th = {0};
	if (!input->from_initiator || seg->dport != PORT_RDP ||
	    !dtls_rdp_hello(seg->payload, seg->payload_captured_bytes, &th.hello))
		return false;
	inspect_tls_hello(in, slot, &th);
	return true;
}

void inspect_udp_last(struct inspect *in, struct inspect_slot *slot)
{
	struct tls_hello th = {0};
	if (slot->quic && !slot->hello_found && quic_last(slot->quic, &th.hello))
		inspect_tls_hello(in, slot, &th);
}

enum inspect_verdict inspect_udp(struct inspect *in, struct inspect_slot *slot,
				 const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	const unsigned dir = input->from_initiator ? 0 : 1;
	const unsigned seen = ++slot->segments[dir];
	if (slot->kind == INSPECT_KIND_UNKNOWN && inspect_dns_segment(in, slot, seg))
		return INSPECT_DONE;
	const bool dtls = slot->kind == INSPECT_KIND_DTLS ||
			  (slot->kind == INSPECT_KIND_UNKNOWN &&
			   dtls_look(seg->payload, seg->payload_captured_bytes));
	if (dtls)
		return seen >= INSPECT_MAX_DATAGRAMS ? INSPECT_DONE : dtls_segment(in, slot, input);
	if (rdp_segment(in, slot, input))
		return INSPECT_DONE;
	if (quic_open(in, slot, seg))
		return seen >= INSPECT_MAX_QUIC_DATAGRAMS ? INSPECT_DONE : quic_segment(in, slot, input);
	inspect_appid_unknown(in, slot, seg, input->from_initiator);
	const bool rdp = input->dst.port == PORT_RDP; /* its hello comes after packets that nDPI knows it by */
	return (slot->appid_done && !rdp) || seen >= INSPECT_MAX_DATAGRAMS ? INSPECT_DONE : INSPECT_MORE;
}
