#include "detect/attrib/dictionary.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/base/clock.h"
#include "capture/base/hash.h"

enum {
	SLOTS = DICTIONARY_MAX_WORDS * 2, PROBES = 64,
	WINDOW = 256,          /* commands under way */
	TIMEOUT_MS = 1000, MAX_BACKOFF_MS = 5000,
	KEEP_S = 2 * 86400,
	MAX_TEXT = 8192,
};
#define RETRY_NS   (300 * CLOCK_NS_PER_MS) /* not found: it may be on its way */
#define GIVE_UP_NS (2 * CLOCK_NS_PER_S)
#define UNUSED_NS  (26 * 3600 * CLOCK_NS_PER_S)
#define DAY_NS     (86400 * CLOCK_NS_PER_S)

/* Letters of the fields; 'b' is the numbers: "pid start_ns parent_pid". */
static const char letters[] = "bnopcudhq";
enum { FIELD_NUMBERS, FIELD_NAME, FIELD_ORIGINAL, FIELD_PATH, FIELD_COMMAND, FIELD_USER, FIELD_DEVICE, FIELD_SHA256, FIELD_PARENT, FIELDS };

struct word {
	uint64_t principal; /* 0: free */
	uint64_t told;      /* hash of what was told and the day */
	uint64_t used_ns, asked_ns, next_ns;
	uint8_t state;      /* enum dictionary_answer, for asking */
	uint8_t under_way;  /* days whose answer has not come */
	uint32_t pid, parent_pid;
	uint64_t start_ns;
	char *text[FIELDS]; /* FIELD_NUMBERS stays NULL */
};

struct job {
	struct job *next;
	uint64_t principal;
	bool tell;
	uint8_t commands; /* whose replies are awaited */
};

struct dictionary {
	const struct redis_url *url;
	dictionary_fn *fn;
	void *ctx;
	struct redis *redis;
	uint64_t retry_ns, backoff_ms, now_ns;
	struct word *words; /* SLOTS, probed within PROBES */
	struct job *todo, **todo_end, *sent, **sent_end;
	uint64_t told, stored;
};

struct dictionary *dictionary_new(const struct redis_url *url, dictionary_fn *fn, void *ctx)
{
	struct dictionary *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->words = calloc(SLOTS, sizeof *d->words);
	if (!d->words) {
		free(d);
		return NULL;
	}
	d->url = url;
	d->fn = fn;
	d->ctx = ctx;
	d->todo_end = &d->todo;
	d->sent_end = &d->sent;
	return d;
}

static void free_jobs(struct job *j)
{
	while (j) {
		struct job *next = j->next;
		free(j);
		j = next;
	}
}

static void free_texts(struct word *w)
{
	for (size_t i = 0; i < FIELDS; i++)
		free(w->text[i]);
}

void dictionary_free(struct dictionary *d)
{
	if (!d)
		return;
	redis_close(d->redis);
	free_jobs(d->todo);
	free_jobs(d->sent);
	for (size_t i = 0; i < SLOTS; i++)
		free_texts(&d->words[i]);
	free(d->words);
	free(d);
}

uint64_t dictionary_told(const struct dictionary *d)
{
	return d->told;
}

uint64_t dictionary_stored(const struct dictionary *d)
{
	return d->stored;
}

/* The word, made where there is none; NULL: no place. */
static struct word *word_of(struct dictionary *d, uint64_t principal, uint64_t now_ns)
{
	size_t at = hash_bytes(HASH_KEY_FIXED, &principal, sizeof principal) % SLOTS;
	struct word *room = NULL;
	for (size_t i = 0; i < PROBES; i++) {
		struct word *w = &d->words[(at + i) % SLOTS];
		if (w->principal == principal)
			return w;
		if (!w->principal) {
			room = room ? room : w;
			break;
		}
		if (!room && now_ns > w->used_ns && now_ns - w->used_ns > UNUSED_NS)
			room = w;
	}
	if (!room)
		return NULL;
	free_texts(room);
	*room = (struct word){.principal = principal, .used_ns = now_ns, .state = DICTIONARY_ASKED};
	return room;
}

static bool add_job(struct dictionary *d, uint64_t principal, bool tell)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		return false;
	j->principal = principal;
	j->tell = tell;
	*d->todo_end = j;
	d->todo_end = &j->next;
	return true;
}

/* ---- telling ---- */

static void list_texts(const struct owner_process *p, const char *ret[FIELDS])
{
	ret[FIELD_NUMBERS] = NULL;
	ret[FIELD_NAME] = p->name;
	ret[FIELD_ORIGINAL] = p->original_name;
	ret[FIELD_PATH] = p->path;
	ret[FIELD_COMMAND] = p->command_line;
	ret[FIELD_USER] = p->user;
	ret[FIELD_DEVICE] = p->device;
	ret[FIELD_SHA256] = p->sha256;
	ret[FIELD_PARENT] = p->parent_name;
}

