/* rule: the interface of a rule and the one list. A rule looks at an episode - what one owner sent to one
 * destination without a long pause - and says whether it fires and which flows support it. To add one:
 * detect/rule_x.c, a line in rule.c, a test. */
#ifndef LEAKTAP_DETECT_RULE_H
#define LEAKTAP_DETECT_RULE_H

#include "detect/judge.h"
#include "detect/ledger.h"
#include "detect/peers.h"

enum rule_id {
	RULE_VOLUME = 1001,
	RULE_LOLBIN = 1002,
	RULE_ARCHIVE = 1003,
	RULE_UNKNOWN = 1004,
	RULE_DRIP = 1005,
	RULE_PROTOCOL = 1006
};

/* One owner's parts to one destination, by start; no pause as long as judge_limits.episode_gap_ns in it. For
 * 1005: one device's. */
struct episode {
	const struct ledger *ledger;
	struct part **parts;
	size_t n;
	uint64_t first_ns, last_ns;
};

struct rule_view {
	const struct judge_limits *limits;
	struct attrib *attrib;           /* NULL: no endpoint input */
	const struct group *group;       /* everything this device sent to this destination */
	struct part *const *group_parts; /* its parts, by start */
	size_t n_group_parts;
	const struct peers *peers; /* who spoke SMB to whom since when */
	uint64_t begin_ns;         /* first flow the judge saw */
};

struct rule;

struct rule_hit {
	const struct rule *rule;
	uint64_t bytes, window_ns; /* what met the limit */
	uint64_t from_ns, to_ns;
	uint64_t share_bytes;          /* of bytes: this episode's */
	size_t count;                  /* flows or uploads */
	const struct part *part;       /* the flow that tells most */
	struct attrib_archive archive; /* 1003 */
	uint64_t upload_ns;            /* 1003: when the upload after it began, 0: in the same minute */
};

enum { RULE_REASON_SIZE = 384 };

struct rule {
	uint32_t id;
	uint8_t severity; /* 1 high .. 3 low */
	bool of_device;   /* asked once for all of a device's parts, and only of those that nothing else fired
			     on */
	const char *title;
	const char *technique; /* added to the destination's, "" if none */
	/* supports[i] is set for every part that is evidence; all false at the call. */
	bool (*fires)(const struct rule_view *view, const struct episode *ep, bool *supports,
		      struct rule_hit *ret_hit);
	void (*explain)(const struct rule_hit *hit, char ret_text[RULE_REASON_SIZE]);
};

extern const struct rule rule_volume, rule_lolbin, rule_archive, rule_unknown, rule_drip, rule_protocol;
extern const struct rule *const rules[]; /* NULL-terminated */

/* Graver first: severity, then the rule that says more (higher id). For qsort of struct rule_hit. */
int rule_graver(const void *a, const void *b);

/* The most bytes that the group's wanted parts sent in window_ns (whole minutes) with at least limit_bytes,
 * among the windows that end in a minute in which the episode sent something itself; with by_share also among
 * those of which a tenth or more is the episode's. */
struct rule_peak {
	uint64_t bytes, own_bytes, from_ns, to_ns;
};
bool rule_peak(const struct rule_view *view, const struct episode *ep, bool (*wanted)(const struct part *p),
	       uint64_t window_ns, uint64_t limit_bytes, bool by_share, struct rule_peak *ret);
/* Sets supports for the episode's wanted parts that sent something within peak; tells how many. */
size_t rule_support(const struct episode *ep, bool (*wanted)(const struct part *p),
		    const struct rule_peak *peak, bool *supports);
/* The part with the most application bytes (payload where unknown) among those supported. */
const struct part *rule_largest(const struct episode *ep, const bool *supports);
/* 1003: from the archive to the upload, "1.5 s" or "less than a minute", into a buffer of at least 32. */
const char *rule_archive_span(char *buf, const struct rule_hit *hit);
/* "10.0 MiB" into a buffer of at least 32. */
const char *rule_size_text(char *buf, uint64_t bytes);
/* "10 min", "24 h", "1.5 s" into a buffer of at least 32. */
const char *rule_span_text(char *buf, uint64_t ns);
/* On the list of script hosts and living-off-the-land binaries: by its original file name where known. */
bool rule_is_lolbin(const struct owner_process *p);

#endif
