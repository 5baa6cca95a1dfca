/* tls_prefix: finds where TLS begins in a client's direction: at once, or after what a proxy or a protocol
 * with STARTTLS says first. */
#ifndef LEAKTAP_DISSECT_TLS_PREFIX_H
#define LEAKTAP_DISSECT_TLS_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/hostname.h"
#include "dissect/tls_hello.h"

enum tls_prefix_verdict { TLS_PREFIX_MORE, TLS_PREFIX_FOUND, TLS_PREFIX_NONE };

/* The direction as far as it is known, as in tls_hello_client. */
struct tls_prefix_input {
	const uint8_t *bytes;
	size_t n;
	const uint32_t *segment_starts; /* may be NULL */
	size_t n_starts;
	bool complete;
};

/* Zeroed at first; carries what is settled from one call with more bytes to the next, so that the whole work
 * stays linear. */
struct tls_prefix_scan {
	uint32_t base; /* bytes before belong to prefixes that are understood */
	uint32_t look; /* no end of head and no line start is to be found before */
};

/* Describes the prefixes passed since scan->base was 0. */
struct tls_prefix {
	uint32_t tls_start;
	uint8_t kind;             /* enum tls_hello_prefix: the last one */
	char host[HOSTNAME_SIZE]; /* of CONNECT or SOCKS; "" if none */
	uint16_t port;
};

/* A TLS record that begins a ClientHello stands at a place where it can begin: the start, the end of a known
 * prefix, the start of a line or of a client segment. ret_prefix need be zeroed only before the first call.
 * Any thread. */
enum tls_prefix_verdict tls_prefix_find(const struct tls_prefix_input *in, struct tls_prefix_scan *scan,
					struct tls_prefix *ret_prefix);

#endif
