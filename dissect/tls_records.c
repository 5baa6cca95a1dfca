#include "dissect/tls_records.h"

#include <string.h>

#include "dissect/bytes.h"

/* How the figure is made.
 *
 * Each direction is walked from record header to record header. `next` is the position of the next one;
 * bodies are stepped over, so bytes lost inside a body cost nothing. A record counts when its last byte has
 * gone by.
 *
 * TLS 1.2 and before: records of type application_data, less what the cipher suite adds. Exact but for CBC
 * padding (average). TLS 1.3: everything encrypted is of type application_data, so
 *  - the client's first flight is recognised by lengths: a record of exactly a Finished (4 + hash + overhead)
 * ends it; before it may come EndOfEarlyData, an empty Certificate (small records), or a Certificate and
 * CertificateVerify (a record of 300 bytes or more, then one of a signature's length). A flight that is
 * packed into one record is noticed by the next record's length.
 *  - the server's records count from the client's Finished on, or where that is not seen, from the end of its
 * own flight by the same rule, or after 64 KiB, which no certificate chain reaches. 0.5-RTT data is left out.
 *  - a record with room for two bytes is an alert (close_notify). Two equal records of a ticket's size right
 * after the handshake are tickets, and once more two; with a client certificate, which a ticket then holds,
 * they may be larger. A first record of a usual ticket's size is one too as soon as data follows it: alone it
 * is taken for the answer. After a server's flight without a certificate, which is a resumption, one is enough.
 * KeyUpdate (5 bytes) cannot be told from the last chunk of an HTTP body and counts.
 *  - early data counts, unless no EndOfEarlyData followed: then it was refused and is sent again.
 * Together that is less than 1 KB off.
 *
 * Where a header was lost or not captured (MODE_LOST) the bytes count as full records until a header is found
 * again: application_data, a sensible length, and another header behind it as far as the segment shows. */

enum {
	TYPE_CCS = 20,
	TYPE_ALERT = 21,
	TYPE_HANDSHAKE = 22,
	TYPE_DATA = TLS_RECORDS_TYPE_DATA,
	TYPE_HEARTBEAT = 24,
	HEADER_BYTES = TLS_RECORDS_HEADER_BYTES,
	MAX_RECORD = 16384 + 2048, /* RFC 5246 6.2.3 */
	FULL_RECORD = 16384,
	HELLO_NEED = 9 + 35, /* record header, handshake header, version, random, session id length */
	HELLO_MAX_SESSION_ID = 32,
	CERT_MIN = 300, /* no Certificate message with a chain is smaller, no EncryptedExtensions as large */
	FLIGHT_MAX_SMALL = 4,
	FLIGHT_MAX_BYTES = 65536,
	TICKET_MIN = 100,
	TICKET_MAX = 1300,
	TICKET_MAX_CLIENT_CERT = 6144,
	TICKET_MAX_ALONE = 600,
	TICKET_SINGLE_MIN = 130, /* data bytes of the record that holds a lone ticket */
	TICKET_SINGLE_MAX = 270,
	TICKET_RECORDS = 4, /* of the server's first records may be */
	COUNT_RESUMED = 15 * PHASE_COUNT_ONE,
};

/* SHA-256 of "HelloRetryRequest", RFC 8446 4.1.3 */
static const uint8_t retry_random[32] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c,
					 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb,
					 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static enum tls_records_stage stage_of(const struct tls_app_dir *d)
{
	return (enum tls_records_stage)((d->phase & PHASE_STAGE) >> PHASE_STAGE_SHIFT);
}

/* A new stage starts its count at 0. */
static void stage_set(struct tls_app_dir *d, enum tls_records_stage stage)
{
	d->phase = (uint8_t)((d->phase & PHASE_MODE) | (unsigned)stage << PHASE_STAGE_SHIFT);
}

static unsigned count_of(const struct tls_app_dir *d)
{
	return d->phase >> 4;
}

static void count_up(struct tls_app_dir *d)
{
	if ((d->phase & PHASE_COUNT) != PHASE_COUNT)
		d->phase = (uint8_t)(d->phase + PHASE_COUNT_ONE);
}

