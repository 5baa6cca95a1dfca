#include "detect/hostindex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A pattern is filed under its anchor: the labels right of its last "*", or all of them. A find walks the
 * name from the right, hashes as it goes and at every label's start looks whether such an anchor exists. */
struct hostindex_entry {
	const char *pattern;
	const char *anchor;
	uint32_t value, mask;
	uint32_t rank; /* kind, then literal characters */
	uint32_t next; /* of the same anchor, best rank first; 0 = none, else index + 1 */
	uint32_t hash;
	uint16_t anchor_len;
	uint8_t labels; /* left of the anchor */
	uint8_t kind;
	bool more; /* and any number of further ones */
};

struct hostindex {
	struct hostindex_entry *entries;
	size_t n, cap;
	uint32_t *slots; /* head of an anchor's chain, index + 1 */
	size_t n_slots;  /* power of two, at most half full */
	size_t longest_anchor;
};

/* FNV-1a. Unkeyed: the keys are the operator's, a sender only looks up. */
static const uint32_t fnv_basis = 0x811c9dc5, fnv_prime = 0x01000193;

static uint32_t step(uint32_t hash, char c)
{
	return (hash ^ (unsigned char)c) * fnv_prime;
}

static uint32_t hash_from_right(const char *s, size_t n)
{
	uint32_t h = fnv_basis;
	while (n)
		h = step(h, s[--n]);
	return h ^ h >> 15;
}

struct hostindex *hostindex_new(void)
{
	return calloc(1, sizeof(struct hostindex));
}

void hostindex_free(struct hostindex *hi)
{
	if (!hi)
		return;
	free(hi->entries);
	free(hi->slots);
	free(hi);
}

