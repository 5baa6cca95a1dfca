#include "tests/bench/load.h"

#include <stdlib.h>
#include <string.h>

enum {
	OUT_BYTES = 1 << 20,
	FRAME_BYTES = 2048,
	IPV4_BYTES = 20,
	IPV6_BYTES = 40,
	UDP_BYTES = 8,
	TCP_BYTES = 20
};

struct load_out {
	FILE *file;
	uint8_t *buf;
	size_t n;
	uint32_t snaplen;
	bool failed;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static void put32le(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t sum16(const uint8_t *p, size_t n, uint32_t sum)
{
	for (; n > 1; n -= 2, p += 2)
		sum += (uint32_t)(p[0] << 8 | p[1]);
	return n ? sum + (uint32_t)(p[0] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void flush(struct load_out *out)
{
	if (fwrite(out->buf, 1, out->n, out->file) != out->n)
		out->failed = true;
	out->n = 0;
}

struct load_out *out_open(const char *path, uint32_t snaplen)
{
	struct load_out *out = calloc(1, sizeof *out);
	if (!out)
		return NULL;
	out->file = fopen(path, "wb");
	out->buf = malloc(OUT_BYTES);
	out->snaplen = snaplen;
	if (!out->file || !out->buf) {
		perror(path);
		free(out->buf);
		free(out);
		return NULL;
	}
	put32le(out->buf, 0xa1b2c3d4);
	put32le(out->buf + 4, 4 << 16 | 2);
	memset(out->buf + 8, 0, 8);
	put32le(out->buf + 16, snaplen);
	put32le(out->buf + 20, 1);
	out->n = 24;
	return out;
}

int out_close(struct load_out *out)
{
	flush(out);
	bool failed = fclose(out->file) || out->failed;
	free(out->buf);
	free(out);
	return failed ? -1 : 0;
}

static size_t put_ethernet(uint8_t *p, const struct plan *pl, int dir)
{
	static const uint8_t mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
	size_t n = 12;
	memcpy(p, mac[!dir], 6);
	memcpy(p + 6, mac[dir], 6);
	if (pl->vlan) {
		put16(p + n, 0x8100);
		put16(p + n + 2, pl->vlan);
		n += 4;
	}
	put16(p + n, pl->is_v6 ? 0x86dd : 0x0800);
	return n + 2;
}

static size_t put_ip(uint8_t *p, const struct plan *pl, const struct step *s, size_t l4_bytes)
{
	uint8_t proto = pl->is_tcp ? 6 : 17;
	if (pl->is_v6) {
		put32(p, 6u << 28);
		put16(p + 4, (uint32_t)l4_bytes);
		p[6] = proto;
		p[7] = 64;
		memcpy(p + 8, pl->addr[s->dir], 16);
		memcpy(p + 24, pl->addr[!s->dir], 16);
		return IPV6_BYTES;
	}
	put32(p, 0x45000000 | (uint32_t)(IPV4_BYTES + l4_bytes));
	put32(p + 4, (uint32_t)(s->at ^ s->ts_ns) << 16 | 0x4000);
	put32(p + 8, 64u << 24 | (uint32_t)proto << 16);
	memcpy(p + 12, pl->addr[s->dir], 4);
	memcpy(p + 16, pl->addr[!s->dir], 4);
	put16(p + 10, fold(sum16(p, IPV4_BYTES, 0)));
	return IPV4_BYTES;
}

/* SYN carries its options: segment size and window scale 7. */
static size_t put_tcp(uint8_t *p, const struct plan *pl, const struct step *s)
{
	bool syn = s->flags & TCP_SYN;
	size_t n = TCP_BYTES + (syn ? 8 : 0);
	uint32_t seq = pl->isn[s->dir] + (syn ? 0 : 1 + (uint32_t)s->at);
	uint32_t ack = s->flags & TCP_ACK ? pl->isn[!s->dir] + 1 + (uint32_t)s->ack : 0;
	put16(p, pl->port[s->dir]);
	put16(p + 2, pl->port[!s->dir]);
	put32(p + 4, seq);
	put32(p + 8, ack);
	put16(p + 12, (uint32_t)(n / 4) << 12 | s->flags);
	put16(p + 14, 0xffff);
	put32(p + 16, 0);
	if (syn) {
		put32(p + 20, 2u << 24 | 4u << 16 | LOAD_MSS);
		put32(p + 24, 1u << 24 | 3u << 16 | 3u << 8 | 7u);
	}
	return n;
}

static size_t put_l4(uint8_t *p, const struct plan *pl, const struct step *s)
{
	if (pl->is_tcp)
		return put_tcp(p, pl, s);
	put16(p, pl->port[s->dir]);
	put16(p + 2, pl->port[!s->dir]);
	put32(p + 4, (uint32_t)(UDP_BYTES + s->bytes) << 16);
	return UDP_BYTES;
}

static void put_l4_checksum(uint8_t *p, size_t n, const struct plan *pl, int dir)
{
	size_t addr_bytes = pl->is_v6 ? 16 : 4;
	uint32_t sum = sum16(pl->addr[dir], addr_bytes, 0);
	sum = sum16(pl->addr[!dir], addr_bytes, sum) + (pl->is_tcp ? 6 : 17) + (uint32_t)n;
	uint16_t check = fold(sum16(p, n, sum));
	put16(p + (pl->is_tcp ? 16 : 6), check || pl->is_tcp ? check : 0xffff); /* 0 in UDP says "none" */
}

void out_packet(struct load_out *out, const struct plan *p, const struct step *s)
{
	if (out->n + FRAME_BYTES > OUT_BYTES)
		flush(out);
	uint8_t *record = out->buf + out->n, *frame = record + 16;
	size_t n = put_ethernet(frame, p, s->dir);
	size_t l4_bytes = p->is_tcp ? TCP_BYTES + (s->flags & TCP_SYN ? 8u : 0u) : UDP_BYTES;
	n += put_ip(frame + n, p, s, l4_bytes + s->bytes);
	size_t l4 = n;
	n += put_l4(frame + n, p, s);
	plan_payload(p, s->dir, s->at, frame + n, s->bytes);
	n += s->bytes;
	put_l4_checksum(frame + l4, n - l4, p, s->dir);
	uint32_t caplen = n < out->snaplen ? (uint32_t)n : out->snaplen;
	put32le(record, (uint32_t)(s->ts_ns / 1000000000));
	put32le(record + 4, (uint32_t)(s->ts_ns % 1000000000 / 1000));
	put32le(record + 8, caplen);
	put32le(record + 12, (uint32_t)n);
	out->n += 16 + caplen;
}
