#include "dissect/jsondoc.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static enum evparse_reason reason_of(enum json_error_code code, struct slice text)
{
	switch (code) {
	case json_error_duplicate_key:
		return EVPARSE_DUP_KEY;
	case json_error_invalid_utf8:
		return EVPARSE_ENCODING;
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return EVPARSE_NUL_IN_KEY;
	case json_error_numeric_overflow:
		return EVPARSE_BAD_NUMBER;
	case json_error_stack_overflow:
		return EVPARSE_NESTING;
	case json_error_out_of_memory:
		return EVPARSE_REASON_COUNT;
	default:
		return text.n && memchr(text.p, 0, text.n) ? EVPARSE_NUL_IN_KEY : EVPARSE_SYNTAX;
	}
}

/* jansson names a lone surrogate only in its text. */
static bool is_surrogate_fault(const json_error_t *e)
{
	return !strncmp(e->text, "invalid Unicode", sizeof "invalid Unicode" - 1);
}

/* The text between the cuts, as jansson asks for it. */
struct pieces {
	struct slice text;
	const struct rowbuf_cut *cuts;
	size_t n_cuts, at;
};

static size_t next_pieces(void *buffer, size_t size, void *ctx)
{
	struct pieces *pc = ctx;
	size_t given = 0;
	while (given < size && pc->at < pc->text.n) {
		size_t end = pc->n_cuts ? pc->cuts->at : pc->text.n;
		size_t n = end - pc->at < size - given ? end - pc->at : size - given;
		memcpy((char *)buffer + given, pc->text.p + pc->at, n);
		given += n;
		pc->at += n;
		if (pc->n_cuts && pc->at == end) {
			pc->at += pc->cuts->n;
			pc->cuts++;
			pc->n_cuts--;
		}
	}
	return given;
}

struct json_t *jsondoc_parse(struct slice text, const struct rowbuf_cut *cuts, size_t n_cuts,
			     struct jsondoc_fault *ret_fault)
{
	json_error_t e;
	size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
	struct pieces pc = {text, cuts, n_cuts, 0};
	json_t *root = n_cuts ? json_load_callback(next_pieces, &pc, flags, &e)
			      : json_loadb((const char *)text.p, text.n, flags, &e);
	if (root)
		return root;
	ret_fault->why = is_surrogate_fault(&e) ? EVPARSE_ENCODING : reason_of(json_error_code(&e), text);
	snprintf(ret_fault->text, sizeof ret_fault->text, "%s", e.text);
	return NULL;
}

void jsondoc_free(struct json_t *root)
{
	json_decref(root);
}

size_t jsondoc_depth(struct slice text)
{
	size_t depth = 0, deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];
		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && (c == '[' || c == '{'))
			deepest = ++depth > deepest ? depth : deepest;
		else if (!in_string && (c == ']' || c == '}'))
			depth -= depth > 0;
	}
	return deepest;
}

enum jsondoc_type jsondoc_type(const struct json_t *node)
{
	if (!node)
		return JSONDOC_ABSENT;
	switch (json_typeof(node)) {
	case JSON_OBJECT:
		return JSONDOC_OBJECT;
	case JSON_ARRAY:
		return JSONDOC_ARRAY;
	case JSON_STRING:
		return JSONDOC_TEXT;
	case JSON_INTEGER:
		return JSONDOC_INT;
	case JSON_REAL:
		return JSONDOC_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSONDOC_BOOL;
	case JSON_NULL:
		break;
	}
	return JSONDOC_NULL;
}

const struct json_t *jsondoc_get(const struct json_t *object, const char *key)
{
	return json_object_get(object, key);
}

const struct json_t *jsondoc_at(const struct json_t *array, size_t i)
{
	return json_array_get(array, i);
}

size_t jsondoc_size(const struct json_t *array)
{
	return json_array_size(array);
}

struct slice jsondoc_text(const struct json_t *node)
{
	const char *s = json_string_value(node);
	return s ? (struct slice){(const uint8_t *)s, json_string_length(node)} : (struct slice){NULL, 0};
}

int64_t jsondoc_int(const struct json_t *node)
{
	return json_integer_value(node);
}

int jsondoc_is_true(const struct json_t *node)
{
	return json_is_true(node);
}