static uint64_t content_of(const struct owner_process *p, uint64_t day)
{
	const char *texts[FIELDS];
	list_texts(p, texts);
	uint64_t sum[FIELDS + 4] = {day, p->pid, p->start_ns, p->parent_pid};
	for (size_t i = 0; i < FIELDS; i++)
		sum[4 + i] = texts[i] ? hash_bytes(HASH_KEY_FIXED, texts[i], strlen(texts[i])) : 0;
	return hash_bytes(HASH_KEY_FIXED, sum, sizeof sum) | 1;
}

void dictionary_tell(struct dictionary *d, uint64_t principal, const struct owner_process *process, uint64_t now_ns)
{
	uint64_t content = content_of(process, now_ns / DAY_NS);
	struct word *w = word_of(d, principal, now_ns);
	if (w) {
		w->used_ns = now_ns;
		if (w->told == content)
			return;
		w->told = content;
	}
	if (add_job(d, principal, true))
		d->told++;
}

static size_t put_key(char *buf, size_t size, uint64_t principal, uint64_t day)
{
	return (size_t)snprintf(buf, size, "leaktap:{%03u}:n:%" PRIu64, (unsigned)(principal & 255), day);
}

static int send_telling(struct dictionary *d, struct job *j, struct err *err)
{
	struct owner_process p;
	const char *texts[FIELDS];
	char key[48], numbers[80], keep[16], field[FIELDS][9];
	struct redis_arg argv[2 + 2 * FIELDS];
	if (!d->fn(d->ctx, j->principal, &p))
		return 0; /* gone since: nobody will be able to tell */
	list_texts(&p, texts);
	snprintf(numbers, sizeof numbers, "%" PRIu32 " %" PRIu64 " %" PRIu32, p.pid, p.start_ns, p.parent_pid);
	texts[FIELD_NUMBERS] = numbers;
	size_t n_key = put_key(key, sizeof key, j->principal, d->now_ns / DAY_NS), argc = 2;
	argv[0] = (struct redis_arg){"HSET", 4};
	argv[1] = (struct redis_arg){key, n_key};
	for (size_t i = 0; i < FIELDS; i++) {
		if (!texts[i] || !*texts[i])
			continue;
		uint64_t big = htobe64(j->principal);
		memcpy(field[i], &big, 8);
		field[i][8] = letters[i];
		argv[argc++] = (struct redis_arg){field[i], 9};
		argv[argc++] = (struct redis_arg){texts[i], strnlen(texts[i], MAX_TEXT)};
	}
	int n_keep = snprintf(keep, sizeof keep, "%d", KEEP_S);
	int rc = redis_append(d->redis, argc, argv, err);
	if (rc == 0)
		rc = redis_append(d->redis, 3, (struct redis_arg[]){{"EXPIRE", 6}, {key, n_key}, {keep, (size_t)n_keep}}, err);
	j->commands = 2;
	return rc;
}

/* ---- asking ---- */

static void set_text(char **text, const struct redis_reply *rr)
{
	if (redis_reply_type(rr) != REDIS_REPLY_STRING_ || *text)
		return;
	size_t n;
	const char *s = redis_reply_string(rr, &n);
	*text = strndup(s, n < MAX_TEXT ? n : MAX_TEXT);
}

static void take_answer(struct dictionary *d, uint64_t principal, const struct redis_reply *rr)
{
	struct word *w = word_of(d, principal, d->now_ns);
	if (!w || w->state != DICTIONARY_ASKED || redis_reply_type(rr) != REDIS_REPLY_ARRAY_ || redis_reply_count(rr) != FIELDS)
		return;
	if (w->under_way)
		w->under_way--;
	const struct redis_reply *numbers = redis_reply_at(rr, FIELD_NUMBERS);
	if (redis_reply_type(numbers) == REDIS_REPLY_STRING_) {
		sscanf(redis_reply_string(numbers, NULL), "%" SCNu32 " %" SCNu64 " %" SCNu32, &w->pid, &w->start_ns, &w->parent_pid);
		for (size_t i = FIELD_NAME; i < FIELDS; i++)
			set_text(&w->text[i], redis_reply_at(rr, i));
		w->state = DICTIONARY_FOUND;
	}
}

static int send_asking(struct dictionary *d, struct job *j, struct err *err)
{
	uint64_t day = d->now_ns / DAY_NS, big = htobe64(j->principal);
	char key[48], field[FIELDS][9];
	struct redis_arg argv[2 + FIELDS];
	argv[0] = (struct redis_arg){"HMGET", 5};
	for (size_t i = 0; i < FIELDS; i++) {
		memcpy(field[i], &big, 8);
		field[i][8] = letters[i];
		argv[2 + i] = (struct redis_arg){field[i], 9};
	}
	int rc = 0;
	for (uint64_t back = 0; back < 2 && rc == 0; back++) {
		argv[1] = (struct redis_arg){key, put_key(key, sizeof key, j->principal, day - back)};
		rc = redis_append(d->redis, 2 + FIELDS, argv, err);
	}
	j->commands = 2;
	return rc;
}

