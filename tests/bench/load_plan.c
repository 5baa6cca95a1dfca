#include "tests/bench/load.h"

#include <stdlib.h>
#include <string.h>

enum {
	PORTS = 28000, /* client ports from 32768 on */
	US = 1000,
	MS = 1000 * US,
};

const char *const load_app_names[LOAD_APP_COUNT] = {"tls13", "tls12", "quic", "http", "dns", "plain"};

/* A flow while it is planned. */
struct planner {
	struct plan *p;
	struct rng r;
	uint64_t now_ns, half_rtt_ns, gap_ns;
	uint64_t sent[2], seen[2]; /* payload bytes of each direction sent, and received by the other side */
	unsigned reorder_percent, repeat_percent;
};

struct rng rng_of(uint64_t seed, uint64_t id)
{
	/* splitmix64 spreads neighbouring ids over the whole state space. */
	uint64_t z = seed * UINT64_C(0x9e3779b97f4a7c15) + (id + 1) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (struct rng){(z ^ (z >> 31)) | 1};
}

static struct step *add(struct planner *pl, uint64_t ts_ns, int dir, uint8_t flags, uint64_t at, size_t bytes)
{
	struct plan *p = pl->p;
	if (p->n_steps == p->cap_steps) {
		p->cap_steps = p->cap_steps ? p->cap_steps * 2 : 64;
		p->steps = realloc(p->steps, p->cap_steps * sizeof *p->steps);
		if (!p->steps)
			exit(1);
	}
	struct step *s = &p->steps[p->n_steps++];
	*s = (struct step){.ts_ns = ts_ns,
			   .at = at,
			   .ack = pl->seen[!dir],
			   .bytes = (uint16_t)bytes,
			   .dir = (uint8_t)dir,
			   .flags = flags};
	return s;
}

static void acknowledge(struct planner *pl, int of)
{
	pl->seen[of] = pl->sent[of];
	add(pl, pl->now_ns + pl->half_rtt_ns, !of, TCP_ACK, pl->sent[!of], 0);
}

/* Now and then a segment overtakes the one before it, or comes again 3 ms later. */
static void disturb(struct planner *pl, size_t before)
{
	struct step *s = &pl->p->steps[before];
	if (before && rng_percent(&pl->r, pl->reorder_percent) && s[-1].bytes && s[-1].dir == s->dir) {
		uint64_t ts = s->ts_ns;
		s->ts_ns = s[-1].ts_ns;
		s[-1].ts_ns = ts;
	}
	if (rng_percent(&pl->r, pl->repeat_percent)) {
		struct step again = *s;
		add(pl, again.ts_ns + 3 * MS, again.dir, again.flags, again.at, again.bytes)->ack = again.ack;
	}
}

/* Sends a direction's stream up to a place; the other side acknowledges every second segment and the last. */
static void send_to(struct planner *pl, int dir, uint64_t upto, bool acked)
{
	for (unsigned i = 1; pl->sent[dir] < upto; i++) {
		uint64_t left = upto - pl->sent[dir];
		size_t n = left < LOAD_MSS ? (size_t)left : LOAD_MSS;
		size_t at = pl->p->n_steps;
		pl->now_ns += pl->gap_ns;
		add(pl, pl->now_ns, dir, TCP_ACK | TCP_PSH, pl->sent[dir], n);
		pl->sent[dir] += n;
		disturb(pl, at);
		if (acked && i % 2 == 0 && pl->sent[dir] < upto)
			acknowledge(pl, dir);
	}
	pl->now_ns += pl->half_rtt_ns;
	if (acked) {
		pl->now_ns -= pl->half_rtt_ns;
		acknowledge(pl, dir);
		pl->now_ns += 2 * pl->half_rtt_ns;
	}
}

static uint64_t stream_bytes(const struct plan *p, int dir)
{
	return p->stream[dir].lead.n + p->stream[dir].body_bytes;
}

static void open_tcp(struct planner *pl)
{
	add(pl, pl->now_ns, UP, TCP_SYN, 0, 0);
	add(pl, pl->now_ns + pl->half_rtt_ns, DOWN, TCP_SYN | TCP_ACK, 0, 0);
	pl->now_ns += 2 * pl->half_rtt_ns;
	add(pl, pl->now_ns, UP, TCP_ACK, 0, 0);
}

