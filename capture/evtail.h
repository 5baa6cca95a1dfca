/* evtail: one file that is followed: where reading stands in it, and how its content is known again after a rename, a copy, a
 * truncation, a reused inode or a restart.
 *
 * Content is known by two marks: a hash of its first 256 bytes and one of the 256 bytes before the place reached. A file is
 * append-only or it is another content. Only capture/evfollow.c and capture/evcheckpoint.c use this. One thread. */
#ifndef LEAKTAP_CAPTURE_EVTAIL_H
#define LEAKTAP_CAPTURE_EVTAIL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "capture/base/err.h"
#include "capture/evsource.h"

enum { EVTAIL_MARK_BYTES = 256, EVTAIL_HEAD_LINE_BYTES = 65536 };

struct evmark {
	uint64_t hash;
	uint16_t n; /* bytes it covers, at most EVTAIL_MARK_BYTES; 0: none */
};

/* Of a compressed file: offsets in what comes out. */
struct evplace {
	uint64_t offset;
	uint64_t partial;  /* how many of the bytes before are of a line whose newline has not come */
	struct evmark last;
};

enum evtail_state {
	EVTAIL_CHECK,  /* from a checkpoint: its content is yet to be compared */
	EVTAIL_NEW,    /* just found: may continue another content */
	EVTAIL_READ,   /* being read */
	EVTAIL_PAST,   /* no file any more, only the memory of how far it was read */
};

struct evtail {
	char *path;
	uint32_t id;            /* names it in positions not yet confirmed */
	uint8_t state, form;    /* form: enum evsource_form; 0 not known yet */
	bool named;             /* the last scan saw it */
	bool packed;            /* gzip or zstd */
	uint64_t dev, ino;
	struct evmark head;
	struct evplace at, confirmed;
	uint8_t last[EVTAIL_MARK_BYTES]; /* the at.last.n bytes before at.offset */
	int fd;                 /* -1 closed */
	struct zfile *z;        /* packed, while it is visited */
	uint64_t size, mtime_ns; /* as stored, at the last scan */
	uint64_t changed_ns;    /* monotonic: when those last changed */
	uint64_t held_size;     /* the visit that ended here left an unfinished line or damage */
	uint64_t used_ns;
	bool sibling;           /* not asked for: taken up only where it continues what was */
	uint64_t judged;        /* NEW: contents known when it was last compared, 0 not yet */
};

struct evtail *evtail_new(const char *path, uint32_t id); /* NULL: out of memory */
void evtail_free(struct evtail *t);
void evtail_close(struct evtail *t); /* its files only */

/* Opens and finds out whether it is packed; the marks are not looked at. */
int evtail_open(struct evtail *t, struct err *err);
/* The first bytes as they come out; at most n. */
ssize_t evtail_peek(struct evtail *t, void *ret_bytes, size_t n);
bool evtail_begins(const struct evmark *head, const uint8_t *bytes, size_t n);
/* The head's mark covers as much as there is. */
void evtail_learn_head(struct evtail *t);
/* Does what the file holds begin with head, and is last what lies before offset? 1 yes, 0 no, negative errno. */
int evtail_matches(struct evtail *t, const struct evmark *head, const struct evplace *place);
/* Places reading; the bytes before are read again for the mark. Packed: everything before is decompressed. */
int evtail_seek(struct evtail *t, uint64_t offset, struct err *err);
/* Reads on from at.offset without moving it: > 0, 0 end for now, negative. */
ssize_t evtail_read(struct evtail *t, const atomic_bool *stop, void *bytes, size_t n, struct err *err);
/* Moves at.offset behind bytes just read. */
void evtail_advance(struct evtail *t, const uint8_t *bytes, size_t n);
/* Is the content before at.offset still what was read? Plain files. */
bool evtail_intact(struct evtail *t);
/* at with its mark worked out. */
struct evplace evtail_place(const struct evtail *t);

#endif
