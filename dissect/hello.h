/* hello: what a client's first TLS flight says, filled by tls_hello.c (TLS over TCP) and quic.c (CRYPTO
 * stream). RFC 8446 4.1.2, RFC 6066 3 (SNI), RFC 7301 (ALPN), RFC 9849 (ECH), RFC 8701 (GREASE). */
#ifndef LEAKTAP_DISSECT_HELLO_H
#define LEAKTAP_DISSECT_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/ja4.h"

enum hello_flag {
	HELLO_SNI = 1 << 0, /* a usable host name is in sni */
	HELLO_SNI_INVALID =
	    1 << 1, /* SNI there but empty, with NUL, non-ASCII, an IP, too long: raw bytes in sni_raw */
	HELLO_SNI_AMBIGUOUS = 1 << 2, /* several different names */
	HELLO_ECH = 1 << 3,           /* encrypted_client_hello (0xfe0d) of type outer is there */
	HELLO_ECH_GREASE =
	    1 << 4, /* and nothing tells it from a browser's GREASE (hint; rule and limits in hello.c) */
	HELLO_EARLY_DATA = 1 << 5,
	HELLO_ESNI = 1 << 6,  /* draft ESNI, 0xffce */
	HELLO_TLS13 = 1 << 7, /* offers 1.3 */
	HELLO_CUT = 1 << 8,   /* by hello_parse_part */
};

struct hello {
	char sni[256]; /* normalised: lower case, one trailing dot removed; terminated; "" if none */
	char sni_other[256]; /* AMBIGUOUS: another usable name that it gave, normalised; "" if none */
	struct slice
	    sni_raw; /* as sent: the name in sni, or else the first unusable one; borrowed from msg */
	uint32_t flags;
	uint16_t
	    version; /* legacy_version, or the highest of supported_versions (drafts of 1.3 count as 1.3) */
	char alpn[128];     /* client's list, comma-separated, printable, cut at an entry */
	char ja4[JA4_SIZE]; /* JA4, "t13d1516h2_8daaf6152771_b186095e22b6"; "" beyond JA4_MAX_VALUES */
};

/* msg: the body of a ClientHello handshake message (after the 4-byte header), complete. transport: 't', 'q'
 * or 'd' for JA4. false: malformed (a block not consumed exactly, a length beyond its parent); ret_hello
 * undefined. An extension whose own body is malformed does not cost the name: it counts as absent,
 * server_name as HELLO_SNI_INVALID. Linear. Any thread. */
bool hello_parse(const uint8_t *msg, size_t n, char transport, struct hello *ret_hello);

/* For a hello whose rest is missing, or that hello_parse refuses: what its extensions say up to the first that
 * is not whole. true: a usable host name is among them; HELLO_CUT is set and there is no JA4. A name is never
 * made of a part of one. */
bool hello_parse_part(const uint8_t *msg, size_t n, char transport, struct hello *ret_hello);

#endif
