/* The thread that reads endpoint events: files, FIFOs whose writers come and go, a queue nobody empties, an
 * end at any time. */
#include "detect/app/feeder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture/base/clock.h"

enum { PATIENCE_S = 60 };

static char folder[64], path[96];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/lt-feeder-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof path, "%s/events", folder);
	return 0;
}

static int drop_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, 2000000}, NULL);
}

/* The next thing that is not "nothing now". */
static int take(struct feeder *f, struct evchunk *c, struct err *err)
{
	uint64_t until_ns = clock_monotonic_ns() + PATIENCE_S * CLOCK_NS_PER_S;
	while (clock_monotonic_ns() < until_ns) {
		int r = feeder_take(f, c, err);
		if (r)
			return r;
		nap();
	}
	fail_msg("waited %d s in vain", PATIENCE_S);
	return 0;
}

/* Chunks of one document, up to its end, as one text. */
static size_t take_document(struct feeder *f, char *text, size_t size)
{
	struct evchunk c = {0};
	struct err err;
	size_t n = 0;
	bool first = true;
	do {
		assert_int_equal(take(f, &c, &err), 1);
		assert_int_equal(c.begins, first);
		assert_string_equal(c.origin, path);
		assert_true(n + c.n < size);
		memcpy(text + n, c.bytes, c.n);
		n += c.n;
		first = false;
	} while (!c.ends);
	text[n] = '\0';
	return n;
}

static void file__read_to_its_end__then_no_more_for_good(void **state)
{
	(void)state;
	char text[64];
	struct feeder *f;
	struct evchunk c;
	struct err err;
	write_file("one\ntwo\n", 8);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	take_document(f, text, sizeof text);
	assert_string_equal(text, "one\ntwo\n");
	assert_int_equal(take(f, &c, &err), -ENODATA);
	assert_int_equal(take(f, &c, &err), -ENODATA);
	feeder_stop(f);
}

