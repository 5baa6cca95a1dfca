/* winxml: the pairs of a Windows event in XML: <Data Name="x">text</Data> gives x, and of <System> come
 * @Provider, @EventID, @Channel,
 * @Computer, @EventRecordID and @SystemTime. Not an XML parser: one linear pass over the shapes that event
 * logs write, which hostile text inside values cannot leave because writers escape < and ". */
#ifndef LEAKTAP_DISSECT_WINXML_H
#define LEAKTAP_DISSECT_WINXML_H

#include <stddef.h>

#include "dissect/evrow.h"

enum { WINXML_MAX_FIELDS = 128 };

/* Fills fields (room for WINXML_MAX_FIELDS) with texts in scratch or in xml, and *ret_n. EVPARSE_REASON_COUNT
 * if all is well, else DUP_KEY (a name given twice), BAD_COLUMNS (too many), CUT_SHORT (ends inside an
 * element). */
enum evparse_reason winxml_read(struct slice xml, struct scratch *scratch, struct evrow_field *fields,
				size_t *ret_n);

/* Entities resolved, in scratch; the text itself if it has none or memory is out. */
struct slice winxml_unescape(struct slice text, struct scratch *scratch);

#endif
