/* ja4: the JA4 client fingerprint as FoxIO publishes it (technical_details/JA4.md): pure function of a parsed
 * ClientHello. */
#ifndef LEAKTAP_DISSECT_JA4_H
#define LEAKTAP_DISSECT_JA4_H

#include <stdbool.h>
#include <stdint.h>

#include "dissect/bytes.h"

/* More cipher suites, or more extensions and signature algorithms together, than this: no fingerprint. Real
 * clients offer up to some 150. */
enum { JA4_MAX_VALUES = 512, JA4_SIZE = 40 };

/* Borrowed views into a hello whose blocks were found well-formed. GREASE values are still in. */
struct ja4 {
	char transport;          /* 't', 'q' or 'd' */
	bool has_sni;            /* the extension is there, whatever it says */
	uint16_t version;        /* highest of supported_versions as it stands, else legacy_version */
	struct slice ciphers;    /* 16-bit values */
	struct slice extensions; /* the extension block: type, length, body */
	struct slice alpn;       /* first entry; empty if none */
	struct slice signatures; /* 16-bit values of signature_algorithms */
};

/* Terminated; "" when beyond JA4_MAX_VALUES. Any thread. */
void ja4_print(const struct ja4 *in, char ret_text[JA4_SIZE]);

/* RFC 8701: 0x0a0a, 0x1a1a ... 0xfafa. */
static inline bool ja4_is_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

#endif
