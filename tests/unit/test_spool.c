#include "capture/base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/base/crc32c.h"
#include "tests/unit/capfile.h"

static struct capdir dir;
static char where[512];

static int enter(void **state)
{
	(void)state;
	capfile_enter(&dir);
	snprintf(where, sizeof where, "%s/spool", dir.path);
	return 0;
}

static int leave(void **state)
{
	(void)state;
	char cmd[600];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", where);
	assert_int_equal(system(cmd), 0);
	capfile_leave(&dir);
	return 0;
}

static struct spool *open_spool(uint64_t cap, uint64_t segment, uint64_t keep_ns)
{
	struct spool *sp = NULL;
	struct err err = {0};
	struct spool_conf conf = {where, cap, segment, keep_ns};
	if (spool_open(&sp, &conf, &err))
		fail_msg("%s", err.text);
	return sp;
}

static uint64_t put(struct spool *sp, const char *text)
{
	uint64_t number = 0;
	assert_int_equal(spool_append(sp, text, strlen(text), &number), 0);
	return number;
}

/* Everything that can be read, as "text,text,"; the numbers must grow. */
static void drain(struct spool *sp, char *out, size_t room, uint64_t *ret_last)
{
	uint64_t number, before = 0;
	const void *p;
	size_t n, at = 0;
	int r;
	out[0] = 0;
	while ((r = spool_next(sp, &number, &p, &n)) == 1) {
		assert_true(number > before);
		before = number;
		at += (size_t)snprintf(out + at, room - at, "%.*s,", (int)n, (const char *)p);
	}
	assert_int_equal(r, 0);
	if (ret_last)
		*ret_last = before;
}

static void crc32c__rfc3720_vectors(void **state)
{
	(void)state;
	uint8_t bytes[32] = {0};
	assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
	memset(bytes, 0xff, 32);
	assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
	assert_int_equal(crc32c(crc32c(0, bytes, 7), bytes + 7, 25), 0x46dd794e);
}

static void next__appended__in_order_and_again_until_acknowledged(void **state)
{
	(void)state;
	char out[256];
	struct spool *sp = open_spool(0, 0, 0);
	uint64_t epoch = spool_epoch(sp);
	assert_int_equal(put(sp, "a"), 1);
	assert_int_equal(put(sp, ""), 2);
	assert_int_equal(put(sp, "ccc"), 3);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, "a,,ccc,");
	assert_int_equal(put(sp, "d"), 4); /* the reader had reached the end */
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, "d,");
	spool_ack(sp, 2);
	spool_close(sp);
	sp = open_spool(0, 0, 0);
	assert_int_equal(spool_epoch(sp), epoch);
	assert_int_equal(spool_acked(sp), 2);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, "ccc,d,");
	assert_int_equal(put(sp, "e"), 5); /* a clean end leaves no gap */
	spool_close(sp);
}

static void rewind__acknowledged_but_kept__read_again(void **state)
{
	(void)state;
	char out[256];
	struct spool *sp = open_spool(0, 0, 0);
	for (int i = 0; i < 6; i++)
		put(sp, (char[]){(char)('a' + i), 0});
	drain(sp, out, sizeof out, NULL);
	spool_ack(sp, 6);
	spool_sync(sp);
	spool_rewind(sp, 4);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, "d,e,f,");
	spool_rewind(sp, 0);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, "a,b,c,d,e,f,");
	spool_close(sp);
}

static void sync__kept_long_enough__acknowledged_segments_go(void **state)
{
	(void)state;
	char text[1001], out[64];
	memset(text, 'x', 1000);
	text[1000] = 0;
	struct spool *sp = open_spool(1 << 20, 4096, 1); /* kept for a nanosecond */
	struct spool_stats st;
	for (int i = 0; i < 20; i++)
		put(sp, text);
	spool_stats(sp, &st);
	assert_int_equal(st.waiting, 20);
	spool_ack(sp, 20);
	assert_int_equal(spool_sync(sp), 0);
	spool_stats(sp, &st);
	assert_int_equal(st.dropped, 0);
	assert_int_equal(st.waiting, 0);
	assert_true(st.bytes <= 4096);
	spool_rewind(sp, 1);
	uint64_t number;
	const void *p;
	size_t n;
	assert_int_equal(spool_next(sp, &number, &p, &n), 1);
	assert_true(number > 16); /* the segment that grows is left */
	(void)out;
	spool_close(sp);
}

