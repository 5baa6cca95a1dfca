#include "detect/attrib/proctab.h"

#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/proctab_parts.h"

struct proctab *proctab_new(size_t max)
{
	struct proctab *pt = calloc(1, sizeof *pt);
	if (!pt)
		return NULL;
	pt->max = max < UINT32_MAX / 4 ? (uint32_t)max : UINT32_MAX / 4;
	pt->n_chains = 1024;
	while (pt->n_chains < pt->max / 2)
		pt->n_chains *= 2;
	pt->by_pid = calloc(pt->n_chains, sizeof *pt->by_pid);
	pt->principals = calloc(pt->n_chains, sizeof *pt->principals);
	bool good = pt->by_pid && pt->principals;
	for (size_t i = 0; i < UIDS; i++) {
		pt->by_uid[i] = calloc(pt->n_chains, sizeof *pt->by_uid[i]);
		good = good && pt->by_uid[i];
	}
	if (!good) {
		proctab_free(pt);
		return NULL;
	}
	return pt;
}

static void drop_texts(struct proctab *pt, struct process *p)
{
	for (size_t i = 0; i < TEXTS; i++) {
		if (p->text[i])
			pt->text_bytes -= strlen(p->text[i]) + 1;
		free(p->text[i]);
		p->text[i] = NULL;
	}
}

void proctab_free(struct proctab *pt)
{
	if (!pt)
		return;
	for (uint32_t i = 1; i <= pt->n; i++)
		drop_texts(pt, &pt->slots[i]);
	free(pt->slots);
	free(pt->by_pid);
	for (size_t i = 0; i < UIDS; i++)
		free(pt->by_uid[i]);
	free(pt->principals);
	free(pt);
}

/* ---- names, uids ---- */

static struct slice base_name(struct slice path)
{
	size_t i = path.n;
	while (i > 0 && path.p[i - 1] != '\\' && path.p[i - 1] != '/')
		i--;
	return (struct slice){path.p + i, path.n - i};
}

static struct slice name_of(const struct proctab_sighting *s)
{
	return s->name.n ? s->name : base_name(s->path);
}

/* Sysmon writes <unknown process> where it could not tell. */
static bool is_name(struct slice s)
{
	return s.n && s.p[0] != '<' && !(s.n == 1 && s.p[0] == '-');
}