static void close_tcp(struct planner *pl)
{
	pl->now_ns += 2 * pl->half_rtt_ns + 5 * MS; /* behind whatever still comes again */
	add(pl, pl->now_ns, UP, TCP_FIN | TCP_ACK, pl->sent[UP], 0);
	add(pl, pl->now_ns + pl->half_rtt_ns, DOWN, TCP_FIN | TCP_ACK, pl->sent[DOWN], 0)->ack++;
	add(pl, pl->now_ns + 2 * pl->half_rtt_ns, UP, TCP_ACK, pl->sent[UP] + 1, 0)->ack++;
}

/* app bytes in whole records, none of them absurdly short. */
static void set_body(struct stream *s, uint64_t app_bytes, bool framed)
{
	uint64_t tail = app_bytes % LOAD_RECORD_BYTES;
	if (framed && tail && tail < 64)
		app_bytes += 64;
	s->framed = framed;
	s->body_bytes =
	    framed ? app_bytes + (app_bytes + LOAD_RECORD_BYTES - 1) / LOAD_RECORD_BYTES * 5 : app_bytes;
}

/* What one flow in fifty does: its last upload segment is never acknowledged, and nothing follows. */
static void finish_tcp(struct planner *pl, bool leave_open)
{
	struct plan *p = pl->p;
	uint64_t up = stream_bytes(p, UP), down = stream_bytes(p, DOWN);
	bool silent = up > pl->sent[UP] + 64 && rng_percent(&pl->r, 2);
	uint64_t held = silent ? 64 : 0;
	send_to(pl, UP, up - held, true);
	send_to(pl, DOWN, down, true);
	if (silent)
		send_to(pl, UP, up, false);
	p->acked[UP] = up - held;
	p->acked[DOWN] = down;
	if (!silent && !leave_open)
		close_tcp(pl);
}

static void plan_tls(struct planner *pl, uint64_t up_bytes, uint64_t down_bytes, size_t certificate_bytes,
		     uint64_t pause_to_ns)
{
	struct plan *p = pl->p;
	bool tls13 = p->app == LOAD_TLS13,
	     hybrid = tls13 && certificate_bytes > 1000 && rng_percent(&pl->r, 60);
	struct lead *up = &p->stream[UP].lead;
	hello_client(up, &pl->r, p->name, tls13, hybrid, false);
	size_t hello_bytes = up->n;
	hello_server(&p->stream[DOWN].lead, &pl->r, tls13, certificate_bytes);
	hello_client_finish(up, &pl->r, tls13);
	set_body(&p->stream[UP], up_bytes, true);
	set_body(&p->stream[DOWN], down_bytes, true);
	open_tcp(pl);
	unsigned reorder = pl->reorder_percent;
	if (hybrid)
		pl->reorder_percent = 10;
	send_to(pl, UP, hello_bytes, true);
	pl->reorder_percent = reorder;
	send_to(pl, DOWN, p->stream[DOWN].lead.n, true);
	if (pause_to_ns > pl->now_ns)
		pl->now_ns = pause_to_ns;
	finish_tcp(pl, pause_to_ns != 0);
}

static void plan_http(struct planner *pl, uint64_t down_bytes)
{
	struct plan *p = pl->p;
	char text[512];
	int n = snprintf(text, sizeof text,
			 "GET /item/%llu HTTP/1.1\r\nHost: %s\r\nUser-Agent: load/1\r\nAccept: */*\r\n\r\n",
			 (unsigned long long)p->id, p->name);
	lead_bytes(&p->stream[UP].lead, text, (size_t)n);
	n = snprintf(text, sizeof text,
		     "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %llu\r\n\r\n",
		     (unsigned long long)down_bytes);
	lead_bytes(&p->stream[DOWN].lead, text, (size_t)n);
	set_body(&p->stream[DOWN], down_bytes, false);
	open_tcp(pl);
	finish_tcp(pl, false);
}