static unsigned client_of(const struct tls_app *ta)
{
	return ta->dir[1].flags & FLAG1_SWAPPED ? 1 : 0;
}

static uint32_t overhead_of(const struct tls_app *ta)
{
	return tls_cipher_overhead(tls_records_kind(ta), ta->dir[0].flags & FLAG0_IV);
}

static void kind_set(struct tls_app *ta, enum tls_cipher_kind kind)
{
	ta->dir[1].flags = (uint8_t)((ta->dir[1].flags & 0x0fu) | (unsigned)kind << FLAG1_KIND_SHIFT);
	for (unsigned i = 0; i < 2; i++) {
		struct tls_app_dir *d = &ta->dir[i];
		if (!tls_cipher_is_13(kind))
			stage_set(d, STAGE_OPEN);
		else if (stage_of(d) == STAGE_HELLO)
			d->phase =
			    (uint8_t)(d->phase | STAGE_FLIGHT << PHASE_STAGE_SHIFT); /* the count stays */
	}
}

static void retry(struct tls_app *ta)
{
	struct tls_app_dir *client = &ta->dir[client_of(ta)];
	/* A server that asks for another hello has refused early data. */
	if (ta->dir[0].flags & FLAG0_EARLY_SEEN)
		client->app_bytes = client->state = 0;
	ta->dir[0].flags &= (uint8_t)~FLAG0_EARLY_OFFERED;
	count_up(client);
}

void tls_app_server_hello(struct tls_app *ta, uint16_t version, uint16_t cipher)
{
	if (tls_records_kind_is_seen(ta))
		return;
	if (cipher == 0x1302)
		ta->dir[0].flags |= FLAG0_SHA384;
	if (version >= 0x0302)
		ta->dir[0].flags |= FLAG0_IV;
	kind_set(ta, tls_cipher_kind_of(cipher));
}

void tls_app_offers_early_data(struct tls_app *ta)
{
	ta->dir[0].flags |= FLAG0_EARLY_OFFERED;
}

/* p: a record that starts with a ServerHello. The suites of TLS 1.3 are used by no other version, so that
 * supported_versions, which may lie beyond what was captured, is not needed. */
static void server_hello_read(struct tls_app *ta, const uint8_t *p, size_t n)
{
	struct bytes b = bytes_of(p + 9, n - 9);
	uint16_t version = bytes_u16(&b);
	const uint8_t *random = bytes_take(&b, sizeof retry_random);
	bytes_skip(&b, bytes_u8(&b));
	uint16_t cipher = bytes_u16(&b);
	if (b.failed)
		return;
	if (memcmp(random, retry_random, sizeof retry_random) == 0)
		retry(ta);
	else
		tls_app_server_hello(ta, version, cipher);
}

/* How many bytes of the server's record must be there before it is stepped over. */
static uint32_t hello_need(const uint8_t *p, uint32_t n, uint32_t record)
{
	if (n < 6)
		return 6;
	if (p[5] != 2 || (n >= HELLO_NEED && p[HELLO_NEED - 1] > HELLO_MAX_SESSION_ID))
		return HEADER_BYTES;
	uint32_t need = n < HELLO_NEED ? HELLO_NEED : HELLO_NEED + p[HELLO_NEED - 1] + 2u;
	return need < HEADER_BYTES + record ? need : HEADER_BYTES + record;
}

/* Handshake messages in the clear that TLS 1.3 does not have: Certificate, ServerKeyExchange,
 * CertificateRequest, ServerHelloDone, ClientKeyExchange, CertificateStatus. */
static bool says_tls12(uint8_t handshake)
{
	return (handshake >= 11 && handshake <= 14) || handshake == 16 || handshake == 22;
}

static void handshake_record(struct tls_app *ta, struct tls_app_dir *d, const uint8_t *p, uint32_t n,
			     uint32_t length)
{
	if (tls_records_kind(ta) != TLS_CIPHER_UNKNOWN)
		return;
	const bool clear = !(d->flags & FLAG_CCS);
	/* After change_cipher_spec a short handshake record is TLS 1.2's Finished; a second ClientHello is
	 * longer. */
	if (clear ? n > 5 && says_tls12(p[5]) : length <= 100)
		kind_set(ta, TLS_CIPHER_INFERRED_12);
}

