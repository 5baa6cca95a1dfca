/* slow_match: the matching rules again, written a second time over all rows, as the judge of hostindex and
 * catalogue. */
#ifndef LEAKTAP_TESTS_UNIT_SLOW_MATCH_H
#define LEAKTAP_TESTS_UNIT_SLOW_MATCH_H

#include <fnmatch.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOW_MAX_ROWS = 1024, SLOW_MAX_LABELS = 130 };

struct slow_row {
	char *pattern;
	bool known;
};

static size_t slow_read(struct slow_row *rows, const char *path)
{
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	char line[2048];
	size_t n = 0;
	while (fgets(line, sizeof line, f)) {
		char *field[7] = {0}, *p = line;
		for (int i = 0; i < 7 && p; i++)
			field[i] = strsep(&p, "\t");
		if (*line == '#' || !field[6])
			continue;
		assert_true(n < SLOW_MAX_ROWS);
		rows[n].known = !strcmp(field[6], "known");
		rows[n++].pattern = strdup(field[3]);
	}
	fclose(f);
	assert_true(n > 500);
	return n;
}

static void slow_free(struct slow_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(rows[i].pattern);
}

static int slow_labels(char **labels, char *copy, const char *name)
{
	int n = 0;
	strcpy(copy, name);
	for (char *p = copy; n < SLOW_MAX_LABELS && p;)
		labels[n++] = strsep(&p, ".");
	return n;
}

static bool slow_label(const char *pattern, const char *label)
{
	return *label ? fnmatch(pattern, label, FNM_NOESCAPE) == 0 : !*pattern;
}

__attribute__((noinline)) static bool slow_match(const char *pattern, const char *host)
{
	char pc[300], hc[400], *p[SLOW_MAX_LABELS], *h[SLOW_MAX_LABELS];
	bool suffix = *pattern == '.', many = !strncmp(pattern, "*.", 2);
	int np = slow_labels(p, pc, pattern + suffix), nh = slow_labels(h, hc, host);
	if (suffix || many ? nh < np : nh != np)
		return false;
	for (int i = 0; i < np - many; i++)
		if (!slow_label(p[np - 1 - i], h[nh - 1 - i]))
			return false;
	return true;
}

static int slow_rank(const char *pattern)
{
	int literal = 0;
	for (const char *c = pattern; *c; c++)
		literal += *c != '*';
	return literal + (*pattern == '.' ? 0 : strchr(pattern, '*') ? 1000 : 2000);
}

__attribute__((noinline)) static const char *slow_best(const struct slow_row *rows, size_t n,
						       const char *host)
{
	const char *best = NULL;
	for (size_t i = 0; i < n; i++)
		if (slow_match(rows[i].pattern, host) &&
		    (!best || slow_rank(rows[i].pattern) > slow_rank(best)))
			best = rows[i].pattern;
	return best;
}

/* A name that a pattern is meant for. */
static void slow_host_of(char *host, size_t size, const char *pattern)
{
	size_t n = 0;
	if (*pattern == '.')
		n = (size_t)snprintf(host, size, "acct");
	for (; *pattern; pattern++) {
		if (*pattern == '*')
			n += (size_t)snprintf(host + n, size - n, "q7");
		else
			n += (size_t)snprintf(host + n, size - n, "%c", *pattern);
		assert_true(n < size);
	}
}

/* A host of some row, then damaged now and then: a label more, a letter more, a tail, a label less, a dot too
 * many. */
__attribute__((unused)) static void slow_random_host(char *host, size_t size, const struct slow_row *rows,
						     size_t n)
{
	char base[300];
	slow_host_of(base, sizeof base, rows[(size_t)rand() % n].pattern);
	const char *dot = strchr(base, '.');
	switch (rand() % 8) {
	case 0:
		snprintf(host, size, "x%s", base);
		break;
	case 1:
		snprintf(host, size, "sub.%s", base);
		break;
	case 2:
		snprintf(host, size, "%s.evil.example", base);
		break;
	case 3:
		snprintf(host, size, "%s", dot ? dot + 1 : base);
		break;
	case 4:
		snprintf(host, size, "a.b.c%s", dot ? dot : "");
		break;
	case 5:
		snprintf(host, size, ".%s", base);
		break;
	case 6:
		snprintf(host, size, "%s", base);
		host[(size_t)rand() % strlen(host)] = "a.-z"[rand() % 4];
		break;
	default:
		snprintf(host, size, "%s", base);
	}
}

#endif
