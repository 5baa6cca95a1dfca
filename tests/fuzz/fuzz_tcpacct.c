/* Any sequence of TCP headers: the figures must fit together whatever they say, and nothing may be left over.
 * Input: two numbers to be near, then 15 bytes a segment. */
#include <stdint.h>
#include <stdlib.h>

#include "dissect/bytes.h"
#include "dissect/tcpacct.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct tcpacct *ta, const struct flow *f, uint64_t payload_bytes)
{
	for (unsigned dir = 0; dir < 2; dir++) {
		struct tcpacct_totals t;
		tcpacct_totals(ta, f, dir, &t);
		if (t.acked != t.confirmed + t.gap || t.unique != t.confirmed + t.unacked ||
		    t.unique > payload_bytes)
			abort();
		(void)tcpacct_headline(ta, f, dir);
	}
}

static struct segment next_segment(struct bytes *b, const uint32_t near[2], unsigned dir)
{
	struct segment s = {.family = 4, .proto = 6, .frame_bytes = 60};
	s.tcp_flags = bytes_u8(b);
	s.tcp_wscale = (int8_t)bytes_u8(b);
	s.tcp_wscale = s.tcp_wscale > 14 ? 14 : s.tcp_wscale;
	/* the top bit of each: far away, or near what the other numbers are about */
	uint32_t seq = bytes_u32(b), ack = bytes_u32(b);
	s.tcp_seq = seq >> 31 ? seq : near[dir] + (seq & 0xffff);
	s.tcp_ack = ack >> 31 ? ack : near[!dir] + (ack & 0xffff);
	s.tcp_window = bytes_u16(b);
	s.payload_bytes = bytes_u16(b);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tcpacct ta;
	if (!ta.exts.objects && tcpacct_init(&ta, 4) < 0)
		abort();
	struct bytes b = bytes_of(data, size);
	struct flow f = {.proto = 6, .wscale = 0xff};
	uint32_t near[2] = {bytes_u32(&b), bytes_u32(&b)};
	uint64_t payload_bytes = 0;
	for (uint64_t i = 1; bytes_left(&b) >= 15; i++) {
		uint8_t how = bytes_u8(&b);
		unsigned dir = how & 1;
		struct segment s = next_segment(&b, near, dir);
		struct tcpacct_segment placed;
		s.ts_ns = i * (how >> 1) * UINT64_C(1000000);
		near[dir] += how & 2 ? s.payload_bytes : 0;
		payload_bytes += s.payload_bytes;
		f.dir[dir].packets++;
		enum tcpacct_verdict v = tcpacct_add(&ta, &f, dir, &s, &placed);
		f.last_ns = s.ts_ns;
		if (v == TCPACCT_COUNTED)
			continue;
		struct flow_syn syn =
		    f.ext && v == TCPACCT_REUSED ? tcpacct_ext_of(&ta, &f)->syn : (struct flow_syn){0};
		tcpacct_release(&ta, &f);
		f = (struct flow){.proto = 6, .wscale = 0xff};
		if (syn.valid)
			tcpacct_adopt(&ta, &f, 0, &syn);
	}
	tcpacct_settle(&ta, &f);
	check(&ta, &f, payload_bytes);
	tcpacct_release(&ta, &f);
	if (ta.exts.in_use || ta.few.in_use || ta.many.in_use)
		abort();
	return 0;
}
