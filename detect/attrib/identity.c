#include "detect/attrib/identity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/hash.h"
#include "detect/attrib/intern.h"

enum { MAX_STAYS = 32, MAX_NAME = 255 };

#define TURNS_US (7200 * UINT64_C(1000000)) /* an address that comes back sooner was never given up */
#define NEAR_US  (900 * UINT64_C(1000000))

struct device {
	uint32_t parent; /* of the same device, itself at the root */
	uint32_t name;   /* interned, lower case */
	uint32_t shown;  /* of an id whose name is not its own alone: interned name#id, else 0 */
	uint32_t id;     /* at the root: the device that is the set's id, 0 none */
	bool contested;  /* at the root: several ids go by its names, so it has none */
};

/* A device's time at an address. */
struct stay {
	uint32_t device;
	uint64_t first_us, last_us;
};

struct address {
	uint8_t key[17]; /* family, address */
	bool weak;
	uint8_t n;
	struct stay *stays; /* in order of first_us */
	uint64_t mixed_from_us, mixed_to_us; /* several devices in turns, 0: not */
};

/* names: interned name -> device; labels: interned first label of an FQDN -> device, 0 several. Both by number of the string. */
struct map {
	uint32_t *keys, *values;
	size_t size, n;
};

struct identity {
	struct intern *strings;
	struct device *devices; /* from 1 */
	uint32_t n, size, max;
	struct map names;
	struct address *addresses; /* open addressing, key[0] 0: free */
	size_t n_addresses, address_slots;
	uint64_t refused;
	uint32_t unified; /* devices below were seen by identity_unify */
};

static uint32_t *map_at(const struct map *m, uint32_t key)
{
	size_t at = key * UINT32_C(2654435761) & (m->size - 1);
	while (m->keys[at] && m->keys[at] != key)
		at = (at + 1) & (m->size - 1);
	return &m->keys[at];
}

static bool map_grow(struct map *m)
{
	struct map grown = {.size = m->size ? m->size * 2 : 256, .n = m->n};
	grown.keys = calloc(grown.size, sizeof *grown.keys);
	grown.values = calloc(grown.size, sizeof *grown.values);
	if (!grown.keys || !grown.values) {
		free(grown.keys);
		free(grown.values);
		return false;
	}
	for (size_t i = 0; i < m->size; i++) {
		if (!m->keys[i])
			continue;
		uint32_t *key = map_at(&grown, m->keys[i]);
		*key = m->keys[i];
		grown.values[key - grown.keys] = m->values[i];
	}
	free(m->keys);
	free(m->values);
	*m = grown;
	return true;
}

/* The value's place, made when absent (then 0); NULL out of memory. */
static uint32_t *map_put(struct map *m, uint32_t key)
{
	if (m->n * 2 >= m->size && !map_grow(m))
		return NULL;
	uint32_t *slot = map_at(m, key);
	m->n += *slot == 0;
	*slot = key;
	return &m->values[slot - m->keys];
}

struct identity *identity_new(size_t max_devices)
{
	struct identity *id = calloc(1, sizeof *id);
	if (!id)
		return NULL;
	id->strings = intern_new((size_t)256 << 20);
	id->max = max_devices < UINT32_MAX / 2 ? (uint32_t)max_devices : UINT32_MAX / 2;
	if (!id->strings || !map_grow(&id->names)) {
		identity_free(id);
		return NULL;
	}
	id->unified = 1;
	return id;
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	for (size_t i = 0; i < id->address_slots; i++)
		free(id->addresses[i].stays);
	free(id->addresses);
	free(id->names.keys);
	free(id->names.values);
	free(id->devices);
	intern_free(id->strings);
	free(id);
}

static uint32_t intern_lower(struct identity *id, struct slice name)
{
	char text[MAX_NAME];
	size_t n = name.n < sizeof text ? name.n : sizeof text;
	for (size_t i = 0; i < n; i++)
		text[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] + 32 : name.p[i]);
	while (n && text[n - 1] == '.')
		n--;
	return intern_add(id->strings, text, n);
}

