#include <stdlib.h>
#include <string.h>

#include "dissect/http_host.h"
#include "dissect/inspect_slot.h"

enum {
	RECORD_CCS = 20,
	RECORD_HANDSHAKE = 22,
	RECORD_DATA = 23,
	CCS_BYTES = 6,
	CLIENT_HELLO = 1,
	SERVER_HELLO = 2,
	MAX_RECORD = 18432
};

/* As far as the bytes go. */
static bool like_record(const uint8_t *p, size_t n)
{
	return n && p[0] >= RECORD_CCS && p[0] <= RECORD_DATA && (n < 2 || p[1] == 3) &&
	       (n < 3 || p[2] <= 4) && (n < 5 || ((p[3] || p[4]) && (p[3] << 8 | p[4]) <= MAX_RECORD));
}

static bool like_hello(const struct segment *seg, uint8_t message)
{
	return seg->payload_captured_bytes >= 6 && seg->payload[0] == RECORD_HANDSHAKE &&
	       seg->payload[1] == 3 && seg->payload[5] == message;
}

static struct tls_app_segment app_segment(const struct inspect_input *input, unsigned dir)
{
	const struct segment *seg = input->seg;
	return (struct tls_app_segment){.flow = input->flow,
					.dir = dir,
					.position = input->position,
					.acked = input->acked,
					.payload = seg->payload,
					.captured_bytes = seg->payload_captured_bytes,
					.bytes = seg->payload_bytes};
}

/* The walk over records begins where TLS does; what of it is already here is walked at once. */
static void tls_begins(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input,
		       const struct tls_hello *th, struct slice view)
{
	if (!input->tls)
		return;
	if (th->hello.flags & HELLO_EARLY_DATA)
		tls_app_offers_early_data(input->tls);
	if (!th->tls_start)
		return;
	slot->server_base = slot->server_high;
	tls_app_start(input->tls, slot->client, th->tls_start);
	tls_app_start(input->tls, !slot->client, slot->server_high);
	struct tls_app_segment seg = app_segment(input, slot->client);
	seg.position = th->tls_start;
	seg.payload = view.p + th->tls_start;
	seg.captured_bytes = seg.bytes = (uint32_t)(view.n - th->tls_start);
	tls_app_add(input->tls, in->tls_pool, &seg);
}

static void learn_connect(struct inspect *in, struct inspect_slot *slot, const char *host,
			  const char *app_proto)
{
	struct label l;
	inspect_known(in, slot, &l);
	l.connect_host = host;
	if (app_proto)
		l.app_proto = app_proto;
	if (l.name_source == FACTS_NAME_NONE || l.name_source == FACTS_NAME_CERTIFICATE) {
		l.name = host;
		l.name_source = FACTS_NAME_CONNECT_HOST;
	}
	inspect_learn(in, slot, &l);
}

/* A hello that lay whole in one segment is kept, so that an overlap with other bytes shows. While memory for
 * hellos in pieces is short, the evidence is what goes. */
static void keep_hello(struct inspect *in, struct inspect_slot *slot, struct slice view)
{
	if (!slot->client_bytes.size && in->budget.used_bytes < in->budget.max_bytes / 2)
		assemble_add(&slot->client_bytes, &in->budget, 0, view.p, view.n);
}

static void found_hello(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input,
			const struct tls_hello *th, struct slice view)
{
	if (slot->retried) {
		slot->second_seen = true;
		slot->segments[slot->client] = 0;
		inspect_tls_second(in, slot, &th->hello);
		return;
	}
	slot->hello_end = (uint32_t)view.n;
	slot->segments[slot->client] = 0; /* counted anew while the server's choice is waited for */
	inspect_tls_hello(in, slot, th);
	if (!input)
		return;
	keep_hello(in, slot, view);
	tls_begins(in, slot, input, th, view);
	inspect_appid_hello(in, slot, input->seg, view.p + th->tls_start, view.n - th->tls_start, true);
}

