/* hostindex: many host patterns, one name, the best pattern - label by label from the right, without
 * allocation.
 *
 * ".a.b" = a.b and every name below it; "a.b" = exactly it; a leading "*." = one or more labels; any other
 * "*" = within one label (nothing or more; a label that is only "*" is one whole label). Exact beats pattern
 * beats suffix, then most literal characters, then the smaller value. At most one "*" in a label. Never a
 * substring of a label that has no "*". */
#ifndef LEAKTAP_DETECT_HOSTINDEX_H
#define LEAKTAP_DETECT_HOSTINDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum hostindex_kind { HOSTINDEX_SUFFIX, HOSTINDEX_PATTERN, HOSTINDEX_EXACT };

struct hostindex;

struct hostindex *hostindex_new(void); /* NULL: out of memory */
void hostindex_free(struct hostindex *hi);

/* 0, or the 1-based column of the first bad character. Patterns are lower case. */
size_t hostindex_check(const char *pattern);
/* pattern: checked, borrowed until hostindex_free. mask_bit: 0..31, see find. 0 or -ENOMEM. Not after
 * hostindex_seal. */
int hostindex_add(struct hostindex *hi, const char *pattern, uint32_t value, unsigned mask_bit);
int hostindex_seal(struct hostindex *hi); /* before the first find; 0 or -ENOMEM */

struct hostindex_hit {
	uint32_t value;
	enum hostindex_kind kind;
	const char *open; /* what the pattern leaves open, within name: all labels below a suffix, else the
			     text of the first "*" */
	size_t open_len;  /* 0: nothing open */
};

/* The best pattern among those whose mask_bit is in mask. name is normalised (dissect/hostname.h). Any thread
 * once sealed. */
bool hostindex_find(const struct hostindex *hi, const char *name, uint32_t mask,
		    struct hostindex_hit *ret_hit);

#endif
