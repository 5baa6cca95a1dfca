/* owner: what the join says of one side of one flow. Page "join", opening: the closed set of outcomes. */
#ifndef LEAKTAP_DETECT_ATTRIB_OWNER_H
#define LEAKTAP_DETECT_ATTRIB_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OWNER_OUTCOMES(X) X(UNATTRIBUTED, "unattributed") X(ATTRIBUTED, "attributed") X(AMBIGUOUS, "ambiguous")
enum owner_outcome {
#define X(name, text) OWNER_##name,
	OWNER_OUTCOMES(X)
#undef X
	OWNER_OUTCOME_COUNT,
};

/* Cause of U; for attributed rows why the grade is not higher. NONE is told as absent. */
#define OWNER_CAUSES(X)                                                                                        \
	X(NONE, "") X(NO_EVENT, "no_event") X(ENDPOINT_SILENT, "endpoint_silent")                              \
	X(CONNECT_BEFORE_CAPTURE, "connect_before_capture") X(NAT_OR_PROXY, "nat_or_proxy") X(LATE, "late")    \
	X(NOT_JOINED, "not_joined") X(NO_ENDPOINT_INPUT, "no_endpoint_input")                                  \
	X(UNCALIBRATED, "uncalibrated_clock") X(TIME_APART, "time_apart") X(NO_REMOTE, "remote_missing")       \
	X(AGGREGATED, "aggregated_report") X(INFERRED, "dedup_inferred") X(RIVALS, "rivals")
enum owner_cause {
#define X(name, text) OWNER_CAUSE_##name,
	OWNER_CAUSES(X)
#undef X
	OWNER_CAUSE_COUNT,
};
extern const char *const owner_outcome_names[OWNER_OUTCOME_COUNT];
extern const char *const owner_cause_names[OWNER_CAUSE_COUNT];

enum { OWNER_MAX_CANDIDATES = 8, OWNER_MAX_EVIDENCE = 4 };

/* Known process, strings owned by the process table that handed it out. NULL = unknown. */
struct owner_process {
	uint64_t principal;   /* 0: none; 64-bit id of (device, process instance) */
	const char *name, *original_name, *path, *command_line, *user, *device, *sha256;
	uint64_t start_ns;
	uint32_t pid;
	const char *parent_name;
	uint32_t parent_pid;
	uint64_t parent_principal;
};

struct owner_evidence {
	const char *source; /* "mde", "sysmon", "security" */
	const char *id;     /* the endpoint event's id */
	const char *key;    /* "5tuple", "ip_port", "aggregated", "destination" */
	double delta_ms;    /* event - flow start, as written */
	double corrected_ms; /* after the clock's correction; equals delta_ms where there is none */
};

struct owner {
	uint8_t outcome, cause; /* enums above */
	char grade;             /* 'A'..'D', 'U' */
	uint16_t rivals;        /* other processes with the same evidence */
	struct owner_process process; /* ATTRIBUTED */
	struct owner_process candidates[OWNER_MAX_CANDIDATES]; /* AMBIGUOUS */
	size_t n_candidates;
	struct owner_evidence evidence[OWNER_MAX_EVIDENCE];
	size_t n_evidence;
};

/* Nobody. What the counts leave out is not cleared: most flows have no owner, and an owner is a kilobyte. */
static inline void owner_none(struct owner *ret, enum owner_cause cause)
{
	ret->outcome = OWNER_UNATTRIBUTED;
	ret->cause = (uint8_t)cause;
	ret->grade = 'U';
	ret->rivals = 0;
	ret->process = (struct owner_process){0};
	ret->n_candidates = ret->n_evidence = 0;
}

#endif
