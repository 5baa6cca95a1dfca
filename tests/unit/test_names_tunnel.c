/* Names under every header a tap may add, and in IP fragments (page "names", I and M): TLS over TCP, QUIC and
 * DTLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/hello_build.h"
#include "tests/unit/quic_vectors.h"
#include "tests/unit/wire.h"

static struct wire *w;
static struct build stream;

static int make(void **state)
{
	(void)state;
	w = wire_new((struct track_conf){0});
	return 0;
}

static int drop(void **state)
{
	(void)state;
	wire_free(w);
	return 0;
}

static void vlan(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	frame_ethernet(f, 0x8100);
	frame_vlan(f, 12, type);
}

static void vlan3(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	frame_ethernet(f, 0x88a8);
	frame_vlan(f, 12, 0x8100);
	frame_vlan(f, 13, 0x8100);
	frame_vlan(f, 14, type);
}

static void sgt(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	frame_ethernet(f, 0x8909);
	frame_u32(f, 0x01010001);
	frame_u16(f, 77);
	frame_u16(f, type);
}

static void pppoe_qinq(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	frame_ethernet(f, 0x88a8);
	frame_vlan(f, 5, 0x8100);
	frame_vlan(f, 6, 0x8864);
	frame_u32(f, 0x11000077);
	frame_length(f, 0);
	frame_u16(f, type == 0x0800 ? 0x0021 : 0x0057);
}

static void mpls(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	(void)type;
	frame_ethernet(f, 0x8847);
	frame_u32(f, 1000u << 12 | 64);
	frame_u32(f, 2000u << 12 | 0x100 | 64);
}

static void outer(struct frame *f, unsigned dir, uint32_t proto)
{
	frame_ethernet(f, 0x0800);
	frame_ip4(f, dir ? "172.16.0.2" : "172.16.0.1", dir ? "172.16.0.1" : "172.16.0.2", proto);
}

static void outer_udp(struct frame *f, unsigned dir, uint32_t port)
{
	outer(f, dir, 17);
	frame_udp(f, 50000u + dir, port);
}

static void gre(struct frame *f, unsigned dir, uint32_t type)
{
	outer(f, dir, 47);
	frame_u32(f, 0x20000000 | type);
	frame_u32(f, 7);
}

static void erspan1(struct frame *f, unsigned dir, uint32_t type)
{
	outer(f, dir, 47);
	frame_u32(f, 0x000088be);
	frame_ethernet(f, type);
}

static void erspan2(struct frame *f, unsigned dir, uint32_t type)
{
	outer(f, dir, 47);
	frame_u32(f, 0x100088be);
	frame_u32(f, 1);
	frame_u32(f, 0x10010001);
	frame_u32(f, 0);
	frame_ethernet(f, type);
}

static void erspan3(struct frame *f, unsigned dir, uint32_t type)
{
	outer(f, dir, 47);
	frame_u32(f, 0x100022eb);
	frame_u32(f, 1);
	frame_u32(f, 0x20010001);
	frame_u32(f, 0);
	frame_u32(f, 0);
	frame_ethernet(f, type);
}

static void vxlan(struct frame *f, unsigned dir, uint32_t type)
{
	outer_udp(f, dir, 4789);
	frame_u32(f, 0x08000000);
	frame_u32(f, 4242u << 8);
	frame_ethernet(f, 0x8100);
	frame_vlan(f, 3, type);
}

static void geneve_ethernet(struct frame *f, unsigned dir, uint32_t type)
{
	outer_udp(f, dir, 6081);
	frame_u32(f, 0x02006558);
	frame_u32(f, 4242u << 8);
	frame_fill(f, 0, 8);
	frame_ethernet(f, type);
}

static void geneve_ip(struct frame *f, unsigned dir, uint32_t type)
{
	outer_udp(f, dir, 6081);
	frame_u32(f, type);
	frame_u32(f, 4242u << 8);
}

static void gtpu(struct frame *f, unsigned dir, uint32_t type)
{
	(void)type;
	outer_udp(f, dir, 2152);
	frame_u16(f, 0x30ff);
	frame_length(f, 0);
	f->open[f->n_open - 1].from += 4;
	frame_u32(f, 0xcafe);
}

static void capwap(struct frame *f, unsigned dir, uint32_t type)
{
	outer_udp(f, dir, 5247);
	frame_u32(f, 0x00100300);
	frame_u32(f, 0);
	frame_u16(f, dir ? 0x0208 : 0x0801);
	frame_fill(f, 0x22, 22);
	frame_u32(f, 0xaaaa0300);
	frame_u16(f, 0);
	frame_u16(f, type);
}

/* 6in4, 4in4 */
static void in4(struct frame *f, unsigned dir, uint32_t type)
{
	outer(f, dir, type == 0x0800 ? 4 : 41);
}

