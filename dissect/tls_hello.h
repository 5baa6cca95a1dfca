/* tls_hello: finds the ClientHello (client direction) and ServerHello/Certificate (server direction) in the
 * assembled first bytes of a TCP direction: over several records, after STARTTLS (SMTP, IMAP, POP3, FTP,
 * LDAP, PostgreSQL), SOCKS4/5, HTTP CONNECT, PROXY protocol v1/v2. RFC 8446 5.1, RFC 3207, 2595, 4217, 4513,
 * 1928, PROXY protocol spec. */
#ifndef LEAKTAP_DISSECT_TLS_HELLO_H
#define LEAKTAP_DISSECT_TLS_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/hello.h"

enum tls_hello_verdict {
	TLS_HELLO_MORE,  /* may still come: keep assembling */
	TLS_HELLO_FOUND, /* ret filled */
	TLS_HELLO_NONE,  /* this is not TLS and will not become it */
	TLS_HELLO_BAD,   /* TLS, but the hello is larger than ASSEMBLE_MAX_BYTES, or malformed or cut off
			    (complete) before its host name */
};

/* How the TLS stream was reached; the record's app_proto stays "tls". */
enum tls_hello_prefix {
	TLS_HELLO_BARE,
	TLS_HELLO_STARTTLS,
	TLS_HELLO_SOCKS,
	TLS_HELLO_CONNECT,
	TLS_HELLO_PROXY
};

struct tls_hello {
	struct hello hello;
	uint32_t tls_start;     /* position of the first TLS record in the direction */
	uint8_t prefix;         /* enum tls_hello_prefix; the last one when there are several */
	char connect_host[256]; /* HTTP CONNECT or SOCKS host name, normalised; "" if none */
	uint16_t connect_port;
};

/* Client direction: bytes[0..n) contiguous from the direction's first byte, n <= ASSEMBLE_MAX_BYTES;
 * complete: no more will come (limit reached or flow over). Call again with more bytes after MORE; *scan
 * (start it at 0) keeps the work linear. segment_starts: positions where client segments began (a hello after
 * an unknown binary protocol begins at one of them); may be NULL.
 *
 * The result does not depend on how the bytes were cut into segments and calls. A second ClientHello (after
 * HelloRetryRequest) that is there too and names another host makes the name HELLO_SNI_AMBIGUOUS; it is not
 * waited for. prefix, connect_host and connect_port are filled with NONE and BAD also. ret->hello.sni_raw is
 * borrowed from bytes, or from memory of this thread that the next call uses again. */
enum tls_hello_verdict tls_hello_client(const uint8_t *bytes, size_t n, const uint32_t *segment_starts,
					size_t n_starts, bool complete, uint32_t *scan,
					struct tls_hello *ret);

/* By *scan: TLS was seen to begin, only its hello is not whole yet. */
bool tls_hello_begun(uint32_t scan);

struct tls_hello_server {
	uint16_t version; /* negotiated; 0x0304 by supported_versions */
	uint16_t cipher;
	bool retry;                 /* HelloRetryRequest */
	char certificate_name[256]; /* TLS <= 1.2: first usable DNS name of the leaf, wildcard kept; "" if
				       none */
	bool certificate_seen;
	uint32_t tls_start;
};

/* Server direction. tls_start: where to look for the ServerHello from, 0 when nothing better is known: a
 * ServerHello is then searched for in the first 8 KB, behind a greeting or a proxy's answer. FOUND as soon as
 * ServerHello is parsed and, for TLS <= 1.2, the Certificate too (or it is not there, or complete). Work per
 * call is bounded: a server that needs more than 64 records for this is BAD. */
enum tls_hello_verdict tls_hello_server(const uint8_t *bytes, size_t n, uint32_t tls_start, bool complete,
					struct tls_hello_server *ret);

#endif
