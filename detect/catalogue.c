#include "detect/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "detect/builtin.h"
#include "detect/catrow.h"
#include "detect/hostindex.h"
#include "detect/prefix.h"

enum { MAX_FILE_BYTES = 16 << 20, MAX_SANCTIONED = 65536 };

const char *const catalogue_role_names[CATALOGUE_ROLE_COUNT] = {"upload",    "web",      "api",
								"telemetry", "download", "ingress"};

struct catalogue {
	struct catrows rows; /* the operator's first: of equal patterns the smaller index wins */
	struct hostindex *hosts;
	struct prefixes prefixes;    /* values are row indices */
	struct hostindex *own_hosts; /* sanctioned */
	struct prefixes own_prefixes;
	char **own_accounts; /* sorted "service/account" */
	size_t n_own_accounts;
	char **own_patterns; /* what own_hosts borrows */
	size_t n_own_patterns;
};

static int index_rows(struct catalogue *c, struct err *err)
{
	for (size_t i = 0; i < c->rows.n; i++) {
		const struct catalogue_row *row = &c->rows.rows[i];
		struct prefix p;
		int r;
		if (c->rows.prefixes_from <= i && prefix_parse(&p, row->pattern)) {
			p.value = (uint32_t)i;
			r = prefixes_add(&c->prefixes, &p);
		} else {
			r = hostindex_add(c->hosts, row->pattern, (uint32_t)i, row->role);
		}
		if (r)
			return err_set(err, r, "catalogue: %s", lt_strerror(r));
	}
	prefixes_seal(&c->prefixes);
	int r = hostindex_seal(c->hosts);
	return r ? err_set(err, r, "catalogue: %s", lt_strerror(r)) : 0;
}

