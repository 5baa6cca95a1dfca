#include <string.h>

#include "dissect/inspect_slot.h"

/* What cannot be a name is kept for people to read: everything that is not printable as \xNN. */
static void escape_raw(struct slice raw, char *to, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	size_t n = 0;
	for (size_t i = 0; i < raw.n && n + 5 <= size; i++) {
		uint8_t c = raw.p[i];
		if (c > 0x20 && c < 0x7f && c != '\\') {
			to[n++] = (char)c;
			continue;
		}
		to[n++] = '\\';
		to[n++] = 'x';
		to[n++] = hex[c >> 4];
		to[n++] = hex[c & 15];
	}
	to[n] = 0;
}

static uint32_t hello_facts(uint32_t hello)
{
	uint32_t flags = 0;
	if (hello & (HELLO_ECH | HELLO_ESNI))
		flags |= FACTS_ECH;
	if (hello & HELLO_SNI_AMBIGUOUS)
		flags |= FACTS_SNI_AMBIGUOUS;
	if (hello & HELLO_SNI_INVALID)
		flags |= FACTS_SNI_INVALID;
	return flags;
}

/* An ECH extension alone proves nothing, since browsers always send one: only where hello.c does not take it
 * for GREASE is the name in clear that of the provider's front. The target of a CONNECT is better than that,
 * but not than a server name of the client's own. */
static void name_by_hello(struct label *l, const struct hello *hello, uint8_t source)
{
	const bool sni = hello->flags & HELLO_SNI;
	const bool outer = hello->flags & HELLO_ECH && !(hello->flags & HELLO_ECH_GREASE);
	if (sni && !outer) {
		l->name = hello->sni;
		l->name_source = source;
	} else if (l->connect_host) {
		l->name = l->connect_host;
		l->name_source = FACTS_NAME_CONNECT_HOST;
	} else if (sni) {
		l->name = hello->sni;
		l->name_source = FACTS_NAME_ECH_OUTER;
	}
}

void inspect_tls_hello(struct inspect *in, struct inspect_slot *slot, const struct tls_hello *th)
{
	const struct hello *hello = &th->hello;
	const bool quic = slot->kind == INSPECT_KIND_QUIC, dtls = slot->kind == INSPECT_KIND_DTLS;
	char raw[256];
	struct label l;
	inspect_known(in, slot, &l);
	slot->hello_found = true;
	if (!quic && !dtls)
		slot->kind = INSPECT_KIND_TLS;
	l.app_proto = quic ? "quic" : dtls ? "dtls" : "tls";
	l.flags |= hello_facts(hello->flags);
	if (th->connect_host[0])
		l.connect_host = th->connect_host;
	if (hello->flags & HELLO_SNI) {
		l.sni = hello->sni;
	} else if (hello->flags & HELLO_SNI_INVALID) {
		escape_raw(hello->sni_raw, raw, sizeof raw);
		l.sni = raw;
	}
	l.alpn = hello->alpn[0] ? hello->alpn : NULL;
	l.ja4 = hello->ja4[0] ? hello->ja4 : NULL;
	if (quic)
		l.tls_version = hello->version;
	name_by_hello(&l, hello, quic ? FACTS_NAME_QUIC_SNI : FACTS_NAME_TLS_SNI);
	inspect_learn(in, slot, &l);
	if (hello->sni_other[0])
		inspect_ambiguous(in, slot, hello->sni_other);
}

/* A second hello, or a second reading of the first: after HelloRetryRequest, or where overlapping segments
 * carried other bytes. */
void inspect_tls_second(struct inspect *in, struct inspect_slot *slot, const struct hello *hello)
{
	struct label l;
	inspect_known(in, slot, &l);
	const char *first = l.sni ? l.sni : "";
	if (strcmp(first, hello->sni) != 0)
		inspect_ambiguous(in, slot, hello->sni);
}

static void learn_server(struct inspect *in, struct inspect_slot *slot, const struct tls_hello_server *server)
{
	struct label l;
	inspect_known(in, slot, &l);
	l.app_proto = "tls";
	l.tls_version = server->version;
	if (l.name_source == FACTS_NAME_NONE && server->certificate_name[0]) {
		l.name = server->certificate_name;
		l.name_source = FACTS_NAME_CERTIFICATE;
	}
	slot->kind = INSPECT_KIND_TLS;
	inspect_learn(in, slot, &l);
}

/* The second hello is looked for behind the first, and the server's next one behind this. */
static void retried(struct inspect *in, struct inspect_slot *slot, const uint8_t *bytes, uint32_t start)
{
	const uint32_t record = 5 + ((uint32_t)bytes[start + 3] << 8 | bytes[start + 4]);
	slot->retried = true;
	slot->server_base += start + record;
	slot->client_base = slot->hello_end;
	slot->scan = 0;
	slot->n_starts = 0;
	assemble_done(&slot->client_bytes, &in->budget);
	assemble_done(&slot->server_bytes, &in->budget);
	inspect_drop_second(in, slot);
}

void inspect_tls_server(struct inspect *in, struct inspect_slot *slot, const uint8_t *bytes, size_t n,
			bool last, struct tls_app *tls)
{
	struct label l;
	inspect_known(in, slot, &l);
	/* With a name at hand the certificate need not be waited for. */
	const bool named = l.name_source != FACTS_NAME_NONE;
	struct tls_hello_server server;
	enum tls_hello_verdict v = tls_hello_server(bytes, n, 0, named || last, &server);
	if (v == TLS_HELLO_FOUND && server.retry && slot->hello_found && !slot->retried) {
		retried(in, slot, bytes, server.tls_start);
		return;
	}
	if (v == TLS_HELLO_FOUND) {
		learn_server(in, slot, &server);
		if (tls && !server.retry)
			tls_app_server_hello(tls, server.version, server.cipher);
	}
	slot->server_done = v == TLS_HELLO_FOUND || last || (!named && v != TLS_HELLO_MORE);
}
