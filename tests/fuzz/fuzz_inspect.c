/* One flow's segments through inspection, in any order, TCP or UDP; whatever comes, the slot, the budget and
 * the label's references come back. */
#include <stdlib.h>
#include <string.h>

#include "dissect/bytes.h"
#include "dissect/inspect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool wants(void *ctx, const char *name)
{
	(void)ctx;
	return name[0] & 1;
}

static struct inspect *fresh(void)
{
	struct inspect *in = NULL;
	struct err err;
	const struct inspect_conf conf = {
	    .wants_label = wants, .mdns = true, .max_slots = 4, .max_assembly_bytes = 200000};
	return inspect_new(&in, &conf, &err) ? NULL : in;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct inspect *in;
	if (!in && !(in = fresh()))
		return 0;
	struct bytes b = bytes_of(data, size);
	const uint8_t kind = bytes_u8(&b);
	const uint8_t proto = kind & 1 ? 17 : 6;
	const uint16_t port = bytes_u16(&b);
	const struct facts_addr src = {.ip = {10, 0, 0, 1}, .family = 4, .port = 40000},
				dst = {.ip = {10, 0, 0, 2}, .family = 4, .port = port};
	struct inspect_slot *slot = inspect_open(in, proto);
	struct tls_app tls = {0};
	uint32_t at[2] = {0};
	enum inspect_verdict v = slot ? INSPECT_MORE : INSPECT_DONE;
	for (uint64_t ts = 1; v == INSPECT_MORE && bytes_left(&b) > 3; ts += 1000) {
		uint16_t head = bytes_u16(&b);
		uint8_t jump = bytes_u8(&b);
		size_t n = head & 0x0fff;
		n = n < bytes_left(&b) ? n : bytes_left(&b);
		const bool up = !(head & 0x8000);
		uint8_t *copy = malloc(n ? n : 1);
		if (n)
			memcpy(copy, bytes_take(&b, n), n);
		struct segment seg = {.ts_ns = ts,
				      .family = 4,
				      .proto = proto,
				      .payload = copy,
				      .payload_captured_bytes = (uint32_t)n,
				      .payload_bytes = (uint32_t)n + (head & 0x4000 ? jump : 0),
				      .sport = up ? 40000 : port,
				      .dport = up ? port : 40000};
		memcpy(seg.src, up ? src.ip : dst.ip, 16);
		memcpy(seg.dst, up ? dst.ip : src.ip, 16);
		uint32_t position = head & 0x2000 ? at[up] - (jump < at[up] ? jump : at[up])
						  : at[up] + (head & 0x1000 ? jump : 0);
		struct inspect_input input = {.seg = &seg,
					      .flow = 1,
					      .src = src,
					      .dst = dst,
					      .start_ns = 1,
					      .position = position,
					      .acked = at[up],
					      .from_initiator = up,
					      .tls = proto == 6 ? &tls : NULL};
		v = inspect_segment(in, slot, &input);
		if (position + seg.payload_bytes > at[up])
			at[up] = position + seg.payload_bytes;
		free(copy);
	}
	uint32_t id = inspect_close(in, slot, proto, &src, &dst, 1);
	tls_app_end(&tls, inspect_tls_pool(in), 1);
	label_unref(inspect_labels(in), id);
	struct inspect_stats s;
	inspect_stats(in, &s);
	if (s.appid.flows_in_use || s.slots_refused)
		abort();
	return 0;
}