/* Small questions and answers of both sides in turn. */
static void plan_plain(struct planner *pl, unsigned turns)
{
	struct plan *p = pl->p;
	uint64_t up = 0, down = 0;
	open_tcp(pl);
	for (unsigned i = 0; i < turns; i++) {
		up += 10 + rng_below(&pl->r, 80);
		down += 10 + rng_below(&pl->r, 80);
		/* The answer carries the acknowledgement, and the next question the answer's. */
		add(pl, pl->now_ns, UP, TCP_ACK | TCP_PSH, pl->sent[UP], (size_t)(up - pl->sent[UP]));
		pl->sent[UP] = pl->seen[UP] = up;
		pl->now_ns += pl->half_rtt_ns;
		add(pl, pl->now_ns, DOWN, TCP_ACK | TCP_PSH, pl->sent[DOWN], (size_t)(down - pl->sent[DOWN]));
		pl->sent[DOWN] = pl->seen[DOWN] = down;
		pl->now_ns += pl->half_rtt_ns;
	}
	set_body(&p->stream[UP], up, false);
	set_body(&p->stream[DOWN], down, false);
	p->acked[UP] = up;
	p->acked[DOWN] = down;
	close_tcp(pl);
}

static void send_datagram(struct planner *pl, int dir, size_t n)
{
	add(pl, pl->now_ns, dir, 0, pl->sent[dir], n);
	pl->sent[dir] += n;
	pl->p->acked[dir] += n;
	pl->now_ns += pl->gap_ns;
}

static void plan_quic(struct planner *pl, uint64_t down_bytes)
{
	struct plan *p = pl->p;
	struct lead *down = &p->stream[DOWN].lead;
	static struct lead message; /* too large for a stack; one thread */
	message.n = 0;
	hello_client(&message, &pl->r, p->name, true, rng_percent(&pl->r, 60), true);
	size_t initials = quic_initials(&p->stream[UP].lead, &pl->r, message.p, message.n);
	for (size_t i = 0; i < initials; i++)
		send_datagram(pl, UP, 1200);
	/* The server's Initial and Handshake, sealed with keys that nobody has. */
	for (uint8_t type = 0; type < 3; type = (uint8_t)(type + 2)) {
		lead_uint(down, 0xc0u | (uint32_t)type << 4, 1);
		lead_bytes(down, "\0\0\0\1\0\x08", 6);
		lead_random(down, &pl->r, 8);
		if (type == 0)
			lead_uint(down, 0, 1);
		size_t rest = 1200 - (down->n % 1200) - 2;
		lead_uint(down, 0x4000 | rest, 2);
		lead_random(down, &pl->r, rest);
	}
	pl->now_ns += 2 * pl->half_rtt_ns;
	send_datagram(pl, DOWN, 1200);
	send_datagram(pl, DOWN, 1200);
	p->stream[UP].body_bytes = p->stream[DOWN].body_bytes = UINT32_MAX;
	send_datagram(pl, UP, 90);
	send_datagram(pl, UP, 200 + rng_below(&pl->r, 600));
	pl->now_ns += 2 * pl->half_rtt_ns;
	for (uint64_t i = 0; i * 1250 < down_bytes; i++) {
		send_datagram(pl, DOWN, 1250);
		if (i % 4 == 3)
			send_datagram(pl, UP, 40);
	}
}

static void dns_name(struct lead *l, const char *name)
{
	while (*name) {
		size_t n = strcspn(name, ".");
		lead_uint(l, n, 1);
		lead_bytes(l, name, n);
		name += n + (name[n] == '.');
	}
	lead_uint(l, 0, 1);
}

/* The address that flows to a name have as their destination. */
static void server_address(const char *name, uint8_t ret_addr[4])
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	h ^= h >> 15;
	ret_addr[0] = 198;
	ret_addr[1] = (uint8_t)(18 + (h >> 16 & 1));
	ret_addr[2] = (uint8_t)(h >> 8);
	ret_addr[3] = (uint8_t)h;
}

