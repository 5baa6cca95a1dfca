#include "dissect/dns.h"

#include <string.h>

#include "capture/base/hash.h"
#include "dissect/bytes.h"
#include "dissect/hostname.h"

/* Work is bounded by the message's length and, for what has to be decompressed, by MAX_RECORDS names of
 * MAX_HOPS jumps. */
enum {
	HEADER_BYTES = 12,
	MAX_WIRE_NAME = 255,
	MAX_HOPS = 127,   /* a name of 255 bytes has at most as many labels */
	MAX_RECORDS = 96, /* A, AAAA and CNAME records looked at in one message */
	MAX_CHAIN = 16,
	FLAG_RESPONSE = 0x8000,
	FLAG_TRUNCATED = 0x0200,
	MASK_OPCODE = 0x7800,
	CLASS_IN = 1,
	CLASS_MASK = 0x7fff, /* multicast DNS uses the top bit (RFC 6762 section 10.2) */
	TYPE_A = 1,
	TYPE_CNAME = 5,
	TYPE_AAAA = 28,
};

/* A decompressed name as text, lower case, without the root's dot; labels may hold any byte. */
struct name {
	size_t n;
	bool ambiguous; /* a dot or a NUL inside a label: the text does not tell what it was */
	char text[MAX_WIRE_NAME - 1];
};

/* What is kept of a record: names only as hashes, to be compared. */
struct record {
	uint64_t owner;
	union {
		uint64_t target;      /* of a CNAME */
		const uint8_t *rdata; /* of an address */
	};
	uint32_t ttl_s;
	uint16_t type;
};

/* A message being read. */
struct parse {
	const uint8_t *message;
	struct bytes in;
	struct dns_message *msg;
	uint16_t flags, n_questions, n_answers;
	struct name query, owner; /* owner: of the last record kept */
	size_t n_records;
	struct record records[MAX_RECORDS];
};

/* The names that lead from the question to the addresses. */
struct chain {
	size_t n;
	uint64_t names[MAX_CHAIN + 1];
	uint32_t ttls_s[MAX_CHAIN + 1];
};

static uint64_t name_hash(const struct name *name)
{
	return hash_bytes(HASH_KEY_FIXED, name->text, name->n);
}

static bool append_label(struct name *name, const uint8_t *label, size_t n)
{
	if (name->n + n + 1 >
	    sizeof name->text) /* each label's length byte became a dot; the root's is not here */
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t c = label[i];
		name->ambiguous |= c == '.' || c == '\0';
		name->text[name->n++] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	name->text[name->n++] = '.';
	return true;
}

/* RFC 1035 4.1.4. Reads the name at in and leaves in behind it. A pointer has to lead to before the labels
 * that it ends, so the walk moves down through the message and cannot go round. */
static bool take_name(const uint8_t *message, struct bytes *in, struct name *ret_name)
{
	struct bytes at = *in;
	const uint8_t *run = at.at;
	bool jumped = false;
	ret_name->n = 0;
	ret_name->ambiguous = false;
	for (int hops = 0;;) {
		uint8_t length = bytes_u8(&at);
		if (length >> 6 == 3) {
			size_t target = (length & 0x3fu) << 8 | bytes_u8(&at);
			if (at.failed || ++hops > MAX_HOPS || target < HEADER_BYTES ||
			    target >= (size_t)(run - message))
				return false;
			if (!jumped)
				*in = at;
			jumped = true;
			at.at = run = message + target;
			continue;
		}
		const uint8_t *label = length >> 6 ? NULL : bytes_take(&at, length);
		if (!label || at.failed)
			return false;
		if (length == 0)
			break;
		if (!append_label(ret_name, label, length))
			return false;
	}
	if (!jumped)
		*in = at;
	if (ret_name->n)
		ret_name->n--; /* the dot of the root */
	return true;
}

/* Without following pointers: a pointer ends the name. */
static bool skip_name(struct bytes *in)
{
	for (;;) {
		uint8_t length = bytes_u8(in);
		if (in->failed || length >> 6 == 1 || length >> 6 == 2)
			return false;
		if (length >> 6 == 3)
			return bytes_skip(in, 1);
		if (length == 0)
			return true;
		if (!bytes_skip(in, length))
			return false;
	}
}

static void set_query(struct dns_message *msg, const struct name *name)
{
	if (name->ambiguous || hostname_normalise(name->text, name->n, msg->query) != HOSTNAME_OK)
		msg->query[0] = '\0';
}

static bool take_questions(struct parse *p)
{
	for (uint16_t i = 0; i < p->n_questions; i++) {
		if (i == 0 ? !take_name(p->message, &p->in, &p->query) : !skip_name(&p->in))
			return false;
		uint16_t type = bytes_u16(&p->in);
		bytes_u16(&p->in);
		if (p->in.failed)
			return false;
		if (i == 0) {
			p->msg->qtype = type;
			set_query(p->msg, &p->query);
		}
	}
	return true;
}

static bool is_kept(uint16_t type, uint16_t class)
{
	return (class & CLASS_MASK) == CLASS_IN &&
	       (type == TYPE_A || type == TYPE_AAAA || type == TYPE_CNAME);
}

/* A name may point to before the rdata but must end with it. */
static bool keep_rdata(const uint8_t *message, struct bytes rdata, struct record *r)
{
	if (r->type == TYPE_CNAME) {
		struct name target;
		if (!take_name(message, &rdata, &target))
			return false;
		r->target = name_hash(&target);
		return bytes_left(&rdata) == 0;
	}
	r->rdata = rdata.at;
	return bytes_left(&rdata) == (r->type == TYPE_A ? 4 : 16);
}

