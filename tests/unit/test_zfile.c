#include "capture/zfile.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "tests/unit/capfile.h"

enum { TEXT_BYTES = 3 * 1000 * 1000 };

static uint8_t *text; /* TEXT_BYTES, compressible but not by much */

static int make_text(void **state)
{
	(void)state;
	text = malloc(TEXT_BYTES);
	uint32_t x = 1;
	for (size_t i = 0; i < TEXT_BYTES; i++) {
		x = x * 1664525 + 1013904223;
		text[i] = (uint8_t)("abcdefghijklmnop"[x >> 28]);
	}
	return text ? 0 : -1;
}

static int drop_text(void **state)
{
	(void)state;
	free(text);
	return 0;
}

static void add_gzip(struct capfile *c, const uint8_t *p, size_t n)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	size_t room = deflateBound(&z, n);
	uint8_t *out = malloc(room);
	z.next_in = (uint8_t *)(uintptr_t)p;
	z.avail_in = (unsigned)n;
	z.next_out = out;
	z.avail_out = (unsigned)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	capfile_bytes(c, out, z.total_out);
	deflateEnd(&z);
	free(out);
}

static void add_zstd(struct capfile *c, const uint8_t *p, size_t n)
{
	size_t room = ZSTD_compressBound(n);
	uint8_t *out = malloc(room);
	ZSTD_CCtx *z = ZSTD_createCCtx();
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	size_t made = ZSTD_compress2(z, out, room, p, n);
	assert_false(ZSTD_isError(made));
	capfile_bytes(c, out, made);
	ZSTD_freeCCtx(z);
	free(out);
}

/* Reads a file in pieces of step; returns how many bytes came, all equal to text, and the last code. */
static size_t read_all(const char *path, size_t step, ssize_t *ret_last, struct err *err)
{
	struct zfile *z;
	uint8_t *buf = malloc(step);
	size_t n = 0;
	assert_int_equal(zfile_open(&z, path, NULL, err), 0);
	for (;;) {
		ssize_t r = zfile_read(z, buf, step, err);
		*ret_last = r;
		if (r <= 0)
			break;
		assert_true(n + (size_t)r <= TEXT_BYTES);
		assert_memory_equal(buf, text + n, (size_t)r);
		n += (size_t)r;
	}
	assert_int_equal(zfile_read(z, buf, step, NULL), *ret_last); /* for good */
	zfile_close(z);
	free(buf);
	return n;
}

static void read__plain_gzip_zstd_at_any_step__same_bytes(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile gz = {0}, zs = {0};
	capfile_enter(&d);
	add_gzip(&gz, text, TEXT_BYTES);
	add_zstd(&zs, text, TEXT_BYTES);
	const char *paths[] = {capfile_save(&d, "plain", text, TEXT_BYTES), capfile_save(&d, "a", gz.p, gz.n),
			       capfile_save(&d, "b", zs.p, zs.n)};
	const size_t steps[] = {4096, 100003, ZFILE_CHUNK_BYTES, 8 << 20};
	for (size_t i = 0; i < 3; i++)
		for (size_t k = 0; k < 4; k++) {
			struct err err = {0};
			ssize_t last;
			assert_int_equal(read_all(paths[i], steps[k], &last, &err), TEXT_BYTES);
			assert_int_equal(last, 0);
		}
	free(gz.p);
	free(zs.p);
	capfile_leave(&d);
}

static void read__concatenated_members_and_frames__one_stream(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile gz = {0}, zs = {0};
	capfile_enter(&d);
	for (size_t at = 0; at < TEXT_BYTES; at += 300000) {
		add_gzip(&gz, text + at, 300000);
		add_zstd(&zs, text + at, 300000);
		add_gzip(&gz, text, 0); /* empty members and skippable frames count for nothing */
		capfile_bytes(&zs, "\x53\x2a\x4d\x18\x05\0\0\0hello", 13);
	}
	capfile_bytes(&gz, (uint8_t[700]){0}, 700); /* a tape block's padding */
	const char *paths[] = {capfile_save(&d, "a", gz.p, gz.n), capfile_save(&d, "b", zs.p, zs.n)};
	for (size_t i = 0; i < 2; i++) {
		struct err err = {0};
		ssize_t last;
		assert_int_equal(read_all(paths[i], 65536, &last, &err), TEXT_BYTES);
		assert_int_equal(last, 0);
	}
	free(gz.p);
	free(zs.p);
	capfile_leave(&d);
}

