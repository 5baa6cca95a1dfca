#include "detect/attrib/settle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define GROSS_US (15 * 60 * INT64_C(1000000)) /* a time zone, a lost PM, a broken clock: not a skew */

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* ---- identity ---- */

/* Copies of one event differ in nothing that is not compared here. */
static int by_time(const void *va, const void *vb)
{
	const struct evlog_row *a = va, *b = vb;
	int order = compare(a->time_us, b->time_us);
	order = order ? order : compare(a->id, b->id);
	order = order ? order : compare(a->kind, b->kind);
	order = order ? order : compare((uint32_t)a->local_port << 16 | a->remote_port, (uint32_t)b->local_port << 16 | b->remote_port);
	return order ? order : compare(a->flags, b->flags);
}

static size_t id_slot(const struct attrib *at, uint64_t id)
{
	size_t slot = id & (at->n_row_slots - 1);
	while (at->row_by_id[slot] && at->log.rows[at->row_by_id[slot] - 1].id != id)
		slot = (slot + 1) & (at->n_row_slots - 1);
	return slot;
}

const struct evlog_row *settle_row(const struct attrib *at, uint32_t ref, int64_t corrected_us)
{
	if (!at->n_row_slots)
		return NULL;
	for (size_t slot = ref & (at->n_row_slots - 1); at->row_by_id[slot]; slot = (slot + 1) & (at->n_row_slots - 1)) {
		const struct evlog_row *row = &at->log.rows[at->row_by_id[slot] - 1];
		if ((uint32_t)row->id == ref && row->corrected_us == corrected_us)
			return row;
	}
	return NULL;
}

static int drop_duplicates(struct attrib *at)
{
	struct evlog *log = &at->log;
	at->n_row_slots = 1024;
	while (at->n_row_slots < log->n_rows * 2)
		at->n_row_slots *= 2;
	at->row_by_id = calloc(at->n_row_slots, sizeof *at->row_by_id);
	if (!at->row_by_id)
		return -ENOMEM;
	size_t kept = 0;
	for (size_t i = 0; i < log->n_rows; i++) {
		size_t slot = id_slot(at, log->rows[i].id);
		if (at->row_by_id[slot])
			continue;
		log->rows[kept] = log->rows[i];
		at->row_by_id[slot] = (uint32_t)++kept;
	}
	at->stats.events_duplicate = log->n_rows - kept;
	log->n_rows = kept;
	return 0;
}

static void claim(struct attrib *at, const struct evlog_row *row, bool weak)
{
	if (row->local && row->kind != PROCEVENT_INSPECT)
		identity_claim(at->identity, row->device, &at->log.addrs[row->local - 1], row->time_us, weak);
}

/* The side that is the device's own is the local one, whatever the row's flag says. */
static void orient(const struct attrib *at, struct evlog_row *row)
{
	if (!row->local || !row->remote)
		return;
	const struct facts_addr *local = &at->log.addrs[row->local - 1], *remote = &at->log.addrs[row->remote - 1];
	if (identity_score(at->identity, row->device, remote) <= identity_score(at->identity, row->device, local))
		return;
	uint32_t addr = row->local;
	uint16_t port = row->local_port;
	row->local = row->remote;
	row->local_port = row->remote_port;
	row->remote = addr;
	row->remote_port = port;
}

int settle_identity(struct attrib *at)
{
	struct evlog *log = &at->log;
	attrib_unify(at);
	if (log->n_rows)
		qsort(log->rows, log->n_rows, sizeof *log->rows, by_time);
	int rc = drop_duplicates(at);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < log->n_rows; i++) {
		struct evlog_row *row = &log->rows[i];
		row->device = identity_device(at->identity, row->device);
		if (attrib_trusted(row->source, row->proto, row->flags))
			claim(at, row, false);
	}
	for (size_t i = 0; i < log->n_rows; i++) {
		struct evlog_row *row = &log->rows[i];
		if (attrib_trusted(row->source, row->proto, row->flags))
			continue;
		orient(at, row);
		claim(at, row, true);
	}
	return 0;
}

/* ---- clocks ---- */

enum { MAX_PER_TUPLE = 16 };

#define SAME_FLOW_US INT64_C(3000000)

struct syn {
	uint64_t tuple;
	int64_t start_us;
};

struct sighted {
	uint64_t tuple, clock; /* device * PROCEVENT_CLOCK_COUNT + clock */
	int64_t time_us;
	bool floored, tcp;
};

static int by_tuple(const void *va, const void *vb)
{
	const struct syn *a = va, *b = vb;
	int order = compare(a->tuple, b->tuple);
	return order ? order : a->start_us < b->start_us ? -1 : a->start_us > b->start_us;
}