/* CUT: the message ends inside the record. */
enum taken { TAKEN, TAKEN_CUT, TAKEN_MALFORMED };

static enum taken take_record(struct parse *p)
{
	struct bytes owner = p->in;
	if (!skip_name(&p->in))
		return p->in.failed ? TAKEN_CUT : TAKEN_MALFORMED;
	struct record r = {.type = bytes_u16(&p->in)};
	uint16_t class = bytes_u16(&p->in);
	uint32_t ttl_s = bytes_u32(&p->in);
	struct bytes rdata = bytes_block(&p->in, bytes_u16(&p->in));
	if (p->in.failed)
		return TAKEN_CUT;
	if (!is_kept(r.type, class))
		return TAKEN;
	r.ttl_s = ttl_s >> 31 ? 0 : ttl_s; /* RFC 2181 section 8 */
	if (!take_name(p->message, &owner, &p->owner) || !keep_rdata(p->message, rdata, &r))
		return TAKEN_MALFORMED;
	r.owner = name_hash(&p->owner);
	p->records[p->n_records++] = r;
	return TAKEN;
}

/* A response without a question (multicast DNS) is about the owner of its first record, if that is an
 * address. */
static void adopt_owner(struct parse *p)
{
	if (p->n_questions || p->n_records != 1 || p->records[0].type == TYPE_CNAME || p->query.n)
		return;
	p->query = p->owner;
	p->msg->qtype = p->records[0].type;
	set_query(p->msg, &p->query);
}

static bool take_answers(struct parse *p)
{
	for (uint16_t i = 0; i < p->n_answers && p->n_records < MAX_RECORDS; i++) {
		enum taken taken = take_record(p);
		if (taken == TAKEN_CUT && (p->flags & FLAG_TRUNCATED))
			return true;
		if (taken != TAKEN)
			return false;
		adopt_owner(p);
	}
	return true;
}

static const struct record *find_cname(const struct parse *p, uint64_t owner)
{
	for (size_t i = 0; i < p->n_records; i++)
		if (p->records[i].type == TYPE_CNAME && p->records[i].owner == owner)
			return &p->records[i];
	return NULL;
}

static const uint32_t *chain_ttl(const struct chain *chain, uint64_t name)
{
	for (size_t i = 0; i < chain->n; i++)
		if (chain->names[i] == name)
			return &chain->ttls_s[i];
	return NULL;
}

static void follow(struct chain *chain, const struct parse *p)
{
	chain->names[0] = name_hash(&p->query);
	chain->ttls_s[0] = UINT32_MAX;
	for (chain->n = 1; chain->n <= MAX_CHAIN; chain->n++) {
		const struct record *r = find_cname(p, chain->names[chain->n - 1]);
		if (!r || chain_ttl(chain, r->target))
			return;
		uint32_t ttl_s = chain->ttls_s[chain->n - 1];
		chain->names[chain->n] = r->target;
		chain->ttls_s[chain->n] = r->ttl_s < ttl_s ? r->ttl_s : ttl_s;
	}
}

static void collect(const struct parse *p)
{
	struct dns_message *msg = p->msg;
	struct chain chain;
	follow(&chain, p);
	for (size_t i = 0; i < p->n_records && msg->n_answers < DNS_MAX_ANSWERS; i++) {
		const struct record *r = &p->records[i];
		const uint32_t *ttl_s = r->type == TYPE_CNAME ? NULL : chain_ttl(&chain, r->owner);
		if (!ttl_s)
			continue;
		struct dns_answer *answer = &msg->answers[msg->n_answers++];
		memset(answer, 0, sizeof *answer);
		answer->addr.family = r->type == TYPE_A ? 4 : 6;
		memcpy(answer->addr.ip, r->rdata, r->type == TYPE_A ? 4 : 16);
		answer->ttl_s = r->ttl_s < *ttl_s ? r->ttl_s : *ttl_s;
	}
}

static bool take_header(struct parse *p)
{
	struct dns_message *msg = p->msg;
	msg->id = bytes_u16(&p->in);
	p->flags = bytes_u16(&p->in);
	p->n_questions = bytes_u16(&p->in);
	p->n_answers = bytes_u16(&p->in);
	bytes_skip(&p->in, 4); /* authority and additional records say nothing of the question */
	msg->response = p->flags & FLAG_RESPONSE;
	msg->rcode = p->flags & 15;
	msg->qtype = 0;
	msg->query[0] = '\0';
	msg->n_answers = 0;
	return !p->in.failed;
}

bool dns_parse(const uint8_t *payload, size_t n, struct dns_message *ret_msg)
{
	struct parse p;
	p.message = payload;
	p.in = bytes_of(payload, n > DNS_MAX_MESSAGE ? DNS_MAX_MESSAGE : n);
	p.msg = ret_msg;
	p.query.n = 0;
	p.query.ambiguous = false;
	p.n_records = 0;
	if (!take_header(&p))
		return false;
	if (p.flags & MASK_OPCODE) /* notify, update: the sections mean something else */
		return true;
	if (!take_questions(&p))
		return false;
	if (!ret_msg->response)
		return true;
	if (!take_answers(&p))
		return false;
	collect(&p);
	return true;
}