static bool is_finished(const struct tls_app *ta, uint32_t length)
{
	uint32_t short_one = 4 + 32 + overhead_of(ta), long_one = 4 + 48 + overhead_of(ta);
	if (!tls_records_kind_is_seen(ta))
		return length == short_one || length == long_one;
	return length == (ta->dir[0].flags & FLAG0_SHA384 ? long_one : short_one);
}

/* CertificateVerify: 8 bytes and a signature by ECDSA (DER, three curves), EdDSA, RSA of 2048 to 8192 bits,
 * ML-DSA. */
static bool is_certificate_verify(uint32_t inner)
{
	static const struct {
		uint16_t from, to;
	} sizes[] = {{64, 64},   {67, 72},   {99, 104},    {114, 114},   {133, 139},   {256, 256},
		     {384, 384}, {512, 512}, {1024, 1024}, {2420, 2420}, {3309, 3309}, {4627, 4627}};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		if (inner >= 8u + sizes[i].from && inner <= 8u + sizes[i].to)
			return true;
	return false;
}

enum flight { FLIGHT_INSIDE, FLIGHT_ENDS, FLIGHT_BEHIND };

/* Where the next encrypted record stands in a handshake flight of TLS 1.3. */
static enum flight flight_take(const struct tls_app *ta, struct tls_app_dir *d, uint32_t length)
{
	if (is_finished(ta, length))
		return FLIGHT_ENDS;
	if (stage_of(d) == STAGE_CERT)
		return length > overhead_of(ta) && is_certificate_verify(length - overhead_of(ta))
			   ? FLIGHT_INSIDE
			   : FLIGHT_BEHIND;
	if (length >= CERT_MIN) {
		stage_set(d, STAGE_CERT);
		return FLIGHT_INSIDE;
	}
	count_up(d);
	return count_of(d) > FLIGHT_MAX_SMALL ? FLIGHT_BEHIND : FLIGHT_INSIDE;
}

static uint32_t data_in(const struct tls_app *ta, uint32_t length)
{
	uint32_t overhead = overhead_of(ta);
	if (length <= overhead || (tls_cipher_is_13(tls_records_kind(ta)) && length == overhead + 2))
		return 0;
	return length - overhead;
}

static void handshake_over(struct tls_app *ta)
{
	struct tls_app_dir *server = &ta->dir[!client_of(ta)];
	const bool resumed = stage_of(server) == STAGE_FLIGHT && server->next && tls_records_kind_is_seen(ta);
	stage_set(&ta->dir[0], STAGE_OPEN);
	stage_set(&ta->dir[1], STAGE_OPEN);
	if (resumed)
		server->phase |= COUNT_RESUMED;
}

static uint32_t client_data(struct tls_app *ta, struct tls_app_dir *d, uint32_t length)
{
	const bool early =
	    ta->dir[0].flags & FLAG0_EARLY_SEEN && count_of(d) == 0 && stage_of(d) == STAGE_FLIGHT;
	if (early && is_finished(ta, length))
		d->app_bytes = 0; /* no EndOfEarlyData: refused */
	if (early && !is_finished(ta, length)) {
		if (length != 4 + overhead_of(ta))
			return data_in(ta, length);
		count_up(d); /* EndOfEarlyData */
		return 0;
	}
	enum flight at = flight_take(ta, d, length);
	if (stage_of(d) == STAGE_CERT)
		ta->dir[0].flags |= FLAG0_CLIENT_CERT;
	if (at == FLIGHT_INSIDE)
		return 0;
	handshake_over(ta);
	return at == FLIGHT_BEHIND ? data_in(ta, length) : 0;
}

