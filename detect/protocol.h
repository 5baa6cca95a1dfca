/* protocol: the ways out that are not the web's, from what dissect called the flow. */
#ifndef LEAKTAP_DETECT_PROTOCOL_H
#define LEAKTAP_DETECT_PROTOCOL_H

#include "dissect/facts.h"

enum protocol {
	PROTOCOL_OTHER,
	PROTOCOL_FTP,
	PROTOCOL_SMTP,
	PROTOCOL_SSH,
	PROTOCOL_WEBDAV,
	PROTOCOL_SMB,
	PROTOCOL_COUNT
};
extern const char *const protocol_names[PROTOCOL_COUNT];

/* app_proto first, then nDPI's word; the port only where neither knows anything. */
enum protocol protocol_of(const struct flow_facts *f);

#endif
