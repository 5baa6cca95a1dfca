#include "detect/prefix.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool network_only(const uint8_t ip[16], unsigned bits)
{
	for (unsigned i = bits; i < 128; i++)
		if (ip[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

/* Digits of a prefix length, at most max. */
static bool parse_bits(const char *text, unsigned max, unsigned *ret)
{
	unsigned v = 0, n = 0;
	for (; *text >= '0' && *text <= '9' && n < 4; text++, n++)
		v = v * 10 + (unsigned)(*text - '0');
	if (*text || !n || v > max)
		return false;
	*ret = v;
	return true;
}

bool prefix_parse(struct prefix *ret, const char *text)
{
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	if (n >= sizeof host)
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	struct prefix p = {0};
	bool v4 = !strchr(host, ':');
	unsigned bits = v4 ? 32 : 128;
	if (slash && !parse_bits(slash + 1, bits, &bits))
		return false;
	if (v4)
		memcpy(p.ip, mapped, sizeof mapped);
	if (inet_pton(v4 ? AF_INET : AF_INET6, host, p.ip + (v4 ? 12 : 0)) != 1)
		return false;
	p.bits = (uint8_t)(bits + (v4 ? 96 : 0));
	if (!network_only(p.ip, p.bits))
		return false;
	*ret = p;
	return true;
}

int prefixes_add(struct prefixes *ps, const struct prefix *row)
{
	if (ps->n == ps->cap) {
		size_t cap = ps->cap ? ps->cap * 2 : 16;
		struct prefix *grown = reallocarray(ps->rows, cap, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		ps->rows = grown;
		ps->cap = cap;
	}
	ps->rows[ps->n++] = *row;
	return 0;
}

static int wider_first(const void *a, const void *b)
{
	const struct prefix *x = a, *y = b;
	int c = memcmp(x->ip, y->ip, sizeof x->ip);
	if (c)
		return c;
	if (x->bits != y->bits)
		return x->bits < y->bits ? -1 : 1;
	return (x->value < y->value) - (x->value > y->value); /* the later of equals is found first */
}

static bool holds(const struct prefix *p, const uint8_t ip[16])
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;
	if (memcmp(p->ip, ip, whole))
		return false;
	return !rest || !((p->ip[whole] ^ ip[whole]) >> (8 - rest));
}

void prefixes_seal(struct prefixes *ps)
{
	if (!ps->n)
		return;
	qsort(ps->rows, ps->n, sizeof *ps->rows, wider_first);
	for (size_t i = 0; i < ps->n; i++) {
		uint32_t up = (uint32_t)i; /* the row before, then its parents: at most 128 deep */
		while (up && !holds(&ps->rows[up - 1], ps->rows[i].ip))
			up = ps->rows[up - 1].parent;
		ps->rows[i].parent = up;
	}
}

void prefixes_free(struct prefixes *ps)
{
	free(ps->rows);
	*ps = (struct prefixes){0};
}

static void to_128(uint8_t ip[16], const struct facts_addr *addr)
{
	if (addr->family == 6) {
		memcpy(ip, addr->ip, 16);
		return;
	}
	memcpy(ip, mapped, sizeof mapped);
	memcpy(ip + 12, addr->ip, 4);
}

bool prefixes_find(const struct prefixes *ps, const struct facts_addr *addr, uint32_t *ret_value)
{
	uint8_t ip[16];
	to_128(ip, addr);
	size_t lo = 0, hi = ps->n; /* rows before lo begin at or before ip */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (memcmp(ps->rows[mid].ip, ip, sizeof ip) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	uint32_t i = (uint32_t)lo;
	while (i && !holds(&ps->rows[i - 1], ip))
		i = ps->rows[i - 1].parent;
	if (i)
		*ret_value = ps->rows[i - 1].value;
	return i > 0;
}

bool prefix_internal(const struct facts_addr *addr)
{
	const uint8_t *a = addr->ip;
	uint8_t ip[16];
	to_128(ip, addr);
	if (memcmp(ip, mapped, sizeof mapped))
		return (a[0] & 0xfe) == 0xfc || (a[0] == 0xfe && (a[1] & 0x80)) || a[0] == 0xff ||
		       (!memcmp(ip, (const uint8_t[15]){0}, 15) && ip[15] <= 1);
	a = ip + 12;
	return a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 ||
	       (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168) ||
	       (a[0] == 169 && a[1] == 254) || (a[0] == 100 && (a[1] & 0xc0) == 64);
}