uint32_t identity_device(const struct identity *id, uint32_t number)
{
	while (number && id->devices[number].parent != number)
		number = id->devices[number].parent;
	return number;
}

static uint32_t add_device(struct identity *id, uint32_t name)
{
	if (id->n >= id->max) {
		id->refused++;
		return 0;
	}
	if (id->n + 1 >= id->size) {
		uint32_t size = id->size ? id->size * 2 : 64;
		struct device *grown = realloc(id->devices, size * sizeof *grown);
		if (!grown)
			return 0;
		id->devices = grown;
		id->size = size;
	}
	uint32_t number = ++id->n;
	id->devices[number] = (struct device){.parent = number, .name = name};
	return number;
}

static bool is_id(const char *name)
{
	return name[0] == '#';
}

/* The root with a name rather than an id, then with the longer one, stays; ties by the text, so that order does not matter. Two ids are
 * never one device: false. */
static bool unite(struct identity *id, uint32_t a, uint32_t b)
{
	a = identity_device(id, a);
	b = identity_device(id, b);
	if (a == b)
		return true;
	struct device *da = &id->devices[a], *db = &id->devices[b];
	if (da->id ? db->id || db->contested : da->contested && db->id)
		return false;
	size_t na, nb;
	const char *ta = intern_text(id->strings, id->devices[a].name, &na), *tb = intern_text(id->strings, id->devices[b].name, &nb);
	bool keep_a = is_id(ta) != is_id(tb) ? is_id(tb) : na != nb ? na > nb : strcmp(ta, tb) < 0;
	struct device *kept = keep_a ? da : db, *gone = keep_a ? db : da;
	gone->parent = keep_a ? a : b;
	kept->id = kept->id ? kept->id : gone->id;
	kept->contested |= gone->contested;
	return true;
}

static void show_apart(struct identity *id, uint32_t by_id, uint32_t name)
{
	char text[2 * MAX_NAME + 1];
	if (id->devices[by_id].shown)
		return;
	int n = snprintf(text, sizeof text, "%s%s", intern_text(id->strings, name, NULL),
			 intern_text(id->strings, id->devices[by_id].name, NULL));
	id->devices[by_id].shown = intern_add(id->strings, text, (size_t)n);
}

/* A second id goes by the name: from now on it is nobody's. The first one leaves; ids are always leaves of their set. */
static void contest(struct identity *id, uint32_t by_name, uint32_t by_id)
{
	struct device *root = &id->devices[identity_device(id, by_name)];
	if (root->id && root->name != id->devices[root->id].name) {
		id->devices[root->id].parent = root->id;
		id->devices[root->id].id = root->id;
		show_apart(id, root->id, id->devices[by_name].name);
		root->id = 0;
	}
	root->contested = true;
	show_apart(id, by_id, id->devices[by_name].name);
}

static uint32_t device_of(struct identity *id, uint32_t name)
{
	uint32_t *value = name ? map_put(&id->names, name) : NULL;
	if (!value)
		return 0;
	if (!*value)
		*value = add_device(id, name);
	return *value;
}

uint32_t identity_see(struct identity *id, struct slice device_id, struct slice name)
{
	uint32_t by_name = device_of(id, intern_lower(id, name));
	if (!device_id.n)
		return by_name;
	/* an id is kept as a name that no host can have */
	uint8_t text[MAX_NAME] = {'#'};
	size_t n = device_id.n < sizeof text - 1 ? device_id.n : sizeof text - 1;
	memcpy(text + 1, device_id.p, n);
	uint32_t by_id = device_of(id, intern_lower(id, (struct slice){text, n + 1}));
	if (!by_id)
		return by_name;
	if (identity_device(id, by_id) == by_id)
		id->devices[by_id].id = by_id;
	if (by_name && !unite(id, by_name, by_id))
		contest(id, by_name, by_id);
	return by_id;
}

