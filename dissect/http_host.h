/* http_host: the Host of a plain HTTP/1.x request, and of CONNECT its target. RFC 9112. */
#ifndef LEAKTAP_DISSECT_HTTP_HOST_H
#define LEAKTAP_DISSECT_HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A head longer than this is judged by what its first HTTP_HOST_MAX_HEAD bytes say. */
enum { HTTP_HOST_MAX_HEAD = 16384 };

enum http_host_verdict { HTTP_HOST_MORE, HTTP_HOST_FOUND, HTTP_HOST_NONE };

struct http_host {
	char method[16];
	char host[256]; /* normalised; "" if there is none, it cannot be a name, or there are several that
			   differ */
	uint16_t port;  /* 80, or 443 for CONNECT, when not given */
	bool is_connect;
	uint32_t head_bytes; /* length of request line and headers with the empty line; 0: longer than
				HTTP_HOST_MAX_HEAD */
};

/* bytes: contiguous from the request's first byte. The target's authority, if it has one, goes before the
 * Host field (RFC 9112 3.2.2). Only FOUND fills ret. Any thread. */
enum http_host_verdict http_host_parse(const uint8_t *bytes, size_t n, struct http_host *ret);

#endif
