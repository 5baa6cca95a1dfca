/* jsondoc: the one door to jansson. Parses one JSON value strictly: duplicate keys, broken UTF-8, lone
 * surrogates, integers that do not fit 64 bits and reals out of range are refused. A \u0000 inside a string
 * is kept (texts carry their length); in a key it is refused.
 *
 * The caller bounds the nesting: evframe does for rows, jsondoc_depth for JSON found inside texts. */
#ifndef LEAKTAP_DISSECT_JSONDOC_H
#define LEAKTAP_DISSECT_JSONDOC_H

#include <stddef.h>
#include <stdint.h>

#include "dissect/bytes.h"
#include "dissect/evparse.h"
#include "dissect/rowbuf.h"

enum jsondoc_type {
	JSONDOC_ABSENT, /* of a NULL node */
	JSONDOC_NULL,
	JSONDOC_TEXT,
	JSONDOC_INT,
	JSONDOC_REAL,
	JSONDOC_BOOL,
	JSONDOC_OBJECT,
	JSONDOC_ARRAY,
};

struct json_t; /* a node; owned by its root */

/* Why a text was refused. text is jansson's and may quote the input: hostile. */
struct jsondoc_fault {
	enum evparse_reason why;
	char text[160];
};

/* A root to be freed with jsondoc_free, or NULL with *ret_fault filled (why EVPARSE_REASON_COUNT: out of
 * memory). The cuts, in order and apart, are left out unread; what remains must be the value. */
struct json_t *jsondoc_parse(struct slice text, const struct rowbuf_cut *cuts, size_t n_cuts,
			     struct jsondoc_fault *ret_fault);
void jsondoc_free(struct json_t *root);

/* Deepest nesting of brackets outside strings. */
size_t jsondoc_depth(struct slice text);

/* Every reader below takes NULL and answers as for an absent node. */
enum jsondoc_type jsondoc_type(const struct json_t *node);
const struct json_t *jsondoc_get(const struct json_t *object, const char *key);
const struct json_t *jsondoc_at(const struct json_t *array, size_t i);
size_t jsondoc_size(const struct json_t *array);
struct slice jsondoc_text(const struct json_t *node);
int64_t jsondoc_int(const struct json_t *node);
int jsondoc_is_true(const struct json_t *node);

#endif
