#include "detect/attrib/evlog.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/base/hash.h"

static_assert(sizeof(struct evlog_row) == 72, "a million rows must stay below 100 MB");

enum { MAX_ARCHIVES = 65536, MAX_COMMAND = 8192 };

#define TEXT_BYTES ((size_t)512 << 20)

int evlog_init(struct evlog *log, size_t max_notes)
{
	*log = (struct evlog){.max_notes = max_notes, .text = intern_new(TEXT_BYTES), .ids = intern_new(TEXT_BYTES)};
	if (log->text && log->ids)
		return 0;
	evlog_done(log);
	return -ENOMEM;
}

void evlog_done(struct evlog *log)
{
	free(log->rows);
	free(log->notes);
	free(log->archives);
	free(log->addrs);
	free(log->note_slots);
	free(log->addr_slots);
	intern_free(log->text);
	intern_free(log->ids);
	*log = (struct evlog){0};
}

/* Room for one more; the array grows by half. */
static bool room(void **array, size_t *size, size_t n, size_t one)
{
	if (n < *size)
		return true;
	size_t grown = *size ? *size + *size / 2 : 256;
	void *p = realloc(*array, grown * one);
	if (!p)
		return false;
	*array = p;
	*size = grown;
	return true;
}

/* ---- what an event tells ---- */

bool evlog_joinable(const struct procevent *ev)
{
	bool remote = ev->remote.family && ev->remote.port;
	switch (ev->kind) {
	case PROCEVENT_CONNECT:
	case PROCEVENT_ACCEPT:
	case PROCEVENT_FOUND:
	case PROCEVENT_INSPECT:
		return ev->local.family && ev->local.port && (remote || !ev->remote.family);
	case PROCEVENT_AGGREGATED:
		return ev->local.family && remote;
	}
	return false;
}

static uint8_t rank_of(const struct procevent *ev)
{
	if (ev->kind == PROCEVENT_PROC_START)
		return PROCTAB_START;
	if (ev->source == PROCEVENT_SOURCE_SECURITY)
		return PROCTAB_PATH_ONLY;
	return ev->kind == PROCEVENT_CONNECT || ev->kind == PROCEVENT_ACCEPT ? PROCTAB_CONNECTION : PROCTAB_ACTOR;
}

bool evlog_sighting(const struct procevent *ev, uint32_t device, struct proctab_sighting *ret)
{
	const struct procevent_process *p = &ev->process;
	if (ev->kind == PROCEVENT_INSPECT || (!p->uid.n && !p->pid && !p->name.n && !p->path.n))
		return false;
	*ret = (struct proctab_sighting){
		.device = device,
		.pid = p->pid,
		.source = ev->source,
		.rank = rank_of(ev),
		.clock = ev->clock,
		.time_us = ev->time_ns / 1000,
		.start_us = p->start_ns / 1000,
		.end_us = ev->kind == PROCEVENT_PROC_END ? ev->time_ns / 1000 : 0,
		.uid = p->uid,
		.name = p->name,
		.path = p->path,
		.original_name = p->original_name,
		.command_line = p->command_line,
		.user = ev->user,
		.sha256 = p->sha256,
		.parent_pid = ev->parent.pid,
		.parent_start_us = ev->parent.start_ns / 1000,
		.parent_uid = ev->parent.uid,
		.parent_name = ev->parent.name,
	};
	if (ev->kind == PROCEVENT_PROC_START && !ret->start_us)
		ret->start_us = ret->time_us;
	return true;
}

static bool ends_with(struct slice s, const char *tail)
{
	size_t n = strlen(tail);
	return s.n >= n && strncasecmp((const char *)s.p + s.n - n, tail, n) == 0;
}

static bool archive_name(struct slice path)
{
	static const char *const tails[] = {".zip", ".7z", ".rar", ".tar", ".gz", ".cab"};
	for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++)
		if (ends_with(path, tails[i]))
			return true;
	return false;
}

static struct slice without_folder(struct slice path)
{
	for (size_t i = path.n; i-- > 0;)
		if (path.p[i] == '\\' || path.p[i] == '/')
			return (struct slice){path.p + i + 1, path.n - i - 1};
	return path;
}

