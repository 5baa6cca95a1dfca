/* Why a finding says what it says, and what it could be missing: see detect/sentence.h. */
#include "detect/sentence.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "detect/part.h"

static void add(struct finding *f, const char *text)
{
	if (f->n_reasons < FINDING_MAX_REASONS && *text)
		f->reasons[f->n_reasons++] = text;
}

static void rules_fired(struct sentence *s, const struct draft *d, struct finding *f)
{
	for (size_t i = 0; i < d->n_hits; i++) {
		char text[RULE_REASON_SIZE];
		d->hits[i].rule->explain(&d->hits[i], text);
		add(f, sentence_add(s, "%s", text));
	}
}

static const char *cause_text(uint8_t cause)
{
	static const char *const texts[OWNER_CAUSE_COUNT] = {
	    [OWNER_CAUSE_NO_EVENT] = "the device reports, but no event is of this connection",
	    [OWNER_CAUSE_ENDPOINT_SILENT] = "the device reported nothing at all around that time",
	    [OWNER_CAUSE_CONNECT_BEFORE_CAPTURE] = "the connection is older than the capture",
	    [OWNER_CAUSE_NAT_OR_PROXY] = "an address translator or proxy stands between",
	    [OWNER_CAUSE_LATE] = "endpoint events of that time may still arrive",
	    [OWNER_CAUSE_NOT_JOINED] = "the flow was not joined (--join matter)",
	    [OWNER_CAUSE_NO_ENDPOINT_INPUT] = "no endpoint events were given",
	    [OWNER_CAUSE_UNCALIBRATED] = "the endpoint's clock could not be calibrated",
	    [OWNER_CAUSE_TIME_APART] = "event and connection are more than 2 s apart",
	    [OWNER_CAUSE_NO_REMOTE] = "the event does not name this remote address",
	    [OWNER_CAUSE_AGGREGATED] = "an aggregated report, which names no local port",
	    [OWNER_CAUSE_INFERRED] = "inferred from the device's other connections to this destination",
	    [OWNER_CAUSE_RIVALS] = "several processes hold the same evidence",
	};
	return cause < OWNER_CAUSE_COUNT && texts[cause] ? texts[cause] : "";
}

static const char *grade_text(char grade)
{
	switch (grade) {
	case 'A':
		return "the same 5-tuple, calibrated clocks, within 2 s, one process";
	case 'B':
		return "the same 5-tuple, one process, weaker evidence of time";
	case 'C':
		return "not the same 5-tuple; only one process is possible";
	case 'D':
		return "several processes are possible and none is charged";
	default:
		return "no process is known";
	}
}

static void ownership(struct sentence *s, const struct part *p, struct finding *f)
{
	const struct keep_owner *o = part_owner(p);
	const char *why = cause_text(o->cause);
	add(f, sentence_add(s, "grade %c: %s%s%s", o->grade ? o->grade : 'U', grade_text(o->grade),
			    *why ? "; " : "", why));
	for (size_t i = 0; i < o->n_evidence && i < 2; i++) {
		const struct owner_evidence *e = &o->evidence[i];
		add(f, sentence_add(s,
				    "evidence: %.16s event %.64s by %.16s, %+.1f ms from the connect as "
				    "written, %+.1f ms corrected",
				    e->source ? e->source : "endpoint", e->id ? e->id : "without id",
				    e->key ? e->key : "unknown key", e->delta_ms, e->corrected_ms));
	}
	if (o->rivals)
		add(f, sentence_add(s, "%u other process%s with the same evidence", o->rivals,
				    o->rivals == 1 ? "" : "es"));
	for (size_t i = 0; i < o->n_candidates && i < 4; i++)
		add(f, sentence_add(s, "candidate: %s", sentence_process(s, &o->candidates[i], 'D')));
}

static void grades_of_all(struct sentence *s, const struct draft *d, struct finding *f)
{
	size_t n[256] = {0};
	for (size_t i = 0; i < d->n_parts; i++)
		n[(unsigned char)part_owner(d->parts[i])->grade]++;
	if (d->n_parts > 1 && n[(unsigned char)part_owner(d->hits[0].part)->grade] < d->n_parts)
		add(f, sentence_add(s, "grades of its %zu flows: A %zu, B %zu, C %zu, D %zu, U %zu",
				    d->n_parts, n['A'], n['B'], n['C'], n['D'], n['U']));
}

