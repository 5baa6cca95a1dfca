/* tell: verdicts and findings made by hand, for the tests of the sinks. */
#ifndef LEAKTAP_TESTS_UNIT_TELL_H
#define LEAKTAP_TESTS_UNIT_TELL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "detect/finding.h"
#include "detect/sinks/sink.h"

#define TELL_FN static inline __attribute__((unused))

/* Everything that a sender or an endpoint can choose: terminal escapes, C1, bidi, zero width, broken UTF-8, markup, formula, CEF and shell signs. */
#define TELL_HOSTILE "a\x1b[2J\x07\r\n\xc2\x9b" "31m\xe2\x80\xae" "exe.\xe2\x80\x8b\xff\xc0\xaf</script><img src=x onerror=alert(1)>\"'`&|=1+1\\%n%s"

enum { TELL_T0_S = 1772442862 }; /* 2026-03-02T09:14:22Z */
static const uint64_t tell_t0_ns = UINT64_C(1772442862226787901);

static const struct catalogue_row tell_blob = {
	.service = "azure_blob", .title = "Azure Blob", .category = "storage", .pattern = ".blob.core.windows.net", .role = CATALOGUE_UPLOAD,
	.technique = "T1567.002", .verified = "official", .processes = "", .account_in_name = CATALOGUE_FIRST_LABEL,
};

TELL_FN struct facts_addr tell_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
	return (struct facts_addr){.ip = {a, b, c, d}, .port = port, .family = 4};
}

static const struct facts_minute tell_minutes[] = {{TELL_T0_S / 60 * 60, 2000, 5000}, {TELL_T0_S / 60 * 60 + 60, 147, 466}};

/* The flow of the contract's example: an upload to a blob account that an attributed process owns. */
TELL_FN struct flow_facts tell_facts(uint64_t id)
{
	struct flow_facts f = {
		.flow_id = id, .src = tell_v4(10, 20, 4, 17, 50412), .dst = tell_v4(20, 60, 133, 132, 443), .proto = 6, .n_vlan = 1, .vlan = {12},
		.state = FACTS_STATE_CLOSED, .reason = FACTS_REASON_FIN, .last = true, .saw_syn = true, .app_known = true, .start_ns = tell_t0_ns,
		.end_ns = tell_t0_ns + 61500000000, .seq = 1, .minutes = tell_minutes, .n_minutes = 2, .name_source = FACTS_NAME_TLS_SNI,
		.name = "sacyberrangedanger.blob.core.windows.net", .sni = "sacyberrangedanger.blob.core.windows.net", .tls_version = 0x0303,
		.ja3 = "c0220cd64849a629397a9cb68f78a0ea", .ja4 = "t12d560700_99d8c53049f3_e7e480e5a997", .alpn = "h2,http/1.1", .app_proto = "tls",
		.ndpi_protocol = "TLS.Azure", .ndpi_name = "sacyberrangedanger.blob.core.windows.net",
	};
	f.up = (struct facts_dir){.packets = 12, .wire_bytes = 3004, .bytes = 2147, .bytes_min = 2147, .bytes_max = 2147, .app_bytes = 1752,
				  .delta_bytes = 2147, .basis = FACTS_BASIS_ACK};
	f.down = (struct facts_dir){.packets = 11, .wire_bytes = 6120, .bytes = 5466, .bytes_min = 5466, .bytes_max = 5497, .unacked_bytes = 31,
				    .app_bytes = 412, .delta_bytes = 5466, .basis = FACTS_BASIS_ACK};
	return f;
}

TELL_FN struct owner tell_owner(void)
{
	return (struct owner){
		.outcome = OWNER_ATTRIBUTED, .grade = 'A',
		.process = {.principal = 1, .name = "powershell.exe", .original_name = "PowerShell.EXE", .path = "c:\\windows\\powershell.exe",
			    .command_line = "powershell.exe -File x.ps1", .user = "employee", .device = "ws-0417", .start_ns = tell_t0_ns - 1000000000,
			    .pid = 4188, .parent_name = "cmd.exe", .parent_pid = 3312},
		.evidence = {{.source = "mde", .id = "DeviceNetworkEvents:1008:1", .key = "5tuple", .delta_ms = 388.0, .corrected_ms = 0.1}},
		.n_evidence = 1,
	};
}

