/* 1002: a script host or a living-off-the-land binary uploads. */
#include "detect/rule.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "detect/part.h"

static const char *const binaries[] = {
    "powershell", "pwsh",        "cmd",      "wscript",   "cscript", "mshta", "rundll32", "regsvr32",
    "msbuild",    "installutil", "certutil", "bitsadmin", "curl",    "wget",  "python",   "node",
    "rclone",     "azcopy",      "winscp",   "ftp",       "7z",      "rar"};

static bool ends(const char *s, size_t n, const char *tail)
{
	size_t t = strlen(tail);
	return n > t && !strncasecmp(s + n - t, tail, t);
}

/* Without what version resources and platforms put behind a name: "Cmd.Exe.MUI", "pwsh.dll". */
static size_t stem_length(const char *name)
{
	static const char *const tails[] = {".mui", ".exe", ".dll"};
	size_t n = strlen(name);
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++)
		if (ends(name, n, tails[i]))
			n -= strlen(tails[i]);
	return n;
}

static bool listed(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++)
		if (strlen(binaries[i]) == n && !strncasecmp(binaries[i], name, n))
			return true;
	return false;
}

static bool name_listed(const char *name)
{
	size_t n = stem_length(name);
	if (listed(name, n))
		return true;
	while (n && ((name[n - 1] >= '0' && name[n - 1] <= '9') || name[n - 1] == '.')) /* python3.11 */
		n--;
	return n == 6 && listed(name, n) && !strncasecmp(name, "python", n);
}

bool rule_is_lolbin(const struct owner_process *p)
{
	if (p->original_name && *p->original_name && strcmp(p->original_name, "-") &&
	    strcmp(p->original_name, "?"))
		return name_listed(p->original_name);
	return p->name && name_listed(p->name);
}

static bool wanted(const struct rule_view *view, const struct part *p)
{
	const struct keep *v = p->keep;
	const struct keep_owner *o = part_owner(p);
	return p->known && !v->by_address && v->destination.row->role == CATALOGUE_UPLOAD &&
	       p->direction == VERDICT_UPLOAD && p->out_app >= view->limits->lol_min_app_bytes &&
	       o->outcome == OWNER_ATTRIBUTED && rule_is_lolbin(&o->process);
}

static bool fires(const struct rule_view *view, const struct episode *ep, bool *supports,
		  struct rule_hit *ret_hit)
{
	*ret_hit = (struct rule_hit){0};
	for (size_t i = 0; i < ep->n; i++) {
		supports[i] = wanted(view, ep->parts[i]);
		ret_hit->count += supports[i];
		ret_hit->bytes += supports[i] ? ep->parts[i]->out_app : 0;
	}
	ret_hit->part = rule_largest(ep, supports);
	return ret_hit->part != NULL;
}

static void explain(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE])
{
	const struct owner_process *p = &part_owner(hit->part)->process;
	bool renamed = p->original_name && p->name && strcasecmp(p->original_name, p->name);
	snprintf(
	    ret_text, RULE_REASON_SIZE,
	    "1002: %.80s%s%.80s%s is a script host or living-off-the-land binary and this host takes uploads",
	    p->name ? p->name : "the process", renamed ? " (original name " : "",
	    renamed ? p->original_name : "", renamed ? ")" : "");
}

const struct rule rule_lolbin = {.id = RULE_LOLBIN,
				 .severity = 2,
				 .title =
				     "Script host or living-off-the-land binary uploads to cloud storage",
				 .technique = "",
				 .fires = fires,
				 .explain = explain};