static uint32_t server_data(struct tls_app *ta, struct tls_app_dir *d, uint32_t length)
{
	enum tls_records_mode client = tls_records_mode(&ta->dir[client_of(ta)]);
	if (client != MODE_START && client != MODE_OFF) {
		if (length >= CERT_MIN)
			stage_set(d, STAGE_CERT);
		if (d->next < FLIGHT_MAX_BYTES)
			return 0;
		d->flags |= FLAG_ESTIMATED;
		stage_set(d, STAGE_OPEN);
		return data_in(ta, length);
	}
	enum flight at = flight_take(ta, d, length);
	if (at != FLIGHT_INSIDE)
		stage_set(d, STAGE_OPEN);
	return at == FLIGHT_BEHIND ? data_in(ta, length) : 0;
}

/* The server's record is a ticket or the second of a pair of them. */
static bool is_ticket(const struct tls_app *ta, const struct tls_app_dir *d, uint32_t length, uint32_t data)
{
	const uint32_t max = ta->dir[0].flags & FLAG0_CLIENT_CERT ? TICKET_MAX_CLIENT_CERT : TICKET_MAX;
	const unsigned before = count_of(d);
	if (!tls_cipher_is_13(tls_records_kind(ta)) || length < TICKET_MIN || length > max)
		return false;
	if (before == COUNT_RESUMED / PHASE_COUNT_ONE)
		return length <= TICKET_MAX_ALONE;
	return before < TICKET_RECORDS && before % 2 && d->app_bytes == data;
}

/* What counts so far is one record, and data follows it: a server that gives one ticket. */
static bool was_ticket(const struct tls_app *ta, const struct tls_app_dir *d, uint32_t data)
{
	return tls_cipher_is_13(tls_records_kind(ta)) && data && count_of(d) == 1 &&
	       d->app_bytes >= TICKET_SINGLE_MIN && d->app_bytes <= TICKET_SINGLE_MAX;
}

/* Data of a server's record once the handshake is over: session tickets come first and in pairs of one size.
 */
static uint32_t server_open(struct tls_app *ta, struct tls_app_dir *d, uint32_t length)
{
	const uint32_t data = data_in(ta, length);
	const bool ticket = is_ticket(ta, d, length, data), single = was_ticket(ta, d, data);
	if (count_of(d) == COUNT_RESUMED / PHASE_COUNT_ONE) {
		stage_set(d, STAGE_OPEN);
		d->phase |= TICKET_RECORDS * PHASE_COUNT_ONE; /* no second chance */
	} else if (count_of(d) < TICKET_RECORDS) {
		count_up(d);
	}
	if (ticket || single)
		d->app_bytes = 0;
	return ticket ? 0 : data;
}

/* Data bytes of an application_data record. */
static uint32_t data_record(struct tls_app *ta, unsigned dir, uint32_t length)
{
	struct tls_app_dir *d = &ta->dir[dir];
	const bool client = dir == client_of(ta);
	if (tls_records_kind(ta) == TLS_CIPHER_UNKNOWN) {
		if (client && ta->dir[0].flags & FLAG0_EARLY_OFFERED) {
			ta->dir[0].flags |= FLAG0_EARLY_SEEN;
			return data_in(ta, length);
		}
		kind_set(ta, TLS_CIPHER_INFERRED_13);
	}
	if (stage_of(d) == STAGE_OPEN)
		return client ? data_in(ta, length) : server_open(ta, d, length);
	return client ? client_data(ta, d, length) : server_data(ta, d, length);
}

bool tls_records_is_header(const uint8_t *p)
{
	uint32_t length = (uint32_t)p[3] << 8 | p[4];
	return p[0] >= TYPE_CCS && p[0] <= TYPE_HEARTBEAT && p[1] == 3 && p[2] <= 4 && length &&
	       length <= MAX_RECORD;
}

/* The first record of a direction: a hello tells who is the client; anything else is a connection picked up
 * in the middle. */
