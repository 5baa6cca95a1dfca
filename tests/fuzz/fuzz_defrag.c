/* fuzz_defrag: a script of fragments, six bytes each: id and family; flags (more, other bytes, sliced, time);
 * place in units of 8 bytes; length in bytes. Bytes are a function of their place, so that a datagram put
 * together can be checked. */
#include <stdlib.h>
#include <string.h>

#include "dissect/defrag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MORE = 1, OTHER = 2, SLICED = 4, LATER = 8, IDS = 16 };

static uint8_t place[65536 + 65536];
static uint8_t other[65536 + 65536];

static void check(int ok)
{
	if (!ok)
		abort();
}

static void make_bytes(void)
{
	for (uint32_t i = 0; i < sizeof place; i++) {
		place[i] = (uint8_t)(i * 2654435761u >> 24);
		other[i] = (uint8_t)~place[i];
	}
}

static struct segment fragment_of(const uint8_t *p, uint64_t now_ns)
{
	static const uint8_t ip4[20] = {0x45};
	struct segment s = {.ts_ns = now_ns, .l3 = ip4, .proto = 17, .frame_bytes = 100};
	s.frag_id = p[0] % IDS;
	s.family = p[0] & IDS ? 6 : 4;
	s.frag_more = p[1] & MORE;
	s.frag_offset_bytes = (uint16_t)((p[2] << 8 | p[3]) & 0x1fff) * 8;
	s.payload_bytes = (uint32_t)(p[4] << 8 | p[5]);
	s.payload_captured_bytes = p[1] & SLICED ? s.payload_bytes / 2 : s.payload_bytes;
	if (s.payload_captured_bytes < s.payload_bytes)
		s.flags |= SEGMENT_SLICED;
	s.payload = (p[1] & OTHER ? other : place) + s.frag_offset_bytes;
	return s;
}

/* mixed: fragments with other bytes were sent under this id. */
static void check_whole(const struct segment *s, bool mixed)
{
	check(s->payload_captured_bytes <= s->payload_bytes && s->payload_bytes <= DEFRAG_MAX_BYTES);
	check(s->l3 + (s->family == 4 ? 20 : 40) == s->payload);
	check(mixed || !memcmp(s->payload, place, s->payload_captured_bytes));
	struct segment again = *s;
	const struct decode_conf conf = {.verify_checksums = true};
	check(decode_datagram(&conf, &again) < DECODE_VERDICT_COUNT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (place[1] == other[1])
		make_bytes();
	struct defrag *d = defrag_new();
	check(d != NULL);
	bool mixed[2 * IDS] = {false};
	uint64_t now_ns = 1;
	for (; size >= 6; data += 6, size -= 6) {
		now_ns += data[1] & LATER ? UINT64_C(20000000000) : 1000;
		struct segment s = fragment_of(data, now_ns), out;
		struct defrag_frames frames;
		mixed[data[0] % (2 * IDS)] |= (data[1] & OTHER) != 0;
		if (defrag_add(d, &s, now_ns, &out, &frames) == DEFRAG_WHOLE) {
			check_whole(&out, mixed[data[0] % (2 * IDS)]);
			check(frames.wire_bytes == frames.n * UINT64_C(100));
		}
	}
	struct defrag_stats st;
	defrag_stats(d, &st);
	check(st.memory_bytes <= DEFRAG_MEMORY_BYTES && st.held_datagrams <= DEFRAG_MAX_DATAGRAMS);
	defrag_free(d);
	return 0;
}