static void plan_dns(struct planner *pl)
{
	struct plan *p = pl->p;
	uint8_t answer[4];
	server_address(p->name, answer);
	for (int dir = UP; dir <= DOWN; dir++) {
		struct lead *l = &p->stream[dir].lead;
		lead_uint(l, p->id & 0xffff, 2);
		lead_uint(l, dir == UP ? 0x0100 : 0x8180, 2);
		lead_uint(l, 1, 2);
		lead_uint(l, dir == UP ? 0 : 1, 2);
		lead_uint(l, 0, 4);
		dns_name(l, p->name);
		lead_uint(l, 1u << 16 | 1, 4);
	}
	lead_bytes(&p->stream[DOWN].lead, "\xc0\x0c\0\1\0\1\0\0\1\x2c\0\4", 12);
	lead_bytes(&p->stream[DOWN].lead, answer, 4);
	send_datagram(pl, UP, p->stream[UP].lead.n);
	pl->now_ns += 2 * pl->half_rtt_ns;
	send_datagram(pl, DOWN, p->stream[DOWN].lead.n);
	p->name[0] = '\0'; /* a resolver has no name of its own */
}

static void choose_name(struct planner *pl, bool upload)
{
	static const char *const places[][3] = {
	    {"cdn", ".static-assets", ".example"},
	    {"www", ".shop", ".example"},
	    {"api", ".service", ".example"},
	    {"img", ".a-rather-long-label-for-the-name-of-a-host.region", ".content.example"},
	};
	static const char *const stores[][3] = {{"account", ".blob", ".store.example"},
						{"bucket", ".objects", ".example"}};
	unsigned a = (unsigned)rng_below(&pl->r, 50), b = (unsigned)rng_below(&pl->r, 400);
	const char *const *part = upload ? stores[a % 2] : places[a % 4];
	snprintf(pl->p->name, LOAD_NAME_BYTES, "%s%u%s%u%s", part[0], a, part[1], b, part[2]);
}

/* Client address and port are unique to the id, so that no two flows share a 5-tuple. */
static void choose_ends(struct planner *pl, unsigned v6_percent, unsigned vlan_percent, uint16_t port)
{
	struct plan *p = pl->p;
	uint64_t group = p->id / PORTS;
	uint8_t *client = p->addr[UP], *server = p->addr[DOWN];
	p->is_v6 = rng_percent(&pl->r, v6_percent);
	p->vlan = rng_percent(&pl->r, vlan_percent) ? 100 : 0;
	memset(p->addr, 0, sizeof p->addr);
	if (p->is_v6) {
		memcpy(client, "\xfd\0\0\0\0\0\0\1", 8);
		memcpy(server, "\x20\x01\x0d\xb8", 4);
		client += 12;
		server += 12;
	}
	client[0] = 10;
	client[1] = (uint8_t)(group >> 8);
	client[2] = (uint8_t)group;
	client[3] = (uint8_t)(1 + rng_below(&pl->r, 250));
	server_address(p->name, server);
	p->port[UP] = (uint16_t)(32768 + p->id % PORTS);
	p->port[DOWN] = port;
	p->isn[UP] = (uint32_t)rng_next(&pl->r);
	p->isn[DOWN] = (uint32_t)rng_next(&pl->r);
}

static void plan_mixed(struct planner *pl, const struct load_conf *conf)
{
	struct plan *p = pl->p;
	uint64_t each = conf->uploads ? conf->flows / conf->uploads : 0;
	bool upload = each && p->id % each == each / 2 && p->id / each < conf->uploads;
	uint64_t kind = upload ? 0 : rng_below(&pl->r, 100);
	p->app = kind < 55   ? LOAD_TLS13
		 : kind < 70 ? LOAD_TLS12
		 : kind < 82 ? LOAD_QUIC
		 : kind < 88 ? LOAD_HTTP
			     : LOAD_DNS;
	p->is_tcp = p->app != LOAD_QUIC && p->app != LOAD_DNS;
	choose_name(pl, upload);
	choose_ends(pl, 20, 5, p->app == LOAD_DNS ? 53 : p->app == LOAD_HTTP ? 80 : 443);
	pl->reorder_percent = pl->repeat_percent = 1;
	/* All but the answers takes about 13 packets a flow; they fill up to the number asked for, three
	 * packets per two segments. */
	uint64_t uploaded = conf->uploads * (conf->upload_bytes / LOAD_MSS) * 3 / 2;
	uint64_t rest =
	    conf->packets > uploaded ? (conf->packets - uploaded) / (conf->flows ? conf->flows : 1) : 0;
	uint64_t mean = (rest > 14 ? rest - 13 : 1) * LOAD_MSS * 3 / 4;
	uint64_t down = 200 + rng_below(&pl->r, 2 * mean), up = 100 + rng_below(&pl->r, 2000);
	if (upload)
		up = conf->upload_bytes * 2 / 5 + rng_below(&pl->r, conf->upload_bytes * 6 / 5);
	switch (p->app) {
	case LOAD_QUIC:
		plan_quic(pl, down);
		break;
	case LOAD_HTTP:
		plan_http(pl, down);
		break;
	case LOAD_DNS:
		plan_dns(pl);
		break;
	default:
		plan_tls(pl, up, down, 2500 + rng_below(&pl->r, 1500), 0);
	}
}

