/* First byte: odd for the server's direction, and how many bytes arrive at once; the rest: the direction's
 * bytes. The verdict and the name must be the same in pieces as in whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/assemble.h"
#include "dissect/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void client(const uint8_t *p, size_t n, size_t step)
{
	static struct tls_hello whole, pieces;
	uint32_t scan = 0;
	enum tls_hello_verdict a = tls_hello_client(p, n, NULL, 0, true, &scan, &whole), b = TLS_HELLO_MORE;
	scan = 0;
	for (size_t at = 0; b == TLS_HELLO_MORE; at += step) {
		bool last = at >= n;
		b = tls_hello_client(p, last ? n : at, NULL, 0, last, &scan, &pieces);
	}
	/* More bytes can only turn up a second, different hello. */
	if (a != b || (a == TLS_HELLO_FOUND && (strcmp(whole.hello.sni, pieces.hello.sni) != 0 ||
						whole.tls_start != pieces.tls_start)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	const uint8_t *p = data + 1;
	size_t n = size - 1 < ASSEMBLE_MAX_BYTES ? size - 1 : ASSEMBLE_MAX_BYTES, step = 1 + data[0] / 2;
	if (data[0] % 2 == 0) {
		client(p, n, step);
		return 0;
	}
	struct tls_hello_server server;
	for (size_t at = 0; at < n; at += step)
		tls_hello_server(p, at, 0, false, &server);
	tls_hello_server(p, n, 0, true, &server);
	if (strlen(server.certificate_name) > 253)
		abort();
	return 0;
}
