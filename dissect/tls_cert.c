#include "dissect/tls_cert.h"

#include <string.h>

#include "dissect/bytes.h"

enum {
	DER_OBJECT = 0x06,
	DER_OCTETS = 0x04,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	TBS_VERSION = 0xa0,
	TBS_EXTENSIONS = 0xa3,
	SAN_DNS_NAME = 0x82,
	TBS_BEFORE_SUBJECT = 4, /* serial, algorithm, issuer, validity */
};

static const uint8_t oid_common_name[] = {0x55, 0x04, 0x03}, oid_subject_alt_name[] = {0x55, 0x1d, 0x11};

/* The next element's body; fails b on a broken or indefinite length. */
static struct bytes der_next(struct bytes *b, uint8_t *ret_tag)
{
	*ret_tag = bytes_u8(b);
	size_t n = bytes_u8(b);
	if (n > 0x83 || n == 0x80)
		b->failed = true;
	else if (n & 0x80) {
		size_t n_octets = n & 0x7f;
		n = 0;
		while (n_octets--)
			n = n << 8 | bytes_u8(b);
	}
	return bytes_block(b, n);
}

/* The next element must be a tag; a failed cursor otherwise. */
static struct bytes der_enter(struct bytes *b, uint8_t tag)
{
	uint8_t got;
	struct bytes body = der_next(b, &got);
	if (got != tag)
		body = (struct bytes){body.at, body.at, true};
	return body;
}

static bool is_oid(const struct bytes *b, const uint8_t *oid, size_t n)
{
	return !b->failed && bytes_left(b) == n && !memcmp(b->at, oid, n);
}

/* RelativeDistinguishedName after RelativeDistinguishedName; the last common name is the most specific. */
static bool common_name(struct bytes subject, char ret_name[HOSTNAME_SIZE])
{
	bool found = false;
	while (!subject.failed && bytes_left(&subject)) {
		struct bytes set = der_enter(&subject, DER_SET), pair = der_enter(&set, DER_SEQUENCE);
		struct bytes oid = der_enter(&pair, DER_OBJECT);
		if (!is_oid(&oid, oid_common_name, sizeof oid_common_name))
			continue;
		uint8_t tag;
		struct bytes value = der_next(&pair, &tag);
		if (!value.failed && memchr(value.at, '.', bytes_left(&value)) &&
		    hostname_normalise(value.at, bytes_left(&value), ret_name) == HOSTNAME_OK)
			found = true;
	}
	return found;
}

static bool first_dns_name(struct bytes names, char ret_name[HOSTNAME_SIZE])
{
	while (!names.failed && bytes_left(&names)) {
		uint8_t tag;
		struct bytes value = der_next(&names, &tag);
		if (!value.failed && tag == SAN_DNS_NAME &&
		    hostname_normalise(value.at, bytes_left(&value), ret_name) == HOSTNAME_OK)
			return true;
	}
	return false;
}

static bool alternative_name(struct bytes extensions, char ret_name[HOSTNAME_SIZE])
{
	while (!extensions.failed && bytes_left(&extensions)) {
		struct bytes extension = der_enter(&extensions, DER_SEQUENCE);
		struct bytes oid = der_enter(&extension, DER_OBJECT);
		if (!is_oid(&oid, oid_subject_alt_name, sizeof oid_subject_alt_name))
			continue;
		uint8_t tag;
		struct bytes value = der_next(&extension, &tag);
		if (tag != DER_OCTETS) /* the critical flag comes first */
			value = der_enter(&extension, DER_OCTETS);
		return first_dns_name(der_enter(&value, DER_SEQUENCE), ret_name);
	}
	return false;
}

bool tls_cert_name(const uint8_t *der, size_t n, char ret_name[HOSTNAME_SIZE])
{
	struct bytes b = bytes_of(der, n);
	struct bytes certificate = der_enter(&b, DER_SEQUENCE), tbs = der_enter(&certificate, DER_SEQUENCE);
	uint8_t tag;
	struct bytes element = der_next(&tbs, &tag);
	int to_skip =
	    tag == TBS_VERSION ? TBS_BEFORE_SUBJECT : TBS_BEFORE_SUBJECT - 1; /* version 1 leaves it out */
	while (to_skip-- > 0)
		der_next(&tbs, &tag);
	struct bytes subject = der_enter(&tbs, DER_SEQUENCE);
	while (!tbs.failed && bytes_left(&tbs)) {
		element = der_next(&tbs, &tag);
		if (tag == TBS_EXTENSIONS && alternative_name(der_enter(&element, DER_SEQUENCE), ret_name))
			return true;
	}
	return common_name(subject, ret_name);
}