static void read__compressed_cut_anywhere__good_bytes_then_truncated(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile c[2] = {{0}, {0}};
	capfile_enter(&d);
	add_gzip(&c[0], text, 400);
	add_gzip(&c[0], text + 400, 400);
	size_t boundary = 0;
	add_zstd(&c[1], text, 400);
	boundary = c[1].n;
	add_zstd(&c[1], text + 400, 400);
	for (size_t i = 0; i < 2; i++) {
		size_t clean = 0;
		for (size_t n = 5; n <= c[i].n; n++) {
			struct err err = {0};
			ssize_t last;
			size_t got = read_all(capfile_save(&d, "x", c[i].p, n), 100, &last, &err);
			if (last == 0) {
				clean++;
				assert_true(got == 400 || got == 800);
			} else {
				assert_int_equal(last, LT_ETRUNCATED);
				assert_non_null(strstr(err.text, "cut short"));
			}
		}
		assert_int_equal(clean, 2); /* only where a member ends */
	}
	struct err err = {0};
	ssize_t last;
	assert_int_equal(read_all(capfile_save(&d, "x", c[1].p, boundary + 20), 100, &last, &err), 400);
	free(c[0].p);
	free(c[1].p);
	capfile_leave(&d);
}

static void read__flipped_bytes__truncated_never_clean(void **state)
{
	(void)state;
	struct capdir d;
	capfile_enter(&d);
	for (int kind = 0; kind < 2; kind++) {
		struct capfile c = {0};
		if (kind)
			add_zstd(&c, text, 100000);
		else
			add_gzip(&c, text, 100000);
		c.p[c.n / 2] ^= 0x55;
		c.p[c.n / 2 + 1] ^= 0x55;
		const char *path = capfile_save(&d, "x", c.p, c.n);
		struct zfile *z;
		struct err err = {0};
		uint8_t buf[1024];
		ssize_t r;
		size_t n = 0;
		assert_int_equal(zfile_open(&z, path, NULL, &err), 0);
		while ((r = zfile_read(z, buf, sizeof buf, &err)) > 0)
			n += (size_t)r;
		assert_int_equal(r, LT_ETRUNCATED);
		assert_true(n <= 200000);
		zfile_close(z);
		free(c.p);
	}
	capfile_leave(&d);
}

static void read__rubbish_behind_gzip__truncated(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile c = {0};
	struct err err = {0};
	ssize_t last;
	capfile_enter(&d);
	add_gzip(&c, text, 1000);
	capfile_bytes(&c, "rubbish", 7);
	assert_int_equal(read_all(capfile_save(&d, "x", c.p, c.n), 4096, &last, &err), 1000);
	assert_int_equal(last, LT_ETRUNCATED);
	free(c.p);
	capfile_leave(&d);
}

static void read__zstd_window_over_128_mib__refused(void **state)
{
	(void)state;
	struct capdir d;
	struct err err = {0};
	ssize_t last;
	capfile_enter(&d);
	/* RFC 8878 3.1.1.1: descriptor 0, window descriptor exponent 18 (2^28 bytes), one empty last raw
	 * block. */
	const uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3, 0x01, 0x00, 0x00};
	assert_int_equal(read_all(capfile_save(&d, "x", frame, sizeof frame), 4096, &last, &err), 0);
	assert_int_equal(last, LT_ETRUNCATED);
	assert_non_null(strstr(err.text, "window"));
	capfile_leave(&d);
}

static void read__short_plain_files__every_byte(void **state)
{
	(void)state;
	struct capdir d;
	capfile_enter(&d);
	for (size_t n = 0; n < 10; n++) {
		struct err err = {0};
		ssize_t last;
		assert_int_equal(read_all(capfile_save(&d, "x", text, n), 4096, &last, &err), n);
		assert_int_equal(last, 0);
	}
	capfile_leave(&d);
}

static void open__directory_device_missing__refused_by_name(void **state)
{
	(void)state;
	struct zfile *z = NULL;
	struct err err;
	assert_int_equal(zfile_open(&z, "/tmp", NULL, &err), -EISDIR);
	assert_non_null(strstr(err.text, "/tmp"));
	assert_int_equal(zfile_open(&z, "/dev/zero", NULL, &err), LT_EFORMAT);
	assert_int_equal(zfile_open(&z, "/tmp/no/such", NULL, &err), -ENOENT);
	assert_null(z);
}