bool tls_records_begin(struct tls_app *ta, unsigned dir, const uint8_t *p)
{
	struct tls_app_dir *d = &ta->dir[dir], *other = &ta->dir[!dir];
	if (!tls_records_is_header(p) || p[0] == TYPE_HEARTBEAT)
		return false;
	if (p[0] == TYPE_HANDSHAKE && p[5] != 1 && p[5] != 2)
		return false;
	const bool both_new = tls_records_mode(other) == MODE_START;
	if (p[0] == TYPE_HANDSHAKE && both_new && (p[5] == 1) != (dir == 0))
		ta->dir[1].flags |= FLAG1_SWAPPED;
	tls_records_mode_set(d, MODE_SYNC);
	if (p[0] == TYPE_HANDSHAKE)
		return true;
	d->flags |= FLAG_ESTIMATED;
	if (p[0] == TYPE_DATA && both_new && tls_records_kind(ta) == TLS_CIPHER_UNKNOWN) {
		kind_set(ta, TLS_CIPHER_INFERRED_13);
		handshake_over(ta);
	}
	return true;
}

/* After a HelloRetryRequest the ServerHello comes behind a change_cipher_spec; with a known version what
 * comes there is encrypted. */
static bool may_be_server_hello(const struct tls_app *ta, const struct tls_app_dir *d)
{
	return tls_records_kind(ta) == TLS_CIPHER_UNKNOWN ||
	       (!tls_records_kind_is_seen(ta) && !(d->flags & FLAG_CCS));
}

/* p[0..n): contiguous from next. Steps over one record header and returns 0, or returns how many bytes it
 * needs to see (more than n). last: no more of them will ever be seen. */
uint32_t tls_records_step(struct tls_app *ta, unsigned dir, const uint8_t *p, uint32_t n, bool last)
{
	struct tls_app_dir *d = &ta->dir[dir];
	uint32_t need = tls_records_mode(d) == MODE_START ? HEADER_BYTES + 1 : HEADER_BYTES;
	if (n < need)
		return need;
	if (tls_records_mode(d) == MODE_START ? !tls_records_begin(ta, dir, p) : !tls_records_is_header(p)) {
		tls_records_mode_set(d, tls_records_kind(ta) == TLS_CIPHER_UNKNOWN ? MODE_OFF : MODE_LOST);
		return 0;
	}
	const uint32_t length = (uint32_t)p[3] << 8 | p[4];
	uint32_t data = 0;
	if (p[0] == TYPE_HANDSHAKE && dir != client_of(ta) && may_be_server_hello(ta, d)) {
		need = hello_need(p, n, length);
		if (need > n && !last)
			return need;
		if (need > HELLO_NEED && need <= n)
			server_hello_read(ta, p, need);
	}
	if (p[0] == TYPE_HANDSHAKE)
		handshake_record(ta, d, p, n, length);
	else if (p[0] == TYPE_CCS)
		d->flags |= FLAG_CCS;
	else if (p[0] == TYPE_DATA)
		data = data_record(ta, dir, length);
	d->next += HEADER_BYTES + length;
	d->state = (uint16_t)data;
	return 0;
}

void tls_records_lost(struct tls_app *ta, unsigned dir, uint32_t n)
{
	struct tls_app_dir *d = &ta->dir[dir];
	const bool client = dir == client_of(ta);
	const uint32_t finished =
	    HEADER_BYTES + 4 + (ta->dir[0].flags & FLAG0_SHA384 ? 48u : 32u) + overhead_of(ta);
	d->next += n;
	if (stage_of(d) != STAGE_OPEN && client && tls_records_kind(ta) != TLS_CIPHER_UNKNOWN &&
	    n >= finished) {
		handshake_over(ta); /* the Finished must have been among them */
		n -= finished;
	} else if (stage_of(d) != STAGE_OPEN && !client && tls_records_kind(ta) != TLS_CIPHER_UNKNOWN &&
		   d->next > FLIGHT_MAX_BYTES) {
		stage_set(d, STAGE_OPEN);
	}
	if (stage_of(d) != STAGE_OPEN)
		return;
	const uint32_t header = HEADER_BYTES + overhead_of(ta), full = FULL_RECORD + header;
	uint64_t before = d->state, after = before + n;
	uint64_t headers = ((after + full - 1) / full - (before + full - 1) / full) * header;
	d->app_bytes += headers < n ? (uint32_t)(n - headers) : 0;
	d->state = (uint16_t)(after % full);
}