static void destination(struct sentence *s, const struct part *p, struct finding *f)
{
	const struct keep *v = p->keep;
	const struct flow_facts *facts = &v->facts;
	if (v->by_address)
		add(f, sentence_add(s,
				    "the destination is known by address only: %s is a range of %s, whose "
				    "account is unknown",
				    v->destination.row->pattern, v->destination.row->title));
	else if (v->has_destination)
		add(f,
		    sentence_add(s, "destination by %s %.253s, catalogue row %s (%s)",
				 facts_name_source_names[facts->name_source], facts->name ? facts->name : "",
				 v->destination.row->pattern, v->destination.row->verified));
	else if (facts->name && p->side == ATTRIB_INITIATOR)
		add(f, sentence_add(s, "no row of the catalogue knows %.253s (%s)", facts->name,
				    facts_name_source_names[facts->name_source]));
	if (v->explanation)
		add(f, v->explanation);
	if (facts->n_name_candidates > 1)
		add(f, sentence_add(s, "%zu names fit the address, %.128s and %.128s among them",
				    facts->n_name_candidates, facts->name_candidates[0],
				    facts->name_candidates[1]));
}

static uint32_t all_flags(const struct draft *d)
{
	uint32_t flags = 0;
	for (size_t i = 0; i < d->n_parts; i++)
		flags |= d->parts[i]->keep->facts.flags;
	return flags;
}

static void layers(struct sentence *s, const struct draft *d, struct finding *f)
{
	static const char *const basis_texts[] = {
	    [FACTS_BASIS_ACK] = "acknowledged by the receiver",
	    [FACTS_BASIS_ACK_ONLY] = "by the receiver's acknowledgements alone, the sender was not seen",
	    [FACTS_BASIS_SEQ_ONLY] = "as sent, the receiver was not seen",
	    [FACTS_BASIS_UDP_PAYLOAD] = "of UDP datagrams, encryption and handshake included"};
	char n[SENTENCE_WORD], lo[SENTENCE_WORD], hi[SENTENCE_WORD];
	const struct part *p = d->hits[0].part;
	bool answered = p->side == ATTRIB_RESPONDER;
	const struct facts_dir *out = answered ? &f->down : &f->up;
	uint8_t basis = answered ? p->keep->facts.down.basis : p->keep->facts.up.basis;
	add(f, sentence_add(s, "%s bytes of payload, %s", sentence_count(n, f->bytes),
			    basis <= FACTS_BASIS_UDP_PAYLOAD ? basis_texts[basis] : "counted"));
	if (out->bytes_min != out->bytes_max)
		add(f, sentence_add(s, "between %s and %s bytes of payload are possible",
				    sentence_count(lo, out->bytes_min), sentence_count(hi, out->bytes_max)));
	if (!f->app_known)
		add(f, f->up.app_bytes || f->down.app_bytes
			   ? "application bytes could not be followed throughout: payload includes "
			     "handshakes and framing"
			   : "application bytes are unknown: payload includes handshakes and framing");
}

static void caveats(struct sentence *s, const struct draft *d, struct finding *f)
{
	static const struct {
		uint32_t flag;
		const char *text;
	} texts[] = {
	    {FACTS_MIDSTREAM,
	     "the capture began in the middle of a connection: earlier bytes are not counted"},
	    {FACTS_ONE_SIDED, "only one direction of a connection was seen"},
	    {FACTS_UNCERTAIN, "byte counts are uncertain"},
	    {FACTS_APP_ESTIMATED, "application bytes are estimated"},
	    {FACTS_SNI_AMBIGUOUS, "two hellos of one connection disagree about the name"},
	    {FACTS_ECH,
	     "the hello carries ECH, as most browsers' do: the name that was read may be an outer one"},
	    {FACTS_TUNNEL, "seen inside a tunnel"},
	};
	char n[SENTENCE_WORD];
	const struct facts_dir *out = d->hits[0].part->side == ATTRIB_RESPONDER ? &f->down : &f->up;
	uint32_t flags = all_flags(d);
	if (out->gap_bytes)
		add(f, sentence_add(s, "%s of these bytes were acknowledged but not captured",
				    sentence_count(n, out->gap_bytes)));
	if (out->unacked_bytes)
		add(f, sentence_add(s, "%s more bytes were sent and not acknowledged",
				    sentence_count(n, out->unacked_bytes)));
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		if (flags & texts[i].flag)
			add(f, texts[i].text);
}

void sentence_reasons(struct sentence *s, const struct telling *t, struct finding *f)
{
	const struct draft *d = t->draft;
	const struct part *p = d->hits[0].part;
	rules_fired(s, d, f);
	ownership(s, p, f);
	grades_of_all(s, d, f);
	destination(s, p, f);
	layers(s, d, f);
	caveats(s, d, f);
}