static void in6(struct frame *f, unsigned dir, uint32_t type)
{
	frame_ethernet(f, 0x86dd);
	frame_ip6(f, dir ? "2001:db8:f::2" : "2001:db8:f::1", dir ? "2001:db8:f::1" : "2001:db8:f::2",
		  type == 0x0800 ? 4 : 41);
}

static void nested(struct frame *f, unsigned dir, uint32_t type)
{
	outer_udp(f, dir, 4789);
	frame_u32(f, 0x08000000);
	frame_u32(f, 1u << 8);
	gre(f, dir, type);
}

static void raw(struct frame *f, unsigned dir, uint32_t type)
{
	(void)f;
	(void)dir;
	(void)type;
}

static void sll(struct frame *f, unsigned dir, uint32_t type)
{
	frame_u16(f, dir ? 0 : 4);
	frame_u16(f, 1);
	frame_u16(f, 6);
	frame_fill(f, 2, 8);
	frame_u16(f, type);
}

static void sll2(struct frame *f, unsigned dir, uint32_t type)
{
	frame_u16(f, type);
	frame_u16(f, 0);
	frame_u32(f, 2);
	frame_u16(f, 1);
	frame_u8(f, dir ? 0 : 4);
	frame_u8(f, 6);
	frame_fill(f, 2, 8);
}

static void ppp(struct frame *f, unsigned dir, uint32_t type)
{
	(void)dir;
	frame_u16(f, 0xff03);
	frame_u16(f, type == 0x0800 ? 0x0021 : 0x0057);
}

static const struct {
	const char *what;
	wire_wrap_fn *wrap;
	enum packet_link link;
	bool tunnel;
} wraps[] = {
    {"ethernet", NULL, PACKET_LINK_ETHERNET, false},
    {"vlan", vlan, PACKET_LINK_ETHERNET, false},
    {"vlan x3", vlan3, PACKET_LINK_ETHERNET, false},
    {"cisco sgt", sgt, PACKET_LINK_ETHERNET, false},
    {"pppoe over qinq", pppoe_qinq, PACKET_LINK_ETHERNET, false},
    {"mpls", mpls, PACKET_LINK_ETHERNET, false},
    {"gre", gre, PACKET_LINK_ETHERNET, true},
    {"erspan 1", erspan1, PACKET_LINK_ETHERNET, true},
    {"erspan 2", erspan2, PACKET_LINK_ETHERNET, true},
    {"erspan 3", erspan3, PACKET_LINK_ETHERNET, true},
    {"vxlan", vxlan, PACKET_LINK_ETHERNET, true},
    {"geneve ethernet", geneve_ethernet, PACKET_LINK_ETHERNET, true},
    {"geneve ip", geneve_ip, PACKET_LINK_ETHERNET, true},
    {"gtp-u", gtpu, PACKET_LINK_ETHERNET, true},
    {"capwap", capwap, PACKET_LINK_ETHERNET, true},
    {"in ipv4", in4, PACKET_LINK_ETHERNET, true},
    {"in ipv6", in6, PACKET_LINK_ETHERNET, true},
    {"gre in vxlan", nested, PACKET_LINK_ETHERNET, true},
    {"raw", raw, PACKET_LINK_RAW, false},
    {"sll", sll, PACKET_LINK_SLL, false},
    {"sll2", sll2, PACKET_LINK_SLL2, false},
    {"ppp", ppp, PACKET_LINK_PPP, false},
};

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;
	for (; hex[2 * n]; n++)
		out[n] = (uint8_t)strtoul((char[]){hex[2 * n], hex[2 * n + 1], 0}, NULL, 16);
	return n;
}

static void send_tls(void)
{
	stream.n = 0;
	build_client_stream(&stream, "upload.example.com", 1500, 16384);
	wire_open(w);
	wire_say_at(w, 0, 900, stream.at + 900, stream.n - 900);
	wire_say_at(w, 0, 0, stream.at, 900);
}

static void send_quic(void)
{
	uint8_t packet[1300];
	size_t n = from_hex(rfc9001_client, packet);
	wire_udp(w, 0, packet, n);
}