static void start__no_such_file__refused_by_name(void **state)
{
	(void)state;
	struct feeder *f;
	struct err err;
	assert_int_equal(feeder_start(&f, "/nonexistent/events", &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/events"));
}

/* 4 MiB are 16 chunks, twice what the queue holds: the reader waits, and nothing is lost or out of order. */
static void queue__full__waits_and_loses_nothing(void **state)
{
	(void)state;
	enum { N = 4 << 20 };
	char *text = malloc(N + 1), *got = malloc(N + 1);
	assert_non_null(text);
	assert_non_null(got);
	for (uint32_t i = 0; i < N; i++)
		text[i] = (char)('a' + (i * 2654435761u >> 24) % 26);
	write_file(text, N);
	struct feeder *f;
	struct err err;
	assert_int_equal(feeder_start(&f, path, &err), 0);
	nanosleep(&(struct timespec){0, 200000000}, NULL); /* it runs into the full queue */
	assert_int_equal(take_document(f, got, N + 1), N);
	assert_memory_equal(got, text, N);
	feeder_stop(f);
	free(text);
	free(got);
}

static void stop__queue_full__returns(void **state)
{
	(void)state;
	enum { N = 4 << 20 };
	char *text = calloc(1, N);
	assert_non_null(text);
	write_file(text, N);
	free(text);
	struct feeder *f;
	struct evchunk c;
	struct err err;
	assert_int_equal(feeder_start(&f, path, &err), 0);
	assert_int_equal(take(f, &c, &err), 1);
	nanosleep(&(struct timespec){0, 100000000}, NULL);
	feeder_stop(f);
}

static int open_writer(void)
{
	for (int i = 0; i < PATIENCE_S * 500; i++) {
		int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		nap(); /* nobody reads yet */
	}
	fail_msg("nobody reads the FIFO");
	return -1;
}

static void write_and_leave(const char *text)
{
	int fd = open_writer();
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void fifo__writers_one_after_the_other__a_document_each(void **state)
{
	(void)state;
	char text[64];
	struct feeder *f;
	struct evchunk c;
	struct err err;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	for (int i = 0; i < 50; i++) {
		char said[32];
		snprintf(said, sizeof said, "writer %d\n", i);
		write_and_leave(said);
		take_document(f, text, sizeof text);
		assert_string_equal(text, said);
	}
	assert_int_equal(feeder_take(f, &c, &err), 0); /* and it waits for the next */
	feeder_stop(f);
}

/* However fast they come and go: nothing that was written is lost. Documents may run into each other, since a
 * pipe has no marks. */
static void fifo__writers_in_a_hurry__every_byte_once(void **state)
{
	(void)state;
	enum { N = 2000, LINE = 8 };
	struct feeder *f;
	struct evchunk c;
	struct err err;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	char *all = calloc(N + 1, LINE);
	assert_non_null(all);
	size_t got = 0;
	for (unsigned i = 0; i < N; i++) {
		char said[LINE + 1];
		snprintf(said, sizeof said, "%07u\n", i);
		write_and_leave(said);
		while (i % 7 == 0 && feeder_take(f, &c, &err) == 1) {
			memcpy(all + got, c.bytes, c.n);
			got += c.n;
		}
	}
	while (got < (size_t)N * LINE && take(f, &c, &err) == 1) {
		memcpy(all + got, c.bytes, c.n);
		got += c.n;
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(strtoul(all + (size_t)i * LINE, NULL, 10), i);
	feeder_stop(f);
	free(all);
}

static void stop__fifo_without_a_writer__returns(void **state)
{
	(void)state;
	struct feeder *f;
	struct err err;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	uint64_t began_ns = clock_monotonic_ns();
	feeder_stop(f);
	assert_true(clock_monotonic_ns() - began_ns < PATIENCE_S * CLOCK_NS_PER_S);
}

static void fifo__removed__ends_after_its_last_writer(void **state)
{
	(void)state;
	char text[64];
	struct feeder *f;
	struct evchunk c;
	struct err err;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	write_and_leave("first\n");
	take_document(f, text, sizeof text);
	int fd = open_writer();
	assert_int_equal(write(fd, "last\n", 5), 5);
	assert_int_equal(take(f, &c, &err), 1);
	size_t n = c.n;
	assert_memory_equal(c.bytes, "last\n", n);
	assert_int_equal(unlink(path), 0);
	close(fd);
	while (!c.ends) {
		assert_int_equal(take(f, &c, &err), 1);
		assert_memory_equal(c.bytes, &"last\n"[n], c.n);
		n += c.n;
	}
	assert_int_equal(n, 5);
	assert_int_equal(take(f, &c, &err), -ENODATA);
	feeder_stop(f);
}

static void file__cut_short__error_then_its_end(void **state)
{
	(void)state;
	/* gzip's header and the beginning of a stored block that never comes */
	static const char cut[] = {0x1f, (char)0x8b, 8,   0, 0,          0,          0,   0,  0,
				   3,    1,          100, 0, (char)0x9b, (char)0xff, 'a', 'b'};
	struct feeder *f;
	struct evchunk c;
	struct err err;
	int r;
	write_file(cut, sizeof cut);
	assert_int_equal(feeder_start(&f, path, &err), 0);
	while ((r = take(f, &c, &err)) == 1)
		assert_false(c.ends);
	assert_int_equal(r, LT_ETRUNCATED);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(take(f, &c, &err), 1);
	assert_true(c.ends);
	assert_int_equal(take(f, &c, &err), -ENODATA);
	feeder_stop(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, drop_folder)
	const struct CMUnitTest tests[] = {
	    T(file__read_to_its_end__then_no_more_for_good),
	    T(start__no_such_file__refused_by_name),
	    T(queue__full__waits_and_loses_nothing),
	    T(stop__queue_full__returns),
	    T(fifo__writers_one_after_the_other__a_document_each),
	    T(fifo__writers_in_a_hurry__every_byte_once),
	    T(stop__fifo_without_a_writer__returns),
	    T(fifo__removed__ends_after_its_last_writer),
	    T(file__cut_short__error_then_its_end),
	};
#undef T
	return cmocka_run_group_tests(tests, NULL, NULL);
}