static void read_hello(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input,
		       struct slice view, bool complete)
{
	struct tls_hello th;
	if (slot->retried && view.n && view.p[0] == RECORD_CCS) {
		if (view.n < CCS_BYTES)
			return;
		view.p += CCS_BYTES;
		view.n -= CCS_BYTES;
	}
	enum tls_hello_verdict v =
	    tls_hello_client(view.p, view.n, slot->starts, slot->n_starts, complete, &slot->scan, &th);
	if (v == TLS_HELLO_MORE)
		return;
	if (v == TLS_HELLO_FOUND) {
		found_hello(in, slot, input, &th, view);
		return;
	}
	slot->hello_none = v == TLS_HELLO_NONE;
	slot->hello_bad = v == TLS_HELLO_BAD;
	if (slot->retried)
		slot->second_seen = true;
	else if (th.connect_host[0])
		learn_connect(in, slot, th.connect_host, NULL);
	if (slot->hello_bad && !slot->retried)
		slot->kind = INSPECT_KIND_TLS;
}

static void read_http(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input,
		      struct slice view, bool complete)
{
	struct http_host http;
	while (view.n && (*view.p == '\r' || *view.p == '\n')) { /* RFC 9112 2.2 */
		view.p++;
		view.n--;
	}
	enum http_host_verdict v = http_host_parse(view.p, view.n, &http);
	slot->http_none = v != HTTP_HOST_MORE || complete;
	if (v != HTTP_HOST_FOUND)
		return;
	slot->kind = INSPECT_KIND_HTTP;
	if (http.is_connect) {
		if (http.host[0])
			learn_connect(in, slot, http.host, "http");
		return;
	}
	struct label l;
	inspect_known(in, slot, &l);
	l.app_proto = "http";
	if (http.host[0]) {
		l.http_host = http.host;
		l.name = http.host;
		l.name_source = FACTS_NAME_HTTP_HOST;
	}
	inspect_learn(in, slot, &l);
	slot->hello_none = true;
	if (input)
		inspect_appid_hello(in, slot, input->seg, view.p, view.n, false);
}

/* view: the client's bytes from client_base on. complete: no more will come. */
static void read_client(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input,
			struct slice view, bool complete)
{
	if (!view.n)
		return;
	if (!slot->retried)
		slot->tls_like = like_record(view.p, view.n);
	if (!slot->hello_none && !slot->hello_bad)
		read_hello(in, slot, input, view, complete);
	if (!slot->hello_found && !slot->tls_like && !slot->http_none)
		read_http(in, slot, input, view, complete);
	if (complete && !slot->hello_found)
		slot->hello_none = slot->http_none = true;
}

/* The first copy of a byte wins in client_bytes. From the first overlap with other bytes on, what the last
 * copy says is kept too, and both are read: which of them the server took is not for us to say. */
static void note_conflict(struct inspect *in, struct inspect_slot *slot, uint32_t at, const uint8_t *p,
			  uint32_t n)
{
	struct assemble *a = &slot->client_bytes;
	if (at >= ASSEMBLE_MAX_BYTES)
		return;
	n = n < ASSEMBLE_MAX_BYTES - at ? n : ASSEMBLE_MAX_BYTES - at;
	if (!slot->second) {
		if (!assemble_conflicts(a, at, p, n))
			return;
		inspect_flag(in, slot, FACTS_OVERLAP_DIFF);
		if (in->budget.used_bytes + ASSEMBLE_MAX_BYTES > in->budget.max_bytes)
			return;
		slot->second = calloc(1, ASSEMBLE_MAX_BYTES);
		if (!slot->second)
			return;
		in->budget.used_bytes += ASSEMBLE_MAX_BYTES;
		memcpy(slot->second, a->bytes, a->high);
		slot->second_ready = a->ready;
	}
	memcpy(slot->second + at, p, n);
	if (at <= slot->second_ready && at + n > slot->second_ready)
		slot->second_ready = at + n;
	if (a->ready > slot->second_ready)
		slot->second_ready = a->ready;
}

static void read_second(struct inspect *in, struct inspect_slot *slot)
{
	struct tls_hello th;
	uint32_t scan = 0;
	if (!slot->second || !slot->hello_found)
		return;
	if (tls_hello_client(slot->second, slot->second_ready, slot->starts, slot->n_starts, false, &scan,
			     &th) == TLS_HELLO_FOUND)
		inspect_tls_second(in, slot, &th.hello);
	else
		inspect_ambiguous(in, slot, "");
}

