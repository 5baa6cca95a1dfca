/* evparse: bytes of endpoint logs to procevents. Finds out what an origin is (NDJSON rows of Defender,
 * Sysmon, Security, winlogbeat ECS; streaming envelopes; {"Results":[...]} and {"records":[...]} documents;
 * CSV exports), frames rows, parses them.
 *
 * Pure: no I/O, no clock. One thread per evparse. A bad row is counted by reason, named (origin, line, field)
 * through note_fn, and costs nothing else. No row may exceed max_record_bytes, no JSON may nest deeper
 * than 32. */
#ifndef LEAKTAP_DISSECT_EVPARSE_H
#define LEAKTAP_DISSECT_EVPARSE_H

#include <stddef.h>
#include <stdint.h>

#include "capture/base/err.h"
#include "dissect/procevent.h"

#define EVPARSE_REASONS(X)                                                                                   \
	X(OVERSIZE, "oversize")                                                                              \
	X(NESTING, "nesting") X(SYNTAX, "syntax") X(DUP_KEY, "dup_key") X(ENCODING, "encoding")              \
	    X(NUL_IN_KEY, "nul") X(NOT_OBJECT, "not_object") X(UNKNOWN_ROW, "unknown_row")                   \
		X(NO_TIME, "no_time") X(BAD_TIME, "bad_time") X(BAD_ADDRESS, "bad_address")                  \
		    X(BAD_PORT, "bad_port") X(PORT_ZERO, "port_zero") X(BAD_NUMBER, "bad_number")            \
			X(NO_DEVICE, "no_device") X(BAD_COLUMNS, "bad_columns") X(CUT_SHORT, "cut_short")

enum evparse_reason {
#define X(name, text) EVPARSE_##name,
	EVPARSE_REASONS(X)
#undef X
	    EVPARSE_REASON_COUNT,
};
extern const char *const evparse_reason_names[EVPARSE_REASON_COUNT];

struct evparse_stats {
	uint64_t rows;                           /* rows framed */
	uint64_t accepted[PROCEVENT_KIND_COUNT]; /* events given to the callback */
	uint64_t rejected[EVPARSE_REASON_COUNT]; /* rows refused */
};

/* One rejected row: text is one printable line "file:line: field LocalPort: 70000 is not a port". */
typedef void evparse_note_fn(void *ctx, enum evparse_reason why, const char *text);

struct evparse_conf {
	/* For rows and exports without a zone; NULL: such exports are refused. "UTC", "Z", "+02:00", "-0400";
	 * or an IANA name, and then tzif holds the zone's TZif file, which the caller has loaded (dissect
	 * reads no files); borrowed only by evparse_new. */
	const char *zone;
	const void *tzif;
	size_t tzif_bytes;
	size_t max_record_bytes; /* 0 = 1 MiB */
	evparse_note_fn *note;   /* may be NULL */
	void *note_ctx;
};

struct evparse;

/* NULL only when out of memory or the zone is unknown (err, LT_ECONF). conf's strings are copied. */
struct evparse *evparse_new(const struct evparse_conf *conf, struct err *err);
void evparse_free(struct evparse *ep);

/* begin, feed..., end for each origin. feed and end return 0, or a negative code when the whole origin is
 * unusable (LT_EZONE: export without zone and no --tz; LT_EFORMAT: neither JSON nor CSV we know); the rest of
 * it is then ignored, and every call until the next begin returns that code again. stats.rows equals all
 * accepted plus all rejected. */
int evparse_begin(struct evparse *ep, const char *origin, struct err *err);
int evparse_feed(struct evparse *ep, const char *bytes, size_t n, procevent_fn *fn, void *ctx,
		 struct err *err);
int evparse_end(struct evparse *ep, procevent_fn *fn, void *ctx, struct err *err);

const struct evparse_stats *evparse_stats(const struct evparse *ep);

#endif
