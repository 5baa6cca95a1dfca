/* http_host: the Host of a plain HTTP/1.x request, and of CONNECT its target. RFC 9112. */
#ifndef LEAKTAP_DISSECT_HTTP_HOST_H
#define LEAKTAP_DISSECT_HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_host_verdict { HTTP_HOST_MORE, HTTP_HOST_FOUND, HTTP_HOST_NONE };

struct http_host {
	char method[16];
	char host[256];      /* normalised; "" if unusable */
	uint16_t port;
	bool is_connect;
	uint32_t head_bytes; /* length of request line and headers with the empty line */
};

/* bytes: contiguous from the request's first byte. */
enum http_host_verdict http_host_parse(const uint8_t *bytes, size_t n, struct http_host *ret);

#endif
