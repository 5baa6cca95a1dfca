/* intake: endpoint events from their source through the parser into attrib. */
#ifndef LEAKTAP_DETECT_APP_INTAKE_H
#define LEAKTAP_DETECT_APP_INTAKE_H

#include <stdbool.h>

#include "capture/evsource.h"
#include "detect/attrib/attrib.h"
#include "dissect/evparse.h"

struct intake;

struct intake_conf {
	const char *const *paths;
	size_t n_paths;
	const char *zone; /* --tz; NULL */
	struct attrib *attrib;
};

int intake_open(struct intake **ret_in, const struct intake_conf *conf, struct err *err);
/* One chunk read, parsed and handed over; blocks only as the files do. 1: more; 0: all done; negative: the run cannot go on (no zone, attrib
 * failed). Files that cannot be read are logged and counted. */
int intake_step(struct intake *in, struct err *err);
/* For a caller that reads chunks itself on another thread: the parsing half of intake_step. */
int intake_chunk(struct intake *in, const struct evchunk *chunk, struct err *err);
struct evsource *intake_source(struct intake *in);
void intake_stats(const struct intake *in, struct evsource_stats *ret_source, struct evparse_stats *ret_parse);
bool intake_damaged(const struct intake *in); /* some input was unreadable: exit 3 */
void intake_note_unreadable(struct intake *in, const struct err *err);
void intake_close(struct intake *in);

#endif
