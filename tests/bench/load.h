/* load: a deterministic generator of large captures whose truth is known. Shared by load_*.c and genload.c.
 *
 * A flow is planned whole from its seed: addresses, two byte streams, and every packet with its time. So
 * truth is written down when the flow is planned, and never read back from packets. The same arguments give
 * the same file on every machine. */
#ifndef LEAKTAP_TESTS_BENCH_LOAD_H
#define LEAKTAP_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
	LOAD_MSS = 1400,
	LOAD_NAME_BYTES = 96,
	LOAD_LEAD_BYTES = 8192,
	LOAD_RECORD_BYTES = 16384, /* TLS record bodies of the filler */
};

/* xorshift64*, Vigna 2016 */
struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	r->s ^= r->s >> 12;
	r->s ^= r->s << 25;
	r->s ^= r->s >> 27;
	return r->s * UINT64_C(0x2545f4914f6cdd1d);
}

/* 0 .. n - 1 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return (rng_next(r) >> 11) % n;
}

static inline bool rng_percent(struct rng *r, unsigned percent)
{
	return rng_below(r, 100) < percent;
}

struct rng rng_of(uint64_t seed, uint64_t id); /* independent streams for neighbouring ids */

/* Bytes being written; overflow is a bug of the generator and ends it. */
struct lead {
	uint8_t p[LOAD_LEAD_BYTES];
	size_t n;
};

void lead_bytes(struct lead *l, const void *p, size_t n);
void lead_uint(struct lead *l, uint64_t v, size_t width);
void lead_random(struct lead *l, struct rng *r, size_t n);
/* Reserves a length field; lead_close writes what came after it. */
size_t lead_open(struct lead *l, size_t width);
void lead_close(struct lead *l, size_t mark, size_t width);

enum load_app { LOAD_TLS13, LOAD_TLS12, LOAD_QUIC, LOAD_HTTP, LOAD_DNS, LOAD_PLAIN, LOAD_APP_COUNT };
extern const char *const load_app_names[LOAD_APP_COUNT];

enum { UP, DOWN };

/* A direction's bytes: lead as built, then body_bytes of filler in TLS records where framed. */
struct stream {
	struct lead lead;
	uint64_t body_bytes; /* as sent, record headers included */
	bool framed;
};

/* One packet to be. */
struct step {
	uint64_t ts_ns;
	uint64_t at;    /* first payload byte in its stream */
	uint64_t ack;   /* bytes of the other stream acknowledged */
	uint16_t bytes; /* payload */
	uint8_t dir, flags;
};

enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_PSH = 8, TCP_ACK = 16 };

struct plan {
	uint64_t id;
	enum load_app app;
	bool is_tcp, is_v6;
	uint16_t vlan; /* 0: untagged */
	uint8_t addr[2][16];
	uint16_t port[2];
	uint32_t isn[2];
	char name[LOAD_NAME_BYTES]; /* "" where none is to be seen */
	struct stream stream[2];
	uint64_t acked[2]; /* truth: payload bytes acknowledged, of UDP sent */
	struct step *steps;
	size_t n_steps, cap_steps;
};

struct load_conf {
	const char *workload; /* mixed, small, many */
	uint64_t seed, packets, flows, uploads;
	uint64_t upload_bytes;        /* mean of the uploads of mixed */
	uint64_t start_ns, spread_ns; /* flows begin within */
};

/* Fills p for flow id; p->steps is reused. */
void plan_flow(struct plan *p, const struct load_conf *conf, uint64_t id);
/* Copies n payload bytes of a direction. */
void plan_payload(const struct plan *p, int dir, uint64_t at, uint8_t *ret_bytes, size_t n);

/* Handshake messages. quic: transport parameters and ALPN h3, no record header. hybrid: an ML-KEM key share
 * of 1,216 bytes. */
void hello_client(struct lead *l, struct rng *r, const char *name, bool tls13, bool hybrid, bool quic);
void hello_server(struct lead *l, struct rng *r, bool tls13, size_t certificate_bytes);
void hello_client_finish(struct lead *l, struct rng *r, bool tls13);

/* Client Initial packets (RFC 9001) of 1,200 bytes carrying message, one after the other. How many. */
size_t quic_initials(struct lead *l, struct rng *r, const uint8_t *message, size_t n);

/* Writing. */
struct load_out;
struct load_out *out_open(const char *path, uint32_t snaplen);
void out_packet(struct load_out *out, const struct plan *p, const struct step *s);
int out_close(struct load_out *out); /* 0 where every byte was written */

#endif