void identity_unify(struct identity *id)
{
	if (id->unified > id->n)
		return;
	id->unified = id->n + 1;
	struct map labels = {0};
	if (!map_grow(&labels))
		return;
	for (uint32_t i = 1; i <= id->n; i++) {
		const char *name = intern_text(id->strings, id->devices[i].name, NULL);
		size_t label = strcspn(name, ".");
		if (!name[label] || is_id(name) || strspn(name, "0123456789.") == strlen(name))
			continue;
		uint32_t *value = map_put(&labels, intern_add(id->strings, name, label));
		if (value)
			*value = *value == 0 || identity_device(id, *value) == identity_device(id, i) ? i : UINT32_MAX;
	}
	for (uint32_t i = 1; i <= id->n; i++) {
		const char *name = intern_text(id->strings, id->devices[i].name, NULL);
		if (strchr(name, '.') || is_id(name))
			continue;
		uint32_t *value = map_put(&labels, id->devices[i].name);
		if (value && *value && *value != UINT32_MAX)
			unite(id, i, *value);
	}
	free(labels.keys);
	free(labels.values);
}

const char *identity_name(const struct identity *id, uint32_t device)
{
	device = identity_device(id, device);
	if (!device)
		return NULL;
	const char *best = intern_text(id->strings, id->devices[device].name, NULL);
	if (id->devices[device].shown)
		return intern_text(id->strings, id->devices[device].shown, NULL);
	return is_id(best) ? best + 1 : best;
}

size_t identity_count(const struct identity *id)
{
	return id->n;
}

uint64_t identity_refused(const struct identity *id)
{
	return id->refused;
}

/* Multicast, broadcast and unspecified belong to nobody; loopback to everybody. */
static bool nobodys(const struct facts_addr *a)
{
	static const uint8_t zero[16];
	if (a->family == 4)
		return a->ip[0] == 0 || a->ip[0] >= 224;
	return a->family != 6 || a->ip[0] == 0xff || memcmp(a->ip, zero, 16) == 0;
}

static bool loopback(const struct facts_addr *a)
{
	static const uint8_t one[16] = {[15] = 1};
	return a->family == 4 ? a->ip[0] == 127 : memcmp(a->ip, one, 16) == 0;
}

static void address_key(uint8_t key[17], const struct facts_addr *a)
{
	memset(key, 0, 17);
	key[0] = a->family;
	memcpy(key + 1, a->ip, a->family == 4 ? 4 : 16);
}

static struct address *address_slot(const struct identity *id, const uint8_t key[17])
{
	size_t at = hash_bytes(HASH_KEY_FIXED, key, 17) & (id->address_slots - 1);
	while (id->addresses[at].key[0] && memcmp(id->addresses[at].key, key, 17) != 0)
		at = (at + 1) & (id->address_slots - 1);
	return &id->addresses[at];
}

static struct address *find_address(const struct identity *id, const struct facts_addr *a)
{
	uint8_t key[17];
	if (!id->address_slots)
		return NULL;
	address_key(key, a);
	struct address *slot = address_slot(id, key);
	return slot->key[0] ? slot : NULL;
}

static bool grow_addresses(struct identity *id)
{
	struct address *old = id->addresses;
	size_t n_old = id->address_slots, n = n_old ? n_old * 2 : 256;
	struct address *grown = calloc(n, sizeof *grown);
	if (!grown)
		return false;
	id->addresses = grown;
	id->address_slots = n;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].key[0])
			*address_slot(id, old[i].key) = old[i];
	free(old);
	return true;
}