static int by_clock(const void *va, const void *vb)
{
	const struct sighted *a = va, *b = vb;
	int order = compare(a->clock, b->clock);
	order = order ? order : compare(a->tuple, b->tuple);
	order = order ? order : a->time_us < b->time_us ? -1 : a->time_us > b->time_us;
	return order ? order : (int)a->floored - (int)b->floored;
}

static int collect_syns(struct attrib *at, struct syn **ret, size_t *ret_n)
{
	struct spill_flow *f = at->flow;
	struct syn *all = malloc((size_t)(spill_count(at->spill) * ATTRIB_SIDES + 1) * sizeof *all);
	size_t n = 0;
	int rc = spill_rewind(at->spill);
	if (!all)
		return -ENOMEM;
	while (rc == 0 && (rc = spill_next(at->spill, f)) > 0) {
		rc = 0;
		for (unsigned side = 0; side < ATTRIB_SIDES && (f->proto == 6 || f->proto == 17) && !f->midstream; side++) {
			struct cell_tuple t = attrib_tuple(f, side);
			all[n++] = (struct syn){attrib_tuple_hash(&t.local, &t.remote, f->proto), (int64_t)f->start_us};
		}
	}
	if (rc < 0) {
		free(all);
		return rc;
	}
	if (n)
		qsort(all, n, sizeof *all, by_tuple);
	*ret = all;
	*ret_n = n;
	return 0;
}

/* Rows whose tuple some flow has that was seen from its start. */
static int collect_sighted(struct attrib *at, const struct syn *syns, size_t n_syns, struct sighted **ret, size_t *ret_n)
{
	const struct evlog *log = &at->log;
	struct sighted *all = malloc((log->n_rows + 1) * sizeof *all);
	size_t n = 0;
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < log->n_rows && n_syns; i++) {
		const struct evlog_row *row = &log->rows[i];
		if (!row->local || !row->remote || row->kind == PROCEVENT_FOUND || row->kind == PROCEVENT_AGGREGATED)
			continue;
		struct facts_addr local = log->addrs[row->local - 1], remote = log->addrs[row->remote - 1];
		local.port = row->local_port;
		remote.port = row->remote_port;
		struct syn key = {attrib_tuple_hash(&local, &remote, row->proto), 0};
		size_t lo = 0, hi = n_syns;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (syns[mid].tuple < key.tuple)
				lo = mid + 1;
			else
				hi = mid;
		}
		if (lo < n_syns && syns[lo].tuple == key.tuple)
			all[n++] = (struct sighted){key.tuple, (uint64_t)row->device * PROCEVENT_CLOCK_COUNT + row->clock,
						    (int64_t)row->time_us, row->flags & PROCEVENT_FLOORED, row->proto == 6};
	}
	if (n)
		qsort(all, n, sizeof *all, by_clock);
	*ret = all;
	*ret_n = n;
	return 0;
}

/* Pairs of one clock and tuple. Copies of one connect within 2 s, and two taps' views of one flow, count once. */
static void pair_up(struct attrib *at, const struct sighted *ev, size_t n_ev, const struct syn *syn, size_t n_syn)
{
	const struct sighted *events[MAX_PER_TUPLE];
	const struct syn *flows[MAX_PER_TUPLE];
	size_t ne = 0, nf = 0;
	for (size_t i = 0; i < n_ev && ne < MAX_PER_TUPLE; i++)
		if (ne == 0 || ev[i].time_us - events[ne - 1]->time_us > ATTRIB_REPEAT_US)
			events[ne++] = &ev[i];
	for (size_t i = 0; i < n_syn && nf < MAX_PER_TUPLE; i++)
		if (nf == 0 || syn[i].start_us - flows[nf - 1]->start_us > SAME_FLOW_US)
			flows[nf++] = &syn[i];
	for (size_t i = 0; i < ne; i++)
		for (size_t j = 0; j < nf; j++)
			clocks_add(at->clocks, (uint32_t)(ev->clock / PROCEVENT_CLOCK_COUNT), (uint8_t)(ev->clock % PROCEVENT_CLOCK_COUNT),
				   events[i]->time_us, flows[j]->start_us,
				   (ne == 1 && nf == 1 ? CLOCK_SKEW_UNIQUE : 0u) | (events[i]->tcp ? CLOCK_SKEW_SYN : 0u) |
					   (events[i]->floored ? CLOCK_SKEW_FLOORED : 0u));
}