TELL_FN struct verdict tell_verdict(const struct flow_facts *facts)
{
	struct verdict v = {.facts = facts, .version = 1, .has_destination = true, .direction = VERDICT_UPLOAD, .initiator = tell_owner()};
	v.destination = (struct catalogue_match){.row = &tell_blob, .account = "sacyberrangedanger"};
	return v;
}

TELL_FN struct finding tell_finding(const struct verdict *v)
{
	struct finding f = {
		.id = "2f103d32d513c408", .version = 1, .verdict = "upload_by_process", .rules = {1003, 1002}, .n_rules = 2,
		.title = "Archive created, then uploaded to cloud storage", .severity = 1,
		.sentence = "powershell.exe (pid 4188, employee) on ws-0417 sent 1,752 bytes", .reasons = {"1003: an archive", "1002: a script host"},
		.n_reasons = 2, .techniques = {"T1567.002", "T1560.001"}, .n_techniques = 2, .tactics = {"TA0010"}, .n_tactics = 1,
		.first_ns = v->facts->start_ns, .last_ns = v->facts->end_ns, .flows = {v->facts->flow_id}, .n_flows = 1, .n_flows_total = 1,
		.timeline = {{v->facts->start_ns - 1500000000, "file_created", "7z.exe created x.zip"},
			     {v->facts->start_ns, "connect", "connect to 20.60.133.132:443"},
			     {v->facts->end_ns, "upload", "1,752 bytes sent"}},
		.n_timeline = 3, .bytes = 2147, .app_bytes = 1752, .app_known = true, .flow = v, .up = v->facts->up, .down = v->facts->down,
	};
	return f;
}

/* Every text of the flow, its owner and the finding replaced by one that attacks. */
TELL_FN void tell_hostile_facts(struct flow_facts *f)
{
	f->name = f->sni = f->connect_host = f->ndpi_protocol = f->ndpi_name = f->alpn = TELL_HOSTILE;
	f->name_candidates[0] = TELL_HOSTILE;
	f->n_name_candidates = 1;
}

TELL_FN void tell_hostile_verdict(struct verdict *v)
{
	struct owner_process *p = &v->initiator.process;
	p->name = p->original_name = p->path = p->command_line = p->user = p->device = p->sha256 = p->parent_name = TELL_HOSTILE;
	v->initiator.evidence[0].id = TELL_HOSTILE;
	snprintf(v->destination.account, sizeof v->destination.account, "%s", TELL_HOSTILE);
	v->explanation = TELL_HOSTILE;
}

TELL_FN void tell_hostile_finding(struct finding *f)
{
	f->sentence = f->reasons[0] = f->timeline[0].text = TELL_HOSTILE;
}

/* The whole of a file, terminated; the caller frees. */
TELL_FN char *tell_read(const char *path, size_t *ret_n)
{
	FILE *in = fopen(path, "rb");
	char *text = NULL;
	size_t n = 0, size = 0;
	while (in) {
		if (size - n < 65536)
			text = realloc(text, size = size ? 2 * size : 1 << 17);
		size_t got = text ? fread(text + n, 1, size - n - 1, in) : 0;
		n += got;
		if (!got)
			break;
	}
	if (in)
		fclose(in);
	if (text)
		text[n] = '\0';
	*ret_n = n;
	return text;
}

/* No byte that a terminal or a reader of lines would obey. */
TELL_FN bool tell_is_tame(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		if ((c < 0x20 && c != '\n') || c == 0x7f)
			return false;
	}
	return !strstr(text, "\xc2\x9b") && !strstr(text, "\xe2\x80\xae") && !strstr(text, "\xe2\x80\x8b") && !memchr(text, 0xff, n);
}

#endif
