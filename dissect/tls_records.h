/* tls_records: what each TLS record of a direction means for its count of application bytes; behind tls_app.
 * Room-internal. */
#ifndef LEAKTAP_DISSECT_TLS_RECORDS_H
#define LEAKTAP_DISSECT_TLS_RECORDS_H

#include "dissect/tls_app.h"
#include "dissect/tls_cipher.h"

/* tls_app_dir.phase: mode in bits 0-1, stage in 2-3, a count of records in the stage in 4-7. */
enum tls_records_mode { MODE_START, MODE_SYNC, MODE_LOST, MODE_OFF };
enum tls_records_stage { STAGE_HELLO, STAGE_FLIGHT, STAGE_CERT, STAGE_OPEN };
enum {
	PHASE_MODE = 0x03,
	PHASE_STAGE = 0x0c,
	PHASE_STAGE_SHIFT = 2,
	PHASE_COUNT = 0xf0,
	PHASE_COUNT_ONE = 0x10
};

/* tls_app_dir.flags: the low three for either direction; the others belong to the connection and live in
 * dir[0] or dir[1]. */
enum {
	FLAG_HELD = 0x01, /* the pool has pieces of this direction */
	FLAG_ESTIMATED = 0x02,
	FLAG_CCS = 0x04, /* change_cipher_spec went by */
	FLAG0_EARLY_OFFERED = 0x08,
	FLAG0_EARLY_SEEN = 0x10,
	FLAG0_SHA384 = 0x20,
	FLAG0_IV = 0x40,          /* TLS 1.1 and later: an explicit IV with CBC */
	FLAG0_CLIENT_CERT = 0x80, /* the client's flight had a certificate */
	FLAG1_SWAPPED = 0x08,     /* the responder is the TLS client */
	FLAG1_KIND_SHIFT = 4,     /* enum tls_cipher_kind in the upper half */
};

/* tls_app_dir.state: in MODE_SYNC the data bytes of the record that ends at next; in MODE_LOST how far into
 * an assumed record we are. */

enum { TLS_RECORDS_HEADER_BYTES = 5, TLS_RECORDS_TYPE_DATA = 23, TLS_RECORDS_MAX_NEED = 80 };

static inline enum tls_records_mode tls_records_mode(const struct tls_app_dir *d)
{
	return (enum tls_records_mode)(d->phase & PHASE_MODE);
}

static inline void tls_records_mode_set(struct tls_app_dir *d, enum tls_records_mode mode)
{
	d->phase = (uint8_t)((unsigned)(d->phase & (0xff - PHASE_MODE)) | mode);
	d->state = 0;
	if (mode == MODE_LOST)
		d->flags |= FLAG_ESTIMATED;
}

static inline enum tls_cipher_kind tls_records_kind(const struct tls_app *ta)
{
	return (enum tls_cipher_kind)(ta->dir[1].flags >> FLAG1_KIND_SHIFT);
}

/* The ServerHello was read, nothing was inferred. */
static inline bool tls_records_kind_is_seen(const struct tls_app *ta)
{
	return tls_records_kind(ta) > TLS_CIPHER_INFERRED_12;
}

/* Whether bytes from position on lie wholly inside a record whose header was read: then there is nothing to do. */
static inline bool tls_records_inside(const struct tls_app_dir *d, uint32_t position, uint32_t bytes)
{
	const enum tls_records_mode mode = tls_records_mode(d);
	return mode == MODE_OFF || (mode == MODE_SYNC && !(d->flags & FLAG_HELD) && (uint64_t)position + bytes < d->next);
}

/* Five bytes that a record can begin with. */
bool tls_records_is_header(const uint8_t *p);
/* The first record of a direction, 6 bytes of it; false when it is not TLS. */
bool tls_records_begin(struct tls_app *ta, unsigned dir, const uint8_t *p);
/* p[0..n): contiguous from next. Steps over one record header and returns 0, or returns how many bytes it
 * needs to see: more than n, at most TLS_RECORDS_MAX_NEED. last: no more of them will ever be seen. */
uint32_t tls_records_step(struct tls_app *ta, unsigned dir, const uint8_t *p, uint32_t n, bool last);
/* n bytes from next on in which no header is known: counted as full records. */
void tls_records_lost(struct tls_app *ta, unsigned dir, uint32_t n);

#endif
