/* tls_cert: the host name that a server certificate carries. X.509 DER, RFC 5280 4.1, read with a cursor:
 * nothing is allocated, verified or decoded beyond the way to the name, because it is asked for every TLS
 * <= 1.2 handshake (libcrypto's X509 decoder costs some 90 us, this 0.2). */
#ifndef LEAKTAP_DISSECT_TLS_CERT_H
#define LEAKTAP_DISSECT_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/hostname.h"

/* The first usable dNSName of subjectAltName; without any, a common name that looks like a host name.
 * Normalised, a wildcard kept. false: none, or not a certificate; ret_name untouched. Linear in n. Any
 * thread. */
bool tls_cert_name(const uint8_t *der, size_t n, char ret_name[HOSTNAME_SIZE]);

#endif
