/* genload: writes a large capture and its truth. See load.h.
 *
 *   genload WORKLOAD OUT.pcap TRUTH.tsv [--packets N] [--flows N] [--seed N] [--snaplen N]
 *
 * mixed: TLS 1.2 and 1.3, hellos with a hybrid key share in two segments (sometimes out of order), QUIC with
 * real Initials, HTTP, DNS, retransmission, reordering, 5 % VLAN, 20 % IPv6, 24 large uploads. small: short
 * packets. many: every flow says hello before any goes on, so that all are open at once; their plans are made
 * anew for each packet instead of kept. */
#include "tests/bench/load.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* A flow that has begun, in the order of its next packet. plan NULL: made anew when needed. */
struct active {
	uint64_t next_ns, id;
	struct plan *plan;
	uint32_t at, n_steps;
};

struct heap {
	struct active *a;
	size_t n, cap;
};

static bool before(const struct active *x, const struct active *y)
{
	return x->next_ns != y->next_ns ? x->next_ns < y->next_ns : x->id < y->id;
}

static void heap_push(struct heap *h, struct active x)
{
	if (h->n == h->cap) {
		h->cap = h->cap ? h->cap * 2 : 1024;
		h->a = realloc(h->a, h->cap * sizeof *h->a);
		if (!h->a)
			exit(1);
	}
	size_t at = h->n++;
	for (; at > 0 && before(&x, &h->a[(at - 1) / 2]); at = (at - 1) / 2)
		h->a[at] = h->a[(at - 1) / 2];
	h->a[at] = x;
}

static void heap_settle(struct heap *h)
{
	struct active x = h->a[0];
	size_t at = 0;
	for (size_t child; (child = 2 * at + 1) < h->n; at = child) {
		if (child + 1 < h->n && before(&h->a[child + 1], &h->a[child]))
			child++;
		if (!before(&h->a[child], &x))
			break;
		h->a[at] = h->a[child];
	}
	h->a[at] = x;
}

static void heap_pop(struct heap *h)
{
	h->a[0] = h->a[--h->n];
	if (h->n)
		heap_settle(h);
}

static void write_truth(FILE *truth, const struct plan *p)
{
	char text[2][INET6_ADDRSTRLEN];
	uint64_t packets[2] = {0, 0}, wire[2] = {0, 0};
	size_t headers = 14u + (p->vlan ? 4 : 0) + (p->is_v6 ? 40 : 20) + (p->is_tcp ? 20 : 8);
	for (int dir = UP; dir <= DOWN; dir++)
		inet_ntop(p->is_v6 ? AF_INET6 : AF_INET, p->addr[dir], text[dir], sizeof text[dir]);
	for (size_t i = 0; i < p->n_steps; i++) {
		const struct step *s = &p->steps[i];
		packets[s->dir]++;
		wire[s->dir] += headers + s->bytes + (s->flags & TCP_SYN ? 8u : 0u);
	}
	fprintf(truth, "%llu\t%s\t%s\t%u\t%s\t%u\t%u\t%s\t%s", (unsigned long long)p->id,
		p->is_tcp ? "tcp" : "udp", text[UP], p->port[UP], text[DOWN], p->port[DOWN], p->vlan,
		load_app_names[p->app], p->name[0] ? p->name : "-");
	fprintf(truth, "\t%llu\t%llu\t%llu\t%llu\t%llu\t%llu\n", (unsigned long long)p->acked[UP],
		(unsigned long long)p->acked[DOWN], (unsigned long long)packets[UP],
		(unsigned long long)packets[DOWN], (unsigned long long)wire[UP],
		(unsigned long long)wire[DOWN]);
}

static struct plan *new_plan(void)
{
	struct plan *p = calloc(1, sizeof *p);
	if (!p)
		exit(1);
	return p;
}

static void free_plan(struct plan *p)
{
	if (p)
		free(p->steps);
	free(p);
}

struct maker {
	const struct load_conf *conf;
	struct load_out *out;
	FILE *truth;
	struct heap heap;
	bool keeps_plans;
	struct plan *scratch;
	uint64_t begun, packets;
};

static void begin_flow(struct maker *m)
{
	struct plan *p = m->keeps_plans ? new_plan() : m->scratch;
	plan_flow(p, m->conf, m->begun);
	write_truth(m->truth, p);
	heap_push(&m->heap, (struct active){p->steps[0].ts_ns, m->begun, m->keeps_plans ? p : NULL, 0,
					    (uint32_t)p->n_steps});
	m->begun++;
}

