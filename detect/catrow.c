#include "detect/catrow.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/hostindex.h"
#include "detect/prefix.h"
#include "detect/tsv.h"

void catrows_free(struct catrows *cr)
{
	for (size_t i = 0; i < cr->n_texts; i++)
		free(cr->texts[i]);
	free(cr->texts);
	free(cr->rows);
	free(cr->places);
	*cr = (struct catrows){0};
}

/* Takes text; on failure frees it. */
static int keep_text(struct catrows *cr, char *text)
{
	char **grown = reallocarray(cr->texts, cr->n_texts + 1, sizeof *grown);
	if (!grown) {
		free(text);
		return -ENOMEM;
	}
	cr->texts = grown;
	cr->texts[cr->n_texts++] = text;
	return 0;
}

static int push(struct catrows *cr, const struct catalogue_row *row, const struct catrow_place *place)
{
	if (cr->n == cr->cap) {
		size_t cap = cr->cap ? cr->cap * 2 : 1024;
		struct catalogue_row *rows = reallocarray(cr->rows, cap, sizeof *rows);
		if (!rows)
			return -ENOMEM;
		cr->rows = rows;
		struct catrow_place *places = reallocarray(cr->places, cap, sizeof *places);
		if (!places)
			return -ENOMEM;
		cr->places = places;
		cr->cap = cap;
	}
	if (place)
		cr->places[cr->n_places++] = *place;
	cr->rows[cr->n++] = *row;
	return 0;
}

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s - 'A' + 'a');
}

/* 0, or the 1-based offset of what is no word of [a-z0-9_]. */
static size_t check_word(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_");
	return s[n] || !n ? n + 1 : 0;
}

static int role_of(const char *text)
{
	for (int i = 0; i < CATALOGUE_ROLE_COUNT; i++)
		if (!strcmp(text, catalogue_role_names[i]))
			return i;
	return -1;
}

