/* hello_captures: ClientHellos out of classic captures of the shared data, with the name that truth.tsv gives
 * for their flow. For tests: Ethernet and raw IP frames, one hello in one segment or in two that follow each
 * other. */
#ifndef LEAKTAP_TESTS_UNIT_HELLO_CAPTURES_H
#define LEAKTAP_TESTS_UNIT_HELLO_CAPTURES_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct captured {
	char name[256];
	size_t n;
	uint8_t message[16384]; /* handshake header and body */
};

static inline const char *captured_folder(void)
{
	const char *shared = getenv("LEAKTAP_SHARED");
	static char path[512];
	snprintf(path, sizeof path, "%s/data/names", shared ? shared : "../shared");
	return path;
}

/* The name of the flow with this client port, lower case; false when it is not listed, or is an address. */
static inline bool captured_name(const char *file, unsigned port, char name[256])
{
	char path[600], line[2048], capture[300], sni[256];
	snprintf(path, sizeof path, "%s/truth.tsv", captured_folder());
	FILE *f = fopen(path, "r");
	bool found = false;
	while (f && !found && fgets(line, sizeof line, f)) {
		unsigned sport = 0;
		if (sscanf(line, "%299[^\t]\t%*[^\t]\t%*[^\t]\t%*[^\t]\t%u\t%*[^\t]\t%*[^\t]\t%255[^\t]",
			   capture, &sport, sni) == 3)
			found = sport == port && !strcmp(capture, file) &&
				strspn(sni, "0123456789.") != strlen(sni);
	}
	if (f)
		fclose(f);
	for (size_t i = 0; found && i < 256; i++)
		name[i] = (char)tolower((unsigned char)sni[i]);
	return found;
}

/* The TCP payload of a frame; NULL when there is none. */
static inline const uint8_t *captured_payload(const uint8_t *frame, size_t n, uint32_t link, size_t *ret_n,
					      unsigned *ret_port)
{
	size_t at = link == 1 ? 14 : link == 113 ? 16 : 0;
	if (n < at + 40 || frame[at] >> 4 != 4 || frame[at + 9] != 6)
		return NULL;
	size_t total = (size_t)frame[at + 2] << 8 | frame[at + 3], ip = (size_t)(frame[at] & 15) * 4;
	if (total < ip + 20 || at + total > n)
		return NULL;
	const uint8_t *tcp = frame + at + ip;
	size_t head = (size_t)(tcp[12] >> 4) * 4;
	if (ip + head > total)
		return NULL;
	*ret_port = (unsigned)tcp[0] << 8 | tcp[1];
	*ret_n = total - ip - head;
	return tcp + head;
}

/* A hello that one record holds; n_payload may end before it does: the next segment of the same port then
 * goes on. */
static inline bool captured_take(struct captured *c, unsigned *open_port, size_t *want, const uint8_t *p,
				 size_t n, unsigned port)
{
	if (*want && port == *open_port) {
		size_t more = *want - c->n < n ? *want - c->n : n;
		memcpy(c->message + c->n, p, more);
		c->n += more;
	} else if (!*want && n > 9 && p[0] == 0x16 && p[1] == 3 && p[5] == 1) {
		*want = 4 + ((size_t)p[6] << 16 | (size_t)p[7] << 8 | p[8]);
		size_t record = (size_t)p[3] << 8 | p[4];
		if (*want != record || *want > sizeof c->message) {
			*want = 0;
			return false;
		}
		c->n = n - 5 < *want ? n - 5 : *want;
		memcpy(c->message, p + 5, c->n);
		*open_port = port;
	}
	return *want && c->n == *want;
}

/* Returns how many were found, at most max. */
static inline size_t captured_hellos(const char *file, struct captured *ret, size_t max)
{
	static uint8_t frame[65536 + 64];
	char path[600];
	uint32_t head[6], record[4];
	snprintf(path, sizeof path, "%s/%s", captured_folder(), file);
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	size_t found = 0, want = 0;
	unsigned open_port = 0;
	if (fread(head, sizeof head, 1, f) != 1 || head[0] != 0xa1b2c3d4)
		head[5] = UINT32_MAX;
	while (head[5] != UINT32_MAX && found < max && fread(record, sizeof record, 1, f) == 1 &&
	       record[2] <= sizeof frame && fread(frame, 1, record[2], f) == record[2]) {
		size_t n = 0;
		unsigned port = 0;
		const uint8_t *p = captured_payload(frame, record[2], head[5], &n, &port);
		if (!p || !n || !captured_take(&ret[found], &open_port, &want, p, n, port))
			continue;
		want = 0;
		if (captured_name(file, port, ret[found].name))
			found++;
	}
	fclose(f);
	return found;
}

#endif
