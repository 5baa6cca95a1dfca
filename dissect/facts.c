#include "dissect/facts.h"

#include <string.h>

#include "capture/base/err.h"

const char *const facts_basis_names[] = {
    [FACTS_BASIS_ACK] = "ack",
    [FACTS_BASIS_ACK_ONLY] = "ack_only",
    [FACTS_BASIS_SEQ_ONLY] = "seq_only",
    [FACTS_BASIS_UDP_PAYLOAD] = "udp_payload",
};

const char *const facts_name_source_names[FACTS_NAME_SOURCE_COUNT] = {
    [FACTS_NAME_NONE] = "none",
    [FACTS_NAME_TLS_SNI] = "tls_sni",
    [FACTS_NAME_QUIC_SNI] = "quic_sni",
    [FACTS_NAME_HTTP_HOST] = "http_host",
    [FACTS_NAME_CONNECT_HOST] = "connect_host",
    [FACTS_NAME_DNS_ANSWER] = "dns_answer",
    [FACTS_NAME_CERTIFICATE] = "certificate",
    [FACTS_NAME_IP_PREFIX] = "ip_prefix",
    [FACTS_NAME_ECH_OUTER] = "ech_outer",
};

const char *const facts_state_names[] = {
#define X(name, text) text,
    FACTS_STATES(X)
#undef X
};

const char *const facts_reason_names[] = {
#define X(name, text) text,
    FACTS_REASONS(X)
#undef X
};

/* A packed record: the struct with its pointers replaced by offsets (0 = NULL, for no string can lie at the
 * start), the minutes, the strings with their terminators. Written and read by the same program: layout is
 * the compiler's. */
enum { FACTS_STRINGS = 11 + FACTS_MAX_CANDIDATES };

static void collect(struct flow_facts *f, const char **ret_at[FACTS_STRINGS])
{
	const char **fixed[] = {&f->name, &f->sni,  &f->connect_host, &f->http_host,     &f->ja3,
				&f->ja4,  &f->alpn, &f->app_proto,    &f->ndpi_protocol, &f->ndpi_name};
	enum { N_FIXED = sizeof fixed / sizeof *fixed };
	memcpy(ret_at, fixed, sizeof fixed);
	for (size_t i = 0; i < FACTS_MAX_CANDIDATES; i++)
		ret_at[N_FIXED + i] = &f->name_candidates[i];
	for (size_t i = N_FIXED + FACTS_MAX_CANDIDATES; i < FACTS_STRINGS; i++)
		ret_at[i] = NULL;
}

static size_t strings_bytes(struct flow_facts *f)
{
	const char **at[FACTS_STRINGS];
	size_t n = 0;
	collect(f, at);
	for (size_t i = 0; i < FACTS_STRINGS && at[i]; i++)
		n += *at[i] ? strlen(*at[i]) + 1 : 0;
	return n;
}

size_t facts_pack(const struct flow_facts *facts, void *buf, size_t size)
{
	struct flow_facts f = *facts;
	for (size_t i = f.n_name_candidates; i < FACTS_MAX_CANDIDATES; i++)
		f.name_candidates[i] = NULL;
	size_t minutes_at = sizeof f;
	size_t strings_at = minutes_at + f.n_minutes * sizeof *f.minutes;
	size_t need = (strings_at + strings_bytes(&f) + 7) & ~(size_t)7;
	if (need > size)
		return need;
	uint8_t *out = buf;
	memset(out + need - 8, 0, 8);
	if (f.n_minutes)
		memcpy(out + minutes_at, f.minutes, f.n_minutes * sizeof *f.minutes);
	f.minutes = NULL;
	const char **at[FACTS_STRINGS];
	collect(&f, at);
	for (size_t i = 0; i < FACTS_STRINGS && at[i]; i++) {
		if (!*at[i])
			continue;
		size_t n = strlen(*at[i]) + 1;
		memcpy(out + strings_at, *at[i], n);
		*at[i] = (const char *)(uintptr_t)strings_at;
		strings_at += n;
	}
	memcpy(out, &f, sizeof f);
	return need;
}

int facts_unpack(struct flow_facts *ret_facts, const void *buf, size_t size)
{
	struct flow_facts f;
	const char *in = buf;
	if (size < sizeof f || (uintptr_t)buf % 8)
		return LT_EFORMAT;
	memcpy(&f, buf, sizeof f);
	size_t room = (size - sizeof f) / sizeof *f.minutes;
	if (f.n_minutes > room || f.n_minutes > FACTS_MAX_MINUTES ||
	    f.n_name_candidates > FACTS_MAX_CANDIDATES)
		return LT_EFORMAT;
	size_t first = sizeof f + f.n_minutes * sizeof *f.minutes;
	f.minutes = f.n_minutes ? (const struct facts_minute *)(const void *)(in + sizeof f) : NULL;
	const char **at[FACTS_STRINGS];
	collect(&f, at);
	for (size_t i = 0; i < FACTS_STRINGS && at[i]; i++) {
		uintptr_t offset = (uintptr_t)*at[i];
		if (!offset)
			continue;
		if (offset < first || offset >= size || !memchr(in + offset, 0, size - offset))
			return LT_EFORMAT;
		*at[i] = in + offset;
	}
	for (size_t i = 0; i < f.n_name_candidates; i++)
		if (!f.name_candidates[i])
			return LT_EFORMAT;
	*ret_facts = f;
	return 0;
}
