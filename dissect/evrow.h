/* evrow: one framed row as named fields, whatever wrote it: JSON objects (several, looked through in order),
 * pairs (CSV columns, XML <Data>), ECS paths. Readers are typed and, like bytes, fail stickily: the first
 * fault is kept with its field and value, later ones do not hide it, and the caller asks once at the end.
 *
 * Absent, null, "" and "-" are one thing: absent. */
#ifndef LEAKTAP_DISSECT_EVROW_H
#define LEAKTAP_DISSECT_EVROW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dissect/evparse.h"
#include "dissect/evtime.h"
#include "dissect/evzone.h"
#include "dissect/jsondoc.h"
#include "dissect/procevent.h"
#include "dissect/scratch.h"
#include "dissect/slice.h"

struct evrow_field {
	struct slice name, text;
	bool utc; /* the column's head says its times are UTC */
};

struct evrow_fault {
	enum evparse_reason why; /* EVPARSE_REASON_COUNT: none */
	const char *field;       /* "" when it is the row as a whole */
	struct slice value;
	const char *what; /* "is not a port" */
};

struct evrow_table {
	const struct evrow_field *fields;
	size_t n;
};

enum { EVROW_MAX_OBJECTS = 3, EVROW_MAX_TABLES = 2 };

struct evrow {
	struct evrow_table tables[EVROW_MAX_TABLES]; /* asked first, in order */
	size_t n_tables;
	const struct json_t *objects[EVROW_MAX_OBJECTS]; /* asked next, in order */
	size_t n_objects;
	const struct json_t *ecs;  /* asked last, by path; NULL if the row is not ECS */
	const struct evzone *zone; /* for times without one; NULL: none given */
	struct scratch *scratch;
	struct json_t *embedded; /* owned by row: JSON found inside a text */
	struct slice raw;
	bool is_csv;
	bool zone_missing; /* a time that the row needs has no zone and none was given */
	bool out_of_memory;
	struct evrow_fault fault;
};

enum evrow_kind { EVROW_ABSENT, EVROW_TEXT, EVROW_INT, EVROW_REAL, EVROW_BOOL, EVROW_TREE };

struct evrow_value {
	enum evrow_kind kind;
	struct slice text;
	int64_t number; /* also 0/1 of a bool */
	const struct json_t *tree;
	bool utc;
};

/* Put before what is asked already; more than there is room for is a fault. */
void evrow_add_object(struct evrow *row, const struct json_t *object);
void evrow_add_table(struct evrow *row, const struct evrow_field *fields, size_t n);

/* The first fault stays. value may be empty. */
void evrow_fail(struct evrow *row, enum evparse_reason why, const char *field, struct slice value,
		const char *what);
bool evrow_failed(const struct evrow *row);

/* name as the source writes it; path its ECS name. Either may be NULL, here and below. */
struct evrow_value evrow_find(const struct evrow *row, const char *name, const char *path);

/* Node at a dotted path, whether nested or with dots in its keys; NULL if there is none. */
const struct json_t *evrow_path(const struct json_t *root, const char *path);

bool evrow_has(const struct evrow *row, const char *name, const char *path);

/* Text as written, numbers in decimal; empty if absent or of another kind. May hold NUL. */
struct slice evrow_text(struct evrow *row, const char *name, const char *path);

/* A text that identifies something: fails (NUL_IN_KEY) on NUL. */
struct slice evrow_key(struct evrow *row, const char *name, const char *path);

/* Decimal or 0x; 0 if absent; fails (BAD_NUMBER) on anything else and above max. */
uint64_t evrow_number(struct evrow *row, const char *name, const char *path, uint64_t max);

/* The same of one node; field is for the message. */
uint64_t evrow_number_of(struct evrow *row, const char *field, const struct json_t *node, uint64_t max);

/* -1 if absent; fails (BAD_PORT). */
int evrow_port(struct evrow *row, const char *name, const char *path);

/* Family 0 if absent; ::ffff: turned to IPv4, zone ids dropped; fails (BAD_ADDRESS). */
struct facts_addr evrow_address(struct evrow *row, const char *name, const char *path);

/* A time that may be missing, broken or without a zone: 0 then. */
uint64_t evrow_time_maybe(struct evrow *row, const char *name, const char *path);

/* A time the row cannot do without, if it is there: false if absent, else fails (BAD_TIME) or gives UTC.
 * Flags tell FLOORED and, for an hour that occurs twice, ZONE_UNKNOWN. Without zone: zone_missing is set and
 * the time is given as if UTC. */
bool evrow_time(struct evrow *row, const char *name, const char *path, uint64_t *ret_ns, uint16_t *ret_flags);

/* The stamp as written, for who compares stamps of one row. */
bool evrow_stamp(const struct evrow *row, const char *name, const char *path, struct evtime *ret);

/* JSON inside a text of this row, at most one; lives as long as the row. NULL and a fault if it is no JSON.
 */
const struct json_t *evrow_embed(struct evrow *row, const char *field, struct slice text);

/* Frees what the row owns. */
void evrow_close(struct evrow *row);

/* printf of up to 511 bytes into scratch; empty and out_of_memory set when memory is out. */
__attribute__((format(printf, 2, 3))) struct slice evrow_print(struct evrow *row, const char *fmt, ...);

#endif
