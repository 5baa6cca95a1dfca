/* linktype: link-layer types as capture files and libpcap number them, to and from ours. Pure; any thread. */
#ifndef LEAKTAP_CAPTURE_LINKTYPE_H
#define LEAKTAP_CAPTURE_LINKTYPE_H

#include <stdint.h>

#include "capture/base/err.h"
#include "capture/packet.h"

/* number: LINKTYPE_ of a file or DLT_ of libpcap. An enum packet_link, or -1: not decoded. */
int linktype_to_link(uint32_t number);

/* The DLT_ number whose frames look like those of link. */
int linktype_dlt(enum packet_link link);

/* Fills err with LT_EFORMAT naming who and the type by name and number, and returns it. */
int linktype_refuse(const char *who, uint32_t number, struct err *err);

#endif
