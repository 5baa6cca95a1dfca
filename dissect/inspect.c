#include "dissect/inspect.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "dissect/inspect_slot.h"

enum { MAX_APPID_FLOWS = 4096 };

int inspect_new(struct inspect **ret_in, const struct inspect_conf *conf, struct err *err)
{
	struct inspect *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(err, -ENOMEM, "no memory for inspection");
	int r = -ENOMEM;
	in->conf = *conf;
	in->budget.max_bytes = conf->max_assembly_bytes ? conf->max_assembly_bytes : (size_t)64 << 20;
	in->max_slots = conf->max_slots ? conf->max_slots : 262144;
	in->slabs = calloc((in->max_slots + INSPECT_SLAB_SLOTS - 1) / INSPECT_SLAB_SLOTS,
			   sizeof(struct inspect_slot *));
	in->labels = labels_new(0, 0);
	in->tls_pool = tls_app_pool_new(0);
	in->dns = dnscache_new(0, 0);
	in->quic = quic_crypt_new();
	if (!in->slabs || !in->labels || !in->tls_pool || !in->dns || !in->quic) {
		err_set(err, r, in->quic ? "no memory for inspection" : "libcrypto has no AES");
		goto free_inspect;
	}
	size_t flows = in->max_slots < MAX_APPID_FLOWS ? in->max_slots : MAX_APPID_FLOWS;
	r = appid_new(&in->appid, flows, err);
	if (r < 0)
		goto free_inspect;
	*ret_in = in;
	return 0;
free_inspect:
	inspect_free(in);
	return r;
}

void inspect_free(struct inspect *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->n_slots; i++) {
		struct inspect_slot *slot = &in->slabs[i / INSPECT_SLAB_SLOTS][i % INSPECT_SLAB_SLOTS];
		assemble_done(&slot->client_bytes, &in->budget);
		assemble_done(&slot->server_bytes, &in->budget);
		quic_state_free(slot->quic);
		free(slot->second);
	}
	for (size_t i = 0; i < in->n_slots; i += INSPECT_SLAB_SLOTS)
		free(in->slabs[i / INSPECT_SLAB_SLOTS]);
	free(in->slabs);
	appid_free(in->appid);
	quic_crypt_free(in->quic);
	dnscache_free(in->dns);
	tls_app_pool_free(in->tls_pool);
	labels_free(in->labels);
	free(in);
}

struct labels *inspect_labels(struct inspect *in)
{
	return in->labels;
}

struct tls_app_pool *inspect_tls_pool(struct inspect *in)
{
	return in->tls_pool;
}

static void slots_grow(struct inspect *in)
{
	size_t n = in->max_slots - in->n_slots < INSPECT_SLAB_SLOTS ? in->max_slots - in->n_slots
								    : INSPECT_SLAB_SLOTS;
	struct inspect_slot *slab = n ? calloc(INSPECT_SLAB_SLOTS, sizeof *slab) : NULL;
	if (!slab)
		return;
	in->slabs[in->n_slots / INSPECT_SLAB_SLOTS] = slab;
	for (size_t i = 0; i < n; i++) {
		slab[i].next = in->free_list;
		in->free_list = &slab[i];
	}
	in->n_slots += n;
}

struct inspect_slot *inspect_open(struct inspect *in, uint8_t proto)
{
	if (proto != IPPROTO_TCP && proto != IPPROTO_UDP)
		return NULL;
	if (!in->free_list)
		slots_grow(in);
	struct inspect_slot *slot = in->free_list;
	if (!slot) {
		in->stats.slots_refused++;
		return NULL;
	}
	in->free_list = slot->next;
	slot->next = NULL;
	assemble_init(&slot->client_bytes);
	assemble_init(&slot->server_bytes);
	return slot;
}

enum inspect_verdict inspect_segment(struct inspect *in, struct inspect_slot *slot,
				     const struct inspect_input *input)
{
	const struct segment *seg = input->seg;
	/* a server may greet long before its client speaks */
	if (!slot->deadline_ns || (input->from_initiator && !slot->segments[0]))
		slot->deadline_ns = seg->ts_ns + INSPECT_MAX_NS;
	enum inspect_verdict v =
	    seg->proto == IPPROTO_TCP ? inspect_tcp(in, slot, input) : inspect_udp(in, slot, input);
	return slot->segments[0] && seg->ts_ns > slot->deadline_ns ? INSPECT_DONE : v;
}

void inspect_known(const struct inspect *in, const struct inspect_slot *slot, struct label *ret)
{
	label_get(in->labels, slot->label, ret);
}

void inspect_learn(struct inspect *in, struct inspect_slot *slot, const struct label *l)
{
	uint32_t id = label_draft(in->labels, l);
	if (!id)
		return;
	label_unref(in->labels, slot->label);
	slot->label = id;
}

