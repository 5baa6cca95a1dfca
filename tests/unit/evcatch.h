/* evcatch: feeds text to an evparse and keeps copies of what came out. Header only, for cmocka tests. */
#ifndef LEAKTAP_TESTS_UNIT_EVCATCH_H
#define LEAKTAP_TESTS_UNIT_EVCATCH_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "dissect/evparse.h"

enum { EVCATCH_MAX = 64 };

struct evcatch {
	struct procevent ev[EVCATCH_MAX];
	char *owned[EVCATCH_MAX * 32];
	char notes[EVCATCH_MAX][256];
	enum evparse_reason why[EVCATCH_MAX];
	size_t n, n_owned, n_notes;
	struct evparse_stats stats;
	struct err err;
	int result;
};

static inline void evcatch_keep(struct evcatch *c, struct slice *s)
{
	char *p = malloc(s->n + 1);
	assert_non_null(p);
	assert_true(c->n_owned < sizeof c->owned / sizeof *c->owned);
	if (s->n)
		memcpy(p, s->p, s->n);
	p[s->n] = '\0';
	c->owned[c->n_owned++] = p;
	s->p = (const uint8_t *)p;
}

static inline void evcatch_process(struct evcatch *c, struct procevent_process *p)
{
	evcatch_keep(c, &p->name);
	evcatch_keep(c, &p->path);
	evcatch_keep(c, &p->original_name);
	evcatch_keep(c, &p->command_line);
	evcatch_keep(c, &p->uid);
	evcatch_keep(c, &p->sha256);
}

static inline void evcatch_event(void *ctx, const struct procevent *ev)
{
	struct evcatch *c = ctx;
	if (c->n == EVCATCH_MAX)
		return;
	struct procevent *to = &c->ev[c->n++];
	*to = *ev;
	assert_string_equal(ev->origin, "log");
	to->origin = "log";
	evcatch_process(c, &to->process);
	evcatch_process(c, &to->parent);
	struct slice *const texts[] = {
	    &to->device_id,   &to->device_name, &to->event_id,   &to->remote_name,
	    &to->user,        &to->user_domain, &to->file_path,  &to->file_previous_path,
	    &to->file_sha256, &to->dns_query,   &to->dns_answers};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		evcatch_keep(c, texts[i]);
}

static inline void evcatch_note(void *ctx, enum evparse_reason why, const char *text)
{
	struct evcatch *c = ctx;
	if (c->n_notes == EVCATCH_MAX)
		return;
	c->why[c->n_notes] = why;
	strncpy(c->notes[c->n_notes], text, sizeof c->notes[0] - 1);
	c->n_notes++;
}

/* chunk 0: all at once. Each chunk is copied to a block of its own size, so that a sanitizer sees reads past
 * it. */
static inline struct evcatch *evcatch_bytes(const char *text, size_t n, size_t chunk,
					    struct evparse_conf conf)
{
	struct evcatch *c = calloc(1, sizeof *c);
	assert_non_null(c);
	conf.note = evcatch_note;
	conf.note_ctx = c;
	struct evparse *ep = evparse_new(&conf, &c->err);
	assert_non_null(ep);
	c->result = evparse_begin(ep, "log", &c->err);
	for (size_t at = 0; at < n && !c->result;) {
		size_t piece = !chunk || n - at < chunk ? n - at : chunk;
		char *copy = malloc(piece);
		assert_non_null(copy);
		memcpy(copy, text + at, piece);
		c->result = evparse_feed(ep, copy, piece, evcatch_event, c, &c->err);
		free(copy);
		at += piece;
	}
	if (!c->result)
		c->result = evparse_end(ep, evcatch_event, c, &c->err);
	c->stats = *evparse_stats(ep);
	evparse_free(ep);
	return c;
}

static inline struct evcatch *evcatch_text(const char *text)
{
	return evcatch_bytes(text, strlen(text), 0, (struct evparse_conf){0});
}

static inline void evcatch_free(struct evcatch *c)
{
	for (size_t i = 0; i < c->n_owned; i++)
		free(c->owned[i]);
	free(c);
}

/* The one event of a text that has one row. */
static inline const struct procevent *evcatch_one(const struct evcatch *c)
{
	if (c->n_notes)
		print_message("note: %s\n", c->notes[0]);
	if (c->result)
		print_message("error: %s\n", c->err.text);
	assert_int_equal(c->result, 0);
	assert_int_equal(c->n_notes, 0);
	assert_int_equal(c->n, 1);
	return &c->ev[0];
}

#define assert_slice(s, text) assert_string_equal((const char *)(s).p, text)

static inline void evcatch_address(const struct facts_addr *a, const char *ip, unsigned port)
{
	char text[INET6_ADDRSTRLEN] = "";
	if (a->family)
		assert_non_null(inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->ip, text, sizeof text));
	assert_string_equal(text, ip);
	assert_int_equal(a->port, port);
}

/* The reason of the one row refused. */
static inline enum evparse_reason evcatch_refused(const char *text)
{
	struct evcatch *c = evcatch_text(text);
	assert_int_equal(c->n, 0);
	assert_int_equal(c->n_notes, 1);
	enum evparse_reason why = c->why[0];
	assert_int_equal(c->stats.rejected[why], 1);
	assert_int_equal(c->stats.rows, 1);
	evcatch_free(c);
	return why;
}

#endif