static void plan_small(struct planner *pl, const struct load_conf *conf)
{
	struct plan *p = pl->p;
	uint64_t kind = rng_below(&pl->r, 100),
		 mean = (conf->packets + conf->flows / 2) / (conf->flows ? conf->flows : 1);
	p->app = kind < 70 ? LOAD_PLAIN : kind < 97 ? LOAD_DNS : LOAD_TLS13;
	p->is_tcp = p->app != LOAD_DNS;
	choose_name(pl, false);
	choose_ends(pl, 10, 0, p->app == LOAD_DNS ? 53 : p->app == LOAD_PLAIN ? 9000 : 443);
	if (p->app == LOAD_DNS)
		plan_dns(pl);
	else if (p->app == LOAD_TLS13)
		plan_tls(pl, 100, 100, 100, 0);
	else
		plan_plain(pl, mean > 6 ? (unsigned)((mean * 10 - 51) / 14)
					: 1); /* 6 + 2 a turn, in seven of ten flows */
	if (p->app == LOAD_PLAIN)
		p->name[0] = '\0';
}

static void plan_many(struct planner *pl, const struct load_conf *conf)
{
	struct plan *p = pl->p;
	p->app = LOAD_TLS13;
	p->is_tcp = true;
	choose_name(pl, false);
	choose_ends(pl, 20, 0, 443);
	/* Everybody says hello, and only then everybody goes on: all flows are open at once. */
	uint64_t pause_to_ns = conf->start_ns + conf->spread_ns + rng_below(&pl->r, conf->spread_ns + 1);
	plan_tls(pl, 100, 200, 100, pause_to_ns);
}

/* Nearly in order already; equal times keep their order. */
static void sort_steps(struct plan *p)
{
	for (size_t i = 1; i < p->n_steps; i++) {
		struct step s = p->steps[i];
		size_t k = i;
		for (; k > 0 && p->steps[k - 1].ts_ns > s.ts_ns; k--)
			p->steps[k] = p->steps[k - 1];
		p->steps[k] = s;
	}
}

void plan_flow(struct plan *p, const struct load_conf *conf, uint64_t id)
{
	struct planner pl = {.p = p, .r = rng_of(conf->seed, id)};
	p->id = id;
	p->n_steps = 0;
	for (int dir = UP; dir <= DOWN; dir++) {
		p->stream[dir].lead.n = 0;
		p->stream[dir].body_bytes = 0;
		p->stream[dir].framed = false;
		p->acked[dir] = 0;
	}
	/* Whole microseconds: what the file can hold. */
	uint64_t slot_ns = conf->spread_ns / (conf->flows ? conf->flows : 1) + 1;
	pl.now_ns = (conf->start_ns + id * slot_ns) / US * US;
	pl.half_rtt_ns = (1 + rng_below(&pl.r, 20)) * MS;
	pl.gap_ns = (10 + rng_below(&pl.r, 90)) * US;
	if (conf->workload[0] == 'm' && conf->workload[1] == 'i')
		plan_mixed(&pl, conf);
	else if (conf->workload[0] == 's')
		plan_small(&pl, conf);
	else
		plan_many(&pl, conf);
	sort_steps(p);
}
