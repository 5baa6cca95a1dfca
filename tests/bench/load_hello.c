#include "tests/bench/load.h"

#include <stdlib.h>
#include <string.h>

void lead_bytes(struct lead *l, const void *p, size_t n)
{
	if (n > LOAD_LEAD_BYTES - l->n) {
		fprintf(stderr, "genload: a message is larger than planned\n");
		exit(1);
	}
	memcpy(l->p + l->n, p, n);
	l->n += n;
}

void lead_uint(struct lead *l, uint64_t v, size_t width)
{
	for (size_t i = width; i-- > 0;)
		lead_bytes(l, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

void lead_random(struct lead *l, struct rng *r, size_t n)
{
	for (; n >= 8; n -= 8)
		lead_uint(l, rng_next(r), 8);
	lead_uint(l, rng_next(r), n);
}

size_t lead_open(struct lead *l, size_t width)
{
	lead_uint(l, 0, width);
	return l->n;
}

void lead_close(struct lead *l, size_t mark, size_t width)
{
	size_t n = l->n - mark;
	for (size_t i = 0; i < width; i++)
		l->p[mark - width + i] = (uint8_t)(n >> 8 * (width - 1 - i));
}

enum extension {
	EXT_SERVER_NAME = 0,
	EXT_GROUPS = 10,
	EXT_POINT_FORMATS = 11,
	EXT_SIGNATURES = 13,
	EXT_ALPN = 16,
	EXT_MASTER_SECRET = 23,
	EXT_VERSIONS = 43,
	EXT_PSK_MODES = 45,
	EXT_KEY_SHARE = 51,
	EXT_QUIC_PARAMETERS = 57,
};

enum { GROUP_X25519 = 0x1d, GROUP_P256 = 0x17, GROUP_X25519MLKEM768 = 0x11ec, HYBRID_SHARE_BYTES = 1216 };

static void ext_name(struct lead *l, const char *name)
{
	lead_uint(l, EXT_SERVER_NAME, 2);
	size_t ext = lead_open(l, 2), list = lead_open(l, 2);
	lead_uint(l, 0, 1);
	size_t host = lead_open(l, 2);
	lead_bytes(l, name, strlen(name));
	lead_close(l, host, 2);
	lead_close(l, list, 2);
	lead_close(l, ext, 2);
}

static void ext_plain(struct lead *l, enum extension code, const void *body, size_t n)
{
	lead_uint(l, code, 2);
	lead_uint(l, n, 2);
	lead_bytes(l, body, n);
}

static void ext_key_share(struct lead *l, struct rng *r, bool hybrid)
{
	lead_uint(l, EXT_KEY_SHARE, 2);
	size_t ext = lead_open(l, 2), list = lead_open(l, 2);
	if (hybrid) {
		lead_uint(l, GROUP_X25519MLKEM768, 2);
		lead_uint(l, HYBRID_SHARE_BYTES, 2);
		lead_random(l, r, HYBRID_SHARE_BYTES);
	}
	lead_uint(l, GROUP_X25519, 2);
	lead_uint(l, 32, 2);
	lead_random(l, r, 32);
	lead_close(l, list, 2);
	lead_close(l, ext, 2);
}

static void extensions(struct lead *l, struct rng *r, const char *name, bool tls13, bool hybrid, bool quic)
{
	/* With a hybrid share in front, the name lies in the second segment. */
	bool name_last = rng_percent(r, 40);
	if (!name_last)
		ext_name(l, name);
	ext_plain(l, EXT_MASTER_SECRET, "", 0);
	ext_plain(l, EXT_POINT_FORMATS, "\1\0", 2);
	ext_plain(l, EXT_SIGNATURES, "\0\x08\4\3\x08\4\4\1\x05\3", 10);
	if (hybrid)
		ext_plain(l, EXT_GROUPS, "\0\6\x11\xec\0\x1d\0\x17", 8);
	else
		ext_plain(l, EXT_GROUPS, "\0\4\0\x1d\0\x17", 6);
	if (quic)
		ext_plain(l, EXT_ALPN, "\0\3\2h3", 5);
	else
		ext_plain(l, EXT_ALPN, "\0\x0c\2h2\x08http/1.1", 14);
	if (tls13) {
		ext_key_share(l, r, hybrid);
		ext_plain(l, EXT_PSK_MODES, "\1\1", 2);
		ext_plain(l, EXT_VERSIONS, "\4\3\4\3\3", 5);
	}
	if (quic) /* max_idle_timeout 30 s, initial_max_data 1 MiB (RFC 9000, 18.2) */
		ext_plain(l, EXT_QUIC_PARAMETERS, "\1\4\x80\0\x75\x30\4\4\x80\x10\0\0", 12);
	if (name_last)
		ext_name(l, name);
}

void hello_client(struct lead *l, struct rng *r, const char *name, bool tls13, bool hybrid, bool quic)
{
	static const uint16_t suites13[] = {0x1301, 0x1302, 0x1303},
			      suites12[] = {0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9};
	size_t record = 0;
	if (!quic) {
		lead_bytes(l, "\x16\3\1", 3);
		record = lead_open(l, 2);
	}
	lead_uint(l, 1, 1);
	size_t message = lead_open(l, 3);
	lead_uint(l, 0x0303, 2);
	lead_random(l, r, 32);
	size_t session = quic ? 0 : 32;
	lead_uint(l, session, 1);
	lead_random(l, r, session);
	size_t suites = lead_open(l, 2);
	for (size_t i = 0; tls13 && i < sizeof suites13 / 2; i++)
		lead_uint(l, suites13[i], 2);
	for (size_t i = 0; !quic && i < sizeof suites12 / 2; i++)
		lead_uint(l, suites12[i], 2);
	lead_close(l, suites, 2);
	lead_bytes(l, "\1\0", 2);
	size_t exts = lead_open(l, 2);
	extensions(l, r, name, tls13, hybrid, quic);
	lead_close(l, exts, 2);
	lead_close(l, message, 3);
	if (!quic)
		lead_close(l, record, 2);
}

static void handshake_record(struct lead *l, struct rng *r, uint8_t type, size_t n)
{
	lead_bytes(l, "\x16\3\3", 3);
	lead_uint(l, n + 4, 2);
	lead_uint(l, type, 1);
	lead_uint(l, n, 3);
	lead_random(l, r, n);
}

static void sealed_record(struct lead *l, struct rng *r, uint8_t type, size_t n)
{
	lead_uint(l, type, 1);
	lead_bytes(l, "\3\3", 2);
	lead_uint(l, n, 2);
	lead_random(l, r, n);
}

static void change_cipher(struct lead *l)
{
	lead_bytes(l, "\x14\3\3\0\1\1", 6);
}

static void server_hello(struct lead *l, struct rng *r, bool tls13)
{
	lead_bytes(l, "\x16\3\3", 3);
	size_t record = lead_open(l, 2);
	lead_uint(l, 2, 1);
	size_t message = lead_open(l, 3);
	lead_uint(l, 0x0303, 2);
	lead_random(l, r, 32);
	lead_uint(l, 32, 1);
	lead_random(l, r, 32);
	lead_uint(l, tls13 ? 0x1301 : 0xc02f, 2);
	lead_uint(l, 0, 1);
	size_t exts = lead_open(l, 2);
	if (tls13) {
		lead_uint(l, EXT_KEY_SHARE, 2);
		lead_uint(l, 36, 2);
		lead_uint(l, GROUP_X25519, 2);
		lead_uint(l, 32, 2);
		lead_random(l, r, 32);
		ext_plain(l, EXT_VERSIONS, "\3\4", 2);
	} else {
		ext_plain(l, EXT_MASTER_SECRET, "", 0);
	}
	lead_close(l, exts, 2);
	lead_close(l, message, 3);
	lead_close(l, record, 2);
}

/* A Certificate message of one certificate of random bytes. */
static void certificate(struct lead *l, struct rng *r, size_t n)
{
	lead_bytes(l, "\x16\3\3", 3);
	size_t record = lead_open(l, 2);
	lead_uint(l, 11, 1);
	size_t message = lead_open(l, 3), list = lead_open(l, 3), one = lead_open(l, 3);
	lead_random(l, r, n);
	lead_close(l, one, 3);
	lead_close(l, list, 3);
	lead_close(l, message, 3);
	lead_close(l, record, 2);
}

void hello_server(struct lead *l, struct rng *r, bool tls13, size_t certificate_bytes)
{
	server_hello(l, r, tls13);
	if (tls13) {
		change_cipher(l);
		sealed_record(l, r, 0x17, 27);                      /* EncryptedExtensions */
		sealed_record(l, r, 0x17, certificate_bytes + 400); /* Certificate, CertificateVerify */
		sealed_record(l, r, 0x17, 53);                      /* Finished */
		return;
	}
	certificate(l, r, certificate_bytes);
	handshake_record(l, r, 12, 329);
	lead_bytes(l, "\x16\3\3\0\4\x0e\0\0\0", 9);
	change_cipher(l);
	sealed_record(l, r, 0x16, 40);
}

void hello_client_finish(struct lead *l, struct rng *r, bool tls13)
{
	if (!tls13)
		handshake_record(l, r, 16, 33);
	change_cipher(l);
	sealed_record(l, r, tls13 ? 0x17 : 0x16, tls13 ? 53 : 40);
}
