/* What a crash, a bad disk or a stranger left in a spool's directory: segments of good records, records with damage in their
 * bytes or headers, any bytes between them, and a damaged reader's file. It must open, hand out numbers that only grow, give
 * good records as they were written, the same again after a rewind, and go on with numbers above all of them. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/base/spool.h"
#include "capture/base/spool_segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OPS = 64, MAX_SEGMENTS = 8 };
enum { OP_RECORD, OP_BAD_BYTES, OP_BAD_HEADER, OP_RAW, OP_SEGMENT, OP_READER, OP_JUMP, OP_COUNT };

struct input {
	const uint8_t *at;
	size_t n;
};

static uint8_t next_byte(struct input *in)
{
	if (!in->n)
		return 0;
	in->n--;
	return *in->at++;
}

static const uint8_t *next_bytes(struct input *in, size_t want, size_t *ret_n)
{
	const uint8_t *p = in->at;
	*ret_n = want < in->n ? want : in->n;
	in->at += *ret_n;
	in->n -= *ret_n;
	return p;
}

struct scene {
	char directory[32];
	size_t n_segments;
	uint64_t epoch, number;
	int fd; /* segment being written, -1 none */
};

/* With the line: compilers fold all calls of abort into one. */
static void fail(int line)
{
	fprintf(stderr, "%s:%d: does not hold\n", __FILE__, line);
	abort();
}
#define must(condition) ((condition) ? (void)0 : fail(__LINE__))

static int open_in(const struct scene *sc, const char *name, int flags)
{
	char path[64];
	snprintf(path, sizeof path, "%s/%s", sc->directory, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static void begin_segment(struct scene *sc)
{
	uint8_t head[SEGMENT_HEADER_BYTES];
	if (sc->n_segments == MAX_SEGMENTS || !sc->number)
		return;
	if (sc->fd >= 0)
		close(sc->fd);
	char name[24];
	sc->n_segments++;
	segment_name(name, sc->number);
	sc->fd = open_in(sc, name, O_RDWR | O_CREAT | O_TRUNC);
	must(sc->fd >= 0);
	segment_pack_header(head, sc->epoch, sc->number);
	must(write(sc->fd, head, sizeof head) == sizeof head);
}

static void put_record(struct scene *sc, struct input *in, int op)
{
	size_t n;
	uint8_t head[RECORD_HEADER_BYTES];
	const uint8_t *bytes = next_bytes(in, next_byte(in), &n);
	segment_pack_record(head, (uint32_t)sc->epoch, sc->number++, bytes, n);
	if (op == OP_BAD_HEADER)
		head[next_byte(in) % RECORD_HEADER_BYTES] ^= 0x55;
	must(write(sc->fd, head, sizeof head) == sizeof head);
	if (op == OP_BAD_BYTES && n) {
		uint8_t wrong = bytes[0] ^ 1;
		must(write(sc->fd, &wrong, 1) == 1);
		bytes++;
		n--;
	}
	must(write(sc->fd, bytes, n) == (ssize_t)n);
}

static void damage_reader(const struct scene *sc, struct input *in)
{
	size_t n;
	off_t at = next_byte(in);
	const uint8_t *bytes = next_bytes(in, next_byte(in) % 32, &n);
	int fd = open_in(sc, "reader", O_RDWR);
	must(fd >= 0 && pwrite(fd, bytes, n, at) == (ssize_t)n);
	close(fd);
}

static void step(struct scene *sc, struct input *in)
{
	size_t n;
	int op = next_byte(in) % OP_COUNT;
	if (op == OP_READER) {
		damage_reader(sc, in);
		return;
	}
	if (op == OP_JUMP) { /* also to the end of numbers, and back */
		sc->number = (uint64_t)(int64_t)(int8_t)next_byte(in);
		return;
	}
	if (op == OP_SEGMENT || sc->fd < 0)
		begin_segment(sc);
	if (op == OP_SEGMENT || sc->fd < 0)
		return;
	if (op == OP_RAW) {
		const uint8_t *bytes = next_bytes(in, next_byte(in), &n);
		must(write(sc->fd, bytes, n) == (ssize_t)n);
		return;
	}
	put_record(sc, in, op);
}

/* Returns how many came; *ret_last the highest number. */
static size_t read_all(struct spool *sp, uint64_t *ret_last, uint64_t *ret_sum)
{
	uint64_t number;
	const void *bytes;
	size_t n, records = 0;
	int r;
	*ret_last = *ret_sum = 0;
	while ((r = spool_next(sp, &number, &bytes, &n)) > 0) {
		must(number > *ret_last && n <= SPOOL_MAX_RECORD_BYTES);
		*ret_last = number;
		for (size_t i = 0; i < n; i++)
			*ret_sum = *ret_sum * 31 + ((const uint8_t *)bytes)[i];
		must(++records <= 2 * MAX_OPS);
	}
	must(r == 0);
	return records;
}

static void use(struct spool *sp)
{
	uint64_t last, sum, last_again, sum_again, number;
	spool_rewind(sp, 1);
	size_t n = read_all(sp, &last, &sum);
	spool_rewind(sp, 1);
	must(read_all(sp, &last_again, &sum_again) == n && last_again == last && sum_again == sum);
	int r = spool_append(sp, "new", 3, &number);
	must(r < 0 || number > last);
	if (r == 0) {
		const void *bytes;
		size_t got;
		must(spool_next(sp, &last_again, &bytes, &got) == 1 && last_again == number && got == 3 &&
		     !memcmp(bytes, "new", 3));
		spool_ack(sp, number);
		must(spool_acked(sp) >= number);
	}
}

static void remove_all(const struct scene *sc)
{
	int dir = open(sc->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(dir >= 0);
	DIR *d = fdopendir(dir);
	must(d != NULL);
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		unlinkat(dir, e->d_name, 0); /* refused for "." and ".." */
	closedir(d);
	rmdir(sc->directory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct scene sc = {.number = 1, .fd = -1};
	struct spool_conf conf = {.directory = sc.directory};
	struct spool *sp = NULL;
	struct err err = {0};
	/* in memory where there is such a place: every append and close waits for the disk */
	snprintf(sc.directory, sizeof sc.directory, "%s/leaktap-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	must(mkdtemp(sc.directory) != NULL && spool_open(&sp, &conf, &err) == 0);
	sc.epoch = spool_epoch(sp);
	spool_close(sp);
	for (int i = 0; in.n && i < MAX_OPS; i++)
		step(&sc, &in);
	if (sc.fd >= 0)
		close(sc.fd);
	if (spool_open(&sp, &conf, &err) == 0) {
		use(sp);
		spool_close(sp);
	}
	remove_all(&sc);
	return 0;
}
