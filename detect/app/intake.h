/* intake: endpoint events from their source through the parser into attrib. */
#ifndef LEAKTAP_DETECT_APP_INTAKE_H
#define LEAKTAP_DETECT_APP_INTAKE_H

#include <stdbool.h>

#include "capture/evsource.h"
#include "detect/attrib/attrib.h"
#include "dissect/evparse.h"

struct intake;

struct intake_conf {
	const char *const *paths; /* none: a caller that reads chunks itself gives them to intake_chunk */
	size_t n_paths;
	const char *zone; /* --tz; NULL */
	struct attrib *attrib;
};

int intake_open(struct intake **ret_in, const struct intake_conf *conf, struct err *err);
/* One chunk read, parsed and handed over; blocks only as the files do. 1: more; 0: all done; negative: the run cannot go on (no zone, attrib
 * failed). Files that cannot be read are logged and counted. */
int intake_step(struct intake *in, struct err *err);
/* The parsing half of intake_step. Negative: attrib failed, or this origin needs a zone; the rest of the origin is passed over then. */
int intake_chunk(struct intake *in, const struct evchunk *chunk, struct err *err);
void intake_stats(const struct intake *in, struct evsource_stats *ret_source, struct evparse_stats *ret_parse);
const struct evparse_stats *intake_parsed(const struct intake *in);
bool intake_damaged(const struct intake *in); /* some input was unreadable: exit 3 */
void intake_note_unreadable(struct intake *in, const struct err *err);
void intake_close(struct intake *in);

#endif