static void fill(const struct word *w, struct owner_process *ret)
{
	*ret = (struct owner_process){
		.principal = w->principal, .pid = w->pid, .start_ns = w->start_ns, .parent_pid = w->parent_pid,
		.name = w->text[FIELD_NAME], .original_name = w->text[FIELD_ORIGINAL], .path = w->text[FIELD_PATH],
		.command_line = w->text[FIELD_COMMAND], .user = w->text[FIELD_USER], .device = w->text[FIELD_DEVICE],
		.sha256 = w->text[FIELD_SHA256], .parent_name = w->text[FIELD_PARENT],
	};
}

enum dictionary_answer dictionary_find(struct dictionary *d, uint64_t principal, struct owner_process *ret, uint64_t now_ns)
{
	struct word *w = word_of(d, principal, now_ns);
	if (!w)
		return DICTIONARY_MISSING;
	w->used_ns = now_ns;
	if (w->state == DICTIONARY_FOUND) {
		fill(w, ret);
		return DICTIONARY_FOUND;
	}
	if (!w->asked_ns || now_ns - w->asked_ns > 60 * CLOCK_NS_PER_S) /* a new question */
		w->asked_ns = now_ns;
	if (now_ns - w->asked_ns >= GIVE_UP_NS)
		return DICTIONARY_MISSING;
	if (!w->under_way && now_ns >= w->next_ns && add_job(d, principal, false)) {
		w->under_way = 2;
		w->next_ns = now_ns + RETRY_NS;
	}
	return DICTIONARY_ASKED;
}

/* ---- the connection ---- */

/* What was under way is done again; both commands may be repeated. */
static void lose(struct dictionary *d)
{
	redis_close(d->redis);
	d->redis = NULL;
	if (d->sent) {
		*d->sent_end = d->todo;
		if (!d->todo)
			d->todo_end = d->sent_end;
		d->todo = d->sent;
	}
	d->sent = NULL;
	d->sent_end = &d->sent;
	d->backoff_ms = d->backoff_ms ? d->backoff_ms * 2 : 100;
	d->backoff_ms = d->backoff_ms < MAX_BACKOFF_MS ? d->backoff_ms : MAX_BACKOFF_MS;
	d->retry_ns = d->now_ns + d->backoff_ms * CLOCK_NS_PER_MS;
}

static int send_jobs(struct dictionary *d, struct err *err)
{
	while (d->todo && redis_outstanding(d->redis) < WINDOW) {
		struct job *j = d->todo;
		j->commands = 0;
		int rc = j->tell ? send_telling(d, j, err) : send_asking(d, j, err);
		if (rc)
			return rc;
		d->todo = j->next;
		if (!d->todo)
			d->todo_end = &d->todo;
		j->next = NULL;
		if (!j->commands) {
			d->stored++;
			free(j);
			continue;
		}
		*d->sent_end = j;
		d->sent_end = &j->next;
	}
	return redis_poll(d->redis, NULL, err);
}

static int take_reply(struct dictionary *d, const struct redis_reply *rr, struct err *err)
{
	struct job *j = d->sent;
	if (redis_reply_type(rr) == REDIS_REPLY_ERROR_)
		return err_set(err, LT_EREDIS, "Redis: %s", redis_reply_string(rr, NULL));
	if (!j)
		return 0;
	if (!j->tell)
		take_answer(d, j->principal, rr);
	if (--j->commands)
		return 0;
	d->stored += j->tell;
	d->sent = j->next;
	if (!d->sent)
		d->sent_end = &d->sent;
	free(j);
	return 0;
}

int dictionary_poll(struct dictionary *d, uint64_t now_ns, struct err *err)
{
	d->now_ns = now_ns;
	if (!d->todo && !d->sent)
		return 0;
	if (!d->redis && now_ns < d->retry_ns)
		return 0;
	int rc = d->redis ? 0 : redis_open(&d->redis, d->url, TIMEOUT_MS, err);
	if (rc)
		d->redis = NULL;
	if (rc == 0)
		rc = send_jobs(d, err);
	while (rc == 0 && d->sent) {
		struct redis_reply *rr;
		rc = redis_poll(d->redis, &rr, err);
		if (rc == 0)
			return 0;
		if (rc == 1) {
			rc = take_reply(d, rr, err);
			redis_reply_free(rr);
		}
		if (rc == 0)
			d->backoff_ms = 0;
		if (rc == 0)
			rc = send_jobs(d, err);
	}
	if (rc < 0)
		lose(d);
	return rc < 0 ? rc : 0;
}
