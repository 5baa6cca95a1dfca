#include "detect/tsv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tsv_begin(struct tsv *t, char *text, size_t n)
{
	*t = (struct tsv){.next = text, .end = text + n};
	for (char *p = text; (p = memchr(p, '\0', (size_t)(t->end - p))); p++)
		*p = '?';
}

static void cut_fields(struct tsv *t, char *line)
{
	t->n_fields = 0;
	for (char *p = line; p; t->n_fields++) {
		char *tab = strchr(p, '\t');
		if (tab)
			*tab++ = '\0';
		if (t->n_fields < TSV_MAX_FIELDS)
			t->fields[t->n_fields] = p;
		p = tab;
	}
}

bool tsv_next(struct tsv *t)
{
	while (t->next < t->end) {
		char *line = t->next;
		char *nl = memchr(line, '\n', (size_t)(t->end - line));
		char *stop = nl ? nl : t->end;
		t->next = nl ? nl + 1 : t->end;
		t->line_no++;
		if (stop > line && stop[-1] == '\r')
			stop--;
		*stop = '\0';
		if (stop == line || *line == '#')
			continue;
		t->line = line;
		cut_fields(t, line);
		return true;
	}
	return false;
}

unsigned tsv_column(const struct tsv *t, const char *place)
{
	return (unsigned)(place - t->line) + 1;
}

int tsv_slurp(char **ret_text, size_t *ret_n, const char *path, size_t max_bytes)
{
	FILE *f = fopen(path, "rbe");
	if (!f)
		return -errno;
	int r = -ENOMEM;
	size_t n = 0, cap = 4096;
	char *text = malloc(cap + 1);
	while (text) {
		n += fread(text + n, 1, cap - n, f);
		if (n < cap)
			break;
		r = -EFBIG;
		char *grown = cap <= max_bytes ? realloc(text, cap * 2 + 1) : NULL;
		if (!grown)
			goto free_text;
		text = grown;
		cap *= 2;
	}
	if (!text)
		goto close_file;
	r = ferror(f) ? -EIO : n > max_bytes ? -EFBIG : 0;
	if (r)
		goto free_text;
	text[n] = '\0';
	*ret_text = text;
	*ret_n = n;
	fclose(f);
	return 0;
free_text:
	free(text);
close_file:
	fclose(f);
	return r;
}
