#include "dissect/hello.h"

#include <string.h>

#include "dissect/hostname.h"

enum {
	EXT_SERVER_NAME = 0,
	EXT_SIGNATURE_ALGORITHMS = 13,
	EXT_ALPN = 16,
	EXT_EARLY_DATA = 42,
	EXT_SUPPORTED_VERSIONS = 43,
	EXT_ECH = 0xfe0d,
	EXT_ESNI = 0xffce,
	MAX_SESSION_ID_BYTES = 32,
	ECH_OUTER = 0,
	KDF_HKDF_SHA256 = 1,
	X25519_ENC_BYTES = 32,
	AEAD_TAG_BYTES = 16,
};

struct parse {
	struct hello *hello;
	struct ja4 ja4;
	bool ech_like_grease; /* by the shape of the extension alone */
};

static bool finished(const struct bytes *b)
{
	return !b->failed && !bytes_left(b);
}

static bool same_name(struct slice a, struct slice b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

static void take_host_name(struct hello *h, struct slice raw)
{
	char name[HOSTNAME_SIZE];
	if (hostname_normalise(raw.p, raw.n, name) != HOSTNAME_OK) {
		if (h->flags & (HELLO_SNI | HELLO_SNI_INVALID) && !same_name(h->sni_raw, raw))
			h->flags |= HELLO_SNI_AMBIGUOUS;
		if (!(h->flags & (HELLO_SNI | HELLO_SNI_INVALID)))
			h->sni_raw = raw;
		h->flags |= HELLO_SNI_INVALID;
		return;
	}
	if (h->flags & HELLO_SNI) {
		if (!strcmp(h->sni, name))
			return;
		h->flags |= HELLO_SNI_AMBIGUOUS;
		if (!h->sni_other[0])
			memcpy(h->sni_other, name, sizeof h->sni_other);
		return;
	}
	if (h->flags & HELLO_SNI_INVALID)
		h->flags |= HELLO_SNI_AMBIGUOUS;
	h->flags |= HELLO_SNI;
	h->sni_raw = raw;
	memcpy(h->sni, name, sizeof h->sni);
}

/* RFC 6066 3. A list that cannot be read, or is empty, is a name that cannot be used. */
static void take_server_name(struct hello *h, struct bytes body)
{
	struct slice whole = {body.at, bytes_left(&body)};
	struct bytes list = bytes_block(&body, bytes_u16(&body));
	bool any = false;
	while (!list.failed && bytes_left(&list)) {
		uint8_t type = bytes_u8(&list);
		struct slice raw = bytes_slice(&list, bytes_u16(&list));
		if (list.failed || type != 0)
			continue;
		take_host_name(h, raw);
		any = true;
	}
	if (any && finished(&body) && finished(&list))
		return;
	if (!(h->flags & (HELLO_SNI | HELLO_SNI_INVALID)))
		h->sni_raw = whole;
	h->flags |= HELLO_SNI_INVALID;
}

/* Printable, so that the comma stays a separator: anything else in an entry becomes '?'. */
static bool add_alpn(char *list, size_t size, size_t *used, struct slice entry)
{
	size_t need = entry.n + (*used ? 1 : 0);
	if (*used + need >= size)
		return false;
	if (*used)
		list[(*used)++] = ',';
	for (size_t i = 0; i < entry.n; i++) {
		uint8_t c = entry.p[i];
		list[(*used)++] = c > 0x20 && c < 0x7f && c != ',' ? (char)c : '?';
	}
	list[*used] = 0;
	return true;
}

static void take_alpn(struct parse *p, struct bytes body)
{
	struct bytes list = bytes_block(&body, bytes_u16(&body)), check = list;
	while (bytes_left(&check) && bytes_skip(&check, bytes_u8(&check)))
		;
	if (!finished(&body) || !finished(&check) || p->hello->alpn[0])
		return;
	size_t used = 0;
	for (bool first = true, fits = true; fits && bytes_left(&list); first = false) {
		struct slice entry = bytes_slice(&list, bytes_u8(&list));
		if (first)
			p->ja4.alpn = entry;
		fits = add_alpn(p->hello->alpn, sizeof p->hello->alpn, &used, entry);
	}
}

/* Drafts of TLS 1.3: 0x7f12-0x7f1c by the IETF, 0xfb17-0xfb1a by Facebook. */
static uint16_t settled_version(uint16_t version)
{
	return version >> 8 == 0x7f || version >> 8 == 0xfb ? 0x0304 : version;
}

/* DTLS counts downwards. */
static bool is_higher(char transport, uint16_t a, uint16_t b)
{
	return transport == 'd' ? a < b : a > b;
}

static void take_versions(struct parse *p, struct bytes body)
{
	struct bytes list = bytes_block(&body, bytes_u8(&body));
	if (!finished(&body) || bytes_left(&list) % 2)
		return;
	bool any = false;
	while (bytes_left(&list)) {
		uint16_t version = bytes_u16(&list);
		if (ja4_is_grease(version))
			continue;
		if (settled_version(version) == 0x0304 || version == 0xfefc)
			p->hello->flags |= HELLO_TLS13;
		if (!any || is_higher(p->ja4.transport, version, p->ja4.version))
			p->ja4.version = version;
		any = true;
	}
}

static void take_signatures(struct parse *p, struct bytes body)
{
	struct slice list = bytes_slice(&body, bytes_u16(&body));
	if (finished(&body) && list.n % 2 == 0)
		p->ja4.signatures = list;
}

/* RFC 9849 5: type; for the outer form kdf, aead, config_id, enc, payload. Whether it is GREASE cannot be
 * known for certain: section 6.2 has clients build it so that it cannot. What can be said:
 * - BoringSSL (Chrome, Edge, Brave) and NSS (Firefox) send GREASE with a 32-byte enc and HKDF-SHA256, and a
 * payload of 128-224 bytes in steps of 32 plus the tag (BoringSSL), or of 223 plus the tag, later a padded
 * multiple of 32 plus the tag (NSS). Other shapes are taken for real.
 * - In a real offer the name in clear is the public_name of the server's configuration; in GREASE it is the
 * destination. Cloudflare, which serves nearly all real offers, has one public_name. A well-shaped extension
 * beside any other name is therefore called GREASE. The limit: a real offer to a small operator, with a
 * browser's shape and a public_name that is not listed, is called GREASE. */
static bool grease_shape(uint16_t kdf, uint16_t aead, size_t n_enc, size_t n_payload)
{
	if (kdf != KDF_HKDF_SHA256 || aead < 1 || aead > 3 || n_enc != X25519_ENC_BYTES ||
	    n_payload <= AEAD_TAG_BYTES)
		return false;
	size_t n_plain = n_payload - AEAD_TAG_BYTES;
	return n_plain == 223 || (n_plain % 32 == 0 && n_plain >= 128 && n_plain <= 512);
}

static void take_ech(struct parse *p, struct bytes body)
{
	if (bytes_u8(&body) != ECH_OUTER || body.failed)
		return;
	uint16_t kdf = bytes_u16(&body), aead = bytes_u16(&body);
	bytes_skip(&body, 1);
	struct slice enc = bytes_slice(&body, bytes_u16(&body));
	struct slice payload = bytes_slice(&body, bytes_u16(&body));
	p->hello->flags |= HELLO_ECH;
	p->ech_like_grease = finished(&body) && grease_shape(kdf, aead, enc.n, payload.n);
}

/* public_name of published ECH configurations: Cloudflare's, and those of the test sites defo.ie and
 * tls-ech.dev. */
static bool is_ech_public_name(const char *name)
{
	static const char *const names[] = {"cloudflare-ech.com", "cover.defo.ie", "public.tls-ech.dev"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void take_extension(struct parse *p, uint16_t type, struct bytes body)
{
	switch (type) {
	case EXT_SERVER_NAME:
		p->ja4.has_sni = true;
		take_server_name(p->hello, body);
		break;
	case EXT_ALPN:
		take_alpn(p, body);
		break;
	case EXT_SUPPORTED_VERSIONS:
		take_versions(p, body);
		break;
	case EXT_SIGNATURE_ALGORITHMS:
		take_signatures(p, body);
		break;
	case EXT_ECH:
		take_ech(p, body);
		break;
	case EXT_ESNI:
		p->hello->flags |= HELLO_ESNI;
		break;
	case EXT_EARLY_DATA:
		p->hello->flags |= HELLO_EARLY_DATA;
		break;
	}
}

static bool take_extensions(struct parse *p, struct bytes block)
{
	p->ja4.extensions = (struct slice){block.at, bytes_left(&block)};
	while (bytes_left(&block)) {
		uint16_t type = bytes_u16(&block);
		struct bytes body = bytes_block(&block, bytes_u16(&block));
		if (block.failed)
			return false;
		take_extension(p, type, body);
	}
	return true;
}

/* Up to the extensions. */
static bool take_head(struct parse *p, struct bytes *b)
{
	struct hello *h = p->hello;
	h->sni[0] = h->sni_other[0] = h->alpn[0] = h->ja4[0] = 0;
	h->sni_raw = (struct slice){0};
	h->flags = 0;
	p->ja4.version = bytes_u16(b);
	bytes_skip(b, 32);
	struct slice session = bytes_slice(b, bytes_u8(b));
	if (p->ja4.transport == 'd')
		bytes_skip(b, bytes_u8(b)); /* cookie, RFC 6347 4.2.1 */
	p->ja4.ciphers = bytes_slice(b, bytes_u16(b));
	bytes_skip(b, bytes_u8(b));
	return !b->failed && session.n <= MAX_SESSION_ID_BYTES && p->ja4.ciphers.n % 2 == 0;
}

static void settle(struct parse *p)
{
	struct hello *h = p->hello;
	if (p->ech_like_grease && h->flags & HELLO_SNI && !is_ech_public_name(h->sni))
		h->flags |= HELLO_ECH_GREASE;
	h->version = settled_version(p->ja4.version);
}

bool hello_parse(const uint8_t *msg, size_t n, char transport, struct hello *ret_hello)
{
	struct parse p = {.hello = ret_hello, .ja4 = {.transport = transport}};
	struct bytes b = bytes_of(msg, n);
	if (!take_head(&p, &b))
		return false;
	if (bytes_left(&b)) {
		struct bytes block = bytes_block(&b, bytes_u16(&b));
		if (!finished(&b) || !take_extensions(&p, block))
			return false;
	}
	settle(&p);
	ja4_print(&p.ja4, ret_hello->ja4);
	return true;
}

bool hello_parse_part(const uint8_t *msg, size_t n, char transport, struct hello *ret_hello)
{
	struct parse p = {.hello = ret_hello, .ja4 = {.transport = transport}};
	struct bytes b = bytes_of(msg, n);
	if (!take_head(&p, &b))
		return false;
	size_t length = bytes_u16(&b);
	take_extensions(&p, bytes_block(&b, length < bytes_left(&b) ? length : bytes_left(&b)));
	settle(&p);
	ret_hello->flags |= HELLO_CUT;
	return ret_hello->flags & HELLO_SNI;
}
