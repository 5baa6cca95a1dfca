/* DNS answers, from datagrams and from the stream of a TCP connection (RFC 7766). */
#include <netinet/in.h>
#include <string.h>

#include "dissect/inspect_slot.h"

enum { PORT_DNS = 53, PORT_MDNS = 5353 };

static struct facts_addr addr_of(const uint8_t ip[16], uint16_t port, uint8_t family)
{
	struct facts_addr a = {.port = port, .family = family};
	memcpy(a.ip, ip, family == 4 ? 4 : 16);
	return a;
}

static bool is_dns_port(const struct segment *seg)
{
	return seg->sport == PORT_DNS || seg->dport == PORT_DNS || seg->sport == PORT_MDNS ||
	       seg->dport == PORT_MDNS;
}

static void remember(struct inspect *in, const struct segment *seg, const struct dns_message *msg)
{
	if (!msg->response || !msg->n_answers || !msg->query[0])
		return;
	if (seg->sport == PORT_MDNS ? !in->conf.mdns : seg->sport != PORT_DNS)
		return;
	struct facts_addr client = addr_of(seg->dst, 0, seg->family);
	dnscache_store(in->dns, in->conf.zone, &client, msg, seg->ts_ns);
}

/* The messages that lie whole in bytes, behind their lengths as TCP has them. Returns the bytes they take. */
static size_t whole_messages(struct inspect *in, const struct segment *seg, const uint8_t *bytes, size_t n,
			     bool *ret_bad)
{
	struct dns_message msg;
	struct bytes b = bytes_of(bytes, n);
	size_t used = 0;
	*ret_bad = false;
	while (bytes_left(&b) > 2) {
		struct bytes message = bytes_block(&b, bytes_u16(&b));
		if (message.failed)
			break;
		if (!dns_parse(message.at, bytes_left(&message), &msg)) {
			*ret_bad = true;
			break;
		}
		remember(in, seg, &msg);
		used = (size_t)(b.at - bytes);
	}
	return used;
}

/* The messages of one segment: one in a datagram, any number over TCP. Returns whether one was good. */
static bool dns_messages(struct inspect *in, const struct segment *seg)
{
	struct dns_message msg;
	bool bad;
	if (seg->proto == IPPROTO_TCP)
		return whole_messages(in, seg, seg->payload, seg->payload_captured_bytes, &bad);
	if (!dns_parse(seg->payload, seg->payload_captured_bytes, &msg))
		return false;
	remember(in, seg, &msg);
	return true;
}

static void become_dns(struct inspect *in, struct inspect_slot *slot, const struct segment *seg)
{
	slot->kind = INSPECT_KIND_DNS;
	struct label l;
	inspect_known(in, slot, &l);
	l.app_proto = seg->sport == PORT_MDNS || seg->dport == PORT_MDNS ? "mdns" : "dns";
	inspect_learn(in, slot, &l);
}

bool inspect_dns_segment(struct inspect *in, struct inspect_slot *slot, const struct segment *seg)
{
	if (!is_dns_port(seg) || !dns_messages(in, seg))
		return false;
	become_dns(in, slot, seg);
	return true;
}

bool inspect_wants_dns(const struct segment *seg)
{
	return seg->sport == PORT_DNS || seg->sport == PORT_MDNS;
}

void inspect_dns(struct inspect *in, const struct segment *seg)
{
	if (inspect_wants_dns(seg))
		dns_messages(in, seg);
}

/* A length and an answer's header, as far as they are here. */
static bool like_answer(const uint8_t *p, size_t n)
{
	return n < 5 || (p[4] & 0xf8) == 0x80; /* a response to a standard query */
}

/* The server's bytes in order, each message as soon as its last byte is there. Everything is let go where a
 * message and what is held end together, which senders see to sooner or later. Returns false when this is not
 * DNS, or can no longer be followed. */
static bool follow_answers(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	struct assemble *a = &slot->server_bytes;
	const uint32_t base = slot->server_base, n = seg->payload_captured_bytes;
	const uint32_t skip = input->position < base ? base - input->position : 0; /* read already */
	if (n <= skip)
		return true;
	if (!a->size && input->position == base && !like_answer(seg->payload, n))
		return false;
	assemble_add(a, &in->budget, input->position + skip - base, seg->payload + skip, n - skip);
	bool bad = false;
	if (a->ready > slot->dns_read)
		slot->dns_read += (uint32_t)whole_messages(in, seg, a->bytes + slot->dns_read,
							   a->ready - slot->dns_read, &bad);
	if (slot->dns_read && slot->kind == INSPECT_KIND_UNKNOWN)
		become_dns(in, slot, seg);
	if (bad || a->full || n < seg->payload_bytes)
		return false;
	if (slot->dns_read && slot->dns_read == a->high) {
		slot->server_base += slot->dns_read;
		slot->dns_read = 0;
		assemble_done(a, &in->budget);
	}
	return true;
}

bool inspect_dns_stream(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	const bool answer = seg->sport == PORT_DNS;
	if ((slot->kind != INSPECT_KIND_UNKNOWN && slot->kind != INSPECT_KIND_DNS) || slot->tls_like ||
	    (!answer && seg->dport != PORT_DNS))
		return false;
	if (answer && !follow_answers(in, slot, input)) {
		assemble_done(&slot->server_bytes, &in->budget);
		slot->server_done = slot->kind == INSPECT_KIND_DNS;
		return slot->server_done;
	}
	if (!answer && slot->kind == INSPECT_KIND_UNKNOWN)
		inspect_dns_segment(in, slot, seg);
	/* connections to a resolver stay open; while nothing is held back they may be followed for long */
	if (slot->kind == INSPECT_KIND_DNS && !slot->server_bytes.size)
		slot->deadline_ns = seg->ts_ns + INSPECT_MAX_NS;
	return slot->kind == INSPECT_KIND_DNS || answer;
}