static char *lower_copy(const char *s)
{
	char *copy = strdup(s);
	for (char *p = copy; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

/* One entry of the sanctioned list: a prefix, an account, or a host pattern. */
static int add_sanctioned(struct catalogue *c, const char *entry, struct err *err)
{
	struct prefix p;
	if (prefix_parse(&p, entry))
		return prefixes_add(&c->own_prefixes, &p);
	char *text = lower_copy(entry);
	if (!text)
		return -ENOMEM;
	if (strchr(text, '/')) {
		c->own_accounts[c->n_own_accounts++] = text;
		return 0;
	}
	c->own_patterns[c->n_own_patterns++] = text;
	size_t column = hostindex_check(text);
	if (column)
		return err_set(err, LT_ECONF, "sanctioned: \"%s\": column %zu: not a host pattern", entry,
			       column);
	return hostindex_add(c->own_hosts, text, 0, 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int load_sanctioned(struct catalogue *c, const struct catalogue_conf *conf, struct err *err)
{
	if (conf->n_sanctioned > MAX_SANCTIONED)
		return err_set(err, LT_ECONF, "sanctioned: more than %d entries", MAX_SANCTIONED);
	c->own_accounts = calloc(conf->n_sanctioned + 1, sizeof *c->own_accounts);
	c->own_patterns = calloc(conf->n_sanctioned + 1, sizeof *c->own_patterns);
	if (!c->own_accounts || !c->own_patterns)
		return err_set(err, -ENOMEM, "catalogue: out of memory");
	for (size_t i = 0; i < conf->n_sanctioned; i++) {
		int r = add_sanctioned(c, conf->sanctioned[i], err);
		if (r)
			return r;
	}
	qsort(c->own_accounts, c->n_own_accounts, sizeof *c->own_accounts, by_text);
	prefixes_seal(&c->own_prefixes);
	int r = hostindex_seal(c->own_hosts);
	return r ? err_set(err, r, "catalogue: %s", lt_strerror(r)) : 0;
}

static int load_files(struct catalogue *c, const struct catalogue_conf *conf, struct err *err)
{
	for (size_t i = 0; i < conf->n_files; i++) {
		int r = catrows_file(&c->rows, conf->files[i], MAX_FILE_BYTES, err);
		if (r)
			return r;
	}
	int r = catrows_duplicates(&c->rows, err);
	if (r)
		return r;
	r = catrows_builtin(&c->rows, builtin_destinations, builtin_destinations_bytes, conf->enable_known,
			    err);
	if (r)
		return r;
	c->rows.prefixes_from = c->rows.n;
	r = catrows_builtin(&c->rows, builtin_prefixes, builtin_prefixes_bytes, conf->enable_known, err);
	if (!r)
		catrows_inherit(&c->rows);
	return r;
}

int catalogue_new(struct catalogue **ret_c, const struct catalogue_conf *conf, struct err *err)
{
	struct catalogue *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, -ENOMEM, "catalogue: out of memory");
	int r = -ENOMEM;
	c->hosts = hostindex_new();
	c->own_hosts = hostindex_new();
	if (!c->hosts || !c->own_hosts)
		r = err_set(err, -ENOMEM, "catalogue: out of memory");
	else if (!(r = load_files(c, conf, err)) && !(r = load_sanctioned(c, conf, err)))
		r = index_rows(c, err);
	if (r) {
		catalogue_free(c);
		return r;
	}
	*ret_c = c;
	return 0;
}

static void free_texts(char **texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
}

void catalogue_free(struct catalogue *c)
{
	if (!c)
		return;
	hostindex_free(c->hosts);
	hostindex_free(c->own_hosts);
	prefixes_free(&c->prefixes);
	prefixes_free(&c->own_prefixes);
	free_texts(c->own_accounts, c->n_own_accounts);
	free_texts(c->own_patterns, c->n_own_patterns);
	catrows_free(&c->rows);
	free(c);
}

static void take_account(struct catalogue_match *m, const struct hostindex_hit *hit)
{
	size_t n = hit->open_len;
	const char *dot = n ? memchr(hit->open, '.', n) : NULL;
	if (m->row->account_in_name == CATALOGUE_NO_ACCOUNT)
		n = 0;
	else if (m->row->account_in_name == CATALOGUE_FIRST_LABEL && dot)
		n = (size_t)(dot - hit->open);
	if (n >= sizeof m->account)
		n = sizeof m->account - 1;
	if (n)
		memcpy(m->account, hit->open, n);
	m->account[n] = '\0';
}

static bool own_account(const struct catalogue *c, const struct catalogue_match *m)
{
	char key[256];
	if (!c->n_own_accounts)
		return false;
	for (int any = 0; any < 2; any++) {
		int n = snprintf(key, sizeof key, "%s/%s", m->row->service, any ? "*" : m->account);
		const char *k = key;
		if (n < (int)sizeof key &&
		    strlen(m->account) < sizeof m->account - 1 && /* a cut account is nobody's */
		    bsearch(&k, c->own_accounts, c->n_own_accounts, sizeof *c->own_accounts, by_text))
			return true;
	}
	return false;
}

static bool find_among(const struct catalogue *c, const char *name, uint32_t roles,
		       struct catalogue_match *ret)
{
	struct hostindex_hit hit;
	if (!hostindex_find(c->hosts, name, roles, &hit))
		return false;
	ret->row = &c->rows.rows[hit.value];
	take_account(ret, &hit);
	ret->sanctioned = own_account(c, ret) || catalogue_sanctioned(c, name, NULL);
	return true;
}

bool catalogue_find(const struct catalogue *c, const char *name, struct catalogue_match *ret_match)
{
	return find_among(c, name, UINT32_MAX, ret_match);
}

bool catalogue_find_parent(const struct catalogue *c, const char *name, struct catalogue_match *ret_match)
{
	return find_among(c, name, ~(UINT32_C(1) << CATALOGUE_TELEMETRY), ret_match);
}

bool catalogue_sanctioned(const struct catalogue *c, const char *name, const struct facts_addr *addr)
{
	struct hostindex_hit hit;
	uint32_t value;
	if (name)
		return c->n_own_patterns && hostindex_find(c->own_hosts, name, 1, &hit);
	return c->own_prefixes.n && prefixes_find(&c->own_prefixes, addr, &value);
}

bool catalogue_expects(const struct catalogue_row *row, const char *process)
{
	size_t len = process ? strlen(process) : 0;
	for (const char *p = row->processes; len && *p;) {
		size_t n = strcspn(p, " ");
		if (n == len && !strncasecmp(p, process, n))
			return true;
		p += n + (p[n] == ' ');
	}
	return false;
}

const struct catalogue_row *catalogue_find_ip(const struct catalogue *c, const struct facts_addr *addr)
{
	uint32_t value;
	return prefixes_find(&c->prefixes, addr, &value) ? &c->rows.rows[value] : NULL;
}

static bool any_row(const struct catalogue *c, size_t from, size_t to, const char *service)
{
	for (size_t i = from; i < to; i++)
		if (!strcmp(c->rows.rows[i].service, service))
			return true;
	return false;
}

bool catalogue_elsewhere(const struct catalogue *c, const struct catalogue_row *row, const struct facts_addr *addr)
{
	if (catalogue_sanctioned(c, NULL, addr))
		return false;
	const struct catalogue_row *there = catalogue_find_ip(c, addr);
	if (there && !strcmp(there->service, row->service))
		return false;
	if (there && any_row(c, 0, c->rows.prefixes_from, there->service))
		return true;
	return row->role == CATALOGUE_UPLOAD && any_row(c, c->rows.prefixes_from, c->rows.n, row->service);
}

size_t catalogue_rows(const struct catalogue *c)
{
	return c->rows.n;
}

int catalogue_check_file(const char *path, size_t *ret_rows, struct err *err)
{
	struct catrows rows = {0};
	int r = catrows_check(&rows, path, MAX_FILE_BYTES, err);
	if (!r)
		r = catrows_duplicates(&rows, err);
	if (!r)
		*ret_rows = rows.n;
	catrows_free(&rows);
	return r;
}
