#include "detect/destination.h"

#include <stdio.h>
#include <string.h>

#include "detect/prefix.h"
#include "detect/protocol.h"
#include "detect/rule.h"
#include "detect/sentence.h"

static int gravity(uint8_t role)
{
	static const uint8_t order[CATALOGUE_ROLE_COUNT] = {[CATALOGUE_UPLOAD] = 5,
							    [CATALOGUE_WEB] = 4,
							    [CATALOGUE_API] = 3,
							    [CATALOGUE_DOWNLOAD] = 2,
							    [CATALOGUE_INGRESS] = 1};
	return order[role];
}

/* All names that fit one address: the gravest row of their one service. */
static bool find_all(const struct catalogue *c, const struct flow_facts *f, struct catalogue_match *ret)
{
	struct catalogue_match best = {0};
	for (size_t i = 0; i < f->n_name_candidates; i++) {
		struct catalogue_match m;
		if (!catalogue_find(c, f->name_candidates[i], &m))
			return false;
		if (!best.row) {
			best = m;
			continue;
		}
		bool telemetry = m.row->role == CATALOGUE_TELEMETRY || best.row->role == CATALOGUE_TELEMETRY;
		if (strcmp(best.row->service, m.row->service) && !telemetry)
			return false;
		if (strcmp(best.account, m.account))
			best.account[0] = m.account[0] = '\0';
		m.sanctioned = best.sanctioned = m.sanctioned && best.sanctioned;
		if (gravity(m.row->role) > gravity(best.row->role))
			best = m;
	}
	*ret = best;
	return best.row != NULL;
}

static void by_address(const struct catalogue *c, const struct flow_facts *f, struct verdict *ret)
{
	const struct catalogue_row *row = catalogue_find_ip(c, &f->dst);
	if (!row)
		return;
	ret->has_destination = ret->by_address = true;
	ret->destination.row = row;
}

/* Of names that the client itself sent. Behind a proxy, and inside, the address says nothing. */
static bool misplaced(const struct catalogue *c, const struct flow_facts *f, const struct verdict *v)
{
	bool sent = f->name_source == FACTS_NAME_TLS_SNI || f->name_source == FACTS_NAME_QUIC_SNI;
	return sent && v->has_destination && f->n_name_candidates <= 1 && !f->connect_host && !prefix_internal(&f->dst) &&
	       catalogue_elsewhere(c, v->destination.row, &f->dst);
}

void destination_classify(const struct catalogue *c, const struct flow_facts *f, struct verdict *ret)
{
	const char *name = f->name_source == FACTS_NAME_ECH_OUTER ? NULL : f->name;
	if (name && f->n_name_candidates > 1)
		ret->has_destination = find_all(c, f, &ret->destination);
	else if (name)
		ret->has_destination = catalogue_find(c, name, &ret->destination);
	else if (!f->name)
		by_address(c, f, ret);
	ret->sni_ip_mismatch = misplaced(c, f, ret);
	if (name && !ret->has_destination)
		ret->destination.sanctioned =
		    f->n_name_candidates <= 1 && catalogue_sanctioned(c, name, NULL);
	if (catalogue_sanctioned(c, NULL, &f->dst))
		ret->destination.sanctioned = true;
}

/* The name on the row, and not a listed tool under that name. */
static bool expected(const struct catalogue_row *row, const struct owner_process *p)
{
	return catalogue_expects(row, p->name) && !(p->original_name && rule_is_lolbin(p));
}

static bool any_expected(const struct catalogue_row *row, const struct owner *o)
{
	for (size_t i = 0; i < o->n_candidates; i++)
		if (expected(row, &o->candidates[i]))
			return true;
	return false;
}

/* Whether a telemetry row explains this owner's flow; judge.h has the rule. */
static bool excused(const struct catalogue_row *row, const struct owner *o)
{
	if (!*row->processes)
		return true;
	if (o->outcome == OWNER_ATTRIBUTED && o->process.name)
		return expected(row, &o->process);
	if (o->outcome == OWNER_AMBIGUOUS && o->n_candidates)
		return any_expected(row, o);
	return !row->wildcard;
}

