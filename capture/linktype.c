#include "capture/linktype.h"

#include <stddef.h>

#include "capture/bpf.h"

/* The first row of a link is the one a filter is compiled for. */
static const struct {
	uint16_t number;
	uint16_t link;
} rows[] = {
    {1, PACKET_LINK_ETHERNET}, /* EN10MB */
    {12, PACKET_LINK_RAW},     /* DLT_RAW on most systems */
    {14, PACKET_LINK_RAW},     /* DLT_RAW on OpenBSD */
    {101, PACKET_LINK_RAW},    /* LINKTYPE_RAW */
    {228, PACKET_LINK_RAW},    /* IPV4 */
    {229, PACKET_LINK_RAW},    /* IPV6 */
    {113, PACKET_LINK_SLL},    /* LINUX_SLL */
    {276, PACKET_LINK_SLL2},   /* LINUX_SLL2 */
    {0, PACKET_LINK_NULL},     /* NULL */
    {108, PACKET_LINK_LOOP},   /* LOOP */
    {9, PACKET_LINK_PPP},      /* PPP */
    {50, PACKET_LINK_PPP},     /* PPP_SERIAL */
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

int linktype_to_link(uint32_t number)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].number == number)
			return rows[i].link;
	return -1;
}

int linktype_dlt(enum packet_link link)
{
	for (size_t i = 0; i < ROW_COUNT; i++)
		if (rows[i].link == link)
			return rows[i].number;
	return rows[0].number;
}

int linktype_refuse(const char *who, uint32_t number, struct err *err)
{
	return err_set(err, LT_EFORMAT, "%s: link type %s (%u) is not decoded", who,
		       bpf_linktype_name(number), (unsigned)number);
}
