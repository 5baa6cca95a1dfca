#include "dissect/slice.h"

#include <string.h>

struct slice slice_of(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

bool slice_is(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.n == n && (!n || !memcmp(s.p, text, n));
}

bool slice_starts(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.n >= n && !memcmp(s.p, text, n);
}

bool slice_ends(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.n >= n && !memcmp(s.p + s.n - n, text, n);
}

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool slice_same(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

struct slice slice_file_name(struct slice path)
{
	size_t i = path.n;
	while (i && path.p[i - 1] != '\\' && path.p[i - 1] != '/')
		i--;
	return i ? (struct slice){path.p + i, path.n - i} : path;
}

void slice_split_user(struct slice full, struct slice *ret_domain, struct slice *ret_user)
{
	const uint8_t *cut = full.n ? memchr(full.p, '\\', full.n) : NULL;
	if (!cut) {
		*ret_domain = (struct slice){NULL, 0};
		*ret_user = full;
		return;
	}
	size_t n = (size_t)(cut - full.p);
	*ret_domain = (struct slice){full.p, n};
	*ret_user = (struct slice){cut + 1, full.n - n - 1};
}

struct slice slice_uid(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!memchr("{}-0", s.p[i], 4))
			return s;
	return (struct slice){NULL, 0};
}