__attribute__((format(printf, 5, 6))) static int
complain(struct err *err, const char *file, const struct tsv *t, const char *at, const char *fmt, ...)
{
	char why[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	return err_set(err, LT_ECONF, "%s:%u:%u: %s", file, t->line_no, tsv_column(t, at), why);
}

static int operator_row(struct catrows *cr, const char *file, const struct tsv *t, struct err *err)
{
	char *const *f = t->fields;
	if (t->n_fields < 3 || t->n_fields > 4)
		return complain(err, file, t, f[0],
				"%zu fields: want service, pattern, role and at most processes", t->n_fields);
	for (size_t i = 0; i < t->n_fields; i++)
		lower(f[i]);
	size_t bad = check_word(f[0]);
	if (bad)
		return complain(err, file, t, f[0] + bad - 1, "a service is a word of a-z, 0-9 and _");
	bad = hostindex_check(f[1]);
	if (bad)
		return complain(err, file, t, f[1] + bad - 1, "not a host pattern: \"%.80s\"", f[1]);
	int role = role_of(f[2]);
	if (role < 0)
		return complain(err, file, t, f[2], "no role: \"%.40s\"", f[2]);
	if (cr->n >= CATROWS_MAX)
		return complain(err, file, t, f[0], "more than %d rows", CATROWS_MAX);
	struct catalogue_row row = {.service = f[0],
				    .title = f[0],
				    .category = "operator",
				    .pattern = f[1],
				    .role = (uint8_t)role,
				    .technique = role == CATALOGUE_TELEMETRY ? "" : "T1567",
				    .verified = "operator",
				    .processes = t->n_fields > 3 ? f[3] : "",
				    .wildcard = strchr(f[1], '*')};
	struct catrow_place place = {file, t->line_no, tsv_column(t, f[1])};
	return push(cr, &row, &place);
}

int catrows_file(struct catrows *cr, const char *path, size_t max_bytes, struct err *err)
{
	char *text;
	size_t n;
	int r = tsv_slurp(&text, &n, path, max_bytes);
	if (r)
		return err_set(err, r, "%s: %s", path, lt_strerror(r));
	r = keep_text(cr, text);
	struct tsv t;
	if (!r)
		tsv_begin(&t, text, n);
	while (!r && tsv_next(&t))
		r = operator_row(cr, path, &t, err);
	return r == -ENOMEM ? err_set(err, r, "%s: out of memory", path) : r;
}

struct seen {
	const char *pattern;
	size_t i;
};

static int by_pattern(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;
	int c = strcmp(x->pattern, y->pattern);
	return c ? c : (x->i > y->i) - (x->i < y->i);
}

int catrows_duplicates(const struct catrows *cr, struct err *err)
{
	int r = 0;
	struct seen *seen = calloc(cr->n_places + 1, sizeof *seen);
	if (!seen)
		return err_set(err, -ENOMEM, "catalogue: out of memory");
	for (size_t i = 0; i < cr->n_places; i++)
		seen[i] = (struct seen){cr->rows[i].pattern, i};
	qsort(seen, cr->n_places, sizeof *seen, by_pattern);
	for (size_t i = 1; i < cr->n_places && !r; i++) {
		if (strcmp(seen[i - 1].pattern, seen[i].pattern))
			continue;
		const struct catrow_place *first = &cr->places[seen[i - 1].i],
					  *again = &cr->places[seen[i].i];
		r = err_set(err, LT_ECONF, "%s:%u:%u: \"%.80s\" is already at %s:%u", again->file,
			    again->line, again->column, seen[i].pattern, first->file, first->line);
	}
	free(seen);
	return r;
}

static const char *dash_empty(const char *s)
{
	return !strcmp(s, "-") ? "" : s;
}

/* Ours: service title category pattern role technique verified [processes account] note. Lists of prefixes
 * have no processes, no account. */
static int builtin_row(struct catrows *cr, const struct tsv *t, bool enable_known,
		       const struct catrow_place *place)
{
	char *const *f = t->fields;
	bool host = t->n_fields == 10;
	int role = t->n_fields >= 8 ? role_of(f[4]) : -1;
	struct prefix p;
	if (role < 0 || (host ? hostindex_check(f[3]) != 0 : !prefix_parse(&p, f[3])))
		return LT_ECONF;
	if (!strcmp(f[6], "known") && !enable_known)
		return 0;
	struct catalogue_row row = {.service = f[0],
				    .title = f[1],
				    .category = f[2],
				    .pattern = f[3],
				    .role = (uint8_t)role,
				    .technique = dash_empty(f[5]),
				    .verified = f[6],
				    .processes = host ? dash_empty(f[7]) : "",
				    .wildcard = strchr(f[3], '*')};
	if (host && !strcmp(f[8], "first"))
		row.account_in_name = CATALOGUE_FIRST_LABEL;
	else if (host && !strcmp(f[8], "all"))
		row.account_in_name = CATALOGUE_ALL_LABELS;
	return push(cr, &row, place);
}

int catrows_builtin(struct catrows *cr, const unsigned char *bytes, size_t n, bool enable_known,
		    struct err *err)
{
	char *text = malloc(n + 1);
	if (!text)
		return err_set(err, -ENOMEM, "catalogue: out of memory");
	memcpy(text, bytes, n);
	text[n] = '\0';
	int r = keep_text(cr, text);
	struct tsv t;
	if (!r)
		tsv_begin(&t, text, n);
	while (!r && tsv_next(&t))
		r = builtin_row(cr, &t, enable_known, NULL);
	return r ? err_set(err, r, "catalogue: built-in line %u: %s", r == -ENOMEM ? 0 : t.line_no,
			   lt_strerror(r))
		 : 0;
}

static bool one_of(const char *text, const char *const *words)
{
	while (*words && strcmp(text, *words))
		words++;
	return *words != NULL;
}

/* What builtin_row would refuse, or take without a meaning, with its place. */
static int check_own_row(const char *file, const struct tsv *t, struct err *err)
{
	static const char *const sources[] = {"official", "code", "capture", "rule", "known", NULL};
	static const char *const accounts[] = {"-", "first", "all", NULL};
	char *const *f = t->fields;
	struct prefix p;
	bool host = t->n_fields == 10;
	if (!host && t->n_fields != 8)
		return complain(err, file, t, f[0],
				"%zu fields: a row of the catalogue has 10 (hosts) or 8 (prefixes)",
				t->n_fields);
	size_t bad = check_word(f[0]);
	if (bad)
		return complain(err, file, t, f[0] + bad - 1, "a service is a word of a-z, 0-9 and _");
	bad = host ? hostindex_check(f[3]) : !prefix_parse(&p, f[3]);
	if (bad)
		return complain(err, file, t, f[3] + bad - 1, "not a %s: \"%.80s\"",
				host ? "host pattern" : "prefix", f[3]);
	if (role_of(f[4]) < 0)
		return complain(err, file, t, f[4], "no role: \"%.40s\"", f[4]);
	if (!one_of(f[6], sources))
		return complain(err, file, t, f[6], "verified is none of official, code, capture, rule, known");
	if (host && !one_of(f[8], accounts))
		return complain(err, file, t, f[8], "account is none of first, all, -: \"%.40s\"", f[8]);
	return 0;
}

static int checked_row(struct catrows *cr, const char *file, const struct tsv *t, bool own, struct err *err)
{
	if (!own)
		return operator_row(cr, file, t, err);
	int r = check_own_row(file, t, err);
	if (r)
		return r;
	if (cr->n >= CATROWS_MAX)
		return complain(err, file, t, t->fields[0], "more than %d rows", CATROWS_MAX);
	struct catrow_place place = {file, t->line_no, tsv_column(t, t->fields[3])};
	return builtin_row(cr, t, true, &place);
}

int catrows_check(struct catrows *cr, const char *path, size_t max_bytes, struct err *err)
{
	enum { FEWEST_OWN_FIELDS = 8 };
	char *text;
	size_t n;
	int r = tsv_slurp(&text, &n, path, max_bytes);
	if (r)
		return err_set(err, r, "%s: %s", path, lt_strerror(r));
	r = keep_text(cr, text);
	struct tsv t;
	bool own = false;
	if (!r)
		tsv_begin(&t, text, n);
	for (bool first = true; !r && tsv_next(&t); first = false) {
		own = first ? t.n_fields >= FEWEST_OWN_FIELDS : own;
		r = checked_row(cr, path, &t, own, err);
	}
	return r == -ENOMEM ? err_set(err, r, "%s: out of memory", path) : r;
}

/* The first row of ours tells of the service; the first with an account tells how accounts are named. */
static void inherit(struct catalogue_row *row, const struct catrows *cr)
{
	bool known = false;
	for (size_t k = cr->n_places; k < cr->n; k++) {
		const struct catalogue_row *ours = &cr->rows[k];
		if (strcmp(row->service, ours->service))
			continue;
		if (!known) {
			row->title = ours->title;
			row->category = ours->category;
			row->technique = row->role == CATALOGUE_TELEMETRY ? "" : ours->technique;
			known = true;
		}
		if (!row->account_in_name)
			row->account_in_name = ours->account_in_name;
	}
}

void catrows_inherit(struct catrows *cr)
{
	for (size_t i = 0; i < cr->n_places; i++)
		inherit(&cr->rows[i], cr);
}