static void write_next(struct maker *m)
{
	struct active *x = &m->heap.a[0];
	struct plan *p = x->plan;
	if (!p) {
		p = m->scratch;
		plan_flow(p, m->conf, x->id);
	}
	out_packet(m->out, p, &p->steps[x->at++]);
	m->packets++;
	if (x->at == x->n_steps) {
		free_plan(x->plan);
		heap_pop(&m->heap);
	} else {
		x->next_ns = p->steps[x->at].ts_ns;
		heap_settle(&m->heap);
	}
}

/* The first packet of flow id comes at this time (plan_flow). */
static uint64_t begin_ns(const struct load_conf *conf, uint64_t id)
{
	return (conf->start_ns + id * (conf->spread_ns / conf->flows + 1)) / 1000 * 1000;
}

static void make(struct maker *m)
{
	fprintf(m->truth, "id\tproto\tsrc\tsport\tdst\tdport\tvlan\tapp\tname\tacked_up\tacked_down\tpackets_"
			  "up\tpackets_down\t"
			  "wire_up\twire_down\n");
	while (m->begun < m->conf->flows || m->heap.n) {
		while (m->begun < m->conf->flows &&
		       (m->heap.n == 0 || begin_ns(m->conf, m->begun) <= m->heap.a[0].next_ns))
			begin_flow(m);
		write_next(m);
	}
	free(m->heap.a);
	free_plan(m->scratch);
}

static const struct {
	const char *name;
	uint64_t packets, packets_per_flow;
} workloads[] = {{"mixed", 3000000, 25}, {"small", 10000000, 8}, {"many", 24200000, 11}};

static int usage(const char *program)
{
	fprintf(stderr,
		"usage: %s mixed|small|many OUT.pcap TRUTH.tsv [--packets N] [--flows N] [--seed N] "
		"[--snaplen N]\n",
		program);
	return 2;
}

static bool read_options(int argc, char **argv, struct load_conf *conf, uint64_t *ret_snaplen)
{
	const struct {
		const char *name;
		uint64_t *value;
	} options[] = {{"--packets", &conf->packets},
		       {"--flows", &conf->flows},
		       {"--seed", &conf->seed},
		       {"--snaplen", ret_snaplen}};
	for (int i = 4; i < argc; i += 2) {
		size_t k = 0;
		while (k < 4 && strcmp(argv[i], options[k].name) != 0)
			k++;
		char *end;
		if (k == 4 || i + 1 == argc)
			return false;
		*options[k].value = strtoull(argv[i + 1], &end, 10);
		if (*end || !*options[k].value)
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct load_conf conf = {.seed = 1, .start_ns = UINT64_C(1767225600) * 1000000000};
	uint64_t snaplen = 262144;
	size_t k = 0;
	while (argc > 3 && k < 3 && strcmp(argv[1], workloads[k].name) != 0)
		k++;
	if (argc <= 3 || k == 3 || !read_options(argc, argv, &conf, &snaplen))
		return usage(argv[0]);
	conf.workload = workloads[k].name;
	if (!conf.packets)
		conf.packets = conf.flows ? conf.flows * workloads[k].packets_per_flow : workloads[k].packets;
	if (!conf.flows)
		conf.flows = conf.packets / workloads[k].packets_per_flow + 1;
	conf.spread_ns = conf.flows * 500000; /* 2,000 new flows a second */
	/* Uploads of 10 to 40 MB where the capture is large enough for them: a fifth of its packets. */
	conf.uploads = k == 0 ? 24 : 0;
	conf.upload_bytes = 25000000 < conf.packets * 8 ? 25000000 : conf.packets * 8 + 1000;
	struct maker m = {.conf = &conf, .keeps_plans = k != 2, .scratch = new_plan()};
	m.out = out_open(argv[2], (uint32_t)snaplen);
	m.truth = fopen(argv[3], "w");
	if (!m.out || !m.truth) {
		perror(argv[3]);
		return 1;
	}
	make(&m);
	bool failed = out_close(m.out) != 0;
	if (fclose(m.truth) || failed) {
		fprintf(stderr, "%s: could not be written whole\n", argv[2]);
		return 1;
	}
	printf("%s: %llu packets, %llu flows\n", conf.workload, (unsigned long long)m.packets,
	       (unsigned long long)m.begun);
	return 0;
}
