/* tls_hello: finds the ClientHello (client direction) and ServerHello/Certificate (server direction) in the assembled first bytes
 * of a TCP direction: over several records, after STARTTLS (SMTP, IMAP, POP3, FTP, LDAP, PostgreSQL), SOCKS4/5, HTTP CONNECT, PROXY
 * protocol v1/v2. RFC 8446 5.1, RFC 3207, 2595, 4217, 4513, 1928, PROXY protocol spec. */
#ifndef LEAKTAP_DISSECT_TLS_HELLO_H
#define LEAKTAP_DISSECT_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/hello.h"

enum tls_hello_verdict {
	TLS_HELLO_MORE,    /* may still come: keep assembling */
	TLS_HELLO_FOUND,   /* ret filled */
	TLS_HELLO_NONE,    /* this is not TLS and will not become it */
	TLS_HELLO_BAD,     /* TLS, but the hello is malformed */
};

/* How the TLS stream was reached; the record's app_proto stays "tls". */
enum tls_hello_prefix { TLS_HELLO_BARE, TLS_HELLO_STARTTLS, TLS_HELLO_SOCKS, TLS_HELLO_CONNECT, TLS_HELLO_PROXY };

struct tls_hello {
	struct hello hello;
	uint32_t tls_start;      /* position of the first TLS record in the direction */
	uint8_t prefix;          /* enum tls_hello_prefix */
	char connect_host[256];  /* HTTP CONNECT or SOCKS host name, normalised; "" if none */
	uint16_t connect_port;
};

/* Client direction: bytes[0..n) contiguous from the direction's first byte, complete: no more will come (limit reached or flow
 * over). Call again with more bytes after MORE; *ret_scan (start it at 0) keeps the work linear. segment_starts: positions where
 * client segments began (a hello after STARTTLS begins at one of them); may be NULL. */
enum tls_hello_verdict tls_hello_client(const uint8_t *bytes, size_t n, const uint32_t *segment_starts, size_t n_starts,
					bool complete, uint32_t *scan, struct tls_hello *ret);

struct tls_hello_server {
	uint16_t version;          /* negotiated; 0x0304 by supported_versions */
	uint16_t cipher;
	bool retry;                /* HelloRetryRequest */
	char certificate_name[256]; /* TLS <= 1.2: first usable DNS name of the leaf, wildcard kept; "" if none */
	bool certificate_seen;
	uint32_t tls_start;
};

/* Server direction; tls_start as found for the server stream (0 when bare). FOUND as soon as ServerHello is parsed and, for TLS <= 1.2,
 * the Certificate too (or complete). */
enum tls_hello_verdict tls_hello_server(const uint8_t *bytes, size_t n, uint32_t tls_start, bool complete,
					struct tls_hello_server *ret);

#endif