static void append__at_the_cap__oldest_go_and_are_counted(void **state)
{
	(void)state;
	char text[1001];
	memset(text, 'x', 1000);
	text[1000] = 0;
	struct spool *sp = open_spool(40960, 4096, 0);
	struct spool_stats st;
	uint64_t last = 0, number, seen = 0, first = 0;
	for (int i = 0; i < 200; i++) {
		last = put(sp, text);
		spool_stats(sp, &st);
		assert_true(st.bytes <= 40960);
		assert_int_equal(st.waiting + st.dropped, last);
	}
	const void *p;
	size_t n;
	while (spool_next(sp, &number, &p, &n) == 1) {
		first = first ? first : number;
		assert_int_equal(number, first + seen++);
	}
	assert_int_equal(first, st.dropped + 1);
	assert_int_equal(first + seen - 1, 200);
	assert_true(seen >= 27); /* at least the cap less two segments */
	spool_close(sp);
}

static void append__too_large_and_no_room__refused_and_the_rest_stays(void **state)
{
	(void)state;
	char out[64];
	uint64_t number;
	struct spool *sp = open_spool(0, 0, 0);
	char *big = calloc(1, SPOOL_MAX_RECORD_BYTES + 1);
	put(sp, "a");
	assert_int_equal(spool_append(sp, big, SPOOL_MAX_RECORD_BYTES + 1, &number), -EMSGSIZE);
	struct rlimit old, tight = {4096, RLIM_INFINITY};
	getrlimit(RLIMIT_FSIZE, &old);
	tight.rlim_max = old.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &tight);
	assert_true(spool_append(sp, big, 100000, &number) < 0); /* a short write, taken back */
	assert_int_equal(put(sp, "b"), 2);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(spool_append(sp, big, SPOOL_MAX_RECORD_BYTES, &number), 0);
	free(big);
	put(sp, "d");
	spool_close(sp);
	sp = open_spool(0, 0, 0);
	struct spool_stats st;
	spool_stats(sp, &st);
	assert_int_equal(st.corrupt + st.torn_bytes, 0);
	assert_int_equal(st.waiting, 4);
	const void *p;
	size_t n;
	for (uint64_t i = 1; i <= 4; i++) {
		assert_int_equal(spool_next(sp, &number, &p, &n), 1);
		assert_int_equal(number, i);
	}
	assert_int_equal(n, 1);
	spool_rewind(sp, 1);
	spool_next(sp, &number, &p, &n);
	spool_next(sp, &number, &p, &n);
	snprintf(out, sizeof out, "%.*s", (int)n, (const char *)p);
	assert_string_equal(out, "b");
	spool_close(sp);
}

/* What the disk holds when the power goes: five records of which only `keep` bytes of the file arrived. */
static size_t read_all(const char *path, char *ret, size_t room)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, ret, room);
	assert_true(fd >= 0 && n >= 0);
	close(fd);
	return (size_t)n;
}

static void write_all(const char *path, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0640);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static const char *const five[] = {"first", "", "the third", "4", "fifth"};
enum { HEAD = 32, RECORD = 20 };

/* Makes the spool of five records as a crash leaves it, its files' bytes in seg and rdr. */
static void make_five(char *seg_path, size_t room, char *seg, size_t *n_seg, char *rdr, size_t *n_rdr)
{
	char rdr_path[600];
	struct spool *sp = open_spool(0, 0, 0);
	for (size_t i = 0; i < 5; i++)
		put(sp, five[i]);
	snprintf(seg_path, room, "%s/0000000000000001.seg", where);
	snprintf(rdr_path, sizeof rdr_path, "%s/reader", where);
	*n_seg = read_all(seg_path, seg, 4096);
	*n_rdr = read_all(rdr_path, rdr, 4096);
	spool_close(sp);
}

