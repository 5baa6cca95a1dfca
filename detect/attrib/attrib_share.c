/* Several processes, one Redis: what others have to know of our processes is told, changes that others' events bring to our flows are
 * read, and processes that others have seen get their names. */
#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "capture/base/clock.h"
#include "detect/attrib/attrib_state.h"
#include "detect/attrib/dictionary.h"
#include "detect/attrib/outread.h"

enum { WAITING = 4096 }; /* changes whose process is being asked for; one more is told without the name */

#define PATIENCE_NS (60 * CLOCK_NS_PER_S) /* replay: how long nothing may get through */
#define NAP_NS      1000000

struct attrib_share {
	struct dictionary *dictionary;
	struct outread *outread; /* NULL until the first flow: who has none has nothing to learn */
	struct cell_change *waiting; /* ring */
	size_t head, n_waiting;
	bool resuming; /* told from the waiting list: not to be put back at its end */
};

static bool known_process(void *ctx, uint64_t principal, struct owner_process *ret)
{
	struct attrib *at = ctx;
	uint64_t handle = proctab_by_principal(at->processes, principal);
	return proctab_owner(at->processes, handle, identity_name(at->identity, proctab_device(at->processes, handle)), ret);
}

int attrib_share_init(struct attrib *at)
{
	struct attrib_share *sh = at->share = calloc(1, sizeof *sh);
	if (!sh)
		return -ENOMEM;
	sh->dictionary = dictionary_new(&at->url, known_process, at);
	sh->waiting = calloc(WAITING, sizeof *sh->waiting);
	return sh->dictionary && sh->waiting ? 0 : -ENOMEM;
}

void attrib_share_done(struct attrib *at)
{
	struct attrib_share *sh = at->share;
	if (!sh)
		return;
	dictionary_free(sh->dictionary);
	outread_free(sh->outread);
	free(sh->waiting);
	free(sh);
}

void attrib_share_tell(struct attrib *at, uint64_t principal)
{
	struct owner_process p;
	if (at->share && known_process(at, principal, &p))
		dictionary_tell(at->share->dictionary, principal, &p, at->live ? at->now_ns : clock_wall_ns());
}

bool attrib_share_find(struct attrib *at, uint64_t principal, struct owner_process *ret)
{
	uint64_t now_ns = at->live ? at->now_ns : clock_wall_ns();
	return at->share && dictionary_find(at->share->dictionary, principal, ret, now_ns) == DICTIONARY_FOUND;
}

/* Some owner's name is on its way. */
static bool unsettled(struct attrib *at, const struct cell_change *c)
{
	struct owner_process p;
	bool asked = false;
	for (size_t i = 0; i < c->n_owners; i++)
		asked |= !proctab_by_principal(at->processes, c->owners[i]) &&
			 dictionary_find(at->share->dictionary, c->owners[i], &p, at->now_ns) == DICTIONARY_ASKED;
	return asked;
}

bool attrib_share_defer(struct attrib *at, const struct cell_change *c)
{
	struct attrib_share *sh = at->share;
	if (!sh || sh->resuming || sh->n_waiting == WAITING || !unsettled(at, c))
		return false;
	sh->waiting[(sh->head + sh->n_waiting++) % WAITING] = *c;
	return true;
}

static void take_change(void *ctx, const struct cell_change *c)
{
	struct attrib *at = ctx;
	if (c->source == at->source_id)
		attrib_live_change(at, c);
}

static void resume(struct attrib *at)
{
	struct attrib_share *sh = at->share;
	sh->resuming = true;
	for (size_t n = sh->n_waiting; n--;) {
		struct cell_change c = sh->waiting[sh->head];
		sh->head = (sh->head + 1) % WAITING;
		sh->n_waiting--;
		if (unsettled(at, &c))
			sh->waiting[(sh->head + sh->n_waiting++) % WAITING] = c;
		else
			attrib_live_change(at, &c);
	}
	sh->resuming = false;
}

int attrib_share_poll(struct attrib *at, struct err *err)
{
	struct attrib_share *sh = at->share;
	if (!sh)
		return 0;
	if (!sh->outread && at->stats.flows)
		sh->outread = outread_new(&at->url, take_change, at, at->now_ns);
	int rc = dictionary_poll(sh->dictionary, at->now_ns, err);
	if (sh->outread && rc == 0)
		rc = outread_poll(sh->outread, at->now_ns, err);
	resume(at);
	return rc;
}

struct attrib_mark attrib_mark(const struct attrib *at)
{
	struct attrib_mark m = {.records = courier_records(at->courier)};
	if (at->share)
		m.processes = dictionary_told(at->share->dictionary);
	return m;
}

bool attrib_stored(const struct attrib *at, struct attrib_mark mark)
{
	return courier_stored(at->courier) >= mark.records && (!at->share || dictionary_stored(at->share->dictionary) >= mark.processes);
}

size_t attrib_queued_bytes(const struct attrib *at)
{
	struct join_stats js;
	courier_stats(at->courier, &js);
	return js.queued_bytes;
}

/* ---- replay ---- */

static int by_number(const void *va, const void *vb)
{
	uint64_t a = *(const uint64_t *)va, b = *(const uint64_t *)vb;
	return a < b ? -1 : a > b;
}

/* Moves those whose answer is awaited to the front; how many they are. */
static size_t ask(struct attrib *at, uint64_t *principals, size_t n)
{
	struct owner_process p;
	uint64_t now_ns = clock_wall_ns();
	size_t left = 0;
	for (size_t i = 0; i < n; i++)
		if (!proctab_by_principal(at->processes, principals[i]) &&
		    dictionary_find(at->share->dictionary, principals[i], &p, now_ns) == DICTIONARY_ASKED)
			principals[left++] = principals[i];
	return left;
}

int attrib_share_settle(struct attrib *at, uint64_t *principals, size_t n, struct err *err)
{
	struct attrib_share *sh = at->share;
	uint64_t since_ns = clock_monotonic_ns(), done = 0;
	size_t distinct = 0;
	if (!sh)
		return 0;
	if (n)
		qsort(principals, n, sizeof *principals, by_number);
	for (size_t i = 0; i < n; i++)
		if (!distinct || principals[distinct - 1] != principals[i])
			principals[distinct++] = principals[i];
	for (;;) {
		struct err why = {0};
		size_t left = ask(at, principals, distinct);
		int rc = dictionary_poll(sh->dictionary, clock_wall_ns(), &why);
		uint64_t stored = dictionary_stored(sh->dictionary);
		if (!left && stored == dictionary_told(sh->dictionary))
			return 0;
		if (stored != done || left != distinct)
			since_ns = clock_monotonic_ns();
		done = stored;
		distinct = left;
		if (clock_monotonic_ns() - since_ns > PATIENCE_NS)
			return err_set(err, rc < 0 ? rc : LT_EREDIS, "%s", rc < 0 ? why.text : "Redis does not take names");
		nanosleep(&(struct timespec){0, NAP_NS}, NULL);
	}
}