/* The first word of a command line that names an archive, quotes taken off. */
static struct slice archive_word(struct slice line)
{
	size_t i = 0;
	while (i < line.n) {
		uint8_t quote = line.p[i] == '"' || line.p[i] == '\'' ? line.p[i] : 0;
		size_t from = i += quote != 0;
		while (i < line.n && (quote ? line.p[i] != quote : line.p[i] != ' ' && line.p[i] != '\t'))
			i++;
		struct slice word = {line.p + from, i - from};
		if (archive_name(word))
			return without_folder(word);
		i++;
	}
	return (struct slice){0};
}

static bool equals(struct slice s, const char *text)
{
	return s.n == strlen(text) && strncasecmp((const char *)s.p, text, s.n) == 0;
}

/* First letter of the word after the program's own: 7z's and rar's command, tar's flags. */
static uint8_t verb_of(struct slice line)
{
	size_t at = line.n && line.p[0] == '"';
	uint8_t end = at ? '"' : ' ';
	while (at < line.n && line.p[at] != end)
		at++;
	while (at < line.n && (line.p[at] == ' ' || line.p[at] == '"'))
		at++;
	if (at + 1 < line.n && line.p[at] == '-')
		at++;
	return at < line.n ? line.p[at] : 0;
}

static bool compresses(struct slice line)
{
	for (size_t i = 0; i + 16 <= line.n && i < MAX_COMMAND; i++)
		if ((line.p[i] | 32) == 'c' && strncasecmp((const char *)line.p + i, "compress-archive", 16) == 0)
			return true;
	return false;
}

/* 7z, rar and tar that add, move, update or create, and Compress-Archive inside a PowerShell line. */
static bool archives(const struct procevent *ev)
{
	static const char *const programs[] = {"7z.exe", "7za.exe", "7zr.exe", "7zg.exe", "rar.exe", "winrar.exe", "7z",
					       "7za", "7zr", "rar", "tar.exe", "tar"};
	const struct procevent_process *p = &ev->process;
	struct slice name = p->name.n ? p->name : without_folder(p->path);
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
		if (equals(name, programs[i]) || equals(p->original_name, programs[i]))
			return strchr("amuc", verb_of(p->command_line)) && verb_of(p->command_line);
	return compresses(p->command_line);
}

bool evlog_archive_of(const struct procevent *ev, struct slice *ret_file)
{
	if (ev->kind == PROCEVENT_FILE_CREATE && archive_name(ev->file_path)) {
		*ret_file = without_folder(ev->file_path);
		return true;
	}
	if (ev->kind != PROCEVENT_PROC_START || !archives(ev))
		return false;
	*ret_file = archive_word(ev->process.command_line);
	return true;
}

static uint64_t hash_slice(struct slice s, uint64_t seed)
{
	struct hash_key key = HASH_KEY_FIXED;
	key.k0 ^= seed;
	return hash_bytes(key, s.n ? s.p : (const uint8_t *)"", s.n);
}