static void put_back(const char *seg_path, const char *seg, size_t n_seg, const char *rdr, size_t n_rdr)
{
	char cmd[1200], rdr_path[600];
	snprintf(cmd, sizeof cmd, "%s/reader", where);
	snprintf(rdr_path, sizeof rdr_path, "%s/reader", where);
	DIR *d = opendir(where);
	for (const struct dirent *e; (e = readdir(d));)
		unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	write_all(seg_path, seg, n_seg);
	write_all(rdr_path, rdr, n_rdr);
}

static void open__truncated_at_every_byte__whole_records_are_there(void **state)
{
	(void)state;
	char path[600], seg[4096], rdr[4096], out[256];
	size_t n_seg, n_rdr;
	make_five(path, sizeof path, seg, &n_seg, rdr, &n_rdr);
	assert_int_equal(n_seg, HEAD + 5 * RECORD + 5 + 0 + 9 + 1 + 5);
	for (size_t cut = 0; cut <= n_seg; cut++) {
		char want[256] = "";
		size_t end = HEAD;
		for (size_t i = 0; i < 5; i++) {
			end += RECORD + strlen(five[i]);
			if (end <= cut)
				snprintf(want + strlen(want), sizeof want - strlen(want), "%s,", five[i]);
		}
		put_back(path, seg, cut, rdr, n_rdr);
		struct spool *sp = open_spool(0, 0, 0);
		drain(sp, out, sizeof out, NULL);
		assert_string_equal(out, want);
		assert_true(put(sp, "new") > 5); /* 5 may have been seen by the far end */
		drain(sp, out, sizeof out, NULL);
		assert_string_equal(out, "new,");
		spool_close(sp);
		sp = open_spool(0, 0, 0);
		drain(sp, out, sizeof out, NULL);
		snprintf(want + strlen(want), sizeof want - strlen(want), "new,");
		assert_string_equal(out, want);
		spool_close(sp);
	}
}

static void open__any_byte_changed__only_that_record_is_passed_over(void **state)
{
	(void)state;
	char path[600], seg[4096], rdr[4096], out[256];
	size_t n_seg, n_rdr;
	make_five(path, sizeof path, seg, &n_seg, rdr, &n_rdr);
	for (size_t at = 0; at < n_seg; at++) {
		char want[256] = "";
		size_t end = HEAD, hurt = 0;
		for (size_t i = 0; i < 5; i++) {
			size_t begin = end;
			end += RECORD + strlen(five[i]);
			bool mine = at >= begin && at < end;
			hurt += mine;
			if (at >= HEAD && !mine)
				snprintf(want + strlen(want), sizeof want - strlen(want), "%s,", five[i]);
		}
		seg[at] = (char)(seg[at] ^ 0x40);
		put_back(path, seg, n_seg, rdr, n_rdr);
		seg[at] = (char)(seg[at] ^ 0x40);
		struct spool *sp = open_spool(0, 0, 0);
		struct spool_stats st;
		spool_stats(sp, &st);
		drain(sp, out, sizeof out, NULL);
		assert_string_equal(out, want);
		assert_true(st.corrupt == hurt || st.torn_bytes > 0); /* the last record's loss looks like a torn tail */
		spool_close(sp);
	}
}

static void next__corrupted_while_open__passed_over_and_counted(void **state)
{
	(void)state;
	char path[600], out[256];
	struct spool *sp = open_spool(0, 0, 0);
	for (size_t i = 0; i < 5; i++)
		put(sp, five[i]);
	snprintf(path, sizeof path, "%s/0000000000000001.seg", where);
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, HEAD + RECORD), 1);
	close(fd);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, ",the third,4,fifth,");
	spool_close(sp);
}