/* The hello is read; a segment that covers part of it again may tell another. */
static void read_again(struct inspect *in, struct inspect_slot *slot, const struct segment *seg, uint32_t at)
{
	const uint32_t n = seg->payload_captured_bytes;
	struct tls_hello th;
	uint32_t scan = 0;
	if (!slot->hello_found || slot->retried || at >= slot->hello_end)
		return;
	if (slot->client_bytes.size) {
		note_conflict(in, slot, at, seg->payload, n);
		read_second(in, slot);
	} else if (at == 0 &&
		   tls_hello_client(seg->payload, n, NULL, 0, false, &scan, &th) == TLS_HELLO_FOUND) {
		inspect_tls_second(in, slot, &th.hello);
	}
}

/* What does not look like TLS gets so many segments, if they bring some bytes; not while the next byte is
 * missing, or where TLS began behind a prefix. */
static bool client_limit(const struct inspect_slot *slot)
{
	const struct assemble *a = &slot->client_bytes;
	if (a->full)
		return true;
	return slot->segments[slot->client] >= INSPECT_MAX_CLIENT_SEGMENTS &&
	       (!a->size || a->high >= INSPECT_MIN_CLIENT_BYTES) && a->ready == a->high &&
	       !slot->tls_like && !tls_hello_begun(slot->scan);
}

/* More of the client's bytes may still tell something. */
static bool client_matters(const struct inspect_slot *slot)
{
	if (slot->hello_found)
		return slot->retried && !slot->second_seen;
	return !slot->hello_bad && !(slot->hello_none && slot->http_none);
}

static void client_segment(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	uint32_t n = seg->payload_captured_bytes, at = input->position - slot->client_base;
	const bool cut = n < seg->payload_bytes;
	if (input->position < slot->client_base || !n)
		return;
	if (!client_matters(slot)) {
		read_again(in, slot, seg, at);
		return;
	}
	struct assemble *a = &slot->client_bytes;
	if (slot->n_starts < INSPECT_MAX_CLIENT_SEGMENTS)
		slot->starts[slot->n_starts++] = at;
	if (!a->size && at == 0) {
		/* The usual case: the whole hello in the first segment, read where it lies. */
		read_client(in, slot, input, (struct slice){seg->payload, n}, cut || client_limit(slot));
		if (client_matters(slot))
			assemble_add(a, &in->budget, at, seg->payload, n);
		return;
	}
	note_conflict(in, slot, at, seg->payload, n);
	bool grew = assemble_add(a, &in->budget, at, seg->payload, n);
	if (grew || client_limit(slot))
		read_client(in, slot, input, (struct slice){a->bytes, a->ready},
			    (cut && a->ready == at + n) || client_limit(slot));
	read_second(in, slot);
}

/* Before the client's hello only a server's that begins like one is kept; text is the greeting of a protocol
 * with STARTTLS. */
static bool server_talks_tls(const struct inspect_slot *slot, const struct inspect_input *input)
{
	if (slot->hello_found || slot->server_bytes.size)
		return true;
	return input->position == 0 && like_record(input->seg->payload, input->seg->payload_captured_bytes);
}

static void server_segment(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	const uint32_t n = seg->payload_captured_bytes, base = slot->server_base;
	if (input->position + seg->payload_bytes > slot->server_high)
		slot->server_high = input->position + seg->payload_bytes;
	if (slot->server_done || !n || input->position < base || !server_talks_tls(slot, input))
		return;
	if (slot->kind == INSPECT_KIND_UNKNOWN)
		slot->tls_like = true;
	struct assemble *a = &slot->server_bytes;
	const uint32_t at = input->position - base;
	const bool cut = n < seg->payload_bytes,
		   last = a->full || slot->segments[!slot->client] >= INSPECT_MAX_SERVER_SEGMENTS;
	if (!a->size && at == 0) {
		inspect_tls_server(in, slot, seg->payload, n, cut || last, input->tls);
		if (!slot->server_done && slot->server_base == base)
			assemble_add(a, &in->budget, at, seg->payload, n);
		return;
	}
	if (assemble_add(a, &in->budget, at, seg->payload, n) || last)
		inspect_tls_server(in, slot, a->bytes, a->ready, (cut && a->ready == at + n) || last,
				   input->tls);
}

