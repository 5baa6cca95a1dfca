#include "detect/attrib/proctab.h"

#include <string.h>
#include <strings.h>

#include "detect/attrib/attrib.h"
#include "detect/attrib/proctab_parts.h"

uint64_t proctab_principal(const struct proctab *pt, uint64_t handle)
{
	const struct process *p = proctab_resolve(pt, handle);
	return p ? p->principal : 0;
}

uint64_t proctab_by_principal(const struct proctab *pt, uint64_t principal)
{
	for (uint32_t i = *proctab_principal_chain(pt, principal); i; i = pt->slots[i].next_principal)
		if (pt->slots[i].principal == principal)
			return proctab_handle(pt, i);
	return 0;
}

uint64_t proctab_end_us(const struct proctab *pt, uint64_t handle)
{
	const struct process *p = proctab_resolve(pt, handle);
	return p ? p->end_us : 0;
}

uint32_t proctab_device(const struct proctab *pt, uint64_t handle)
{
	const struct process *p = proctab_resolve(pt, handle);
	return p ? p->device : 0;
}

bool proctab_has_uid(const struct proctab *pt, uint64_t handle)
{
	const struct process *p = proctab_resolve(pt, handle);
	return p && (p->uid[0] || p->uid[1] || p->uid[2]);
}

static const struct process *parent_of(const struct proctab *pt, const struct process *p)
{
	const struct process *parent = proctab_find_uid(pt, p->parent_source, p->parent_uid);
	unsigned steps = 0;
	if (parent || !p->parent_pid)
		return parent;
	uint64_t before = p->start_us ? p->start_us : p->first_us;
	for (uint32_t i = *proctab_pid_chain(pt, p->device, p->parent_pid); i && steps < MAX_CHAIN; i = pt->slots[i].next_pid, steps++) {
		const struct process *q = &pt->slots[i];
		if (q->merged || q->device != p->device || q->pid != p->parent_pid)
			continue;
		if (p->parent_start_us && q->start_us ? proctab_apart_us(p->parent_start_us, q->start_us) > SAME_START_US
						      : !proctab_alive_at(q, before))
			continue;
		if (!parent || q->start_us > parent->start_us || (q->start_us == parent->start_us && q < parent))
			parent = q;
	}
	return parent == p ? NULL : parent;
}

static bool above(const struct proctab *pt, const struct process *upper, const struct process *lower)
{
	for (int i = 0; i < MAX_UP && lower; i++) {
		lower = parent_of(pt, lower);
		if (lower == upper)
			return true;
	}
	return false;
}

static bool named(const char *name, const char *const *list)
{
	for (; name && *list; list++)
		if (!strcasecmp(name, *list))
			return true;
	return false;
}

/* What starts everything a user or the system does: to have it for a parent makes nobody kin. */
static bool is_hub(const char *name)
{
	static const char *const hubs[] = {
		"explorer.exe", "services.exe", "svchost.exe", "sihost.exe", "taskhostw.exe", "taskhost.exe", "taskeng.exe",
		"userinit.exe", "winlogon.exe", "wininit.exe", "lsass.exe", "smss.exe", "csrss.exe", "runtimebroker.exe",
		"wmiprvse.exe", "dllhost.exe", "system", "registry", "windowsterminal.exe", "conhost.exe", "openconsole.exe",
		"systemd", "init", "launchd", "sshd", "login", "gnome-shell", "kthreadd", NULL};
	return named(name, hubs);
}

static bool is_shell(const char *name)
{
	static const char *const shells[] = {"cmd.exe", "powershell.exe", "pwsh.exe", "bash.exe", "wsl.exe", "pwsh", "bash", "sh",
					     "dash", "zsh", "fish", "ksh", NULL};
	return named(name, shells);
}

/* A shell's command line that names something to run: a word behind the program's own that is no option. */
static bool runs_script(const char *line)
{
	if (!line)
		return false;
	line += *line == '"' ? 1 + strcspn(line + 1, "\"") : strcspn(line, " \t");
	line += *line == '"';
	for (;;) {
		line += strspn(line, " \t\"");
		if (!*line)
			return false;
		if ((*line != '-' && *line != '/') || !strncasecmp(line, "-c", 2) || !strncasecmp(line, "/c", 2))
			return true;
		line += strcspn(line, " \t");
	}
}

