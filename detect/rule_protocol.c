/* 1006: an upload over a protocol that is not the web's: FTP, SMTP, SSH and what runs over it, WebDAV; SMB to
 * a host that this device had never spoken SMB to. */
#include "detect/rule.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "detect/prefix.h"
#include "detect/protocol.h"

static bool wanted(const struct rule_view *view, const struct part *p)
{
	const struct flow_facts *f = &p->keep->facts;
	enum protocol protocol = protocol_of(f);
	if (protocol == PROTOCOL_OTHER || p->direction != VERDICT_UPLOAD)
		return false;
	if (protocol != PROTOCOL_SMB)
		return true;
	const struct facts_addr *peer = p->side == ATTRIB_RESPONDER ? &f->src : &f->dst;
	return !prefix_internal(peer) ||
	       peers_first_ns(view->peers, f) - view->begin_ns >= view->limits->protocol_baseline_ns;
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	*ret_hit = (struct rule_hit){0};
	for (size_t i = 0; i < ep->n; i++) {
		supports[i] = wanted(view, ep->parts[i]);
		ret_hit->count += supports[i];
		ret_hit->bytes += supports[i] ? ep->parts[i]->out_bytes : 0;
	}
	ret_hit->part = rule_largest(ep, supports);
	return ret_hit->bytes >= view->limits->protocol_bytes;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	char size[32];
	enum protocol protocol = protocol_of(&hit->part->keep->facts);
	snprintf(ret_text, RULE_REASON_SIZE, "1006: %s of payload went out over %s%s",
		 rule_size_text(size, hit->bytes), protocol_names[protocol],
		 protocol == PROTOCOL_SMB ? " to a host not seen before" : "");
}

const struct rule rule_protocol = {.id = RULE_PROTOCOL,
				   .severity = 2,
				   .title = "Upload over another protocol",
				   .technique = "T1048",
				   .fires = fires,
				   .explain = explain};