static uint64_t hash_slice_lower(struct slice s, uint64_t seed)
{
	uint8_t low[256];
	size_t n = s.n < sizeof low ? s.n : sizeof low;
	for (size_t i = 0; i < n; i++)
		low[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (uint8_t)(s.p[i] + 32) : s.p[i];
	return hash_slice((struct slice){low, n}, seed);
}

uint64_t evlog_id(const struct procevent *ev)
{
	uint64_t h = hash_slice_lower(ev->device_name.n ? ev->device_name : ev->device_id, ev->source);
	if (ev->event_id.n)
		return hash_slice(ev->event_id, h);
	uint64_t key[9] = {h, ev->time_ns, ev->kind, ev->proto, (uint64_t)ev->local.port << 16 | ev->remote.port, ev->process.pid};
	key[6] = hash_slice((struct slice){ev->local.ip, 16}, 1);
	key[7] = hash_slice((struct slice){ev->remote.ip, 16}, 2);
	key[8] = hash_slice(ev->process.uid, 3);
	return hash_slice((struct slice){(const uint8_t *)key, sizeof key}, h);
}

/* ---- keeping ---- */

static uint32_t keep_text(struct evlog *log, struct slice s)
{
	return intern_add(log->text, s.p, s.n < MAX_COMMAND ? s.n : MAX_COMMAND);
}

static uint64_t hash_note(const struct evlog_note *n)
{
	/* everything but the times seen and the handle */
	uint64_t key[11] = {(uint64_t)n->device << 32 | n->pid, (uint64_t)n->parent_pid << 32 | n->uid,
			    (uint64_t)n->name << 32 | n->path, (uint64_t)n->original_name << 32 | n->command_line,
			    (uint64_t)n->user << 32 | n->sha256, (uint64_t)n->parent_uid << 32 | n->parent_name,
			    (uint64_t)n->clock << 16 | (uint64_t)n->source << 8 | n->rank, n->start_us, n->end_us, n->parent_start_us};
	return hash_bytes(HASH_KEY_FIXED, key, sizeof key);
}

static bool same_note(const struct evlog_note *a, const struct evlog_note *b)
{
	return a->device == b->device && a->pid == b->pid && a->parent_pid == b->parent_pid && a->uid == b->uid &&
	       a->name == b->name && a->path == b->path && a->original_name == b->original_name &&
	       a->command_line == b->command_line && a->user == b->user && a->sha256 == b->sha256 &&
	       a->parent_uid == b->parent_uid && a->parent_name == b->parent_name && a->source == b->source &&
	       a->rank == b->rank && a->clock == b->clock && a->start_us == b->start_us && a->end_us == b->end_us &&
	       a->parent_start_us == b->parent_start_us;
}

static bool grow_notes(struct evlog *log)
{
	size_t n = log->n_note_slots ? log->n_note_slots * 2 : 1024;
	uint32_t *slots = calloc(n, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < log->n_notes; i++) {
		size_t at = hash_note(&log->notes[i]) & (n - 1);
		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(log->note_slots);
	log->note_slots = slots;
	log->n_note_slots = n;
	return true;
}

/* The note's number from 1; 0: none. */
static uint32_t keep_note(struct evlog *log, const struct proctab_sighting *s)
{
	struct evlog_note note = {
		.device = s->device, .pid = s->pid, .parent_pid = s->parent_pid, .uid = keep_text(log, s->uid),
		.name = keep_text(log, s->name), .path = keep_text(log, s->path), .original_name = keep_text(log, s->original_name),
		.command_line = keep_text(log, s->command_line), .user = keep_text(log, s->user), .sha256 = keep_text(log, s->sha256),
		.parent_uid = keep_text(log, s->parent_uid), .parent_name = keep_text(log, s->parent_name), .source = s->source,
		.rank = s->rank, .clock = s->clock, .start_us = s->start_us, .end_us = s->end_us, .parent_start_us = s->parent_start_us,
		.time_us = s->time_us,
	};
	if (log->n_notes * 2 >= log->n_note_slots && !grow_notes(log))
		return 0;
	size_t at = hash_note(&note) & (log->n_note_slots - 1);
	for (; log->note_slots[at]; at = (at + 1) & (log->n_note_slots - 1)) {
		struct evlog_note *have = &log->notes[log->note_slots[at] - 1];
		if (!same_note(have, &note))
			continue;
		have->time_us = note.time_us < have->time_us ? note.time_us : have->time_us;
		return log->note_slots[at];
	}
	if (log->n_notes >= log->max_notes || !room((void **)&log->notes, &log->size_notes, log->n_notes, sizeof note)) {
		log->notes_refused++;
		return 0;
	}
	log->notes[log->n_notes++] = note;
	log->note_slots[at] = (uint32_t)log->n_notes;
	return (uint32_t)log->n_notes;
}

static size_t addr_slot(const struct evlog *log, size_t n_slots, const uint32_t *slots, const struct facts_addr *a)
{
	uint8_t key[17];
	memcpy(key, a->ip, 16);
	key[16] = a->family;
	size_t at = hash_bytes(HASH_KEY_FIXED, key, sizeof key) & (n_slots - 1);
	for (; slots[at]; at = (at + 1) & (n_slots - 1)) {
		const struct facts_addr *have = &log->addrs[slots[at] - 1];
		if (have->family == a->family && memcmp(have->ip, a->ip, 16) == 0)
			break;
	}
	return at;
}

static bool grow_addrs(struct evlog *log)
{
	size_t n = log->n_addr_slots ? log->n_addr_slots * 2 : 1024;
	uint32_t *slots = calloc(n, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < log->n_addrs; i++)
		slots[addr_slot(log, n, slots, &log->addrs[i])] = (uint32_t)i + 1;
	free(log->addr_slots);
	log->addr_slots = slots;
	log->n_addr_slots = n;
	return true;
}

/* Number from 1; 0: no address. */
static uint32_t keep_addr(struct evlog *log, const struct facts_addr *addr)
{
	struct facts_addr a = {.family = addr->family};
	if (!addr->family || (log->n_addrs * 2 >= log->n_addr_slots && !grow_addrs(log)))
		return 0;
	memcpy(a.ip, addr->ip, addr->family == 4 ? 4 : 16);
	size_t at = addr_slot(log, log->n_addr_slots, log->addr_slots, &a);
	if (!log->addr_slots[at]) {
		if (!room((void **)&log->addrs, &log->size_addrs, log->n_addrs, sizeof a))
			return 0;
		log->addrs[log->n_addrs++] = a;
		log->addr_slots[at] = (uint32_t)log->n_addrs;
	}
	return log->addr_slots[at];
}

static int keep_row(struct evlog *log, const struct procevent *ev, uint32_t device, uint32_t note)
{
	if (!room((void **)&log->rows, &log->size_rows, log->n_rows, sizeof *log->rows))
		return -ENOMEM;
	log->rows[log->n_rows++] = (struct evlog_row){
		.time_us = ev->time_ns / 1000,
		.id = evlog_id(ev),
		.id_text = intern_append(log->ids, ev->event_id.p, ev->event_id.n),
		.note = note,
		.device = device,
		.local = keep_addr(log, &ev->local),
		.remote = keep_addr(log, &ev->remote),
		.span_s = ev->time_end_ns > ev->time_ns ? (uint32_t)((ev->time_end_ns - ev->time_ns) / 1000000000) : 0,
		.local_port = ev->local.port,
		.remote_port = ev->remote.port,
		.flags = ev->flags,
		.kind = ev->kind,
		.source = ev->source,
		.clock = ev->clock,
		.proto = ev->proto,
	};
	return 0;
}

static int keep_archive(struct evlog *log, const struct procevent *ev, uint32_t device, uint32_t note, struct slice file)
{
	if (log->n_archives == MAX_ARCHIVES) {
		log->archives_refused++;
		return 0;
	}
	if (!room((void **)&log->archives, &log->size_archives, log->n_archives, sizeof *log->archives))
		return -ENOMEM;
	log->archives[log->n_archives++] = (struct evlog_archive){
		.time_us = ev->time_ns / 1000,
		.note = note,
		.device = device,
		.file = keep_text(log, file),
		.id_text = intern_append(log->ids, ev->event_id.p, ev->event_id.n),
		.source = ev->source,
		.clock = ev->clock,
	};
	return 0;
}

int evlog_add(struct evlog *log, const struct procevent *ev, uint32_t device)
{
	struct proctab_sighting s;
	struct slice file;
	uint32_t note = evlog_sighting(ev, device, &s) ? keep_note(log, &s) : 0;
	int rc = evlog_joinable(ev) ? keep_row(log, ev, device, note) : 0;
	if (rc == 0 && note && evlog_archive_of(ev, &file))
		rc = keep_archive(log, ev, device, note, file);
	return rc;
}

static struct slice text_of(const struct evlog *log, uint32_t number)
{
	struct slice s;
	s.p = (const uint8_t *)intern_text(log->text, number, &s.n);
	return s;
}

struct proctab_sighting evlog_note_sighting(const struct evlog *log, const struct evlog_note *n)
{
	return (struct proctab_sighting){
		.device = n->device, .pid = n->pid, .source = n->source, .rank = n->rank, .clock = n->clock, .time_us = n->time_us,
		.start_us = n->start_us, .end_us = n->end_us, .uid = text_of(log, n->uid), .name = text_of(log, n->name),
		.path = text_of(log, n->path), .original_name = text_of(log, n->original_name),
		.command_line = text_of(log, n->command_line), .user = text_of(log, n->user), .sha256 = text_of(log, n->sha256),
		.parent_pid = n->parent_pid, .parent_start_us = n->parent_start_us, .parent_uid = text_of(log, n->parent_uid),
		.parent_name = text_of(log, n->parent_name),
	};
}

size_t evlog_bytes(const struct evlog *log)
{
	return log->size_rows * sizeof *log->rows + log->size_notes * sizeof *log->notes +
	       log->size_archives * sizeof *log->archives + log->size_addrs * sizeof *log->addrs +
	       (log->n_note_slots + log->n_addr_slots) * sizeof(uint32_t) + intern_bytes(log->text) + intern_bytes(log->ids);
}