/* Who is the client shows in the first hello: FTP data connections and captures that begin in the middle have
 * it the other way round. What was taken for the client's words until then was a server's answer in clear. */
static void settle_client(struct inspect *in, struct inspect_slot *slot, const struct inspect_input *input)
{
	if (slot->kind != INSPECT_KIND_UNKNOWN || slot->hello_found || slot->tls_like ||
	    slot->server_bytes.size || input->position || slot->client)
		return;
	if (!like_hello(input->seg, input->from_initiator ? SERVER_HELLO : CLIENT_HELLO) ||
	    (input->from_initiator && slot->client_bytes.size))
		return;
	assemble_done(&slot->client_bytes, &in->budget);
	slot->client = 1;
	slot->scan = 0;
	slot->n_starts = 0;
	slot->hello_none = slot->http_none = false;
}

static enum inspect_verdict verdict(const struct inspect_slot *slot)
{
	const unsigned client = slot->segments[slot->client], server = slot->segments[!slot->client];
	bool done = false;
	switch ((enum inspect_kind)slot->kind) {
	case INSPECT_KIND_TLS:
		done = (slot->hello_found || slot->hello_bad || slot->hello_none) && slot->server_done &&
		       (!slot->retried || slot->second_seen);
		done |= client > 2 * INSPECT_MAX_CLIENT_SEGMENTS && slot->hello_found &&
			(!slot->retried || slot->second_seen || slot->client_bytes.full);
		break;
	case INSPECT_KIND_HTTP:
		done = slot->hello_none;
		break;
	case INSPECT_KIND_UNKNOWN:
		done = slot->hello_none && slot->http_none && (slot->appid_done || slot->tls_like);
		break;
	case INSPECT_KIND_DNS:
	case INSPECT_KIND_QUIC:
	case INSPECT_KIND_DTLS:
		done = true;
		break;
	}
	done |= server >= INSPECT_MAX_SERVER_SEGMENTS && (!slot->retried || slot->second_seen);
	return done ? INSPECT_DONE : INSPECT_MORE;
}

enum inspect_verdict inspect_tcp(struct inspect *in, struct inspect_slot *slot,
				 const struct inspect_input *input)
{
	const unsigned dir = input->from_initiator ? 0 : 1;
	settle_client(in, slot, input);
	if (slot->segments[dir] < UINT16_MAX)
		slot->segments[dir]++;
	slot->payload_bytes += input->seg->payload_bytes;
	const bool dns = inspect_dns_stream(in, slot, input);
	if (!dns && dir == slot->client)
		client_segment(in, slot, input);
	else if (!dns)
		server_segment(in, slot, input);
	const bool waits_for_http = slot->client_bytes.size && !slot->http_none;
	if (slot->kind == INSPECT_KIND_UNKNOWN && !dns && !slot->tls_like && !waits_for_http &&
	    inspect_appid_wanted(slot, input))
		inspect_appid_unknown(in, slot, input->seg, input->from_initiator);
	if (input->tls) {
		struct tls_app_segment seg = app_segment(input, dir);
		tls_app_add(input->tls, in->tls_pool, &seg);
	}
	if (dns)
		return slot->server_done ? INSPECT_DONE : INSPECT_MORE;
	return verdict(slot);
}

void inspect_tcp_last(struct inspect *in, struct inspect_slot *slot)
{
	if (!slot->hello_found && slot->client_bytes.ready)
		read_client(in, slot, NULL,
			    (struct slice){slot->client_bytes.bytes, slot->client_bytes.ready}, true);
	if (!slot->server_done && slot->server_bytes.ready)
		inspect_tls_server(in, slot, slot->server_bytes.bytes, slot->server_bytes.ready, true, NULL);
	if (slot->client_bytes.ready > slot->second_ready) /* of what came before it the second has a copy */
		slot->second_ready = slot->client_bytes.ready;
	read_second(in, slot);
	if (slot->hello_found || (!slot->tls_like && slot->kind != INSPECT_KIND_TLS))
		return;
	struct label l;
	inspect_known(in, slot, &l);
	l.app_proto = "tls";
	l.flags |= FACTS_SNI_MISSING;
	inspect_learn(in, slot, &l);
}