static struct address *add_address(struct identity *id, const struct facts_addr *a)
{
	uint8_t key[17];
	if (id->n_addresses >= (size_t)id->max * 4) {
		id->refused++;
		return NULL;
	}
	if (id->n_addresses * 2 >= id->address_slots && !grow_addresses(id))
		return NULL;
	address_key(key, a);
	struct address *slot = address_slot(id, key);
	if (!slot->key[0]) {
		memcpy(slot->key, key, 17);
		id->n_addresses++;
	}
	return slot;
}

static void note_turns(const struct identity *id, struct address *a, uint32_t device, uint64_t time_us)
{
	const struct stay *before = &a->stays[a->n - 2];
	if (identity_device(id, before->device) != device || identity_device(id, before[1].device) == device ||
	    time_us - before->last_us > TURNS_US)
		return;
	if (!a->mixed_to_us || before->last_us < a->mixed_from_us)
		a->mixed_from_us = before->last_us;
	a->mixed_to_us = time_us > a->mixed_to_us ? time_us : a->mixed_to_us;
}

static void add_stay(const struct identity *id, struct address *a, uint32_t device, uint64_t time_us)
{
	struct stay *last = a->n ? &a->stays[a->n - 1] : NULL;
	if (last && last->device == device) {
		last->first_us = time_us < last->first_us ? time_us : last->first_us;
		last->last_us = time_us > last->last_us ? time_us : last->last_us;
		return;
	}
	if (last && time_us < last->first_us)
		return; /* late news of an earlier time */
	if (a->n >= 2)
		note_turns(id, a, device, time_us);
	if (a->n == MAX_STAYS) {
		memmove(a->stays, a->stays + 1, (MAX_STAYS - 1) * sizeof *a->stays);
		a->n--;
	} else {
		struct stay *grown = realloc(a->stays, (a->n + 1u) * sizeof *grown);
		if (!grown)
			return;
		a->stays = grown;
	}
	a->stays[a->n++] = (struct stay){device, time_us, time_us};
}

void identity_claim(struct identity *id, uint32_t device, const struct facts_addr *addr, uint64_t time_us, bool weak)
{
	if (!device || nobodys(addr) || loopback(addr))
		return;
	struct address *a = find_address(id, addr);
	if (weak && a && !a->weak)
		return;
	if (!a)
		a = add_address(id, addr);
	if (!a)
		return;
	if (!weak && a->weak)
		a->n = 0, a->mixed_to_us = 0;
	a->weak = weak;
	add_stay(id, a, identity_device(id, device), time_us);
}

int identity_score(const struct identity *id, uint32_t device, const struct facts_addr *addr)
{
	if (nobodys(addr))
		return -1;
	if (loopback(addr))
		return 1;
	const struct address *a = find_address(id, addr);
	if (!a || !a->n || a->weak)
		return 0;
	for (uint8_t i = 0; i < a->n; i++)
		if (identity_device(id, a->stays[i].device) == identity_device(id, device))
			return 1;
	return -1;
}

uint32_t identity_at(const struct identity *id, const struct facts_addr *addr, uint64_t time_us)
{
	const struct address *a = find_address(id, addr);
	if (!a || !a->n)
		return 0;
	const struct stay *best = &a->stays[0];
	for (uint8_t i = 1; i < a->n; i++)
		if (a->stays[i].first_us <= time_us || a->stays[i].first_us - time_us <
			    (time_us > best->last_us ? time_us - best->last_us : 0))
			best = &a->stays[i];
	return identity_device(id, best->device);
}

bool identity_shared(const struct identity *id, const struct facts_addr *addr, uint64_t time_us)
{
	const struct address *a = find_address(id, addr);
	return a && a->mixed_to_us && time_us + NEAR_US >= a->mixed_from_us && time_us <= a->mixed_to_us + NEAR_US;
}

size_t identity_bytes(const struct identity *id)
{
	return intern_bytes(id->strings) + id->size * sizeof *id->devices + id->address_slots * sizeof *id->addresses +
	       id->names.size * 8 + id->n_addresses * sizeof(struct stay);
}