static void pair_all(struct attrib *at, const struct sighted *ev, size_t n_ev, const struct syn *syns, size_t n_syns)
{
	for (size_t i = 0, end; i < n_ev; i = end) {
		for (end = i + 1; end < n_ev && ev[end].clock == ev[i].clock && ev[end].tuple == ev[i].tuple;)
			end++;
		size_t lo = 0, hi = n_syns;
		while (lo < hi) {
			size_t mid = lo + (hi - lo) / 2;
			if (syns[mid].tuple < ev[i].tuple)
				lo = mid + 1;
			else
				hi = mid;
		}
		for (hi = lo; hi < n_syns && syns[hi].tuple == ev[i].tuple;)
			hi++;
		pair_up(at, ev + i, end - i, syns + lo, hi - lo);
	}
}

int settle_clocks(struct attrib *at)
{
	struct syn *syns;
	struct sighted *events;
	size_t n_syns, n_events;
	int rc = collect_syns(at, &syns, &n_syns);
	if (rc < 0)
		return rc;
	rc = collect_sighted(at, syns, n_syns, &events, &n_events);
	if (rc == 0) {
		pair_all(at, events, n_events, syns, n_syns);
		free(events);
	}
	free(syns);
	for (size_t i = 0; i < at->log.n_rows; i++) {
		struct evlog_row *row = &at->log.rows[i];
		struct clock_skew_state s = clocks_at(at->clocks, row->device, row->clock, (int64_t)row->time_us);
		row->corrected_us = (int64_t)row->time_us - s.offset_us;
		if (row->corrected_us < 0)
			row->corrected_us = 0;
		row->bits |= s.calibrated ? EVLOG_CALIBRATED : 0;
	}
	return rc;
}

/* ---- processes ---- */

/* Processes are matched in the device's own time, which its sources share; only gross errors of one of them are undone. */
static int64_t gross(struct attrib *at, uint32_t device, uint8_t clock, uint64_t time_us)
{
	int64_t offset = clocks_at(at->clocks, device, clock, (int64_t)time_us).offset_us;
	return offset >= GROSS_US || offset <= -GROSS_US ? offset : 0;
}

static void shift(uint64_t *t, int64_t by)
{
	if (*t)
		*t = (uint64_t)((int64_t)*t - by);
}

static struct proctab_sighting sighting_of(struct attrib *at, const struct evlog_note *note)
{
	struct proctab_sighting s = evlog_note_sighting(&at->log, note);
	s.device = identity_device(at->identity, note->device);
	s.device_hash = attrib_device_hash(at, s.device);
	int64_t by = gross(at, s.device, s.clock, s.time_us);
	shift(&s.time_us, by);
	shift(&s.start_us, by);
	shift(&s.end_us, by);
	shift(&s.parent_start_us, by);
	return s;
}

/* A note that names its instance by itself, without asking when. */
static bool is_sure(const struct evlog_note *note)
{
	return note->uid || note->start_us;
}

struct order {
	struct proctab_sighting sighting;
	uint32_t note;
};

static int by_strength(const void *va, const void *vb)
{
	return proctab_before(&((const struct order *)va)->sighting, &((const struct order *)vb)->sighting);
}

static int see_notes(struct attrib *at)
{
	struct evlog *log = &at->log;
	struct order *order = malloc((log->n_notes + 1) * sizeof *order);
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < log->n_notes; i++)
		order[i] = (struct order){sighting_of(at, &log->notes[i]), (uint32_t)i};
	qsort(order, log->n_notes, sizeof *order, by_strength);
	for (size_t i = 0; i < log->n_notes; i++) {
		uint64_t handle = proctab_see(at->processes, &order[i].sighting);
		struct evlog_note *note = &log->notes[order[i].note];
		note->handle = is_sure(note) ? handle : 0;
	}
	free(order);
	return 0;
}

static uint64_t handle_at(struct attrib *at, uint32_t number, uint64_t time_us, uint8_t clock)
{
	if (!number)
		return 0;
	const struct evlog_note *note = &at->log.notes[number - 1];
	if (note->handle)
		return note->handle;
	struct proctab_sighting s = sighting_of(at, note);
	s.time_us = (uint64_t)((int64_t)time_us - gross(at, s.device, clock, time_us));
	s.end_us = 0;
	return proctab_see(at->processes, &s);
}

/* Rows of one connection of one device, by corrected time. */
struct meeting {
	uint64_t tuple, id;
	uint64_t handle;
	int64_t time_us;
	uint32_t device, row;
};

static int by_connection(const void *va, const void *vb)
{
	const struct meeting *a = va, *b = vb;
	int order = compare(a->tuple, b->tuple);
	order = order ? order : compare(a->device, b->device);
	order = order ? order : a->time_us < b->time_us ? -1 : a->time_us > b->time_us;
	return order ? order : compare(a->id, b->id);
}

