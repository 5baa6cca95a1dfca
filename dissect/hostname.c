#include "dissect/hostname.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

enum { MAX_NAME = 253 };

static bool is_bad(uint8_t c)
{
	return c <= 0x20 || c >= 0x7f;
}

/* name: terminated. IPv6 also in brackets and with a zone (RFC 3986, RFC 6874). */
static bool is_address(const char *name, size_t n)
{
	struct in6_addr addr;
	if (inet_pton(AF_INET, name, &addr) == 1)
		return true;
	char literal[INET6_ADDRSTRLEN];
	if (n >= 2 && name[0] == '[' && name[n - 1] == ']') {
		name++;
		n -= 2;
	}
	const char *zone = memchr(name, '%', n);
	if (zone)
		n = (size_t)(zone - name);
	if (n >= sizeof literal)
		return false;
	memcpy(literal, name, n);
	literal[n] = '\0';
	return inet_pton(AF_INET6, literal, &addr) == 1;
}

enum hostname_verdict hostname_normalise(const void *p, size_t n, char ret_name[HOSTNAME_SIZE])
{
	const uint8_t *b = p;
	if (n && b[n - 1] == '.')
		n--;
	if (n == 0)
		return HOSTNAME_EMPTY;
	char name[HOSTNAME_SIZE];
	for (size_t i = 0; i < n; i++) {
		if (is_bad(b[i]))
			return HOSTNAME_BAD_BYTE;
		if (i < MAX_NAME)
			name[i] = (char)(b[i] >= 'A' && b[i] <= 'Z' ? b[i] | 0x20 : b[i]);
	}
	if (n > MAX_NAME)
		return HOSTNAME_TOO_LONG;
	name[n] = '\0';
	if (is_address(name, n))
		return HOSTNAME_ADDRESS;
	memcpy(ret_name, name, n + 1);
	return HOSTNAME_OK;
}
