/* destination: what a flow's other end means, and whether this owner's use of it counts. */
#ifndef LEAKTAP_DETECT_DESTINATION_H
#define LEAKTAP_DETECT_DESTINATION_H

#include "detect/finding.h"

enum { DESTINATION_TEXT = 512 };

/* By name, by all names that fit, or by address where there is none: fills has_destination, by_address,
 * destination of ret. Several names count only if all are of one service; the account is then known only if
 * they agree. */
void destination_classify(const struct catalogue *c, const struct flow_facts *facts, struct verdict *ret);

enum destination_use {
	DESTINATION_IGNORED,    /* fires nothing: a role without files, or an inside host */
	DESTINATION_SUPPRESSED, /* telemetry or sanctioned: text says why */
	DESTINATION_COUNTS,     /* role upload or web, or unknown and outside */
	DESTINATION_DOWNLOADS,  /* only what comes down from it is of interest, for a timeline */
};

/* v: with owners. May replace v->destination by the row that it is judged by; text (maybe "") then says so.
 */
enum destination_use destination_use(const struct catalogue *c, struct verdict *v,
				     char text[DESTINATION_TEXT]);
/* The same for the side of a device that answered: its destination is who connected. v's destination is
 * emptied. */
enum destination_use destination_use_answered(const struct catalogue *c, struct verdict *v);

#endif
