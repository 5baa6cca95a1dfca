#include "dissect/utf16.h"

#include "dissect/utf8.h"

static char *take(struct utf16 *u, uint16_t unit, char *out)
{
	bool low = (unit & 0xfc00) == 0xdc00;
	uint16_t high = u->high;
	u->high = 0;
	if (high && low)
		return utf8_put(out, 0x10000 + ((uint32_t)(high & 0x3ff) << 10 | (unit & 0x3ff)));
	if (high)
		out = utf8_put(out, high);
	if ((unit & 0xfc00) != 0xd800)
		return utf8_put(out, unit);
	u->high = unit;
	return out;
}

size_t utf16_decode(struct utf16 *u, const char *in, size_t n, char *out)
{
	char *at = out;
	for (size_t i = 0; i < n; i++) {
		uint8_t b = (uint8_t)in[i];
		if (!u->has_half) {
			u->half = b;
			u->has_half = true;
			continue;
		}
		u->has_half = false;
		at = take(u, (uint16_t)(u->big ? u->half << 8 | b : b << 8 | u->half), at);
	}
	return (size_t)(at - out);
}

size_t utf16_end(struct utf16 *u, char *out)
{
	char *at = out;
	if (u->high)
		at = utf8_put(at, u->high);
	if (u->has_half)
		*at++ = (char)0xff;
	u->high = 0;
	u->has_half = false;
	return (size_t)(at - out);
}
