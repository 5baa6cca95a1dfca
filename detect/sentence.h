/* sentence: a draft in words - the sentence, the reasons, the timeline - and in sums. All texts lie in one
 * block of fixed size; what does not fit is cut. Names in them come from packets and endpoints: sinks escape.
 */
#ifndef LEAKTAP_DETECT_SENTENCE_H
#define LEAKTAP_DETECT_SENTENCE_H

#include "detect/episode.h"

enum { SENTENCE_BYTES = 32768 };

struct sentence {
	struct verdict flow; /* what finding.flow points to */
	size_t n;
	char text[SENTENCE_BYTES];
};

/* Text that lives as long as s; "" when s is full. */
__attribute__((format(printf, 2, 3))) const char *sentence_add(struct sentence *s, const char *fmt, ...);

struct telling {
	const struct draft *draft;
	struct attrib *attrib;         /* NULL: no endpoint input */
	const struct ledgers *ledgers; /* for what else the process did */
};

/* Fills ret_f but for its version; it borrows from s and from the draft's parts. */
void sentence_finding(struct sentence *s, const struct telling *t, struct finding *ret_f);

/* Of sentence_finding, each in a file of its own. */
const char *sentence_verdict(const struct draft *d);
const char *sentence_write(struct sentence *s, const struct telling *t, const struct finding *f);
void sentence_reasons(struct sentence *s, const struct telling *t, struct finding *f);
void sentence_timeline(struct sentence *s, const struct telling *t, struct finding *f);

/* "1,752"; "20.60.133.132" or "[2620::1]" with ":443" if with_port; "09:14:22Z" (with the date in front if
 * with_date). */
enum { SENTENCE_WORD = 64 };
const char *sentence_count(char buf[SENTENCE_WORD], uint64_t n);
const char *sentence_address(char buf[SENTENCE_WORD], const struct facts_addr *a, bool with_port);
const char *sentence_time(char buf[SENTENCE_WORD], uint64_t t_ns, bool with_date);
/* "Azure Blob account x", "Dropbox (content.dropboxapi.com)", "unknown destination x.example". */
const char *sentence_destination(struct sentence *s, const struct part *p);
const char *sentence_process(struct sentence *s, const struct owner_process *p, char grade);

#endif