enum { MEETING_AHEAD = 8 };
#define MEETING_US INT64_C(65000000)

/* Two sources tell of one connection: one by uid without a pid, the other by pid. They mean one process. */
static void unify_meetings(struct attrib *at, const struct meeting *m, size_t n)
{
	struct proctab *pt = at->processes;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n && j <= i + MEETING_AHEAD && m[j].tuple == m[i].tuple && m[j].device == m[i].device &&
				       m[j].time_us - m[i].time_us <= MEETING_US; j++) {
			if (!proctab_may_be_one(pt, m[i].handle, m[j].handle))
				continue;
			bool keep_i = proctab_has_uid(pt, m[i].handle);
			proctab_unify(pt, keep_i ? m[i].handle : m[j].handle, keep_i ? m[j].handle : m[i].handle);
		}
}

/* One process, one 5-tuple, one source, within 2 s: counted once. All are evidence: which of them is in the window depends on the flow. */
static void count_repeats(struct attrib *at, const struct meeting *m, size_t n)
{
	struct evlog_row *rows = at->log.rows;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i; j-- > 0 && i - j <= MEETING_AHEAD && m[j].tuple == m[i].tuple && m[j].device == m[i].device &&
				       m[i].time_us - m[j].time_us <= ATTRIB_REPEAT_US;) {
			const struct evlog_row *a = &rows[m[j].row], *b = &rows[m[i].row];
			if (a->bits & EVLOG_REPEATED || a->source != b->source || a->kind != b->kind || a->principal != b->principal)
				continue;
			rows[m[i].row].bits |= EVLOG_REPEATED;
			at->stats.events_duplicate++;
			break;
		}
}

static struct meeting meeting_of(struct attrib *at, uint32_t i)
{
	const struct evlog_row *row = &at->log.rows[i];
	struct facts_addr local = at->log.addrs[row->local - 1], remote = {0};
	local.port = row->local_port;
	if (row->remote)
		remote = at->log.addrs[row->remote - 1];
	remote.port = row->remote_port;
	return (struct meeting){attrib_tuple_hash(&local, &remote, row->proto), row->id,
				handle_at(at, row->note, row->time_us, row->clock), row->corrected_us, row->device, i};
}

static int by_archive_time(const void *va, const void *vb)
{
	const struct evlog_archive *a = va, *b = vb;
	int order = compare(a->time_us, b->time_us);
	order = order ? order : compare(a->source, b->source);
	return order ? order : compare(a->handle, b->handle);
}

/* Archive times are compared with flows', so they are corrected. */
static void settle_archives(struct attrib *at)
{
	struct evlog *log = &at->log;
	for (size_t i = 0; i < log->n_archives; i++) {
		struct evlog_archive *a = &log->archives[i];
		uint32_t device = identity_device(at->identity, a->device);
		a->handle = handle_at(at, a->note, a->time_us, a->clock);
		shift(&a->time_us, clocks_offset_us(at->clocks, device, a->clock, (int64_t)a->time_us));
	}
	if (log->n_archives)
		qsort(log->archives, log->n_archives, sizeof *log->archives, by_archive_time);
}

int settle_processes(struct attrib *at)
{
	struct evlog *log = &at->log;
	int rc = see_notes(at);
	struct meeting *m = rc < 0 ? NULL : malloc((log->n_rows + 1) * sizeof *m);
	size_t n = 0;
	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < log->n_rows; i++)
		if (log->rows[i].note && log->rows[i].local)
			m[n++] = meeting_of(at, (uint32_t)i);
	if (n)
		qsort(m, n, sizeof *m, by_connection);
	unify_meetings(at, m, n);
	for (size_t i = 0; i < n; i++)
		log->rows[m[i].row].principal = proctab_principal(at->processes, m[i].handle);
	count_repeats(at, m, n);
	free(m);
	settle_archives(at);
	return 0;
}

/* A process's end is told in the device's own time; where nothing calibrates that, what corrects the row has to do for both. */
uint64_t settle_stop_us(const struct attrib *at, const struct evlog_row *row)
{
	uint64_t handle = proctab_by_principal(at->processes, row->principal), end = proctab_end_us(at->processes, handle);
	if (!end)
		return 0;
	int64_t offset = clocks_offset_us(at->clocks, row->device, PROCEVENT_CLOCK_MDE, (int64_t)end);
	offset = offset ? offset : (int64_t)row->time_us - row->corrected_us;
	if (offset < GROSS_US && offset > -GROSS_US)
		shift(&end, offset);
	return end;
}