static void stats__compressed__stored_offset_and_size(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile c = {0};
	struct err err;
	uint8_t buf[1024];
	struct zfile *z;
	capfile_enter(&d);
	add_gzip(&c, text, TEXT_BYTES);
	assert_int_equal(zfile_open(&z, capfile_save(&d, "x", c.p, c.n), NULL, &err), 0);
	assert_int_equal(zfile_size_bytes(z), c.n);
	assert_int_equal(zfile_offset_bytes(z), 0);
	assert_true(zfile_read(z, buf, sizeof buf, &err) > 0);
	assert_true(zfile_offset_bytes(z) > 0 && zfile_offset_bytes(z) < c.n);
	while (zfile_read(z, buf, sizeof buf, &err) > 0)
		;
	assert_int_equal(zfile_offset_bytes(z), c.n);
	zfile_close(z);
	free(c.p);
	capfile_leave(&d);
}

struct feeder {
	const char *path;
	const uint8_t *p;
	size_t n;
};

static void *feed(void *arg)
{
	struct feeder *f = arg;
	int fd = open(f->path, O_WRONLY);
	for (size_t at = 0; at < f->n; at += 1000) {
		size_t n = f->n - at < 1000 ? f->n - at : 1000;
		if (write(fd, f->p + at, n) != (ssize_t)n)
			break;
	}
	close(fd);
	return NULL;
}

static void read__fifo__waits_for_writer_and_reads_all(void **state)
{
	(void)state;
	struct capdir d;
	struct capfile c = {0};
	capfile_enter(&d);
	add_gzip(&c, text, TEXT_BYTES);
	const char *path = capfile_path(&d, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	pthread_t t;
	struct feeder f = {path, c.p, c.n};
	assert_int_equal(pthread_create(&t, NULL, feed, &f), 0);
	struct zfile *z;
	struct err err = {0};
	uint8_t *buf = malloc(ZFILE_CHUNK_BYTES);
	size_t n = 0;
	ssize_t r;
	assert_int_equal(zfile_open(&z, path, NULL, &err), 0);
	assert_int_equal(zfile_size_bytes(z), 0);
	while ((r = zfile_read(z, buf, ZFILE_CHUNK_BYTES, &err)) > 0) {
		assert_memory_equal(buf, text + n, (size_t)r);
		n += (size_t)r;
	}
	assert_int_equal(r, 0);
	assert_int_equal(n, TEXT_BYTES);
	pthread_join(t, NULL);
	zfile_close(z);
	free(buf);
	free(c.p);
	capfile_leave(&d);
}

static void *stop_soon(void *arg)
{
	usleep(50000);
	atomic_store((atomic_bool *)arg, true);
	return NULL;
}

static void read__silent_fifo_and_stop__canceled(void **state)
{
	(void)state;
	struct capdir d;
	atomic_bool stop = false;
	struct zfile *z;
	struct err err;
	uint8_t buf[16];
	pthread_t t;
	capfile_enter(&d);
	const char *path = capfile_path(&d, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(zfile_open(&z, path, &stop, &err), 0);
	assert_int_equal(pthread_create(&t, NULL, stop_soon, &stop), 0);
	assert_int_equal(zfile_read(z, buf, sizeof buf, &err), -ECANCELED);
	pthread_join(t, NULL);
	zfile_close(z);
	capfile_leave(&d);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read__plain_gzip_zstd_at_any_step__same_bytes),
	    cmocka_unit_test(read__concatenated_members_and_frames__one_stream),
	    cmocka_unit_test(read__compressed_cut_anywhere__good_bytes_then_truncated),
	    cmocka_unit_test(read__flipped_bytes__truncated_never_clean),
	    cmocka_unit_test(read__rubbish_behind_gzip__truncated),
	    cmocka_unit_test(read__zstd_window_over_128_mib__refused),
	    cmocka_unit_test(read__short_plain_files__every_byte),
	    cmocka_unit_test(open__directory_device_missing__refused_by_name),
	    cmocka_unit_test(stats__compressed__stored_offset_and_size),
	    cmocka_unit_test(read__fifo__waits_for_writer_and_reads_all),
	    cmocka_unit_test(read__silent_fifo_and_stop__canceled),
	};
	return cmocka_run_group_tests(tests, make_text, drop_text);
}
