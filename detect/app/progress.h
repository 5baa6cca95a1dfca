/* progress: one line on standard error that says how far a long run is: rewritten in place on a terminal, else a line every 10 s. */
#ifndef LEAKTAP_DETECT_APP_PROGRESS_H
#define LEAKTAP_DETECT_APP_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

enum progress_mode { PROGRESS_OFF, PROGRESS_LINES, PROGRESS_TERMINAL };

struct progress {
	enum progress_mode mode;
	const char *what;
	uint64_t began_ns, told_ns;
	bool line_open; /* terminal: the cursor is behind our line */
};

/* what: "reading packets", ... Silent with mode OFF. now_ns is monotonic. */
void progress_begin(struct progress *p, enum progress_mode mode, const char *what, uint64_t now_ns);
/* done and total in bytes of input as stored (total 0: unknown), detail: "12,345 flows, 2 findings". force: tell now. */
void progress_tell(struct progress *p, uint64_t now_ns, uint64_t done_bytes, uint64_t total_bytes, const char *detail, bool force);
/* True when the next progress_tell would print: lets the caller skip making the detail. */
bool progress_due(const struct progress *p, uint64_t now_ns);
void progress_end(struct progress *p);

#endif