size_t hostindex_check(const char *pattern)
{
	const char *p = pattern + (*pattern == '.');
	if (!*p || strlen(pattern) > 254)
		return 1;
	size_t in_label = 0;
	unsigned stars = 0;
	for (; *p; p++) {
		bool word = (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '-' || *p == '_';
		if (*p == '.' && in_label) {
			in_label = stars = 0;
			continue;
		}
		stars += *p == '*';
		if ((!word && *p != '*') || stars > 1)
			return (size_t)(p - pattern) + 1;
		in_label++;
	}
	if (!in_label)
		return (size_t)(p - pattern);
	const char *star = strrchr(pattern, '*'); /* a free last label would be every name there is */
	return star && !strchr(star, '.') ? (size_t)(star - pattern) + 1 : 0;
}

static enum hostindex_kind kind_of(const char *pattern)
{
	if (*pattern == '.')
		return HOSTINDEX_SUFFIX;
	return strchr(pattern, '*') ? HOSTINDEX_PATTERN : HOSTINDEX_EXACT;
}

static const char *anchor_of(const char *pattern)
{
	const char *star = strrchr(pattern, '*');
	if (!star)
		return pattern + (*pattern == '.');
	const char *dot = strchr(star, '.');
	return dot ? dot + 1 : star + strlen(star);
}

static size_t literals(const char *pattern)
{
	size_t n = 0;
	for (; *pattern; pattern++)
		n += *pattern != '*';
	return n;
}

int hostindex_add(struct hostindex *hi, const char *pattern, uint32_t value, unsigned mask_bit)
{
	if (hi->n == hi->cap) {
		size_t cap = hi->cap ? hi->cap * 2 : 64;
		struct hostindex_entry *grown = reallocarray(hi->entries, cap, sizeof *grown);
		if (!grown)
			return -ENOMEM;
		hi->entries = grown;
		hi->cap = cap;
	}
	const char *anchor = anchor_of(pattern);
	struct hostindex_entry e = {.pattern = pattern,
				    .anchor = anchor,
				    .anchor_len = (uint16_t)strlen(anchor),
				    .value = value,
				    .mask = UINT32_C(1) << mask_bit,
				    .kind = (uint8_t)kind_of(pattern)};
	for (const char *p = pattern + (*pattern == '.'); p < anchor; p++)
		e.labels = (uint8_t)(e.labels + (*p == '.'));
	e.more = e.kind == HOSTINDEX_SUFFIX || !strncmp(pattern, "*.", 2);
	e.rank = (uint32_t)e.kind << 16 | (uint32_t)literals(pattern);
	e.hash = hash_from_right(anchor, e.anchor_len);
	if (e.anchor_len > hi->longest_anchor)
		hi->longest_anchor = e.anchor_len;
	hi->entries[hi->n++] = e;
	return 0;
}

static int better_first(const void *a, const void *b)
{
	const struct hostindex_entry *x = a, *y = b;
	if (x->rank != y->rank)
		return x->rank < y->rank ? 1 : -1;
	return (x->value > y->value) - (x->value < y->value);
}

/* The slot of an anchor, or the empty one where it would go. */
static size_t slot_of(const struct hostindex *hi, uint32_t hash, const char *anchor, size_t len)
{
	size_t i = hash & (hi->n_slots - 1);
	for (; hi->slots[i]; i = (i + 1) & (hi->n_slots - 1)) {
		const struct hostindex_entry *e = &hi->entries[hi->slots[i] - 1];
		if (e->hash == hash && e->anchor_len == len && !memcmp(e->anchor, anchor, len))
			break;
	}
	return i;
}

int hostindex_seal(struct hostindex *hi)
{
	size_t n_slots = 16;
	while (n_slots < hi->n * 2)
		n_slots *= 2;
	uint32_t *slots = calloc(n_slots, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	free(hi->slots);
	hi->slots = slots;
	hi->n_slots = n_slots;
	if (hi->n)
		qsort(hi->entries, hi->n, sizeof *hi->entries, better_first);
	for (size_t i = hi->n; i--;) { /* worst first, so that every chain ends up best first */
		struct hostindex_entry *e = &hi->entries[i];
		size_t s = slot_of(hi, e->hash, e->anchor, e->anchor_len);
		e->next = slots[s];
		slots[s] = (uint32_t)i + 1;
	}
	return 0;
}

struct labels_left { /* a name or pattern, consumed label by label from the right */
	const char *s;
	size_t n;
	bool done;
};

static void take_label(struct labels_left *l, const char **ret_label, size_t *ret_len)
{
	size_t start = l->n;
	while (start && l->s[start - 1] != '.')
		start--;
	*ret_label = l->s + start;
	*ret_len = l->n - start;
	l->done = !start;
	l->n = start ? start - 1 : 0;
}

/* One label against one label of a pattern with at most one "*"; ret_open is what the star stands for. */
static bool label_match(const char *pattern, size_t n, const char *label, size_t len,
			struct hostindex_hit *hit)
{
	const char *star = memchr(pattern, '*', n);
	if (!star)
		return n == len && !memcmp(pattern, label, n);
	size_t head = (size_t)(star - pattern), tail = n - head - 1;
	if (len < head + tail || !len || memcmp(pattern, label, head) ||
	    memcmp(star + 1, label + len - tail, tail))
		return false;
	hit->open = label + head;
	hit->open_len = len - head - tail;
	return true;
}

/* The labels left of the anchor, which begins at name[at]. Going from the right, the last star seen is the
 * pattern's first. */
static bool rest_match(const struct hostindex_entry *e, const char *name, size_t at,
		       struct hostindex_hit *hit)
{
	struct labels_left want = {.s = e->pattern, .n = (size_t)(e->anchor - e->pattern)};
	struct labels_left have = {.s = name, .n = at ? at - 1 : 0, .done = !at};
	bool suffix = e->kind == HOSTINDEX_SUFFIX;
	if (want.n)
		want.n--; /* the dot left of the anchor */
	if (suffix && want.n) {
		want.s++; /* the leading dot */
		want.n--;
	}
	want.done = !want.n;
	while (!want.done) {
		const char *p, *l;
		size_t n, len;
		if (have.done)
			return false;
		take_label(&want, &p, &n);
		if (want.done && n == 1 && *p == '*' && !suffix) { /* a leading "*.": one or more labels */
			hit->open = have.s;
			hit->open_len = have.n;
			return true;
		}
		take_label(&have, &l, &len);
		if (!label_match(p, n, l, len, hit))
			return false;
	}
	if (suffix) {
		hit->open = have.s;
		hit->open_len = have.done ? 0 : have.n;
	}
	return suffix || have.done;
}

static void try_chain(const struct hostindex *hi, uint32_t head, const char *name, size_t at, uint32_t mask,
		      uint32_t *best, struct hostindex_hit *ret_hit)
{
	size_t labels = 0;
	for (size_t i = 0; i < at; i++)
		labels += name[i] == '.';
	for (uint32_t i = head; i; i = hi->entries[i - 1].next) {
		const struct hostindex_entry *e = &hi->entries[i - 1];
		if (*best && *best <= i) /* entries are sorted: this one and all after it are no better */
			return;
		struct hostindex_hit hit = {.value = e->value, .kind = e->kind};
		if (!(e->mask & mask) || (e->more ? labels < e->labels : labels != e->labels) ||
		    !rest_match(e, name, at, &hit))
			continue;
		*best = i;
		*ret_hit = hit;
		return;
	}
}

bool hostindex_find(const struct hostindex *hi, const char *name, uint32_t mask,
		    struct hostindex_hit *ret_hit)
{
	size_t len = strlen(name), from = len > hi->longest_anchor ? len - hi->longest_anchor : 0;
	uint32_t best = 0, h = fnv_basis;
	for (size_t i = len; i-- > from;) {
		h = step(h, name[i]);
		if (i && name[i - 1] != '.')
			continue;
		uint32_t hash = h ^ h >> 15;
		uint32_t head = hi->slots[slot_of(hi, hash, name + i, len - i)];
		if (head)
			try_chain(hi, head, name, i, mask, &best, ret_hit);
	}
	return best > 0;
}
