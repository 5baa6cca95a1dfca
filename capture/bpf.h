/* bpf: the door to libpcap's filter compiler. Filters are text only: a compiled program from outside is never
 * run, because libpcap's interpreter does not validate it.
 *
 * A struct bpf belongs to one thread at a time. */
#ifndef LEAKTAP_CAPTURE_BPF_H
#define LEAKTAP_CAPTURE_BPF_H

#include <stdbool.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "capture/packet.h"

struct bpf;
struct pcap; /* libpcap's handle */

/* LT_EFILTER with the compiler's own words. link decides which offsets the filter reads. */
int bpf_new(struct bpf **ret_bpf, const char *text, enum packet_link link, struct err *err);
void bpf_free(struct bpf *bpf); /* NULL is fine */

bool bpf_match(const struct bpf *bpf, const struct packet *pkt);

/* Compiles for the handle's own link type and attaches in the kernel where it can. LT_EFILTER or -EIO. */
int bpf_attach(struct pcap *handle, const char *text, struct err *err);

/* libpcap's name of a link type, "unknown" where it has none. Static text. */
const char *bpf_linktype_name(uint32_t number);

#endif
