/* Datagrams of one DTLS client and server, and of RDP's transport: two-byte length before each. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/dtls.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hello *hello)
{
	if (strlen(hello->sni) > 253 || !(hello->flags & HELLO_SNI) != !hello->sni[0])
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dtls_stream stream = {0};
	struct assemble held;
	struct assemble_budget budget = {.max_bytes = 1 << 17};
	struct bytes b = bytes_of(data, size);
	assemble_init(&held);
	while (bytes_left(&b) > 2) {
		size_t n = bytes_u16(&b);
		n = n < bytes_left(&b) ? n : bytes_left(&b);
		uint8_t *copy = malloc(n ? n : 1);
		if (!copy)
			break;
		memcpy(copy, bytes_take(&b, n), n);
		struct hello hello;
		dtls_look(copy, n);
		dtls_server(copy, n);
		if (dtls_rdp_hello(copy, n, &hello))
			check(&hello);
		if (dtls_client(&stream, &held, &budget, copy, n, &hello) == DTLS_FOUND)
			check(&hello);
		free(copy);
	}
	assemble_done(&held, &budget);
	if (budget.used_bytes)
		abort();
	return 0;
}
