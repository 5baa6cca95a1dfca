#include "detect/sinks/record.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct record_format *const formats[] = {&record_eve, &record_ecs, &record_ocsf, &record_cef};

const struct record_format *record_format_find(const char *name)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		if (!strcmp(formats[i]->name, name))
			return formats[i];
	return NULL;
}

/* inet_ntop takes 200 ns for these, in every record twice. */
static void dotted(char *out, const uint8_t ip[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned v = ip[i];
		if (v >= 100)
			*out++ = (char)('0' + v / 100);
		if (v >= 10)
			*out++ = (char)('0' + v / 10 % 10);
		*out++ = (char)('0' + v % 10);
		*out++ = i < 3 ? '.' : '\0';
	}
}

void record_address(char out[46], const struct facts_addr *a)
{
	if (a->family != 6)
		dotted(out, a->ip);
	else if (!inet_ntop(AF_INET6, a->ip, out, 46))
		out[0] = '\0';
}

const char *record_protocol(uint8_t proto, char buf[8])
{
	switch (proto) {
	case 1:
		return "ICMP";
	case 6:
		return "TCP";
	case 17:
		return "UDP";
	case 47:
		return "GRE";
	case 50:
		return "ESP";
	case 58:
		return "IPv6-ICMP";
	case 132:
		return "SCTP";
	}
	snprintf(buf, 8, "%u", proto);
	return buf;
}

const char *record_tls_version(uint16_t version)
{
	switch (version) {
	case 0x0300:
		return "SSLv3";
	case 0x0301:
		return "TLS 1.0";
	case 0x0302:
		return "TLS 1.1";
	case 0x0303:
		return "TLS 1.2";
	case 0x0304:
		return "TLS 1.3";
	case 0x0100: /* Cisco's, before it was standardised */
	case 0xfeff:
		return "DTLS 1.0";
	case 0xfefd:
		return "DTLS 1.2";
	case 0xfefc:
		return "DTLS 1.3";
	}
	return NULL;
}

const char *record_name_source(const struct verdict *v)
{
	if (v->by_address)
		return facts_name_source_names[FACTS_NAME_IP_PREFIX];
	return v->facts->name_source == FACTS_NAME_NONE ? NULL : facts_name_source_names[v->facts->name_source];
}
