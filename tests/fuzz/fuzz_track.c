/* Any sequence of frames through the whole walk, with a table so small that it is full at once: every wire
 * byte must come out in exactly one record or verdict, deltas must add up. Input: per frame a 16-bit length,
 * a 16-bit step of time (bit 15: backwards; bit 14: hours), a byte for the link type. */
#include <stdint.h>
#include <stdlib.h>

#include "dissect/bytes.h"
#include "dissect/track.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t told_wire_bytes;

static void take(void *ctx, const struct flow_facts *f)
{
	(void)ctx;
	uint64_t up = 0, down = 0;
	for (size_t i = 0; i < f->n_minutes; i++) {
		if (i && f->minutes[i].start_s <= f->minutes[i - 1].start_s)
			abort();
		up += f->minutes[i].up_bytes;
		down += f->minutes[i].down_bytes;
	}
	if (up != f->up.delta_bytes || down != f->down.delta_bytes || f->up.delta_bytes > f->up.bytes ||
	    !f->flow_id)
		abort();
	if (f->up.bytes_min > f->up.bytes || f->up.bytes > f->up.bytes_max || f->end_ns < f->start_ns)
		abort();
	if (f->last)
		told_wire_bytes += f->up.wire_bytes + f->down.wire_bytes;
}

static uint64_t verdict_bytes(const struct track *tr, uint64_t *ret_all)
{
	struct track_stats s;
	uint64_t sum = 0;
	track_stats(tr, &s);
	for (int v = 0; v < DECODE_VERDICT_COUNT; v++)
		if (v != DECODE_OK && v != DECODE_OTHER_L4)
			sum += s.verdict_bytes[v];
	*ret_all = s.wire_bytes;
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* kept between inputs: nDPI takes longer to start than to run */
	static struct track *tr;
	static uint64_t ts_ns = UINT64_C(1700000000000000000);
	const struct track_conf conf = {.publish = take, .max_flows = 8, .update_ns = UINT64_C(60000000000)};
	struct err err;
	if (!tr && track_new(&tr, &conf, &err) < 0)
		abort();
	struct bytes b = bytes_of(data, size);
	while (bytes_left(&b) >= 5) {
		uint16_t n = bytes_u16(&b), step = bytes_u16(&b);
		uint8_t link = bytes_u8(&b);
		uint64_t ns = (step & 0x3fff) * (step & 0x4000 ? UINT64_C(1000000000) : UINT64_C(100000));
		ts_ns = step & 0x8000 ? ts_ns - ns : ts_ns + ns;
		n = n < bytes_left(&b) ? n : (uint16_t)bytes_left(&b);
		const uint8_t *p = bytes_take(&b, n);
		struct packet pkt = {.ts_ns = ts_ns, .data = p, .caplen = n, .len = n + (link >> 4) * 100u};
		pkt.link = (uint16_t)((link & 15) % PACKET_LINK_COUNT);
		track_packets(tr, &pkt, 1);
	}
	track_finish(tr, FACTS_REASON_EOF);
	uint64_t all, without_flow = verdict_bytes(tr, &all);
	if (told_wire_bytes + without_flow != all)
		abort();
	return 0;
}