static uint64_t hash_lower(struct slice s)
{
	uint8_t low[256];
	size_t n = s.n < sizeof low ? s.n : sizeof low;
	if (!is_name(s))
		return 0;
	for (size_t i = 0; i < n; i++)
		low[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (uint8_t)(s.p[i] + 32) : s.p[i];
	uint64_t h = hash_bytes(HASH_KEY_FIXED, low, n);
	return h ? h : 1;
}

static uint64_t hash_uid(uint64_t device_hash, struct slice uid)
{
	if (!uid.n)
		return 0;
	uint64_t h = hash_lower(uid) ^ device_hash;
	return h ? h : 1;
}

/* A Sysmon guid {machine-ssss-SSSS-...} carries the process's start in seconds: SSSSssss. */
uint64_t proctab_guid_start_us(struct slice uid)
{
	if (uid.n < 19 || uid.p[0] != '{' || uid.p[9] != '-' || uid.p[14] != '-')
		return 0;
	char hex[9] = {0}, *end;
	memcpy(hex, uid.p + 15, 4);
	memcpy(hex + 4, uid.p + 10, 4);
	unsigned long v = strtoul(hex, &end, 16);
	return *end ? 0 : v * UINT64_C(1000000);
}

/* ---- chains ---- */

uint32_t *proctab_pid_chain(const struct proctab *pt, uint32_t device, uint32_t pid)
{
	uint32_t key[2] = {device, pid};
	return &pt->by_pid[hash_bytes(HASH_KEY_FIXED, key, sizeof key) & (pt->n_chains - 1)];
}

static uint32_t *uid_chain(const struct proctab *pt, size_t source, uint64_t uid)
{
	return &pt->by_uid[source][uid & (pt->n_chains - 1)];
}

uint32_t *proctab_principal_chain(const struct proctab *pt, uint64_t principal)
{
	return &pt->principals[principal & (pt->n_chains - 1)];
}

static void unchain(uint32_t *at, uint32_t slot, const struct proctab *pt, size_t link)
{
	while (*at && *at != slot)
		at = (uint32_t *)((char *)&pt->slots[*at] + link);
	if (*at)
		*at = *(uint32_t *)((char *)&pt->slots[slot] + link);
}

static void evict(struct proctab *pt, uint32_t slot)
{
	struct process *p = &pt->slots[slot];
	if (!p->generation)
		return;
	unchain(proctab_pid_chain(pt, p->device, p->pid), slot, pt, offsetof(struct process, next_pid));
	for (size_t i = 0; i < UIDS; i++)
		if (p->uid[i])
			unchain(uid_chain(pt, i, p->uid[i]), slot, pt, offsetof(struct process, next_uid) + i * sizeof(uint32_t));
	unchain(proctab_principal_chain(pt, p->principal), slot, pt, offsetof(struct process, next_principal));
	drop_texts(pt, p);
	p->generation = 0;
	pt->evicted++;
	pt->live--;
}

static uint32_t take_slot(struct proctab *pt)
{
	if (pt->n < pt->max) {
		if (pt->n + 1 >= pt->size) {
			uint32_t size = pt->size ? pt->size * 2 : 256;
			struct process *grown = realloc(pt->slots, size * sizeof *grown);
			if (!grown)
				return 0;
			pt->slots = grown;
			pt->size = size;
		}
		pt->slots[++pt->n] = (struct process){0};
		return pt->n;
	}
	if (!pt->max)
		return 0;
	pt->hand = pt->hand % pt->max + 1;
	evict(pt, pt->hand);
	pt->slots[pt->hand] = (struct process){0};
	return pt->hand;
}

uint64_t proctab_handle(const struct proctab *pt, uint32_t slot)
{
	return (uint64_t)pt->slots[slot].generation << 32 | slot;
}

struct process *proctab_resolve(const struct proctab *pt, uint64_t handle)
{
	uint32_t slot = (uint32_t)handle;
	for (int up = 0; up < MAX_CHAIN; up++) {
		if (!slot || slot > pt->n)
			return NULL;
		struct process *p = &pt->slots[slot];
		if (!p->generation || (up == 0 && p->generation != handle >> 32))
			return NULL;
		if (!p->merged)
			return p;
		slot = p->merged;
	}
	return NULL;
}

static uint32_t slot_of(const struct proctab *pt, const struct process *p)
{
	return (uint32_t)(p - pt->slots);
}

/* ---- matching ---- */

struct process *proctab_find_uid(const struct proctab *pt, uint8_t source, uint64_t uid)
{
	if (!uid || source >= UIDS)
		return NULL;
	for (uint32_t i = *uid_chain(pt, source, uid); i; i = pt->slots[i].next_uid[source])
		if (pt->slots[i].uid[source] == uid)
			return proctab_resolve(pt, proctab_handle(pt, i));
	return NULL;
}

bool proctab_alive_at(const struct process *p, uint64_t t_us)
{
	return (!p->start_us || t_us + SAME_START_US >= p->start_us) && (!p->end_us || t_us <= p->end_us + SAME_START_US);
}

static bool fits(const struct process *p, const struct proctab_sighting *s, uint64_t name, uint64_t uid, uint64_t start_us)
{
	if (p->merged || p->device != s->device || p->pid != s->pid)
		return false;
	if (name && p->name_hash && name != p->name_hash)
		return false;
	if (uid && p->uid[s->source] && uid != p->uid[s->source])
		return false;
	if (start_us && p->start_us)
		return proctab_apart_us(start_us, p->start_us) <= SAME_START_US;
	if (start_us)
		return p->first_us + SAME_START_US >= start_us && (!p->end_us || p->end_us + SAME_START_US >= start_us);
	return proctab_alive_at(p, s->time_us);
}

/* Of several that fit the one started last, then the one first added. */
static struct process *find_pid(const struct proctab *pt, const struct proctab_sighting *s, uint64_t name, uint64_t uid,
				uint64_t start_us)
{
	struct process *best = NULL;
	unsigned steps = 0;
	if (!s->pid && (uid || !name))
		return NULL;
	for (uint32_t i = *proctab_pid_chain(pt, s->device, s->pid); i && steps < MAX_CHAIN; i = pt->slots[i].next_pid, steps++) {
		struct process *p = &pt->slots[i];
		if (!fits(p, s, name, uid, start_us))
			continue;
		if (!s->pid && (p->name_hash != name || p->uid[0] || p->uid[1] || p->uid[2]))
			continue; /* a name alone is no instance that something better is known of */
		if (!best || p->start_us > best->start_us || (p->start_us == best->start_us && p < best))
			best = p;
	}
	return best;
}

/* ---- filling in ---- */

static void set_text(struct proctab *pt, struct process *p, int which, struct slice s, uint8_t rank)
{
	size_t n = s.n < MAX_TEXT ? s.n : MAX_TEXT;
	if (!n || (which == NAME && !is_name(s)))
		return;
	if (p->text[which]) {
		if (rank < p->rank[which])
			return;
		size_t have = strlen(p->text[which]);
		int order = memcmp(s.p, p->text[which], n < have ? n : have);
		if (rank == p->rank[which] && (order > 0 || (order == 0 && n >= have)))
			return; /* of equals the smaller, so that order does not matter */
	}
	char *copy = malloc(n + 1);
	if (!copy)
		return;
	memcpy(copy, s.p, n);
	copy[n] = 0;
	for (size_t i = 0; i < n; i++)
		if (!copy[i])
			copy[i] = ' ';
	if (p->text[which])
		pt->text_bytes -= strlen(p->text[which]) + 1;
	free(p->text[which]);
	p->text[which] = copy;
	p->rank[which] = rank;
	pt->text_bytes += n + 1;
}

static void set_uid(struct proctab *pt, struct process *p, uint8_t source, uint64_t uid)
{
	if (!uid || source >= UIDS || p->uid[source])
		return;
	uint32_t *head = uid_chain(pt, source, uid);
	p->uid[source] = uid;
	p->next_uid[source] = *head;
	*head = slot_of(pt, p);
}

static void set_pid(struct proctab *pt, struct process *p, uint32_t pid)
{
	if (!pid || p->pid)
		return;
	unchain(proctab_pid_chain(pt, p->device, 0), slot_of(pt, p), pt, offsetof(struct process, next_pid));
	uint32_t *head = proctab_pid_chain(pt, p->device, pid);
	p->pid = pid;
	p->next_pid = *head;
	*head = slot_of(pt, p);
}

static void fill(struct proctab *pt, struct process *p, const struct proctab_sighting *s, uint64_t start_us)
{
	set_pid(pt, p, s->pid);
	if (start_us && (!p->start_us || (s->start_us && p->start_us % 1000000 == 0)))
		p->start_us = start_us;
	if (s->end_us && (!p->end_us || s->end_us < p->end_us))
		p->end_us = s->end_us;
	if (!p->first_us || s->time_us < p->first_us)
		p->first_us = s->time_us;
	struct slice name = name_of(s);
	if (!p->name_hash)
		p->name_hash = hash_lower(name);
	set_text(pt, p, NAME, name, s->rank);
	set_text(pt, p, PATH, s->path, s->rank);
	set_text(pt, p, ORIGINAL, s->original_name, s->rank);
	set_text(pt, p, COMMAND, s->command_line, s->rank);
	set_text(pt, p, USER, s->user, s->rank);
	set_text(pt, p, SHA256, s->sha256, s->rank);
	set_text(pt, p, PARENT_NAME, s->parent_name, s->rank);
	if (s->parent_uid.n && !p->parent_uid) {
		p->parent_uid = hash_uid(s->device_hash, s->parent_uid);
		p->parent_source = s->source;
	}
	if (s->parent_pid && !p->parent_pid) {
		p->parent_pid = s->parent_pid;
		p->parent_start_us = s->parent_start_us;
	}
}

static uint64_t make_principal(const struct proctab_sighting *s, uint64_t name, uint64_t uid, uint64_t start_us)
{
	uint64_t key[4] = {s->device_hash, uid ? uid : s->pid, uid ? 1 : start_us ? 2 : 3, uid ? s->source : start_us ? start_us : name};
	uint64_t h = hash_bytes(HASH_KEY_FIXED, key, sizeof key);
	return h ? h : 1;
}

static struct process *add(struct proctab *pt, const struct proctab_sighting *s, uint64_t name, uint64_t uid, uint64_t start_us)
{
	uint32_t slot = take_slot(pt);
	if (!slot)
		return NULL;
	struct process *p = &pt->slots[slot];
	if (++pt->generation == 0)
		pt->generation = 1;
	p->generation = pt->generation;
	p->device = s->device;
	p->pid = s->pid;
	p->source = s->source;
	p->principal = make_principal(s, name, uid, start_us);
	uint32_t *head = proctab_pid_chain(pt, p->device, p->pid);
	p->next_pid = *head;
	*head = slot;
	head = proctab_principal_chain(pt, p->principal);
	p->next_principal = *head;
	*head = slot;
	pt->live++;
	return p;
}

uint64_t proctab_see(struct proctab *pt, const struct proctab_sighting *s)
{
	uint64_t name = hash_lower(name_of(s)), uid = hash_uid(s->device_hash, s->uid);
	uint64_t start_us = s->start_us ? s->start_us : proctab_guid_start_us(s->uid);
	if (!s->device || s->source >= UIDS || (!uid && !s->pid && !name))
		return 0;
	struct process *p = proctab_find_uid(pt, s->source, uid);
	if (!p)
		p = find_pid(pt, s, name, uid, start_us);
	if (!p)
		p = add(pt, s, name, uid, start_us);
	if (!p)
		return 0;
	set_uid(pt, p, s->source, uid);
	fill(pt, p, s, start_us);
	return proctab_handle(pt, slot_of(pt, p));
}

bool proctab_may_be_one(const struct proctab *pt, uint64_t a, uint64_t b)
{
	const struct process *p = proctab_resolve(pt, a), *q = proctab_resolve(pt, b);
	if (!p || !q || p == q || p->device != q->device || !p->name_hash || p->name_hash != q->name_hash)
		return false;
	if (p->pid && q->pid && p->pid != q->pid)
		return false;
	for (size_t i = 0; i < UIDS; i++)
		if (p->uid[i] && q->uid[i] && p->uid[i] != q->uid[i])
			return false;
	return !p->start_us || !q->start_us || proctab_apart_us(p->start_us, q->start_us) <= SAME_START_US;
}

void proctab_unify(struct proctab *pt, uint64_t keep, uint64_t gone)
{
	struct process *p = proctab_resolve(pt, keep), *q = proctab_resolve(pt, gone);
	if (!p || !q || p == q)
		return;
	q->merged = slot_of(pt, p);
	set_pid(pt, p, q->pid);
	for (uint8_t i = 0; i < UIDS; i++)
		set_uid(pt, p, i, q->uid[i]);
	if (!p->start_us)
		p->start_us = q->start_us;
	if (!p->end_us || (q->end_us && q->end_us < p->end_us))
		p->end_us = q->end_us;
	for (int i = 0; i < TEXTS; i++)
		if (q->text[i])
			set_text(pt, p, i, (struct slice){(const uint8_t *)q->text[i], strlen(q->text[i])}, q->rank[i]);
	if (!p->parent_uid) {
		p->parent_uid = q->parent_uid;
		p->parent_source = q->parent_source;
	}
	if (!p->parent_pid) {
		p->parent_pid = q->parent_pid;
		p->parent_start_us = q->parent_start_us;
	}
}
