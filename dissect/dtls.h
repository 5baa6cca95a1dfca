/* dtls: the ClientHello of DTLS over UDP. RFC 6347 4.1-4.2 (1.2), RFC 9147 4-5 (1.3, whose hello is sent the
 * same way), and Cisco's version 1.0 draft (0x0100). Also inside RDP's own transport over UDP, MS-RDPEUDP and
 * MS-RDPEUDP2. */
#ifndef LEAKTAP_DISSECT_DTLS_H
#define LEAKTAP_DISSECT_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/assemble.h"
#include "dissect/hello.h"

enum dtls_verdict {
	DTLS_MORE,  /* nothing in it, or a fragment: others may come */
	DTLS_FOUND, /* ret_hello filled */
	DTLS_BAD,   /* the hello is malformed or larger than ASSEMBLE_MAX_BYTES */
};

/* The ClientHello being put together; zeroed at first. Its bytes are in an assemble of the caller. */
struct dtls_stream {
	uint32_t length; /* of the message */
	uint16_t seq;    /* its message_seq: 0, or 1 after HelloVerifyRequest or HelloRetryRequest */
	bool any;
};

/* Begins with a handshake record in the clear: DTLS, whatever comes later. */
bool dtls_look(const uint8_t *payload, size_t n);

/* One datagram of the client, any number of records. A message_seq above the one under way starts anew, so
 * that after FOUND the answer to a HelloVerifyRequest can be read by the same stream; the same message again
 * is MORE. ret_hello's sni_raw is borrowed from payload or a. */
enum dtls_verdict dtls_client(struct dtls_stream *ds, struct assemble *a, struct assemble_budget *budget,
			      const uint8_t *payload, size_t n, struct hello *ret_hello);

/* The version that a ServerHello in this datagram of the server chose as on the wire (0xfefc, DTLS 1.3;
 * 0xfefd 1.2; 0xfeff 1.0; 0x0100 Cisco's); 0: there is none, or it asks for another hello. */
uint16_t dtls_server(const uint8_t *payload, size_t n);

/* A TLS or DTLS hello that one datagram of RDP's transport holds, behind a header whose length depends on its
 * flags: the record must fill the rest of the datagram. transport: 't' or 'd'. */
bool dtls_rdp_hello(const uint8_t *payload, size_t n, struct hello *ret_hello);

#endif