void inspect_flag(struct inspect *in, struct inspect_slot *slot, uint32_t flags)
{
	struct label l;
	inspect_known(in, slot, &l);
	if ((l.flags & flags) == flags)
		return;
	l.flags |= flags;
	inspect_learn(in, slot, &l);
}

/* Candidates are sorted, each once. */
static void candidate_add(struct label *l, const char *name)
{
	size_t at = 0;
	while (at < l->n_candidates && strcmp(l->candidates[at], name) < 0)
		at++;
	if (l->n_candidates == FACTS_MAX_CANDIDATES ||
	    (at < l->n_candidates && !strcmp(l->candidates[at], name)))
		return;
	memmove(&l->candidates[at + 1], &l->candidates[at], (l->n_candidates - at) * sizeof l->candidates[0]);
	l->candidates[at] = name;
	l->n_candidates++;
}

void inspect_ambiguous(struct inspect *in, struct inspect_slot *slot, const char *other)
{
	struct label l;
	inspect_known(in, slot, &l);
	l.flags |= FACTS_SNI_AMBIGUOUS;
	if (l.name && *other) {
		candidate_add(&l, l.name);
		candidate_add(&l, other);
	}
	inspect_learn(in, slot, &l);
}

/* The name the client had asked DNS for before the flow began. Stronger than a certificate, weaker than what
 * the flow itself says. */
static void name_by_dns(struct inspect *in, struct label *l, const struct facts_addr *src,
			const struct facts_addr *dst, uint64_t start_ns)
{
	const char *names[FACTS_MAX_CANDIDATES];
	size_t n = dnscache_find(in->dns, in->conf.zone, src, dst, start_ns, names, FACTS_MAX_CANDIDATES);
	if (!n)
		return;
	l->name = names[0];
	l->name_source = FACTS_NAME_DNS_ANSWER;
	l->n_candidates = 0;
	for (size_t i = 0; i < n && n > 1; i++)
		candidate_add(l, names[i]);
}

void inspect_drop_second(struct inspect *in, struct inspect_slot *slot)
{
	if (!slot->second)
		return;
	in->budget.used_bytes -= ASSEMBLE_MAX_BYTES;
	free(slot->second);
	slot->second = NULL;
}

static void slot_release(struct inspect *in, struct inspect_slot *slot)
{
	assemble_done(&slot->client_bytes, &in->budget);
	assemble_done(&slot->server_bytes, &in->budget);
	inspect_drop_second(in, slot);
	quic_state_free(slot->quic);
	in->budget.used_bytes -= slot->quic_bytes;
	inspect_appid_done(in, slot);
	memset(slot, 0, sizeof *slot);
	slot->next = in->free_list;
	in->free_list = slot;
}

/* Only what was put together for reading is held against later copies. */
static void tell_overlap(struct inspect *in, struct inspect_slot *slot)
{
	if (!slot->client_bytes.differs && !slot->server_bytes.differs)
		return;
	struct label l;
	inspect_known(in, slot, &l);
	l.flags |= FACTS_OVERLAP_DIFF;
	inspect_learn(in, slot, &l);
}

uint32_t inspect_close(struct inspect *in, struct inspect_slot *slot, uint8_t proto,
		       const struct facts_addr *src, const struct facts_addr *dst, uint64_t start_ns)
{
	uint32_t learnt = 0;
	if (slot) {
		if (proto == IPPROTO_TCP)
			inspect_tcp_last(in, slot);
		else
			inspect_udp_last(in, slot);
		tell_overlap(in, slot);
		learnt = label_settle(in->labels, slot->label);
		slot_release(in, slot);
	}
	struct label l;
	label_get(in->labels, learnt, &l);
	const bool nameless = l.name_source == FACTS_NAME_NONE || l.name_source == FACTS_NAME_CERTIFICATE;
	if (nameless && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		name_by_dns(in, &l, src, dst, start_ns);
	in->stats.names[l.name_source]++;
	if (l.name_source != FACTS_NAME_DNS_ANSWER)
		return learnt;
	uint32_t id = label_intern(in->labels, &l);
	if (!id)
		return learnt;
	label_unref(in->labels, learnt);
	return id;
}

void inspect_stats(const struct inspect *in, struct inspect_stats *ret)
{
	*ret = in->stats;
	ret->assembly_refused = in->budget.refused;
	appid_stats(in->appid, &ret->appid);
	dnscache_stats(in->dns, &ret->dns);
	size_t slabs = (in->n_slots + INSPECT_SLAB_SLOTS - 1) / INSPECT_SLAB_SLOTS;
	ret->memory_bytes = sizeof *in + slabs * INSPECT_SLAB_SLOTS * sizeof(struct inspect_slot) +
			    in->budget.used_bytes + labels_memory_bytes(in->labels) +
			    tls_app_pool_memory_bytes(in->tls_pool) + ret->appid.memory_bytes +
			    ret->dns.memory_bytes;
}
