/* slice: questions to borrowed texts of endpoint events. */
#ifndef LEAKTAP_DISSECT_SLICE_H
#define LEAKTAP_DISSECT_SLICE_H

#include <stdbool.h>

#include "dissect/bytes.h"

struct slice slice_of(const char *text);
bool slice_is(struct slice s, const char *text);
bool slice_starts(struct slice s, const char *text);
bool slice_ends(struct slice s, const char *text);

/* Equal but for the case of ASCII letters. */
bool slice_same(struct slice a, struct slice b);

/* After the last \ or /; all of it if there is none. */
struct slice slice_file_name(struct slice path);

/* DOMAIN\user cut in two; the domain is empty if there is none. */
void slice_split_user(struct slice full, struct slice *ret_domain, struct slice *ret_user);

/* An identifier; empty if it is a lone 0 or a GUID of zeros, which name nothing. */
struct slice slice_uid(struct slice s);

#endif