static void tell_excuse(const struct verdict *v, char text[DESTINATION_TEXT])
{
	const struct catalogue_row *row = v->destination.row;
	const struct owner *o = &v->initiator;
	char addr[SENTENCE_WORD];
	bool sure = o->outcome == OWNER_ATTRIBUTED && o->process.name;
	snprintf(text, DESTINATION_TEXT, "telemetry: %.80s to %.200s, catalogue row %s (%s)%s%s",
		 sure ? o->process.name : "an owner that is not known for certain",
		 v->facts->name ? v->facts->name : sentence_address(addr, &v->facts->dst, false),
		 row->pattern, row->verified, sure || !*row->processes ? "" : ", which expects ",
		 sure ? "" : row->processes);
}

static enum destination_use unexpected(const struct catalogue *c, struct verdict *v,
				       char text[DESTINATION_TEXT])
{
	const struct catalogue_row *row = v->destination.row;
	const char *process = v->initiator.outcome == OWNER_ATTRIBUTED ? v->initiator.process.name : NULL;
	v->has_destination = v->facts->name && catalogue_find_parent(c, v->facts->name, &v->destination);
	if (!v->has_destination)
		v->destination = (struct catalogue_match){0};
	snprintf(text, DESTINATION_TEXT, "catalogue row %s (%s) explains %s, not %.80s: judged as %s",
		 row->pattern, row->title, row->processes, process ? process : "an unknown process",
		 v->has_destination ? v->destination.row->title : "an unknown destination");
	if (v->destination.sanctioned)
		return DESTINATION_SUPPRESSED;
	return v->has_destination && v->destination.row->role > CATALOGUE_WEB ? DESTINATION_IGNORED
									      : DESTINATION_COUNTS;
}

/* A public address, or a name that the client itself sent. Names from DNS of inside hosts are inside. */
static bool outside(const struct flow_facts *f)
{
	bool sent =
	    f->name && f->name_source >= FACTS_NAME_TLS_SNI && f->name_source <= FACTS_NAME_CONNECT_HOST;
	return sent || !prefix_internal(&f->dst) || protocol_of(f) == PROTOCOL_SMB;
}

enum destination_use destination_use(const struct catalogue *c, struct verdict *v,
				     char text[DESTINATION_TEXT])
{
	const struct catalogue_row *row = v->destination.row;
	text[0] = '\0';
	if (v->destination.sanctioned) {
		const char *account = v->destination.account;
		snprintf(text, DESTINATION_TEXT, "sanctioned: %s%s%.128s is on the operator's list",
			 row ? row->title : "this host", row && *account ? " account " : "",
			 row ? account : "");
		return DESTINATION_SUPPRESSED;
	}
	if (!v->has_destination)
		return outside(v->facts) ? DESTINATION_COUNTS : DESTINATION_IGNORED;
	if (row->role == CATALOGUE_TELEMETRY) {
		if (!excused(row, &v->initiator))
			return unexpected(c, v, text);
		tell_excuse(v, text);
		return DESTINATION_SUPPRESSED;
	}
	if (row->role == CATALOGUE_UPLOAD || row->role == CATALOGUE_WEB)
		return DESTINATION_COUNTS;
	if (v->direction == VERDICT_UPLOAD)
		snprintf(text, DESTINATION_TEXT,
			 "%s: hosts of this role take no files, catalogue row %s (%s)",
			 catalogue_role_names[row->role], row->pattern, row->verified);
	return row->role == CATALOGUE_DOWNLOAD ? DESTINATION_DOWNLOADS : DESTINATION_IGNORED;
}

enum destination_use destination_use_answered(const struct catalogue *c, struct verdict *v)
{
	v->has_destination = v->by_address = false;
	v->destination = (struct catalogue_match){0};
	v->explanation = NULL;
	bool counts = !prefix_internal(&v->facts->src) && !catalogue_sanctioned(c, NULL, &v->facts->src);
	return counts ? DESTINATION_COUNTS : DESTINATION_IGNORED;
}