static void send_dtls(void)
{
	static struct build tls, body, record;
	tls.n = body.n = record.n = 0;
	build_hello(&tls, "turn.example.com", 700);
	build_u16(&body, 0xfefd);
	build_put(&body, tls.at + 2, 32 + 33);
	build_u8(&body, 0);
	build_put(&body, tls.at + 67, tls.n - 67);
	build_put(&record, "\x16\xfe\xfd\0\0\0\0\0\0\0\0", 11);
	build_u16(&record, (unsigned)body.n + 12);
	build_put(&record, "\x01\0", 2);
	build_u16(&record, (unsigned)body.n);
	build_put(&record, "\0\0\0\0\0\0", 6);
	build_u16(&record, (unsigned)body.n);
	build_put(&record, body.at, body.n);
	wire_udp(w, 0, record.at, record.n);
}

static const struct {
	void (*send)(void);
	const char *name;
} kinds[] = {{send_tls, "upload.example.com"}, {send_quic, "example.com"}, {send_dtls, "turn.example.com"}};

static void wrapped__any_header_family_and_protocol__inner_flow_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof wraps / sizeof *wraps; i++)
		for (size_t k = 0; k < 3; k++)
			for (unsigned v6 = 0; v6 < 2; v6++) {
				w->wrap = wraps[i].wrap;
				w->link = wraps[i].link;
				w->v6 = v6;
				kinds[k].send();
				const struct heard *h = wire_end(w);
				if (!h || strcmp(h->name, kinds[k].name) != 0 || w->n != 1)
					fail_msg("%s, %s, IPv%d: '%s', %zu flows", wraps[i].what,
						 kinds[k].name, v6 ? 6 : 4, h ? h->name : "none", w->n);
				assert_int_equal(!!(h->flags & FACTS_TUNNEL), wraps[i].tunnel);
				wire_reset(w);
			}
}

/* I, A31: also inside a tunnel, in order and backwards. */
static void fragments__every_size_and_order__name(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {8, 24, 512, 1024};
	static const size_t inside[] = {0, 1, 6, 10, 12};
	for (size_t i = 0; i < 5; i++)
		for (size_t s = 0; s < 4; s++)
			for (unsigned variant = 0; variant < 4; variant++)
				for (size_t k = 0; k < 3; k++) {
					w->wrap = wraps[inside[i]].wrap;
					w->v6 = variant & 1;
					w->fragments_back = variant & 2;
					w->fragment_bytes = sizes[s];
					kinds[k].send();
					const struct heard *h = wire_end(w);
					if (!h || strcmp(h->name, kinds[k].name) != 0)
						fail_msg("%s, fragments of %u, variant %u: '%s'",
							 wraps[inside[i]].what, sizes[s], variant,
							 h ? h->name : "none");
					assert_int_equal(!!(h->flags & FACTS_FRAGMENTED), k == 1 || sizes[s] < 800);
					wire_reset(w);
					w->ts_ns += UINT64_C(60000000000); /* ids are used again */
				}
}

/* A fragment, sent through a tunnel, and cut again on the tunnel's way. */
static void fragments__of_fragments__name_and_bytes_once(void **state)
{
	(void)state;
	static wire_wrap_fn *const tunnels[] = {in4, vxlan, gre, nested};
	for (size_t i = 0; i < sizeof tunnels / sizeof *tunnels; i++)
		for (uint32_t step = 48; step <= 512; step += 232)
			for (int v6 = 0; v6 < 2; v6++) {
				struct track_stats was, s;
				track_stats(w->tr, &was);
				w->wrap = tunnels[i];
				w->v6 = v6;
				w->fragment_bytes = 640;
				w->outer_fragment_bytes = step;
				send_tls();
				const struct heard *h = wire_end(w);
				track_stats(w->tr, &s);
				if (!h || strcmp(h->name, "upload.example.com") != 0)
					fail_msg("tunnel %zu, %u: '%s'", i, step, h ? h->name : "none");
				assert_true(h->flags & FACTS_FRAGMENTED);
				uint64_t told = s.verdict_bytes[DECODE_OK] - was.verdict_bytes[DECODE_OK];
				assert_int_equal(told, s.wire_bytes - was.wire_bytes);
				wire_reset(w);
				w->ts_ns += UINT64_C(60000000000);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(wrapped__any_header_family_and_protocol__inner_flow_once),
	    cmocka_unit_test(fragments__every_size_and_order__name),
	    cmocka_unit_test(fragments__of_fragments__name_and_bytes_once),
	};
	return cmocka_run_group_tests(tests, make, drop);
}
