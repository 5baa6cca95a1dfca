/* hostname: one way to normalise and judge a host name. RFC 1035 2.3.4, RFC 5890 (A-labels are kept as they are). */
#ifndef LEAKTAP_DISSECT_HOSTNAME_H
#define LEAKTAP_DISSECT_HOSTNAME_H

#include <stdbool.h>
#include <stddef.h>

enum { HOSTNAME_SIZE = 256 };

enum hostname_verdict {
	HOSTNAME_OK,
	HOSTNAME_EMPTY,
	HOSTNAME_TOO_LONG,  /* > 253 after normalisation */
	HOSTNAME_BAD_BYTE,  /* NUL, control, non-ASCII, space */
	HOSTNAME_ADDRESS,   /* an IPv4 or IPv6 literal */
};

/* Lower case, one trailing dot removed, terminated. Only HOSTNAME_OK writes ret_name. Underscore and odd label forms are let through:
 * clients use them. Any thread. */
enum hostname_verdict hostname_normalise(const void *p, size_t n, char ret_name[HOSTNAME_SIZE]);

#endif