static void open__reader_slot_torn__older_position_counts(void **state)
{
	(void)state;
	char rdr_path[600], out[256];
	struct spool *sp = open_spool(0, 0, 0);
	uint64_t epoch = spool_epoch(sp);
	for (size_t i = 0; i < 5; i++)
		put(sp, five[i]);
	spool_ack(sp, 1);
	spool_sync(sp);
	spool_ack(sp, 3);
	spool_sync(sp);
	char rdr[4096];
	snprintf(rdr_path, sizeof rdr_path, "%s/reader", where);
	size_t n = read_all(rdr_path, rdr, sizeof rdr);
	spool_close(sp);
	assert_int_equal(n, 128);
	uint64_t turn[2];
	memcpy(&turn[0], rdr + 8, 8);
	memcpy(&turn[1], rdr + 64 + 8, 8);
	rdr[(turn[1] > turn[0] ? 64 : 0) + 30] ^= 1;
	write_all(rdr_path, rdr, n);
	sp = open_spool(0, 0, 0);
	assert_int_equal(spool_epoch(sp), epoch);
	assert_int_equal(spool_acked(sp), 1);
	drain(sp, out, sizeof out, NULL);
	assert_string_equal(out, ",the third,4,fifth,");
	spool_close(sp);
}

static void open__second_process__busy(void **state)
{
	(void)state;
	struct spool *sp = open_spool(0, 0, 0), *other;
	struct err err;
	assert_int_equal(spool_open(&other, &(struct spool_conf){.directory = where}, &err), -EBUSY);
	spool_close(sp);
	sp = open_spool(0, 0, 0);
	spool_close(sp);
}

static void open__planted_link__refused(void **state)
{
	(void)state;
	char path[600];
	mkdir(where, 0750);
	snprintf(path, sizeof path, "%s/reader", where);
	assert_int_equal(symlink("/dev/null", path), 0);
	struct spool *sp;
	struct err err;
	assert_int_equal(spool_open(&sp, &(struct spool_conf){.directory = where}, &err), -ELOOP);
}

/* A writer killed at a random moment: every record whose append returned is there. */
static void append__writer_killed__nothing_appended_is_lost(void **state)
{
	(void)state;
	uint64_t told = 0, last = 0;
	for (unsigned round = 0; round < 20; round++) {
		int ends[2];
		assert_int_equal(pipe(ends), 0);
		pid_t pid = fork();
		if (pid == 0) {
			struct spool *sp = NULL;
			if (spool_open(&sp, &(struct spool_conf){where, 0, 16384, 0}, NULL))
				_exit(1);
			for (uint64_t n;;) {
				char text[64] = "x";
				if (spool_append(sp, text, 1 + round, &n) || write(ends[1], &n, sizeof n) != sizeof n)
					_exit(1);
			}
		}
		close(ends[1]);
		usleep(2000 + round * 1500);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		uint64_t n;
		while (read(ends[0], &n, sizeof n) == sizeof n) {
			assert_true(n > told);
			told = n;
		}
		close(ends[0]);
		struct spool *sp = open_spool(0, 16384, 0);
		uint64_t number;
		const void *p;
		size_t len;
		while (spool_next(sp, &number, &p, &len) == 1)
			last = number;
		assert_true(last >= told);
		struct spool_stats st;
		spool_stats(sp, &st);
		assert_int_equal(st.corrupt, 0);
		spool_close(sp);
	}
	assert_true(told > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, enter, leave)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c__rfc3720_vectors),
		T(next__appended__in_order_and_again_until_acknowledged),
		T(rewind__acknowledged_but_kept__read_again),
		T(sync__kept_long_enough__acknowledged_segments_go),
		T(append__at_the_cap__oldest_go_and_are_counted),
		T(append__too_large_and_no_room__refused_and_the_rest_stays),
		T(open__truncated_at_every_byte__whole_records_are_there),
		T(open__any_byte_changed__only_that_record_is_passed_over),
		T(next__corrupted_while_open__passed_over_and_counted),
		T(open__reader_slot_torn__older_position_counts),
		T(open__second_process__busy),
		T(open__planted_link__refused),
		T(append__writer_killed__nothing_appended_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
