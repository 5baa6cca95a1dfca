/* Validated packets through nDPI, as appid builds them: protocol, family and port, then payloads of the two
 * directions. */
#include <stdlib.h>
#include <string.h>

#include "dissect/appid.h"
#include "dissect/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct appid *ai;
	struct err err;
	if (!ai && appid_new(&ai, 8, &err))
		return 0;
	struct bytes b = bytes_of(data, size);
	uint8_t kind = bytes_u8(&b);
	uint16_t port = bytes_u16(&b);
	struct appid_flow *af = appid_flow_get(ai);
	struct appid_label label;
	enum appid_verdict v = APPID_MORE;
	while (v == APPID_MORE && bytes_left(&b) > 2) {
		uint16_t head = bytes_u16(&b);
		size_t n = head & 0x3fff;
		n = n < bytes_left(&b) ? n : bytes_left(&b);
		bool up = !(head & 0x8000);
		struct segment seg = {.ts_ns = 1,
				      .family = kind & 1 ? 6 : 4,
				      .proto = kind & 2 ? 17 : 6,
				      .src = {10, 0, 0, up ? 1 : 2},
				      .dst = {10, 0, 0, up ? 2 : 1},
				      .sport = up ? 40000 : port,
				      .dport = up ? port : 40000,
				      .payload_captured_bytes = (uint32_t)n,
				      .payload_bytes = (uint32_t)n + (head & 0x4000 ? 100 : 0)};
		uint8_t *copy = malloc(n ? n : 1);
		if (n)
			memcpy(copy, bytes_take(&b, n), n);
		seg.payload = copy;
		v = appid_feed(ai, af, &seg, up);
		free(copy);
	}
	appid_label(ai, af, &label);
	if (strlen(label.protocol) >= sizeof label.protocol || strlen(label.name) >= sizeof label.name)
		abort();
	appid_flow_put(ai, af);
	return 0;
}
