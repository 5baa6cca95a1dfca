/* First byte: transport; the rest: the body of a ClientHello. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hello hello;
	if (!size)
		return 0;
	if (!hello_parse(data + 1, size - 1, "tqd"[data[0] % 3], &hello))
		return 0;
	bool named = hello.flags & HELLO_SNI;
	if (strlen(hello.sni) > 253 || named != (hello.sni[0] != 0) ||
	    strlen(hello.alpn) >= sizeof hello.alpn || (hello.ja4[0] && strlen(hello.ja4) != 36))
		abort();
	if (hello.sni_raw.n && (hello.sni_raw.p < data || hello.sni_raw.p + hello.sni_raw.n > data + size))
		abort();
	return 0;
}