/* Told of the same parent, though nobody has told of the parent itself. */
static bool same_parent_told(const struct process *a, const struct process *b)
{
	if (a->parent_uid && b->parent_uid && a->parent_source == b->parent_source)
		return a->parent_uid == b->parent_uid;
	return a->parent_pid && a->parent_pid == b->parent_pid && a->parent_start_us && b->parent_start_us &&
	       proctab_apart_us(a->parent_start_us, b->parent_start_us) <= SAME_START_US;
}

/* Children of one script or program. A shell in which somebody types, the desktop and the service manager start things that have
 * nothing to do with each other; a parent without a name may be one of those. */
static bool are_siblings(const struct proctab *pt, const struct process *a, const struct process *b)
{
	const struct process *pa = parent_of(pt, a), *pb = parent_of(pt, b);
	if (pa || pb ? pa != pb : !same_parent_told(a, b))
		return false;
	const char *name = pa && pa->text[NAME] ? pa->text[NAME] : a->text[PARENT_NAME] ? a->text[PARENT_NAME] : b->text[PARENT_NAME];
	if (!name || is_hub(name))
		return false;
	return !is_shell(name) || (pa && runs_script(pa->text[COMMAND]));
}

int proctab_relation(const struct proctab *pt, uint64_t asked, uint64_t maker)
{
	const struct process *a = proctab_resolve(pt, asked), *m = proctab_resolve(pt, maker);
	if (!a || !m || a->device != m->device)
		return -1;
	if (a == m)
		return ATTRIB_SAME;
	if (above(pt, a, m))
		return ATTRIB_CHILD;
	if (above(pt, m, a))
		return ATTRIB_PARENT;
	return are_siblings(pt, a, m) ? ATTRIB_SIBLING : -1;
}

bool proctab_owner(const struct proctab *pt, uint64_t handle, const char *device, struct owner_process *ret)
{
	const struct process *p = proctab_resolve(pt, handle);
	if (!p)
		return false;
	const struct process *parent = parent_of(pt, p);
	*ret = (struct owner_process){
		.principal = p->principal,
		.name = p->text[NAME],
		.original_name = p->text[ORIGINAL],
		.path = p->text[PATH],
		.command_line = p->text[COMMAND],
		.user = p->text[USER],
		.device = device,
		.sha256 = p->text[SHA256],
		.start_ns = p->start_us * 1000,
		.pid = p->pid,
		.parent_name = parent && parent->text[NAME] ? parent->text[NAME] : p->text[PARENT_NAME],
		.parent_pid = parent && parent->pid ? parent->pid : p->parent_pid,
		.parent_principal = parent ? parent->principal : 0,
	};
	return true;
}

size_t proctab_count(const struct proctab *pt)
{
	return pt->live;
}

uint64_t proctab_evicted(const struct proctab *pt)
{
	return pt->evicted;
}

size_t proctab_bytes(const struct proctab *pt)
{
	return pt->size * sizeof *pt->slots + pt->n_chains * (2 + UIDS) * sizeof *pt->by_pid + pt->text_bytes;
}

static int compare_slices(struct slice a, struct slice b)
{
	int order = memcmp(a.n ? a.p : (const uint8_t *)"", b.n ? b.p : (const uint8_t *)"", a.n < b.n ? a.n : b.n);
	return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* How surely a sighting names an instance: start and uid, then uid, then start, then neither. */
static int strength(const struct proctab_sighting *s)
{
	bool start = s->start_us || proctab_guid_start_us(s->uid);
	return (start ? 0 : 2) + (s->uid.n ? 0 : 1) + (s->pid ? 0 : 4);
}

int proctab_before(const struct proctab_sighting *a, const struct proctab_sighting *b)
{
	int order = strength(a) - strength(b);
	order = order ? order : (int)b->rank - (int)a->rank;
	order = order ? order : compare_numbers(a->device, b->device);
	order = order ? order : compare_numbers(a->start_us, b->start_us);
	order = order ? order : compare_numbers(a->time_us, b->time_us);
	order = order ? order : compare_numbers(a->pid, b->pid);
	order = order ? order : (int)a->source - (int)b->source;
	order = order ? order : compare_slices(a->uid, b->uid);
	order = order ? order : compare_slices(a->path, b->path);
	order = order ? order : compare_slices(a->name, b->name);
	order = order ? order : compare_slices(a->command_line, b->command_line);
	order = order ? order : compare_slices(a->user, b->user);
	order = order ? order : compare_numbers(a->end_us, b->end_us);
	order = order ? order : compare_slices(a->parent_uid, b->parent_uid);
	return order ? order : compare_slices(a->parent_name, b->parent_name);
}
